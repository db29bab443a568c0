//! The stop of a container: its runtime sends the stop signal to PID 1, waits
//! for the grace period, and then kills. Which signal begins one, and whether a
//! SIGKILL is the end of one; what kept the stop signal from working stands in
//! [`super::stop_answer`].
//!
//! What PID 1 does with a request to end from anybody stands in [`super::pid1`];
//! who is a runtime in [`super::runtime`].

use crate::event::{BootTime, Home, Signal};
use crate::explain::report::{Certainty, Evidence, Explanation, Stop};
use crate::history::note::{Note, NotedSender};
use crate::history::process::{Fatal, Process};
use crate::history::History;

use super::death::Death;
use super::lead::{self, Lead};
use super::runtime::{self, Recognized, Role};
use super::verdict::View;
use super::{chain, pid1, signals, stop_answer, words};

/// A runtime is not woken earlier than it asked for, but clocks differ.
const EARLY_NS: u64 = 100_000_000;
/// On a busy host the runtime comes to kill so much later.
const LATE_NS: u64 = 5_000_000_000;

/// What is missing where the grace period was another one than the container's own.
const ONE_OR_TWO: &str = "whether this was one stop";

/// The engine says that it was one.
pub(super) fn was_one(e: &mut Explanation, says: Option<u64>) {
    let before = e.missing.len();
    e.missing.retain(|missing| !missing.starts_with(ONE_OR_TWO));
    if e.missing.len() == before {
        return;
    }
    e.evidence.extend(says.map(Evidence::Event));
    if e.missing.is_empty() {
        e.certainty = Certainty::Proven;
    }
}

/// Whether a signal is one that a stop of this container begins with: the
/// configured one, or any that asks to end, because a stop can be asked for with
/// another (`docker stop --signal`).
pub(crate) fn may_begin(history: &History, home: Home, number: i32) -> bool {
    configured(history, home) == Some(number) || pid1::asks_to_end(number)
}

/// The container's own stop signal, where it is known.
pub(crate) fn configured(history: &History, home: Home) -> Option<i32> {
    history.looked_up.container_of(home)?.stop_signal
}

/// Whether a signal is the beginning of a stop: from a runtime to the PID 1 of a
/// container.
pub(crate) fn begins(history: &History, s: &Signal, by: &NotedSender) -> bool {
    let Some(home) = lead::led(history, &s.target) else {
        return false;
    };
    may_begin(history, home, s.number)
        && history
            .process(s.target.key)
            .is_some_and(|one| runtime::sender(history, by, one).is_some())
}

/// A stop whose grace period ran out.
pub(crate) struct TimedOut<'a> {
    /// The PID 1 that did not end.
    one: &'a Process,
    /// Its stop signal.
    stop: &'a Note,
    /// Who killed.
    killer: Recognized,
}

/// Whether a SIGKILL is the end of a stop: from the runtime's lineage, after its
/// own stop signal to the PID 1 of the same container, which has not ended
/// since, or is being killed by the same hand.
pub(crate) fn timed_out<'a>(
    view: View<'a>,
    victim: &Process,
    fatal: &Fatal,
    s: &Signal,
) -> Option<TimedOut<'a>> {
    if s.number != signals::KILL {
        return None;
    }
    let by = NotedSender::of(s);
    let killer = runtime::sender(view.history, &by, victim)?;
    // Of a namespace nested in the container's, the container's PID 1 counts.
    lead::all(view.history, &victim.task).find_map(|Lead { one, home }| {
        let ended = one
            .exit
            .or(one.exiting)
            .is_some_and(|e| e.time < fatal.time);
        let by_same_hand = one.fatal.as_ref().is_some_and(|f| {
            let sender = f.signal.as_ref().map(|s| s.current.key);
            f.number == signals::KILL && sender == Some(s.current.key)
        });
        if ended && !by_same_hand && one.task.key != victim.task.key {
            return None;
        }
        let stop = began(view.history, one, home, &by, killer, fatal.time)?;
        Some(TimedOut { one, stop, killer })
    })
}

/// The stop signal that a runtime sent before it killed.
fn began<'a>(
    history: &History,
    one: &'a Process,
    home: Home,
    killer: &NotedSender,
    role: Recognized,
    killed: BootTime,
) -> Option<&'a Note> {
    let own = |n: &&Note| {
        let Some(by) = &n.sender else { return false };
        // What `docker exec` runs has the same parents as the runtime, and is the
        // container's own.
        let inside = match home {
            Home::PidNs(ns) => by.namespaces.contains(&ns),
            Home::Cgroup(id) => by.cgroup == Some(id),
        };
        if inside {
            return false;
        }
        // A podman is one command, and another one's stop is another stop. All
        // of dockerd's are dockerd's, which kills itself where runc cannot.
        let engine = role.role == Role::Engine && role.program != "podman" && n.stop;
        may_begin(history, home, n.number)
            && (engine || runtime::behind(by) == runtime::behind(killer))
    };
    let mut all = pid1::got(one, killed, pid1::STOP_NS).filter(own);
    let newest = all.next()?;
    // Asked twice to stop, it is the first that ran out.
    let fits = |n: &Note| grace_fits(history, home, words::between(n.time, killed));
    if fits(newest) {
        return Some(newest);
    }
    Some(all.find(|n| fits(n)).unwrap_or(newest))
}

/// Whether this was the container's own grace period, as far as that is known.
fn grace_fits(history: &History, home: Home, used_ns: u64) -> bool {
    let own = grace(history, home);
    own.is_some_and(|own| used_ns + EARLY_NS >= own && used_ns <= own.saturating_add(LATE_NS))
}

