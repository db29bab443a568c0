//! Forks that the kernel rejected, as the kernel side reports them: who tried, how far
//! `copy_process` came, and the numbers that it may have failed for. Which of them it
//! was is for `explain::forks` to say.

use super::{Ancestor, PidNs, Task};

/// How far `copy_process` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Not known: only the system call's error was seen.
    Unknown,
    /// It failed elsewhere than in these two.
    Other,
    /// `alloc_pid` failed.
    AllocPid,
    /// `pids_can_fork` failed.
    Pids,
}

/// A control group whose limit of tasks was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullGroup {
    /// Its id.
    pub id: u64,
    /// Names of its folder and of those above it, its own first; any text.
    pub names: Vec<String>,
    /// These lead to the root.
    pub whole: bool,
    /// How far it is above the task's own.
    pub depth: u32,
    /// Tasks in it (`pids.current`).
    pub count: u64,
    /// Its limit (`pids.max`).
    pub max: u64,
}

/// A PID namespace whose pids may have been used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullNs {
    /// Which.
    pub ns: PidNs,
    /// Depth; 0 is the host's.
    pub level: u32,
    /// Its pids that are in use.
    pub count: u32,
    /// Its own limit; `None`: there is one for all (before Linux 6.14).
    pub max: Option<u32>,
}

/// The numbers of the machine, looked up just after the fork failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Threads that there are.
    pub threads: u64,
    /// `kernel.threads-max`.
    pub threads_max: u64,
    /// `kernel.pid_max`.
    pub pid_max: u64,
}

/// A fork was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkRejected {
    /// Who tried.
    pub current: Task,
    /// Its parents, nearest first.
    pub ancestry: Vec<Ancestor>,
    /// It was to be a thread, not a process; `None`: not known.
    pub thread: Option<bool>,
    /// errno.
    pub error: i32,
    /// How far it came.
    pub stage: Stage,
    /// A failure of `alloc_pid` would have been seen.
    pub sees_alloc_pid: bool,
    /// One of `pids_can_fork` would have been.
    pub sees_pids: bool,
    /// How many processes its user has, and its limit.
    pub nproc: Option<(u64, u64)>,
    /// That limit does not hold for it.
    pub nproc_exempt: bool,
    /// Scheduled by deadlines (SCHED_DEADLINE).
    pub deadline: bool,
    /// The nearest control group that was full.
    pub group: Option<FullGroup>,
    /// The PID namespace that the new process was for; `None`: a new one.
    pub ns: Option<PidNs>,
    /// The PID 1 of that is gone.
    pub ns_dead: bool,
    /// The nearest PID namespace that may have been full.
    pub full: Option<FullNs>,
    /// `None`: not looked up.
    pub machine: Option<Machine>,
}

/// What rejected forks have in common that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LikeFork {
    /// Process id.
    pub pid: u32,
    /// The thread that tried.
    pub tid: u32,
    /// errno.
    pub error: i32,
    /// How far it came.
    pub stage: Stage,
    /// It was to be a thread.
    pub thread: Option<bool>,
}

impl LikeFork {
    /// What this one would have been counted as.
    pub fn of(fork: &ForkRejected) -> Self {
        Self {
            pid: fork.current.key.pid,
            tid: fork.current.tid,
            error: fork.error,
            stage: fork.stage,
            thread: fork.thread,
        }
    }
}
