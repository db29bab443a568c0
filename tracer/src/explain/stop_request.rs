//! The stop of a container: its runtime sends the stop signal to PID 1, waits
//! for the grace period, and then kills. Which signal begins one, whether a
//! SIGKILL is the end of one, and what kept the stop signal from working.
//!
//! What PID 1 does with a request to end from anybody stands in [`super::pid1`];
//! who is a runtime in [`super::runtime`].

use crate::event::{BootTime, PidNs, ProcessKey, Signal};
use crate::explain::report::{Certainty, Evidence, Stop};
use crate::history::note::{Fate, Note, NotedSender};
use crate::history::process::{Fatal, Process};
use crate::history::History;

use super::death::Death;
use super::engine::{Deadline, Engine, LOOKS_NS, WATCHES, WATCH_NS};
use super::runtime::{self, Recognized, Role};
use super::verdict::{Verdict, View};
use super::{pid1, signals, words};

/// A runtime is not woken earlier than it asked for, but clocks differ.
const EARLY_NS: u64 = 100_000_000;
/// On a busy host the runtime comes to kill so much later.
const LATE_NS: u64 = 5_000_000_000;

/// Whether a signal is one that a stop of this container begins with: the
/// configured one, or any that asks to end, because a stop can be asked for with
/// another (`docker stop --signal`).
pub(crate) fn may_begin(history: &History, ns: PidNs, number: i32) -> bool {
    configured(history, ns) == Some(number) || pid1::asks_to_end(number)
}

/// The container's own stop signal, where it is known.
pub(crate) fn configured(history: &History, ns: PidNs) -> Option<i32> {
    history.looked_up.container_of(ns)?.stop_signal
}

/// Whether a signal is the beginning of a stop: from a runtime to the PID 1 of a
/// container.
pub(crate) fn begins(history: &History, s: &Signal, by: &NotedSender) -> bool {
    let Some(ns) = s.target.pidns().filter(|_| s.target.is_pid1()) else {
        return false;
    };
    may_begin(history, ns, s.number)
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
    victim.task.namespaces.iter().rev().find_map(|&ns| {
        let one = view.history.pid1(ns)?;
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
        let stop = began(view.history, one, ns, &by, killer, fatal.time)?;
        Some(TimedOut { one, stop, killer })
    })
}

/// The stop signal that a runtime sent before it killed.
fn began<'a>(
    history: &History,
    one: &'a Process,
    ns: PidNs,
    killer: &NotedSender,
    role: Recognized,
    killed: BootTime,
) -> Option<&'a Note> {
    let own = |n: &&Note| {
        let Some(by) = &n.sender else { return false };
        // A podman is one command, and another one's stop is another stop. All
        // of dockerd's are dockerd's, which kills itself where runc cannot.
        let engine = role.role == Role::Engine && role.program != "podman" && n.stop;
        may_begin(history, ns, n.number)
            && (engine || runtime::behind(by) == runtime::behind(killer))
    };
    let mut all = pid1::got(one, killed, pid1::STOP_NS).filter(own);
    let newest = all.next()?;
    // Asked twice to stop, it is the first that ran out.
    let fits = |n: &Note| grace_fits(history, ns, words::between(n.time, killed));
    if fits(newest) {
        return Some(newest);
    }
    Some(all.find(|n| fits(n)).unwrap_or(newest))
}

/// Whether this was the container's own grace period, as far as that is known.
fn grace_fits(history: &History, ns: PidNs, used_ns: u64) -> bool {
    let own = grace(history, ns);
    own.is_some_and(|own| used_ns + EARLY_NS >= own && used_ns <= own.saturating_add(LATE_NS))
}

fn grace(history: &History, ns: PidNs) -> Option<u64> {
    history.looked_up.container_of(ns)?.grace_ns
}

/// How a stop went that ended at a time, however it ended. The container's own
/// grace period is that of this stop only if the runtime began it and did not
/// kill at another time.
pub(crate) fn course(view: View<'_>, one: &Process, note: &Note, at: BootTime) -> Stop {
    let ns = one.task.pidns();
    let killed = one
        .fatal
        .as_ref()
        .filter(|f| f.number == signals::KILL && f.time > note.time);
    let mut grace_ns = ns
        .filter(|_| note.stop)
        .and_then(|ns| grace(view.history, ns));
    if let (Some(ns), Some(killed)) = (ns, killed) {
        let used = words::between(note.time, killed.time);
        grace_ns = grace_ns.filter(|_| grace_fits(view.history, ns, used));
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
        "killed it"
    } else {
        "killed this process of its container too"
    };
    let grace = grace_words(view, one, waited, d);
    d.say(format!(
        "The {} {} asked PID 1 to end with {name}, waited {}{grace}, then {whom} with SIGKILL.",
        killer.role.words(),
        words::who(&s.current),
        words::span(waited),
    ));
    became(view, one, stop, fatal.time, d);
    d.stop = Some(Stop {
        used_ns: words::between(stop.time, at),
        ..course(view, one, stop, fatal.time)
    });
    d.link_process(view.history, &NotedSender::of(s), victim, false);
    super::death::link_note(view, one, stop, "PID 1", d);
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
        "The grace period of the container's stop had run out: the {} killed PID 1 {} after {}.",
        killer.role.words(),
        words::span(words::between(stop.time, fatal.time)),
        signals::name(stop.number),
    ));
    became(view, one, stop, fatal.time, d);
    true
}

