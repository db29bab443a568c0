//! What is reported: the values that every output shows, text and JSON alike.
//! Outputs format these and decide nothing.

use super::path::KernelPath;
use super::runtime::Recognized;
use super::signals;
use std::sync::Arc;

use crate::event::{BootTime, Call, Comm, Origin, PidNs, ProcessKey, Task};
use crate::history::filter::Filter;

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

/// A process behind a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forebear {
    /// Which.
    pub key: ProcessKey,
    /// Its name.
    pub comm: Comm,
    /// The program of a container engine that it is.
    pub runtime: Option<&'static str>,
}

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A process by a system call.
    Process {
        /// Which.
        task: Task,
        /// Its parents, nearest first; empty for routine signals.
        ancestry: Vec<Forebear>,
        /// There are more behind the last of these.
        more_ancestors: bool,
        /// Where it comes from, as its cgroup tells.
        origin: Option<Arc<Origin>>,
        /// The target is elsewhere, as far as is known.
        elsewhere: bool,
        /// The program of a container engine that it is.
        runtime: Option<Recognized>,
    },
    /// The kernel, on behalf of a process where there is one.
    Kernel {
        /// The process whose doing it was (a dying PID 1, the faulting one).
        on_behalf_of: Option<Task>,
    },
    /// A key on a terminal.
    Terminal,
    /// A timer that ran out.
    Timer,
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

/// A signal whose fate is settled, or that has waited long enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalReport {
    /// Id of its event.
    pub id: u64,
    /// When it was generated.
    pub time: BootTime,
    /// The namespace that it concerns.
    pub pidns: Option<PidNs>,
    /// Signal number.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// For the whole process.
    pub to_process: bool,
    /// The tracepoint's word: `delivered ignored already_pending
    /// overflow_fail lose_info`.
    pub outcome: crate::event::Outcome,
    /// Who sent it.
    pub sender: Sender,
    /// To whom.
    pub target: Task,
    /// Where that is, as its cgroup tells.
    pub target_origin: Option<Arc<Origin>>,
    /// An id of the contract's section 1, or `unknown`.
    pub fate: &'static str,
    /// Whether the fate is final.
    pub settled: bool,
    /// An id of section 2; `None` where the fate needs none.
    pub reason: Option<&'static str>,
    /// For fatal signals, and for those that come from a debugger: an id of section 3.
    pub cause: Option<&'static str>,
    /// For fatal signals: how it was carried out.
    pub mechanism: Option<&'static str>,
    /// By which functions of the kernel it was sent, and where its fate was decided.
    pub kernel_path: KernelPath,
    /// From generation to the handler, nanoseconds; `None` unless handled.
    pub latency_ns: Option<u64>,
    /// Only a later look or event showed the fate: it came at some moment within so
    /// many nanoseconds of the generation. `None`: the moment is known, or the fate open.
    pub within_ns: Option<u64>,
    /// What handled it; `None` unless handled.
    pub handler: Option<Box<HandlerPlace>>,
    /// A signal that is part of normal life (SIGCHLD, SIGURG …): left out
    /// unless `--all-signals`, and counted.
    pub routine: bool,
    /// Why and what to do.
    pub explanation: Explanation,
    /// How many equal signals this stands for.
    pub count: u64,
}

/// Where a handler is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerPlace {
    /// Its address (`sa_handler`).
    pub address: u64,
    /// Name of the file that is mapped there; safe to show.
    pub object: Option<String>,
    /// From the file's begin to the handler, bytes.
    pub offset: Option<u64>,
    /// The function that it is.
    pub function: Option<FaultFunction>,
}

