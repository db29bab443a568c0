//! Who sent a signal. The task that ran at that moment (`current`) is the
//! sender only if a system call of its own sent it: for timers, terminals,
//! asynchronous I/O and the kernel's own signals it is a bystander, often one
//! of another container.

use crate::event::{flag, Detail, Info, Signal, Task};
use crate::explain::report::Sender;

use crate::history::note::NotedSender;
use crate::history::History;

use super::{runtime, signals, stack, terminal};

/// `si_code` of kill(2).
pub(crate) const SI_USER: i32 = 0;
/// `si_code` of sigqueue(3).
const SI_QUEUE: i32 = -1;
/// `si_code` of tkill(2) and tgkill(2).
pub(crate) const SI_TKILL: i32 = -6;
/// `si_code` of a POSIX timer.
pub(crate) const SI_TIMER: i32 = -2;
/// `si_code` of a file that is ready, without an own signal for that.
const SI_SIGIO: i32 = -5;
/// `si_code` of a message queue (`__do_notify`).
const SI_MESGQ: i32 = -3;
/// `si_code` of the kernel itself.
pub(crate) const SI_KERNEL: i32 = 0x80;

/// Sent by the kernel for itself (SEND_SIG_PRIV, or a siginfo that says so).
pub(crate) fn from_kernel_itself(s: &Signal) -> bool {
    s.info == Info::Kernel || (s.info == Info::Full && s.code == SI_KERNEL)
}

/// What stands behind a signal, without copies of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `current`, by a system call.
    Process,
    /// The kernel, because of what `current` did.
    KernelForCurrent,
    /// The kernel.
    Kernel,
    /// A key on a terminal, or its hangup.
    Terminal,
    /// A timer.
    Timer,
}

/// The origin of a signal.
pub(crate) fn origin(signal: &Signal) -> Origin {
    let stack = &signal.stack;
    if matches!(signal.detail, Detail::Debugger(_)) {
        return Origin::Process;
    }
    if stack::system_call(stack).is_some() {
        return Origin::Process;
    }
    // What the current task did, to another.
    if stack::find(stack, stack::FOR_CURRENT).is_some() && signal.number != signals::CHLD {
        return Origin::KernelForCurrent;
    }
    if stack::find(stack, stack::NOTICES).is_some() {
        let worker = signal.current.flags & flag::PF_KTHREAD != 0;
        return match !worker && stack::called(stack) {
            true => Origin::KernelForCurrent,
            false => Origin::Kernel,
        };
    }
    if stack::find(stack, stack::TERMINAL).is_some() {
        return Origin::Terminal;
    }
    if stack::find(stack, stack::TIMER).is_some() {
        return Origin::Timer;
    }
    match signal.info {
        Info::None => unsaid(signal),
        Info::Kernel => from_kernel(signal),
        Info::Full => match signal.code {
            SI_USER | SI_QUEUE | SI_TKILL => Origin::Process,
            SI_TIMER => Origin::Timer,
            // In the call that sends the message.
            SI_MESGQ => Origin::KernelForCurrent,
            // CLD_* to the parent of the current task, faults and seccomp to
            // the current task itself.
            1.. if signal.number == signals::CHLD => Origin::KernelForCurrent,
            1.. if own_doing(signal) => Origin::KernelForCurrent,
            _ => Origin::Kernel,
        },
    }
}

/// No siginfo was handed in (SEND_SIG_NOINFO): kill(2) since Linux 7, a write
/// to `cgroup.kill`, or `send_sig(…, 0)` of the kernel: a broken pipe, a file
/// too large, a parent's death, a fork into a control group that is being killed.
/// A stack that names no system call tells the rest of these; routine signals
/// have none.
fn unsaid(signal: &Signal) -> Origin {
    let exiting = signal.current.flags & flag::PF_EXITING != 0;
    let own_fault = own_doing(signal) && matches!(signal.number, signals::PIPE | signals::XFSZ);
    if exiting || own_fault || stack::named(&signal.stack) {
        Origin::KernelForCurrent
    } else {
        Origin::Process
    }
}

