//! Puts reports into the order of kernel time: one is held back as long as an
//! earlier signal has not been reported, which is 100 ms where looks are in time, or an
//! earlier death waits for its kill; a second at most.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{BootTime, Fact};
use crate::explain::report::{Evidence, Explanation, Report, Update};

/// Events without a report of their own of which it is kept what they were.
const MOMENTS: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(BootTime, u64, u64), Report>,
    gates: BTreeSet<(BootTime, u64)>,
    count: u64,
    moments: BTreeMap<u64, &'static str>,
}

impl Outbox {
    /// An event is worked on, which may be evidence and no report.
    pub(crate) fn passes(&mut self, id: u64, fact: &Fact) {
        if let Some(what) = moment(fact) {
            self.moments.insert(id, what);
            if self.moments.len() > MOMENTS {
                self.moments.pop_first();
            }
        }
    }

    /// A signal will be reported later, with this time and id.
    pub(crate) fn hold(&mut self, time: BootTime, id: u64) {
        self.gates.insert((time, id));
    }

    /// It is reported now.
    pub(crate) fn release(&mut self, time: BootTime, id: u64) {
        self.gates.remove(&(time, id));
    }

    /// A report, by the time and id of its event.
    pub(crate) fn push(&mut self, time: BootTime, id: u64, mut report: Report) {
        self.count += 1;
        if let Some(explanation) = explanation(&mut report) {
            let moments = explanation.evidence.iter().filter_map(|proof| match proof {
                Evidence::Event(id) => Some((*id, *self.moments.get(id)?)),
                Evidence::Stack(_) | Evidence::Field(_) => None,
            });
            explanation.moments = moments.collect();
        }
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

/// What a fact is that has no report of its own and that evidence names.
fn moment(fact: &Fact) -> Option<&'static str> {
    Some(match fact {
        Fact::Deliver { .. } => "delivery",
        Fact::Dequeue { .. } => "dequeue",
        Fact::Observed { .. } | Fact::Snapshot { .. } | Fact::Quotas { .. } => "look",
        Fact::Exit {
            group_dead: false, ..
        } => "thread_exit",
        Fact::DoExit { .. } => "do_exit",
        Fact::GroupExit { .. } => "group_exit",
        Fact::ZapPidNs { .. } => "zap_pid_ns",
        Fact::Oom(_) => "oom",
        Fact::Fault(_) => "fault",
        Fact::Resumed(_) => "ptrace",
        Fact::Engine(_) => "engine",
        _ => return None,
    })
}

fn explanation(report: &mut Report) -> Option<&mut Explanation> {
    Some(match report {
        Report::Signal(report) => &mut report.explanation,
        Report::Exit(report) => &mut report.explanation,
        Report::Refused(report) => &mut report.explanation,
        Report::ForkRejected(report) => &mut report.explanation,
        Report::Update { now, .. } => match now {
            Update::Signal(now) | Update::HandlerNamed(now) => &mut now.explanation,
            Update::Exit(now) | Update::Asked(now) | Update::Named(now) => &mut now.explanation,
        },
        _ => return None,
    })
}
