//! What a rule says about one signal, and what every rule may look at.

use std::fmt;

use crate::event::{BootTime, Comm, Task};
use crate::explain::report::{Certainty, Coverage, Evidence, Explanation};
use crate::history::{note::Fate, process::Process, History};

use super::{signals, words};

/// What a rule may look at: what happened, and what the stream can tell.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// What happened.
    pub(crate) history: &'a History,
    /// What the stream can tell.
    pub(crate) coverage: &'a Coverage,
    /// How many deaths further up a chain is being followed.
    pub(crate) depth: usize,
}

impl View<'_> {
    /// Why the absence of a signal to a process since `since` proves nothing;
    /// `None` if it does prove something.
    pub(crate) fn blind_to(&self, number: i32, since: BootTime, to: &Process) -> Option<Blind> {
        if self.coverage.signals & signals::bit(number) == 0 {
            return Some(Blind::Filtered(number));
        }
        let filter = &self.coverage.filter;
        if !filter.covers(&to.task) {
            if !filter.in_cgroup(&to.task) {
                return Some(Blind::NotNamed(Who::of(to)));
            }
            if !to.always_in_cgroup {
                return Some(Blind::Outside(Who::of(to)));
            }
        }
        match self.history.lost_since("signal", since) {
            0 => (self.coverage.since > since).then_some(Blind::Late),
            n => Some(Blind::Lost(n)),
        }
    }
}

/// What a signal filter leaves out, as the reason why it is not known who sent
/// what else; `None`: nothing. SIGCHLD and SIGURG tell nobody to end.
pub(crate) fn left_out(coverage: &Coverage) -> Option<String> {
    let noise = signals::bit(signals::CHLD) | signals::bit(signals::URG);
    let named = |set: u64| {
        let numbers = (1..=signals::RTMAX).filter(|&n| set & signals::bit(n) != 0);
        let names: Vec<_> = numbers.map(signals::name).collect();
        match &names[..] {
            [last] => last.to_string(),
            [most @ .., last] => format!("{} and {last}", most.join(", ")),
            [] => "nothing".to_owned(),
        }
    };
    let (seen, out) = (coverage.signals & !noise, !(coverage.signals | noise));
    match (out.count_ones(), seen.count_ones()) {
        (0, _) => None,
        (1..4, _) => Some(format!("the signal filter leaves out {}", named(out))),
        (_, 0..5) => Some(format!(
            "the signal filter leaves out all but {}",
            named(seen)
        )),
        (n, _) => Some(format!("the signal filter leaves out {n} signals")),
    }
}

/// A process in a sentence: `nginx 4242`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    comm: Comm,
    pid: u32,
}

impl Who {
    fn of(process: &Process) -> Self {
        let Task { comm, key, .. } = &process.task;
        let (comm, pid) = (*comm, key.pid);
        Self { comm, pid }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comm, self.pid)
    }
}

/// Why something may have happened unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blind {
    /// The filter leaves this signal out.
    Filtered(i32),
    /// The filters do not name it: it is known what those got from it whom they
    /// do, and to it from them.
    NotNamed(Who),
    /// It came into the cgroup that is filtered by only later.
    Outside(Who),
    /// Events were lost.
    Lost(u64),
    /// sigtrace was attached later.
    Late,
}

impl Blind {
    /// For `missing`.
    pub(crate) fn missing(self) -> String {
        match self {
            Self::Filtered(n) => format!("{} (left out by the signal filter)", signals::name(n)),
            Self::NotNamed(who) => {
                format!("signals to {who} from processes that the filters do not name")
            }
            Self::Outside(who) => {
                format!("signals to {who} before it was in the cgroup that is traced")
            }
            Self::Lost(n) => format!(
                "{} that {} lost",
                words::count(n, "signal event", "signal events"),
                was(n)
            ),
            Self::Late => "what happened before sigtrace was attached".to_owned(),
        }
    }