fn grace(history: &History, home: Home) -> Option<u64> {
    history.looked_up.container_of(home)?.grace_ns
}

/// How a stop went that ended at a time, however it ended. The container's own
/// grace period is that of this stop only if the runtime began it and did not
/// kill at another time.
pub(crate) fn course(view: View<'_>, one: &Process, note: &Note, at: BootTime) -> Stop {
    let home = lead::led(view.history, &one.task);
    let killed = one
        .fatal
        .as_ref()
        .filter(|f| f.number == signals::KILL && f.time > note.time);
    let mut grace_ns = home
        .filter(|_| note.stop)
        .and_then(|home| grace(view.history, home));
    if let (Some(home), Some(killed)) = (home, killed) {
        let used = words::between(note.time, killed.time);
        grace_ns = grace_ns.filter(|_| grace_fits(view.history, home, used));
    }
    Stop {
        signal: note.number,
        grace_ns,
        used_ns: words::between(note.time, at),
    }
}

/// Words, chain and contributing reasons of a death by it.
pub(crate) fn explain(
    view: View<'_>,
    victim: &Process,
    fatal: &Fatal,
    s: &Signal,
    out: &TimedOut<'_>,
    at: BootTime,
    d: &mut Death,
) {
    let TimedOut { one, stop, killer } = out;
    d.evidence(Evidence::Event(stop.event));
    if !killer.sure {
        d.missing(
            format!(
                "which files {} and its parents run: only their names say what they are",
                s.current.comm
            ),
            Certainty::Inferred,
        );
    }
    let name = signals::name(stop.number);
    let waited = words::between(stop.time, fatal.time);
    let whom = if one.task.key == victim.task.key {
        "it"
    } else {
        "this process of its container too"
    };
    let it = lead::called(one).then;
    let allowed = grace_words(view, one, waited, d);
    // One program asks and another kills: between them somebody else waits.
    let (asked, by) = match &stop.sender {
        Some(by) if by.key != s.current.key => (
            format!("{} {}", by.comm, by.key.pid),
            words::who(&s.current),
        ),
        _ => (words::who(&s.current), "it".to_owned()),
    };
    d.say(format!(
        "The {} {asked} asked {it} to end with {name}; {} later{allowed} {by} killed {whom} with SIGKILL.",
        killer.role.words(),
        words::span(waited),
    ));
    stop_answer::became(view, one, stop, fatal.time, d);
    let own =
        lead::led(view.history, &one.task).filter(|&home| grace_fits(view.history, home, waited));
    d.stop = Some(Stop {
        signal: stop.number,
        grace_ns: own.and_then(|home| grace(view.history, home)),
        used_ns: words::between(stop.time, at),
    });
    let by = NotedSender::of(s);
    d.link_process(view.history, &by, victim, false);
    // A signal that is routine elsewhere comes without ancestry: that of its
    // sender's parent is the same.
    let mut stop = Note::clone(stop);
    if let Some(sender) = stop.sender.as_mut().filter(|s| s.ancestry.is_empty()) {
        if by
            .ancestry
            .first()
            .is_some_and(|a| a.key.pid == sender.ppid)
        {
            sender.ancestry.clone_from(&by.ancestry);
        }
    }
    chain::link_note(view, one, &stop, it, d);
}

/// Whether a PID 1 was killed because a stop's grace period had run out.
pub(crate) fn ran_out(view: View<'_>, one: &Process) -> bool {
    let fatal = one.fatal.as_ref();
    fatal
        .and_then(|fatal| timed_out(view, one, fatal, fatal.signal.as_deref()?))
        .is_some()
}

/// Says of a PID 1 that was killed that it was the end of a stop, and what had
/// become of the stop signal; false if it was none.
pub(crate) fn behind(view: View<'_>, one: &Process, d: &mut Death) -> bool {
    let Some((fatal, s)) = one
        .fatal
        .as_ref()
        .and_then(|f| Some((f, f.signal.as_deref()?)))
    else {
        return false;
    };
    let Some(TimedOut { one, stop, killer }) = timed_out(view, one, fatal, s) else {
        return false;
    };
    d.evidence(Evidence::Event(stop.event));
    d.say(format!(
        "The grace period of the container's stop had run out: the {} killed {} {} after {}.",
        killer.role.words(),
        lead::called(one).then,
        words::span(words::between(stop.time, fatal.time)),
        signals::name(stop.number),
    ));
    stop_answer::became(view, one, stop, fatal.time, d);
    true
}

/// ` (grace period 3 s)`; without one that fits, what is missing.
fn grace_words(view: View<'_>, one: &Process, waited: u64, d: &mut Death) -> String {
    let home = lead::led(view.history, &one.task);
    let Some((home, own)) = home.and_then(|home| Some((home, grace(view.history, home)?))) else {
        return String::new();
    };
    let whole = |ns: u64| match ns % 1_000_000_000 {
        0 => format!("{} s", ns / 1_000_000_000),
        _ => words::span(ns).to_string(),
    };
    if grace_fits(view.history, home, waited) {
        return format!(" (grace period {})", whole(own));
    }
    d.missing(
        format!(
            "{ONE_OR_TWO} with another grace period (the container's own is {}), or two signals that were asked for one by one",
            whole(own)
        ),
        Certainty::Inferred,
    );
    format!(" (the container's own grace period is {})", whole(own))
}
