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

/// A fatal signal that waits.
#[derive(Debug)]
pub(crate) struct Fatal {
    /// What is said of it.
    pub(crate) report: SignalReport,
    /// It was shown before, and this became known then.
    pub(crate) news: Option<BootTime>,
}

impl Fatal {
    /// It waits from here on.
    fn since(&self) -> (BootTime, u64) {
        (self.news.unwrap_or(self.report.time), self.report.id)
    }
}

/// One for each process.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    by_process: BTreeMap<ProcessKey, Fatal>,
    by_time: BTreeMap<(BootTime, u64), ProcessKey>,
    /// How many were looked at to find what is due.
    #[cfg(test)]
    pub(crate) steps: u64,
}

impl Waiting {
    /// One more; gives back the one that waited for the same process.
    pub(crate) fn put(&mut self, fatal: Fatal) -> Option<Fatal> {
        let process = fatal.report.target.key;
        let earlier = self.take(process);
        self.by_time.insert(fatal.since(), process);
        self.by_process.insert(process, fatal);
        earlier
    }

    /// The one that waits for the death of this process.
    pub(crate) fn take(&mut self, process: ProcessKey) -> Option<Fatal> {
        let fatal = self.by_process.remove(&process)?;
        self.by_time.remove(&fatal.since());
        Some(fatal)
    }

    /// This very signal is known better while it waits; false: it does not.
    pub(crate) fn renew(&mut self, now: &SignalReport) -> bool {
        let waiting = self.by_process.get_mut(&now.target.key);
        let waiting = waiting.filter(|waiting| waiting.report.id == now.id);
        waiting
            .map(|waiting| waiting.report = now.clone())
            .is_some()
    }

    /// The next that has waited long enough; `None`: the end, so any.
    pub(crate) fn due(&mut self, now: Option<BootTime>) -> Option<Fatal> {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let (&(time, _), &process) = self.by_time.first_key_value()?;
        let over = now.is_none_or(|now| time.0.saturating_add(FOLLOWS_NS) < now.0);
        over.then(|| self.take(process)).flatten()
    }
}
