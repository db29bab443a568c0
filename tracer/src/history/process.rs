//! What is known of one process.

use std::sync::Arc;

use crate::event::{
    BootTime, Comm, Detail, Dispositions, Fault, ProcessKey, Quotas, Resumed, Sight, Signal, Task,
};

use super::note::{Fate, Note, Recent, Sent};

/// Signals that a process got which are remembered.
pub const NOTES: usize = 24;
/// Signals that a PID 1 sent which are remembered.
pub const SENT: usize = 64;

/// Readings of CPU quotas that are remembered.
pub const READINGS: usize = 8;

/// The first signal that was fatal for a process.
#[derive(Clone, Debug)]
pub struct Fatal {
    /// Its generation, or its delivery where that is all that was seen.
    pub event: u64,
    /// When that was.
    pub time: BootTime,
    /// Which signal.
    pub number: i32,
    /// The signal; `None` if only its delivery was seen.
    pub signal: Option<Arc<Signal>>,
    /// Of one whose delivery alone was seen: a debugger may have given it.
    pub perhaps_given: bool,
}

/// A request to end that was thrown away for want of a handler.
#[derive(Clone, Debug)]
pub struct Early {
    /// Its event.
    pub event: u64,
    /// When it came.
    pub time: BootTime,
    /// The signal.
    pub signal: Arc<Signal>,
    /// What was said of it: at once, or when it was taken.
    pub fate: Fate,
}

/// A signal that a debugger gave a thread to go on with.
#[derive(Clone, Debug)]
pub struct Given {
    /// The debugger's request.
    pub event: u64,
    /// When that was.
    pub time: BootTime,
    /// Which signal.
    pub number: i32,
    /// The request.
    pub by: Arc<Resumed>,
}

/// Faults of a process that are remembered: its threads may come to one at once.
pub const FAULTS: usize = 4;

/// Where a process faulted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedFault {
    /// Its event.
    pub event: u64,
    /// Where.
    pub fault: Fault,
    /// The function's name, the place in it, and in the source.
    pub function: Option<(Arc<str>, u64, Option<Arc<str>>)>,
}

/// A fault that a handler took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Its signal.
    pub signal: Arc<Signal>,
    /// When that was generated.
    pub time: BootTime,
    /// When its handler began.
    pub handled: BootTime,
    /// Where it was; its event is the signal's.
    pub place: NotedFault,
    /// The process had outlived others before.
    pub again: bool,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Its event.
    pub event: u64,
    /// When.
    pub time: BootTime,
    /// In the format of wait(2).
    pub status: i32,
    /// `SIGNAL_*` at that moment.
    pub signal_flags: u32,
    /// The system call that it was in, if the kernel ended it on the spot.
    pub call: Detail,
}

/// A child that a signal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostChild {
    /// Which.
    pub key: ProcessKey,
    /// Its name.
    pub comm: Comm,
    /// The signal.
    pub number: i32,
    /// The event of its death.
    pub event: u64,
    /// When that was.
    pub time: BootTime,
    /// Its parent was seen to reap it.
    pub waited_for: bool,
}

