//! The records that cross the ring buffer, one struct per [`Kind`].
//!
//! The kernel side writes them in place, the user side's `event::decode` reads
//! them. They hold facts as the kernel has them; what they mean is decided
//! there and in `explain`, not here.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
/// Components of a file's path that are kept, the last one first.
pub const PATH_NAMES: usize = 12;
/// Bytes of each, the terminating zero included: container engines name folders by
/// 64 characters.
pub const PATH_NAME: usize = 80;
/// Levels of the memory controller's tree that are named, from a process's own
/// control group upwards.
pub const OOM_LEVELS: usize = 8;
/// [`Signal::queued`] where it is not known or does not matter.
pub const NOT_COUNTED: u64 = u64::MAX;
/// [`Oom::constraint`] where the OOM killer's own words were not read.
pub const NO_CONSTRAINT: u32 = u32::MAX;
/// Threads of a target that are asked whether they block the signal.
pub const THREADS: usize = 32;

/// Levels of the tree of control groups whose names are told, from the one whose
/// limit was reached upwards.
pub const PIDS_LEVELS: usize = 8;
/// [`ForkRejected::flags`] where they are not known.
pub const NO_FLAGS: u64 = u64::MAX;
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

/// Keys of `FOLDS`: what does not fit in is told one by one.
pub const FOLD_KEYS: u32 = 4096;

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
    /// `kind` is [`Kind::Signal`] or [`Kind::SignalTraced`].
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
    /// full, 4 queued without its siginfo.
    pub result: u32,
    /// `task_struct.pdeath_signal` of the target if the current task is exiting:
    /// what it asked for at its parent's death.
    pub pdeath_signal: u32,
    /// Of a signal that found no place in a queue: how many are queued for the
    /// target's user, [`NOT_COUNTED`] where that is not known.
    pub queued: u64,
    /// The target's RLIMIT_SIGPENDING then.
    pub queue_limit: u64,
}

/// [`Signal`] with ancestry and stack.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SignalTraced {
    /// The signal.
    pub signal: Signal,
    /// Of the current task.
    pub trace: Trace,
    /// The cgroups that the current task is in, by the id of their [`Place`].
    pub current_at: [u64; 2],
    /// The same of the target.
    pub target_at: [u64; 2],
}

/// What a cgroup is called. Comes once, before the first signal whose sender or
/// target is in it, and again when it was forgotten: a sender may be gone a
/// millisecond later, and its cgroup with it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Place {
    /// `kind` is [`Kind::Place`].
    pub header: Header,
    /// The inode of its folder; of cgroup v1 with `CGROUP_V1`.
    pub id: u64,
    /// Its name and those of the folders around it, each ended by a zero; the root of
    /// a hierarchy and what is behind it have none.
    pub names: [[u8; PLACE_NAME]; PLACE_NAMES],
}

/// `signal_deliver`: the current thread acts on a signal.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Deliver {
    /// `kind` is [`Kind::Deliver`].
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
    /// `kind` is [`Kind::Dequeue`].
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

/// A process forked another.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Fork {
    /// `kind` is [`Kind::Fork`].
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
    /// `kind` is [`Kind::Exec`].
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
    /// `kind` is [`Kind::Placed`].
    pub header: Header,
    /// The process.
    pub task: Task,
    /// Names of the cgroup that is [`Task::cgroup`], or else its own in the v2
    /// hierarchy, and of that one's parent, each ended by a zero; empty where there is
    /// none.
    pub cgroups: [[u8; CGROUP_NAME]; 2],
}

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
    /// `kind` is [`Kind::Oom`].
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
    /// `kind` is [`Kind::Fault`].
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
    /// 1: it is a handler.
    pub handler: u32,
    /// Its name, that of the folder that it is in, and so on, each ended by a zero;
    /// within one file system, whose root is called `/`.
    pub names: [[u8; PATH_NAME]; PATH_NAMES],
}

/// A leader or the last thread of a process exits.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Exit {
    /// `kind` is [`Kind::Exit`].
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
    /// Its parent and the path by which it got here.
    pub trace: Trace,
}

/// The current task entered a function.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Call {
    /// `kind` is [`Kind::DoExit`], [`Kind::GroupExit`] or [`Kind::ZapPidNs`].
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
    /// `kind` is [`Kind::Release`] or [`Kind::Free`].
    pub header: Header,
    /// `start_boottime` of the dead process.
    pub start_ns: u64,
    /// Its process id.
    pub tgid: u32,
    /// Process id of the current task: whoever waited, for [`Kind::Release`];
    /// a bystander for [`Kind::Free`].
    pub by: u32,
}

/// Signals that came to nothing are being counted in the map `FOLDS`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FoldNote {
    /// `kind` is [`Kind::Folded`].
    pub header: Header,
}