/// ` (grace period 3 s)`; without one that fits, what is missing.
fn grace_words(view: View<'_>, one: &Process, waited: u64, d: &mut Death) -> String {
    let Some((ns, own)) = one
        .task
        .pidns()
        .and_then(|ns| Some((ns, grace(view.history, ns)?)))
    else {
        return String::new();
    };
    let whole = |ns: u64| match ns % 1_000_000_000 {
        0 => format!("{} s", ns / 1_000_000_000),
        _ => words::span(ns),
    };
    if grace_fits(view.history, ns, waited) {
        return format!(" (grace period {})", whole(own));
    }
    d.missing(
        format!(
            "which grace period this stop was asked for with (the container's own is {})",
            whole(own)
        ),
        Certainty::Inferred,
    );
    format!(" (the container's own grace period is {})", whole(own))
}

/// What became of the stop signal, and what to do about it.
fn became(view: View<'_>, one: &Process, stop: &Note, killed: BootTime, d: &mut Death) {
    let name = signals::name(stop.number);
    match (stop.fate, stop.reason) {
        (Fate::Dropped | Fate::Discarded, reason) => dropped(view, one, stop, reason, d),
        (Fate::Handled | Fate::Accepted, _) => acted(view, one, stop, killed, d),
        (Fate::Blocked, _) => {
            d.contributing.push("blocked-mask");
            d.say(format!("PID 1 blocked {name} to the end."));
            d.advise(format!(
                "let PID 1 unblock {name}, or wait for it (sigwait, signalfd)"
            ));
        }
        (Fate::Unknown, _) => {
            d.missing(
                format!("what became of the {name} to PID 1"),
                Certainty::Inferred,
            );
            d.say(format!("What PID 1 did with {name} is not known."));
        }
        (_, reason) => {
            d.contributing.push(reason.unwrap_or("too-slow"));
            d.say(format!(
                "PID 1 had not come to act on {name}{}.",
                reason.map_or_else(String::new, |reason| format!(" ({reason})"))
            ));
            d.advise("find out what kept PID 1 from running, or allow more time before the kill (docker stop --timeout)");
        }
    }
}

fn dropped(
    view: View<'_>,
    one: &Process,
    stop: &Note,
    reason: Option<&'static str>,
    d: &mut Death,
) {
    let name = signals::name(stop.number);
    let handler_later = handler_later(one, stop);
    if let Some((event, after)) = handler_later {
        d.contributing.push("startup-window");
        d.contributing.extend(reason);
        d.evidence(Evidence::Event(event));
        d.say(format!(
            "PID 1 had no handler for {name} yet, {} after it was started, so it was {} ({}); it had one {} later.",
            words::span(words::between(BootTime(one.task.key.start_ns), stop.time)),
            stop.fate.id(),
            reason.unwrap_or("unknown"),
            words::span(after),
        ));
        d.advise(format!(
            "stop it only once it is ready, install the handler for {name} first thing, or put an init in front that has one (docker run --init, tini)"
        ));
        return;
    }
    d.contributing.extend(reason);
    d.say(match reason {
        Some("init-no-handler") => format!(
            "PID 1 has no handler for {name}, so it was {} (init-no-handler).",
            stop.fate.id()
        ),
        Some("default-ignore") => {
            format!("{name} does nothing by default, and PID 1 has no handler for it.")
        }
        Some("sig-ign") => format!(
            "PID 1 ignores {name} (SIG_IGN), so it was {}.",
            stop.fate.id()
        ),
        Some(reason) => format!("{name} was {} ({reason}).", stop.fate.id()),
        None => format!("{name} was {} before PID 1 acted on it.", stop.fate.id()),
    });
    if wrong(view, one, stop, d) {
        return;
    }
    d.advise(match reason {
        Some("sig-ign") => format!("let PID 1 handle {name}, or reset it before exec: SIG_IGN is inherited, as from nohup or a shell's background job"),
        _ => format!("give PID 1 a handler for {name}, or use an init that has one (docker run --init, tini)"),
    });
}

