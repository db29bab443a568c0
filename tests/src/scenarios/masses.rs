//! A namespace that is full when sigtrace comes.

use std::time::Instant;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{takes_turns, Outcome, Scenario, Stage};
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

/// On a real machine, and where one processor is emulated by another.
const MANY: usize = 10_000;
const MANY_IN_A_GUEST: usize = 500;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![takes_turns("ten-thousand", ten_thousand)]
}

fn ten_thousand(stage: &Stage<'_>) -> Result<Outcome> {
    let count = if stage.host.guest {
        MANY_IN_A_GUEST
    } else {
        MANY
    };
    let ns = Ns::new(&["c-init-sig", &count.to_string()])?;
    let children = ns.pid1.everybody("child", count)?;
    let ino = ns.ino.to_string();
    let begin = Instant::now();
    let flags = ["--pidns", &ino, "--once", "-o", "json", "--buffer", "64M"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    println!("attached to {count} processes in {:?}", begin.elapsed());
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    let mut outcome = stage.judged(&ended, &[ns.ino], |seen, judge| {
        if seen.summary["events_lost"] != 0 {
            judge.fault("events were lost in a buffer of 64 MiB");
        }
        for child in &children {
            judge.zapped("a child", child.host, ns.pid1.pid);
        }
    });
    if let Outcome::Failed(faults, lines) = &mut outcome {
        faults.truncate(10);
        lines.truncate(20);
    }
    Ok(outcome)
}
