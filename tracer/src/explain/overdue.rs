//! Processes that a signal was to end and that are still there a second later: what
//! keeps them, and that they ended after all.

use std::sync::Arc;

use crate::event::{BootTime, Dispositions, ProcessKey, Sight};
use crate::history::note::Fate;
use crate::history::process::Fatal;

use super::agenda::Deadline;
use super::engine::{Engine, OVERDUE_NS};
use super::signals::{self, DefaultAction};
use super::verdict::Verdict;
use super::{blocked, eligible, words};

impl Engine {
    /// A signal ends this process: it should be gone soon.
    pub(super) fn expect_end(&mut self, key: ProcessKey, fatal: &Fatal, time: BootTime) {
        // A core dump takes its time.
        if signals::default_action(fatal.number) != DefaultAction::Core {
            self.at(time, OVERDUE_NS, Deadline::Overdue(key));
        }
    }

    /// Whether a process is still there that should not be.
    pub(super) fn is_overdue(&self, key: ProcessKey) -> bool {
        self.history
            .process(key)
            .is_some_and(|p| p.fatal.is_some() && p.exit.is_none() && !p.reaped && !p.overdue)
    }

    /// A look has found a process.
    pub(super) fn still_there(
        &mut self,
        id: u64,
        time: BootTime,
        key: ProcessKey,
        dispositions: Option<Dispositions>,
        sight: &Arc<Sight>,
    ) {
        let there = dispositions.filter(|d| d.state != b'Z' && d.state != b'X');
        let (Some(seen), true) = (there, self.is_overdue(key)) else {
            return;
        };
        let Some(process) = self.history.process_mut(key) else {
            return;
        };
        let Some(fatal) = process.fatal.clone() else {
            return;
        };
        let waited = words::between(fatal.time, time);
        let Some(signal) = fatal.signal.as_deref().filter(|_| waited >= OVERDUE_NS) else {
            return;
        };
        process.overdue = true;
        let verdict = Verdict::proven(Fate::Fatal).event(id);
        let mut report = self.fatal_report(key, &fatal, signal, verdict, time);
        let (state, sight) = eligible::living(key, seen.state, sight);
        let (reason, why, advice) = blocked::keeps(state, &sight, signal.state.throttled);
        report.settled = false;
        report.reason = reason;
        report.explanation.sentences.insert(
            0,
            format!(
                "{} after {} the process is still there: {why}.",
                words::span(waited),
                signals::name(fatal.number)
            ),
        );
        report.explanation.advice.splice(0..0, advice);
        self.emit(report, true, id, time);
    }

    /// It ended after all.
    pub(super) fn ended_late(&mut self, id: u64, time: BootTime, key: ProcessKey) {
        let process = self.history.process(key);
        let Some(fatal) = process.and_then(|p| p.fatal.clone()) else {
            return;
        };
        let Some(signal) = fatal.signal.as_deref() else {
            return;
        };
        let verdict = Verdict::proven(Fate::Fatal).event(id);
        let mut report = self.fatal_report(key, &fatal, signal, verdict, time);
        report.settled = true;
        report.explanation.sentences.insert(
            0,
            format!(
                "The process ended {} after {}.",
                words::span(words::between(fatal.time, time)),
                signals::name(fatal.number)
            ),
        );
        self.emit(report, true, id, time);
    }
}
