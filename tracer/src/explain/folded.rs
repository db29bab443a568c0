//! Signals that the kernel side counted instead of telling them one by one: what
//! became of them is what became of the last equal one that was told.

use std::sync::Arc;

use crate::event::{BootTime, Like, Outcome, Signal};
use crate::explain::report::SignalReport;

use super::engine::Engine;
use super::recent::Recent;
use super::verdict::Verdict;

/// The last one told of each kind with what became of it then: later its target may
/// be dead. `None`: one alone was told. The kernel side counts after three, so that of most
/// kinds, such as the SIGCHLD of each child, no more than that is to be known.
pub(super) type Told = Recent<Like, Option<(Arc<Signal>, Verdict)>>;

impl Engine {
    /// One was told that may be counted from now on. `verdict`: of one that concerns
    /// who is traced.
    pub(super) fn told_whole(&mut self, signal: &Arc<Signal>, verdict: Option<&Verdict>) {
        let ended = matches!(
            signal.outcome,
            Outcome::Ignored | Outcome::AlreadyPending | Outcome::OverflowFail
        );
        if ended {
            let of = Like::of(signal);
            let again = self.told.get(&of).is_some();
            let last = |verdict: &Verdict| (Arc::clone(signal), verdict.clone());
            let told = verdict.map(|verdict| again.then(|| last(verdict)));
            self.told.put(of, told);
        }
    }

    pub(super) fn folded(
        &mut self,
        id: u64,
        time: BootTime,
        like: &Like,
        count: u64,
        last: BootTime,
    ) {
        let (signal, verdict) = match self.told.get(like) {
            Some(Some(Some(told))) => told.clone(),
            Some(None) => return,
            // The first of them were lost, so that nobody knows who they are.
            Some(Some(None)) | None => return self.lost(id, time, "signal", count),
        };
        self.summary.signals += count;
        let report = SignalReport {
            settled: true,
            count,
            ..self.signal_report(id, last, &signal, &verdict)
        };
        self.emit(report, false, id, last);
    }
}