/// A signal that the kernel refused to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedReport {
    /// Id of its event.
    pub id: u64,
    /// When.
    pub time: BootTime,
    /// The namespace that it concerns.
    pub pidns: Option<PidNs>,
    /// Signal number as it was given; there may be no such signal.
    pub number: i32,
    /// The `si_code` that it would have had.
    pub code: i32,
    /// The system call and whom it was for.
    pub call: Call,
    /// Whom it was for: a pid as the sender's PID namespace has it, 0 or less for
    /// many; of a pidfd the descriptor.
    pub pid: i32,
    /// Of one thread: its id, as the sender's PID namespace has it.
    pub tid: Option<i32>,
    /// What it failed with; 0: others were reached, or kill(-1) hides it.
    pub error: i32,
    /// Who sent it.
    pub sender: Sender,
    /// Who may not be signalled, as far as is known; of many the first.
    pub target: Option<Task>,
    /// Of many: how many may not be signalled, and how many may.
    pub counts: Option<(u32, u32)>,
    /// An id of section 2.
    pub reason: &'static str,
    /// Part of normal life.
    pub routine: bool,
    /// Why and what to do.
    pub explanation: Explanation,
    /// How many equal ones this stands for.
    pub count: u64,
}

/// No process or thread could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkReport {
    /// Id of its event.
    pub id: u64,
    /// When.
    pub time: BootTime,
    /// The namespace that it concerns.
    pub pidns: Option<PidNs>,
    /// Who tried.
    pub task: Task,
    /// Its parents, nearest first.
    pub ancestry: Vec<Forebear>,
    /// It was to be a thread; `None`: not known.
    pub thread: Option<bool>,
    /// errno.
    pub error: i32,
    /// An id of section 3 of the contract.
    pub reason: &'static str,
    /// The limit that was reached.
    pub limit: Option<ForkLimit>,
    /// Why and what to do.
    pub explanation: Explanation,
    /// How many equal ones this stands for.
    pub count: u64,
}

/// A limit of processes, with its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkLimit {
    /// Its name: `pids.max`, `RLIMIT_NPROC`, `kernel.pid_max`, `kernel.threads-max`.
    pub of: &'static str,
    /// How many there were.
    pub current: Option<u64>,
    /// How many there may be; of `kernel.pid_max` the first pid that is not given.
    pub max: Option<u64>,
    /// Path of the control group, as the host sees it; safe to show.
    pub cgroup: Option<String>,
    /// `own`: its own control group's; `parent`: one's around that.
    pub scope: Option<&'static str>,
    /// Whose processes are counted.
    pub uid: Option<u32>,
    /// The PID namespace whose pids are used up.
    pub pidns: Option<PidNs>,
    /// The dead that count too.
    pub zombies: Option<Zombies>,
}

/// The dead in a PID namespace that are not reaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zombies {
    /// How many.
    pub count: u64,
    /// Who must wait for most of them.
    pub parent: Option<Task>,
    /// So many.
    pub of_parent: u64,
}

/// How a stop went, where a stop signal was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The stop signal's number.
    pub signal: i32,
    /// How long a runtime lets it have, nanoseconds, where that is known of this
    /// stop.
    pub grace_ns: Option<u64>,
    /// From the stop signal to the end, nanoseconds.
    pub used_ns: u64,
}

/// Whose memory limit ended a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomKill {
    /// `own`: its own control group's; `parent`: one's around that; `global`: the
    /// machine's. `None`: not known.
    pub scope: Option<&'static str>,
    /// Path of that control group, as the host sees it; safe to show.
    pub cgroup: Option<String>,
    /// The limit, bytes; for `global` all there is, with swap.
    pub limit: Option<u64>,
    /// In use at that moment, bytes.
    pub usage: Option<u64>,
    /// Who asked for memory.
    pub trigger: Task,
    /// Whom the OOM killer chose, where that was another process.
    pub chosen: Option<Task>,
}