/// One process, from the first fact about it to its reaping.
#[derive(Clone, Debug)]
pub struct Process {
    /// As it was last seen.
    pub task: Task,
    /// Whether its start time is exact: `/proc` rounds to 10 ms.
    pub exact: bool,
    /// Who forked it, where that was seen.
    pub made_by: Option<ProcessKey>,
    /// Its parent: who forked it, and once it has exited, whose child it was
    /// then.
    pub parent: Option<ProcessKey>,
    /// Its dispositions when they were last looked at.
    pub dispositions: Option<Dispositions>,
    /// When it was last looked at, whatever that found.
    pub last_look: BootTime,
    /// The event and the time of the first look that found the handlers that it
    /// has; `None` for those it had at the start.
    pub looked: Option<(u64, BootTime)>,
    /// It is looked at now and then, because it did not act on a request to end.
    pub watched: bool,
    /// Requests to end that came before their handler, as far as is known.
    pub early: Vec<Early>,
    /// Its state at the last look, and what kept it.
    pub sight: Option<(u8, Arc<Sight>)>,
    /// Signals that it got.
    pub notes: Recent<Note>,
    /// Signals that it sent; kept for a PID 1 only.
    pub sent: Recent<Sent>,
    /// Its CPU quotas when it was asked to end, and when it was killed; and the events.
    pub quotas: Recent<(u64, Quotas)>,
    /// Ids of its signals that have no end yet, oldest first.
    pub open: Vec<u64>,
    /// The numbers of those that wait and are no longer followed, as a set: there are too many.
    pub given_up: u64,
    /// What kills it: the first fatal signal wins.
    pub fatal: Option<Fatal>,
    /// A SIGKILL that ended its core dump: of `fatal` it was dying already.
    pub dump_ended: Option<Fatal>,
    /// Where its threads last faulted, the newest last; [`FAULTS`] at most.
    pub faults: Vec<NotedFault>,
    /// The last fault of its that a handler took.
    pub crash: Option<Box<Crash>>,
    /// What its debugger gave one of its threads last, which has not acted on it yet.
    pub given: Option<Given>,
    /// It was reported to be there still a while after that.
    pub overdue: bool,
    /// How many others lived in its container when `fatal` came, if it led that.
    pub others: Option<u64>,
    /// The last of its children that a signal ended.
    pub lost_child: Option<LostChild>,
    /// It began to exit as a whole (`do_group_exit`), with this status.
    pub exiting: Option<Exited>,
    /// It is dead.
    pub exit: Option<Exited>,
    /// Its end names a signal that may still be seen.
    pub awaits_kill: bool,
    /// The kernel ended it on the spot, without a signal: the cause.
    pub on_the_spot: Option<&'static str>,
    /// Its parent waited for it.
    pub reaped: bool,
    /// Its end was to be seen and was not, as far as is known.
    pub missed: bool,
    /// A process that a filter names sent it a signal that was not dropped: what
    /// becomes of it counts too.
    pub reached: bool,
    /// It was in a cgroup that is filtered by when it was first seen, at its
    /// birth or at the begin of the trace.
    pub always_in_cgroup: bool,
    /// A zombie was reported.
    pub zombie_reported: bool,
}

impl Process {
    /// One of its threads has faulted.
    pub fn faulted(&mut self, noted: NotedFault) {
        self.faults
            .retain(|old| old.fault.task.tid != noted.fault.task.tid);
        if self.faults.len() == FAULTS {
            self.faults.remove(0);
        }
        self.faults.push(noted);
    }

    /// One of which nothing is known yet.
    pub fn new(task: Task, exact: bool) -> Self {
        Self {
            task,
            exact,
            made_by: None,
            parent: None,
            dispositions: None,
            last_look: BootTime::default(),
            looked: None,
            watched: false,
            early: Vec::new(),
            sight: None,
            notes: Recent::new(NOTES),
            sent: Recent::new(SENT),
            quotas: Recent::new(READINGS),
            given_up: 0,
            open: Vec::new(),
            fatal: None,
            dump_ended: None,
            given: None,
            others: None,
            lost_child: None,
            awaits_kill: false,
            on_the_spot: None,
            faults: Vec::new(),
            crash: None,
            overdue: false,
            exiting: None,
            exit: None,
            reaped: false,
            missed: false,
            reached: false,
            always_in_cgroup: false,
            zombie_reported: false,
        }
    }

    /// Remembers a signal. A flood of one kind does not push the others out.
    pub fn note(&mut self, note: Note) {
        let by = |note: &Note| note.sender.as_ref().map(|by| by.key);
        self.notes.make_room(
            |n| n.number == note.number && by(n) == by(&note),
            |a, b| (a.fate, a.reason, a.stop) == (b.fate, b.reason, b.stop) && !b.fate.interim(),
        );
        let own = self.task.key.pid;
        let kind = |n: &Note| (n.kind(), by(n).is_some_and(|by| by.pid == own));
        self.notes.push(note, |n| n.time, kind);
    }

    /// What became of a remembered signal, and when, if that is known.
    pub fn settle(
        &mut self,
        event: u64,
        fate: Fate,
        reason: Option<&'static str>,
        time: Option<BootTime>,
    ) {
        if let Some(note) = self.notes.iter_mut().rev().find(|n| n.event == event) {
            // Of a signal that waited to the last, it counts what for.
            if fate == Fate::DiedFirst {
                return;
            }
            note.fate = fate;
            note.reason = reason;
            if !fate.interim() {
                note.settled = time;
            }
        }
    }

    /// A remembered signal was taken from the queue; what became of it is not
    /// known yet.
    pub fn took(&mut self, event: u64, time: BootTime) {
        if let Some(note) = self.notes.iter_mut().rev().find(|n| n.event == event) {
            note.settled = Some(time);
        }
    }
}
