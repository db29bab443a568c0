//! A death by a signal that was seen: the process that sent it, or the kernel.
//! The end of a namespace stands in [`super::pid1`], abort(3) in
//! [`super::abort`].

use crate::event::{printable, BootTime, Info, Signal};
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::{Fate, Note, NotedSender};
use crate::history::process::{Fatal, Process};

use super::chain::{into, link_note, link_sender};
use super::death::Death;
use super::path::KernelPath;
use super::sender::{self, SI_TKILL, SI_USER};
use super::verdict::View;
use super::{abort, crashes, dropped, lead, pid1, runtime, signals, stack, stop_request, words};

/// Kills a child that is forked into a control group which is being killed.
pub(super) const FORKED_INTO: &str = "cgroup_post_fork";

/// Longer than programs are given to clean up.
const CLEAN_UP_NS: u64 = 120_000_000_000;

/// A process sent it.
pub(super) fn by_process(
    view: View<'_>,
    victim: &Process,
    fatal: &Fatal,
    s: &Signal,
    at: BootTime,
) -> Death {
    let name = signals::name(s.number);
    let call = stack::system_call(&s.stack);
    let mechanism = match call {
        Some((_, mechanism)) => Ok(mechanism),
        None => mechanism_by_code(s),
    };
    let own = s.current.key == s.target.key;
    let stopped = stop_request::timed_out(view, victim, fatal, s);
    let cause = match mechanism {
        _ if stopped.is_some() => "stop-timeout",
        Ok("cgroup-kill") => "cgroup-kill",
        _ if abort::raised(s) => "abort",
        _ => "killed-by-process",
    };
    let mut d = Death::new(cause, mechanism.ok());
    d.kernel_path = KernelPath::fatal(s);
    if let Some((function, _)) = call {
        d.evidence(Evidence::Stack(function.to_owned()));
    }
    d.evidence(Evidence::Field(format!("si_code={}", s.code)));
    d.evidence(Evidence::Event(fatal.event));
    if let Err(missing) = mechanism {
        d.missing(missing, Certainty::Inferred);
    }
    if let Some(stopped) = stopped {
        d.link(Some(fatal.event), name.to_string());
        stop_request::explain(view, victim, fatal, s, &stopped, at, &mut d);
        return d;
    }
    let sender = NotedSender::of(s);
    let from = runtime::called(view.history, &sender, victim);
    if cause == "abort" {
        abort::explain(fatal, &mut d);
        crashes::before_signal(victim, fatal, s, &mut d);
        return d;
    }
    d.link(Some(fatal.event), format!("{name}{}", into(Some(&sender))));
    let dump = dropped::dumping(s)
        && victim
            .fatal
            .as_ref()
            .is_some_and(|f| f.event != fatal.event);
    d.say(match (cause, own) {
        ("cgroup-kill", _) => format!("{from} killed every process of the control group (cgroup.kill)."),
        _ if dump => {
            let first = victim.fatal.as_ref().map_or(0, |first| first.number);
            format!(
                "The process was writing a core dump, because of {}; {from} ended that with {name} {}.",
                signals::name(first),
                sender::direction(s)
            )
        }
        (_, true) if s.current.tid != s.target.tid && s.number != signals::KILL => {
            let to = match s.to_process {
                true => "the process".to_owned(),
                false => format!("its thread {}", s.target.tid),
            };
            format!(
                "A thread of the process ({}) sent {name} to {to}, and the process has no handler for it.",
                s.current.tid
            )
        }
        (_, true) if s.number == signals::KILL => "The process killed itself with SIGKILL.".to_owned(),
        (_, true) => format!("The process sent {name} to itself and has no handler for it."),
        _ if s.number == signals::KILL => {
            format!("{from} killed it with SIGKILL {}.", sender::direction(s))
        }
        _ => format!("{from} sent {name} {}, and the process has no handler for it: the default action ended it.", sender::direction(s)),
    });
    d.stop = pid1::stop(view, victim, at);
    if own && crashes::before_signal(victim, fatal, s, &mut d) {
        return d;
    }
    if let Some(handled) = raised_again(victim, fatal, s) {
        d.evidence(Evidence::Event(handled.event));
        d.say(format!(
            "It had handled {name} {} before: a program that cleans up in its handler ends in this way, with the default action set again.",
            words::span(words::between(handled.settled.unwrap_or(handled.time), fatal.time))
        ));
        d.link(None, words::who(&victim.task));
        link_note(view, victim, handled, "it", &mut d);
        return d;
    }
    let asked = link_sender(view, victim, &sender, s.number, fatal.time, &mut d);
    if let Some(said) = asked.and_then(|asked| asked.sentence(s.number)) {
        d.say(said);
    }
    if s.number == signals::KILL {
        left_over(view, victim, &sender, fatal.time, &mut d);
    }
    if s.number == signals::KILL && lead::led(view.history, &victim.task).is_some() {
        pid1::unanswered_stop(view, victim, "it", fatal.time, &mut d);
    }
    d
}

