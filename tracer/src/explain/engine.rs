//! The engine: events in, reports out, in the order of kernel time. It owns the
//! clockwork (`super::agenda`, outbox); what an event changes stands
//! in `super::step`, what it means in the rules beside it.
//!
//! `now` is the only clock. Events and deadlines are worked off in the order of
//! time, so it makes no difference how often [`Engine::advance`] is called: a
//! recording that is replayed at once gives the same reports. Whoever calls it
//! knows that no event of before that time is still to come.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::event::{BootTime, Event, Home, ProcessKey};
use crate::explain::report::{Coverage, ExitReport, Report, Summary};
use crate::history::History;

use super::agenda::{Deadline, Deadlines, Incoming};
use super::asked::Waiting;
use super::exit_report::Killed;
use super::folded::Told;
use super::forks::ToldForks;
use super::handlers::Handlers;
use super::open::OpenSignals;
use super::outbox::Outbox;
use super::unrun::LastChosen;
use super::verdict::View;
use super::words;

/// What a look at a process and a hook tell of the same may lie so far apart: the one
/// comes from `/proc`, and a virtual CPU can be stopped before the other.
pub const LOOK_NS: u64 = 40_000_000;
/// A signal is reported after this time, if that needs no look at its process or there was
/// one.
pub const SETTLE_NS: u64 = 100_000_000;
/// And after this time at the latest, if nobody has taken it by then.
pub const LOOKED_NS: u64 = 500_000_000;
/// A signal that an unnamed function took from the queue, and that was not delivered
/// within this time, was accepted. `get_signal` delivers it in the same stretch, under
/// the lock of the queue; but a virtual CPU can be stopped there.
pub const TAKEN_NS: u64 = 500_000_000;
/// A process that a signal was to end and that is still there is looked at after
/// this time.
pub const OVERDUE_NS: u64 = 1_000_000_000;
/// A dead process that is not reaped is reported after this time.
pub const ZOMBIE_NS: u64 = 1_000_000_000;
/// When a dead PID 1 is looked at, counted from its exit: whether it still waits for
/// its namespace to be empty. Where its SIGCHLD is seen, that tells sooner.
pub const ENDINGS_NS: [u64; 3] = [50_000_000, 150_000_000, 450_000_000];
/// A death is looked at again if a loss is noticed at most this long after it.
pub const LOSS_NS: u64 = 500_000_000;
/// Deaths that a later loss can still make less certain.
pub const BY_ABSENCE_KEPT: usize = 1024;
/// How often a PID 1 that did not act on a request to end is looked at: whether
/// it has a handler after all.
pub const WATCH_NS: u64 = 500_000_000;
/// How many times.
pub const WATCHES: u8 = 120;
/// When an open signal's process is looked at, counted from its generation.
pub const LOOKS_NS: [u64; 3] = [50_000_000, 1_100_000_000, 10_000_000_000];

