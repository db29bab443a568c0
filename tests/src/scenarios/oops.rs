//! An error of the kernel itself, which ends who it works for. In an emulated guest
//! only, and last: nobody knows what else such a kernel gets wrong.

use std::fs;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::signals::wait_until_dead;
use super::{own, Outcome, Scenario, Scene, Stage};
use crate::judge::Event;
use crate::stage::sigtrace::Sigtrace;

/// Whether an oops stops the machine.
const PANICS: &str = "/proc/sys/kernel/panic_on_oops";
const TAINTED: &str = "/proc/sys/kernel/tainted";
/// `TAINT_DIE`.
const OOPSED: u64 = 1 << 7;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("kernel-oops", play)]
}

fn play(stage: &Stage<'_>) -> Result<Outcome> {
    let skip = |why: &str| Ok(Outcome::Skipped(why.to_owned()));
    if !stage.host.guest {
        return skip("the kernel shall run into an error, so only in a guest");
    }
    let emulated = fs::read_to_string("/proc/cpuinfo")?.contains("QEMU TCG");
    if !emulated || oopsed()? {
        return skip("no emulated processor, whose iretq is not quite the real one, or an oops before this one");
    }
    let before = fs::read_to_string(PANICS).context(PANICS)?;
    fs::write(PANICS, "0").context(PANICS)?;
    let outcome = oops(stage);
    fs::write(PANICS, before.trim_end()).context(PANICS)?;
    outcome
}

fn oopsed() -> Result<bool> {
    let tainted = fs::read_to_string(TAINTED).context(TAINTED)?;
    Ok(tainted.trim_end().parse::<u64>()? & OOPSED != 0)
}

fn oops(stage: &Stage<'_>) -> Result<Outcome> {
    let mut scene = Scene::kept()?;
    let ino = scene.ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "-o", "json"])?;
    let pid = scene.spawn("oopses", "")?.host;
    wait_until_dead(pid)?;
    scene.clear()?;
    let ended = sigtrace.interrupt()?.well()?;
    if !oopsed()? {
        return Ok(Outcome::Skipped(
            "this kernel makes a fault of the program of it".to_owned(),
        ));
    }
    Ok(stage.judged(&ended, &scene.inodes(), |_, judge| {
        scene.introduce(judge);
        // Which number the kernel gives it depends on where it failed.
        let killed = |event: &Event| event.number("/exit_code") == Some(137);
        let signal = match judge.last(pid).is_some_and(killed) {
            true => Signal::SIGKILL,
            false => Signal::SIGSEGV,
        };
        let as_if = format!("ended as if by {}", signal.as_str());
        judge
            .death("the target", pid)
            .cause("kernel-oops", "exit", 128 + signal as i32)
            .field("/signal", signal.as_str())
            .words(&["an error of its own"])
            .chain(&[&as_if, "an error in the kernel"]);
    }))
}
