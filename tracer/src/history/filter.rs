//! Whom the filters name: by PID namespace, cgroup or process, and whoever one
//! of them names is traced. With no filter everybody is. The kernel side lets
//! more through than this, because it cannot know who sent a signal; whether a
//! signal counts is decided in `explain`, with its origin and these names.
//! Filters by signal number are no part of this (`explain::report::Coverage`).

use std::collections::HashSet;

use super::hash::Map;
use super::identity::same_start;
use crate::event::{PidNs, ProcessKey, Task};

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
    pub namespaces: HashSet<PidNs>,
    /// Namespaces may be added later ([`crate::event::Fact::Traced`]), so that it is
    /// a filter even while it names nobody.
    pub follows: bool,
    /// cgroups by id, with those below them. Who is in one below is known from
    /// [`Task::in_cgroup`].
    pub cgroups: HashSet<u64>,
    /// Processes by pid: when they started, and their roles.
    pub processes: Map<u32, (u64, Roles)>,
}

impl Filter {
    /// Everybody is traced.
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && !self.follows && !self.is_partial()
    }

    /// It names cgroups or processes: what these get and do is told apart from
    /// what those around them do.
    pub fn is_partial(&self) -> bool {
        !self.cgroups.is_empty() || !self.processes.is_empty()
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

    /// Whether what it gets is traced for all its life. In a cgroup it may be
    /// for a while only.
    pub fn covers(&self, task: &Task) -> bool {
        self.everybody_like(task) || self.roles(task).target
    }

    /// Whether it is in one of the cgroups, now.
    pub fn in_cgroup(&self, task: &Task) -> bool {
        !self.cgroups.is_empty() && (task.in_cgroup || self.cgroups.contains(&task.cgroup_id))
    }

    fn everybody_like(&self, task: &Task) -> bool {
        self.is_empty()
            || task
                .namespaces
                .iter()
                .any(|ns| self.namespaces.contains(ns))
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
