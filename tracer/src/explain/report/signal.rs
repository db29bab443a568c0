//! What is told of signals, of refused ones, and of forks that were rejected.

use std::sync::Arc;

use super::{Explanation, FaultFunction, FaultPlace};
use crate::event::{BootTime, Call, Comm, Origin, PidNs, ProcessKey, Task};
use crate::explain::path::KernelPath;
use crate::explain::runtime::Recognized;

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
    /// A terminal: a key, or what a process did to it.
    Terminal {
        /// The process whose doing it was, where that is known.
        on_behalf_of: Option<Task>,
    },
    /// A timer that ran out.
    Timer,
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
    /// Of a fault that was handled: where in its program the thread was.
    pub fault: Option<Box<FaultPlace>>,
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
