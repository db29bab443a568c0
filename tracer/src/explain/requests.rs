//! Which of the signals that a process got asked it to end, and what it did with
//! them. Of a PID 1 that is the stop of its container; what follows from that is
//! said by [`super::pid1`], [`super::stopped`] and [`super::exited`].

use crate::event::{BootTime, ProcessKey};
use crate::history::note::{Fate, Note};
use crate::history::process::Process;

use super::engine::SETTLE_NS;
use super::verdict::View;
use super::{lead, signals, words};

/// A request to end explains an end for so long: the longest grace period that
/// is common.
pub(crate) const STOP_NS: u64 = 600_000_000_000;
/// A signal that may have been one is mentioned for so long.
pub(crate) const PERHAPS_NS: u64 = 60_000_000_000;

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

/// Whether a signal may begin or end the stop of a container.
pub fn may_end(number: i32) -> bool {
    number == signals::KILL || asks_to_end(number) || may_ask_to_end(number)
}

/// Whether a process sent it to itself. While it lives its pid is nobody else's.
pub(crate) fn own(one: &Process, note: &Note) -> bool {
    let by = note.sender.as_ref();
    by.is_some_and(|by| by.key.pid == one.task.key.pid)
}

/// What a process got at most `within` before a time, newest first.
fn all(one: &Process, before: BootTime, within: u64) -> impl Iterator<Item = &Note> {
    let recent = move |n: &&Note| n.time <= before && words::between(n.time, before) <= within;
    one.notes.iter().rev().filter(recent)
}

/// Of that, what others sent.
pub(crate) fn got(one: &Process, before: BootTime, within: u64) -> impl Iterator<Item = &Note> {
    all(one, before, within).filter(|n| !own(one, n))
}

/// The last request to end that a process acted on, a while before. Whoever
/// raises again what it got, to die of it, was asked by another.
pub(crate) fn request(one: &Process, before: BootTime) -> Option<&Note> {
    let is = |n: &&Note| n.acted_on() && (n.stop || asks_to_end(n.number));
    let newest = all(one, before, STOP_NS).find(is)?;
    let first = || got(one, before, STOP_NS).find(|n| is(n) && n.number == newest.number);
    match own(one, newest) {
        true => first().or(Some(newest)),
        false => Some(newest),
    }
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
/// for another that asks to end. Where no hook sees what PID 1 takes, that may not
/// be known yet: its fate is interim then.
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
    // One that it sent to itself may have been part of the same call (kill(0)):
    // it passed that on only if it had acted on it before.
    let first = |n: &&Note| !own(one, n) || n.settled.is_some_and(|at| at <= sent);
    let unseen = !view.coverage.sees_dequeue || view.history.lost_since("dequeue", sent) > 0;
    let waits = one.dispositions.map_or(0, |d| d.pending | d.shared_pending);
    let taken = |n: &&Note| {
        let open = n.fate.interim() && waits & signals::bit(n.number) == 0;
        let seen = n.settled.is_some_and(|at| at <= sent);
        open && (seen || unseen) && (asks_to_end(n.number) || may_ask_to_end(n.number))
    };
    got(one, sent, SETTLE_NS)
        .find(taken)
        .filter(|n| same(n))
        .or_else(|| request(one, sent).filter(|n| same(n) && first(n)))
        .or_else(|| perhaps_request(one, sent).filter(|n| same(n)))
}

/// The last SIGTERM that a process sent to itself, however long ago.
pub(crate) fn own_sigterm(one: &Process, before: BootTime) -> Option<&Note> {
    all(one, before, u64::MAX).find(|n| n.number == signals::TERM && own(one, n))
}

/// The last signal that a PID 1 had handled, then sent to itself, and that was
/// dropped: it meant to die of it.
pub(crate) fn raised_again(one: &Process, before: BootTime) -> Option<&Note> {
    let dropped =
        |n: &&Note| n.reason == Some("init-no-handler") && n.fate == Fate::Dropped && own(one, n);
    let again = all(one, before, u64::MAX).find(dropped)?;
    let handled = |n: &Note| n.number == again.number && n.fate == Fate::Handled;
    all(one, again.time, STOP_NS).any(handled).then_some(again)
}

/// What may have asked a process to end and did not, the likeliest first,
/// however long ago.
pub(crate) fn unanswered(one: &Process, before: BootTime) -> Option<&Note> {
    stop_signal(one, before)
        .or_else(|| got(one, before, STOP_NS).find(|n| asks_to_end(n.number)))
        .or_else(|| all(one, before, STOP_NS).find(|n| asks_to_end(n.number)))
        .or_else(|| old_sigterm(one, before))
        .or_else(|| perhaps_request(one, before))
}

/// How long before `at` a process had acted on a signal; without a hook where it
/// takes one, not more is known than when it was sent.
pub(crate) fn acted_before(note: &Note, at: BootTime) -> String {
    match note.settled {
        Some(acted) => words::span(words::between(acted, at)).to_string(),
        None => format!("at most {}", words::span(words::between(note.time, at))),
    }
}

/// What became of a request to end of a process that went on until `at`. `it`:
/// how to call that process.
pub(crate) fn became(one: &Process, note: &Note, it: &str, at: BootTime) -> String {
    let ago = words::span(words::between(note.time, at));
    let acted = acted_before(note, at);
    let name = signals::name(note.number);
    let got = match own(one, note) {
        true => format!("{it} had sent to itself"),
        false => format!("{it} got"),
    };
    let mut sentence = match note.fate {
        Fate::Dropped | Fate::Discarded => {
            format!(
                "The {name} that {got} {ago} before had been {} ({}).",
                note.fate.id(),
                note.reason.unwrap_or("unknown")
            )
        }
        Fate::Handled => format!("{it} had handled {name} {acted} before and was still running."),
        Fate::Accepted => format!("{it} had taken {name} {acted} before and was still running."),
        Fate::Blocked => format!("{it} blocked the {name} that {got} {ago} before."),
        _ => format!("{it} had not acted on the {name} that {got} {ago} before."),
    };
    sentence[..1].make_ascii_uppercase();
    sentence
}
