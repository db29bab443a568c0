//! Signals that were pending already, or found no place in their queue.

use crate::event::{Info, Signal};
use crate::history::note::Fate;

use super::verdict::Verdict;
use super::{sender, signals, words};

/// `TRACE_SIGNAL_ALREADY_PENDING`.
pub(crate) fn coalesced(s: &Signal) -> Verdict {
    let name = signals::name(s.number);
    let queue = if s.to_process { "process" } else { "thread" };
    // setitimer(2) and alarm(2) send what they send without an overrun count.
    let posix_timer = s.info == Info::Full && s.code == sender::SI_TIMER;
    if posix_timer && sender::origin(s) == sender::Origin::Timer {
        return Verdict::proven(Fate::Coalesced)
            .because("timer-overrun")
            .say(format!(
            "The timer ran out again before its last {name} was taken: it counts as an overrun."
        ));
    }
    Verdict::proven(Fate::Coalesced)
        .because("already-pending")
        .field(format!("{name} is pending for the {queue}"))
        .say(format!("One {name} was waiting for this {queue} already, and a queue holds only one: this one adds nothing."))
}

/// A real-time signal that left only its pending bit, while others of its number have
/// entries in the queue: the bit goes with the last of those (`collect_signal`).
pub(crate) fn shares_its_bit(s: &Signal) -> Verdict {
    let queue = if s.to_process { "process" } else { "thread" };
    let name = signals::name(s.number);
    let entry = format!("the queue of the {queue} has an entry for {name}");
    adds_nothing(s, Verdict::proven(Fate::Coalesced)).field(entry)
}

/// The same where that was not looked for deep enough, but `before` had an entry.
pub(crate) fn shares_it_with(s: &Signal, before: u64) -> Verdict {
    const MISSING: &str = "whether the earlier one was still in the queue";
    adds_nothing(s, Verdict::inferred(Fate::Coalesced, MISSING)).event(before)
}

fn adds_nothing(s: &Signal, verdict: Verdict) -> Verdict {
    let name = signals::name(s.number);
    verdict
        .because("already-pending")
        .field("result=4: no entry in the queue, only the pending bit")
        .say(format!("Another {name} was in the queue already, whose pending bit it shares: the kernel clears that when it hands out the last one that has an entry, so that this one adds nothing."))
}

/// `TRACE_SIGNAL_OVERFLOW_FAIL`: either the limit is reached (`sigqueue_alloc`
/// counts this one too), or there was no memory.
pub(crate) fn rejected(s: &Signal) -> Verdict {
    const ADVICE: &str =
        "let the target take its signals faster, or raise its limit (ulimit -i, RLIMIT_SIGPENDING)";
    let name = signals::name(s.number);
    let v = || Verdict::proven(Fate::Rejected).field("result=3");
    match s.queues {
        Some((queued, limit)) if queued >= limit => v()
            .because("queue-full")
            .field(format!("RLIMIT_SIGPENDING={limit}"))
            .field(format!("{queued} queued for its user"))
            .say(format!(
                "{name} found no place: {} queued for the processes of the target's user, and the target's limit is {limit} (RLIMIT_SIGPENDING). The sender got EAGAIN.",
                words::count(queued, "signal is", "signals are")
            ))
            .advise(ADVICE),
        Some((queued, limit)) => v()
            .because("no-memory")
            .field(format!("RLIMIT_SIGPENDING={limit}"))
            .field(format!("{queued} queued for its user"))
            .say(format!(
                "{name} found no place although the limit was not reached ({queued} of {limit} queued): the kernel had no memory for it. The sender got EAGAIN."
            ))
            .advise("look for memory pressure at that time"),
        None => Verdict::inferred(Fate::Rejected, "the count of queued signals and RLIMIT_SIGPENDING of the target")
            .field("result=3")
            .say(format!(
                "The kernel had no place to queue {name}: the queue of real-time signals is full (RLIMIT_SIGPENDING, counted per user), or memory is short. The sender got EAGAIN."
            ))
            .advise(ADVICE),
    }
}
