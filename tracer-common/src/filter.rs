//! What the programs look at before they copy anything, and a few facts of
//! this kernel that only the loader can know; read-only once loaded.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Value in the map `PIDS`: the process counts as target.
pub const PID_TARGET: u32 = 1;
/// The process counts as sender.
pub const PID_SENDER: u32 = 2;
/// Most entries of each filter map.
pub const ENTRIES: u32 = 1024;
/// Entries of the map `NEAR`.
pub const NEAR_ENTRIES: u32 = 4096;

/// In `NEAR`: more than one wanted inode may be meant, and the maps are to be asked.
pub const SEVERAL: u64 = u64::MAX;

/// The entry of `NEAR` for an inode. They are given out one after the other.
pub const fn near(inum: u32) -> u32 {
    inum % NEAR_ENTRIES
}

/// New PID namespaces that are told apart from old ones at a time.
pub const NEW_ENTRIES: u32 = 8192;

/// Threads whose system calls are being refused at a time.
pub const REFUSALS: u32 = 1024;

/// Bit in a key of the map `CGROUPS`: the cgroup is of the `pids` hierarchy of
/// cgroup v1. Each hierarchy counts its ids for itself, and none so far.
pub const CGROUP_V1: u64 = 1 << 63;

/// The shortest name of a cgroup that can hold the id of a container.
pub const ID_LEN: usize = 64;
/// Of a new cgroup so many programs are told that are executed in it: one of them is
/// its container's.
pub const PLACED: u32 = 8;

/// Value of [`Config::by_pidns`] where nothing else is filtered by than PID namespaces,
/// these and new ones.
pub const ALONE: u32 = 2;
/// The same where nothing else is but new cgroups.
pub const ALONE_WITH_NEW: u32 = 3;

/// The read-only global `CONFIG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Config {
    /// Wanted signals; bit n-1 stands for signal n.
    pub signals: u64,
    /// 1 if tasks in a namespace of the map `PIDNS`, or below one, count. With
    /// none of these four everybody does, with several whoever one of them names.
    /// [`ALONE`] and [`ALONE_WITH_NEW`] where those need not be looked for.
    pub by_pidns: u32,
    /// 1 if tasks in a cgroup of the map `CGROUPS`, or below one, count; 2 if there
    /// are some of cgroup v1 among them.
    pub by_cgroup: u32,
    /// 1 if processes of the map `PIDS` count.
    pub by_pid: u32,
    /// Where fexit programs on `dequeue_signal` find the returned signal:
    /// the number of the function's arguments on this kernel.
    pub dequeue_args: u32,
    /// 1 if tasks in a cgroup that was made since the programs were attached count, if
    /// its name is long enough for the id of a container, or below one; 2 if one of
    /// cgroup v1 may be meant, too.
    pub by_new_cgroup: u32,
    /// 1 if tasks in a PID namespace that was made since the programs were attached
    /// count, or below one; they are kept in the map `NEW_PIDNS`.
    pub by_new_pidns: u32,
    /// 1 if `sched_process_exit` has the argument `group_dead`.
    pub exit_group_dead: u32,
    /// 1 if `release_task` is hooked, so that `sched_process_free` needs no
    /// report.
    pub sees_release: u32,
    /// 1 if `oom_kill_process` is hooked, so that a SIGKILL need not bring what it
    /// tells.
    pub sees_oom: u32,
    /// 1 if routine signals are to have ancestry and stack, too.
    pub all_stacks: u32,
    /// Where in a `css_set` the state of the `pids` controller is, whose cgroup is
    /// that of cgroup v1 where it is in that.
    pub css_set_pids: u32,
    /// 1 if BTF-typed programs can have the current task as a typed pointer.
    pub typed_current: u32,
    /// The ids of new cgroups are above this: the kernel counts them upwards.
    pub new_cgroup_above: u64,
    /// The same for those of cgroup v1.
    pub new_cgroup_v1_above: u64,
    /// Which functions inside `copy_process` are looked at: `SEES_*`.
    pub fork_sees: u32,
    /// Size of the ring buffer, bytes.
    pub buffer: u32,
    /// 1 if the `pids` controller is in a hierarchy of cgroup v1: containers and units
    /// may be told by that.
    pub pids_on_v1: u32,
    /// 1 if there is a typed pointer to the registers of a system call, too.
    pub typed_registers: u32,
}

impl Config {
    /// Everything is wanted.
    pub const EVERYTHING: Self = Self {
        signals: u64::MAX,
        by_pidns: 0,
        by_cgroup: 0,
        by_pid: 0,
        dequeue_args: 0,
        by_new_cgroup: 0,
        by_new_pidns: 0,
        exit_group_dead: 0,
        sees_release: 0,
        sees_oom: 0,
        all_stacks: 0,
        css_set_pids: 0,
        typed_current: 0,
        new_cgroup_above: 0,
        new_cgroup_v1_above: 0,
        fork_sees: 0,
        buffer: 0,
        pids_on_v1: 0,
        typed_registers: 0,
    };
}
