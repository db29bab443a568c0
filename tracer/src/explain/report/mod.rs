//! What is reported: the values that every output shows, text and JSON alike.
//! Outputs format these and decide nothing.

mod death;
mod signal;

use crate::event::{BootTime, Task};
use crate::history::filter::Filter;

pub use self::{death::*, signal::*};

/// How sure an explanation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Nothing is known; `missing` says what would be needed.
    Unknown,
    /// It fits all that is known, and something is missing.
    Inferred,
    /// The facts allow nothing else.
    Proven,
}

/// What proves an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A function on the kernel stack.
    Stack(String),
    /// An earlier event, by its id.
    Event(u64),
    /// A field of the kernel and its value, such as `sa_handler=SIG_DFL`.
    Field(String),
}

/// One step of a chain, from the effect towards its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The event it stands for, if any.
    pub event: Option<u64>,
    /// `PID 1 exited with status 0`.
    pub what: String,
    /// The program of a container engine that it names.
    pub runtime: Option<&'static str>,
    /// It is what an engine was asked for.
    pub asked: Option<Asked>,
}

/// When an engine was asked for something, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// By its clock.
    pub at: BootTime,
    /// Through its API; else its event alone is known.
    pub by_api: bool,
}

/// Words for a person, and what proves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// How sure.
    pub certainty: Certainty,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// Those of its events that are reported nowhere else, and what each is; of those
    /// of a moment ago, older ones are no longer known.
    pub moments: Vec<(u64, &'static str)>,
    /// What would be needed to be sure; never empty for `Unknown`.
    pub missing: Vec<String>,
    /// Sentences, each on its own line in text, joined by a space in JSON.
    pub sentences: Vec<String>,
    /// What to change; empty where there is nothing to.
    pub advice: Vec<String>,
}

/// Something became known about what was reported before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// A signal's fate moved on.
    Signal(Box<SignalReport>),
    /// A death is understood better.
    Exit(Box<ExitReport>),
    /// Who asked for what ended in this death, which is all that changed: the
    /// last link of its chain.
    Asked(Box<ExitReport>),
    /// In which function a fault was, which is all that changed.
    Named(Box<ExitReport>),
    /// Which function the handler was, or a fault that it took was in, which is all that
    /// changed.
    HandlerNamed(Box<SignalReport>),
}

/// At the end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// Processes that died in the scope.
    pub exited: u64,
    /// Of those, by force.
    pub forced: u64,
    /// Of those, not of their own accord nor as they were asked to
    /// ([`ExitReport::ended_badly`]); those by force are among them.
    pub ended_badly: u64,
    /// Processes whose end was not seen; they are not among `exited`.
    pub unseen_ends: u64,
    /// Of those, the ones that SIGKILL was seen to kill.
    pub killed_unseen: u64,
    /// A filter by process or cgroup was in force ([`Filter::is_partial`]).
    pub partial: bool,
    /// Signals that were dropped, routine ones left out.
    pub dropped: u64,
    /// Routine signals that were dropped.
    pub dropped_routinely: u64,
    /// Signals that the kernel refused to send, routine ones left out.
    pub refused: u64,
    /// Signals for which the queue had no room.
    pub rejected: u64,
    /// Signals that added nothing to equal ones that were pending, routine ones left out.
    pub coalesced: u64,
    /// Routine signals that did.
    pub coalesced_routinely: u64,
    /// Forks that the kernel rejected.
    pub forks_rejected: u64,
    /// Events that were lost.
    pub lost: u64,
    /// Routine signals.
    pub routine: u64,
    /// Signals seen, routine ones included.
    pub signals: u64,
    /// Every traced namespace has ended.
    pub ended: bool,
    /// Sentences that qualify the whole (losses, gaps).
    pub notes: Vec<String>,
}

impl Summary {
    /// Nothing that belongs to it was missed: what was not seen did not happen.
    pub fn saw_all(&self) -> bool {
        self.lost == 0 && self.unseen_ends == 0 && !self.partial
    }
}

/// What keeps a process from ending, as a look at it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// State letter: `R S D T t Z X I`.
    pub state: char,
    /// An id of section 2, where one fits.
    pub reason: Option<&'static str>,
    /// The second half of a sentence: `it sleeps in the kernel, in …`.
    pub why: String,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A signal.
    Signal(Box<SignalReport>),
    /// A death.
    Exit(Box<ExitReport>),
    /// A signal that was refused.
    Refused(Box<RefusedReport>),
    /// A fork that was rejected.
    ForkRejected(Box<ForkReport>),
    /// More about an earlier one.
    Update {
        /// Id of the report it changes.
        of: u64,
        /// When it became known.
        time: BootTime,
        /// The whole of it as it stands now.
        now: Update,
    },
    /// A process was made.
    Fork {
        /// Id of the event.
        id: u64,
        /// When.
        time: BootTime,
        /// By whom.
        parent: Task,
        /// The new one.
        child: Task,
    },
    /// A process runs another program.
    Exec {
        /// Id of the event.
        id: u64,
        /// When.
        time: BootTime,
        /// Which, with its new name.
        task: Task,
    },
    /// A dead process is not reaped; reported once it has stayed so for a second.
    Zombie {
        /// Id of its exit.
        id: u64,
        /// When it died.
        time: BootTime,
        /// Which.
        task: Task,
        /// Whose child it is.
        parent: Option<Task>,
    },
    /// A dead PID 1 cannot end, because its namespace is not empty (reported once
    /// that has gone on for a second).
    Waits {
        /// Id of its exit.
        id: u64,
        /// When it died.
        time: BootTime,
        /// Which.
        task: Task,
        /// Those that are known to be left.
        waits_for: Vec<Unreaped>,
    },
    /// A dead process was reaped.
    Reap {
        /// Id of the event.
        id: u64,
        /// When.
        time: BootTime,
        /// Which.
        task: Task,
        /// By whom, pid on the host.
        by: Option<u32>,
        /// How sure the time is.
        certainty: Certainty,
    },
    /// Events were lost.
    Lost {
        /// Id of the event.
        id: u64,
        /// When it was noticed.
        time: BootTime,
        /// Which sort.
        kind: &'static str,
        /// How many.
        count: u64,
        /// Whoever reads the output had sigtrace wait meanwhile.
        slow_output: bool,
    },
}

/// What the stream can tell; fixed when tracing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// When every hook was in place. Nothing before is known.
    pub since: BootTime,
    /// Signals that are reported; bit n-1 for signal n. Those left out by a
    /// filter are not in the history.
    pub signals: u64,
    /// Whom the filters name; of others only what these do to them is known.
    pub filter: Filter,
    /// `dequeue_signal` is hooked: `accepted` can be proven.
    pub sees_dequeue: bool,
    /// `release_task` is hooked: the time of reaping is exact.
    pub sees_release: bool,
    /// `check_kill_permission` is hooked: who may not be signalled is known.
    pub sees_check: bool,
}
