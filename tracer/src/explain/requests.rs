//! Which of the signals that a process got asked it to end, and what it did with
//! them. Of a PID 1 that is the stop of its container; what follows from that is
//! said by [`super::pid1`], [`super::stopped`] and [`super::exited`].

use crate::event::{BootTime, ProcessKey};
use crate::history::note::{Fate, Note};
use crate::history::process::Process;

use super::verdict::View;
use super::{lead, signals, words};

/// A request to end explains an end for so long: the longest grace period that
/// is common.
pub(crate) const STOP_NS: u64 = 600_000_000_000;
/// A signal that may have been one is mentioned for so long.
const PERHAPS_NS: u64 = 60_000_000_000;

/// systemd's request to a PID 1 to end.
const SYSTEMD_STOP: i32 = signals::RTMIN + 3;

/// Signals that ask a program to end and seldom mean anything else.
pub(crate) fn asks_to_end(number: i32) -> bool {
    matches!(
        number,
        signals::TERM | signals::INT | signals::QUIT | SYSTEMD_STOP
    )
}

/// Signals that may ask a program to end, and often mean something else.
fn may_ask_to_end(number: i32) -> bool {
    matches!(
        number,
        signals::HUP | signals::USR1 | signals::USR2 | signals::PWR
    ) || number >= signals::RTMIN
}

/// What others sent to a process at most `within` before a time, newest first.
pub(crate) fn got(one: &Process, before: BootTime, within: u64) -> impl Iterator<Item = &Note> {
    one.notes.iter().rev().filter(move |n| {
        n.time <= before
            && words::between(n.time, before) <= within
            && n.sender.as_ref().is_none_or(|s| s.key != one.task.key)
    })
}

/// The last request to end that a process acted on, a while before.
pub(crate) fn request(one: &Process, before: BootTime) -> Option<&Note> {
    got(one, before, STOP_NS).find(|n| n.acted_on() && (n.stop || asks_to_end(n.number)))
}

/// The last signal that may have been one, a short while before: that an end
/// follows upon it proves nothing.
pub(crate) fn perhaps_request(one: &Process, before: BootTime) -> Option<&Note> {
    got(one, before, PERHAPS_NS).find(|n| n.acted_on() && may_ask_to_end(n.number))
}

/// The signal that asked a PID 1 to end: the last that it acted on, else a
/// runtime's stop signal or a SIGTERM that did nothing.
pub(crate) fn stop_signal(one: &Process, before: BootTime) -> Option<&Note> {
    let unanswered = |n: &&Note| n.stop || n.number == signals::TERM;
    request(one, before).or_else(|| got(one, before, STOP_NS).find(unanswered))
}

/// A SIGTERM from so long ago that it explains nothing.
pub(crate) fn old_sigterm(one: &Process, before: BootTime) -> Option<&Note> {
    got(one, before, u64::MAX).find(|n| n.number == signals::TERM)
}

/// A process got a signal from the PID 1 of its namespace: what that PID 1 had
/// been asked itself, and acted on, before. It is the same signal, or SIGTERM
/// for another that asks to end.
pub(crate) fn passed_on<'a>(
    view: View<'a>,
    victim: &Process,
    sender: ProcessKey,
    number: i32,
    sent: BootTime,
) -> Option<&'a Note> {
    let one = lead::of(view.history, &victim.task)?.one;
    let sender = view.history.resolve(sender);
    if one.task.key != sender || sender == victim.task.key {
        return None;
    }
    let same = |n: &Note| {
        n.number == number
            || (number == signals::TERM && matches!(n.number, signals::INT | signals::QUIT))
    };
    request(one, sent)
        .filter(|n| same(n))
        .or_else(|| perhaps_request(one, sent).filter(|n| same(n)))
}

/// The last signal that a PID 1 sent to itself and that was dropped.
pub(crate) fn dropped_own(one: &Process, before: BootTime) -> Option<&Note> {
    one.notes.iter().rev().find(|n| {
        n.reason == Some("init-no-handler")
            && n.fate == Fate::Dropped
            && n.time <= before
            && n.sender.as_ref().is_some_and(|s| s.key == one.task.key)
    })
}

/// What may have asked a process to end and did not, the likeliest first,
/// however long ago.
pub(crate) fn unanswered(one: &Process, before: BootTime) -> Option<&Note> {
    stop_signal(one, before)
        .or_else(|| got(one, before, STOP_NS).find(|n| asks_to_end(n.number)))
        .or_else(|| old_sigterm(one, before))
        .or_else(|| perhaps_request(one, before))
}

/// What became of a request to end of a process that went on until `at`. `it`:
/// how to call that process.
pub(crate) fn became(note: &Note, it: &str, at: BootTime) -> String {
    let ago = words::span(words::between(note.time, at));
    let name = signals::name(note.number);
    let mut sentence = match note.fate {
        Fate::Dropped | Fate::Discarded => {
            format!(
                "The {name} that {it} got {ago} before had been {} ({}).",
                note.fate.id(),
                note.reason.unwrap_or("unknown")
            )
        }
        Fate::Handled => format!("{it} had handled {name} {ago} before and was still running."),
        Fate::Accepted => format!("{it} had taken {name} {ago} before and was still running."),
        Fate::Blocked => format!("{it} blocked the {name} that it got {ago} before."),
        _ => format!("{it} had not acted on the {name} that it got {ago} before."),
    };
    sentence[..1].make_ascii_uppercase();
    sentence
}
