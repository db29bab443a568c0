//! Debuggers: who attached, what one did with the signals of the thread that it
//! traces, and what it gave it instead (`ptrace(2)`). A traced thread stops with each
//! signal in hand, and goes on with the one that its debugger names, or with none;
//! the kernel calls that no sending. Waiting for the debugger stands in
//! [`super::blocked`].

use std::sync::Arc;

use crate::event::{
    printable, BootTime, Detail, Handler, Info, Outcome, Places, Resumed, Signal, TargetState, Task,
};
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::{Fate, Note, NotedSender};
use crate::history::process::{Fatal, Given, Process};

use super::death::Death;
use super::engine::Engine;
use super::fate::{self, Delivery};
use super::open::Open;
use super::path::KernelPath;
use super::verdict::{Blind, Verdict, View};
use super::{blocked, sender, signals, stack, words};

/// The mechanism.
pub(super) const PTRACE: &str = "ptrace-syscall";
const PTRACE_KILL: u32 = 8;

/// The name of a request that lets a thread go on.
fn request(number: u32) -> &'static str {
    match number {
        7 => "PTRACE_CONT",
        8 => "PTRACE_KILL",
        9 => "PTRACE_SINGLESTEP",
        17 => "PTRACE_DETACH",
        24 => "PTRACE_SYSCALL",
        _ => "ptrace",
    }
}

/// The SIGSTOP by which PTRACE_ATTACH stops whom it attaches to. Nothing else in the
/// kernel sends one for itself.
pub(super) fn attaches(s: &Signal) -> bool {
    let other = s.info == Info::Kernel && s.current.key != s.target.key;
    let by_ptrace =
        !stack::named(&s.stack) || stack::system_call(&s.stack).is_some_and(|(_, by)| by == PTRACE);
    s.number == signals::STOP && other && by_ptrace
}

/// Whether the debugger gave it: nobody sent it.
fn injected(s: &Signal) -> bool {
    matches!(s.detail, Detail::Debugger(_))
}

/// The cause that a signal has though it kills nobody, and what is to be said of it
/// first.
pub(super) fn remark(s: &Signal) -> Option<(&'static str, String)> {
    if attaches(s) {
        let who = words::who(&s.current);
        let why = format!("{who} attached to the process as its debugger (PTRACE_ATTACH); the kernel sends it SIGSTOP for that.");
        return Some(("ptrace-attach", why));
    }
    match s.detail {
        Detail::Debugger(by) => Some((
            "tracer-injected",
            format!(
                "Nobody sent this {}: {}, which traces the process, let it go on with it ({}).",
                signals::name(s.number),
                words::who(&s.current),
                request(by)
            ),
        )),
        _ => None,
    }
}

/// The process was let go on without the signal that it had stopped for.
fn swallowed(number: i32, r: &Resumed, event: u64) -> Verdict {
    let instead = r.given.map_or_else(
        || "without it".to_owned(),
        |given| format!("with {} instead", signals::name(given)),
    );
    Verdict::proven(Fate::Swallowed)
        .because("tracer")
        .event(event)
        .say(format!(
            "{}, which traces the process, held it when it had taken {}, and let it go on {instead} ({}).",
            words::who(&r.tracer),
            signals::name(number),
            request(r.request)
        ))
}

/// Whether a look shows that the debugger has let a process go on, which had taken a
/// signal: it sleeps, which a thread does not between the queue and the debugger.
/// Of several threads a look shows only the first.
pub(super) fn has_let_go(open: &Open) -> bool {
    let sleeps = matches!(open.seen, Some((b'S' | b'D', _)));
    sleeps && open.signal.state.threads <= 1
}

/// Taken from the queue and not acted on: as far as is known a debugger suppressed it
/// or gave something else.
pub(super) fn swallowed_somehow(open: &Open, event: u64) -> Verdict {
    let name = signals::name(open.signal.number);
    let tracer = open.seen.as_ref().and_then(|(_, sight)| sight.tracer);
    let who = tracer.map_or_else(String::new, |(pid, comm)| {
        format!(" {} {pid}", printable(&comm.to_string()))
    });
    Verdict::inferred(Fate::Swallowed, "what the debugger did with it")
        .because("tracer")
        .event(open.got.map_or(event, |got| got.0))
        .seen_later()
        .say(format!(
            "{name} was taken from the queue and no handler ran: the process was traced, and its debugger{who} suppressed the signal or replaced it."
        ))
}

