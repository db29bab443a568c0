//! PID 1 did not exit: a signal ended it, and with it the namespace. What that has
//! to do with a process that was killed with the rest.

use crate::event::BootTime;
use crate::explain::report::{Certainty, Evidence};
use crate::history::process::Process;

use super::death::{self, Death};
use super::passed_on::{self, Cut};
use super::pid1;
use super::verdict::{left_out, Blind, View};
use super::{signals, stop_request, words};

/// PID 1 did not exit: a signal ended it. If it had acted on a request to end
/// before, what it had passed on counts first: that is a stop whose grace period
/// ran out.
pub(crate) fn about(
    view: View<'_>,
    victim: &Process,
    one: &Process,
    number: i32,
    killed: BootTime,
    d: &mut Death,
) {
    let at = one.fatal.as_ref().map_or(killed, |f| f.time.min(killed));
    let asked = pid1::request(one, at);
    match asked {
        Some(stop) => {
            d.evidence(Evidence::Event(stop.event));
            let cut = Cut {
                at: killed,
                by: Some(number),
            };
            passed_on::about(view, victim, one, stop, cut, d);
        }
        None => unasked(view, victim, one, number, at, d),
    }
    match &one.fatal {
        Some(fatal) => {
            d.evidence(Evidence::Event(fatal.event));
            if number == signals::KILL && asked.is_none() {
                pid1::unanswered_stop(view, one, "PID 1", fatal.time, d);
            }
            death::follow(view, one, killed, d);
        }
        None => d.missing(
            format!("who sent {} to PID 1", signals::name(number)),
            Certainty::Inferred,
        ),
    }
    if stop_request::ran_out(view, one) {
        // Why it had to be is known, and said.
        return;
    }
    d.advise(if number == signals::KILL {
        "find out why PID 1 had to be killed; its end is the end of every process in its namespace"
    } else {
        "find out why PID 1 crashed; its end is the end of every process in its namespace"
    });
}

/// PID 1 was not seen to act on a request to end before a signal ended it.
fn unasked(
    view: View<'_>,
    victim: &Process,
    one: &Process,
    number: i32,
    at: BootTime,
    d: &mut Death,
) {
    let name = signals::name(number);
    let told =
        victim.notes.iter().rev().find(|n| {
            n.time <= at && n.number != signals::KILL && passed_on::is_from(view, n, one)
        });
    if let Some(note) = told {
        d.evidence(Evidence::Event(note.event));
        return d.say(format!(
            "PID 1 had sent this process {} {} before it was ended by {name} itself.",
            signals::name(note.number),
            words::span(words::between(note.time, at))
        ));
    }
    let kill = number == signals::KILL;
    let first = if kill {
        "SIGKILL leaves PID 1 no chance to pass anything on".to_owned()
    } else {
        format!("It ended by {name} before it could pass anything on to its children")
    };
    let started = BootTime(victim.task.key.start_ns);
    let left_out = left_out(view.coverage);
    match view.blind_to(signals::TERM, started, victim) {
        Some(Blind::Late) => d.say(format!(
            "{first}, and it had sent this process {} since sigtrace was attached.",
            if left_out.is_some() { "no SIGTERM" } else { "nothing" }
        )),
        Some(blind) => {
            d.missing(blind.missing(), Certainty::Inferred);
            d.say(format!(
                "{first}; whether it had told this process to end before is not known: {}.",
                blind.because()
            ));
        }
        None if !victim.notes.complete_since(started) => {
            d.missing(
                "older signals, which were forgotten to bound memory",
                Certainty::Inferred,
            );
            d.say(format!(
                "{first}; whether it had told this process to end before is no longer known."
            ));
        }
        None if left_out.is_some() => d.say(format!(
            "{first}; it had sent this process no SIGTERM before, and whether another signal is not known: {}.",
            left_out.unwrap_or_default()
        )),
        None if kill => d.say(format!(
            "{first}, so this process was not told to end by it."
        )),
        None => d.say(format!("{first}.")),
    }
}
