//! What is told of a death.

use super::{Explanation, Kept, Link};
use crate::event::{BootTime, PidNs, Task};
use crate::explain::path::KernelPath;
use crate::explain::signals;

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
    /// Where in its program it faulted: of the cause `fault`, or before its handler ended it.
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
        // Of one that exited: its handler of a fault brought that about.
        let crashed = self.signal.is_none() && self.fault.is_some();
        self.forced || self.core_dumped || rudely || crashed
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
