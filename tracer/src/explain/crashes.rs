//! Faults that a handler took: what is said of them, and of an end that such a handler
//! brings about. A crash handler exits, aborts, kills its process, or raises the signal
//! again; that it does so is told from the order in time, so the chain is only followed
//! to a fault shortly before, and hedged where the process may have outlived it.

use crate::event::{BootTime, Fault, Info, ProcessKey, Signal};
use crate::explain::report::{Certainty, Evidence, Explanation};
use crate::history::process::{Crash, Exited, Fatal, NotedFault, Process};

use super::death::Death;
use super::engine::Engine;
use super::handlers::Handlers;
use super::kernel_words;
use super::place::{self, Named};
use super::sender::{self, Origin};
use super::verdict::Verdict;
use super::{pid1, signals, stack, words};

/// What a handler does at once.
const AT_ONCE_NS: u64 = 100_000_000;
/// Crash handlers write reports, which takes them seconds.
const REPORTING_NS: u64 = 10_000_000_000;
/// `BUS_MCEERR_AO`: bad memory that nobody has used yet.
const UNUSED_MEMORY: i32 = 5;

/// Whether a signal tells a thread of what it did itself at that moment.
pub(crate) fn is(s: &Signal) -> bool {
    let fault = signals::is_fault(s.number) && s.number != signals::SYS;
    let other = s.number == signals::BUS && s.code == UNUSED_MEMORY;
    let own = s.current.key == s.target.key && s.current.tid == s.target.tid;
    let kernel = s.info == Info::Full && s.code > 0 && sender::origin(s) != Origin::Process;
    fault && !other && own && kernel
}

/// What is known of the place of a fault.
pub(super) fn noted(handlers: &Handlers, event: u64, s: &Signal, ip: u64) -> NotedFault {
    let known = handlers.known(s.target.key, ip);
    NotedFault {
        event,
        fault: Fault {
            task: s.target.clone(),
            ip,
            mapping: known.and_then(|known| known.fault.mapping.clone()),
        },
        function: known.and_then(|known| known.function.clone()),
    }
}

/// Says in front of what its handler did what the fault was, and where.
pub(super) fn explain(noted: &NotedFault, s: &Signal, explanation: &mut Explanation) {
    let (what, ..) = kernel_words::fault(s);
    explanation
        .evidence
        .push(Evidence::Field(format!("si_code={}", s.code)));
    let place = place::place(noted, s);
    let said = [Some(what), place.as_ref().map(place::sentence)];
    explanation
        .sentences
        .splice(..0, said.into_iter().flatten());
}

impl Engine {
    /// A handler took the fault of a process: remembered for how that ends.
    pub(super) fn note_crash(
        &mut self,
        id: u64,
        time: BootTime,
        s: &std::sync::Arc<Signal>,
        verdict: &Verdict,
        handled: BootTime,
    ) {
        let Some(ip) = verdict.fault_at else { return };
        let place = noted(&self.handlers, id, s, ip);
        let key = self.history.resolve(s.target.key);
        if let Some(process) = self.history.process_mut(key) {
            let again = process.crash.is_some();
            process.crash = Some(Box::new(Crash {
                signal: s.clone(),
                time,
                handled,
                place,
                again,
            }));
        }
    }

    /// Another program has had no faults.
    pub(super) fn forget_crash(&mut self, key: ProcessKey) {
        let key = self.history.resolve(key);
        if let Some(process) = self.history.process_mut(key) {
            process.crash = None;
        }
    }

    /// Somebody has looked up the function at an address, which may be that of a fault.
    pub(super) fn crash_named(
        &mut self,
        id: u64,
        time: BootTime,
        (key, address): (ProcessKey, u64),
        named: &Named,
    ) {
        let key = self.history.resolve(key);
        let crash = (self.history.process_mut(key)).and_then(|p| p.crash.as_mut());
        if let Some(crash) = crash.filter(|crash| crash.place.fault.ip == address) {
            crash.place.function = Some(named.clone());
        }
        self.death_named(id, time, key, place::function(named), |place| {
            place.ip == address
        });
    }
}

/// How sure it is that an end came out of the handler of a fault.
enum Told {
    /// It had outlived none before, and ended at once.
    AtOnce,
    /// It may have gone on after it.
    Perhaps,
}

/// The fault that a handler took before an end at `at`; `tid`: the thread that brings
/// that about, where it is known.
fn before(victim: &Process, at: BootTime, tid: Option<u32>) -> Option<(&Crash, Told)> {
    let crash = victim.crash.as_deref().filter(|c| c.handled <= at)?;
    let after = words::between(crash.handled, at);
    // An exit may be any thread's, and come after the handler has returned; a thread that
    // sends itself a signal at once does so in its handler.
    let same = tid == Some(crash.signal.target.tid);
    let close = after <= AT_ONCE_NS;
    match crash.again {
        false if close && same => Some((crash, Told::AtOnce)),
        false if after <= REPORTING_NS => Some((crash, Told::Perhaps)),
        true if close => Some((crash, Told::Perhaps)),
        _ => None,
    }
}

/// The fault behind an exit that tells of a failure.
pub(super) fn before_exit(victim: &Process, exited: Exited, d: &mut Death) {
    let failed = (exited.status >> 8) & 0xff != 0;
    let Some((crash, told)) = before(victim, exited.time, None).filter(|_| failed) else {
        return;
    };
    let asked = pid1::request(victim, exited.time);
    if asked.is_some_and(|note| note.time >= crash.time) {
        return;
    }
    if asked.is_none() && d.chain.len() > 1 {
        return;
    }
    if asked.is_some() {
        // It crashed while it ended: who had asked for that stays in the sentences.
        d.chain.truncate(1);
    }
    link(crash, &told, exited.time, d);
}

/// The fault behind a signal that a process sent to itself; whether there is one.
pub(super) fn before_signal(victim: &Process, fatal: &Fatal, s: &Signal, d: &mut Death) -> bool {
    let Some((crash, told)) = before(victim, fatal.time, Some(s.current.tid)) else {
        return false;
    };
    link(crash, &told, fatal.time, d);
    true
}

fn link(crash: &Crash, told: &Told, at: BootTime, d: &mut Death) {
    let s = &*crash.signal;
    let name = signals::name(s.number);
    let after = words::span(words::between(crash.handled, at));
    let (what, root, _) = kernel_words::fault(s);
    d.evidence(Evidence::Event(crash.place.event));
    if !stack::named(&s.stack) {
        d.missing(
            format!("the kernel stack of its {name}: a process can send one to itself that looks like a fault"),
            Certainty::Inferred,
        );
    }
    let said = match told {
        Told::AtOnce => format!("It had faulted {after} before, and its handler for {name} ran."),
        Told::Perhaps => {
            d.missing(
                format!("whether its handler for {name} had returned before (rt_sigreturn is not hooked)"),
                Certainty::Inferred,
            );
            let others = if crash.again {
                ", as it had before, each time going on"
            } else {
                ""
            };
            format!("It had faulted {after} before{others}, and its handler for {name} ran; whether it ended because of that is not known.")
        }
    };
    d.say(said);
    d.say(what);
    d.link(Some(crash.place.event), format!("{name} handled"));
    let place = place::place(&crash.place, s);
    let behind = place.as_ref().map(place::beside).unwrap_or_default();
    d.link(None, format!("{root}{behind}"));
    if let Some(place) = place {
        d.say(place::sentence(&place));
        d.fault = Some(Box::new(place));
    }
    d.advise("it is an error in the program: look at that place; for a core dump let the handler set the default action again and return");
}
