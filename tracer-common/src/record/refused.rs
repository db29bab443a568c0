//! System calls that send signals and failed.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{sizes, Header, Task, Trace};

/// [`ForkRejected::flags`](super::ForkRejected::flags) where they are not known.
pub const NO_FLAGS: u64 = u64::MAX;

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
    /// What would have allowed it but for a security module: one of [`Right`].
    pub right: u32,
}

/// What allows a thread to signal a process: the first in this order that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Right {
    /// Nothing does.
    None = 0,
    /// It is its own (`same_thread_group`).
    Own = 1,
    /// A user id of both (`kill_ok_by_cred`).
    User = 2,
    /// CAP_KILL, which counts there (`cap_capable`).
    Capable = 3,
    /// It made, as this user, the user namespace that the process is in or below
    /// (`cap_capable`).
    Owner = 4,
    /// SIGCONT may go to all of a session.
    Session = 5,
}

/// A system call that sends signals failed, or was refused by some of many.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Refused {
    /// `kind` is [`Kind::Refused`](super::Kind::Refused).
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
    /// The cgroups that it is in, by the id of their [`Place`](super::Place).
    pub current_at: [u64; 2],
}

sizes! {
    Creds = 24,
    Denial = 152,
    Refused = 904,
}
