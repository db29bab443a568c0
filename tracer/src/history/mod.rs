//! What has happened so far: state per process and per PID namespace, made of
//! events in the order of time. It remembers and judges nothing itself: the
//! rules stand in [`crate::explain`], whose engine also writes here what became
//! of each signal ([`note::Note::fate`], [`process::Process::settle`]), which
//! one was fatal and which are open, because later deaths are explained by it.
//!
//! A process is (pid, start), never a bare pid. Facts from `/proc` have a start
//! rounded to the clock tick, so a start within [`SAME_START_NS`] of the same
//! pid's is the same process; the exact one replaces it. A process may be known
//! from anything: its fork, a look at `/proc`, or a signal.
//!
//! Memory is bounded: one living process per pid; [`DEAD_KEPT`] dead and reaped
//! ones; per process the last [`process::NOTES`] signals it got and, for a
//! PID 1, the last [`process::SENT`] it sent; [`NAMESPACES_KEPT`] ended
//! namespaces. What was forgotten is known to be (see
//! [`note::Recent::complete_since`]).

pub mod filter;
pub mod hash;
pub mod looked_up;
pub mod note;
pub mod process;

use std::collections::VecDeque;

use crate::event::{BootTime, Dispositions, PidNs, ProcessKey, Task};
use filter::Filter;
use hash::Map;
use note::Sent;
use process::{Exited, Process};

/// Starts that differ by less are the same process, if one of them is from
/// `/proc/PID/stat`, which counts in ticks ([`TICK_NS`]). Two exact ones are not:
/// whoever restores processes chooses their pids, and at once.
pub const SAME_START_NS: u64 = 20_000_000;
/// Length of a tick (`USER_HZ` is 100 on every Linux).
pub const TICK_NS: u64 = 10_000_000;
/// Dead processes that are kept after they were reaped, for a late question
/// about them.
pub const DEAD_KEPT: usize = 1024;
/// Namespaces that are kept after they ended.
pub const NAMESPACES_KEPT: usize = 64;

/// The sort of events for which a program could not run: of which sort they
/// were is not known.
pub const NOT_RUN: &str = "not-run";

/// The sort of events that were not kept until it was known to which container
/// they belong.
pub const HELD: &str = "held";

/// One PID namespace.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Its PID 1.
    pub pid1: Option<ProcessKey>,
    /// Known processes in it, nested namespaces included, that are not dead.
    pub alive: usize,
    /// The kernel began to kill everything in it: event and time.
    pub zap: Option<(u64, BootTime)>,
    /// PID 1 is dead.
    pub pid1_dead: bool,
    /// Nothing in it is left, as the kernel says.
    pub gone: bool,
    /// Its members' ends were not seen, and count as such already.
    missed: bool,
    /// Who started before was in another namespace with the same inode; 0 if
    /// none is known.
    pub born_ns: u64,
}

/// Events of one sort that were lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss {
    /// How many so far.
    pub count: u64,
    /// When a loss was last noticed.
    pub last: Option<BootTime>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    processes: Map<ProcessKey, Process>,
    by_pid: Map<u32, ProcessKey>,
    namespaces: Map<PidNs, Namespace>,
    dead: VecDeque<ProcessKey>,
    ended: VecDeque<PidNs>,
    losses: Map<&'static str, Loss>,
    orphans: Vec<u64>,
    unseen_ends: u64,
    filter: Filter,
    /// What was looked up elsewhere.
    pub looked_up: looked_up::LookedUp,
}