/// What signals have in common that are counted together: a key of `FOLDS`. Rejected
/// forks have the number 0, which no signal has: of one thread
/// ([`thread`](Self::thread)), with the error as `code`, the stage as `result`, and in
/// `handler` whether it was a process (0), a thread (1) or is not known (2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FoldKey {
    /// Process id of the current task, host's PID namespace.
    pub sender: u32,
    /// Process id of the target.
    pub target: u32,
    /// Thread id of the target if it was for one thread, else 0.
    pub thread: u32,
    /// `si_code`; 0 without a siginfo.
    pub code: i32,
    /// `signal_struct.flags` of the target.
    pub signal_flags: u32,
    /// Signal number.
    pub number: u8,
    /// As in [`Signal::result`].
    pub result: u8,
    /// As in [`TargetState::handler`]; 4: an address in user space.
    pub handler: u8,
    /// As in [`Signal::info`].
    pub info: u8,
}

/// How many were counted: a value of `FOLDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Fold {
    /// Since the key was there; only grows.
    pub count: u64,
    /// When the last one came, nanoseconds since boot.
    pub last_ns: u64,
    /// When the second began whose first were told, nanoseconds since boot.
    pub since_ns: u64,
}

/// The system calls that send signals; the value of [`Refused::call`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SystemCall {
    /// kill(2).
    Kill = 1,
    /// tkill(2).
    Tkill = 2,
    /// tgkill(2).
    Tgkill = 3,
    /// rt_sigqueueinfo(2).
    RtSigqueueinfo = 4,
    /// rt_tgsigqueueinfo(2).
    RtTgsigqueueinfo = 5,
    /// pidfd_send_signal(2).
    PidfdSendSignal = 6,
}

/// What decides whom a thread may signal (`struct cred`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Creds {
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Saved user id.
    pub suid: u32,
    /// 1 if CAP_KILL is effective.
    pub cap_kill: u32,
    /// Inode of its user namespace.
    pub user_ns: u32,
    /// Depth of that; 0 is the first one.
    pub user_ns_level: u32,
}

/// A process that a signal was not allowed for (`check_kill_permission`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Denial {
    /// The process; `tgid` 0: nobody was asked, or that is not hooked.
    pub target: Task,
    /// Of it.
    pub creds: Creds,
    /// What check_kill_permission returned.
    pub error: i32,
    /// What security_task_kill returned in it; 0: it was not asked, or allowed it.
    pub by_module: i32,
}

/// A system call that sends signals failed, or was refused by some of many.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Refused {
    /// `kind` is [`Kind::Refused`].
    pub header: Header,
    /// Who called.
    pub current: Task,
    /// Of it.
    pub creds: Creds,
    /// Who may not be signalled; of many the first that is wanted.
    pub denial: Denial,
    /// A [`SystemCall`].
    pub call: u32,
    /// What it returned.
    pub returned: i32,
    /// Signal number, as it was given.
    pub number: i32,
    /// `si_code` of the siginfo that was handed in; see [`has_info`](Self::has_info).
    pub code: i32,
    /// Process id as the caller gave it: as its own PID namespace has it; 0 or less
    /// for many. Of pidfd_send_signal the descriptor.
    pub pid: i32,
    /// Thread id, as it was given.
    pub tid: i32,
    /// Of pidfd_send_signal.
    pub flags: u32,
    /// 0: no siginfo was handed in; 1: it was; 2: it could not be read.
    pub has_info: u32,
    /// Of many: so many may not be signalled.
    pub refused: u32,
    /// So many may.
    pub reached: u32,
    /// 1 if these two were counted.
    pub counted: u32,
    /// Padding.
    pub pad: u32,
    /// Who stands behind the caller; no stack.
    pub trace: Trace,
    /// The cgroups that it is in, by the id of their [`Place`].
    pub current_at: [u64; 2],
}

/// A debugger lets a thread go on that had stopped for a signal, or gives it one to
/// go on with: `ptrace_request` was entered by the debugger.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Ptrace {
    /// `kind` is [`Kind::Ptrace`].
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

/// No process or thread could be made: `copy_process` failed for want of something
/// (EAGAIN, ENOMEM). The numbers are those of the moment of failure, or of just
/// after it; which of them says no is decided on the user side.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ForkRejected {
    /// `kind` is [`Kind::ForkRejected`].
    pub header: Header,
    /// Who tried.
    pub current: Task,
    /// `CLONE_*`, or [`NO_FLAGS`].
    pub flags: u64,
    /// How many processes the user has, or [`NOT_COUNTED`].
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

macro_rules! sizes {
    ($($t:ty = $n:expr),* $(,)?) => { $(const _: () = assert!(size_of::<$t>() == $n);)* };
}
sizes! {
    Header = 16,
    ForkRejected = 1784,
    Task = 120,
    Ancestor = 32,
    Trace = 528,
    TargetState = 96,
    Signal = 400,
    SignalTraced = 960,
    Place = 1944,
    Deliver = 184,
    Dequeue = 208,
    Fork = 256,
    Exec = 144,
    Placed = 392,
    MemoryLevel = 152,
    Oom = 1504,
    Fault = 1176,
    Exit = 704,
    Call = 144,
    Reap = 32,
    FoldNote = 16,
    FoldKey = 24,
    Fold = 24,
    Creds = 24,
    Denial = 152,
    Refused = 904,
    Ptrace = 800,
}
