//! abort(3). It sends SIGABRT to its own thread; where that does not end the
//! process, it sets the default action and sends another, and where even that
//! does nothing it executes an instruction that faults (`hlt` on x86: a general
//! protection fault, so SIGSEGV from the kernel itself). For a PID 1 without a
//! handler this is the way it always goes, because both SIGABRT are dropped.

use crate::event::{BootTime, Info, Signal};
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::Note;
use crate::history::process::{Fatal, Process};

use super::death::Death;
use super::path::KernelPath;
use super::sender::{SI_KERNEL, SI_TKILL};
use super::{signals, stack, words};

/// The fault follows upon the last SIGABRT at once; a thread that is not
/// scheduled meanwhile takes longer.
const ABORT_NS: u64 = 1_000_000_000;
/// How many SIGABRT abort(3) sends before it faults.
const SENT: usize = 2;
/// The trap that a `hlt` outside of the kernel ends in.
const TRAP: &str = "exc_general_protection";
const LOOK: &str =
    "look for what it printed last; the core dump, if one was written, shows the place";

/// Whether it is the SIGABRT of abort(3).
pub(super) fn raised(s: &Signal) -> bool {
    // A watchdog's pthread_kill(3) is another thread's.
    let own = s.current.key == s.target.key && s.current.tid == s.target.tid;
    own && s.number == signals::ABRT && s.code == SI_TKILL
}

/// What that SIGABRT did to a process that it ended.
pub(super) fn explain(fatal: &Fatal, d: &mut Death) {
    d.link(Some(fatal.event), "SIGABRT raised by itself");
    d.say("The program aborted: it sent itself SIGABRT (abort(3), a failed assertion, or a runtime's fatal error).");
    d.advise(LOOK);
}

/// A PID 1 whose SIGABRT were dropped, and which then faulted on purpose.
pub(super) fn of_pid1(victim: &Process, fatal: &Fatal, s: &Signal) -> Option<Death> {
    let nested_pid1 = victim.task.is_pid1() && !victim.task.namespaces.is_empty();
    // A SIGSEGV for a bad address has the address and another code.
    let trap = s.info == Info::Kernel || (s.info == Info::Full && s.code == SI_KERNEL);
    let own = s.current.key == s.target.key;
    if !nested_pid1 || s.number != signals::SEGV || !trap || !own {
        return None;
    }
    if stack::named(&s.stack) && !stack::has(&s.stack, TRAP) {
        return None;
    }
    let sent: Vec<&Note> = sent_before(victim, fatal.time).collect();
    let last = sent.first()?;
    if last.reason != Some("init-no-handler") {
        return None;
    }
    let mut d = Death::new("abort", Some("kernel-signal"));
    d.kernel_path = KernelPath::fatal(s);
    for note in sent.iter().rev() {
        d.evidence(Evidence::Event(note.event));
    }
    d.evidence(Evidence::Event(fatal.event));
    d.evidence(Evidence::Field(format!("si_code={}", s.code)));
    if stack::has(&s.stack, TRAP) {
        d.evidence(Evidence::Stack(TRAP.to_owned()));
    } else {
        d.missing(
            "kernel symbols: that the fault was a general protection fault, as that of abort(3) is",
            Certainty::Inferred,
        );
    }
    if sent.len() < SENT {
        d.missing("the other SIGABRT that abort(3) sends", Certainty::Inferred);
    }
    d.link(Some(fatal.event), "SIGSEGV by a fault on purpose");
    d.link(Some(last.event), "SIGABRT raised by itself and dropped");
    d.say("The program aborted (abort(3), a failed assertion, or a runtime's fatal error): it sent itself SIGABRT, and the kernel dropped that, because a PID 1 gets only the signals that it has a handler for.");
    d.say("abort(3) then ended it by a fault on purpose: that is why its status names SIGSEGV (139) and not SIGABRT (134).");
    d.advise(LOOK);
    Some(d)
}

/// SIGABRT that it sent to itself a moment before, newest first.
fn sent_before(one: &Process, at: BootTime) -> impl Iterator<Item = &Note> {
    one.notes.iter().rev().filter(move |n| {
        n.number == signals::ABRT
            && n.time <= at
            && words::between(n.time, at) <= ABORT_NS
            && n.sender.as_ref().is_some_and(|s| s.key == one.task.key)
    })
}
