//! Facts about signals and processes, as the user side holds them.
//!
//! `event::decode` makes them from the records of the kernel side, `/proc`
//! contributes what was there before (`Fact::Snapshot`) and what can only be
//! looked up later (`Fact::Observed`). An event is a fact with a time and a
//! number; what it means is decided in `history` and `explain`.

pub mod decode;
mod fact;
mod fault;
mod fork;
mod oom;
mod origin;
mod quota;
mod refused;

pub use fact::{
    Container, Dispositions, EngineAction, EngineEvent, Event, Fact, Like, Resumed, Shared, Sight,
    Thread,
};
pub use fault::{Fault, MappedFile, Mapping};
pub use fork::{ForkRejected, FullGroup, FullNs, LikeFork, Machine, Stage};
pub use oom::{MemoryLevel, Oom, OomChoice};
pub use origin::{Origin, OriginContainer, OriginKind, Places, Whereabouts};
pub use quota::{CpuTime, Quota, Quotas};
pub use refused::{Call, Creds, Denial, Handed, Profiles, Refused, Right, EINVAL, EPERM};

use std::{fmt, sync::Arc};

use smallvec::SmallVec;

/// Nanoseconds since boot, time asleep included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootTime(pub u64);

/// A process for all time: pids are reused, (pid, start) is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Process id in the host's PID namespace.
    pub pid: u32,
    /// `start_boottime` of its leader, nanoseconds since boot. That of a process
    /// found in `/proc` is rounded down to a tick ([`TICK_NS`]) until the kernel
    /// side names it; which are the same is for `history` to say.
    pub start_ns: u64,
}

/// Length of a tick of `/proc/PID/stat` (`USER_HZ` is 100 on every Linux).
pub const TICK_NS: u64 = 10_000_000;

/// The inode of a PID namespace (`/proc/PID/ns/pid`).
pub type PidNs = u32;

/// That of the host's (`PROC_PID_INIT_INO` of `include/linux/proc_ns.h`).
pub const HOST_PIDNS: PidNs = 0xeffffffc;

/// A cgroup as the kernel side has it: the inode of its folder, of cgroup v1 with
/// `CGROUP_V1`.
pub type CgroupId = u64;

/// What holds all of a container, and nothing else: its PID namespace or, where it
/// shares that with others, its cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Home {
    /// A PID namespace, with those inside it.
    PidNs(PidNs),
    /// A cgroup, with those below it.
    Cgroup(CgroupId),
}

impl Default for Home {
    fn default() -> Self {
        Self::PidNs(0)
    }
}

/// The name of a process, as its owner wrote it: any bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// The bytes before the terminating zero.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        &self.0[..end]
    }
}

impl From<&str> for Comm {
    fn from(name: &str) -> Self {
        let mut bytes = [0; 16];
        let end = name.len().min(15);
        bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
        Self(bytes)
    }
}

/// Safe to show: invalid UTF-8 becomes U+FFFD, control and formatting
/// characters are written `\u{1b}`. A name that could be read as more than a name
/// (`PID 1 bash 1`, `a ← b`, none at all) stands in quotes, with `\"` and `\\` in it.
impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(self.bytes());
        let divides = |c: char| c.is_whitespace() || matches!(c, '←' | '→' | '|' | '"' | '\\');
        // Those are written as escapes, which divide nothing.
        let divides = |c: char| divides(c) && !hostile(c);
        if !name.is_empty() && !name.contains(divides) {
            return f.write_str(&printable(&name));
        }
        f.write_str("\"")?;
        for c in name.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if hostile(c) => write!(f, "{}", c.escape_unicode())?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Text from outside made harmless for a terminal: control characters (C0, C1,
/// DEL) and the bidirectional and line-breaking format characters are written
/// as `\u{…}`.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hostile(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A thread and its process.
#[derive(Debug, PartialEq, Eq)]
pub struct Task {
    /// The process.
    pub key: ProcessKey,
    /// The thread, in the host's PID namespace.
    pub tid: u32,
    /// Process id of its parent; 0 where there is none.
    pub ppid: u32,
    /// Real user id.
    pub uid: u32,
    /// `PF_*` of the thread; 0 where not known (from `/proc`).
    pub flags: u32,
    /// Name of the process.
    pub comm: Comm,
    /// The process's pid in each nested PID namespace, outermost (below the
    /// host's) first; empty for a process of the host's.
    pub ns_pids: Levels,
    /// Those namespaces.
    pub namespaces: Levels,
    /// The nearest of the cgroups that are traced which it is in or below.
    pub cgroup: Option<CgroupId>,
}

/// A number for each nested PID namespace. Few are nested deeper than four, and no memory of
/// its own is needed then.
pub type Levels = SmallVec<[u32; 4]>;

impl Clone for Task {
    fn clone(&self) -> Self {
        // At once, which `SmallVec` does only for what it knows to be plain numbers. Tasks
        // are copied with each event and each report.
        Self {
            ns_pids: Levels::from_slice(&self.ns_pids),
            namespaces: Levels::from_slice(&self.namespaces),
            ..*self
        }
    }
}

impl Task {
    /// The PID namespace it lives in; `None` for the host's.
    pub fn pidns(&self) -> Option<PidNs> {
        self.namespaces.last().copied()
    }

    /// Whether it is in there.
    pub fn is_in(&self, home: Home) -> bool {
        match home {
            Home::PidNs(ns) => self.namespaces.contains(&ns),
            Home::Cgroup(id) => self.cgroup == Some(id),
        }
    }

    /// Whether it is PID 1 of its own PID namespace, the host's included.
    pub fn is_pid1(&self) -> bool {
        *self.ns_pids.last().unwrap_or(&self.key.pid) == 1
    }

    /// Its pid in a namespace that it can be seen from; `None` if it has none
    /// there.
    pub fn pid_in(&self, ns: PidNs) -> Option<u32> {
        let at = self.namespaces.iter().position(|&n| n == ns)?;
        self.ns_pids.get(at).copied()
    }
}

/// One process further up the ancestry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Which.
    pub key: ProcessKey,
    /// Its name.
    pub comm: Comm,
}

