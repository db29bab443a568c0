//! What has happened so far: state per process and per PID namespace, made of
//! events in the order of time. It remembers and judges nothing itself: the
//! rules stand in [`crate::explain`], whose engine also writes here what became
//! of each signal ([`note::Note::fate`], [`process::Process::settle`]), which
//! one was fatal and which are open, because later deaths are explained by it.
//!
//! A process is (pid, start), never a bare pid; which starts are the same stands
//! in [`identity`]. A process may be known from anything: its fork, a look at
//! `/proc`, or a signal.
//!
//! Memory is bounded: one living process per pid; [`DEAD_KEPT`] dead and reaped
//! ones; per process [`process::NOTES`] signals it got and, for a PID 1,
//! [`process::SENT`] it sent (which of them go first: [`note::Recent::push`]);
//! [`NAMESPACES_KEPT`] ended namespaces. What was forgotten is known to be (see
//! [`note::Recent::complete_since`]).

pub mod cgroup;
pub mod filter;
pub mod hash;
pub mod identity;
pub mod looked_up;
pub mod namespace;
pub mod note;
pub mod process;

use std::collections::VecDeque;

use crate::event::{BootTime, CgroupId, Dispositions, Home, Oom, PidNs, ProcessKey, Task};
use filter::Filter;
use hash::Map;
use namespace::Namespace;
use note::Sent;
use process::{Exited, Process};

/// Dead processes that are kept after they were reaped, for a late question
/// about them.
pub const DEAD_KEPT: usize = 512;
/// Namespaces that are kept after they ended.
pub const NAMESPACES_KEPT: usize = 64;

/// Times that the kernel lacked memory which are remembered: those of a group are
/// several where they are told by its SIGKILLs.
pub const OOMS_KEPT: usize = 256;

/// The sort of events for which a program could not run: of which sort they
/// were is not known.
pub const NOT_RUN: &str = "not-run";

/// The sort of events that were not kept until it was known to which container
/// they belong.
pub const HELD: &str = "held";

/// Events of one sort that were lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss {
    /// How many so far.
    pub count: u64,
    /// When a loss was last noticed.
    pub last: Option<BootTime>,
}

/// The kernel lacked memory.
#[derive(Clone, Debug)]
pub struct NotedOom {
    /// Its event.
    pub event: u64,
    /// When.
    pub time: BootTime,
    /// Who, whom, whose limit.
    pub oom: Oom,
}

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    /// Boxed, because most of a growing table is empty.
    processes: Map<ProcessKey, Box<Process>>,
    by_pid: Map<u32, ProcessKey>,
    namespaces: Map<PidNs, Namespace>,
    cgroups: Map<CgroupId, cgroup::Members>,
    dead: VecDeque<ProcessKey>,
    ended: VecDeque<PidNs>,
    losses: Map<&'static str, Loss>,
    orphans: Vec<u64>,
    unseen_ends: u64,
    killed_unseen: u64,
    filter: Filter,
    ooms: VecDeque<NotedOom>,
    /// How many processes were looked up.
    #[cfg(test)]
    pub(crate) steps: std::sync::atomic::AtomicU64,
    /// What was looked up elsewhere.
    pub looked_up: looked_up::LookedUp,
}

