//! What is remembered of a signal once it has been reported: enough to say
//! later who sent what to whom and what became of it, in a bounded list.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{Ancestor, BootTime, CgroupId, Comm, Levels, Origin, ProcessKey, Signal};

/// What became of a signal; the ids are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// No handler will ever run for it.
    Dropped,
    /// Was pending already.
    Coalesced,
    /// The queue was full.
    Rejected,
    /// Kills the process.
    Fatal,
    /// A handler runs.
    Handled,
    /// Taken from the queue on purpose, without a handler.
    Accepted,
    /// The process stopped.
    Stopped,
    /// The process goes on.
    Continued,
    /// Waits because every thread blocks it.
    Blocked,
    /// Waits although it is not blocked.
    Pending,
    /// Thrown away after it was queued.
    Discarded,
    /// Removed by its opposite (SIGCONT against a stop and the reverse).
    Cancelled,
    /// A debugger decided.
    Swallowed,
    /// Still pending when the process died.
    DiedFirst,
    /// The system call failed; there was no signal.
    Refused,
    /// Cannot be told.
    Unknown,
}

impl Fate {
    /// The id that is reported.
    pub fn id(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Coalesced => "coalesced",
            Self::Rejected => "rejected",
            Self::Fatal => "fatal",
            Self::Handled => "handled",
            Self::Accepted => "accepted",
            Self::Stopped => "stopped",
            Self::Continued => "continued",
            Self::Blocked => "blocked",
            Self::Pending => "pending",
            Self::Discarded => "discarded",
            Self::Cancelled => "cancelled",
            Self::Swallowed => "swallowed",
            Self::DiedFirst => "died_first",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the signal may still move on.
    pub fn interim(self) -> bool {
        matches!(self, Self::Blocked | Self::Pending)
    }
}

/// A process that sent a signal, with those behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedSender {
    /// Which.
    pub key: ProcessKey,
    /// Its name.
    pub comm: Comm,
    /// Pid of its parent.
    pub ppid: u32,
    /// The nested PID namespaces it has a pid in.
    pub namespaces: Levels,
    /// The container that it is in, where that shares its PID namespace.
    pub cgroup: Option<CgroupId>,
    /// Its parents, nearest first; empty for routine signals.
    pub ancestry: Vec<Ancestor>,
    /// There are more behind the last of these.
    pub more_ancestors: bool,
    /// Where it comes from, if the target is elsewhere.
    pub origin: Option<Arc<Origin>>,
    /// Where the target is, if the sender reached into that from another container, or
    /// from the host's PID 1.
    pub into: Option<Arc<Origin>>,
}

impl NotedSender {
    /// The task that ran when a signal was generated.
    pub fn of(signal: &Signal) -> Self {
        let by = &signal.current;
        Self {
            key: by.key,
            comm: by.comm,
            ppid: by.ppid,
            namespaces: by.namespaces.clone(),
            cgroup: by.cgroup,
            ancestry: signal.ancestry.clone(),
            more_ancestors: signal.more_ancestors,
            origin: signal.places.elsewhere().cloned(),
            into: signal.places.reached(by.key.pid == 1).cloned(),
        }
    }
}

/// A signal that a process got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its event.
    pub event: u64,
    /// When it was generated.
    pub time: BootTime,
    /// Which signal.
    pub number: i32,
    /// What became of it, so far, as the rules judge.
    pub fate: Fate,
    /// Why, where the fate has a reason.
    pub reason: Option<&'static str>,
    /// The process that sent it; `None` if none did, or if not known.
    pub sender: Option<NotedSender>,
    /// Its delivery alone was seen: who sent it is not known.
    pub unsent: bool,
    /// A container runtime sent it to a PID 1 to stop the container.
    pub stop: bool,
    /// When its fate was settled, or it was taken from the queue to be; `None`: it was
    /// not, or only a later look showed it.
    pub settled: Option<BootTime>,
}

impl Note {
    /// For [`Recent::push`]: the last of each of these is remembered.
    pub fn kind(&self) -> (i32, bool, bool) {
        (self.number, self.stop, self.acted_on())
    }

    /// Whether the process acted on it and went on.
    pub fn acted_on(&self) -> bool {
        matches!(self.fate, Fate::Handled | Fate::Accepted)
    }
}

/// A signal that a process sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its event.
    pub event: u64,
    /// When.
    pub time: BootTime,
    /// Which signal.
    pub number: i32,
    /// To whom.
    pub target: ProcessKey,
}