    /// The first half of a sentence.
    pub(crate) fn because(self) -> String {
        match self {
            Self::Filtered(n) => format!("{} is left out by the signal filter", signals::name(n)),
            Self::NotNamed(who) => {
                format!(
                    "the filters leave out what {who} gets from processes that they do not name"
                )
            }
            Self::Outside(who) => {
                format!("{who} was not in the cgroup that is traced from the beginning")
            }
            Self::Lost(n) => format!(
                "{} {} lost",
                words::count(n, "signal event", "signal events"),
                was(n)
            ),
            Self::Late => "sigtrace was attached too late to see it".to_owned(),
        }
    }
}

fn was(n: u64) -> &'static str {
    if n == 1 {
        "was"
    } else {
        "were"
    }
}

/// What a rule says about one signal.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// What becomes of it.
    pub(crate) fate: Fate,
    /// Why.
    pub(crate) reason: Option<&'static str>,
    /// Why its target died, where it concerns a thread alone.
    pub(crate) cause: Option<&'static str>,
    /// In words.
    pub(crate) explanation: Explanation,
    /// From generation to the handler.
    pub(crate) latency_ns: Option<u64>,
    /// Address of the handler.
    pub(crate) handler: Option<u64>,
    /// Of a fault that it takes: the instruction.
    pub(crate) fault_at: Option<u64>,
    /// Part of normal life, by what the rule knows ([`super::routine`] judges by
    /// the signal alone).
    pub(crate) routine: bool,
    /// Only a later look showed it: when it was settled is not known.
    pub(crate) later: bool,
}

impl Verdict {
    /// A proven one without words yet.
    pub(crate) fn proven(fate: Fate) -> Self {
        Self {
            fate,
            reason: None,
            cause: None,
            explanation: empty(Certainty::Proven),
            latency_ns: None,
            handler: None,
            fault_at: None,
            routine: false,
            later: false,
        }
    }

    /// One that fits all that is known, and what is missing to be sure.
    pub(crate) fn inferred(fate: Fate, missing: impl Into<String>) -> Self {
        Self::proven(fate).but(missing)
    }

    /// Nothing is known.
    pub(crate) fn unknown(missing: impl Into<String>) -> Self {
        let mut v = Self::proven(Fate::Unknown).but(missing);
        v.explanation.certainty = Certainty::Unknown;
        v
    }

    /// With a reason.
    pub(crate) fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// With the cause of a thread's end.
    pub(crate) fn caused(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Nothing that anybody would want to change.
    pub(crate) fn routine(mut self) -> Self {
        self.routine = true;
        self
    }

    /// Only a later look showed it.
    pub(crate) fn seen_later(mut self) -> Self {
        self.later = true;
        self
    }

    /// With something missing: no longer proven.
    pub(crate) fn but(mut self, missing: impl Into<String>) -> Self {
        self.explanation.certainty = self.explanation.certainty.min(Certainty::Inferred);
        self.explanation.missing.push(missing.into());
        self
    }

    /// With a sentence.
    pub(crate) fn say(mut self, sentence: impl Into<String>) -> Self {
        self.explanation.sentences.push(sentence.into());
        self
    }

    /// With advice.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.explanation.advice.push(words::sentence(advice.into()));
        self
    }

    /// With a field of the kernel as evidence.
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.explanation
            .evidence
            .push(Evidence::Field(field.into()));
        self
    }

    /// With a function on the stack as evidence.
    pub(crate) fn frame(mut self, function: &str) -> Self {
        self.explanation
            .evidence
            .push(Evidence::Stack(function.to_owned()));
        self
    }

    /// With an event as evidence.
    pub(crate) fn event(mut self, id: u64) -> Self {
        self.explanation.evidence.push(Evidence::Event(id));
        self
    }
}

/// An explanation without words.
pub(crate) fn empty(certainty: Certainty) -> Explanation {
    Explanation {
        certainty,
        evidence: Vec::new(),
        moments: Vec::new(),
        missing: Vec::new(),
        sentences: Vec::new(),
        advice: Vec::new(),
    }
}