/// A return address on the kernel stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// As the kernel gave it.
    pub address: u64,
    /// The function it lies in, as it is called in the source; `None` where symbols are
    /// hidden.
    pub function: Option<Arc<str>>,
}

/// The siginfo argument of the tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Info {
    /// SEND_SIG_NOINFO: from user space, no siginfo kept.
    None,
    /// SEND_SIG_PRIV: from the kernel itself.
    Kernel,
    /// A siginfo.
    Full,
}

/// What a siginfo tells besides its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing that is used.
    None,
    /// `si_addr`: where the fault was.
    Address(u64),
    /// Of SIGSYS: `si_syscall` and `si_arch` (`AUDIT_ARCH_*`).
    SystemCall {
        /// Its number on that architecture.
        number: u32,
        /// The architecture.
        arch: u32,
    },
    /// There is none: of SIGXCPU and SIGKILL by the kernel itself the target's soft or
    /// hard limits of processor time; `None`: unlimited.
    Limits {
        /// RLIMIT_CPU, seconds.
        cpu_s: Option<u32>,
        /// RLIMIT_RTTIME, microseconds.
        rt_us: Option<u32>,
    },
    /// There is none: nobody sent it, a debugger let the thread go on with it, by
    /// this request. `current` is the debugger.
    Debugger(u32),
}

/// What `signal_generate` says became of the signal (`TRACE_SIGNAL_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// 0: queued.
    Delivered,
    /// 1: dropped at once.
    Ignored,
    /// 2: that signal was pending in that queue already.
    AlreadyPending,
    /// 3: real-time queue full.
    OverflowFail,
    /// 4: queued without its siginfo.
    LoseInfo,
    /// 4 of a real-time signal of whose number that queue has an entry: the pending bit was
    /// set already, and this one added nothing.
    SharesItsBit,
    /// 4 of one of whose number that queue has no entry.
    BitAlone,
}

impl Outcome {
    /// `TRACE_SIGNAL_LOSE_INFO`.
    pub fn lost_info(self) -> bool {
        matches!(self, Self::LoseInfo | Self::SharesItsBit | Self::BitAlone)
    }
}

/// `sa_handler` of the target for this signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handler {
    /// SIG_DFL.
    Default,
    /// SIG_IGN.
    Ignore,
    /// SIG_KTHREAD (2): a kernel thread that allows it.
    KernelThread,
    /// SIG_KTHREAD_KERNEL (3): a kernel thread that takes it from the kernel.
    KernelThreadKernel,
    /// A function of the program at this address.
    User(u64),
}

