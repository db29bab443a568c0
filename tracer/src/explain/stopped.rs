//! What the signal that asked PID 1 to end has to do with a process that was
//! killed with the rest of the namespace. Each situation has its own sentence,
//! and none is said unless the history covers it. What PID 1 passed on stands in
//! [`super::passed_on`], its end by a signal in [`super::pid1_killed`].

use crate::event::BootTime;
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::{Fate, Note};
use crate::history::process::Process;

use super::chain;
use super::death::Death;
use super::passed_on::{self, Cut};
use super::pid1::{self, End};
use super::verdict::{left_out, Blind, View};
use super::{pid1_killed, signals, words};

/// Adds sentence, advice, contributing reasons and the rest of the chain.
pub(crate) fn about(
    view: View<'_>,
    victim: &Process,
    one: &Process,
    end: &End,
    killed: BootTime,
    d: &mut Death,
) {
    if let End::Killed(number) = end {
        return pid1_killed::about(view, victim, one, *number, killed, d);
    }
    let ended = one.exit.map_or(killed, |e| e.time.min(killed));
    match pid1::stop_signal(one, ended) {
        Some(stop) => {
            d.evidence(Evidence::Event(stop.event));
            if stop.acted_on() {
                if pid1::own(one, stop) {
                    d.say(format!(
                        "PID 1 had sent {} to itself.",
                        signals::name(stop.number)
                    ));
                }
                chain::link_note(view, one, stop, "PID 1", d);
                passed_on::about(view, victim, one, stop, Cut::exited(killed), d);
            } else {
                not_acted(view, one, stop, ended, d);
            }
        }
        None => without_stop(view, one, ended, d),
    }
}

/// A stop signal that PID 1 did not act on; it exited all the same.
fn not_acted(view: View<'_>, one: &Process, stop: &Note, ended: BootTime, d: &mut Death) {
    let name = signals::name(stop.number);
    let before = words::span(words::between(stop.time, ended));
    let lost = |kind| view.history.lost_since(kind, stop.time) > 0;
    let fate = match stop.fate {
        // Settled by its generation alone.
        Fate::Dropped => Fate::Dropped,
        // It was not seen to be taken, and might have been.
        _ if lost("deliver") || lost("dequeue") => Fate::Unknown,
        fate => fate,
    };
    if fate == stop.fate {
        d.contributing.extend(stop.reason);
    }
    d.say(match fate {
        Fate::Dropped | Fate::Discarded => format!(
            "The {name} that PID 1 got {before} before did nothing ({}): PID 1 exited on its own.",
            stop.reason.unwrap_or("unknown")
        ),
        Fate::Blocked => format!("PID 1 blocked the {name} that it got {before} before, and exited without acting on it."),
        Fate::Unknown => format!("PID 1 got {name} {before} before; what it did with it is not known."),
        _ => format!("PID 1 exited without acting on the {name} that it got {before} before."),
    });
    if fate == Fate::Unknown {
        d.missing(
            format!("what became of the {name} to PID 1"),
            Certainty::Inferred,
        );
    }
    d.advise(own_exit(one));
}

fn own_exit(one: &Process) -> String {
    format!("let {} wait for its children before it exits: its end is the end of every process in its namespace", one.task.comm)
}

/// No request to end was seen: it did not come, or it cannot be known.
fn without_stop(view: View<'_>, one: &Process, ended: BootTime, d: &mut Death) {
    let started = BootTime(one.task.key.start_ns);
    let seen = seen_instead(one, ended, d);
    match view.blind_to(signals::TERM, started, one) {
        Some(Blind::Late) => {
            d.contributing.push("late-attach");
            d.missing(Blind::Late.missing(), Certainty::Inferred);
            d.say(format!(
                "{}sigtrace was not attached before the last {} of PID 1; whether it got a SIGTERM before that is not known.",
                seen.map_or_else(String::new, |s| format!("{s} ")),
                words::span(words::between(view.coverage.since, ended))
            ));
            // What helps however that was; the other helps the next time.
            d.advise(own_exit(one));
            d.advise("attach sigtrace before the stop to see what PID 1 does with the signal");
            return;
        }
        Some(blind) => {
            d.missing(blind.missing(), Certainty::Inferred);
            d.say(format!(
                "{}Whether PID 1 was asked to end (SIGTERM) is not known: {}.",
                seen.map_or_else(String::new, |s| format!("{s} ")),
                blind.because()
            ));
        }
        None if !one.notes.complete_since(started) => {
            d.missing(
                "older signals to PID 1, which were forgotten to bound memory",
                Certainty::Inferred,
            );
            d.say(format!(
                "{}Whether PID 1 was asked to end long ago is no longer known.",
                seen.map_or_else(String::new, |s| format!("{s} "))
            ));
        }
        None => {
            let first = seen.unwrap_or_else(|| "No SIGTERM was sent to PID 1".to_owned());
            let own = pid1::own_sigterm(one, ended).is_some();
            d.say(match left_out(view.coverage) {
                None if !first.ends_with('.') => format!("{first}: it exited on its own."),
                None if own => format!("{first} No other was sent to it: it exited on its own."),
                None => first,
                Some(why) if first.ends_with('.') => {
                    format!("{first} Whether another signal asked it to end is not known: {why}.")
                }
                Some(why) => {
                    format!("{first}; whether another signal asked it to end is not known: {why}.")
                }
            });
        }
    }
    d.advise(own_exit(one));
}

/// It sent SIGTERM to itself, and did not act on it.
fn own_sigterm(note: &Note, ended: BootTime) -> String {
    let before = words::span(words::between(note.time, ended));
    match note.fate {
        Fate::Dropped | Fate::Discarded => format!(
            "The SIGTERM that PID 1 had sent to itself {before} before did nothing ({}).",
            note.reason.unwrap_or("unknown")
        ),
        Fate::Unknown => format!(
            "PID 1 had sent SIGTERM to itself {before} before; what it did with it is not known."
        ),
        _ => format!(
            "PID 1 had sent SIGTERM to itself {before} before, and exited without acting on it."
        ),
    }
}

/// What PID 1 was seen to get that explains nothing for certain.
fn seen_instead(one: &Process, ended: BootTime, d: &mut Death) -> Option<String> {
    if let Some(note) = pid1::perhaps_request(one, ended) {
        d.evidence(Evidence::Event(note.event));
        return Some(format!(
            "PID 1 {} {} {} before it exited; whether it exited because of that is not known.",
            passed_on::verb(note),
            signals::name(note.number),
            pid1::acted_before(note, ended)
        ));
    }
    if let Some(note) = pid1::own_sigterm(one, ended) {
        d.evidence(Evidence::Event(note.event));
        d.contributing.extend(note.reason);
        return Some(own_sigterm(note, ended));
    }
    let note = pid1::old_sigterm(one, ended)?;
    d.evidence(Evidence::Event(note.event));
    Some(format!(
        "The last SIGTERM to PID 1 was sent {} before: too long ago to be taken for the cause of its exit.",
        words::span(words::between(note.time, ended))
    ))
}
