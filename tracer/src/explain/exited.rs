//! A process that ended of its own accord: its status, and whether a signal had
//! asked it to.

use crate::event::BootTime;
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::{Fate, Note};
use crate::history::process::{Exited, LostChild, Process};

use super::chain::link_note;
use super::death::Death;
use super::verdict::{Blind, View};
use super::{bereaved, crashes, pid1, signals, words};

/// An exit so soon after a request to end is told as what came of it; a later one may
/// have had another reason.
const SOON_NS: u64 = 1_000_000_000;

/// It exited with a status.
pub(super) fn by_itself(view: View<'_>, victim: &Process, exited: Exited) -> Death {
    let status = (exited.status >> 8) & 0xff;
    let mut d = Death::new("exit", Some("exit"));
    d.evidence(Evidence::Field(format!("status={:#x}", exited.status)));
    let role = if victim.task.is_pid1() && !victim.task.namespaces.is_empty() {
        "PID 1 "
    } else {
        ""
    };
    d.link(
        Some(exited.event),
        format!("{role}exited with status {status}"),
    );
    let meaning = signals::exit_code(status).map_or_else(String::new, |m| format!(" ({m})"));
    let exit = format!("It exited with status {status}{meaning}");
    let after = |note: &Note| {
        let how = if note.fate == Fate::Handled {
            "its handler ran for"
        } else {
            "it took"
        };
        let itself = match pid1::own(victim, note) {
            true => ", which it had sent to itself",
            false => "",
        };
        format!(
            "{} after {how} {}{itself}",
            pid1::acted_before(note, exited.time),
            signals::name(note.number)
        )
    };
    if let Some(note) = pid1::request(victim, exited.time) {
        d.say(format!("{exit}, {}.", after(note)));
        d.evidence(Evidence::Event(note.event));
        if words::between(note.settled.unwrap_or(note.time), exited.time) > SOON_NS {
            d.missing(
                format!(
                    "whether it exited because of {}: that it came after is all that was seen",
                    signals::name(note.number)
                ),
                Certainty::Inferred,
            );
        }
        link_note(view, victim, note, role.trim_end(), &mut d);
    } else if let Some(note) = pid1::perhaps_request(victim, exited.time) {
        d.say(format!(
            "{exit}, {}; whether because of that is not known.",
            after(note)
        ));
        d.evidence(Evidence::Event(note.event));
    } else {
        unasked(view, victim, exited, &exit, &mut d);
    }
    if let Some(lost) = lost_child(view, victim, exited, status) {
        d.evidence(Evidence::Event(lost.event));
        d.say(format!(
            "Its child {} {}{} had been ended by {} {} before.",
            lost.comm,
            lost.key.pid,
            if lost.waited_for {
                ", which it had waited for,"
            } else {
                ""
            },
            signals::name(lost.number),
            words::span(words::between(lost.time, exited.time))
        ));
        bereaved::behind(view, lost, exited.time, &mut d);
    }
    crashes::before_exit(victim, exited, &mut d);
    let raised = pid1::raised_again(victim, exited.time).filter(|_| status == 2);
    if let Some(again) = raised {
        d.evidence(Evidence::Event(again.event));
        d.say(format!(
            "It had handled {}, then sent it to itself, and the kernel dropped that one: if this is a Go program, Go's runtime does so to die of the signal, and as PID 1 exits with status 2.",
            signals::name(again.number)
        ));
    }
    d.stop = pid1::stop(view, victim, exited.time);
    d
}

/// A child whose death its status tells on, as a shell's does: one that it waited
/// for, or of which nobody sees whether it did.
fn lost_child<'a>(
    view: View<'_>,
    victim: &'a Process,
    exited: Exited,
    status: i32,
) -> Option<&'a LostChild> {
    victim.lost_child.as_ref().filter(|lost| {
        let fits = status == 128 + lost.number && lost.time <= exited.time;
        let recent = words::between(lost.time, exited.time) <= pid1::PERHAPS_NS;
        fits && recent && (lost.waited_for || !view.coverage.sees_release)
    })
}

/// It was not seen to act on a request to end before it exited. That it exited
/// is certain all the same, so an attachment that came late only limits what is
/// said; what was missed since makes it less certain.
fn unasked(view: View<'_>, victim: &Process, exited: Exited, exit: &str, d: &mut Death) {
    let seen = pid1::unanswered(victim, exited.time);
    let exit = &match seen {
        Some(note) => {
            d.evidence(Evidence::Event(note.event));
            format!("{exit}. {}", pid1::became(victim, note, "it", exited.time))
        }
        None => format!("{exit}."),
    };
    let earliest = exited.time.0.saturating_sub(pid1::STOP_NS);
    let since = BootTime(victim.task.key.start_ns.max(earliest));
    let blind = [signals::TERM, signals::INT, signals::QUIT]
        .into_iter()
        .find_map(|number| view.blind_to(number, since, victim));
    match blind {
        Some(Blind::Late) => d.say(format!(
            "{exit} What it got before sigtrace was attached, {} before, is not known.",
            words::span(words::between(view.coverage.since, exited.time))
        )),
        Some(blind) => {
            d.missing(blind.missing(), Certainty::Inferred);
            d.say(format!(
                "{exit} Whether {} signal had asked it to end is not known: {}.",
                if seen.is_some() { "another" } else { "a" },
                blind.because()
            ));
        }
        None if !victim.notes.complete_since(since) => {
            d.missing(
                "older signals, which were forgotten to bound memory",
                Certainty::Inferred,
            );
            d.say(format!(
                "{exit} Whether a signal had asked it to end long ago is no longer known."
            ));
        }
        None => d.say(exit),
    }
}
