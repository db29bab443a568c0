//! PID 1 acted on the signal that asked it to end: what it passed on to a process
//! that was killed with the namespace, and what that did with it. That nothing
//! came is said only if the history covers it.

use crate::event::BootTime;
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::{Fate, Note};
use crate::history::process::Process;

use super::death::Death;
use super::verdict::{left_out, Blind, View};
use super::{pid1, signals, words};

/// PID 1's end, as what cut short those that were not done.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    /// When this process was killed.
    pub(crate) at: BootTime,
    /// The signal that had ended PID 1; `None`: it had exited.
    pub(crate) by: Option<i32>,
}

impl Cut {
    /// PID 1 had exited.
    pub(crate) fn exited(at: BootTime) -> Self {
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
            Some(signals::KILL) => "make it end faster once it is asked to, or allow more time before the kill (stop -t, run --stop-timeout)",
            Some(_) => "find out why PID 1 crashed while it ended",
            None => else_this,
        }
    }
}

/// What PID 1 did with the stop signal.
pub(crate) fn verb(stop: &Note) -> &'static str {
    if stop.fate == Fate::Accepted {
        "took"
    } else {
        "handled"
    }
}

/// PID 1 acted on the stop signal: what did this process get until it was killed?
pub(crate) fn about(
    view: View<'_>,
    victim: &Process,
    one: &Process,
    stop: &Note,
    cut: Cut,
    d: &mut Death,
) {
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
    if let Some(note) = before(victim, stop) {
        return from_elsewhere(stop, note, cut, d);
    }
    nothing(view, victim, one, stop, killed, d);
}

/// What this process got of the same stop before PID 1 did: the same signal from
/// the same hand.
fn before<'a>(victim: &'a Process, stop: &Note) -> Option<&'a Note> {
    let hand = stop.sender.as_ref()?;
    earlier(victim, stop).find(|n| {
        let of = n.sender.as_ref();
        // kill(1) is a process of its own for each, of one parent.
        of.is_some_and(|s| s.key == hand.key || s.ppid == hand.ppid && s.ppid > 1)
    })
}

/// The same signal to this process before PID 1 got it, the last first.
fn earlier<'a>(victim: &'a Process, stop: &Note) -> impl Iterator<Item = &'a Note> {
    let (number, time) = (stop.number, stop.time);
    victim.notes.iter().rev().filter(move |n| {
        n.number == number && n.time < time && words::between(n.time, time) <= pid1::STOP_NS
    })
}

/// Whether PID 1 sent it.
pub(crate) fn is_from(view: View<'_>, note: &Note, one: &Process) -> bool {
    note.sender
        .as_ref()
        .is_some_and(|s| view.history.resolve(s.key) == one.task.key)
}

