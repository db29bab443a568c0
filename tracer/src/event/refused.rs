//! Signals that the kernel refused to send, as the kernel side reports the system
//! calls that failed, and what a look at `/proc` adds.

use std::sync::Arc;

use super::{Ancestor, Task, Whereabouts};

/// The system calls that send signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// kill(2).
    Kill,
    /// tkill(2).
    Tkill,
    /// tgkill(2).
    Tgkill,
    /// rt_sigqueueinfo(2), by sigqueue(3).
    Sigqueue,
    /// rt_tgsigqueueinfo(2), by pthread_sigqueue(3).
    ThreadSigqueue,
    /// pidfd_send_signal(2).
    Pidfd,
}

impl Call {
    /// As the manual has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Tkill => "tkill",
            Self::Tgkill => "tgkill",
            Self::Sigqueue => "rt_sigqueueinfo",
            Self::ThreadSigqueue => "rt_tgsigqueueinfo",
            Self::Pidfd => "pidfd_send_signal",
        }
    }

    /// The id of it as a mechanism.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Kill => "kill-syscall",
            Self::Tkill | Self::Tgkill => "tkill-syscall",
            Self::Sigqueue | Self::ThreadSigqueue => "sigqueue-syscall",
            Self::Pidfd => "pidfd-signal",
        }
    }
}

/// What decides whom a thread may signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Creds {
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// Effective.
    pub euid: u32,
    /// Saved.
    pub suid: u32,
    /// CAP_KILL is effective.
    pub cap_kill: bool,
    /// Inode of its user namespace.
    pub user_ns: u32,
    /// Depth of that; 0: the first one.
    pub user_ns_level: u32,
}

/// What `check_kill_permission` returns where nothing allows it (errno(3)).
pub const EPERM: i32 = 1;
/// And for numbers of no signal.
pub const EINVAL: i32 = 22;

/// A process that may not be signalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Which.
    pub target: Task,
    /// Of it.
    pub creds: Creds,
    /// `EPERM` and the like, as a positive number.
    pub error: i32,
    /// What would have allowed it otherwise.
    pub right: Right,
}

impl Denial {
    /// Whether a security module said so: before those are asked nothing else than `EPERM`
    /// comes, where nothing allows it, and `EINVAL` for numbers of no signal.
    pub fn is_by_module(&self) -> bool {
        match self.error {
            EPERM => self.right != Right::None,
            error => error != EINVAL,
        }
    }
}

/// What allows a thread to signal a process (`check_kill_permission`): the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing does.
    None,
    /// It is its own process.
    Own,
    /// One of its user ids is one of the target's.
    User,
    /// It has CAP_KILL, which counts where the target is.
    Capable,
    /// It made the user namespace that the target is in or below.
    Owner,
    /// SIGCONT to a process of its session.
    Session,
}

/// The siginfo that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// None.
    Nothing,
    /// One with this `si_code`.
    Code(i32),
    /// It could not be read.
    Unreadable,
}

/// What the security modules call the two sides (`/proc/PID/attr/current`): any
/// text; empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    /// Of the sender.
    pub sender: Arc<str>,
    /// Of the target.
    pub target: Arc<str>,
}

/// A system call that sends signals failed, or was refused by some of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub call: Call,
    /// What it failed with, as a positive number; 0: it did not, because others
    /// were reached, or of kill(-1) because it never fails so.
    pub error: i32,
    /// Signal number, as it was given.
    pub number: i32,
    /// Process id as the caller gave it; 0 or less for many. Of a pidfd the
    /// descriptor.
    pub pid: i32,
    /// Thread id, as it was given; 0: for none.
    pub tid: i32,
    /// Of pidfd_send_signal.
    pub flags: u32,
    /// What it handed in.
    pub handed: Handed,
    /// Who called.
    pub current: Task,
    /// Of it.
    pub creds: Creds,
    /// Its parents, nearest first.
    pub ancestry: Vec<Ancestor>,
    /// There are more behind the last of these.
    pub more_ancestors: bool,
    /// Where it comes from.
    pub at: Whereabouts,
    /// Who may not be signalled; of many the first.
    pub denial: Option<Denial>,
    /// Of many: how many may not be signalled, and how many may.
    pub counts: Option<(u32, u32)>,
    /// Who has that pid in other PID namespaces; `None`: nobody looked.
    pub namesakes: Option<Vec<Task>>,
    /// Where a security module refused.
    pub profiles: Option<Profiles>,
}

impl Refused {
    /// The pid that was not found, if one was looked for.
    pub fn wanted_pid(&self) -> Option<u32> {
        let pid = match self.call {
            Call::Tkill => self.tid,
            Call::Pidfd => return None,
            _ => self.pid,
        };
        u32::try_from(pid).ok().filter(|&pid| pid > 0)
    }
}
