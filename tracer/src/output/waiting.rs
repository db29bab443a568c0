//! Fatal signals that wait for the death that names them, found by their
//! process and, when they have waited long enough, in the order of time: a
//! look at what is due costs no more than what it finds, however many wait.

use std::collections::BTreeMap;

use crate::{
    event::{BootTime, ProcessKey},
    explain::report::SignalReport,
};

/// So long a fatal signal waits for the death that names it.
const FOLLOWS_NS: u64 = 500_000_000;

/// One for each process.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    by_process: BTreeMap<ProcessKey, SignalReport>,
    by_time: BTreeMap<(BootTime, u64), ProcessKey>,
    /// How many were looked at to find what is due.
    #[cfg(test)]
    pub(crate) steps: u64,
}

impl Waiting {
    /// One more; gives back the one that waited for the same process.
    pub(crate) fn put(&mut self, report: SignalReport) -> Option<SignalReport> {
        let process = report.target.key;
        let earlier = self.take(process);
        self.by_time.insert((report.time, report.id), process);
        self.by_process.insert(process, report);
        earlier
    }

    /// The one that waits for the death of this process.
    pub(crate) fn take(&mut self, process: ProcessKey) -> Option<SignalReport> {
        let report = self.by_process.remove(&process)?;
        self.by_time.remove(&(report.time, report.id));
        Some(report)
    }

    /// Whether this very signal waits.
    pub(crate) fn has(&self, report: &SignalReport) -> bool {
        let waiting = self.by_process.get(&report.target.key);
        waiting.is_some_and(|waiting| waiting.id == report.id)
    }

    /// The next that has waited long enough; `None`: the end, so any.
    pub(crate) fn due(&mut self, now: Option<BootTime>) -> Option<SignalReport> {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let (&(time, _), &process) = self.by_time.first_key_value()?;
        let over = now.is_none_or(|now| time.0.saturating_add(FOLLOWS_NS) < now.0);
        over.then(|| self.take(process)).flatten()
    }
}
