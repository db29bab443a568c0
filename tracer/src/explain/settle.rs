//! From a rule's verdict to the report of a signal, and its updates.

use std::sync::Arc;

use crate::event::{BootTime, Info, ProcessKey, Sight, Signal};
use crate::explain::report::{Explanation, Report, SignalReport, Update};
use crate::history::note::Fate;
use crate::history::process::{Fatal, Process};

use super::agenda::{later, Deadline};
use super::engine::{Engine, LOOKED_NS, LOOK_NS, TAKEN_NS};
use super::open::Open;
use super::path::{Decision, KernelPath};
use super::verdict::Verdict;
use super::{
    blocked, crashes, death, debugger, dropped, fate, halted, jobs, place, routine, sender,
    signals, stop_answer, words,
};

/// `TRACE_SIGNAL_LOSE_INFO`: `__sigqueue_alloc` gave nothing. The limit does not
/// hold for those below the real-time signals that neither sigqueue(3) nor
/// tgkill(2) sent (`override_rlimit` in `__send_signal`).
fn without_siginfo(s: &Signal, fate: Fate) -> String {
    let name = signals::name(s.number);
    let unlimited = s.number < signals::KERNEL_RTMIN && (s.info != Info::Full || s.code >= 0);
    let full = s.queues.map(|(queued, limit)| queued >= limit);
    let why = if unlimited || full == Some(false) {
        "memory was short"
    } else if full == Some(true) {
        "its user's queues were full (RLIMIT_SIGPENDING)"
    } else {
        "its user's queues were full (RLIMIT_SIGPENDING) or memory was short"
    };
    if fate == Fate::Coalesced {
        let by_kill = if s.info == Info::Full && s.code == sender::SI_USER {
            " kill(2) reports no error then; sigqueue(3) would have failed with EAGAIN."
        } else {
            ""
        };
        return format!("It got no entry of its own, and its siginfo was lost: {why}.{by_kill}");
    }
    format!("Only its pending bit was set, and its siginfo was lost: {why}. Who sent it the target cannot tell, and another {name} before it is taken may merge with it.")
}

impl Engine {
    /// An open signal has its end.
    pub(super) fn conclude(&mut self, id: u64, verdict: Verdict, event: u64, time: BootTime) {
        let Some(open) = self.open.remove(id) else {
            return;
        };
        if let Some(process) = self.history.process_mut(open.target) {
            process.open.retain(|&o| o != id);
        }
        self.settle(open, verdict, event, time);
    }

    /// A signal has its end; `event` is what settled it.
    pub(super) fn settle(&mut self, open: Open, verdict: Verdict, event: u64, time: BootTime) {
        let Open {
            id,
            time: generated,
            signal,
            target,
            reported,
            ..
        } = open;
        let later = verdict.later;
        let fatal = (verdict.fate == Fate::Fatal).then(|| Fatal {
            event: id,
            time: generated,
            number: signal.number,
            signal: Some(signal.clone()),
            perhaps_given: false,
        });
        let verdict = if self.watch(target, &signal, &verdict, time) {
            self.too_early(id, generated, target, &signal, verdict)
        } else {
            verdict
        };
        let others = fatal
            .as_ref()
            .map(|_| stop_answer::others(&self.history, &signal.target));
        if let Some(process) = self.history.process_mut(target) {
            let known = (!verdict.later).then_some(time);
            process.settle(id, verdict.fate, verdict.reason, known);
            if process.fatal.is_none() {
                process.fatal.clone_from(&fatal);
                process.others = others;
            } else if process.dump_ended.is_none() && dropped::dumping(&signal) {
                process.dump_ended.clone_from(&fatal);
            }
        }
        let ends = fatal.as_ref().map(|fatal| fatal.number);
        self.note_crash(id, generated, &signal, &verdict, time);
        let report = match fatal {
            Some(fatal) => {
                self.expect_end(target, &fatal, time);
                self.fatal_report(target, &fatal, &signal, verdict, time)
            }
            None => self.signal_report(id, generated, &signal, verdict),
        };
        let report = SignalReport {
            settled: true,
            within_ns: later.then(|| words::between(generated, time)),
            ..report
        };
        self.emit(report, reported, event, time);
        if let Some(number) = ends {
            self.kill_has_come(target, number);
        }
    }

