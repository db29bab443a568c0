//! What a PID 1 did with the stop signal of its container's runtime, when the
//! grace period was not enough: the contributing reasons, in words, and what to
//! do about each. Also the looks at a PID 1 that had no handler: one that is
//! installed later tells that the stop came too early.

use crate::event::{BootTime, ProcessKey, Signal, Task};
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::{Fate, Note};
use crate::history::process::Process;
use crate::history::History;

use super::agenda::Deadline;
use super::death::Death;
use super::engine::{Engine, LOOKS_NS, WATCHES, WATCH_NS};
use super::stop_request::{configured, may_begin};
use super::verdict::{left_out, Verdict, View};
use super::{lead, quota, signals, words};

/// What became of the stop signal, and what to do about it.
pub(crate) fn became(view: View<'_>, one: &Process, stop: &Note, killed: BootTime, d: &mut Death) {
    let name = signals::name(stop.number);
    let it = lead::called(one);
    match (stop.fate, stop.reason) {
        (Fate::Dropped | Fate::Discarded, reason) => dropped(view, one, stop, reason, d),
        (Fate::Handled | Fate::Accepted, _) => acted(view, one, stop, killed, d),
        (Fate::Blocked, _) => {
            d.contributing.push("blocked-mask");
            d.say(format!("{} blocked {name} to the end.", it.first));
            d.advise(format!(
                "let {} unblock {name}, or wait for it (sigwait, signalfd)",
                it.then
            ));
        }
        (Fate::Unknown, _) => {
            d.missing(
                format!("what became of the {name} to {}", it.then),
                Certainty::Inferred,
            );
            d.say(format!("What {} did with {name} is not known.", it.then));
        }
        (_, reason) => {
            d.contributing.push(reason.unwrap_or("too-slow"));
            d.say(format!(
                "{} had not come to act on {name}{}.",
                it.first,
                reason.map_or_else(String::new, |reason| format!(" ({reason})"))
            ));
            quota::slowed(one, it.then, stop.time, killed, d);
            d.advise(format!("find out what kept {} from running, or allow more time before the kill (stop -t, run --stop-timeout)", it.then));
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
    let it = lead::called(one);
    let handler_later = handler_later(one, stop);
    if let Some((event, after)) = handler_later {
        d.contributing.push("startup-window");
        d.contributing.extend(reason);
        d.evidence(Evidence::Event(event));
        d.say(format!(
            "{} had no handler for {name} yet, {} after it was started, so it was {} ({}); one was there {} later.",
            it.first,
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
            format!(
                "{name} does nothing by default, and {} has no handler for it.",
                it.then
            )
        }
        Some("sig-ign") => format!(
            "{} ignores {name} (SIG_IGN), so it was {}.",
            it.first,
            stop.fate.id()
        ),
        Some(reason) => format!("{name} was {} ({reason}).", stop.fate.id()),
        None => format!(
            "{name} was {} before {} acted on it.",
            stop.fate.id(),
            it.then
        ),
    });
    if wrong(view, one, stop, d) {
        return;
    }
    d.advise(match reason {
        Some("sig-ign") => format!("let {} handle {name}, or reset it before exec: SIG_IGN is inherited, as from nohup or a shell's background job", it.then),
        _ if it.then != "PID 1" => format!("give {} a handler for {name}", it.then),
        _ => format!("give PID 1 a handler for {name}, or use an init that has one (docker run --init, tini)"),
    });
}

/// The container is configured to be stopped with a signal that is not the usual
/// one and does nothing to its PID 1.
fn wrong(view: View<'_>, one: &Process, stop: &Note, d: &mut Death) -> bool {
    let home = lead::led(view.history, &one.task);
    let configured = home.and_then(|home| configured(view.history, home));
    let it = lead::called(one);
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
            format!("; {} has a handler for SIGTERM instead", it.then)
        } else {
            String::new()
        }
    ));
    d.advise(if handles_term {
        "remove the configured stop signal (STOPSIGNAL in the image, docker run --stop-signal), so that SIGTERM is sent".to_owned()
    } else {
        format!("configure a stop signal that {} handles (STOPSIGNAL in the image, docker run --stop-signal), or handle {name} in it", it.then)
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
    let it = lead::called(one);
    let verb = if stop.fate == Fate::Accepted {
        "took"
    } else {
        "handled"
    };
    d.contributing.push("too-slow");
    let mut forward = None;
    let others = one
        .others
        .unwrap_or_else(|| others(view.history, &one.task));
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
        let (nothing, another) = match left_out(view.coverage) {
            Some(why) => (
                format!("no {name}"),
                format!(" Whether it sent another signal instead is not known: {why}."),
            ),
            None => ("nothing".to_owned(), String::new()),
        };
        d.say(format!(
            "{} {verb} {name}, sent {nothing} on to the {} in its {}, and was still running.{another}",
            it.first,
            words::count(others, "other process", "other processes"),
            if one.task.is_pid1() {
                "namespace"
            } else {
                "container"
            },
        ));
        forward = Some(words::forward(&name, it.then));
    } else {
        d.say(format!("{} {verb} {name} and was still running.", it.first));
    }
    quota::slowed(one, it.then, stop.time, killed, d);
    d.advise("make it end faster once it is asked to, or allow more time before the kill (stop -t, run --stop-timeout)");
    if let Some(forward) = forward {
        d.advise(forward);
    }
}

/// How many others live in the container that a process leads. Of one that a
/// signal ends they die a moment later, so they are counted when it comes.
pub(crate) fn others(history: &History, one: &Task) -> u64 {
    let living = lead::led(history, one).map(|home| history.living(home));
    living.unwrap_or(0).saturating_sub(1)
}

impl Engine {
    /// A PID 1 threw a request to end away for want of a handler: it is looked at
    /// from now on, because one that comes later tells why. Whether it was for want of
    /// a handler.
    pub(super) fn watch(
        &mut self,
        target: ProcessKey,
        s: &Signal,
        verdict: &Verdict,
        time: BootTime,
    ) -> bool {
        let thrown_away = matches!(verdict.fate, Fate::Dropped | Fate::Discarded)
            && matches!(verdict.reason, Some("init-no-handler" | "default-ignore"));
        let led = lead::led(&self.history, &s.target);
        let Some(home) = led.filter(|_| thrown_away) else {
            return false;
        };
        if !may_begin(&self.history, home, s.number) {
            return false;
        }
        let Some(process) = self.history.process_mut(target) else {
            return false;
        };
        if !std::mem::replace(&mut process.watched, true) {
            self.at(time, LOOKS_NS[0], Deadline::Watch(target, 0));
        }
        verdict.reason == Some("init-no-handler")
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
