//! What every record tells of a task: who it is, who stands behind it, and where it is.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{sizes, Header};

/// `TASK_COMM_LEN` of `include/linux/sched.h`.
pub const COMM_LEN: usize = 16;
/// PID namespaces below the host's that a record names. The kernel allows 32
/// (`MAX_PID_NS_LEVEL`); [`Task::level`] tells when some were left out.
pub const NS_LEVELS: usize = 8;
/// How far up the ancestry of a sender is followed.
pub const ANCESTORS: usize = 8;
/// Frames of a kernel stack that are kept.
pub const FRAMES: usize = 32;
/// Bytes of a cgroup's name that are kept, the terminating zero included.
pub const CGROUP_NAME: usize = 128;
/// Names of folders that are kept of a cgroup's path, its own first.
pub const PLACE_NAMES: usize = 10;
/// Bytes of each, the terminating zero included: a pod's slice and a container's id
/// may stand in one (`kubepods-burstable-podUID.slice:cri-containerd:ID`).
pub const PLACE_NAME: usize = 192;
/// cgroups that the kernel side remembers having told of.
pub const PLACES: u32 = 1024;

/// A thread and the process it belongs to (`struct task_struct`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Task {
    /// `start_boottime` of the group leader, nanoseconds since boot: with
    /// [`tgid`](Self::tgid) the identity of a process.
    pub start_ns: u64,
    /// The nearest cgroup of the map `CGROUPS` that it is in or below, as that map
    /// has it, or else the nearest new one that may be a container's; 0: it is in
    /// none.
    pub cgroup: u64,
    /// Process id in the host's PID namespace.
    pub tgid: u32,
    /// Thread id in the host's PID namespace.
    pub tid: u32,
    /// Process id of `real_parent`, host's PID namespace.
    pub ppid: u32,
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// Depth of its own PID namespace; 0 is the host's.
    pub level: u16,
    /// Padding.
    pub pad: u16,
    /// `PF_*` of this thread.
    pub flags: u32,
    /// Pids of the process in the PID namespaces at depth 1, 2, …; 0 beyond
    /// [`level`](Self::level).
    pub ns_pids: [u32; NS_LEVELS],
    /// Inodes of those namespaces.
    pub ns_inums: [u32; NS_LEVELS],
    /// Name of the group leader, as its owner wrote it: any bytes.
    pub comm: [u8; COMM_LEN],
}

/// One step up the ancestry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Ancestor {
    /// `start_boottime`, nanoseconds since boot.
    pub start_ns: u64,
    /// Process id in the host's PID namespace.
    pub tgid: u32,
    /// Padding.
    pub pad: u32,
    /// Name of the process.
    pub comm: [u8; COMM_LEN],
}

/// What costs too much for routine signals: who stands behind the current
/// task, and by which kernel path it got here.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Trace {
    /// Parents of the current task, nearest first.
    pub ancestors: [Ancestor; ANCESTORS],
    /// Return addresses of the kernel stack, innermost first.
    pub stack: [u64; FRAMES],
    /// How many of [`ancestors`](Self::ancestors) are filled.
    pub ancestor_count: u32,
    /// How many of [`stack`](Self::stack) are filled.
    pub frame_count: u32,
    /// Process id of the next one behind the last of [`ancestors`](Self::ancestors)
    /// that there was room for; 0: there is none.
    pub beyond: u32,
    /// Padding.
    pub pad: u32,
}

/// What a cgroup is called. Comes once, before the first signal whose sender or
/// target is in it, and again when it was forgotten: a sender may be gone a
/// millisecond later, and its cgroup with it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Place {
    /// `kind` is [`Kind::Place`](super::Kind::Place).
    pub header: Header,
    /// The inode of its folder; of cgroup v1 with `CGROUP_V1`.
    pub id: u64,
    /// Its name and those of the folders around it, each ended by a zero; the root of
    /// a hierarchy and what is behind it have none.
    pub names: [[u8; PLACE_NAME]; PLACE_NAMES],
}

sizes! {
    Task = 120,
    Ancestor = 32,
    Trace = 528,
    Place = 1944,
}
