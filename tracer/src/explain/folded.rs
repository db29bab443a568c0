//! Signals that the kernel side counted instead of telling them one by one: what
//! became of them is what became of the last equal one that was told.

use std::sync::Arc;

use crate::event::{BootTime, Like, Outcome, Signal};
use crate::explain::report::SignalReport;

use super::engine::Engine;
use super::recent::Recent;
use super::verdict::Verdict;

/// Of each kind, what was told of it.
pub(super) type Told = Recent<Like, LastTold>;

/// What was told of a kind.
#[derive(Debug)]
pub(super) enum LastTold {
    /// One, which is not kept: the kernel side counts after three, so that of most kinds, such
    /// as the SIGCHLD of each child, no more than that is to be known.
    Once,
    /// The last of several, with what became of it then: later its target may be dead.
    Again(Arc<Signal>, Box<Verdict>),
}

impl Engine {
    /// One was told that may be counted from now on. `verdict`: of one that concerns
    /// who is traced.
    pub(super) fn told_whole(&mut self, signal: &Arc<Signal>, verdict: Option<&Verdict>) {
        let ended = matches!(
            signal.outcome,
            Outcome::Ignored
                | Outcome::AlreadyPending
                | Outcome::OverflowFail
                | Outcome::SharesItsBit
        );
        if ended {
            let of = Like::of(signal);
            let again = self.told.get(&of).is_some();
            let told = verdict.map(|verdict| {
                if again {
                    LastTold::Again(Arc::clone(signal), Box::new(verdict.clone()))
                } else {
                    LastTold::Once
                }
            });
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
            Some(Some(LastTold::Again(signal, verdict))) => (Arc::clone(signal), verdict.clone()),
            Some(None) => return,
            // Those that come before a count were lost, so that nobody knows who they are.
            Some(Some(LastTold::Once)) | None => {
                return self.lost(id, time, ("signal", count), false)
            }
        };
        self.summary.signals += count;
        let report = SignalReport {
            settled: true,
            count,
            ..self.signal_report(id, last, &signal, *verdict)
        };
        self.emit(report, false, id, last);
    }
}
