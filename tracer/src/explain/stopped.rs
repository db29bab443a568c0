//! What the signal that asked PID 1 to end has to do with a process that was
//! killed with the rest of the namespace. Each situation has its own sentence,
//! and none is said unless the history covers it.

use crate::event::BootTime;
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::{Fate, Note};
use crate::history::process::Process;

use super::death::{self, Death};
use super::pid1::{self, End};
use super::signals;
use super::verdict::{Blind, View};
use super::words;

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
        return pid1_killed(view, victim, one, *number, killed, d);
    }
    let ended = one.exit.map_or(killed, |e| e.time.min(killed));
    match pid1::stop_signal(one, ended) {
        Some(stop) => {
            d.evidence(Evidence::Event(stop.event));
            if stop.acted_on() {
                death::link_note(view, one, stop, "PID 1", d);
                acted(view, victim, one, stop, Cut::exited(killed), d);
            } else {
                not_acted(one, stop, ended, d);
            }
        }
        None => without_stop(view, one, ended, d),
    }
}

/// PID 1's end, as what cut short those that were not done.
#[derive(Clone, Copy)]
struct Cut {
    /// When this process was killed.
    at: BootTime,
    /// The signal that had ended PID 1; `None`: it had exited.
    by: Option<i32>,
}

impl Cut {
    fn exited(at: BootTime) -> Self {
        Self { at, by: None }
    }

    /// `PID 1 exited without waiting for it to finish`; `for_what` is what it
    /// did not wait for.
    fn end(self, for_what: &str) -> String {
        match self.by {
            Some(number) => format!("PID 1 was killed by {}", signals::name(number)),
            None => format!("PID 1 exited without waiting{for_what}"),
        }
    }

    fn advice(self, else_this: &'static str) -> &'static str {
        match self.by {
            Some(signals::KILL) => "make it end faster once it is asked to, or allow more time before the kill (docker stop --timeout)",
            Some(_) => "find out why PID 1 crashed while it ended",
            None => else_this,
        }
    }
}

fn verb(stop: &Note) -> &'static str {
    if stop.fate == Fate::Accepted {
        "took"
    } else {
        "handled"
    }
}

/// PID 1 acted on the stop signal and exited: what did this process get?
fn acted(view: View<'_>, victim: &Process, one: &Process, stop: &Note, cut: Cut, d: &mut Death) {
    let killed = cut.at;
    let from_pid1 = |n: &&Note| is_from(view, n, one);
    let got = || {
        victim
            .notes
            .iter()
            .filter(|n| n.time >= stop.time && n.time <= killed && n.number != signals::KILL)
    };
    if let Some(note) = got().filter(from_pid1).find(|n| n.number == stop.number) {
        return forwarded(stop, note, cut, d);
    }
    if let Some(note) = got().rfind(from_pid1) {
        return another(stop, note, d);
    }
    if let Some(note) = got().find(|n| n.number == stop.number) {
        return from_elsewhere(stop, note, cut, d);
    }
    nothing(view, victim, one, stop, killed, d);
}

fn is_from(view: View<'_>, note: &Note, one: &Process) -> bool {
    note.sender
        .as_ref()
        .is_some_and(|s| view.history.resolve(s.key) == one.task.key)
}

fn forwarded(stop: &Note, note: &Note, cut: Cut, d: &mut Death) {
    let name = signals::name(stop.number);
    d.evidence(Evidence::Event(note.event));
    let on = format!("PID 1 {} {name} and sent it on to this process", verb(stop));
    let since = |t: Option<BootTime>| words::span(words::between(t.unwrap_or(note.time), cut.at));
    match note.fate {
        Fate::Handled => {
            d.contributing.push("too-slow");
            d.say(format!(
                "{on}, whose handler began {} before the end; {}.",
                since(note.settled),
                cut.end(" for it to finish")
            ));
            d.advise(cut.advice("let PID 1 wait for its children (waitpid) before it exits, or use an init that does (docker run --init, tini)"));
        }
        Fate::Accepted => {
            d.contributing.push("too-slow");
            d.say(format!(
                "{on}, which took it {} before the end; {}.",
                since(note.settled),
                cut.end(" for it to finish")
            ));
            d.advise(cut.advice("let PID 1 wait for its children (waitpid) before it exits"));
        }
        Fate::Blocked => {
            d.contributing.push("blocked-mask");
            d.say(format!(
                "{on}, which blocked it and had not acted on it {} later, when {}.",
                since(None),
                cut.end("")
            ));
            d.advise(format!("let this process unblock {name}, and let PID 1 wait for its children before it exits"));
        }
        Fate::Dropped | Fate::Discarded => dropped(&on, &name, note, d),
        Fate::Unknown => {
            d.missing(
                format!("what became of the {name} that PID 1 sent on"),
                Certainty::Inferred,
            );
            d.say(format!("{on}; what became of it there is not known."));
            d.advise(cut.advice("let PID 1 wait for its children (waitpid) before it exits"));
        }
        _ => {
            d.contributing.push("too-slow");
            d.say(format!(
                "{on}, which had not got to act on it {} later, when {}.",
                since(None),
                cut.end("")
            ));
            d.advise(cut.advice("let PID 1 wait for its children (waitpid) before it exits, or use an init that does (docker run --init, tini)"));
        }
    }
}

