//! Why a process died: which rule tells, and what each of them fills in. Signals
//! that were seen stand in [`super::killed`], exits in [`super::exited`], what a
//! dying PID 1 does to its namespace in [`super::pid1`].

use crate::event::{BootTime, Frame};
use crate::explain::report::{
    Certainty, Evidence, Explanation, FaultPlace, Link, OomKill, Stop, Throttled,
};
use crate::history::note::NotedSender;
use crate::history::process::{Exited, Fatal, Process};

use super::asked::Request;
use super::path::KernelPath;
use super::sender::{self, Origin};
use super::verdict::{empty, View};
use super::{
    abort, debugger, dumped, exited, kernel_cause, killed, on_the_spot, pid1, runtime, signals,
    stack, words,
};

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
    pub(crate) kernel_path: KernelPath,
    /// From the death to its root.
    pub(crate) chain: Vec<Link>,
    /// Contributing reasons.
    pub(crate) contributing: Vec<&'static str>,
    /// The stop it belongs to.
    pub(crate) stop: Option<Stop>,
    /// Whose memory limit it was.
    pub(crate) oom: Option<Box<OomKill>>,
    /// How much CPU time it lacked to end.
    pub(crate) throttled: Option<Box<Throttled>>,
    /// Where in its program a fault was.
    pub(crate) fault: Option<Box<FaultPlace>>,
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
            kernel_path: KernelPath::default(),
            chain: Vec::new(),
            contributing: Vec::new(),
            stop: None,
            oom: None,
            throttled: None,
            fault: None,
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
        return exited::by_itself(view, victim, exited);
    }
    let mut death = match &victim.fatal {
        Some(fatal) if fatal.number == number => by_signal(view, victim, fatal, exited.time),
        Some(fatal) if dump_ended(victim, number).is_some() => {
            let mut death = by_signal(view, victim, fatal, exited.time);
            unfinished(view, victim, &mut death);
            death
        }
        _ => unseen(view, victim, number, exited, exit_stack),
    };
    if death.stop.is_none() {
        death.stop = pid1::stop(view, victim, exited.time);
    }
    death
}

/// The SIGKILL that stands in the status of a process which was dying of something else
/// (`complete_signal` lets it replace that while a core dump is written).
pub(crate) fn dump_ended(victim: &Process, number: i32) -> Option<&Fatal> {
    let kill = victim.dump_ended.as_ref();
    kill.filter(|kill| kill.number == number)
}

/// Its core dump was ended.
fn unfinished(view: View<'_>, victim: &Process, d: &mut Death) {
    let Some(kill) = &victim.dump_ended else {
        return;
    };
    let name = signals::name(kill.number);
    let by = (kill.signal.as_deref()).filter(|s| sender::origin(s) == Origin::Process);
    let by = by.map_or_else(
        || "the kernel".to_owned(),
        |s| runtime::called(view.history, &NotedSender::of(s), victim),
    );
    d.evidence(Evidence::Event(kill.event));
    d.say(format!(
        "It was writing its core dump when {by} ended that with {name}: so its status names {name} ({}), and the core dump is not whole.",
        128 + kill.number
    ));
}

/// A process that a signal ends, from that signal.
pub(crate) fn by_signal(view: View<'_>, victim: &Process, fatal: &Fatal, at: BootTime) -> Death {
    let Some(s) = fatal.signal.as_deref() else {
        return debugger::perhaps_killed(view, victim, fatal)
            .unwrap_or_else(|| only_delivered(victim, fatal));
    };
    if debugger::ends(s) {
        return debugger::killed(view, victim, fatal, s);
    }
    if let Some(proof) = pid1::zapped(view, s) {
        return pid1::killed(view, victim, &s.current, proof, Some((fatal, s)), at);
    }
    if s.number == signals::KILL && stack::has(&s.stack, killed::FORKED_INTO) {
        return killed::forked_into_the_killed(fatal, s);
    }
    match sender::origin(s) {
        Origin::Process => killed::by_process(view, victim, fatal, s, at),
        _ => abort::of_pid1(victim, fatal, s).unwrap_or_else(|| kernel_cause::of(view, fatal, s)),
    }
}

fn only_delivered(victim: &Process, fatal: &Fatal) -> Death {
    let name = signals::name(fatal.number);
    let (lacking, known, sender) = if victim.given_up & signals::bit(fatal.number) == 0 {
        let lacking = "only its delivery was seen";
        (lacking, "who sent it was not seen", "an unseen sender")
    } else {
        let lacking = "too many signals waited to follow all of them";
        let sender = "a sender that is no longer known";
        (lacking, "who sent it is no longer known", sender)
    };
    let mut d = Death::new("unknown", None);
    d.evidence(Evidence::Event(fatal.event));
    d.missing(
        format!("the sending of {name}: {lacking}"),
        Certainty::Unknown,
    );
    d.say(format!(
        "{} acted on {name} and has no handler for it; {known}.",
        words::who(&victim.task)
    ));
    d.link(Some(fatal.event), format!("{name} from {sender}"));
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
    // What its own stack shows is no other's doing, whoever dies at that moment.
    if let Some(death) = on_the_spot::at_exit(number, exited, exit_stack) {
        return death;
    }
    if let Some(death) = dumped::with_another(view, victim, exited) {
        return death;
    }
    if number == signals::KILL {
        if let Some(one) = pid1::dying_pid1(view, victim, exited.time) {
            let proof = pid1::Proof::unseen(view, one, victim);
            return pid1::killed(view, victim, &one.task, proof, None, exited.time);
        }
    }
    let mut d = Death::new("unknown", None);
    d.kernel_path = KernelPath::new(exit_stack);
    for function in d.kernel_path.functions.clone() {
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
