//! The chain of a death, from the signal to whoever stands behind it: links for
//! the senders with their lineage, for what PID 1 or another passed on, and for what an
//! engine was asked for.

use crate::event::BootTime;
use crate::explain::report::{Certainty, Evidence, Link};
use crate::history::note::{Fate, Note, NotedSender};
use crate::history::process::Process;
use crate::history::History;

use super::asked::{self, Request};
use super::death::Death;
use super::relayed::{self, Relay};
use super::verdict::View;
use super::{lead, pid1, runtime, signals, words};

impl Death {
    /// What the engine was asked for, if its runtime sent this to a PID 1.
    fn link_asked(
        &mut self,
        history: &History,
        by: &NotedSender,
        to: &Process,
        number: i32,
        time: BootTime,
    ) {
        let led = lead::led(history, &to.task);
        let Some(home) = led.filter(|_| runtime::sender(history, by, to).is_some()) else {
            return;
        };
        let request = Request { home, number, time };
        self.chain.extend(asked::link(&history.looked_up, request));
        self.request = Some(request);
    }

    /// The process that sent something to `to`, with those behind it if `whole`.
    pub(crate) fn link_process(
        &mut self,
        history: &History,
        by: &NotedSender,
        to: &Process,
        whole: bool,
    ) {
        let found = runtime::sender(history, by, to);
        let ancestry = if whole { &*by.ancestry } else { &[] };
        self.chain.push(Link {
            event: None,
            what: words::lineage(by, found.map(|r| r.role.words()), ancestry),
            runtime: found.map(|r| r.program),
            asked: None,
        });
    }
}

/// `SIGTERM handled by PID 1 ← sh 16350 ← bash 15990`.
pub(crate) fn link_note(view: View<'_>, of: &Process, note: &Note, by: &str, d: &mut Death) {
    let by = if by.is_empty() {
        String::new()
    } else {
        format!(" by {by}")
    };
    let verb = match note.fate {
        Fate::Handled => "handled",
        Fate::Accepted => "taken",
        other => other.id(),
    };
    let name = signals::name(note.number);
    let into = into(note.sender.as_ref());
    d.link(Some(note.event), format!("{name}{into} {verb}{by}"));
    if pid1::own(of, note) {
        let it = match of.task.is_pid1() || lead::led(view.history, &of.task).is_some() {
            true => format!("{} ", lead::called(of).then),
            false => String::new(),
        };
        d.link(None, format!("{it}{} {}", of.task.comm, of.task.key.pid));
    } else if let Some(sender) = &note.sender {
        link_sender(view, of, sender, note.number, note.time, d);
    }
}

/// ` into container web`: a chain that crosses containers names both.
pub(crate) fn into(sender: Option<&NotedSender>) -> String {
    let into = sender.and_then(|sender| words::place(sender.into.as_deref()?));
    into.map(|into| format!(" into {into}")).unwrap_or_default()
}

/// The sender of what a process got, with those behind it; where that is PID 1
/// passing on what it was asked, or another process does, the chain goes on there, and
/// what it was asked by is returned.
pub(crate) fn link_sender(
    view: View<'_>,
    of: &Process,
    sender: &NotedSender,
    number: i32,
    sent: BootTime,
    d: &mut Death,
) -> Option<Passed> {
    let (pid, comm) = (sender.key.pid, sender.comm);
    let Some(asked) = pid1::passed_on(view, of, sender.key, number, sent) else {
        let relay = relayed::by(view, of, sender, number, sent);
        if let Some(relay) = relay.filter(|_| d.chain.len() < LONGEST) {
            return Some(link_relay(view, of, sender, &relay, d));
        }
        d.link_process(view.history, sender, of, true);
        d.link_asked(view.history, sender, of, number, sent);
        return None;
    };
    let one = view.history.process(sender.key);
    let it = one.map_or("PID 1", |one| lead::called(one).then);
    d.link(None, format!("{it} {comm} {pid}"));
    d.evidence(Evidence::Event(asked.event));
    let mut taken = asked.clone();
    if asked.fate.interim() {
        taken.fate = Fate::Accepted;
        let name = signals::name(asked.number);
        d.missing(
            match asked.settled {
                Some(_) => format!("the name of the function by which {it} took its {name} before it sent this one"),
                None => format!("that {it} had taken its {name} when it sent this one (dequeue_signal is not hooked, or its record was lost)"),
            },
            Certainty::Inferred,
        );
    }
    if let Some(one) = one {
        link_note(view, one, &taken, it, d);
    }
    Some(Passed {
        number: asked.number,
        by: one
            .map_or("PID 1", |one| lead::called(one).first)
            .to_owned(),
        sure: true,
        ago: words::between(asked.time, sent),
    })
}

/// A chain through processes that pass a request on to each other ends somewhere.
const LONGEST: usize = 32;

/// A request to end that a process had got before it ended another.
pub(crate) struct Passed {
    /// The signal that it was asked by.
    pub(crate) number: i32,
    /// Who, at the beginning of a sentence.
    pub(crate) by: String,
    /// It passed that on; else it may have had another cause.
    pub(crate) sure: bool,
    /// How long before.
    pub(crate) ago: u64,
}

impl Passed {
    /// What that says of an end by `number`; of one that was forced there is nothing to add
    /// where it is sure.
    pub(crate) fn sentence(&self, number: i32) -> Option<String> {
        let Self { by, sure, ago, .. } = self;
        let request = signals::name(self.number);
        match (sure, number) {
            (true, signals::KILL) => None,
            (true, _) => Some(format!(
                "{by} passed on the request to end that it had got ({request}): nothing was forced."
            )),
            (false, _) => Some(format!(
                "{by} had handled {request} {} before; whether it did this because of that is not known.",
                words::span(*ago)
            )),
        }
    }
}

/// Goes on at another process that was asked to end.
fn link_relay(
    view: View<'_>,
    of: &Process,
    sender: &NotedSender,
    relay: &Relay<'_>,
    d: &mut Death,
) -> Passed {
    let one = relay.one;
    if relay.by_child {
        d.link_process(view.history, sender, of, false);
    }
    for between in &relay.between {
        d.link(None, between.clone());
    }
    let leads = one.task.is_pid1() || lead::led(view.history, &one.task).is_some();
    let (comm, pid) = (one.task.comm, one.task.key.pid);
    let (who, by, first) = match leads {
        true => {
            let called = lead::called(one);
            (
                format!("{} {comm} {pid}", called.then),
                called.then.to_owned(),
                called.first.to_owned(),
            )
        }
        false => {
            let who = format!("{comm} {pid}");
            (who.clone(), comm.to_string(), who)
        }
    };
    d.link(None, who);
    d.evidence(Evidence::Event(relay.asked.event));
    if !relay.sure {
        let name = signals::name(relay.asked.number);
        let what = if relay.by_child {
            "had this sent"
        } else {
            "sent this"
        };
        d.missing(
            format!("whether {by} {what} because of the {name} that it had handled before: only the order in time tells"),
            Certainty::Inferred,
        );
    }
    link_note(view, one, relay.asked, &by, d);
    Passed {
        number: relay.asked.number,
        by: first,
        sure: relay.sure,
        ago: relay.ago,
    }
}
