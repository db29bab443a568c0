//! The records that cross the ring buffer, one struct per [`Kind`].
//!
//! The kernel side writes them in place, the user side's `event::decode` reads
//! them. They hold facts as the kernel has them; what they mean is decided
//! there and in `explain`, not here.

mod fold;
mod fork_rejected;
mod life;
mod memory;
mod refused;
mod signal;
mod task;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use self::{fold::*, fork_rejected::*, life::*, memory::*, refused::*, signal::*, task::*};

/// Pins the size of records: both sides are compiled apart.
macro_rules! sizes {
    ($($t:ty = $n:expr),* $(,)?) => { $(const _: () = assert!(size_of::<$t>() == $n);)* };
}
use sizes;

/// Which struct follows; the value of [`Header::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Kind {
    /// [`Signal`] without a [`Trace`]: a routine signal.
    Signal = 1,
    /// [`SignalTraced`]: the same with ancestry and kernel stack.
    SignalTraced = 2,
    /// [`Deliver`]: `signal_deliver`.
    Deliver = 3,
    /// [`Dequeue`]: `dequeue_signal` returned a signal.
    Dequeue = 4,
    /// [`Fork`]: a new process (threads are not reported).
    Fork = 5,
    /// [`Exec`]: `sched_process_exec`.
    Exec = 6,
    /// [`Exit`]: `sched_process_exit` of a leader or of the last thread.
    Exit = 7,
    /// [`Call`]: `do_exit` was entered by a process's thread.
    DoExit = 8,
    /// [`Call`]: `do_group_exit` was entered.
    GroupExit = 9,
    /// [`Call`]: `zap_pid_ns_processes` was entered by a dying PID 1.
    ZapPidNs = 10,
    /// [`Reap`]: `release_task` of a group leader: its parent has waited.
    Release = 11,
    /// [`Reap`]: `sched_process_free`, an RCU grace period after the reaping.
    Free = 12,
    /// [`Placed`]: the PID 1 of a new PID namespace runs its program, or somebody one
    /// in a new cgroup.
    Placed = 13,
    /// [`Oom`]: the kernel is about to kill for lack of memory.
    Oom = 14,
    /// [`FoldNote`]: signals are being counted instead of told.
    Folded = 15,
    /// [`Refused`]: a system call that sends signals failed.
    Refused = 16,
    /// [`Ptrace`]: a debugger lets a thread go on.
    Ptrace = 17,
    /// [`Fault`]: a process is about to be ended for what it did itself.
    Fault = 18,
    /// [`ForkRejected`]: no process or thread could be made.
    ForkRejected = 19,
    /// [`Place`]: what a cgroup is called that a sender or a target is in.
    Place = 20,
}

/// How many values [`Kind`] has, plus one: the size of the table of losses.
pub const KINDS: usize = 21;

/// Behind the losses by [`Kind`]: how often as many equal programs as there are were
/// running at one hook on one CPU, each interrupted by the next.
pub const CROWDED: usize = KINDS;

/// Size of the table of losses.
pub const LOST_ENTRIES: usize = KINDS + 1;

/// Every record begins with this.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Header {
    /// `bpf_ktime_get_boot_ns`, nanoseconds since boot, time asleep included.
    pub time_ns: u64,
    /// A [`Kind`].
    pub kind: u32,
    /// The CPU it was written on.
    pub cpu: u32,
}

sizes! {
    Header = 16,
}
