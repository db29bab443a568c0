//! Readings of the CPU quotas that hold for a container's first process: when it is
//! asked to end and when it is killed. What was used up in between is for
//! `explain::quota` to say.

use std::collections::HashMap;

use crate::{
    event::{BootTime, Outcome, ProcessKey, Quotas, Signal},
    explain::may_end,
    kernel::procfs::Proc,
};

/// A process is read at most so often.
const EVERY_NS: u64 = 20_000_000;
/// So many are remembered as read.
const KNOWN: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Readings {
    last: HashMap<ProcessKey, BootTime>,
}

impl Readings {
    /// What holds for the target of a signal that is to end it, if that leads a
    /// container and is limited.
    pub(super) fn at(&mut self, signal: &Signal, now: BootTime, proc: &Proc) -> Option<Quotas> {
        let target = &signal.target;
        let leads = target.cgroup.is_some() || (target.is_pid1() && target.pidns().is_some());
        let queued = matches!(signal.outcome, Outcome::Delivered | Outcome::LoseInfo);
        if !leads || !queued || !may_end(signal.number) {
            return None;
        }
        let recent = |at: &BootTime| now.0.saturating_sub(at.0) < EVERY_NS;
        if self.last.get(&target.key).is_some_and(recent) {
            return None;
        }
        if self.last.len() >= KNOWN {
            self.last.clear();
        }
        self.last.insert(target.key, now);
        proc.quotas(target.key, now)
            .filter(|q| !q.groups.is_empty())
    }
}