/// The target as it stood when the tracepoint fired, *with* this signal
/// already in it. Sets have bit n-1 for signal n.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetState {
    /// For this signal.
    pub handler: Handler,
    /// `sa_flags` for this signal.
    pub sa_flags: u64,
    /// Blocked by the thread that it was sent to: of a signal for the whole
    /// process, usually the leader.
    pub blocked: u64,
    /// Blocked by it outside its `sigtimedwait`.
    pub real_blocked: u64,
    /// Pending for that thread.
    pub pending: u64,
    /// Pending for the process.
    pub shared_pending: u64,
    /// `SIGNAL_*` flags of the process, see [`flag`].
    pub signal_flags: u32,
    /// Status the process is exiting with (wait(2) format), if GROUP_EXIT.
    pub group_exit_code: i32,
    /// Traced by a debugger.
    pub traced: bool,
    /// `__state` of the thread: 0 running, 1 interruptible, 2 uninterruptible…
    pub state: u32,
    /// 0 alive, 16 dead, 32 zombie.
    pub exit_state: u32,
    /// Threads of the process.
    pub threads: u32,
    /// Threads that were asked whether they block the signal; 0: only the one.
    pub threads_seen: u32,
    /// Those that block it.
    pub threads_blocking: u32,
    /// Those that can take no signal (exiting, kernel workers).
    pub threads_unable: u32,
    /// Writes a core dump.
    pub dumping: bool,
    /// The thread's control group, or one around it, has used up its CPU quota on the
    /// CPU that it last ran on.
    pub throttled: bool,
}

/// Bits of `signal_struct.flags` and `task_struct.flags`
/// (`include/linux/sched/signal.h`, `include/linux/sched.h`).
pub mod flag {
    /// Job control stop in effect.
    pub const STOP_STOPPED: u32 = 0x1;
    /// The process is exiting, status in `group_exit_code`.
    pub const GROUP_EXIT: u32 = 0x4;
    /// Core dump in progress; gone in 5.17.
    pub const GROUP_COREDUMP_5_10: u32 = 0x8;
    /// A stop is to be reported to the parent.
    pub const CLD_STOPPED: u32 = 0x10;
    /// A continuation is to be reported to the parent: a SIGCONT worked.
    pub const CLD_CONTINUED: u32 = 0x20;
    /// PID 1 of a namespace; overwritten by GROUP_EXIT.
    pub const UNKILLABLE: u32 = 0x40;
    /// `PF_EXITING` of a thread.
    pub const PF_EXITING: u32 = 0x4;
    /// `SA_IMMUTABLE` of a disposition: the kernel itself set it, and nothing handles it.
    pub const SA_IMMUTABLE: u64 = 0x0080_0000;
    /// `PF_KTHREAD` of a thread.
    pub const PF_KTHREAD: u32 = 0x0020_0000;
}

/// A signal was generated (`signal_generate`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Signal number.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// Which siginfo.
    pub info: Info,
    /// What else the siginfo tells.
    pub detail: Detail,
    /// The signal that the target asked for at its parent's death, if the task
    /// that ran is exiting (`PR_SET_PDEATHSIG`); 0: none.
    pub pdeath_signal: i32,
    /// Of one that found no place in a queue: how many signals were queued for
    /// the target's user, and the target's limit of that (RLIMIT_SIGPENDING).
    pub queues: Option<(u64, u64)>,
    /// For the whole process, not for one thread.
    pub to_process: bool,
    /// What the kernel did with it.
    pub outcome: Outcome,
    /// The task that ran at that moment: the sender, or a bystander.
    pub current: Task,
    /// The task it was sent to.
    pub target: Task,
    /// Its state.
    pub state: TargetState,
    /// Ancestry of `current`, nearest first; empty for routine signals.
    pub ancestry: Vec<Ancestor>,
    /// There are more behind the last of these.
    pub more_ancestors: bool,
    /// Where sender and target are; nothing for routine signals.
    pub places: Places,
    /// Kernel stack, innermost first; empty for routine signals.
    pub stack: Vec<Frame>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_read_as_more_than_a_name() {
        for (name, shown) in [
            ("nginx", "nginx"),
            ("runc:[2:INIT]", "runc:[2:INIT]"),
            ("(sd-pam)", "(sd-pam)"),
            ("tmux: server", "\"tmux: server\""),
            ("PID 1 bash 1", "\"PID 1 bash 1\""),
            ("a←b", "\"a←b\""),
            ("a|why:", "\"a|why:\""),
            ("q\"\\ x", r#""q\"\\ x""#),
            // What is escaped divides nothing, and is no backslash of the name's.
            ("a\u{1b}[31m", r"a\u{1b}[31m"),
            (r"a\u{1b}", r#""a\\u{1b}""#),
            ("x\ny z", r#""x\u{a}y z""#),
            ("", "\"\""),
        ] {
            assert_eq!(Comm::from(name).to_string(), shown);
        }
    }
}