fn dropped(on: &str, name: &str, note: &Note, d: &mut Death) {
    if let Some(reason) = note.reason {
        d.contributing.push(reason);
    }
    match note.reason {
        Some("sig-ign") => {
            d.say(format!(
                "{on}, which ignores {name} (SIG_IGN): it was dropped."
            ));
            d.advise(format!(
                "let this process handle {name}, or reset it before exec: SIG_IGN is inherited, as from nohup or a shell's background job"
            ));
        }
        Some("init-no-handler") => {
            d.say(format!("{on}, which is PID 1 of a namespace of its own and has no handler for {name}: it was dropped."));
            d.advise(format!("install a handler for {name} in this process"));
        }
        reason => {
            d.say(format!(
                "{on}, where it was {} ({}).",
                note.fate.id(),
                reason.unwrap_or("unknown")
            ));
            d.advise("let PID 1 wait for its children (waitpid) before it exits");
        }
    }
}

/// PID 1 sent something, but not what it had got.
fn another(stop: &Note, note: &Note, d: &mut Death) {
    let (name, other) = (signals::name(stop.number), signals::name(note.number));
    d.evidence(Evidence::Event(note.event));
    d.contributing.push("not-forwarded");
    let became = match note.fate {
        Fate::Handled => "handled and outlived".to_owned(),
        Fate::Accepted => "took and outlived".to_owned(),
        Fate::Blocked => "blocked".to_owned(),
        Fate::Dropped | Fate::Discarded if note.reason == Some("sig-ign") => "ignores".to_owned(),
        Fate::Dropped | Fate::Discarded => "has no handler for and that did nothing".to_owned(),
        Fate::Unknown => {
            d.missing(format!("what became of {other}"), Certainty::Inferred);
            "got, with what effect is not known".to_owned()
        }
        _ => "had not acted on yet".to_owned(),
    };
    d.say(format!(
        "PID 1 {} {name}, but sent this process {other} instead, which it {became}.",
        verb(stop)
    ));
    d.advise(format!(
        "send {name} on from PID 1, or let this process end at {other}; and let PID 1 wait for it"
    ));
}

fn from_elsewhere(stop: &Note, note: &Note, cut: Cut, d: &mut Death) {
    let name = signals::name(stop.number);
    d.evidence(Evidence::Event(note.event));
    let from = note.sender.as_ref().map_or_else(
        || "the kernel".to_owned(),
        |s| format!("{} {}", s.comm, s.key.pid),
    );
    let before = words::span(words::between(note.time, cut.at));
    let became = match note.fate {
        Fate::Dropped | Fate::Discarded => format!(
            "it was {} ({})",
            note.fate.id(),
            note.reason.unwrap_or("unknown")
        ),
        Fate::Handled => "its handler was running".to_owned(),
        Fate::Accepted => "it had taken it".to_owned(),
        Fate::Blocked => "it blocked it".to_owned(),
        _ => "it had not acted on it yet".to_owned(),
    };
    if matches!(note.fate, Fate::Dropped | Fate::Discarded | Fate::Blocked) {
        d.contributing.extend(note.reason);
    } else {
        d.contributing.push("too-slow");
    }
    d.say(format!(
        "This process had got {name} from {from} {before} before, and {became}; {}.",
        cut.end(" for it")
    ));
    d.advise(cut.advice("let PID 1 wait for its children (waitpid) before it exits"));
}

