//! Who stopped a process that a signal waits for, and when: a stop that works is routine
//! and mostly shown nowhere else.

use crate::event::BootTime;
use crate::history::note::{Fate, Note};
use crate::history::process::Process;

use super::verdict::{Verdict, View};
use super::{pid1, signals, words};

/// What holds it: the last stop of the process, unless it was continued since.
fn last(process: &Process) -> Option<&Note> {
    let notes = process.notes.iter().rev();
    let turned = |note: &&Note| matches!(note.fate, Fate::Stopped | Fate::Continued);
    let last = notes.filter(turned).max_by_key(|note| when(note))?;
    (last.fate == Fate::Stopped).then_some(last)
}

fn when(note: &Note) -> BootTime {
    note.settled.unwrap_or(note.time)
}

/// Adds that to what is said of a signal which came at `came` and waits because its
/// process is stopped.
pub(super) fn say(
    view: View<'_>,
    process: Option<&Process>,
    came: BootTime,
    v: Verdict,
) -> Verdict {
    if v.reason != Some("stopped") {
        return v;
    }
    let Some((process, note)) = process.and_then(|p| Some((p, last(p)?))) else {
        let forgotten = process.is_some_and(|p| {
            let begun = BootTime(p.task.key.start_ns);
            !p.notes.complete_since(begun)
        });
        if forgotten {
            return v.say("Who stopped it is no longer known.");
        }
        let why = process
            .and_then(|p| view.blind_to(signals::STOP, BootTime(p.task.key.start_ns), p))
            .map_or_else(String::new, |blind| format!(": {}", blind.because()));
        return v.say(format!("Who stopped it was not seen{why}."));
    };
    let name = signals::name(note.number);
    let by = match &note.sender {
        Some(_) if pid1::own(process, note) => format!("by itself, with {name}"),
        Some(by) => format!("by the {name} of {} {}", by.comm, by.key.pid),
        None if note.unsent => format!("by {name}; who sent that was not seen"),
        None if note.number == signals::STOP => format!("by a {name} of the kernel"),
        None => format!("by {name} of its terminal (job control)"),
    };
    let stopped = when(note);
    let at = if stopped <= came {
        format!(
            "{} before that came",
            words::span(words::between(stopped, came))
        )
    } else {
        format!(
            "{} after that came",
            words::span(words::between(came, stopped))
        )
    };
    v.event(note.event)
        .say(format!("It was stopped {by}, {at}."))
}
