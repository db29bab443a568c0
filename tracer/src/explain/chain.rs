//! The chain of a death, from the signal to whoever stands behind it: links for
//! the senders with their lineage, for what PID 1 passed on, and for what an
//! engine was asked for.

use crate::event::BootTime;
use crate::explain::report::{Certainty, Evidence, Link};
use crate::history::note::{Fate, Note, NotedSender};
use crate::history::process::Process;
use crate::history::History;

use super::asked::{self, Request};
use super::death::Death;
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
/// passing on what it was asked, the chain goes on there, and the signal that
/// it was asked by is returned.
pub(crate) fn link_sender(
    view: View<'_>,
    of: &Process,
    sender: &NotedSender,
    number: i32,
    sent: BootTime,
    d: &mut Death,
) -> Option<i32> {
    let (pid, comm) = (sender.key.pid, sender.comm);
    let Some(asked) = pid1::passed_on(view, of, sender.key, number, sent) else {
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
    Some(asked.number)
}
