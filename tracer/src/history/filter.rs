//! Whom the filters name: by PID namespace, cgroup or process, and whoever one
//! of them names is traced. With no filter everybody is. The kernel side lets
//! more through than this, because it cannot know who sent a signal; whether a
//! signal counts is decided in `explain`, with its origin and these names.
//! Filters by signal number are no part of this (`explain::report::Coverage`).

use std::collections::BTreeSet;

use super::hash::Map;
use super::identity::same_start;
use crate::event::{CgroupId, Home, PidNs, ProcessKey, Task};

/// As what a process is filtered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// For the signals that it sends.
    pub sender: bool,
    /// For those that it gets.
    pub target: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// PID namespaces, with those inside them.
    pub namespaces: BTreeSet<PidNs>,
    /// Namespaces may be added later ([`crate::event::Fact::Traced`]), so that it is
    /// a filter even while it names nobody.
    pub follows: bool,
    /// Of those that have ended, when at the latest: whoever started then or later
    /// lives in another one, to which the kernel has given the inode since.
    pub closed: Map<PidNs, u64>,
    /// cgroups, with those below them.
    pub cgroups: BTreeSet<CgroupId>,
    /// The same of containers that share their PID namespace with others.
    pub homes: BTreeSet<CgroupId>,
    /// The PID 1 of each namespace that such a container shares, by pid with its
    /// start: another's process, whose end is the container's too. What it gets is
    /// traced, and its end is not counted.
    pub owners: Map<u32, u64>,
    /// Processes by pid: when they started, and their roles.
    pub processes: Map<u32, (u64, Roles)>,
}

impl Filter {
    /// Everybody is traced.
    pub fn is_empty(&self) -> bool {
        let containers = self.namespaces.is_empty() && self.homes.is_empty();
        containers && !self.follows && !self.is_partial()
    }

    /// It names cgroups or processes: what these get and do is told apart from
    /// what those around them do.
    pub fn is_partial(&self) -> bool {
        !self.cgroups.is_empty() || !self.processes.is_empty()
    }

    /// A container is traced besides.
    pub fn trace(&mut self, home: Home) {
        match home {
            Home::PidNs(ns) => {
                self.closed.remove(&ns);
                self.namespaces.insert(ns)
            }
            Home::Cgroup(id) => self.homes.insert(id),
        };
    }

    /// Everything that is traced to its end.
    pub fn containers(&self) -> impl Iterator<Item = Home> + '_ {
        let namespaces = self.namespaces.iter().map(|&ns| Home::PidNs(ns));
        namespaces.chain(self.homes.iter().map(|&id| Home::Cgroup(id)))
    }

    /// One of the namespaces has ended by then. Where others may be added, the same
    /// inode may be meant again.
    pub fn close(&mut self, ns: PidNs, by_ns: u64) {
        if self.namespaces.contains(&ns) && !self.follows {
            let end = self.closed.entry(ns).or_insert(by_ns);
            *end = by_ns.min(*end);
        }
    }

    /// Whether a namespace with this inode that a process lives in is another one
    /// than was meant.
    pub fn is_closed(&self, ns: PidNs, to: ProcessKey) -> bool {
        let closed = (!self.closed.is_empty()).then(|| self.closed.get(&ns));
        closed.flatten().is_some_and(|&end| to.start_ns >= end)
    }

    /// Also by this process.
    pub fn add(&mut self, key: ProcessKey, roles: Roles) {
        let (start, known) = self.processes.entry(key.pid).or_default();
        *start = key.start_ns;
        known.sender |= roles.sender;
        known.target |= roles.target;
    }

    /// Whether what it gets is traced.
    pub fn target(&self, task: &Task) -> bool {
        self.covers(task) || self.in_cgroup(task)
    }

    /// Whether what it sends is traced.
    pub fn sender(&self, task: &Task) -> bool {
        self.everybody_like(task) || self.roles(task).sender || self.in_cgroup(task)
    }

    /// Whether it is named, in whatever role.
    pub fn names(&self, task: &Task) -> bool {
        self.target(task) || self.roles(task).sender
    }

    /// Whether it is named, and not because of its PID namespace.
    pub fn names_alone(&self, task: &Task) -> bool {
        let roles = self.roles(task);
        roles.sender || roles.target || self.in_cgroup(task) || self.is_owner(task)
    }

    /// Whether what it gets is traced for all its life. In a cgroup it may be
    /// for a while only.
    pub fn covers(&self, task: &Task) -> bool {
        self.everybody_like(task) || self.roles(task).target || self.is_owner(task)
    }

    /// Whether it is traced only because its end would be that of others.
    pub fn is_owner(&self, task: &Task) -> bool {
        self.owners.get(&task.key.pid).is_some_and(|&start| {
            let start = start == task.key.start_ns || same_start(start, task.key.start_ns);
            start && !self.everybody_like(task) && !self.in_cgroup(task)
        })
    }

    /// Whether a PID namespace is traced.
    pub fn names_pidns(&self, ns: PidNs) -> bool {
        self.namespaces.contains(&ns)
    }

    /// Whether it is in one of the cgroups, now.
    pub fn in_cgroup(&self, task: &Task) -> bool {
        (task.cgroup).is_some_and(|id| self.cgroups.contains(&id) || self.homes.contains(&id))
    }

    fn everybody_like(&self, task: &Task) -> bool {
        self.is_empty()
            || task
                .namespaces
                .iter()
                .any(|&ns| self.namespaces.contains(&ns) && !self.is_closed(ns, task.key))
    }

    /// By pid and start: a pid is given to others later.
    fn roles(&self, task: &Task) -> Roles {
        match self.processes.get(&task.key.pid) {
            Some(&(start, roles))
                if start == task.key.start_ns || same_start(start, task.key.start_ns) =>
            {
                roles
            }
            _ => Roles::default(),
        }
    }
}
