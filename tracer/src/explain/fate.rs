//! What becomes of a signal: at once, at its delivery, when it is taken from
//! the queue, or when a later look finds it gone. Drops stand in
//! [`super::dropped`], waiting in [`super::blocked`].

use crate::event::{flag, BootTime, Handler, Outcome, Signal};
use crate::history::note::Fate;

use super::dropped::{self, Dying};
use super::open::Open;
use super::queued;
use super::sender::{self, Origin};
use super::signals::{self, DefaultAction};
use super::verdict::{Verdict, View};
use super::words;
use super::{crashes, debugger};

/// What the tracepoint alone settles; `None`: it was queued and is open.
pub(crate) fn at_generation(view: View<'_>, time: BootTime, s: &Signal) -> Option<Verdict> {
    let dying = dropped::dying(view, time, s);
    let name = signals::name(s.number);
    if s.number == signals::CONT && matches!(dying, Dying::No) {
        let worked = s.state.signal_flags & (flag::CLD_CONTINUED | flag::CLD_STOPPED) != 0;
        let handler_runs =
            s.outcome != Outcome::Ignored && matches!(s.state.handler, Handler::User(_));
        if worked && !handler_runs {
            return Some(
                Verdict::proven(Fate::Continued)
                    .field(format!("signal->flags={:#x} (SIGNAL_CLD_CONTINUED or SIGNAL_CLD_STOPPED)", s.state.signal_flags))
                    .say("The process was stopped and goes on; SIGCONT does that even where it is blocked or ignored."),
            );
        }
    }
    match s.outcome {
        Outcome::Ignored => return Some(dropped::dropped(view, time, s, &dying)),
        // Before 6.0 the dead are not told apart here; below they are.
        Outcome::AlreadyPending if matches!(dying, Dying::No) => {
            return Some(queued::coalesced(s));
        }
        Outcome::OverflowFail => return Some(queued::rejected(s)),
        Outcome::AlreadyPending
        | Outcome::Delivered
        | Outcome::LoseInfo
        | Outcome::SharesItsBit
        | Outcome::BitAlone => {}
    }
    if !matches!(dying, Dying::No) {
        // SIGKILL still ends a core dump.
        let known = view.history.process(s.target.key);
        // Before 5.16 the dead may have the mark of a dump that was another's.
        let over =
            matches!(dying, Dying::Zombie) || known.is_some_and(|process| process.exit.is_some());
        let ends_dump = dropped::dumping(s) && s.number == signals::KILL && !over;
        if !ends_dump {
            return Some(dropped::to_the_dying(view, s, &dying));
        }
    }
    let exits = s.state.signal_flags & flag::GROUP_EXIT != 0;
    if exits && s.state.group_exit_code & 0x7f == s.number {
        return Some(Verdict::proven(Fate::Fatal).field(format!(
            "signal->flags has SIGNAL_GROUP_EXIT, group_exit_code={}",
            s.state.group_exit_code
        )));
    }
    if s.number == signals::KILL
        && s.state.threads_unable > 0
        && s.state.threads_unable == s.state.threads_seen
    {
        return Some(
            Verdict::proven(Fate::Dropped)
                .because("target-exiting")
                .field(format!(
                    "all {} threads have PF_EXITING",
                    s.state.threads_seen
                ))
                .say(format!("Every thread was exiting when {name} came.")),
        );
    }
    // Not above: unlike one that is pending already it is handed to a thread all the same
    // (`complete_signal`), and may end the process.
    (s.outcome == Outcome::SharesItsBit).then(|| queued::shares_its_bit(s))
}

/// A thread acts on it (`signal_deliver`).
pub(crate) struct Delivery {
    /// The event.
    pub(crate) event: u64,
    /// When.
    pub(crate) time: BootTime,
    /// What it does.
    pub(crate) handler: Handler,
    /// `SIGNAL_*`.
    pub(crate) signal_flags: u32,
    /// The thread's process is PID 1 of its namespace.
    pub(crate) pid1: bool,
    /// Its process group is orphaned, where that counts; `None`: not known.
    pub(crate) orphaned: Option<bool>,
    /// Of a fault that a handler takes: the instruction.
    pub(crate) fault_at: Option<u64>,
}