fn from_kernel(signal: &Signal) -> Origin {
    match signal.number {
        // Without symbols: these are sent with SEND_SIG_PRIV by their timers
        // (`it_real_fn`, `check_process_timers`) and nothing else.
        signals::ALRM | signals::VTALRM | signals::PROF => Origin::Timer,
        // And these by `isig` and `tty_do_resize`, often from a kernel worker.
        signals::INT | signals::QUIT | signals::TSTP | signals::WINCH if !own_doing(signal) => {
            Origin::Terminal
        }
        // Only by PTRACE_ATTACH.
        signals::STOP if !own_doing(signal) => Origin::Process,
        // Data that arrived (`sk_send_sigurg`, `send_sigio`), in a softirq.
        signals::URG | signals::IO => Origin::Kernel,
        _ if own_doing(signal) || signal.current.flags & flag::PF_EXITING != 0 => {
            Origin::KernelForCurrent
        }
        _ => Origin::Kernel,
    }
}

fn own_doing(signal: &Signal) -> bool {
    signal.current.key == signal.target.key
}

/// The sender as it is reported.
pub(crate) fn sender(history: &History, signal: &Signal) -> Sender {
    match origin(signal) {
        Origin::Process => Sender::Process {
            task: signal.current.clone(),
            ancestry: runtime::forebears(history, &signal.current, &signal.ancestry),
            more_ancestors: signal.more_ancestors,
            origin: signal.places.current.origin.clone(),
            elsewhere: signal.places.elsewhere().is_some(),
            runtime: history
                .process(signal.target.key)
                .and_then(|target| runtime::sender(history, &NotedSender::of(signal), target)),
        },
        Origin::KernelForCurrent => Sender::Kernel {
            on_behalf_of: Some(signal.current.clone()),
        },
        Origin::Kernel => Sender::Kernel { on_behalf_of: None },
        Origin::Terminal => Sender::Terminal {
            on_behalf_of: terminal::doer(signal).cloned(),
        },
        Origin::Timer => Sender::Timer,
    }
}

/// Whether the sender has a pid in the target's PID namespace: what is sent
/// from there can be dropped, SIGKILL to a PID 1 included. It counts what can
/// be seen, not descent: `docker exec` is inside, its parent is not.
pub(crate) fn inside(current: &Task, target: &Task) -> bool {
    target.pidns().is_none_or(|ns| current.pid_in(ns).is_some())
}

/// The kernel's `force` of `prepare_signal`: from the kernel itself, or from
/// outside of the target's PID namespace.
pub(crate) fn forced(signal: &Signal) -> bool {
    let outside = !inside(&signal.current, &signal.target);
    match signal.info {
        Info::Kernel => true,
        Info::None => outside,
        Info::Full => signal.code == SI_KERNEL || (names_sender(signal) && outside),
    }
}

/// Whether its siginfo has room for a sender (`has_si_pid_and_uid`): where it has none,
/// whoever runs is not asked after, and is a bystander as a rule.
fn names_sender(signal: &Signal) -> bool {
    match signal.code {
        SI_TIMER | SI_SIGIO => false,
        1.. => signal.number == signals::CHLD,
        _ => true,
    }
}

/// `from inside`, `from outside`, or `by the kernel`.
pub(crate) fn direction(signal: &Signal) -> &'static str {
    match origin(signal) {
        Origin::Process if signal.target.namespaces.is_empty() => "on the host",
        Origin::Process if inside(&signal.current, &signal.target) => {
            "from inside its PID namespace"
        }
        Origin::Process => "from outside its PID namespace",
        Origin::Terminal => "from its terminal",
        Origin::Timer => "from a timer",
        Origin::Kernel | Origin::KernelForCurrent => "from the kernel",
    }
}