/// See the module.
#[derive(Debug)]
pub struct Engine {
    pub(super) coverage: Coverage,
    pub(super) history: History,
    pub(super) open: OpenSignals,
    pub(super) outbox: Outbox,
    pub(super) summary: Summary,
    buffer: Incoming,
    deadlines: Deadlines,
    to_look_at: BTreeSet<ProcessKey>,
    given_up: u64,
    /// System calls that were not looked at.
    pub(super) not_looked_at: u64,
    /// Forks that were not.
    pub(super) forks_not_looked_at: u64,
    /// Rejected forks that later counts are about.
    pub(super) told_forks: ToldForks,
    /// Time of the event or deadline that is being worked on.
    pub(super) clock: BootTime,
    /// Deaths explained by what was not seen; a loss that is noticed a moment
    /// later takes their proof away.
    pub(super) by_absence: VecDeque<Box<ExitReport>>,
    /// Deaths that an engine may have asked for.
    pub(super) by_request: VecDeque<Waiting>,
    /// Deaths whose kill may still be seen.
    pub(super) killed: Vec<Killed>,
    /// Deaths by a fault whose function is not known yet.
    pub(super) by_fault: VecDeque<Box<ExitReport>>,
    /// Where handlers are.
    pub(super) handlers: Handlers,
    /// Handlers that were chosen a moment ago.
    pub(super) chosen: LastChosen,
    /// Signals that later counts are about.
    pub(super) told: Told,
    /// Why engines could not be listened to.
    pub(super) silent: Vec<Arc<str>>,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(coverage: Coverage) -> Self {
        Self {
            history: History::new(coverage.filter.clone()),
            coverage,
            open: OpenSignals::default(),
            outbox: Outbox::default(),
            summary: Summary::default(),
            buffer: Incoming::default(),
            deadlines: Deadlines::default(),
            to_look_at: BTreeSet::new(),
            given_up: 0,
            not_looked_at: 0,
            forks_not_looked_at: 0,
            told_forks: ToldForks::default(),
            clock: BootTime::default(),
            by_absence: VecDeque::new(),
            by_request: VecDeque::new(),
            killed: Vec::new(),
            by_fault: VecDeque::new(),
            handlers: Handlers::default(),
            chosen: LastChosen::default(),
            told: Told::default(),
            silent: Vec::new(),
        }
    }

    /// Takes an event, in any order: they are worked off by (time, id).
    pub fn push(&mut self, event: Event) {
        self.buffer.push(event);
    }

    /// Everything that is settled, given that the clock stands at `now` and that every
    /// event until then has been pushed.
    pub fn advance(&mut self, now: BootTime) -> Vec<Report> {
        loop {
            let event = self.buffer.next();
            let deadline = self.deadlines.next().map(|(time, _)| time);
            match (event, deadline) {
                // At the same moment the event comes first: it may be what the
                // deadline waits for.
                (Some(e), d) if e <= now && d.is_none_or(|d| e <= d) => {
                    if let Some(event) = self.buffer.pop() {
                        self.step(event);
                    }
                }
                (_, Some(d)) if d <= now => {
                    if let Some((time, what)) = self.deadlines.pop() {
                        self.due(time, what);
                    }
                }
                _ => break,
            }
        }
        self.outbox.flush(now)
    }

    /// Processes with a signal that has no end yet, to be looked at once in
    /// `/proc`; the answer is `Fact::Observed`. Each signal asks three times at
    /// most ([`LOOKS_NS`]).
    pub fn to_observe(&mut self, now: BootTime) -> Vec<ProcessKey> {
        while let Some((time, what)) = self.deadlines.next() {
            let look = matches!(
                what,
                Deadline::Look(_)
                    | Deadline::Watch(..)
                    | Deadline::Overdue(_)
                    | Deadline::Ending(_)
            );
            if time > now || !look {
                break;
            }
            self.deadlines.pop();
            self.due(time, what);
        }
        let mut keys: Vec<_> = std::mem::take(&mut self.to_look_at).into_iter().collect();
        // However long each look takes: what is decided by one at a PID 1 that waits for
        // others needs those at them.
        keys.sort_by_cached_key(|&key| {
            let task = self.history.process(key).map(|process| &process.task);
            task.filter(|task| task.is_pid1())
                .map(|task| Reverse(task.namespaces.len()))
        });
        keys
    }

    /// Whether every traced namespace has ended (its PID 1 is dead and nothing else is
    /// left in it, or the kernel says that it is gone), and every container without one
    /// (nobody is left in its cgroup).
    pub fn ended(&self) -> bool {
        if !self.killed.is_empty() {
            return false;
        }
        let mut all = self.coverage.filter.containers().peekable();
        all.peek().is_some() && all.all(|home| self.history.ended(home))
    }

    /// Whether this one has.
    pub fn has_ended(&self, home: Home) -> bool {
        self.history.ended(home)
    }

