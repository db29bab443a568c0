//! Faults that a handler takes: where they were, what such handlers do to their process,
//! and floods of them.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::signals::wait_until_dead;
use super::{kept, shared, takes_turns, Outcome, Scenario, Scene, Stage};
use crate::judge::events::{of_day, Event, DAY_NS};
use crate::judge::{From, Judge};
use crate::stage::sigtrace::Sigtrace;
use crate::sys;

const SEGV: i32 = Signal::SIGSEGV as i32;
/// Each is told of; what the kernel side tells of their place besides is not.
const MANY: usize = 2_000;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared(
            "crash-exits",
            kept,
            |s, _| ends(s, "crash-exits", ""),
            exits,
        ),
        shared(
            "crash-aborts",
            kept,
            |s, _| ends(s, "crash-aborts", ""),
            aborts,
        ),
        shared(
            "crash-raises",
            kept,
            |s, _| ends(s, "crash-raises", ""),
            raises,
        ),
        shared(
            "crash-kills",
            kept,
            |s, _| ends(s, "crash-kills", ""),
            kills,
        ),
        shared("crash-mended", kept, |s, _| ends(s, "mends", "1 0"), mended),
        takes_turns("crash-flood", flood),
    ]
}

fn ends(scene: &mut Scene, role: &'static str, words: &str) -> Result<()> {
    let pid = scene.spawn(role, words)?.host;
    wait_until_dead(pid)?;
    scene.clear()
}

/// The fault and its place, at the signal.
fn handled(judge: &mut Judge<'_>, pid: u32) {
    let begins = match sys::own_offset(sys::read_near_zero as *const ()) {
        Ok(begins) => begins,
        Err(error) => return judge.fault(format!("{error:#}")),
    };
    judge
        .signal("the fault", SEGV, From::KernelFor(pid), pid)
        .fate("handled", None)
        .field("/fault/object", "sigtrace-play")
        .within("/fault/object_offset", begins..begins + 64)
        .words(&["It used address 0x10", "null pointer"]);
}

/// The death leads to it.
fn leads(judge: &mut Judge<'_>, pid: u32, first: &[&str], cause: &str, how: &str, code: i32) {
    let chain = [first, &["SIGSEGV handled", "fault at address 0x10 in "]].concat();
    judge
        .death("the target", pid)
        .cause(cause, how, code)
        .field("/fault/object", "sigtrace-play")
        .chain(&chain)
        .words(&["It had faulted", "its handler for SIGSEGV ran"]);
}

fn exits(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("crash-exits");
    handled(judge, pid);
    leads(judge, pid, &["exited with status 3"], "exit", "exit", 3);
    judge.cleared(scene.pid1());
}

/// What comes so much later than a handler began may be somebody else's doing, nanoseconds.
const AT_ONCE: i64 = 100_000_000;

/// Whether a busy machine let more time go by between the handler of the fault and its signal.
fn is_late(judge: &Judge<'_>, pid: u32, signal: Signal) -> bool {
    let number = |event: &Event| event.number("/signal/number");
    let mut signals = judge.of(pid).filter(|event| event.is_signal());
    let fault = signals.find(|event| number(event) == Some(libc::SIGSEGV as u64));
    let sent = signals.find(|event| number(event) == Some(signal as u64));
    let (Some(fault), Some(sent)) = (fault, sent) else {
        return false;
    };
    let handled = fault.number("/latency_ns").unwrap_or(0) as i64;
    match (of_day(fault.text("/time")), of_day(sent.text("/time"))) {
        (Some(fault), Some(sent)) => (sent - fault).rem_euclid(DAY_NS) - handled > AT_ONCE,
        _ => false,
    }
}

/// What the handler sends to its own process.
fn sent(judge: &mut Judge<'_>, pid: u32, signal: Signal, cause: &str, how: &str, first: &str) {
    handled(judge, pid);
    judge.too_slow_to_prove = is_late(judge, pid, signal);
    judge
        .signal(signal.as_str(), signal as i32, From::Process(pid), pid)
        .fate("fatal", None)
        .field("/cause", cause);
    leads(judge, pid, &[first], cause, how, 128 + signal as i32);
    judge.too_slow_to_prove = false;
}

fn aborts(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("crash-aborts");
    let first = "SIGABRT raised by itself";
    sent(judge, pid, Signal::SIGABRT, "abort", "tkill-syscall", first);
    judge.cleared(scene.pid1());
}

fn raises(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("crash-raises");
    let (cause, how) = ("killed-by-process", "tkill-syscall");
    sent(judge, pid, Signal::SIGSEGV, cause, how, "SIGSEGV");
    judge.cleared(scene.pid1());
}

fn kills(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("crash-kills");
    let (cause, how) = ("killed-by-process", "kill-syscall");
    sent(judge, pid, Signal::SIGKILL, cause, how, "SIGKILL");
    judge.cleared(scene.pid1());
}

/// It goes on and ends well: that has nothing to do with its fault.
fn mended(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("mends");
    judge
        .signal("the fault", SEGV, From::KernelFor(pid), pid)
        .fate("handled", None)
        .field("/fault/object", "sigtrace-play");
    judge
        .death("the target", pid)
        .cause("exit", "exit", 0)
        .absent("/fault");
    judge.cleared(scene.pid1());
}

/// Every one of many has its place, nothing is lost, and an exit after so many is not
/// taken for the last one's doing.
fn flood(stage: &Stage<'_>) -> Result<Outcome> {
    let mut scene = Scene::kept()?;
    let ino = scene.ns.ino.to_string();
    let flags = ["--pidns", &ino, "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    ends(&mut scene, "mends", &format!("{MANY} 1"))?;
    let pid = scene.pid("mends");
    let ended = sigtrace.ended()?.well()?;
    Ok(stage.judged(&ended, &[scene.ns.ino], |seen, judge| {
        let is_it = |event: &&crate::judge::Event| {
            event.is_signal() && event.text("/signal/name") == "SIGSEGV"
        };
        let faults = || seen.events.iter().filter(is_it);
        let (all, placed, whole) = (
            faults().count(),
            faults()
                .filter(|e| e.text("/fault/object") == "sigtrace-play")
                .count(),
            faults()
                .filter(|e| e.now.pointer("/kernel_path").is_some())
                .count(),
        );
        if (all, placed) != (MANY, MANY) || seen.summary["events_lost"] != 0 {
            judge.fault(format!(
                "{all} of {MANY} faults were told, {placed} with their place"
            ));
        }
        if whole > MANY / 4 {
            judge.fault(format!("{whole} kernel stacks were taken"));
        }
        judge
            .last_death("the target", pid)
            .words(&["whether it ended because of that is not known"]);
    }))
}
