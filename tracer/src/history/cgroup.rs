//! cgroups that hold a container: who is alive in one, and how it ends. The
//! container has no PID namespace of its own, so no PID 1 tells its end: it is
//! over once nobody is left in it.

use std::collections::HashSet;

use super::History;
use crate::event::{CgroupId, Home, ProcessKey, Task};

/// One cgroup, with those below it.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// Those of its processes that are not dead.
    pub(super) alive: HashSet<ProcessKey>,
    /// Nobody is left in it, as the kernel says.
    gone: bool,
}

impl History {
    /// A process is in this cgroup now, or in none that holds a container.
    pub(super) fn moved(&mut self, key: ProcessKey, to: Option<CgroupId>) {
        let to = to.filter(|id| self.filter.homes.contains(id));
        for (&id, members) in &mut self.cgroups {
            if Some(id) != to {
                members.alive.remove(&key);
            }
        }
        if let Some(id) = to {
            let members = self.cgroups.entry(id).or_default();
            members.alive.insert(key);
        }
    }

    /// A process runs a program in a container's cgroup: if it was not born in it, its
    /// runtime has put it there, and was the one that ran until now.
    pub fn joined(&mut self, task: &Task) {
        let home = task
            .cgroup
            .is_some_and(|id| self.filter.homes.contains(&id));
        if home {
            self.see(task, true).always_in_cgroup = true;
        }
    }

    /// Nobody is left in a container's cgroup.
    pub fn cgroup_gone(&mut self, id: CgroupId) {
        let members = self.cgroups.entry(id).or_default();
        if !std::mem::replace(&mut members.gone, true) {
            // They left it, or their ends were not seen.
            let left = members.alive.drain().collect::<Vec<_>>();
            let unseen = |&key: &ProcessKey| {
                let process = self.process(key);
                process.is_some_and(|p| p.task.cgroup == Some(id) && p.exit.is_none())
            };
            for key in left.into_iter().filter(unseen).collect::<Vec<_>>() {
                self.miss(key);
            }
        }
    }

    /// Whether a container has ended.
    pub fn ended(&self, home: Home) -> bool {
        match home {
            Home::PidNs(ns) => self.namespace_ended(ns),
            Home::Cgroup(id) => self
                .cgroups
                .get(&id)
                .is_some_and(|members| members.gone || members.alive.is_empty()),
        }
    }
}
