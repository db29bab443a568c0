//! Puts reports into the order of kernel time: one is held back as long as an
//! earlier signal has not been reported, which is 100 ms at most.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::BootTime;
use crate::explain::report::Report;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(BootTime, u64, u64), Report>,
    gates: BTreeSet<(BootTime, u64)>,
    count: u64,
}

impl Outbox {
    /// A signal will be reported later, with this time and id.
    pub(crate) fn hold(&mut self, time: BootTime, id: u64) {
        self.gates.insert((time, id));
    }

    /// It is reported now.
    pub(crate) fn release(&mut self, time: BootTime, id: u64) {
        self.gates.remove(&(time, id));
    }

    /// A report, by the time and id of its event.
    pub(crate) fn push(&mut self, time: BootTime, id: u64, report: Report) {
        self.count += 1;
        self.waiting.insert((time, id, self.count), report);
    }

    /// Everything up to `until` that no earlier signal holds back.
    pub(crate) fn flush(&mut self, until: BootTime) -> Vec<Report> {
        let mut limit = (until, u64::MAX, u64::MAX);
        if let Some(&(time, id)) = self.gates.first() {
            limit = limit.min((time, id, 0));
        }
        let later = self.waiting.split_off(&limit);
        std::mem::replace(&mut self.waiting, later)
            .into_values()
            .collect()
    }

    /// When the next report could go out, if nothing holds it back.
    pub(crate) fn next(&self) -> Option<BootTime> {
        let (&(time, id, _), _) = self.waiting.first_key_value()?;
        self.gates
            .first()
            .is_none_or(|&gate| (time, id) < gate)
            .then_some(time)
    }
}