/// The same signal, which a process handled before it sent it to itself.
fn raised_again<'a>(victim: &'a Process, fatal: &Fatal, s: &Signal) -> Option<&'a Note> {
    if s.current.key != s.target.key {
        return None;
    }
    let lately = |note: &Note| words::between(note.time, fatal.time) <= CLEAN_UP_NS;
    let before =
        |note: &&Note| note.time <= fatal.time && note.event != fatal.event && lately(note);
    let mut notes = victim.notes.iter().rev().filter(before);
    let last = notes.find(|note| note.number == s.number)?;
    (last.fate == Fate::Handled).then_some(last)
}

/// A container's first process had ended, and was no PID 1: the kernel killed nobody
/// for that, and what was left its runtime killed.
fn left_over(view: View<'_>, victim: &Process, by: &NotedSender, killed: BootTime, d: &mut Death) {
    let Some(shared) = lead::shared(view.history, &victim.task) else {
        return;
    };
    let first = shared.first.and_then(|key| view.history.process(key));
    let ended = first.and_then(|first| Some((first, first.exit?)));
    let Some((first, exit)) =
        ended.filter(|(first, exit)| exit.time <= killed && first.task.key != victim.task.key)
    else {
        return;
    };
    if runtime::sender(view.history, by, victim).is_none() {
        return;
    }
    d.evidence(Evidence::Event(exit.event));
    d.say(format!(
        "The container's first process, {}, had ended {} before. It shares {} PID namespace and was \
         no PID 1, so the kernel killed nobody for that: the runtime ended what was left of the \
         container.",
        words::who(&first.task),
        words::span(words::between(exit.time, killed)),
        match (&shared.owner, shared.pidns) {
            (Some(owner), _) => format!("{}'s", printable(owner)),
            (None, None) => "the host's".to_owned(),
            (None, Some(_)) => "another container's".to_owned(),
        }
    ));
    d.advise("let the first process wait for its children before it exits");
}

/// By which call a process sent it, without names on the stack; else what is
/// missing to tell. Nobody but tkill(2) and tgkill(2) may use their code
/// (`do_rt_sigqueueinfo`, `pidfd_send_signal`); the codes of kill(2) and
/// sigqueue(3) come from pidfd_send_signal(2) as well. Without a siginfo it is
/// kill(2) since Linux 7, or a write to cgroup.kill, which sends nothing but
/// SIGKILL.
fn mechanism_by_code(s: &Signal) -> Result<&'static str, &'static str> {
    match (s.info, s.code) {
        (Info::None, _) if s.number == signals::KILL => {
            Err("kernel symbols: kill(2) or cgroup.kill")
        }
        (Info::None, _) => Err("kernel symbols: kill(2) or pidfd_send_signal(2)"),
        (_, SI_TKILL) => Ok("tkill-syscall"),
        (_, SI_USER) => Err("kernel symbols: kill(2) or pidfd_send_signal(2)"),
        _ => Err("kernel symbols: sigqueue(3) or pidfd_send_signal(2)"),
    }
}

/// A child that was forked into a control group while that was being killed
/// (`cgroup_post_fork`): the forking parent has nothing to do with it.
pub(super) fn forked_into_the_killed(fatal: &Fatal, s: &Signal) -> Death {
    let mut d = Death::new("cgroup-kill", Some("cgroup-kill"));
    d.kernel_path = KernelPath::fatal(s);
    d.evidence(Evidence::Stack(FORKED_INTO.to_owned()));
    d.evidence(Evidence::Event(fatal.event));
    d.say("It was forked into a control group that was being killed (cgroup.kill), so the kernel killed it with the others.");
    d.link(
        Some(fatal.event),
        format!("{} by the kernel", signals::name(s.number)),
    );
    d
}
