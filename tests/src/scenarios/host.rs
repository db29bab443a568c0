//! Those of the machine itself, whom signals do nothing to: its PID 1 and the kernel's
//! own threads. In a guest only, whose they are.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{own, play, Outcome, Scenario, Stage};
use crate::judge::{From, Judge, Seen};
use crate::stage::ns;
use crate::stage::sigtrace::Sigtrace;

/// The host's PID 1.
const INIT: u32 = 1;
/// Starts all other kernel threads.
const KTHREADD: u32 = 2;

const KILL: i32 = libc::SIGKILL;
const STOP: i32 = libc::SIGSTOP;
const TERM: i32 = libc::SIGTERM;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("host", play_host)]
}

fn play_host(stage: &Stage<'_>) -> Result<Outcome> {
    if !stage.host.guest {
        return Ok(Outcome::Skipped(
            "the machine's own PID 1 and kernel threads are signalled, so only in a guest"
                .to_owned(),
        ));
    }
    let flags = ["--to-pid", "1", "--to-pid", "2", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        ns::kill(INIT, signal)?;
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        ns::kill(KTHREADD, signal)?;
    }
    let last = format!(r#""target":{{"pid":{KTHREADD},"#);
    sigtrace.wait_for(&[&last, r#""name":"SIGKILL""#])?;
    let ended = sigtrace.interrupt()?.well()?;
    let seen = Seen::read(&ended.lines);
    let events = seen.events.iter().filter(|event| event.is_signal());
    let mut judge = Judge::new(stage.name, stage.table, stage.place, events.collect());
    for fault in &seen.faults {
        judge.fault(fault);
    }
    judge_host(&mut judge);
    judge.nothing_else();
    judge.table_is_met();
    Ok(Outcome::of(judge.faults, &ended.lines))
}

fn judge_host(judge: &mut Judge<'_>) {
    judge.call(INIT, "the host's PID 1");
    judge.call(KTHREADD, "kthreadd");
    let from = From::Process(play());
    for (claim, number) in [("SIGKILL to PID 1", KILL), ("SIGSTOP to PID 1", STOP)] {
        judge
            .signal(claim, number, from, INIT)
            .fate("dropped", Some("global-init"))
            .field("/result", "ignored")
            .words(&["The host's PID 1 never gets"]);
    }
    for (claim, number) in [
        ("SIGTERM to a kernel thread", TERM),
        ("SIGKILL to it", KILL),
    ] {
        judge
            .signal(claim, number, from, KTHREADD)
            .fate("dropped", Some("kernel-thread"))
            .field("/result", "ignored")
            .field("/target/comm", "kthreadd")
            .words(&["is a kernel thread"]);
    }
}