/// The newest entries of a list; tells up to which time some were forgotten,
/// so that nothing is concluded from their absence.
#[derive(Clone, Debug)]
pub struct Recent<T> {
    entries: VecDeque<T>,
    limit: usize,
    forgotten: Option<BootTime>,
    /// The same of the last of a kind.
    kind_forgotten: Option<BootTime>,
}

impl<T> Recent<T> {
    /// Keeps at most `limit` entries.
    pub fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            limit,
            forgotten: None,
            kind_forgotten: None,
        }
    }

    /// Where there is no more room: of entries like the next one the last goes, if
    /// one before it says the same. What is remembered of them is then the first, and
    /// the next.
    pub fn make_room(&mut self, like: impl Fn(&T) -> bool, same: impl Fn(&T, &T) -> bool) {
        if self.entries.len() < self.limit {
            return;
        }
        let mut alike = self.entries.iter().enumerate().rev();
        let mut alike = alike.by_ref().filter(|(_, entry)| like(entry));
        let (Some((at, last)), Some((_, before))) = (alike.next(), alike.next()) else {
            return;
        };
        if same(before, last) {
            self.entries.remove(at);
        }
    }

    /// Adds one. Where there is no more room the oldest goes that is not the last of its
    /// kind, so that no flood of one kind pushes out the others, else the oldest: `time_of`
    /// tells its time, `kind_of` the kind of each.
    pub fn push<Kind: PartialEq>(
        &mut self,
        entry: T,
        time_of: impl Fn(&T) -> BootTime,
        kind_of: impl Fn(&T) -> Kind,
    ) {
        self.entries.push_back(entry);
        if self.entries.len() <= self.limit {
            return;
        }
        // In a flood that is the first of all.
        let again = |at: &usize| {
            let kind = kind_of(&self.entries[*at]);
            self.entries.range(at + 1..).any(|e| kind_of(e) == kind)
        };
        let oldest = (0..self.entries.len()).find(again);
        if let Some(old) = self.entries.remove(oldest.unwrap_or(0)) {
            let time = Some(time_of(&old));
            self.forgotten = self.forgotten.max(time);
            if oldest.is_none() {
                self.kind_forgotten = self.kind_forgotten.max(time);
            }
        }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.entries.iter()
    }

    /// Oldest first, to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.entries.iter_mut()
    }

    /// Whether every entry from `time` on is still there.
    pub fn complete_since(&self, time: BootTime) -> bool {
        self.forgotten.is_none_or(|f| f < time)
    }

    /// Whether of every kind the last entry from `time` on is still there: of a kind of which
    /// there is none there was none.
    pub fn has_all_kinds_since(&self, time: BootTime) -> bool {
        self.kind_forgotten.is_none_or(|f| f < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(limit: usize, entries: &[(u64, char)]) -> Recent<(u64, char)> {
        let mut recent = Recent::new(limit);
        for &entry in entries {
            recent.push(entry, |&(time, _)| BootTime(time), |&(_, kind)| kind);
        }
        recent
    }

    fn kept(recent: &Recent<(u64, char)>) -> Vec<u64> {
        recent.iter().map(|&(time, _)| time).collect()
    }

    #[test]
    fn the_last_of_each_kind_stays() {
        let flood = recent(3, &[(1, 'a'), (2, 'b'), (3, 'b'), (4, 'b'), (5, 'b')]);
        assert_eq!(kept(&flood), [1, 4, 5]);
        assert!(!flood.complete_since(BootTime(3)) && flood.complete_since(BootTime(4)));
        assert!(flood.has_all_kinds_since(BootTime(0)));
        // The new one is one of its kind, too.
        let again = recent(3, &[(1, 'a'), (2, 'b'), (3, 'c'), (4, 'b')]);
        assert_eq!(kept(&again), [1, 3, 4]);
    }

    #[test]
    fn of_too_many_kinds_the_oldest_goes() {
        let all = recent(2, &[(1, 'a'), (2, 'b'), (3, 'c')]);
        assert_eq!(kept(&all), [2, 3]);
        assert!(!all.has_all_kinds_since(BootTime(1)) && all.has_all_kinds_since(BootTime(2)));
        assert_eq!(kept(&recent(1, &[(1, 'a'), (2, 'a'), (3, 'b')])), [3]);
    }
}