/// The fate that a delivery shows, also for a signal whose generation was not
/// seen.
pub(crate) fn by_delivery(number: i32, d: &Delivery) -> (Fate, Option<&'static str>) {
    match d.handler {
        Handler::User(_) | Handler::KernelThread | Handler::KernelThreadKernel => {
            (Fate::Handled, None)
        }
        Handler::Ignore => (Fate::Discarded, Some("sig-ign")),
        // get_signal asks for the flag and not for the pid: a fault takes the
        // flag away first (force_sig_info_to_task), and does kill a PID 1.
        Handler::Default => match signals::default_action(number) {
            DefaultAction::Ignore => (Fate::Discarded, Some("default-ignore")),
            // What goes on did so at its generation (prepare_signal), and was
            // settled then.
            DefaultAction::Cont => (Fate::Discarded, Some("default-ignore")),
            _ if d.pid1
                && d.signal_flags & flag::UNKILLABLE != 0
                && !signals::kernel_only(number) =>
            {
                (Fate::Discarded, Some("init-no-handler"))
            }
            DefaultAction::Stop if number != signals::STOP && d.orphaned == Some(true) => {
                (Fate::Discarded, Some("orphaned-pgrp-stop"))
            }
            DefaultAction::Stop => (Fate::Stopped, None),
            DefaultAction::Term | DefaultAction::Core => (Fate::Fatal, None),
        },
    }
}

/// At its delivery.
pub(crate) fn at_delivery(generated: BootTime, s: &Signal, d: &Delivery) -> Verdict {
    let name = signals::name(s.number);
    let (fate, reason) = by_delivery(s.number, d);
    let waited = words::between(generated, d.time);
    let mut v = Verdict::proven(fate)
        .event(d.event)
        .field(format!("sa_handler={}", dropped::SaHandler(d.handler)));
    v.reason = reason;
    match fate {
        Fate::Handled => {
            v.latency_ns = Some(waited);
            v.handler = match d.handler {
                Handler::User(address) => Some(address),
                _ => None,
            };
            v.fault_at = d.fault_at.filter(|_| crashes::is(s));
            v.say(format!("Its handler for {name} began {} later.", words::span(waited)))
        }
        Fate::Discarded => match reason {
            Some("init-no-handler") => v
                .say(format!(
                    "{name} waited {} for PID 1, which then took it without having a handler: it was thrown away.",
                    words::span(waited)
                ))
                .advise(format!("install a handler for {name} in PID 1 before it unblocks the signal")),
            Some("orphaned-pgrp-stop") => orphaned(v, &name),
            Some("sig-ign") if s.state.handler == Handler::Ignore && s.state.traced => v.say(format!(
                "The process ignores {name}. It got as far as this because a debugger traces the process, which lets nothing be dropped before the debugger has seen it; the debugger let it pass, and then it was thrown away."
            )),
            _ if s.number == signals::CONT => v.say("By the time SIGCONT was taken, there was nothing to continue: a process goes on as soon as one is sent."),
            _ => v.say(format!("By the time it was taken, the process ignored {name}: it was thrown away.")),
        },
        Fate::Stopped if s.number == signals::STOP => {
            goes_on(v.say("The process stopped; no process can prevent that."), s)
        }
        Fate::Stopped => {
            let v = match d.orphaned {
                Some(_) => v,
                None => v.but("whether its process group is orphaned: such a group is not stopped by this signal"),
            };
            goes_on(v.say(format!("The process stopped by the default action of {name}.")), s)
        }
        _ => v,
    }
}

/// Stopped by somebody else, who may have forgotten it.
fn goes_on(v: Verdict, s: &Signal) -> Verdict {
    match s.current.key == s.target.key || sender::origin(s) != Origin::Process {
        true => v,
        false => v.advise(format!(
            "it does nothing more until somebody sends SIGCONT: kill -CONT {}",
            s.target.key.pid
        )),
    }
}

