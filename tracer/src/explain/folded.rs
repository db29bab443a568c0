//! Signals that the kernel side counted instead of telling them one by one: what
//! became of them is what became of the last equal one that was told.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{BootTime, Like, Outcome, Signal};
use crate::explain::report::SignalReport;
use crate::history::hash::Map;

use super::engine::Engine;
use super::verdict::Verdict;

/// Signals that are remembered for what is counted later.
const KEPT: usize = 1024;

/// The last one told of each kind with what became of it then: later its target may
/// be dead. `None`: it concerns nobody who is traced.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Map<Like, Option<(Arc<Signal>, Verdict)>>,
    age: VecDeque<Like>,
}

impl Told {
    fn put(&mut self, like: Like, told: Option<(Arc<Signal>, Verdict)>) {
        if self.last.insert(like, told).is_some() {
            return;
        }
        self.age.push_back(like);
        if self.age.len() > KEPT {
            if let Some(oldest) = self.age.pop_front() {
                self.last.remove(&oldest);
            }
        }
    }
}

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
            let told = verdict.map(|verdict| (Arc::clone(signal), verdict.clone()));
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
        let (signal, verdict) = match self.told.last.get(like) {
            Some(Some(told)) => told.clone(),
            Some(None) => return,
            // The first of them were lost, so that nobody knows who they are.
            None => return self.lost(id, time, "signal", count),
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
