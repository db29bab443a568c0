//! The threads that could take a signal which waits: not the first one alone, which may
//! be dead or block it.

use std::sync::Arc;

use crate::event::{flag, ProcessKey, Sight, Signal, Thread};
use crate::history::note::Fate;

use super::open::Open;
use super::signals;
use super::verdict::Verdict;

/// So many threads are named one by one.
const LISTED: usize = 8;

/// Whether a signal is for one thread that has ended, or is ending, in a process that
/// goes on. Nobody takes it, and what it may do to all it does at once (SIGCONT).
pub(super) fn to_dead_thread(s: &Signal) -> bool {
    let ended = s.state.exit_state != 0 || s.target.flags & flag::PF_EXITING != 0;
    !s.to_process && ended && s.number != signals::CONT
}

/// Which threads of several were seen to block it, in words.
pub(super) fn blocking(s: &Signal, sight: &Sight) -> Option<String> {
    let bit = signals::bit(s.number);
    let threads = sight.threads.iter().filter(|thread| alive(thread));
    let blocking: Vec<String> = threads
        .filter(|thread| thread.blocked & bit != 0)
        .map(|thread| thread.tid.to_string())
        .collect();
    let (last, others) = blocking
        .split_last()
        .filter(|(_, others)| !others.is_empty())?;
    Some(match blocking.len() {
        ..=LISTED => format!("threads {} and {last}", others.join(", ")),
        many => format!(
            "threads {} and {} more",
            blocking[..LISTED].join(", "),
            many - LISTED
        ),
    })
}

/// What that is.
pub(super) fn dead_thread(s: &Signal) -> Verdict {
    let name = signals::name(s.number);
    let which = if s.target.tid == s.target.key.pid {
        "the first thread of its process, which goes on without it".to_owned()
    } else {
        format!("thread {}, while its process goes on", s.target.tid)
    };
    let (field, ended) = match s.state.exit_state {
        0 => ("flags has PF_EXITING".to_owned(), "was ending already"),
        state => (format!("exit_state={state}"), "had ended already"),
    };
    Verdict::proven(Fate::Dropped)
        .because("target-exiting")
        .field(field)
        .say(format!(
            "{name} was for one thread alone (tkill, tgkill), and that {ended}: {which}. Nobody takes it."
        ))
        .advise(format!(
            "send it to the process: kill(2) and pidfd_send_signal(2) reach its other threads (kill -{} {})",
            s.number, s.target.key.pid
        ))
}

fn alive(thread: &Thread) -> bool {
    !matches!(thread.state, b'Z' | b'X')
}

/// What was seen of those who could take it, as one: their state where it is the same,
/// else the first one's; and where that sleeps. `letter` is that of the first thread.
pub(super) fn seen(open: &Open, letter: u8, sight: &Arc<Sight>) -> (u8, Arc<Sight>) {
    let bit = signals::bit(open.signal.number);
    let can = |thread: &&Thread| {
        alive(thread)
            && match open.tid {
                Some(tid) => thread.tid == tid,
                None => thread.blocked & bit == 0 || signals::kernel_only(open.signal.number),
            }
    };
    among(open.target, letter, sight, can)
}

/// The same of all that live.
pub(super) fn living(key: ProcessKey, letter: u8, sight: &Arc<Sight>) -> (u8, Arc<Sight>) {
    among(key, letter, sight, |thread: &&Thread| alive(thread))
}

fn among(
    key: ProcessKey,
    letter: u8,
    sight: &Arc<Sight>,
    can: impl Fn(&&Thread) -> bool,
) -> (u8, Arc<Sight>) {
    let could: Vec<_> = sight.threads.iter().filter(can).collect();
    let first = could.iter().find(|thread| thread.tid == key.pid);
    // One that could run is what counts: it will take it.
    let busy = could
        .iter()
        .find(|thread| !matches!(thread.state, b'D' | b'T' | b't'));
    let Some(which) = busy.or(first).or(could.first()) else {
        return (letter, sight.clone());
    };
    if which.tid == key.pid {
        return (letter, sight.clone());
    }
    let of_it = Sight {
        function: which.function.clone(),
        ..(**sight).clone()
    };
    (which.state, Arc::new(of_it))
}

/// How many of the threads of its process nobody has looked at.
pub(super) fn unseen(s: &Signal, sight: Option<&Sight>) -> u32 {
    let known = sight.map_or(0, |sight| sight.threads.len()).max(1);
    s.state
        .threads
        .saturating_sub(u32::try_from(known).unwrap_or(u32::MAX))
}

/// What a look shows of the queue that a signal waits in: `shared`, or its thread's.
pub(super) fn queue(open: &Open, leader: (u32, u64), shared: u64, sight: &Sight) -> Option<u64> {
    match open.tid {
        None => Some(shared),
        Some(tid) if tid == leader.0 => Some(leader.1),
        Some(tid) => {
            let thread = sight.threads.iter().find(|thread| thread.tid == tid)?;
            Some(thread.pending)
        }
    }
}
