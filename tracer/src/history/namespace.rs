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
    /// Its members' ends were not seen, and count as such already.
    pub(super) missed: bool,
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
        if !(namespace.pid1_dead || namespace.gone || namespace.zap.is_some()) {
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
    pub(super) fn namespace_ended(&self, ns: PidNs) -> bool {
        self.namespaces
            .get(&ns)
            .is_some_and(|n| n.gone || (n.pid1_dead && n.alive == 0))
    }
}