impl History {
    /// A history of whom a filter names; its namespaces are never forgotten.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            ..Self::default()
        }
    }

    /// Whom the filters name.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// A further container is traced.
    pub fn trace(&mut self, home: Home) {
        self.filter.trace(home);
    }

    /// Whether what becomes of a process counts: a filter names it, or it was
    /// reached by one whom a filter names.
    pub fn counts(&self, task: &Task) -> bool {
        self.filter.names(task) || self.process(task.key).is_some_and(|p| p.reached)
    }

    /// A process by its identity.
    pub fn process(&self, key: ProcessKey) -> Option<&Process> {
        #[cfg(test)]
        self.steps
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.processes.get(&self.resolve(key)).map(Box::as_ref)
    }

    /// The same, to be changed.
    pub fn process_mut(&mut self, key: ProcessKey) -> Option<&mut Process> {
        let key = self.resolve(key);
        self.processes.get_mut(&key).map(Box::as_mut)
    }

    /// The process that has a pid of the host's, or had it last.
    pub fn with_pid(&self, pid: u32) -> Option<&Process> {
        self.process(*self.by_pid.get(&pid)?)
    }

    /// Living processes that have this pid in one of their PID namespaces.
    pub fn called(&self, pid: u32) -> impl Iterator<Item = &Process> {
        let all = self.processes.values().map(|process| &**process);
        let all = all.filter(|p| p.exit.is_none() && !p.reaped && !p.missed);
        all.filter(move |process| {
            process.task.key.pid == pid || process.task.ns_pids.contains(&pid)
        })
    }

    /// All that are kept.
    pub fn all(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().map(|process| &**process)
    }

    /// How many processes are kept.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// A pid is in use again: the end of the process before, or its reaping, was
    /// not seen.
    fn replaced(&mut self, old: ProcessKey, by: ProcessKey) {
        let Some(process) = self.processes.get(&old) else {
            return;
        };
        let first = process.task.pidns().filter(|_| process.task.is_pid1());
        if process.exit.is_some() {
            self.retire(old);
        } else {
            self.miss(old);
            self.forget(old);
        }
        if let Some(ns) = first.filter(|&ns| self.is_first(ns, old)) {
            self.over(ns, BootTime(by.start_ns));
        }
    }

    /// The end of a process was not seen. Of others than those that are traced
    /// none is to be seen.
    fn miss(&mut self, key: ProcessKey) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        self.orphans.append(&mut process.open);
        let missed = std::mem::replace(&mut process.missed, true);
        let reaped = process.reaped;
        let namespaces = process.task.namespaces.clone();
        if !missed && !reaped {
            self.leave(key, &namespaces);
            self.moved(key, None);
        }
    }

    /// No more is to be known of a process.
    fn forget(&mut self, key: ProcessKey) {
        if let Some(process) = self.processes.remove(&key) {
            let unseen = self.is_unseen(&process);
            self.unseen_ends += u64::from(unseen);
            self.killed_unseen += u64::from(unseen && is_killed(&process));
        }
    }

    fn is_unseen(&self, process: &Process) -> bool {
        let unseen = process.missed && process.exit.is_none();
        unseen && (self.filter.names(&process.task) || process.reached)
    }

    /// A process that was there before tracing began.
    pub fn snapshot(&mut self, task: &Task, dispositions: Dispositions) {
        let always = self.filter.in_cgroup(task);
        let process = self.see(task, false);
        process.dispositions = Some(dispositions);
        process.always_in_cgroup = always;
    }

    /// A process was made.
    pub fn fork(&mut self, parent: &Task, child: &Task) {
        let parent = self.resolve(parent.key);
        let always = self.filter.in_cgroup(child);
        let process = self.see(child, true);
        process.parent = Some(parent);
        process.made_by = Some(parent);
        process.always_in_cgroup = always;
    }

    /// A process is dead; false if that was known already (two threads can
    /// both be the last one, as far as a tracepoint sees).
    pub fn exit(&mut self, task: &Task, exited: Exited) -> bool {
        let process = self.see(task, true);
        if process.exit.is_some() {
            return false;
        }
        process.exit = Some(exited);
        // What was not to come any more has come after all.
        if !process.reaped && !process.missed {
            let namespaces = process.task.namespaces.clone();
            let key = process.task.key;
            self.leave(key, &namespaces);
            self.moved(key, None);
        }
        true
    }

    /// A dead process was reaped, and may be forgotten.
    pub fn reap(&mut self, key: ProcessKey, time: BootTime) {
        let key = self.resolve(key);
        let Some(process) = self.processes.get(&key) else {
            return;
        };
        if process.reaped {
            return;
        }
        let first = process.task.pidns().filter(|_| process.task.is_pid1());
        if process.exit.is_none() {
            // One that was a zombie from the start ended before tracing began.
            let zombie = process.dispositions.is_some_and(|d| d.state == b'Z');
            self.miss(key);
            if let Some(process) = self.processes.get_mut(&key).filter(|_| zombie) {
                process.missed = false;
            }
        }
        if self.by_pid.get(&key.pid) == Some(&key) {
            self.by_pid.remove(&key.pid);
        }
        self.retire(key);
        if let Some(ns) = first.filter(|ns| self.is_first(*ns, key)) {
            self.over(ns, time);
        }
    }

    /// Into the queue of those that may be forgotten.
    fn retire(&mut self, key: ProcessKey) {
        if let Some(process) = self.processes.get_mut(&key) {
            if std::mem::replace(&mut process.reaped, true) {
                return;
            }
        }
        self.dead.push_back(key);
        while self.dead.len() > DEAD_KEPT {
            let Some(old) = self.dead.pop_front() else {
                break;
            };
            self.forget(old);
        }
    }

    /// Open signals of processes whose end was not seen.
    pub fn take_orphans(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.orphans)
    }

    /// Processes whose end was to be seen, and was not.
    pub fn unseen_ends(&self) -> u64 {
        let kept = self.processes.values();
        self.unseen_ends + kept.filter(|process| self.is_unseen(process)).count() as u64
    }

    /// Of those the ones that SIGKILL was seen to kill.
    pub fn killed_unseen(&self) -> u64 {
        let kept = self.processes.values();
        let killed = kept.filter(|process| self.is_unseen(process) && is_killed(process));
        self.killed_unseen + killed.count() as u64
    }

    /// Those of whom no end is known, and the dead that nobody is known to have waited for.
    pub fn unreaped(&self) -> impl Iterator<Item = ProcessKey> + '_ {
        let all = self.processes.values();
        let there = all.filter(|p| !p.reaped && !p.missed);
        there.map(|process| process.task.key)
    }

    /// A PID 1 sent a signal to another process.
    pub fn sent(&mut self, sender: ProcessKey, sent: Sent) {
        if let Some(process) = self.process_mut(sender) {
            process.sent.push(sent, |s| s.time, |s| s.number);
        }
    }

    /// The kernel is about to kill for lack of memory.
    pub fn oom(&mut self, event: u64, time: BootTime, oom: Oom) {
        if self.ooms.len() == OOMS_KEPT {
            self.ooms.pop_front();
        }
        self.ooms.push_back(NotedOom { event, time, oom });
    }

    /// When the kernel lacked memory, newest first.
    pub fn ooms(&self) -> impl DoubleEndedIterator<Item = &NotedOom> {
        self.ooms.iter().rev()
    }

    /// Events were lost.
    pub fn lose(&mut self, kind: &'static str, count: u64, time: BootTime) {
        let loss = self.losses.entry(kind).or_default();
        loss.count += count;
        loss.last = loss.last.max(Some(time));
    }

    /// How many events of a kind were lost since a time; more than were, rather than fewer. Events for which a
    /// program could not run ([`NOT_RUN`]) and those that were not kept ([`HELD`])
    /// may be of any sort.
    pub fn lost_since(&self, kind: &str, time: BootTime) -> u64 {
        self.losses
            .iter()
            .filter(|(name, _)| **name == kind || [NOT_RUN, HELD].contains(name))
            .filter(|(_, loss)| loss.last.is_some_and(|l| l >= time))
            .map(|(_, loss)| loss.count)
            .sum()
    }

    /// Everything that was lost.
    pub fn lost(&self) -> u64 {
        self.losses.values().map(|l| l.count).sum()
    }
}

/// SIGKILL was fatal for it.
fn is_killed(process: &Process) -> bool {
    const SIGKILL: i32 = 9;
    process
        .fatal
        .as_ref()
        .is_some_and(|fatal| fatal.number == SIGKILL)
}
