//! A namespace that has not ended, although its PID 1 is dead: somebody who came
//! in from outside holds a process in it.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{own, Outcome, Scenario, Stage};
use crate::judge::Seen;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("held-open", held_open)]
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
