//! Signals that wait, where there are too many to follow all of them.

use crate::event::{BootTime, ProcessKey};

use super::engine::Engine;
use super::open::Open;
use super::signals;
use super::verdict::Verdict;

/// Signals of one process that are followed; one is given up for a new one. Real-time
/// signals to a process that never takes them queue up.
pub(crate) const OPEN_PER_PROCESS: usize = 256;
/// From so many of all processes on, which take some 8 MB, only this many real-time ones of
/// each.
pub(crate) const OPEN_IN_ALL: usize = 4096;
pub(crate) const OPEN_OF_MANY: usize = 16;

impl Engine {
    /// No longer follows one signal of a process that has too many without an end: the oldest
    /// real-time one, of which as many may wait as RLIMIT_SIGPENDING allows. Standard signals
    /// wait once in each queue. Only threads have so many queues that one of those has to go,
    /// and then it is one for a thread: who asks a process to end is not to be hidden.
    pub(super) fn make_room(&mut self, target: ProcessKey, time: BootTime) {
        let most = if self.open.len() < OPEN_IN_ALL {
            OPEN_PER_PROCESS
        } else {
            OPEN_OF_MANY
        };
        let waiting = self.history.process(target).map(|process| &process.open);
        let Some(waiting) = waiting.filter(|waiting| waiting.len() >= most) else {
            return;
        };
        let oldest = |of: fn(&Open) -> bool| {
            let mut all = waiting.iter().copied();
            all.find(|&id| self.open.get(id).is_some_and(of))
        };
        let mut given_up = oldest(|open| open.signal.number >= signals::RTMIN);
        if waiting.len() >= OPEN_PER_PROCESS {
            let of_thread = || oldest(|open| open.tid.is_some());
            given_up = given_up.or_else(of_thread).or(waiting.first().copied());
        }
        let given_up = given_up.and_then(|id| Some((id, self.open.get(id)?.signal.number)));
        let Some((given_up, number)) = given_up else {
            return;
        };
        self.report_at_once(given_up, time);
        if self.open.remove(given_up).is_some() {
            self.give_up_one();
        }
        // If it had been taken, a delivery on its way here will be held for an equal one's.
        if let Some(process) = self.history.process_mut(target) {
            process.open.retain(|&id| id != given_up);
            process.given_up |= signals::bit(number);
        }
    }

    /// What became of a signal, if it was this one and not an equal one that is no longer
    /// followed.
    pub(super) fn unless_given_up(
        &self,
        target: ProcessKey,
        number: i32,
        verdict: Verdict,
    ) -> Verdict {
        let process = self.history.process(target);
        if process.is_some_and(|process| process.given_up & signals::bit(number) != 0) {
            verdict.but(
                "which of several equal signals this was: too many waited to follow all of them",
            )
        } else {
            verdict
        }
    }

    /// What waits in the queues of a process: of other numbers nothing does that was given up,
    /// if it was for the process or for the thread that was looked at.
    pub(super) fn still_given_up(&mut self, target: ProcessKey, pending: u64) {
        if let Some(process) = self.history.process_mut(target) {
            process.given_up &= pending;
        }
    }
}
