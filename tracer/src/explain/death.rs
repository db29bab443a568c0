//! Why a process died: the first fatal signal and who stands behind it, or its
//! own exit. What a dying PID 1 does to its namespace stands in
//! [`super::pid1`].

use crate::event::{BootTime, Frame, Info, Signal};
use crate::explain::report::{Certainty, Evidence, Explanation, Link, Stop};
use crate::history::note::{Fate, Note, NotedSender};
use crate::history::process::{Exited, Fatal, Process};

use super::asked::Request;
use super::sender::{self, Origin, SI_TKILL, SI_USER};
use super::signals;
use super::verdict::{empty, Blind, View};
use super::{chain, kernel_cause, pid1, runtime, stack, stop_request, words};

/// Kills a child that is forked into a control group which is being killed.
const FORKED_INTO: &str = "cgroup_post_fork";
/// How far a chain is followed from one death to the next.
const CHAIN_DEPTH: usize = 8;

/// A death explained.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    /// An id of section 3 of the contract.
    pub(crate) cause: &'static str,
    /// The call that carried it out.
    pub(crate) mechanism: Option<&'static str>,
    /// Functions on the stack of what killed it.
    pub(crate) kernel_path: Vec<String>,
    /// From the death to its root.
    pub(crate) chain: Vec<Link>,
    /// Contributing reasons.
    pub(crate) contributing: Vec<&'static str>,
    /// The stop it belongs to.
    pub(crate) stop: Option<Stop>,
    /// What a runtime sent, where the chain ends.
    pub(crate) request: Option<Request>,
    /// In words.
    pub(crate) explanation: Explanation,
}

impl Death {
    pub(crate) fn new(cause: &'static str, mechanism: Option<&'static str>) -> Self {
        Self {
            cause,
            mechanism,
            kernel_path: Vec::new(),
            chain: Vec::new(),
            contributing: Vec::new(),
            stop: None,
            request: None,
            explanation: empty(Certainty::Proven),
        }
    }

    pub(crate) fn missing(&mut self, what: impl Into<String>, at_most: Certainty) {
        self.explanation.certainty = self.explanation.certainty.min(at_most);
        self.explanation.missing.push(what.into());
    }

    pub(crate) fn say(&mut self, sentence: impl Into<String>) {
        self.explanation.sentences.push(sentence.into());
    }

    pub(crate) fn advise(&mut self, advice: impl Into<String>) {
        self.explanation.advice.push(words::sentence(advice.into()));
    }

    pub(crate) fn evidence(&mut self, evidence: Evidence) {
        if !self.explanation.evidence.contains(&evidence) {
            self.explanation.evidence.push(evidence);
        }
    }

    pub(crate) fn link(&mut self, event: Option<u64>, what: impl Into<String>) {
        self.chain.push(Link {
            event,
            what: what.into(),
            runtime: None,
            asked: None,
        });
    }
}

/// A dead process. `stack` is that of its exit.
pub(crate) fn of_exit(
    view: View<'_>,
    victim: &Process,
    exited: Exited,
    exit_stack: &[Frame],
) -> Death {
    let number = exited.status & 0x7f;
    if number == 0 {
        return by_itself(view, victim, exited);
    }
    let mut death = match &victim.fatal {
        Some(fatal) if fatal.number == number => by_signal(view, victim, fatal, exited.time),
        _ => unseen(view, victim, number, exited, exit_stack),
    };
    if death.stop.is_none() {
        death.stop = pid1::stop(view, victim, exited.time);
    }
    death
}

/// A process that a signal ends, from that signal.
pub(crate) fn by_signal(view: View<'_>, victim: &Process, fatal: &Fatal, at: BootTime) -> Death {
    let Some(s) = fatal.signal.as_deref() else {
        return only_delivered(victim, fatal);
    };
    if let Some(proof) = pid1::zapped(view, s) {
        return pid1::killed(view, victim, &s.current, proof, Some((fatal, s)), at);
    }
    if s.number == signals::KILL && stack::has(&s.stack, FORKED_INTO) {
        return forked_into_the_killed(fatal, s);
    }
    match sender::origin(s) {
        Origin::Process => by_process(view, victim, fatal, s, at),
        _ => kernel_cause::of(fatal, s),
    }
}