/// The container is configured to be stopped with a signal that is not the usual
/// one and does nothing to its PID 1.
fn wrong(view: View<'_>, one: &Process, stop: &Note, d: &mut Death) -> bool {
    let configured = one.task.pidns().and_then(|ns| configured(view.history, ns));
    if stop.number == signals::TERM || configured != Some(stop.number) {
        return false;
    }
    let name = signals::name(stop.number);
    let handles_term = one
        .dispositions
        .is_some_and(|seen| seen.caught & signals::bit(signals::TERM) != 0);
    d.say(format!(
        "{name} is the stop signal that the container is configured with (StopSignal){}.",
        if handles_term {
            "; PID 1 has a handler for SIGTERM instead"
        } else {
            ""
        }
    ));
    d.advise(if handles_term {
        "remove the configured stop signal (STOPSIGNAL in the image, docker run --stop-signal), so that SIGTERM is sent".to_owned()
    } else {
        format!("configure a stop signal that PID 1 handles (STOPSIGNAL in the image, docker run --stop-signal), or handle {name} in it")
    });
    true
}

/// A handler for a signal that was thrown away was there later: the event that
/// shows it, and how long after the signal that was.
fn handler_later(one: &Process, stop: &Note) -> Option<(u64, u64)> {
    let without = matches!(stop.reason, Some("init-no-handler" | "default-ignore"));
    if !without {
        return None;
    }
    let ran = one
        .notes
        .iter()
        .find(|n| n.number == stop.number && n.fate == Fate::Handled && n.time > stop.time)
        .map(|n| (n.event, words::between(stop.time, n.time)));
    let seen = || {
        let (event, time) = one.looked.filter(|&(_, time)| time > stop.time)?;
        let caught = one.dispositions?.caught & signals::bit(stop.number) != 0;
        caught.then(|| (event, words::between(stop.time, time)))
    };
    ran.or_else(seen)
}

/// PID 1 acted on it and was still there: did it tell the others?
fn acted(view: View<'_>, one: &Process, stop: &Note, killed: BootTime, d: &mut Death) {
    let name = signals::name(stop.number);
    let verb = if stop.fate == Fate::Accepted {
        "took"
    } else {
        "handled"
    };
    d.contributing.push("too-slow");
    let others = others(view, one, killed);
    let told = one
        .sent
        .iter()
        .filter(|s| s.time >= stop.time && s.time <= killed)
        .any(|s| s.number != signals::KILL);
    let blind = view.blind_to(stop.number, stop.time, one).is_some()
        || !view.coverage.filter.sender(&one.task)
        || !one.sent.complete_since(stop.time);
    if others > 0 && !told && !blind {
        d.contributing.push("not-forwarded");
        d.say(format!(
            "PID 1 {verb} {name}, sent nothing on to the {} in its namespace, and was still running.",
            words::count(others, "other process", "other processes"),
        ));
        d.advise(format!(
            "forward {name} in PID 1 and wait for the children, or use an init that does (docker run --init, tini)"
        ));
    } else {
        d.say(format!("PID 1 {verb} {name} and was still running."));
    }
    d.advise("make it end faster once it is asked to, or allow more time before the kill (docker stop --timeout, docker run --stop-timeout)");
}

/// How many others lived in its namespace when it was killed. They die of its
/// end, which is a moment later.
fn others(view: View<'_>, one: &Process, killed: BootTime) -> u64 {
    let Some(ns) = one.task.pidns() else { return 0 };
    view.history
        .members(ns)
        .filter(|p| {
            let gone = p.exit.is_some_and(|e| e.time <= killed) || p.reaped;
            !gone && p.task.key != one.task.key
        })
        .count() as u64
}

impl Engine {
    /// A PID 1 threw a request to end away for want of a handler: it is looked at
    /// from now on, because one that comes later tells why.
    pub(super) fn watch(
        &mut self,
        target: ProcessKey,
        s: &Signal,
        verdict: &Verdict,
        time: BootTime,
    ) {
        let thrown_away = matches!(verdict.fate, Fate::Dropped | Fate::Discarded)
            && matches!(verdict.reason, Some("init-no-handler" | "default-ignore"));
        let Some(ns) = s
            .target
            .pidns()
            .filter(|_| thrown_away && s.target.is_pid1())
        else {
            return;
        };
        if !may_begin(&self.history, ns, s.number) {
            return;
        }
        let Some(process) = self.history.process_mut(target) else {
            return;
        };
        if !std::mem::replace(&mut process.watched, true) {
            self.at(time, LOOKS_NS[0], Deadline::Watch(target, 0));
        }
    }

    /// Once more.
    pub(super) fn watch_again(&mut self, time: BootTime, key: ProcessKey, looks: u8) {
        let Some(process) = self.history.process_mut(key) else {
            return;
        };
        let over = process.exit.is_some() || process.reaped;
        if over || looks >= WATCHES {
            process.watched = false;
            return;
        }
        self.look_at(key);
        self.at(time, WATCH_NS, Deadline::Watch(key, looks + 1));
    }
}
