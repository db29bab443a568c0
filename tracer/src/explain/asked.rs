//! Who asked for a stop or a kill, as far as the engine's own events tell: the
//! end of a chain. The engine speaks by the wall clock and when it is done, so
//! its events are joined to signals with tolerance, and what comes after a death
//! was reported is an update. Which client asked is not in them, and not said.

use crate::event::{BootTime, EngineAction, EngineEvent, Home};
use crate::explain::report::{Asked, ExitReport, Link, Report, Update};
use crate::history::looked_up::LookedUp;

use super::engine::Engine;
use super::{pid1, signals, stop_request};

/// Clocks differ, and are read at different moments.
const SKEW_NS: u64 = 100_000_000;
/// Docker reports a signal when its runtime has ended; on a busy host that takes
/// its time.
const REPORT_NS: u64 = 10_000_000_000;
/// Podman reports a restart before it begins.
const BEFORE_NS: u64 = 5_000_000_000;
/// Deaths whose chain an event can still lengthen.
pub(super) const KEPT: usize = 256;
/// For so long.
const KEPT_NS: u64 = 60_000_000_000;

/// What an engine was asked for where its stop signal and its SIGKILL are one request.
const ONE_STOP: [&str; 4] = [
    "docker stop",
    "docker restart",
    "podman stop",
    "podman restart",
];

/// A signal of a runtime to the PID 1 of a container, at the end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The container.
    pub(crate) home: Home,
    /// The signal.
    pub(crate) number: i32,
    /// When it was sent.
    pub(crate) time: BootTime,
}

/// What the engine says it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    /// The event that tells when.
    event: u64,
    at: BootTime,
    by_api: bool,
    what: &'static str,
    /// What may still come; nothing, if that is all.
    awaited: Option<Awaited>,
}

/// What an engine may still say of a death, the sooner first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// That the stop was the first half of a restart, which begins at once.
    Restart,
    /// That it was asked for anything.
    Word,
    /// What exactly it was asked for.
    Rest,
}

fn docker(log: &[(u64, EngineEvent)], request: Request) -> Option<Answer> {
    let is = |e: &EngineEvent| e.action == EngineAction::Kill(Some(request.number));
    let from = log
        .iter()
        .position(|(_, e)| is(e) && within(e.at, request.time, SKEW_NS, REPORT_NS))?;
    let (event, kill) = &log[from];
    // A stop kills with SIGKILL in the end; another signal is another request.
    let later = log[from + 1..].iter().map(|(_, e)| e.action);
    let mine = later.take_while(
        |action| !matches!(action, EngineAction::Kill(number) if *number != Some(signals::KILL)),
    );
    let has = |wanted| mine.clone().any(|action| action == wanted);
    let stopped = request.number != signals::KILL && has(EngineAction::Stop);
    let restarted = stopped && has(EngineAction::Restart);
    let started = has(EngineAction::Start) || has(EngineAction::Destroy);
    let (what, awaited) = match request.number {
        _ if restarted => ("docker restart", None),
        // A restart, if it was one, is told when all is over.
        _ if stopped && has(EngineAction::Destroy) => ("docker stop", None),
        _ if stopped => ("docker stop", Some(Awaited::Restart)),
        signals::KILL => ("docker kill or rm -f", None),
        _ if started => ("docker kill", None),
        _ => ("docker stop or kill", Some(Awaited::Rest)),
    };
    Some(Answer {
        event: *event,
        at: kill.at,
        // Dockerd that is shut down stops them too, and takes no requests.
        by_api: kill.answering,
        what,
        awaited,
    })
}

/// Podman names no signals and reports a stop when it is over; its command
/// stands in the lineage anyway.
fn podman(log: &[(u64, EngineEvent)], request: Request) -> Option<Answer> {
    let find = |wanted: fn(&EngineAction) -> bool, before, after| {
        log.iter()
            .find(|(_, e)| wanted(&e.action) && within(e.at, request.time, before, after))
    };
    let (what, (event, found)) = None
        .or_else(|| {
            let kill = |a: &EngineAction| matches!(a, EngineAction::Kill(_));
            Some(("podman kill", find(kill, SKEW_NS, REPORT_NS)?))
        })
        .or_else(|| {
            let restart = |a: &EngineAction| matches!(a, EngineAction::Restart);
            Some(("podman restart", find(restart, BEFORE_NS, SKEW_NS)?))
        })
        .or_else(|| {
            let stop = |a: &EngineAction| matches!(a, EngineAction::Stop);
            Some(("podman stop", find(stop, SKEW_NS, pid1::STOP_NS)?))
        })?;
    Some(Answer {
        event: *event,
        at: found.at,
        // Its commands need no API.
        by_api: false,
        what,
        awaited: None,
    })
}

fn within(at: BootTime, of: BootTime, before: u64, after: u64) -> bool {
    at.0.saturating_add(before) >= of.0 && at.0 <= of.0.saturating_add(after)
}

fn answer(known: &LookedUp, request: Request) -> Option<Answer> {
    let log: Vec<_> = known.told(request.home).copied().collect();
    match known.container_of(request.home)?.engine.as_deref()? {
        "docker" => docker(&log, request),
        "podman" => podman(&log, request),
        _ => None,
    }
}

/// The link that the engine's events allow.
pub(crate) fn link(known: &LookedUp, request: Request) -> Option<Link> {
    let answer = answer(known, request)?;
    Some(Link {
        event: Some(answer.event),
        what: answer.what.to_owned(),
        runtime: None,
        asked: Some(Asked {
            at: answer.at,
            by_api: answer.by_api,
        }),
    })
}

/// A death whose chain ends with a request.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) report: Box<ExitReport>,
    request: Request,
}

impl Engine {
    /// What an engine may still say about deaths that were reported.
    pub fn awaits_word(&self) -> Option<Awaited> {
        let known = &self.history.looked_up;
        let waits = |waiting: &Waiting| {
            let of = known.container_of(waiting.request.home);
            of.filter(|of| of.told)?;
            match answer(known, waiting.request) {
                Some(answer) => answer.awaited,
                None => Some(Awaited::Word),
            }
        };
        self.by_request.iter().filter_map(waits).max()
    }

    pub(super) fn may_be_asked(&mut self, report: &ExitReport, request: Option<Request>) {
        let Some(request) = request else { return };
        if self.history.looked_up.container_of(request.home).is_none() {
            return;
        }
        if self.by_request.len() == KEPT {
            self.by_request.pop_front();
        }
        self.by_request.push_back(Waiting {
            report: Box::new(report.clone()),
            request,
        });
    }

    /// An engine has spoken: the deaths of that container that it may have asked
    /// for are looked at again.
    pub(super) fn engine_told(&mut self, id: u64, time: BootTime, event: EngineEvent) {
        self.history.looked_up.tell(id, event);
        self.by_request
            .retain(|w| w.report.time.0.saturating_add(KEPT_NS) >= time.0);
        let mut kept = std::mem::take(&mut self.by_request);
        for waiting in kept.iter_mut().filter(|w| w.request.home == event.home) {
            let Some(link) = link(&self.history.looked_up, waiting.request) else {
                continue;
            };
            let chain = &mut waiting.report.chain;
            if chain.last() == Some(&link) {
                continue;
            }
            chain.retain(|link| link.asked.is_none());
            if ONE_STOP.contains(&&*link.what) {
                stop_request::was_one(&mut waiting.report.explanation, link.event);
            }
            chain.push(link);
            let now = Update::Asked(waiting.report.clone());
            let of = waiting.report.id;
            self.outbox.push(time, id, Report::Update { of, time, now });
        }
        self.by_request = kept;
    }
}
