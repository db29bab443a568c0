//! Terminals that stop the jobs in their background, and the key that ends whoever
//! holds one open.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::kernel_kills::by;
use super::rare_kills::in_guest;
use super::signals::wait_until_dead;
use super::{kept, shared, Scenario, Scene, Set};
use crate::inside::rarest::CONSOLE;
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;

const TERMINAL: From = From::Nobody("terminal");

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared(
            "tty-job-reads",
            kept,
            |scene, _| stops(scene, "reads"),
            |scene, judge| {
                let words = ["in the background", "read from"];
                stopped(scene, judge, Signal::SIGTTIN, &words);
            },
        ),
        shared(
            "tty-job-writes",
            kept,
            |scene, _| stops(scene, "writes"),
            |scene, judge| {
                let words = ["in the background", "write to"];
                stopped(scene, judge, Signal::SIGTTOU, &words);
            },
        ),
        shared(
            "tty-job-key",
            kept,
            |scene, _| stops(scene, "types"),
            |scene, judge| stopped(scene, judge, Signal::SIGTSTP, &["Ctrl-Z"]),
        ),
        shared("sak", has_console, act_sak, sak),
    ]
}

/// Who leads the session ends the job as soon as that has stopped.
fn stops(scene: &mut Scene, what: &str) -> Result<()> {
    let leader = scene.spawn("jobs", what)?;
    let job = scene.ns.pid1.meet("job")?;
    scene.remember("job", job);
    wait_until_dead(leader.host)?;
    scene.clear()
}

fn stopped(scene: &Scene, judge: &mut Judge<'_>, signal: Signal, words: &[&str]) {
    let (leader, job) = (scene.pid("jobs"), scene.pid("job"));
    judge
        .signal("the stop", signal as i32, TERMINAL, job)
        .fate("stopped", None)
        .field("/cause", "tty-job")
        .words(words);
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(leader), job)
        .fate("fatal", None);
    judge
        .death("the job", job)
        .cause("killed-by-process", "kill-syscall", 137)
        .forced(true);
    judge.death("the leader", leader).cause("exit", "exit", 0);
    judge.cleared(scene.pid1());
}

fn has_console(host: &Host) -> Result<Set> {
    if host.guest && !Path::new(CONSOLE).exists() {
        return Ok(Set::Skip("this machine has no virtual console".into()));
    }
    in_guest(host)
}

/// SysRq-k, for the console in the foreground.
fn act_sak(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("holds-console", "")?.host;
    fs::write("/proc/sys/kernel/sysrq", "1").context("kernel.sysrq")?;
    fs::write("/proc/sysrq-trigger", "k").context("/proc/sysrq-trigger")?;
    wait_until_dead(pid)?;
    scene.clear()
}

fn sak(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGKILL by its terminal", "secure attention key"];
    let who = "holds-console";
    by(scene, judge, who, Signal::SIGKILL, TERMINAL, "sak", &chain);
}