/// How much of a time a control group had no CPU time left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// Its path, as the host sees it; safe to show.
    pub cgroup: String,
    /// It is one of cgroup v1.
    pub v1: bool,
    /// CPU time that all of it may use in a period, microseconds.
    pub quota_us: u64,
    /// Length of a period, microseconds.
    pub period_us: u64,
    /// Between the two readings that the rest is of, microseconds.
    pub measured_us: u64,
    /// Periods in which it wanted to run.
    pub periods: u64,
    /// Of those, the ones whose quota was used up.
    pub throttled_periods: u64,
    /// For how long it was kept from running, added up over the CPUs.
    pub throttled_us: u64,
}

/// Where in its program a process was when it faulted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlace {
    /// Its instruction pointer.
    pub ip: u64,
    /// Name of the file that is mapped there; safe to show.
    pub object: Option<String>,
    /// The file's path within its file system; safe to show.
    pub path: Option<String>,
    /// From the file's begin to the instruction, bytes.
    pub offset: Option<u64>,
    /// The file's build id, in hexadecimal digits.
    pub build_id: Option<String>,
    /// Memory of no file is mapped there.
    pub anonymous: bool,
    /// Nothing is: it had jumped there.
    pub jumped: bool,
    /// The function that it was in.
    pub function: Option<FaultFunction>,
}

/// A function of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultFunction {
    /// Its name, readable; safe to show.
    pub name: String,
    /// From its begin to the instruction, bytes.
    pub offset: u64,
    /// Where its source is: `src/app.c:12`; safe to show.
    pub source: Option<String>,
}

/// A process is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReport {
    /// Id of the event.
    pub id: u64,
    /// When.
    pub time: BootTime,
    /// The namespace it lived in.
    pub pidns: Option<PidNs>,
    /// Which process.
    pub task: Task,
    /// It was PID 1 of a PID namespace: event kind `init_exit`.
    pub pid1: bool,
    /// The signal that ended it; `None`: it exited.
    pub signal: Option<i32>,
    /// The core bit of its status.
    pub core_dumped: bool,
    /// As a shell reports it: its status, or 128 + signal.
    pub exit_code: i32,
    /// An id of section 3, or `unknown`.
    pub cause: &'static str,
    /// `kill-syscall`, `kernel-signal`, `exit`, ….
    pub mechanism: Option<&'static str>,
    /// It was ended by force: by SIGKILL, not of its own accord.
    pub forced: bool,
    /// From the death to its root.
    pub chain: Vec<Link>,
    /// Contributing reasons, ids of section 2.
    pub contributing: Vec<&'static str>,
    /// The stop that this belongs to.
    pub stop: Option<Stop>,
    /// Whose memory limit it was, for the causes `oom-…`.
    pub oom: Option<Box<OomKill>>,
    /// How much of the time that it had to end its control group was kept from running.
    pub throttled: Option<Box<Throttled>>,
    /// Where in its program it was, for the cause `fault`.
    pub fault: Option<Box<FaultPlace>>,
    /// The same of what killed it.
    pub kernel_path: KernelPath,
    /// Why and what to do.
    pub explanation: Explanation,
}

/// Signals by which processes are asked to end. To end by one of them without
/// having a handler for it is how a clean stop looks.
const POLITE: [i32; 3] = [signals::HUP, signals::INT, signals::TERM];

impl ExitReport {
    /// It did not end of its own accord, nor as it was asked to: the rule for
    /// what is shown as an alarm and for what makes a whole unclean.
    pub fn ended_badly(&self) -> bool {
        let rudely = self.signal.is_some_and(|number| !POLITE.contains(&number));
        self.forced || self.core_dumped || rudely
    }
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
    /// Which function the handler was, which is all that changed.
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

/// A process for which a dead PID 1 waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreaped {
    /// Which.
    pub task: Task,
    /// It is dead, and not reaped.
    pub dead: bool,
    /// Who must wait for it.
    pub parent: Option<Task>,
    /// What a look at it showed.
    pub kept: Option<Kept>,
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
    /// `security_task_kill` is hooked: whether a security module says so is known.
    pub sees_module: bool,
}
