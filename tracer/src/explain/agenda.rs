//! What is to be worked off, in the order of time: events that came in, and deadlines. Both
//! come nearly in order, so that nearly always the next one is put behind all others.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::event::{BootTime, Event, ProcessKey};

/// Something to be done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// An open signal is reported as it stands.
    Report(u64),
    /// One that was taken from the queue was not delivered.
    Taken(u64),
    /// One that a look found gone was not delivered.
    Gone(u64),
    /// Look at the process of an open signal.
    Look(u64),
    /// Look at a PID 1 that did not act on a request to end, which was looked
    /// at so often for that.
    Watch(ProcessKey, u8),
    /// Look at a dead PID 1 whose namespace may not be empty yet.
    Ending(ProcessKey),
    /// Look at a process that a signal was to end.
    Overdue(ProcessKey),
    /// The kill of a dead process was not seen.
    Killed(ProcessKey),
    /// A dead process was not reaped.
    Zombie(ProcessKey),
    /// A dead PID 1 waits, and whom it waits for was looked at.
    Waits(ProcessKey),
}

/// Events, by (time, id).
#[derive(Debug, Default)]
pub(super) struct Incoming(VecDeque<Event>);

impl Incoming {
    pub(super) fn push(&mut self, event: Event) {
        let key = |event: &Event| (event.time, event.id);
        let own = key(&event);
        if self.0.back().is_none_or(|last| key(last) <= own) {
            self.0.push_back(event);
        } else {
            let at = self.0.partition_point(|other| key(other) <= own);
            self.0.insert(at, event);
        }
    }

    /// When the next one was.
    pub(super) fn next(&self) -> Option<BootTime> {
        self.0.front().map(|event| event.time)
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

type Due = (BootTime, Deadline);

/// So many lengths of time have a lane of their own; there are no more.
const LANES: usize = 16;

/// Deadlines, by time and what is due.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Those that are due so long after their moment: moments come in order, and so they do.
    lanes: Vec<(u64, VecDeque<Due>)>,
    /// The others.
    rest: BinaryHeap<Reverse<Due>>,
    /// The next of all, and the number of its lane, or [`REST`].
    next: Option<(Due, usize)>,
}

/// In place of a lane's number: the rest.
const REST: usize = usize::MAX;

impl Deadlines {
    /// `what` is due `after_ns` after `time`.
    pub(super) fn push(&mut self, time: BootTime, after_ns: u64, what: Deadline) {
        let due = (later(time, after_ns), what);
        let at = self.lane_for(after_ns, due);
        match self.lanes.get_mut(at) {
            Some((_, lane)) => lane.push_back(due),
            None => self.rest.push(Reverse(due)),
        }
        if self.next.is_none_or(|(next, _)| due < next) {
            self.next = Some((due, at));
        }
    }

    /// The number of the lane that takes this one, which is made if it is the first of its
    /// length; [`REST`]: none does.
    fn lane_for(&mut self, after_ns: u64, due: Due) -> usize {
        let Some(at) = self.lanes.iter().position(|(of, _)| *of == after_ns) else {
            if self.lanes.len() == LANES {
                return REST;
            }
            self.lanes.push((after_ns, VecDeque::new()));
            return self.lanes.len() - 1;
        };
        let last = self.lanes[at].1.back();
        match last.is_none_or(|last| *last <= due) {
            true => at,
            false => REST,
        }
    }

    /// The next one.
    pub(super) fn next(&self) -> Option<Due> {
        self.next.map(|(due, _)| due)
    }

    /// Takes it.
    pub(super) fn pop(&mut self) -> Option<Due> {
        let (due, at) = self.next?;
        match self.lanes.get_mut(at) {
            Some((_, lane)) => drop(lane.pop_front()),
            None => drop(self.rest.pop()),
        }
        let lanes = self.lanes.iter().enumerate();
        let firsts = lanes.filter_map(|(at, (_, lane))| Some((*lane.front()?, at)));
        let rest = self.rest.peek().map(|&Reverse(due)| (due, REST));
        self.next = firsts.chain(rest).min();
        Some(due)
    }
}

pub(super) fn later(time: BootTime, by_ns: u64) -> BootTime {
    BootTime(time.0.saturating_add(by_ns))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Fact;

    proptest! {
        #[test]
        fn events_come_out_in_order(times in prop::collection::vec(0..50u64, 0..200)) {
            let mut incoming = Incoming::default();
            let mut all = Vec::new();
            for (id, &time) in times.iter().enumerate() {
                let (id, time) = (id as u64, BootTime(time));
                all.push((time, id));
                incoming.push(Event { id, time, fact: Fact::NotLookedAt(1) });
            }
            all.sort_unstable();
            prop_assert_eq!(incoming.next(), all.first().map(|&(time, _)| time));
            prop_assert_eq!(incoming.len(), all.len());
            let out = std::iter::from_fn(|| incoming.pop()).map(|event| (event.time, event.id));
            prop_assert_eq!(out.collect::<Vec<_>>(), all);
        }

        /// Whatever is put in and taken out meanwhile: as from one heap.
        #[test]
        fn deadlines_come_out_in_order(
            steps in prop::collection::vec((0..40u64, 0..20u64, any::<bool>()), 0..300),
        ) {
            let mut deadlines = Deadlines::default();
            let mut all = BinaryHeap::new();
            for (id, (time, after, takes)) in steps.into_iter().enumerate() {
                let what = match id % 3 {
                    0 => Deadline::Look(id as u64),
                    _ => Deadline::Report(id as u64),
                };
                deadlines.push(BootTime(time), after, what);
                all.push(Reverse((BootTime(time + after), what)));
                prop_assert_eq!(deadlines.next(), all.peek().map(|due| due.0));
                if takes {
                    prop_assert_eq!(deadlines.pop(), all.pop().map(|due| due.0));
                }
            }
            while let Some(Reverse(due)) = all.pop() {
                prop_assert_eq!(deadlines.next(), Some(due));
                prop_assert_eq!(deadlines.pop(), Some(due));
            }
            prop_assert_eq!(deadlines.pop(), None);
        }
    }
}
