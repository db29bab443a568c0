//! PID namespaces: who is PID 1, how many live in one, and how it ends. Its members
//! are kept in [`super`].

use super::process::Process;
use super::{History, NAMESPACES_KEPT};
use crate::event::{BootTime, Home, PidNs, ProcessKey, Task};

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
    /// When the dead PID 1 was known to be done with killing and reaping everything
    /// in it (`zap_pid_ns_processes`), which can take for ever: until then somebody
    /// who came in from outside may hold a process in it.
    pub over: Option<BootTime>,
    /// Who started before was in another namespace with the same inode; 0 if
    /// none is known.
    pub born_ns: u64,
}

impl History {
    /// A namespace.
    pub fn namespace(&self, ns: PidNs) -> Option<&Namespace> {
        self.namespaces.get(&ns)
    }

    /// How many known processes live in a container.
    pub fn living(&self, home: Home) -> u64 {
        let alive = match home {
            Home::PidNs(ns) => self.namespaces.get(&ns).map(|n| n.alive),
            Home::Cgroup(id) => self.cgroups.get(&id).map(|members| members.alive.len()),
        };
        alive.unwrap_or(0) as u64
    }

    /// Known processes that live in a namespace, the dead included.
    pub fn members(&self, ns: PidNs) -> impl Iterator<Item = &Process> {
        let all = self.processes.values().map(Box::as_ref);
        all.filter(move |p| p.task.namespaces.contains(&ns))
    }

    /// PID 1 of a namespace.
    pub fn pid1(&self, ns: PidNs) -> Option<&Process> {
        self.process(self.namespaces.get(&ns)?.pid1?)
    }

    /// A PID 1 that was not known joins a namespace: if that has ended, the kernel
    /// has given its inode to a new one.
    pub(super) fn renew(&mut self, ns: PidNs, pid1: ProcessKey) {
        let Some(namespace) = self.namespaces.get_mut(&ns) else {
            return;
        };
        let ended = namespace.pid1_dead || namespace.gone || namespace.over.is_some();
        if !ended && namespace.zap.is_none() {
            return;
        }
        *namespace = Namespace {
            born_ns: pid1.start_ns,
            ..Namespace::default()
        };
        self.ended.retain(|&ended| ended != ns);
    }

    pub(super) fn leave(&mut self, key: ProcessKey, namespaces: &[PidNs]) {
        for ns in namespaces {
            if self.filter.is_closed(*ns, key) {
                continue;
            }
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

    /// The kernel began to kill everything in a namespace.
    pub fn zap(&mut self, task: &Task, ns: PidNs, event: u64, time: BootTime) {
        self.see(task, true);
        let key = self.resolve(task.key);
        if self.filter.is_closed(ns, key) {
            return;
        }
        let namespace = self.namespaces.entry(ns).or_default();
        namespace.zap = Some((event, time));
        if task.is_pid1() {
            namespace.pid1 = Some(key);
        }
    }

    /// A dead PID 1 tells its parent so, which it does once nothing is left in its
    /// namespace (`exit_notify`).
    pub fn notified(&mut self, task: &Task, time: BootTime) {
        let key = self.resolve(task.key);
        let dead = self.processes.get(&key).is_some_and(|p| p.exit.is_some());
        let own = task.pidns().filter(|_| task.is_pid1());
        if let Some(ns) = own.filter(|&ns| dead && self.is_first(ns, key)) {
            self.over(ns, time);
        }
    }

    /// Whether this is the PID 1 of a namespace.
    pub(super) fn is_first(&self, ns: PidNs, key: ProcessKey) -> bool {
        self.namespaces.get(&ns).and_then(|n| n.pid1) == Some(key)
    }

    /// A namespace is gone.
    pub fn namespace_gone(&mut self, ns: PidNs, time: BootTime) {
        let namespace = self.namespaces.entry(ns).or_default();
        if std::mem::replace(&mut namespace.gone, true) {
            return;
        }
        // It had a PID 1 at least, whether that was ever seen or not.
        let never_seen = namespace.pid1.is_none() && namespace.alive == 0;
        self.unseen_ends += u64::from(never_seen);
        if let Some(one) = namespace.pid1 {
            let unseen = self.processes.get(&one).is_some_and(|p| p.exit.is_none());
            if unseen {
                self.bury(one);
            }
        }
        self.over(ns, time);
    }

    /// Nothing is left in a namespace but its PID 1: every other process in it has
    /// been reaped, whether that was seen or not.
    pub fn over(&mut self, ns: PidNs, time: BootTime) {
        self.filter.close(ns, time.0);
        let Some(namespace) = self.namespaces.get_mut(&ns) else {
            return;
        };
        if namespace.over.is_some() {
            return;
        }
        namespace.over = Some(time);
        let (one, born) = (namespace.pid1, namespace.born_ns);
        let of_it = |p: &&Process| {
            let key = p.task.key;
            let there = p.task.namespaces.contains(&ns) && key.start_ns >= born;
            there && Some(key) != one && p.exit.is_none() && !p.reaped
        };
        let left = self.processes.values().map(Box::as_ref).filter(of_it);
        for key in left.map(|p| p.task.key).collect::<Vec<_>>() {
            self.bury(key);
        }
    }

    /// A PID 1 is there that started after the one that is known and dead: the kernel
    /// has given the inode to a new namespace, so that nothing is left of the old one.
    pub fn supersede(&mut self, task: &Task) {
        let ns = match task.pidns() {
            Some(ns) if task.is_pid1() && self.filter.namespaces.contains(&ns) => ns,
            _ => return,
        };
        let Some((one, dead)) = self.namespaces.get(&ns).and_then(|n| {
            let dead = n.pid1_dead || n.gone || n.over.is_some();
            Some((n.pid1?, dead))
        }) else {
            return;
        };
        let start = task.key.start_ns;
        if dead && !self.filter.follows && start > one.start_ns && self.resolve(task.key) != one {
            self.over(ns, BootTime(start));
        }
    }

    /// It is gone, and its end was not seen.
    fn bury(&mut self, key: ProcessKey) {
        self.miss(key);
        if self.by_pid.get(&key.pid) == Some(&key) {
            self.by_pid.remove(&key.pid);
        }
        self.retire(key);
    }

    /// Whether this is a dead PID 1 that is not known to be done with its namespace.
    pub fn waits_in_zap(&self, key: ProcessKey) -> bool {
        let key = self.resolve(key);
        let Some(process) = self.processes.get(&key) else {
            return false;
        };
        let dead = process.exit.is_some() && !process.reaped && process.task.is_pid1();
        let own = process.task.pidns().filter(|_| dead);
        let ns = own.filter(|&ns| self.is_first(ns, key));
        ns.is_some_and(|ns| !self.namespace_ended(ns))
    }

    /// Whether a process other than its PID 1 lived in a namespace of which nothing
    /// else is left: then it has been reaped.
    pub fn outlived(&self, task: &Task) -> bool {
        task.namespaces.iter().any(|ns| {
            let namespace = self.namespaces.get(ns);
            namespace.is_some_and(|n| {
                let of_it = task.key.start_ns >= n.born_ns && n.pid1 != Some(task.key);
                of_it && (n.over.is_some() || n.gone)
            })
        })
    }

    /// Whether a namespace has ended.
    pub(super) fn namespace_ended(&self, ns: PidNs) -> bool {
        self.namespaces
            .get(&ns)
            .is_some_and(|n| n.gone || n.over.is_some())
    }
}