/// `get_signal` asks `is_current_pgrp_orphaned` and goes on with the next signal.
fn orphaned(v: Verdict, name: &str) -> Verdict {
    v.field("the process group is orphaned: each member's parent is in it, in another session, gone, or the host's PID 1")
        .say(format!(
            "The process took {name} and was not stopped: its process group is orphaned. No member of it has a parent in another group of the same session, as a shell with job control is, so nobody would continue it, and {name}, like the other stop signals of a terminal, does nothing there."
        ))
        .advise("send SIGSTOP to stop it all the same, and SIGCONT to continue it; for Ctrl-Z start it from a shell with job control in the same session (an interactive one, or set -m)")
}

/// Taken from the queue outside `get_signal`, by a named function.
pub(crate) fn accepted(
    generated: BootTime,
    s: &Signal,
    event: u64,
    time: BootTime,
    function: &str,
) -> Verdict {
    taken(
        Verdict::proven(Fate::Accepted).event(event).frame(function),
        generated,
        s,
        time,
    )
}

/// Taken from the queue, as all that is known says.
pub(crate) fn accepted_inferred(
    generated: BootTime,
    s: &Signal,
    event: Option<u64>,
    time: BootTime,
    missing: &str,
) -> Verdict {
    taken(inferred(s, event, missing), generated, s, time)
}

fn inferred(s: &Signal, event: Option<u64>, missing: &str) -> Verdict {
    let mut v = Verdict::inferred(Fate::Accepted, missing);
    if let Some(event) = event {
        v = v.event(event);
    }
    if waited_for(s) {
        v = v.field(
            "real_blocked has the signal and blocked does not: the thread was in sigtimedwait",
        );
    }
    v
}

fn taken(v: Verdict, generated: BootTime, s: &Signal, time: BootTime) -> Verdict {
    let after = if v.later { "at most " } else { "" };
    v.say(format!(
        "The process took {} from the queue {after}{} later by waiting for it (sigwait, sigtimedwait or signalfd), so it needs no handler.",
        signals::name(s.number),
        words::span(words::between(generated, time))
    ))
}

/// Whether the thread was waiting for it in sigtimedwait.
pub(crate) fn waited_for(s: &Signal) -> bool {
    let bit = signals::bit(s.number);
    s.state.real_blocked & bit != 0 && s.state.blocked & bit == 0
}

/// Whether a debugger may hold it: its absence from the queue is no end then. A
/// traced thread stops with the signal in hand (`ptrace_signal`), and its tracer
/// can suppress or replace it.
pub(crate) fn held(open: &Open, flushed: bool) -> bool {
    let s = &open.signal;
    open.got.is_some() || (s.state.traced && !flushed && !waited_for(s))
}

/// A later look finds it gone from the queue although no delivery was seen.
/// `flushed`: the process ignores it now.
pub(crate) fn gone(
    view: View<'_>,
    open: &Open,
    event: u64,
    time: BootTime,
    flushed: bool,
) -> Verdict {
    let (generated, s) = (open.time, &*open.signal);
    let lost = view.history.lost_since("deliver", generated);
    if lost > 0 {
        return Verdict::unknown(format!(
            "{} that may have been this one's",
            words::count(lost, "lost delivery", "lost deliveries")
        ))
        .event(event)
        .say(format!(
            "{} is no longer pending, and what took it was lost.",
            signals::name(s.number)
        ));
    }
    if held(open, flushed) {
        return debugger::swallowed_somehow(open, event);
    }
    let name = signals::name(s.number);
    let dequeue_lost = view.history.lost_since("dequeue", generated) > 0;
    if flushed || (view.coverage.sees_dequeue && !dequeue_lost && !waited_for(s)) {
        let mut v = Verdict::inferred(Fate::Discarded, "a hook on sigaction(2), which can flush what is pending").event(event).seen_later().say(format!(
            "{name} was queued and then removed without being taken: the process set it to be ignored meanwhile (sigaction)."
        ));
        // What is ignored by default, SIG_DFL flushes as well.
        if flushed || !signals::default_ignored(s.number) {
            v = v.because("sig-ign");
        }
        if s.state.traced {
            v = v.but("whether its debugger had kept it back before (ptrace_request is not hooked, or its record was lost)");
        }
        return v;
    }
    let missing = "the moment it was taken (dequeue_signal is not hooked, or its record was lost)";
    let v = inferred(s, Some(event), missing).seen_later();
    if waited_for(s) {
        return taken(v, generated, s, time);
    }
    v.but("a hook on sigaction(2), which can flush what is pending").say(format!(
        "{name} was no longer in the queue at most {} later, and no handler had run: most likely the process took it by waiting for it (sigwait, sigtimedwait or signalfd), which needs no handler. Had it set {name} to be ignored meanwhile (sigaction), that would have thrown it away.",
        words::span(words::between(generated, time))
    ))
}