    /// A signal that ends its target, as of `time`.
    pub(super) fn fatal_report(
        &self,
        target: ProcessKey,
        fatal: &Fatal,
        signal: &Signal,
        mut verdict: Verdict,
        time: BootTime,
    ) -> SignalReport {
        let id = fatal.event;
        let death = match self.history.process(target) {
            Some(process) => death::by_signal(self.view(), process, fatal, time),
            // Its pid is in use again: only possible where events are missing.
            None => {
                let process = Process::new(signal.target.clone(), true);
                death::by_signal(self.view(), &process, fatal, time)
            }
        };
        let mut report = self.signal_report(id, fatal.time, signal, verdict.clone());
        {
            let own = &mut verdict.explanation;
            report.cause = Some(death.cause);
            report.mechanism = death.mechanism;
            report.explanation = death.explanation;
            report.explanation.certainty = report.explanation.certainty.min(own.certainty);
            own.evidence.append(&mut report.explanation.evidence);
            own.evidence
                .retain(|e| *e != crate::explain::report::Evidence::Event(id));
            report.explanation.evidence = std::mem::take(&mut own.evidence);
            own.missing.append(&mut report.explanation.missing);
            report.explanation.missing = std::mem::take(&mut own.missing);
        }
        report
    }

    /// Reports an open signal as it stands, unless more is about to be known.
    pub(super) fn report_open(&mut self, id: u64, now: BootTime) {
        let Some(open) = self.open.get(id) else {
            return;
        };
        // Somebody has taken it already.
        if let Some((_, seen, _)) = open.gone {
            return self.at(seen, LOOK_NS + 1, Deadline::Report(id));
        }
        if let Some((_, taken)) = open.taken {
            return self.at(taken, TAKEN_NS + 1, Deadline::Report(id));
        }
        // Only a debugger comes in between, or nobody: a virtual CPU can be stopped there.
        if let Some((_, got, _)) = open.got.filter(|_| !open.signal.state.traced) {
            if now < later(got, TAKEN_NS) {
                return self.at(got, TAKEN_NS, Deadline::Report(id));
            }
        }
        // A busy machine has not come to look why it waits.
        let last = later(open.time, LOOKED_NS);
        let unknown = open.got.is_none() && !blocked::blocked(&open.signal);
        let process = self.history.process(open.target);
        let looked = process.is_some_and(|process| process.last_look > open.time);
        if unknown && !looked && now < last {
            return self.at(last, 0, Deadline::Report(id));
        }
        self.report_now(id, now);
    }

    /// Says of an open signal what can be said now.
    pub(super) fn report_at_once(&mut self, id: u64, now: BootTime) {
        self.taken_for_good(id);
        self.gone_for_good(id);
        self.report_now(id, now);
    }

    /// Reports an open signal as it stands, unless that was done.
    fn report_now(&mut self, id: u64, now: BootTime) {
        let Some(open) = self.open.get_mut(id).filter(|open| !open.reported) else {
            return;
        };
        open.reported = true;
        let (generated, signal, first, seen, target) = (
            open.time,
            open.signal.clone(),
            open.first.clone(),
            open.seen.clone(),
            open.target,
        );
        let waited = words::between(generated, now);
        let verdict = match open.got {
            Some((event, ..)) => blocked::held(&signal, waited, event),
            None => {
                let v = blocked::waiting(&signal, waited, first.as_deref(), seen.as_ref());
                halted::say(self.view(), self.history.process(target), generated, v)
            }
        };
        if let Some(process) = self.history.process_mut(target) {
            process.settle(id, verdict.fate, verdict.reason, Some(now));
        }
        let report = self.signal_report(id, generated, &signal, verdict);
        self.emit(report, false, id, now);
    }

    /// If it was taken from the queue: no delivery comes any more.
    pub(super) fn taken_for_good(&mut self, id: u64) {
        let Some(open) = self.open.get(id) else {
            return;
        };
        let Some((event, taken)) = open.taken else {
            return;
        };
        let verdict = fate::accepted_inferred(
            open.time,
            &open.signal,
            Some(event),
            taken,
            "the name of the function that took it",
        );
        self.conclude(id, verdict, event, taken);
    }

    /// If a look found it gone: no delivery comes any more.
    pub(super) fn gone_for_good(&mut self, id: u64) {
        let Some(open) = self.open.get(id) else {
            return;
        };
        let Some((event, seen, flushed)) = open.gone else {
            return;
        };
        if fate::held(open, flushed) && !debugger::has_let_go(open) {
            // A later look may find it so.
            if let Some(open) = self.open.get_mut(id) {
                open.gone = None;
            }
            return;
        }
        let verdict = fate::gone(self.view(), open, event, seen, flushed);
        self.conclude(id, verdict, event, seen);
    }

