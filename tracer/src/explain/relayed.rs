//! Whoever was asked to end and then sends a signal that ends another: a supervisor that
//! kills its workers, timeout(1), a shell whose trap runs kill(1). The chain goes on to
//! who had asked it. That it sent the one because of the other is told from the order in
//! time; a child of it that sends was born after it had been asked, or is none. What the
//! first process of a container passes on stands in [`super::requests`].

use crate::event::{BootTime, ProcessKey};
use crate::history::note::{Note, NotedSender};
use crate::history::process::Process;

use super::verdict::View;
use super::{pid1, signals, words};

/// Between the request and the same signal to another: it is passed on.
const AT_ONCE_NS: u64 = 1_000_000_000;
/// What comes later may have another cause.
const PERHAPS_NS: u64 = 60_000_000_000;
/// From the sender up to who was asked: a trap that runs a script that runs kill(1).
const GENERATIONS: usize = 4;

/// Who had been asked before it, or a child of it, sent a signal.
pub(crate) struct Relay<'a> {
    /// The process that was asked.
    pub(crate) one: &'a Process,
    /// By what.
    pub(crate) asked: &'a Note,
    /// The processes that it made to send for it: between the sender and it.
    pub(crate) between: Vec<String>,
    /// The sender is one of them.
    pub(crate) by_child: bool,
    /// How long before the signal, or before the child was made.
    pub(crate) ago: u64,
    /// The same request, at once.
    pub(crate) sure: bool,
}

/// The one behind a signal to `of`, if there is one.
pub(crate) fn by<'a>(
    view: View<'a>,
    of: &Process,
    sender: &NotedSender,
    number: i32,
    sent: BootTime,
) -> Option<Relay<'a>> {
    let mut before = sent;
    let mut between = Vec::new();
    let own = (sender.key, sender.comm);
    let parents = (sender.ancestry.iter()).map(|parent| (parent.key, parent.comm));
    let line: Vec<_> = std::iter::once(own).chain(parents).collect();
    for (generation, &(key, comm)) in line.iter().take(GENERATIONS).enumerate() {
        let found = one(view, of, key).and_then(|one| Some((one, asked(one, number, before)?)));
        if let Some((one, (asked, ago, sure))) = found {
            return Some(Relay {
                one,
                asked,
                between,
                by_child: generation > 0,
                ago,
                sure,
            });
        }
        if generation > 0 {
            between.push(format!("{comm} {}", key.pid));
        }
        before = before.min(BootTime(key.start_ns));
    }
    None
}

fn one<'a>(view: View<'a>, of: &Process, key: ProcessKey) -> Option<&'a Process> {
    let one = view.history.process(view.history.resolve(key))?;
    (one.task.key != of.task.key).then_some(one)
}

/// What a process was asked last by another, and acted on, before it sent this or made
/// who did; how long before, and whether that is all that it can mean.
fn asked(one: &Process, number: i32, before: BootTime) -> Option<(&Note, u64, bool)> {
    let acted = |note: &Note| note.settled.unwrap_or(note.time);
    let is = |note: &&Note| {
        let asks = note.stop || pid1::asks_to_end(note.number);
        note.acted_on() && asks && note.time < before && acted(note) <= before
    };
    let note = one.notes.iter().rev().find(is)?;
    let ago = words::between(acted(note), before);
    // A program that is asked by another signal than it sends may do that for itself.
    let same = note.number == number;
    let ends = matches!(number, signals::KILL | signals::TERM);
    // A shell at a terminal handles each ^C, and goes on.
    let within = match note.number {
        signals::INT => AT_ONCE_NS,
        _ => PERHAPS_NS,
    };
    let fits = (same || ends) && ago <= within && !pid1::own(one, note);
    fits.then_some((note, ago, same && ago <= AT_ONCE_NS))
}