fn forwarded(stop: &Note, note: &Note, cut: Cut, d: &mut Death) {
    let name = signals::name(stop.number);
    d.evidence(Evidence::Event(note.event));
    let on = format!("PID 1 {} {name} and sent it on to this process", verb(stop));
    let since_sent = words::span(words::between(note.time, cut.at));
    let since_acted = pid1::acted_before(note, cut.at);
    match note.fate {
        Fate::Handled => {
            d.contributing.push("too-slow");
            d.say(format!(
                "{on}, whose handler began {} before the end; {}.",
                since_acted,
                cut.end(" for it to finish")
            ));
            d.advise(
                cut.advice("let PID 1 wait for all of its children (waitpid) before it exits"),
            );
        }
        Fate::Accepted => {
            d.contributing.push("too-slow");
            d.say(format!(
                "{on}, which took it {} before the end; {}.",
                since_acted,
                cut.end(" for it to finish")
            ));
            d.advise(cut.advice("let PID 1 wait for its children (waitpid) before it exits"));
        }
        Fate::Blocked => {
            d.contributing.push("blocked-mask");
            d.say(format!(
                "{on}, which blocked it and had not acted on it {} later, when {}.",
                since_sent,
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
                since_sent,
                cut.end("")
            ));
            d.advise(
                cut.advice("let PID 1 wait for all of its children (waitpid) before it exits"),
            );
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
    let from = from(note);
    let ago = words::span(words::between(note.time, cut.at));
    let became = match note.fate {
        Fate::Dropped | Fate::Discarded => format!(
            "it was {} ({})",
            note.fate.id(),
            note.reason.unwrap_or("unknown")
        ),
        Fate::Handled => "handled it, and had not ended".to_owned(),
        Fate::Accepted => "took it, and had not ended".to_owned(),
        Fate::Blocked => "blocked it".to_owned(),
        Fate::Unknown => "what became of it is not known".to_owned(),
        _ => "had not acted on it yet".to_owned(),
    };
    match note.fate {
        Fate::Dropped | Fate::Discarded | Fate::Blocked => d.contributing.extend(note.reason),
        Fate::Unknown => d.missing(
            format!("what became of the {name} to this process"),
            Certainty::Inferred,
        ),
        _ => d.contributing.push("too-slow"),
    }
    d.say(format!(
        "This process had got {name} from {from} {ago} before, and {became}; {}.",
        cut.end(" for it")
    ));
    d.advise(cut.advice("let PID 1 wait for its children (waitpid) before it exits"));
}

fn from(note: &Note) -> String {
    note.sender.as_ref().map_or_else(
        || "the kernel".to_owned(),
        |s| format!("{} {}", s.comm, s.key.pid),
    )
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
    if let Some(blind) = view.blind_to(stop.number, stop.time, victim) {
        if blind == Blind::Late {
            d.contributing.push("late-attach");
        }
        d.missing(blind.missing(), Certainty::Inferred);
        d.say(format!(
            "PID 1 {} {name}; whether this process got one too is not known: {}.",
            verb(stop),
            blind.because()
        ));
        d.advise("if PID 1 does not send the signal on to its children, make it do so and wait for them, or use an init that does (docker run --init, tini)");
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
    if stop
        .sender
        .as_ref()
        .is_some_and(|by| by.key == victim.task.key)
    {
        d.say(format!(
            "This process had sent the {name} itself, to PID 1: that ended it as well, with PID 1."
        ));
        return;
    }
    if started > stop.time {
        d.say(format!(
            "This process never got the {name}: it was started only {} after PID 1 had got it.",
            words::span(words::between(stop.time, started))
        ));
        d.advise("start nothing once the stop has begun, and let PID 1 wait for its children before it exits");
        return;
    }
    // It may have got another signal from PID 1, which the filter leaves out.
    let left_out = left_out(view.coverage);
    let none = match (
        &left_out,
        sent.is_empty() && view.coverage.filter.sender(&one.task),
    ) {
        (Some(_), true) => "none on",
        (Some(_), false) => "none to this process",
        (None, true) => "nothing on",
        (None, false) => "nothing to this process",
    };
    let another = left_out.map_or_else(String::new, |why| {
        format!("; whether PID 1 sent another signal instead is not known: {why}")
    });
    d.say(if others > 0 {
        format!(
            "This process never got the {name}: PID 1 {} it and sent it on to {}, not to this one{another}.",
            verb(stop),
            words::count(others, "other process", "other processes")
        )
    } else {
        format!(
            "This process never got the {name}: PID 1 {} it and sent {none}{another}.",
            verb(stop)
        )
    });
    if let Some(note) = earlier(victim, stop).find(|n| n.acted_on()) {
        d.evidence(Evidence::Event(note.event));
        d.say(format!(
            "It had {} another {name} from {}, sent {} before that to PID 1.",
            if note.fate == Fate::Accepted {
                "taken"
            } else {
                "handled"
            },
            from(note),
            words::span(words::between(note.time, stop.time))
        ));
    }
    d.advise(if others > 0 {
        "forward the signal to every process (kill the process group, tini -g), and wait for them all in PID 1 before it exits".to_owned()
    } else {
        words::forward(&name, "PID 1")
    });
}
