//! sigtrace comes when SIGTERM has already been handled: it may say what it sees
//! and not what it did not.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{own, Outcome, Scenario, Stage};
use crate::judge::phrases::Phrase;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::{Ended, Sigtrace};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        own("late-attach", late),
        own("late-attach-to-one", late_to_one),
    ]
}

fn late(stage: &Stage<'_>) -> Result<Outcome> {
    let (ns, child) = asked()?;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "--once", "-o", "json"])?;
    ns.pid1.tell("go")?;
    ns.pid1.wait()?;
    judged(stage, &ns, child, &sigtrace.ended()?.well()?)
}

/// The same, traced by PID 1's pid: a filter that names it leaves nothing out of
/// what it got, so only the late attachment is missing.
fn late_to_one(stage: &Stage<'_>) -> Result<Outcome> {
    if !stage.host.guest {
        return Ok(Outcome::Skipped(
            "on a machine that others use only namespaces are traced".into(),
        ));
    }
    let (ns, child) = asked()?;
    let pid = ns.pid1.pid.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["-p", &pid, "-o", "json"])?;
    ns.pid1.tell("go")?;
    ns.pid1.wait()?;
    sigtrace.wait_for(&[r#""event":"exit""#, &format!(r#""pid":{child},"#)])?;
    sigtrace.wait_for(&[r#""event":"init_exit""#])?;
    judged(stage, &ns, child, &sigtrace.interrupt()?.well()?)
}

/// A PID 1 that has handled SIGTERM already, and its child.
fn asked() -> Result<(Ns, u32)> {
    let ns = Ns::new(&["c-init-sig", "1", "--hold"])?;
    let child = ns.pid1.everybody("child", 1)?[0].host;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    ns.pid1.hear("got")?;
    Ok((ns, child))
}

fn judged(stage: &Stage<'_>, ns: &Ns, child: u32, ended: &Ended) -> Result<Outcome> {
    Ok(stage.judged(ended, &[ns.ino], |_, judge| {
        judge
            .death("PID 1", ns.pid1.pid)
            .cause("exit", "exit", 0)
            .no_words(&["SIGTERM", "filters"]);
        judge
            .zapped("the child", child, ns.pid1.pid)
            .has("/contributing", "late-attach")
            .says(Phrase::LateAttach)
            .no_words(&["filters"])
            .advises("wait for its children before it exits");
        judge.nothing_else();
    }))
}