/// What is known of the queue of a process that is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The signal was in it to the last.
    ToTheLast,
    /// One of several equal ones was.
    OneOfThem,
    /// Nobody saw that queue.
    Unknown,
}

/// The process or its thread is dead; `status`: how it ended, where that is known.
pub(crate) fn died_first(s: &Signal, event: u64, waited: Waited, status: Option<i32>) -> Verdict {
    let name = signals::name(s.number);
    let v = match waited {
        Waited::ToTheLast => Verdict::proven(Fate::DiedFirst),
        Waited::OneOfThem => Verdict::inferred(
            Fate::DiedFirst,
            "how many of these were taken before (dequeue_signal is not hooked, or its record was lost): the last of them was still pending",
        ),
        Waited::Unknown => Verdict::inferred(Fate::DiedFirst, "what was pending for that thread"),
    };
    let end = match status {
        Some(status) if status & 0x7f != 0 => {
            format!("was ended by {}", signals::name(status & 0x7f))
        }
        Some(status) => format!("exited, with status {},", (status >> 8) & 0xff),
        None => "ended in some way that was not seen".to_owned(),
    };
    let there = match waited {
        Waited::ToTheLast => ", which was still in the queue and did nothing to it",
        Waited::OneOfThem | Waited::Unknown => "",
    };
    v.event(event).say(format!(
        "The process {end} before it acted on {name}{there}."
    ))
}

/// What ends threads of a process that are not asked: it is no signal that they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadsEnd {
    /// Another thread called execve(2).
    Exec,
    /// The process ended as a whole.
    Exit,
    /// It wrote a core dump.
    CoreDump,
}

/// The thread that a signal was for ended with the others of its process.
pub(crate) fn died_with_others(s: &Signal, event: u64, by: ThreadsEnd) -> Verdict {
    let (cause, why) = match by {
        ThreadsEnd::Exec => (
            "exec-other-threads",
            "another thread of its process called execve, which ends all others",
        ),
        ThreadsEnd::Exit => (
            "group-exit",
            "its process ended as a whole (exit_group, or a signal that ends it)",
        ),
        ThreadsEnd::CoreDump => (
            "coredump-zap",
            "its process wrote a core dump, for which every thread is stopped and ended",
        ),
    };
    Verdict::inferred(Fate::DiedFirst, "the end of that thread itself, which may have come before")
        .caused(cause)
        .event(event)
        .say(format!(
            "The thread that it was for had not acted on {} when {why}. The kernel ends threads so without a signal: nobody killed it.",
            signals::name(s.number)
        ))
}

/// A stop signal and SIGCONT remove each other (`prepare_signal`).
pub(crate) fn cancelled(s: &Signal, event: u64, by: i32) -> Verdict {
    Verdict::proven(Fate::Cancelled).event(event).say(format!(
        "A {} that came later removed this {} from the queue before it was acted on.",
        signals::name(by),
        signals::name(s.number)
    ))
}

/// A SIGCONT that found nothing stopped, but stop signals that were pending,
/// which it removed: their events and numbers.
pub(crate) fn undid(verdict: Verdict, s: &Signal, stops: &[(u64, i32)]) -> Verdict {
    let nothing = verdict.reason == Some("default-ignore");
    let (Some(&(_, number)), signals::CONT, true) = (stops.last(), s.number, nothing) else {
        return verdict;
    };
    let name = signals::name(number);
    let undone = Verdict::proven(Fate::Continued).say(format!(
        "The process was not stopped yet: this SIGCONT removed the {name} that was still pending, so it goes on."
    ));
    stops.iter().fold(undone, |v, &(event, _)| v.event(event))
}
