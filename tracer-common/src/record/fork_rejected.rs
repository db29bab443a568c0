//! Forks that the kernel rejected.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{sizes, Header, Task, Trace, CGROUP_NAME};

/// Levels of the tree of control groups whose names are told, from the one whose
/// limit was reached upwards.
pub const PIDS_LEVELS: usize = 8;
/// [`ForkRejected::stage`]: it is not known how far `copy_process` came.
pub const STAGE_UNKNOWN: u32 = 0;
/// Neither `alloc_pid` nor `pids_can_fork` failed; those of them that are named in
/// [`ForkRejected::sees`].
pub const STAGE_OTHER: u32 = 1;
/// `alloc_pid` failed.
pub const STAGE_ALLOC_PID: u32 = 2;
/// `pids_can_fork` failed.
pub const STAGE_PIDS: u32 = 3;
/// Bit in [`ForkRejected::sees`]: `alloc_pid` is looked at.
pub const SEES_ALLOC_PID: u32 = 1;
/// `pids_can_fork` is looked at.
pub const SEES_PIDS: u32 = 2;
/// `copy_process` is looked at, so that `sys_exit` need not tell.
pub const SEES_FORKS: u32 = 4;

/// No process or thread could be made: `copy_process` failed for want of something
/// (EAGAIN, ENOMEM). The numbers are those of the moment of failure, or of just
/// after it; which of them says no is decided on the user side.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ForkRejected {
    /// `kind` is [`Kind::ForkRejected`](super::Kind::ForkRejected).
    pub header: Header,
    /// Who tried.
    pub current: Task,
    /// `CLONE_*`, or [`NO_FLAGS`](super::NO_FLAGS).
    pub flags: u64,
    /// How many processes the user has, or [`NOT_COUNTED`](super::NOT_COUNTED).
    pub nproc: u64,
    /// Its limit (RLIMIT_NPROC).
    pub nproc_limit: u64,
    /// The control group whose limit is reached, by id; 0: none is.
    pub pids_id: u64,
    /// Tasks in it.
    pub pids_count: u64,
    /// Its limit (`pids.max`).
    pub pids_max: u64,
    /// errno.
    pub error: i32,
    /// How far it came: `STAGE_*`.
    pub stage: u32,
    /// Which of the functions inside are looked at: `SEES_*`.
    pub sees: u32,
    /// How far above the task's own control group that one is.
    pub pids_depth: u32,
    /// 1 if RLIMIT_NPROC does not hold for it.
    pub nproc_exempt: u32,
    /// The PID namespace that the new process was for; 0: a new one.
    pub ns_inum: u32,
    /// 1 if the PID 1 of that is gone.
    pub ns_dead: u32,
    /// The PID namespace that is full, it or one around it; 0: none is, as far as
    /// can be seen.
    pub full_inum: u32,
    /// Depth of that; 0 is the host's.
    pub full_level: u32,
    /// Processes and threads in it.
    pub full_count: u32,
    /// Its limit; 0: the kernel has one for all (before 6.14).
    pub full_max: u32,
    /// Scheduling policy.
    pub policy: u32,
    /// Names of the control group and those above it.
    pub groups: [[u8; CGROUP_NAME]; PIDS_LEVELS],
    /// Who stands behind it; no stack.
    pub trace: Trace,
}

sizes! {
    ForkRejected = 1784,
}
