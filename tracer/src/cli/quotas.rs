//! Readings of the CPU quotas that hold for a container's first process: when it is
//! asked to end and when it is killed. What was used up in between is for
//! `explain::quota` to say.

use std::collections::HashMap;

use crate::{
    event::{BootTime, Outcome, ProcessKey, Quotas, Signal},
    explain::may_end,
    kernel::procfs::{Groups, Proc},
};

/// A process is read at most so often.
const EVERY_NS: u64 = 20_000_000;
/// So many are remembered as read.
const KNOWN: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Readings {
    last: HashMap<ProcessKey, (BootTime, Option<Groups>)>,
}

impl Readings {
    /// What holds for the target of a signal that is to end it, if that leads a
    /// container and is limited.
    pub(super) fn at(&mut self, signal: &Signal, now: BootTime, proc: &Proc) -> Option<Quotas> {
        let target = &signal.target;
        let leads = target.cgroup.is_some() || (target.is_pid1() && target.pidns().is_some());
        let queued = signal.outcome == Outcome::Delivered || signal.outcome.lost_info();
        if !leads || !queued || !may_end(signal.number) {
            return None;
        }
        let last = self.last.get(&target.key);
        if last.is_some_and(|(at, _)| now.0.saturating_sub(at.0) < EVERY_NS) {
            return None;
        }
        // Who is killed can be gone by now; its control group goes later.
        let before = last.and_then(|(_, groups)| groups.clone());
        let now_or_before = proc.cpu_groups(target.key).into_iter().chain(before);
        let (groups, quotas) = now_or_before
            .map(|groups| (groups.clone(), groups.read(now)))
            .find(|(_, quotas)| !quotas.groups.is_empty())
            .unzip();
        if self.last.len() >= KNOWN {
            self.last.clear();
        }
        self.last.insert(target.key, (now, groups));
        quotas
    }
}