impl Engine {
    /// A debugger lets a thread go on.
    pub(super) fn resumed(&mut self, id: u64, time: BootTime, r: Resumed) {
        let process = self.history.see(&r.task, true);
        if r.given == r.stopped {
            process.given = None;
            return;
        }
        let held = r.stopped.and_then(|number| {
            let got = self.open.got_by(&process.open, r.task.tid);
            let fits = |o: &u64| (self.open.get(*o)).is_some_and(|o| o.signal.number == number);
            let taken = || self.open.taken(&process.open, r.task.tid, number);
            got.filter(fits).or_else(taken).map(|o| (o, number))
        });
        let r = Arc::new(r);
        process.given = r.given.map(|number| Given {
            event: id,
            time,
            number,
            by: r.clone(),
        });
        if let Some((o, number)) = held {
            self.conclude(o, swallowed(number, &r, id), id, time);
        }
    }

    /// What a thread that stopped at a system call is given the kernel sends to it,
    /// and so it does with PTRACE_KILL (5.19, and stable kernels since then): the
    /// debugger's doing all the same.
    pub(super) fn as_given(&mut self, s: Arc<Signal>) -> Arc<Signal> {
        let of_it = |given: &mut Given| {
            let own = s.current.tid == s.target.tid && s.info == Info::Kernel;
            let kill = given.by.request == PTRACE_KILL && s.current.key == given.by.tracer.key;
            given.number == s.number && given.by.task.tid == s.target.tid && (own || kill)
        };
        let target = self.history.process_mut(s.target.key);
        match target.and_then(|p| p.given.take_if(of_it)) {
            Some(given) => Arc::new(Signal {
                detail: Detail::Debugger(given.by.request),
                current: given.by.tracer.clone(),
                ancestry: given.by.ancestry.clone(),
                more_ancestors: false,
                // The debugger's own are not told.
                places: Places::default(),
                ..(*s).clone()
            }),
            None => s,
        }
    }

    /// A thread acts on what its debugger gave it; false: that is none of this.
    pub(super) fn deliver_given(&mut self, task: &Task, number: i32, d: &Delivery) -> bool {
        let Some(process) = self.history.process_mut(task.key) else {
            return false;
        };
        let of_it = |g: &mut Given| g.by.task.tid == task.tid;
        let Some(given) = process.given.take_if(of_it).filter(|g| g.number == number) else {
            return false;
        };
        let signal = Arc::new(as_signal(&given, task, d.handler));
        if process.fatal.is_some() || !self.coverage.filter.target(task) {
            return false;
        }
        let (fate, reason) = fate::by_delivery(number, d);
        process.note(Note {
            event: given.event,
            time: given.time,
            number,
            fate,
            reason,
            sender: Some(NotedSender::of(&signal)),
            unsent: false,
            stop: false,
            settled: Some(d.time),
        });
        let target = process.task.key;
        self.summary.signals += 1;
        let verdict = fate::at_delivery(given.time, &signal, d).event(given.event);
        let open = Open::new(given.event, given.time, signal, target);
        self.settle(open, verdict, d.event, d.time);
        true
    }

    /// Whether another of the same number may be the one that a traced process acts on,
    /// where nobody saw which of them its debugger kept.
    pub(super) fn may_be_another(&self, o: u64) -> bool {
        let Some(open) = self.open.get(o).filter(|open| open.signal.state.traced) else {
            return false;
        };
        let process = self.history.process(open.target);
        let others = process.map_or(&[][..], |p| &p.open);
        let same = |other: &u64| {
            let other = self.open.get(*other);
            other.is_some_and(|s| s.signal.number == open.signal.number && s.id != o)
        };
        !self.coverage.sees_dequeue && others.iter().any(same)
    }