    /// The earliest time at which [`advance`](Self::advance) has something to
    /// do even without new events.
    pub fn next_deadline(&self) -> Option<BootTime> {
        let event = self.buffer.next();
        let deadline = self.deadlines.next().map(|(time, _)| time);
        [event, deadline, self.outbox.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The end: reports everything that is left, as it stands.
    pub fn finish(&mut self, now: BootTime) -> (Vec<Report>, Summary) {
        let mut reports = self.advance(now);
        while let Some(event) = self.buffer.pop() {
            self.step(event);
        }
        for id in self.open.ids() {
            self.report_at_once(id, now);
        }
        for key in self
            .killed
            .iter()
            .map(|killed| killed.key)
            .collect::<Vec<_>>()
        {
            self.no_longer_wait(key, None);
        }
        reports.extend(self.outbox.flush(BootTime(u64::MAX)));
        let mut summary = self.summary.clone();
        summary.lost = self.history.lost();
        summary.unseen_ends = self.history.unseen_ends();
        summary.killed_unseen = self.history.killed_unseen();
        summary.partial = self.coverage.filter.is_partial();
        summary.ended = self.ended();
        summary.notes = self.notes();
        (reports, summary)
    }

    /// Processes that have not left, as far as is known: where events were lost, some may
    /// have.
    pub fn not_gone(&self) -> Vec<ProcessKey> {
        self.history.unreaped().collect()
    }

    /// How much is kept: processes, open signals, buffered events.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.history.len(), self.open.len(), self.buffer.len())
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            history: &self.history,
            coverage: &self.coverage,
            depth: 0,
        }
    }

    pub(super) fn at(&mut self, time: BootTime, after_ns: u64, what: Deadline) {
        self.deadlines.push(time, after_ns, what);
    }

    pub(super) fn look_at(&mut self, key: ProcessKey) {
        self.to_look_at.insert(key);
    }

    pub(super) fn give_up_one(&mut self) {
        self.given_up += 1;
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let lost = self.history.lost();
        if lost > 0 {
            notes.push(format!(
                "{} lost: what is said about signals that were not sent, and deaths without a cause, is less certain.",
                words::count(lost, "event was", "events were")
            ));
        }
        let unseen = self.history.unseen_ends();
        let forks = self.history.lost_since("fork", BootTime(0));
        if forks > 0 {
            notes.push(format!(
                "{} that {} lost may have been the beginning of a process: there may have been \
                 more processes than are counted.",
                words::count(forks, "event", "events"),
                if forks == 1 { "was" } else { "were" }
            ));
        }
        if unseen > 0 {
            notes.push(format!(
                "The end of {} was not seen.",
                words::count(unseen, "process", "processes")
            ));
        }
        if self.coverage.filter.is_partial() {
            notes.push(
                "A filter by process or cgroup was in force: what it left out is not known."
                    .to_owned(),
            );
        }
        if self.not_looked_at > 0 {
            notes.push(format!(
                "{} could not be looked at, because another one was being looked at on that CPU: \
                 signals that were refused may be missing.",
                words::count(
                    self.not_looked_at,
                    "system call that sends signals",
                    "system calls that send signals"
                )
            ));
        }
        if self.forks_not_looked_at > 0 {
            notes.push(format!(
                "{} could not be looked at, because another one was being looked at on that CPU: \
                 forks that were rejected may be missing.",
                words::count(self.forks_not_looked_at, "fork", "forks")
            ));
        }
        for why in &self.silent {
            notes.push(format!(
                "Who asked for a stop may be missing: {}",
                words::sentence(why.to_string())
            ));
        }
        if self.given_up > 0 {
            notes.push(format!(
                "{} without an end {} no longer followed, to bound memory.",
                words::count(self.given_up, "signal", "signals"),
                if self.given_up == 1 { "was" } else { "were" }
            ));
        }
        notes
    }
}