    /// A look at the process of an open signal that was reported: again, if that
    /// tells something else of what it waits for than what was seen before.
    pub(super) fn waits_for_else(
        &mut self,
        id: u64,
        event: u64,
        time: BootTime,
        before: Option<&(u8, Arc<Sight>)>,
    ) {
        let Some(open) = self.open.get(id).filter(|open| open.got.is_none()) else {
            return;
        };
        let (generated, signal, target) = (open.time, open.signal.clone(), open.target);
        let waited = words::between(generated, time);
        let first = open.first.as_deref();
        let then = blocked::waiting(&signal, waited, first, before);
        let now = blocked::waiting(&signal, waited, first, open.seen.as_ref());
        let process = self.history.process(target);
        let [then, now] = [then, now].map(|v| halted::say(self.view(), process, generated, v));
        // That it is proven now is news as well: the look came after the report.
        let told = |v: &Verdict| {
            let Explanation {
                certainty,
                sentences,
                ..
            } = &v.explanation;
            (v.reason, *certainty, sentences.clone())
        };
        if told(&then) == told(&now) {
            return;
        }
        if let Some(process) = self.history.process_mut(target) {
            process.settle(id, now.fate, now.reason, Some(time));
        }
        let report = self.signal_report(id, generated, &signal, now.event(event));
        self.emit(report, true, event, time);
    }

    /// What is said of a signal whose fate stands, now that more is known.
    pub(super) fn told_again(
        &mut self,
        id: u64,
        generated: BootTime,
        signal: &Signal,
        verdict: &Verdict,
        event: u64,
        time: BootTime,
    ) {
        let report = SignalReport {
            settled: true,
            ..self.signal_report(id, generated, signal, verdict.clone())
        };
        self.emit(report, true, event, time);
    }

    pub(super) fn emit(&mut self, report: SignalReport, update: bool, event: u64, time: BootTime) {
        self.handlers.wait_for_name(&report);
        if update {
            // In the order in which it became known, which for a deadline is
            // later than what it is about.
            let of = report.id;
            let now = Update::Signal(Box::new(report));
            self.outbox
                .push(self.clock, event, Report::Update { of, time, now });
            return;
        }
        let count = report.count;
        self.summary.routine += if report.routine { count } else { 0 };
        let summary = &mut self.summary;
        let of_fate = match (report.fate, report.routine) {
            ("dropped", false) => Some(&mut summary.dropped),
            ("dropped", true) => Some(&mut summary.dropped_routinely),
            ("coalesced", false) => Some(&mut summary.coalesced),
            ("coalesced", true) => Some(&mut summary.coalesced_routinely),
            // Never routine: of standard signals none is.
            ("rejected", _) => Some(&mut summary.rejected),
            _ => None,
        };
        if let Some(of_fate) = of_fate {
            *of_fate += count;
        }
        self.outbox.release(report.time, report.id);
        self.outbox
            .push(report.time, report.id, Report::Signal(Box::new(report)));
    }

    pub(super) fn signal_report(
        &self,
        id: u64,
        time: BootTime,
        s: &Signal,
        verdict: Verdict,
    ) -> SignalReport {
        let decision = Decision::of(s, &verdict);
        let mut explanation = verdict.explanation;
        if let Some(ip) = verdict.fault_at {
            crashes::explain(
                &crashes::noted(&self.handlers, id, s, ip),
                s,
                &mut explanation,
            );
        }
        if s.outcome.lost_info() {
            explanation.sentences.push(without_siginfo(s, verdict.fate));
        }
        let remark = debugger::remark(s).or_else(|| jobs::remark(s));
        let cause = remark.map(|(cause, why)| {
            explanation.sentences.insert(0, why);
            cause
        });
        let in_target = self.coverage.filter.target(&s.target);
        SignalReport {
            id,
            time,
            pidns: if in_target {
                s.target.pidns()
            } else {
                s.current.pidns()
            },
            number: s.number,
            code: s.code,
            to_process: s.to_process,
            outcome: s.outcome,
            sender: sender::sender(&self.history, s),
            target: s.target.clone(),
            target_origin: s.places.target.origin.clone(),
            fate: verdict.fate.id(),
            settled: false,
            reason: verdict.reason,
            cause: cause.or(verdict.cause),
            mechanism: None,
            kernel_path: KernelPath {
                decision,
                ..KernelPath::new(&s.stack)
            },
            latency_ns: verdict.latency_ns,
            within_ns: None,
            handler: verdict
                .handler
                .map(|address| Box::new(self.handlers.place(s.target.key, address))),
            fault: verdict.fault_at.and_then(|ip| {
                let noted = crashes::noted(&self.handlers, id, s, ip);
                place::place(&noted, s).map(Box::new)
            }),
            routine: verdict.routine || routine::is(s, sender::origin(s), verdict.fate),
            explanation,
            count: 1,
        }
    }
}
