//! Signals that were queued and have no end yet, and how a later event is
//! matched to one of them.

use std::sync::Arc;

use crate::event::{BootTime, ProcessKey, Sight, Signal};
use crate::history::hash::Map;

/// A signal without an end.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// Its event.
    pub(crate) id: u64,
    /// When it was generated.
    pub(crate) time: BootTime,
    /// All of it.
    pub(crate) signal: Arc<Signal>,
    /// Its target, as the history keeps it.
    pub(crate) target: ProcessKey,
    /// The thread it is for, if for one; an exec can change it.
    pub(crate) tid: Option<u32>,
    /// It was reported as it stood.
    pub(crate) reported: bool,
    /// Taken from the queue by an unnamed function: event and time.
    pub(crate) taken: Option<(u64, BootTime)>,
    /// Taken by `get_signal` of a thread: event, time and tid. A delivery
    /// follows at once, or a debugger decides.
    pub(crate) got: Option<(u64, BootTime, u32)>,
    /// Seen gone by a look: event, time, and whether it is ignored now.
    pub(crate) gone: Option<(u64, BootTime, bool)>,
    /// How often it was looked at.
    pub(crate) looks: u8,
    /// What the first look saw.
    pub(crate) first: Option<Arc<Sight>>,
    /// State letter at the last look, and what kept its process.
    pub(crate) seen: Option<(u8, Arc<Sight>)>,
}

impl Open {
    /// One that nothing has become of.
    pub(crate) fn new(id: u64, time: BootTime, signal: Arc<Signal>, target: ProcessKey) -> Self {
        Self {
            id,
            time,
            tid: (!signal.to_process).then_some(signal.target.tid),
            signal,
            target,
            reported: false,
            taken: None,
            got: None,
            gone: None,
            looks: 0,
            first: None,
            seen: None,
        }
    }

    /// Whether a look found it gone and ignored.
    pub(crate) fn flushed(&self) -> bool {
        self.gone.is_some_and(|(.., flushed)| flushed)
    }

    /// Whether a thread can take it.
    fn can_be_taken_by(&self, tid: u32, number: i32) -> bool {
        self.signal.number == number && self.tid.is_none_or(|t| t == tid)
    }
}

/// All of them, by id.
#[derive(Debug, Default)]
pub(crate) struct OpenSignals {
    by_id: Map<u64, Open>,
}

impl OpenSignals {
    pub(crate) fn insert(&mut self, open: Open) {
        self.by_id.insert(open.id, open);
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Open> {
        self.by_id.remove(&id)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Open> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Open> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// The one that a thread's `get_signal` has taken and not yet delivered.
    pub(crate) fn got_by(&self, candidates: &[u64], tid: u32) -> Option<u64> {
        let got = |id: &&u64| {
            let open = self.by_id.get(id);
            open.and_then(|o| o.got).is_some_and(|(_, _, t)| t == tid)
        };
        candidates.iter().find(got).copied()
    }

    /// Whether the one at this place is the last of its kind in its queue: the others
    /// are taken before it.
    pub(crate) fn is_last_of_queue(&self, candidates: &[u64], at: usize) -> bool {
        let kind = |id: &u64| {
            let open = self.by_id.get(id)?;
            Some((open.signal.number, open.tid))
        };
        let own = kind(&candidates[at]);
        candidates[at + 1..].iter().all(|id| kind(id) != own)
    }

    /// The one that a thread takes: its own queue comes before the process's
    /// (`dequeue_signal`), and each is served in order.
    pub(crate) fn taken(&self, candidates: &[u64], tid: u32, number: i32) -> Option<u64> {
        let fits = |id: &&u64| {
            self.by_id
                .get(id)
                .is_some_and(|o| o.got.is_none() && o.can_be_taken_by(tid, number))
        };
        let own = |id: &&u64| self.by_id.get(id).is_some_and(|o| o.tid.is_some());
        candidates
            .iter()
            .filter(fits)
            .find(own)
            .or_else(|| candidates.iter().find(fits))
            .copied()
    }
}
