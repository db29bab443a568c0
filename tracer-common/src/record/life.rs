//! The life of a process, from its fork to its reaping.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{sizes, Header, Task, Trace, CGROUP_NAME};

/// A process forked another.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Fork {
    /// `kind` is [`Kind::Fork`](super::Kind::Fork).
    pub header: Header,
    /// Who called fork.
    pub parent: Task,
    /// The new process.
    pub child: Task,
}

/// A process executed a new program.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Exec {
    /// `kind` is [`Kind::Exec`](super::Kind::Exec).
    pub header: Header,
    /// The process, already with its new name.
    pub task: Task,
    /// The tid of the thread that called execve; it differs from the process
    /// id when that was not the leader.
    pub old_pid: u32,
    /// Padding.
    pub pad: u32,
}

/// The cgroup of a PID 1 that executes its program, or of who executes one in a new
/// cgroup: its name may tell the container, and is gone with the container.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Placed {
    /// `kind` is [`Kind::Placed`](super::Kind::Placed).
    pub header: Header,
    /// The process.
    pub task: Task,
    /// Names of the cgroup that is [`Task::cgroup`], or else its own in the v2
    /// hierarchy, and of that one's parent, each ended by a zero; empty where there is
    /// none.
    pub cgroups: [[u8; CGROUP_NAME]; 2],
}

/// A leader or the last thread of a process exits.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Exit {
    /// `kind` is [`Kind::Exit`](super::Kind::Exit).
    pub header: Header,
    /// The exiting thread.
    pub task: Task,
    /// Pending for the thread and for the process at that moment.
    pub pending: u64,
    /// Pending for the process.
    pub shared_pending: u64,
    /// 1 if no thread is left: the process is dead. On kernels whose
    /// tracepoint has no `group_dead`, two threads may both report it.
    pub group_dead: u32,
    /// The process's status in the format of wait(2): `group_exit_code` if
    /// GROUP_EXIT is set, else the leader's `exit_code`.
    pub status: i32,
    /// This thread's `exit_code`.
    pub thread_status: i32,
    /// `signal_struct.flags`.
    pub signal_flags: u32,
    /// `task_struct.pdeath_signal`: what it gets when its parent dies.
    pub pdeath_signal: i32,
    /// `task_struct.exit_signal` of the leader: what its parent gets.
    pub exit_signal: i32,
    /// Of one that the kernel ended on the spot: the system call that it was in.
    pub call_number: u32,
    /// `AUDIT_ARCH_*` of that; 0: not known.
    pub call_arch: u32,
    /// Its parent and the path by which it got here.
    pub trace: Trace,
}

/// The current task entered a function.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Call {
    /// `kind` is [`Kind::DoExit`](super::Kind::DoExit), [`Kind::GroupExit`](super::Kind::GroupExit) or [`Kind::ZapPidNs`](super::Kind::ZapPidNs).
    pub header: Header,
    /// The current task.
    pub task: Task,
    /// The function's argument: a status in the format of wait(2), or the
    /// inode of a PID namespace.
    pub argument: u64,
}

/// A dead process left the process table.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Reap {
    /// `kind` is [`Kind::Release`](super::Kind::Release) or [`Kind::Free`](super::Kind::Free).
    pub header: Header,
    /// `start_boottime` of the dead process.
    pub start_ns: u64,
    /// Its process id.
    pub tgid: u32,
    /// Process id of the current task: whoever waited, for [`Kind::Release`](super::Kind::Release);
    /// a bystander for [`Kind::Free`](super::Kind::Free).
    pub by: u32,
}

sizes! {
    Fork = 256,
    Exec = 144,
    Placed = 392,
    Exit = 712,
    Call = 144,
    Reap = 32,
}