    /// A thread acts on a signal whose sending was not seen. Whether a debugger may
    /// have given it; if it had another in hand, that one is gone.
    pub(super) fn perhaps_given(&mut self, task: &Task, traced: bool, d: &Delivery) -> bool {
        let Some(process) = self.history.process(task.key) else {
            return false;
        };
        let held = process.open.iter().copied().find(|&o| {
            self.open.get(o).is_some_and(|open| {
                open.tid.is_none_or(|tid| tid == task.tid)
                    && fate::held(open, false)
                    && !blocked::blocked(&open.signal)
            })
        });
        if let Some((o, open)) = held.and_then(|o| Some((o, self.open.get(o)?))) {
            let verdict = swallowed_somehow(open, d.event);
            self.conclude(o, verdict, d.event, d.time);
        }
        traced || held.is_some()
    }
}

/// What a thread is given, as if it had been sent.
fn as_signal(given: &Given, task: &Task, handler: Handler) -> Signal {
    Signal {
        number: given.number,
        code: sender::SI_USER,
        info: Info::Full,
        detail: Detail::Debugger(given.by.request),
        pdeath_signal: 0,
        queues: None,
        to_process: false,
        outcome: Outcome::Delivered,
        current: given.by.tracer.clone(),
        target: task.clone(),
        state: TargetState {
            handler,
            sa_flags: 0,
            blocked: 0,
            real_blocked: 0,
            pending: 0,
            shared_pending: 0,
            signal_flags: 0,
            group_exit_code: 0,
            traced: true,
            state: 0,
            exit_state: 0,
            threads: 0,
            threads_seen: 0,
            threads_blocking: 0,
            threads_unable: 0,
            dumping: false,
            throttled: false,
        },
        ancestry: given.by.ancestry.clone(),
        more_ancestors: false,
        places: Places::default(),
        stack: Vec::new(),
    }
}

/// Whether a debugger's request ended the process.
pub(super) fn ends(s: &Signal) -> bool {
    injected(s) || stack::system_call(&s.stack).is_some_and(|(_, by)| by == PTRACE)
}

/// A process that a debugger gave a signal, by which it ended.
pub(super) fn killed(view: View<'_>, victim: &Process, fatal: &Fatal, s: &Signal) -> Death {
    let name = signals::name(s.number);
    let who = words::who(&s.current);
    let mut d = Death::new("tracer-injected", Some(PTRACE));
    d.kernel_path = KernelPath::fatal(s);
    if let Some((function, _)) = stack::system_call(&s.stack) {
        d.evidence(Evidence::Stack(function.to_owned()));
    }
    d.evidence(Evidence::Event(fatal.event));
    let by = match s.detail {
        Detail::Debugger(by) => request(by),
        _ => "PTRACE_KILL",
    };
    d.say(if s.number == signals::KILL {
        format!("{who}, which traced it, killed it ({by}).")
    } else {
        format!("{who}, which traced it, let it go on with {name} ({by}), and it has no handler for that: the default action ended it. Nobody else sent it.")
    });
    d.link(Some(fatal.event), format!("{name} given by its debugger"));
    d.link_process(view.history, &NotedSender::of(s), victim, true);
    d
}

/// A process that acted on a signal which, as far as is known, nobody sent, while a
/// debugger traced it; `None`: somebody may well have.
pub(super) fn perhaps_killed(view: View<'_>, victim: &Process, fatal: &Fatal) -> Option<Death> {
    let since = BootTime(victim.task.key.start_ns);
    let blind = view.blind_to(fatal.number, since, victim);
    if !fatal.perhaps_given || !matches!(blind, None | Some(Blind::Late)) {
        return None;
    }
    let name = signals::name(fatal.number);
    let mut d = Death::new("tracer-injected", Some(PTRACE));
    d.evidence(Evidence::Event(fatal.event));
    d.missing(
        "the debugger's request (ptrace_request is not hooked, or its record was lost)",
        Certainty::Inferred,
    );
    d.say(format!(
        "It acted on {name}, which nobody was seen to send, while a debugger traced it: the debugger gave it the signal. It has no handler for that, so the default action ended it."
    ));
    d.link(Some(fatal.event), format!("{name} given by its debugger"));
    Some(d)
}
