//! The kernel lacked memory, or a process did what ends it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{sizes, Header, Task, CGROUP_NAME};

/// Components of a file's path that are kept, the last one first.
pub const PATH_NAMES: usize = 12;
/// Bytes of each, the terminating zero included: container engines name folders by
/// 64 characters.
pub const PATH_NAME: usize = 80;
/// Levels of the memory controller's tree that are named, from a process's own
/// control group upwards.
pub const OOM_LEVELS: usize = 8;
/// [`Signal::queued`](super::Signal::queued) where it is not known or does not matter.
pub const NOT_COUNTED: u64 = u64::MAX;
/// [`Oom::constraint`] where the OOM killer's own words were not read.
pub const NO_CONSTRAINT: u32 = u32::MAX;

/// A control group as its memory controller has it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MemoryLevel {
    /// Inode of its folder.
    pub id: u64,
    /// `memory.usage`, in pages.
    pub usage: u64,
    /// `memory.max`, in pages.
    pub max: u64,
    /// Name of its folder, ended by a zero; empty: the root.
    pub name: [u8; CGROUP_NAME],
}

/// The kernel kills for lack of memory: `oom_kill_process` was entered by
/// whoever asked for memory. Where that is not hooked, the same facts right
/// before a SIGKILL of the kernel itself, which may have other causes, to the
/// process that it is for.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Oom {
    /// `kind` is [`Kind::Oom`](super::Kind::Oom).
    pub header: Header,
    /// The current task.
    pub current: Task,
    /// `oc->chosen`, or the target of the SIGKILL.
    pub victim: Task,
    /// Address of its `mm_struct`: those who share memory have the same.
    pub mm: u64,
    /// Id of `oc->memcg`, whose limit was reached; 0: none, or not known.
    pub limited: u64,
    /// `oc->totalpages`: what there is to be used; 0: not known.
    pub total: u64,
    /// `oc->constraint` (`enum oom_constraint`), or [`NO_CONSTRAINT`].
    pub constraint: u32,
    /// Padding.
    pub pad: u32,
    /// From the victim's own control group upwards; behind the last the id is 0.
    pub levels: [MemoryLevel; OOM_LEVELS],
}

/// Where a process was when it faulted, or where a handler of it is. Comes right before
/// the signal, or its delivery.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Fault {
    /// `kind` is [`Kind::Fault`](super::Kind::Fault).
    pub header: Header,
    /// The current task.
    pub task: Task,
    /// The instruction, or the handler's first; 0: not known.
    pub ip: u64,
    /// `struct bpf_stack_build_id`: a status (1: valid), the build id's 20 bytes, and
    /// the instruction's offset in the file.
    pub build_id: [u8; 32],
    /// Where the mapping begins that it lies in; 0: not found.
    pub start: u64,
    /// And ends.
    pub end: u64,
    /// Where in its file that begins, in pages.
    pub page_offset: u64,
    /// The file's inode; 0: it is of no file.
    pub inode: u64,
    /// `s_dev` of its file system.
    pub device: u32,
    /// 0: the process is about to be ended there. Else it is told once of each place: a
    /// handler, or an instruction whose faults a handler takes.
    pub handler: u32,
    /// Its name, that of the folder that it is in, and so on, each ended by a zero;
    /// within one file system, whose root is called `/`.
    pub names: [[u8; PATH_NAME]; PATH_NAMES],
}

sizes! {
    MemoryLevel = 152,
    Oom = 1504,
    Fault = 1176,
}