fn by_process(view: View<'_>, victim: &Process, fatal: &Fatal, s: &Signal, at: BootTime) -> Death {
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
        _ if own && s.number == signals::ABRT && s.code == SI_TKILL => "abort",
        _ => "killed-by-process",
    };
    let mut d = Death::new(cause, mechanism.ok());
    d.kernel_path = stack::path(&s.stack);
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
    d.link(
        Some(fatal.event),
        if cause == "abort" {
            format!("{name} raised by itself")
        } else {
            name.to_string()
        },
    );
    if cause == "abort" {
        d.say(format!("The program aborted: it sent itself {name} (abort(3), a failed assertion, or a runtime's fatal error)."));
        d.advise(
            "look for what it printed last; the core dump, if one was written, shows the place",
        );
        return d;
    }
    d.say(match (cause, own) {
        ("cgroup-kill", _) => format!("{from} killed every process of the control group (cgroup.kill)."),
        (_, true) => format!("The process sent {name} to itself and has no handler for it."),
        _ if s.number == signals::KILL => {
            format!("{from} killed it with SIGKILL {}.", sender::direction(s))
        }
        _ => format!("{from} sent {name} {}, and the process has no handler for it: the default action ended it.", sender::direction(s)),
    });
    d.stop = pid1::stop(view, victim, at);
    let asked = chain::link_sender(view, victim, &sender, s.number, fatal.time, &mut d);
    if let (Some(asked), true) = (asked, s.number != signals::KILL) {
        let request = signals::name(asked);
        d.say(format!(
            "PID 1 passed on the request to end that it had got ({request}): nothing was forced."
        ));
    }
    if s.number == signals::KILL && victim.task.is_pid1() {
        pid1::unanswered_stop(view, victim, "it", fatal.time, &mut d);
    }
    d
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
fn forked_into_the_killed(fatal: &Fatal, s: &Signal) -> Death {
    let mut d = Death::new("cgroup-kill", Some("cgroup-kill"));
    d.kernel_path = stack::path(&s.stack);
    d.evidence(Evidence::Stack(FORKED_INTO.to_owned()));
    d.evidence(Evidence::Event(fatal.event));
    d.say("It was forked into a control group that was being killed (cgroup.kill), so the kernel killed it with the others.");
    d.link(
        Some(fatal.event),
        format!("{} by the kernel", signals::name(s.number)),
    );
    d
}

fn only_delivered(victim: &Process, fatal: &Fatal) -> Death {
    let name = signals::name(fatal.number);
    let mut d = Death::new("unknown", None);
    d.evidence(Evidence::Event(fatal.event));
    d.missing(
        format!("the sending of {name}: only its delivery was seen"),
        Certainty::Unknown,
    );
    d.say(format!(
        "{} acted on {name} and has no handler for it; who sent it was not seen.",
        words::who(&victim.task)
    ));
    d.link(Some(fatal.event), format!("{name} from an unseen sender"));
    d
}

/// Its status names a signal whose sending was not seen.
fn unseen(
    view: View<'_>,
    victim: &Process,
    number: i32,
    exited: Exited,
    exit_stack: &[Frame],
) -> Death {
    let name = signals::name(number);
    if number == signals::KILL {
        if let Some(one) = pid1::dying_pid1(view, victim, exited.time) {
            let proof = pid1::Proof::unseen(view, one, victim);
            return pid1::killed(view, victim, &one.task, proof, None, exited.time);
        }
    }
    if let Some(death) = kernel_cause::at_exit(number, exited.event, exit_stack) {
        return death;
    }
    let mut d = Death::new("unknown", None);
    d.kernel_path = stack::path(exit_stack);
    for function in d.kernel_path.clone() {
        d.evidence(Evidence::Stack(function));
    }
    d.evidence(Evidence::Field(format!("status={:#x}", exited.status)));
    let since = BootTime(victim.task.key.start_ns);
    let why = view
        .blind_to(number, since, victim)
        .map_or_else(String::new, |blind| format!(" ({})", blind.because()));
    d.missing(format!("the sending of {name}{why}"), Certainty::Unknown);
    d.say(format!(
        "It was ended by {name}; who sent it was not seen{why}."
    ));
    d.link(Some(exited.event), format!("ended by {name}"));
    d
}

/// It exited with a status.
fn by_itself(view: View<'_>, victim: &Process, exited: Exited) -> Death {
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
        let acted = note.settled.unwrap_or(note.time);
        format!(
            "{} after {how} {}",
            words::span(words::between(acted, exited.time)),
            signals::name(note.number)
        )
    };
    if let Some(note) = pid1::request(victim, exited.time) {
        d.say(format!("{exit}, {}.", after(note)));
        d.evidence(Evidence::Event(note.event));
        chain::link_note(view, victim, note, role.trim_end(), &mut d);
    } else if let Some(note) = pid1::perhaps_request(victim, exited.time) {
        d.say(format!(
            "{exit}, {}; whether because of that is not known.",
            after(note)
        ));
        d.evidence(Evidence::Event(note.event));
    } else {
        unasked(view, victim, exited, &exit, &mut d);
    }
    if status == 2 && pid1::dropped_own(victim, exited.time).is_some() {
        d.say("Status 2 is how Go's runtime ends as PID 1: the signal that it raised against itself was dropped.");
    }
    d.stop = pid1::stop(view, victim, exited.time);
    d
}

/// It was not seen to act on a request to end before it exited. That it exited
/// is certain all the same, so an attachment that came late only limits what is
/// said; what was missed since makes it less certain.
fn unasked(view: View<'_>, victim: &Process, exited: Exited, exit: &str, d: &mut Death) {
    let seen = pid1::unanswered(victim, exited.time);
    let exit = &match seen {
        Some(note) => {
            d.evidence(Evidence::Event(note.event));
            format!("{exit}. {}", pid1::became(note, "it", exited.time))
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

/// Appends the chain of another death, which this one follows from.
pub(crate) fn follow(view: View<'_>, other: &Process, at: BootTime, d: &mut Death) {
    let Some(fatal) = &other.fatal else { return };
    let depth = view.depth + 1;
    if depth < CHAIN_DEPTH {
        let behind = by_signal(View { depth, ..view }, other, fatal, at);
        d.chain.extend(behind.chain);
        d.request = behind.request;
    }
}
