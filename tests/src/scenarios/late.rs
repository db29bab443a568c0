//! sigtrace comes when SIGTERM has already been handled: it may say what it sees
//! and not what it did not.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{own, Outcome, Scenario, Stage};
use crate::judge::phrases::Phrase;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("late-attach", late)]
}

fn late(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-sig", "1", "--hold"])?;
    let child = ns.pid1.everybody("child", 1)?[0].host;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    ns.pid1.hear("got")?;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "--once", "-o", "json"])?;
    ns.pid1.tell("go")?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    Ok(stage.judged(&ended, &[ns.ino], |_, judge| {
        judge
            .death("PID 1", ns.pid1.pid)
            .cause("exit", "exit", 0)
            .no_words(&["SIGTERM"]);
        judge
            .zapped("the child", child, ns.pid1.pid)
            .has("/contributing", "late-attach")
            .says(Phrase::LateAttach);
        judge.nothing_else();
    }))
}