fn same_start(known: u64, other: u64) -> bool {
    let rounded = known.is_multiple_of(TICK_NS) || other.is_multiple_of(TICK_NS);
    rounded && known.abs_diff(other) < SAME_START_NS
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

    /// A further namespace is traced.
    pub fn trace(&mut self, ns: PidNs) {
        self.filter.namespaces.insert(ns);
    }

    /// Whether what becomes of a process counts: a filter names it, or it was
    /// reached by one whom a filter names.
    pub fn counts(&self, task: &Task) -> bool {
        self.filter.names(task) || self.process(task.key).is_some_and(|p| p.reached)
    }

    /// The key under which a process is kept.
    pub fn resolve(&self, key: ProcessKey) -> ProcessKey {
        if self.processes.contains_key(&key) {
            return key;
        }
        match self.by_pid.get(&key.pid) {
            Some(&known) if same_start(known.start_ns, key.start_ns) => known,
            _ => key,
        }
    }

    /// A process by its identity.
    pub fn process(&self, key: ProcessKey) -> Option<&Process> {
        self.processes.get(&self.resolve(key))
    }

    /// The same, to be changed.
    pub fn process_mut(&mut self, key: ProcessKey) -> Option<&mut Process> {
        let key = self.resolve(key);
        self.processes.get_mut(&key)
    }

    /// A namespace.
    pub fn namespace(&self, ns: PidNs) -> Option<&Namespace> {
        self.namespaces.get(&ns)
    }

    /// Known processes that live in a namespace, the dead included.
    pub fn members(&self, ns: PidNs) -> impl Iterator<Item = &Process> {
        let all = self.processes.values();
        all.filter(move |p| p.task.namespaces.contains(&ns))
    }

    /// PID 1 of a namespace.
    pub fn pid1(&self, ns: PidNs) -> Option<&Process> {
        self.process(self.namespaces.get(&ns)?.pid1?)
    }

    /// How many processes are kept.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// A fact names a process: it is known from now on.
    pub fn see(&mut self, task: &Task, exact: bool) -> &mut Process {
        let known = self.resolve(task.key);
        if exact && known != task.key && self.processes.get(&known).is_some_and(|p| !p.exact) {
            self.rekey(known, task.key);
        }
        let key = self.resolve(task.key);
        if !self.processes.contains_key(&key) {
            self.insert(key, task, exact);
        }
        let process = self.processes.get_mut(&key).expect("it was just put there");
        if exact && process.exit.is_none() {
            process.exact = true;
            process.task.comm = task.comm;
            process.task.uid = task.uid;
            process.task.ppid = task.ppid;
            process.task.cgroup_id = task.cgroup_id;
            process.task.in_cgroup = task.in_cgroup;
        }
        process
    }

    fn insert(&mut self, key: ProcessKey, task: &Task, exact: bool) {
        if let Some(old) = self.by_pid.insert(key.pid, key) {
            self.replaced(old);
        }
        let mut task = task.clone();
        task.key = key;
        let own = task.pidns().filter(|_| task.is_pid1());
        if let Some(ns) = own {
            self.renew(ns, key);
        }
        for &ns in &task.namespaces {
            self.namespaces.entry(ns).or_default().alive += 1;
        }
        if let Some(ns) = own {
            self.namespaces.entry(ns).or_default().pid1 = Some(key);
        }
        self.processes.insert(key, Process::new(task, exact));
    }

    /// A PID 1 that was not known joins a namespace: if that has ended, the kernel
    /// has given its inode to a new one.
    fn renew(&mut self, ns: PidNs, pid1: ProcessKey) {
        let Some(namespace) = self.namespaces.get_mut(&ns) else {
            return;
        };
        if !(namespace.pid1_dead || namespace.gone || namespace.zap.is_some()) {
            return;
        }
        *namespace = Namespace {
            born_ns: pid1.start_ns,
            ..Namespace::default()
        };
        self.ended.retain(|&ended| ended != ns);
    }

    /// A pid is in use again: the end of the process before, or its reaping, was
    /// not seen.
    fn replaced(&mut self, old: ProcessKey) {
        let Some(process) = self.processes.get_mut(&old) else {
            return;
        };
        if process.exit.is_some() {
            self.retire(old);
            return;
        }
        self.orphans.append(&mut process.open);
        let Some(process) = self.processes.remove(&old) else {
            return;
        };
        self.miss(&process);
        if !process.reaped {
            self.leave(old, &process.task.namespaces);
        }
    }

    /// The end of a process was not seen. Of others than those that are traced
    /// none is to be seen, and of a namespace that is gone they are counted.
    fn miss(&mut self, process: &Process) {
        let missed = |ns| self.namespaces.get(ns).is_some_and(|n| n.missed);
        let traced = self.filter.names(&process.task) || process.reached;
        if traced && !process.task.namespaces.iter().any(missed) {
            self.unseen_ends += 1;
        }
    }

    /// A start that was rounded becomes exact.
    fn rekey(&mut self, old: ProcessKey, new: ProcessKey) {
        let Some(mut process) = self.processes.remove(&old) else {
            return;
        };
        process.task.key = new;
        process.exact = true;
        for ns in &process.task.namespaces {
            if let Some(ns) = self.namespaces.get_mut(ns) {
                if ns.pid1 == Some(old) {
                    ns.pid1 = Some(new);
                }
            }
        }
        self.by_pid.insert(new.pid, new);
        self.processes.insert(new, process);
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
        if !process.reaped {
            let namespaces = process.task.namespaces.clone();
            let key = process.task.key;
            self.leave(key, &namespaces);
        }
        true
    }

    fn leave(&mut self, key: ProcessKey, namespaces: &[PidNs]) {
        for ns in namespaces {
            let Some(namespace) = self.namespaces.get_mut(ns) else {
                continue;
            };
            if key.start_ns < namespace.born_ns {
                continue;
            }
            namespace.alive = namespace.alive.saturating_sub(1);
            if namespace.pid1 == Some(key) {
                namespace.pid1_dead = true;
            }
            if namespace.alive == 0 {
                self.ended.push_back(*ns);
            }
        }
        while self.ended.len() > NAMESPACES_KEPT {
            let Some(ns) = self.ended.pop_front() else {
                break;
            };
            let empty = self.namespaces.get(&ns).is_some_and(|n| n.alive == 0);
            if empty && !self.filter.namespaces.contains(&ns) {
                self.namespaces.remove(&ns);
            }
        }
    }

    /// A dead process was reaped, and may be forgotten.
    pub fn reap(&mut self, key: ProcessKey) {
        let key = self.resolve(key);
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        if process.reaped {
            return;
        }
        if process.exit.is_none() {
            // One that was a zombie from the start ended before tracing began.
            let zombie = process.dispositions.is_some_and(|d| d.state == b'Z');
            self.orphans.append(&mut process.open);
            let process = process.clone();
            if !zombie {
                self.miss(&process);
            }
            self.leave(key, &process.task.namespaces);
        }
        if self.by_pid.get(&key.pid) == Some(&key) {
            self.by_pid.remove(&key.pid);
        }
        self.retire(key);
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
            self.processes.remove(&old);
        }
    }

    /// Open signals of processes whose end was not seen.
    pub fn take_orphans(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.orphans)
    }

    /// Processes whose end was to be seen, and was not.
    pub fn unseen_ends(&self) -> u64 {
        self.unseen_ends
    }

    /// The kernel began to kill everything in a namespace.
    pub fn zap(&mut self, task: &Task, ns: PidNs, event: u64, time: BootTime) {
        self.see(task, true);
        let key = self.resolve(task.key);
        let namespace = self.namespaces.entry(ns).or_default();
        namespace.zap = Some((event, time));
        if task.is_pid1() {
            namespace.pid1 = Some(key);
        }
    }

    /// A namespace is gone.
    pub fn namespace_gone(&mut self, ns: PidNs) {
        let namespace = self.namespaces.entry(ns).or_default();
        if !namespace.gone && !namespace.pid1_dead {
            // It had a PID 1 at least, whether that was ever seen or not.
            self.unseen_ends += namespace.alive.max(1) as u64;
            namespace.missed = true;
        }
        namespace.gone = true;
    }

    /// Whether a namespace has ended.
    pub fn ended(&self, ns: PidNs) -> bool {
        self.namespaces
            .get(&ns)
            .is_some_and(|n| n.gone || (n.pid1_dead && n.alive == 0))
    }

    /// A PID 1 sent a signal to another process.
    pub fn sent(&mut self, sender: ProcessKey, sent: Sent) {
        if let Some(process) = self.process_mut(sender) {
            process.sent.push(sent, |s| s.time);
        }
    }

    /// Events were lost.
    pub fn lose(&mut self, kind: &'static str, count: u64, time: BootTime) {
        let loss = self.losses.entry(kind).or_default();
        loss.count += count;
        loss.last = loss.last.max(Some(time));
    }

    /// How many events of a sort (by the beginning of its name) were lost
    /// since a time; more than were, rather than fewer. Events for which a
    /// program could not run ([`NOT_RUN`]) and those that were not kept ([`HELD`])
    /// may be of any sort.
    pub fn lost_since(&self, kind: &str, time: BootTime) -> u64 {
        self.losses
            .iter()
            .filter(|(name, _)| name.starts_with(kind) || [NOT_RUN, HELD].contains(name))
            .filter(|(_, loss)| loss.last.is_some_and(|l| l >= time))
            .map(|(_, loss)| loss.count)
            .sum()
    }

    /// Everything that was lost.
    pub fn lost(&self) -> u64 {
        self.losses.values().map(|l| l.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rounded_starts_are_the_same_by_and_large() {
        assert!(same_start(4_807_030_000_000, 4_807_031_234_567));
        assert!(!same_start(4_807_030_000_000, 4_807_051_234_567));
        assert!(!same_start(4_807_168_043_142, 4_807_176_525_597));
    }
}