/// Nothing came to this process, if the history covers that.
fn nothing(
    view: View<'_>,
    victim: &Process,
    one: &Process,
    stop: &Note,
    killed: BootTime,
    d: &mut Death,
) {
    let name = signals::name(stop.number);
    if let Some(blind) = view.blind_to(stop.number, stop.time) {
        if blind == Blind::Late {
            d.contributing.push("late-attach");
        }
        d.missing(blind.missing(), Certainty::Inferred);
        d.say(format!(
            "PID 1 {} {name}; whether this process got one too is not known: {}.",
            verb(stop),
            blind.because()
        ));
        d.advise("if PID 1 does not, forward the signal and wait for the children, or use an init that does (docker run --init, tini)");
        return;
    }
    if !victim.notes.complete_since(stop.time) || !one.sent.complete_since(stop.time) {
        d.missing(
            "older signals, which were forgotten to bound memory",
            Certainty::Inferred,
        );
        d.say(format!(
            "PID 1 {} {name}; whether this process got one too is no longer known.",
            verb(stop)
        ));
        return;
    }
    d.contributing.push("not-forwarded");
    let started = BootTime(victim.task.key.start_ns);
    let sent: Vec<_> = one
        .sent
        .iter()
        .filter(|s| s.time >= stop.time && s.time <= killed)
        .collect();
    // One process may have got it more than once.
    let mut others: Vec<_> = Vec::new();
    for s in sent.iter().filter(|s| s.number == stop.number) {
        if !others.contains(&s.target) {
            others.push(s.target);
            d.evidence(Evidence::Event(s.event));
        }
    }
    let others = others.len() as u64;
    if started > stop.time {
        d.say(format!(
            "This process never got the {name}: it was started only {} after PID 1 had got it.",
            words::span(words::between(stop.time, started))
        ));
        d.advise("start nothing once the stop has begun, and let PID 1 wait for its children before it exits");
        return;
    }
    d.say(if others > 0 {
        format!(
            "This process never got the {name}: PID 1 {} it and sent it on to {}, not to this one.",
            verb(stop),
            words::count(others, "other process", "other processes")
        )
    } else if sent.is_empty() {
        format!(
            "This process never got the {name}: PID 1 {} it and sent nothing on.",
            verb(stop)
        )
    } else {
        format!(
            "This process never got the {name}: PID 1 {} it and sent nothing to this process.",
            verb(stop)
        )
    });
    d.advise(if others > 0 {
        "forward the signal to every process (kill the process group, tini -g) and wait for them all in PID 1".to_owned()
    } else {
        format!("forward {name} in PID 1 and wait for the children, or use an init that does (docker run --init, tini)")
    });
}

/// A stop signal that PID 1 did not act on; it exited all the same.
fn not_acted(one: &Process, stop: &Note, ended: BootTime, d: &mut Death) {
    let name = signals::name(stop.number);
    let before = words::span(words::between(stop.time, ended));
    d.contributing.extend(stop.reason);
    d.say(match stop.fate {
        Fate::Dropped | Fate::Discarded => format!(
            "The {name} that PID 1 got {before} before did nothing ({}): PID 1 exited on its own.",
            stop.reason.unwrap_or("unknown")
        ),
        Fate::Blocked => format!("PID 1 blocked the {name} that it got {before} before, and exited without acting on it."),
        Fate::Unknown => format!("PID 1 got {name} {before} before; what it did with it is not known."),
        _ => format!("PID 1 exited without acting on the {name} that it got {before} before."),
    });
    if stop.fate == Fate::Unknown {
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
    match view.blind_to(signals::TERM, started) {
        Some(Blind::Late) => {
            d.contributing.push("late-attach");
            d.missing(Blind::Late.missing(), Certainty::Inferred);
            d.say(format!(
                "sigtrace was not attached before the last {} of PID 1; whether it got a SIGTERM before that is not known.",
                words::span(words::between(view.coverage.since, ended))
            ));
            d.advise("attach sigtrace before the stop to see what PID 1 does with the signal");
        }
        Some(blind) => {
            d.missing(blind.missing(), Certainty::Inferred);
            d.say(format!(
                "Whether PID 1 was asked to end (SIGTERM) is not known: {}.",
                blind.because()
            ));
            d.advise(own_exit(one));
        }
        None if !one.notes.complete_since(started) => {
            d.missing(
                "older signals to PID 1, which were forgotten to bound memory",
                Certainty::Inferred,
            );
            d.say("Whether PID 1 was asked to end long ago is no longer known.");
            d.advise(own_exit(one));
        }
        None => {
            let sentence = match (
                pid1::perhaps_request(one, ended),
                pid1::old_sigterm(one, ended),
            ) {
                (Some(note), _) => {
                    d.evidence(Evidence::Event(note.event));
                    format!(
                        "PID 1 {} {} {} before it exited; whether it exited because of that is not known.",
                        verb(note),
                        signals::name(note.number),
                        words::span(words::between(note.time, ended))
                    )
                }
                (None, Some(note)) => {
                    d.evidence(Evidence::Event(note.event));
                    format!(
                        "The last SIGTERM to PID 1 was sent {} before: too long ago to be taken for the cause of its exit.",
                        words::span(words::between(note.time, ended))
                    )
                }
                (None, None) => "No SIGTERM was sent to PID 1: it exited on its own.".to_owned(),
            };
            d.say(sentence);
            d.advise(own_exit(one));
        }
    }
}

/// PID 1 did not exit: a signal ended it. If it had acted on a request to end
/// before, what it had passed on counts first: that is a stop whose grace period
/// ran out.
fn pid1_killed(
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
            acted(view, victim, one, stop, cut, d);
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
    let told = victim
        .notes
        .iter()
        .rev()
        .find(|n| n.time <= at && n.number != signals::KILL && is_from(view, n, one));
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
    match view.blind_to(signals::TERM, started) {
        Some(Blind::Late) => d.say(format!(
            "{first}, and it had sent this process nothing since sigtrace was attached."
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
        None if kill => d.say(format!(
            "{first}, so this process was not told to end by it."
        )),
        None => d.say(format!("{first}.")),
    }
}
