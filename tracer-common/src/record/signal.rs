//! A signal: its generation, its delivery, and how it leaves the queue.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{sizes, Header, Task, Trace};

/// Threads of a target that are asked whether they block the signal.
pub const THREADS: usize = 32;

/// The target of a signal as it stands when the tracepoint fires, that is
/// *after* `complete_signal`: this signal is already in it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TargetState {
    /// `action[sig-1].sa.sa_handler`: 0 SIG_DFL, 1 SIG_IGN, 2 and 3 kernel
    /// threads, else an address in user space (never read).
    pub handler: u64,
    /// `action[sig-1].sa.sa_flags`.
    pub sa_flags: u64,
    /// Signals that the thread blocks; bit n-1 stands for signal n.
    pub blocked: u64,
    /// What it blocks besides while it is in `sigtimedwait`.
    pub real_blocked: u64,
    /// Signals pending for the thread.
    pub pending: u64,
    /// Signals pending for the process.
    pub shared_pending: u64,
    /// `signal_struct.flags` (`SIGNAL_*`).
    pub signal_flags: u32,
    /// `signal_struct.group_exit_code`, in the format of wait(2)'s status.
    pub group_exit_code: i32,
    /// `task_struct.ptrace`; not 0: traced.
    pub ptrace: u32,
    /// `task_struct.__state`.
    pub state: u32,
    /// `task_struct.exit_state`: 16 EXIT_DEAD, 32 EXIT_ZOMBIE.
    pub exit_state: u32,
    /// `signal_struct.nr_threads`.
    pub threads: u32,
    /// Threads that were asked (at most [`THREADS`]; 0: only the target).
    pub threads_seen: u32,
    /// Those among them that could take a signal and block this one.
    pub threads_blocking: u32,
    /// Those among them that could not take any (exiting, kernel workers).
    pub threads_unable: u32,
    /// 1 while the process writes a core dump (`core_state`).
    pub dumping: u32,
    /// `cfs_rq.throttle_count` of the queue that the thread runs from; not 0: its
    /// control group, or one around it, has used up its CPU quota. Of a queued signal.
    pub throttle_count: u32,
    /// `task_struct.prio` of such a thread, else 0.
    pub prio: i32,
}

/// `signal_generate`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Signal {
    /// `kind` is [`Kind::Signal`](super::Kind::Signal) or [`Kind::SignalTraced`](super::Kind::SignalTraced).
    pub header: Header,
    /// The current task: usually the sender, sometimes a bystander.
    pub current: Task,
    /// The task that the signal was sent to.
    pub target: Task,
    /// The target's state.
    pub state: TargetState,
    /// Signal number.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// The siginfo pointer: 0 SEND_SIG_NOINFO, 1 SEND_SIG_PRIV, 2 a siginfo.
    pub info: u32,
    /// Of a signal from a process `si_pid` as the target sees it; of a fault the
    /// lower half of `si_addr`; of SIGSYS `si_syscall`. Of SIGXCPU and SIGKILL by the
    /// kernel itself the target's soft or hard RLIMIT_CPU, `u32::MAX` if that is more.
    /// Else 0.
    pub si_pid: u32,
    /// `si_uid`, the upper half of `si_addr`, `si_arch`, or the target's RLIMIT_RTTIME.
    pub si_uid: u32,
    /// 1 if for the whole process, 0 for one thread.
    pub group: u32,
    /// `TRACE_SIGNAL_*`: 0 delivered, 1 ignored, 2 already pending, 3 queue
    /// full, 4 queued without its siginfo, and of those [`SHARES_ITS_BIT`] and [`BIT_ALONE`],
    /// where that was seen.
    pub result: u32,
    /// `task_struct.pdeath_signal` of the target if the current task is exiting:
    /// what it asked for at its parent's death.
    pub pdeath_signal: u32,
    /// Of a signal that found no place in a queue: how many are queued for the
    /// target's user, [`NOT_COUNTED`](super::NOT_COUNTED) where that is not known.
    pub queued: u64,
    /// The target's RLIMIT_SIGPENDING then.
    pub queue_limit: u64,
}

/// [`Signal::result`]: `TRACE_SIGNAL_LOSE_INFO` of a real-time signal of whose number its queue
/// has an entry, so that the pending bit, which is all that it leaves, was set before. Far
/// from what the kernel may count up to.
pub const SHARES_ITS_BIT: u32 = 31;
/// The same of one of whose number its queue has no entry.
pub const BIT_ALONE: u32 = 30;

/// [`Signal`] with ancestry and stack.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SignalTraced {
    /// The signal.
    pub signal: Signal,
    /// Of the current task.
    pub trace: Trace,
    /// The cgroups that the current task is in, by the id of their [`Place`](super::Place).
    pub current_at: [u64; 2],
    /// The same of the target.
    pub target_at: [u64; 2],
}

/// `signal_deliver`: the current thread acts on a signal.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Deliver {
    /// `kind` is [`Kind::Deliver`](super::Kind::Deliver).
    pub header: Header,
    /// The current task.
    pub task: Task,
    /// `sa_handler`, as in [`TargetState::handler`].
    pub handler: u64,
    /// `sa_flags`.
    pub sa_flags: u64,
    /// Signal number.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// As in [`Signal::info`].
    pub info: u32,
    /// `signal_struct.flags`.
    pub signal_flags: u32,
    /// `signal_struct.group_exit_code`.
    pub group_exit_code: i32,
    /// `task_struct.ptrace`.
    pub ptrace: u32,
    /// Of a stop signal of a terminal that is to stop it: [`ORPHANED`] and the others.
    pub orphaned: u32,
    /// Padding.
    pub reserved: u32,
    /// Of a fault that a handler takes: the instruction; else 0.
    pub ip: u64,
}

/// [`Deliver::orphaned`]: not asked for, or the group has more members than are asked.
pub const NOT_ASKED: u32 = 0;
/// Somebody outside of the process group could continue it.
pub const NOT_ORPHANED: u32 = 1;
/// Nobody could: the process group is orphaned.
pub const ORPHANED: u32 = 2;

/// Members of a process group that are asked.
pub const MEMBERS: u32 = 24;

/// `dequeue_signal` took a signal from a queue.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Dequeue {
    /// `kind` is [`Kind::Dequeue`](super::Kind::Dequeue).
    pub header: Header,
    /// The current task.
    pub task: Task,
    /// Innermost frames of the kernel stack: they tell `get_signal` from
    /// `do_sigtimedwait` and `signalfd_dequeue`.
    pub stack: [u64; 8],
    /// How many are filled.
    pub frame_count: u32,
    /// Signal number.
    pub number: i32,
}

/// A debugger lets a thread go on that had stopped for a signal, or gives it one to
/// go on with: `ptrace_request` was entered by the debugger.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Ptrace {
    /// `kind` is [`Kind::Ptrace`](super::Kind::Ptrace).
    pub header: Header,
    /// The current task.
    pub tracer: Task,
    /// The thread that it traces.
    pub task: Task,
    /// The signal that it is to go on with; 0: none.
    pub data: u64,
    /// The signal that it had stopped for; 0: it had stopped for something else.
    pub stopped: i32,
    /// `PTRACE_*`.
    pub request: u32,
    /// The ancestry of the current task; no stack.
    pub trace: Trace,
}

sizes! {
    TargetState = 96,
    Signal = 400,
    SignalTraced = 960,
    Deliver = 192,
    Dequeue = 208,
    Ptrace = 800,
}
