//! A namespace that has not ended, although its PID 1 is dead: somebody who came
//! in from outside holds a process in it.

use anyhow::Result;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{waitpid, WaitPidFlag};
use nix::unistd::Pid;

use super::{own, takes_turns, Outcome, Scenario, Stage};
use crate::judge::Seen;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("held-open", held_open),
        own("held-by-debugger", held_by_debugger),
    ]
}

fn held_open(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    ns.pid1.everybody("child", 1)?;
    // Its parent is this process, which does not reap it at first.
    let guest = ns.enter(&["role", "ignores-rt"])?;
    let pid = guest.meet("ignores-rt")?.host;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "--once", "-o", "json"])?;
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    // --once does not end before this can be written.
    sigtrace.wait_for(&[r#""event":"waits""#, &format!(r#""pid":{pid},"#)])?;
    guest.wait()?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    let seen = Seen::read(&ended.lines);
    let mut faults = seen.faults.clone();
    let of = |kind: &str, pid: u32| {
        let of = |event: &&crate::judge::Event| {
            event.kind() == kind && event.number("/task/pid") == Some(pid.into())
        };
        seen.events.iter().filter(of).count()
    };
    for (kind, pid, count) in [
        ("waits", ns.pid1.pid, 1),
        ("zombie", ns.pid1.pid, 0),
        ("zombie", pid, 1),
    ] {
        if of(kind, pid) != count {
            faults.push(format!(
                "{} lines {kind} of {pid} instead of {count}",
                of(kind, pid)
            ));
        }
    }
    if seen.summary["ended"] != true || seen.summary["ends_unseen"] != 0 {
        faults.push(format!("all has ended, and was seen to: {}", seen.summary));
    }
    Ok(Outcome::of(faults, &ended.lines))
}

/// The dead child of a dead PID 1 is not reaped before its debugger, which is the play,
/// has waited for it.
fn held_by_debugger(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let child = ns.pid1.everybody("child", 1)?[0].host;
    let traced = Pid::from_raw(child.try_into()?);
    ptrace::attach(traced)?;
    waitpid(traced, Some(WaitPidFlag::__WALL))?;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "--once", "-o", "json"])?;
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    sigtrace.wait_for(&[
        r#""event":"waits""#,
        &format!(r#""pid":{child},"#),
        r#""state":"Z""#,
        r#""reason":"traced""#,
        "its debugger sigtrace-play",
    ])?;
    waitpid(traced, Some(WaitPidFlag::__WALL))?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    let seen = Seen::read(&ended.lines);
    Ok(Outcome::of(seen.faults.clone(), &ended.lines))
}
