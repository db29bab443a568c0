//! Kernel stacks: which function proves what. Frames are matched by name
//! anywhere on the stack, because functions are inlined, split and renamed from one
//! kernel to the next.

use crate::event::Frame;

/// Functions on the stack, innermost first.
pub(crate) fn names(stack: &[Frame]) -> impl Iterator<Item = &str> {
    stack.iter().filter_map(|f| f.function.as_deref())
}

/// The first of `wanted` that is on the stack.
pub(crate) fn find<'w>(stack: &[Frame], wanted: &[&'w str]) -> Option<&'w str> {
    wanted
        .iter()
        .copied()
        .find(|w| names(stack).any(|n| n == *w))
}

/// Whether a function is on the stack.
pub(crate) fn has(stack: &[Frame], wanted: &str) -> bool {
    names(stack).any(|n| n == wanted)
}

/// Whether the stack can be judged at all.
pub(crate) fn named(stack: &[Frame]) -> bool {
    stack.iter().any(|f| f.function.is_some())
}

/// What is shown of a stack: without the tracing programs themselves, and
/// without the generic entry into the kernel.
pub(crate) fn path(stack: &[Frame]) -> Vec<String> {
    names(stack)
        .filter(|n| !noise(n))
        .map(str::to_owned)
        .collect()
}

/// What stands on every stack.
pub(crate) fn noise(name: &str) -> bool {
    (name.starts_with("bpf_") && !name.starts_with("bpf_send_signal"))
        || name.starts_with("__bpf_")
        || name.starts_with("__traceiter_")
        || name.starts_with("trace_event_")
        || name.starts_with("entry_SYSCALL_")
        || matches!(
            name,
            "do_syscall_64"
                | "x64_sys_call"
                | "el0_svc"
                | "do_el0_svc"
                | "invoke_syscall"
                | "el0_svc_common"
                | "el0t_64_sync_handler"
                | "el0t_64_sync"
                | "ret_from_fork"
                | "ret_from_fork_asm"
        )
}

/// Functions that send a signal for a system call, and the mechanism each is.
const CALLS: &[(&str, &str)] = &[
    ("__cgroup_kill", "cgroup-kill"),
    ("cgroup_kill_write", "cgroup-kill"),
    ("__do_sys_pidfd_send_signal", "pidfd-signal"),
    ("do_pidfd_send_signal", "pidfd-signal"),
    ("__x64_sys_pidfd_send_signal", "pidfd-signal"),
    ("__ia32_sys_pidfd_send_signal", "pidfd-signal"),
    ("__arm64_sys_pidfd_send_signal", "pidfd-signal"),
    ("do_rt_sigqueueinfo", "sigqueue-syscall"),
    ("do_rt_tgsigqueueinfo", "sigqueue-syscall"),
    ("__x64_sys_rt_sigqueueinfo", "sigqueue-syscall"),
    ("__x64_sys_rt_tgsigqueueinfo", "sigqueue-syscall"),
    ("do_send_specific", "tkill-syscall"),
    ("do_tkill", "tkill-syscall"),
    ("__x64_sys_tgkill", "tkill-syscall"),
    ("__x64_sys_tkill", "tkill-syscall"),
    ("ptrace_attach", "ptrace-syscall"),
    ("ptrace_request", "ptrace-syscall"),
    ("__do_sys_ptrace", "ptrace-syscall"),
    ("__se_sys_ptrace", "ptrace-syscall"),
    ("__x64_sys_ptrace", "ptrace-syscall"),
    ("__ia32_compat_sys_ptrace", "ptrace-syscall"),
    ("__arm64_sys_ptrace", "ptrace-syscall"),
    ("kill_something_info", "kill-syscall"),
    ("__do_sys_kill", "kill-syscall"),
    ("__x64_sys_kill", "kill-syscall"),
    ("__ia32_sys_kill", "kill-syscall"),
    ("__arm64_sys_kill", "kill-syscall"),
];

/// Every one of those functions.
#[cfg(test)]
pub(super) fn calls() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|(function, _)| *function)
}

/// By which system call a process sent it: the function and the mechanism.
pub(crate) fn system_call(stack: &[Frame]) -> Option<(&'static str, &'static str)> {
    // do_send_specific also serves rt_tgsigqueueinfo, so the order counts.
    CALLS
        .iter()
        .find(|(function, _)| has(stack, function))
        .copied()
}

/// Frames below which the kernel sends something because of what the current task did:
/// it ended, or called reboot(2) inside of a PID namespace.
pub(crate) const FOR_CURRENT: &[&str] = &["do_notify_parent", "reboot_pid_ns"];

/// Frames below which a process is told of what another one did to a file or a queue:
/// who writes, opens or sends a message does that in its own system call.
pub(crate) const NOTICES: &[&str] = &[
    "__do_notify",
    "do_mq_timedsend",
    "__break_lease",
    "lease_break_callback",
    "send_sigio_to_task",
    "send_sigio",
    "kill_fasync",
    "send_sigurg",
    "sk_send_sigurg",
];

/// Frames of an interrupt, which has nothing to do with the task that it interrupts: a
/// packet that arrives, even one that was sent on this very machine.
const INTERRUPTS: &[&str] = &[
    "__do_softirq",
    "handle_softirqs",
    "do_softirq",
    "net_rx_action",
    "irq_exit_rcu",
    "__irq_exit_rcu",
    "asm_common_interrupt",
    "common_interrupt",
    "handle_irq_event",
];

/// What the functions begin with by which a system call, or the end of a process, gets
/// to a file or a queue.
const CALLED: &[&str] = &[
    "__x64_sys_",
    "__ia32_sys_",
    "__arm64_sys_",
    "__sys_",
    // All that is there of those without arguments.
    "__do_sys_",
    "do_sys_",
    "ksys_",
    "vfs_",
    "do_mq_",
    "__fput",
    "do_exit",
];

/// Whether the task that ran did it by a system call of its own, or by its end.
pub(crate) fn called(stack: &[Frame]) -> bool {
    let called = |name: &str| CALLED.iter().any(|begin| name.starts_with(begin));
    !interrupted(stack) && names(stack).any(called)
}

/// Whether an interrupt had the processor.
pub(crate) fn interrupted(stack: &[Frame]) -> bool {
    find(stack, INTERRUPTS).is_some()
}

/// Frames below a terminal's doing.
pub(crate) const TERMINAL: &[&str] = &[
    "n_tty_receive_signal_char",
    "isig",
    "__isig",
    "tty_signal_session_leader",
    "__tty_hangup",
    "tty_vhangup_session",
    "disassociate_ctty",
    "pty_signal",
    "pty_unix98_ioctl",
    "pty_bsd_ioctl",
    "tty_do_resize",
    "pty_resize",
    "__do_SAK",
    "__tty_check_change",
];

/// Frames below a timer that ran out.
pub(crate) const TIMER: &[&str] = &[
    "it_real_fn",
    "posix_timer_fn",
    "posix_timer_event",
    "send_sigqueue",
    "posixtimer_send_sigqueue",
    "alarm_handle_timer",
];

/// Who takes a signal from the queue on purpose.
pub(crate) const ACCEPTS: &[&str] = &[
    "do_sigtimedwait",
    "__do_sys_rt_sigtimedwait",
    "__x64_sys_rt_sigtimedwait",
    "signalfd_dequeue",
    "signalfd_read",
    "signalfd_read_iter",
    "kernel_dequeue_signal",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<Frame> {
        names
            .iter()
            .map(|n| Frame {
                address: 1,
                function: Some((*n).into()),
            })
            .collect()
    }

    #[test]
    fn depth_does_not_matter() {
        let stack = frames(&[
            "bpf_trace_run5",
            "__send_signal_locked",
            "zap_pid_ns_processes",
            "do_exit",
        ]);
        assert!(has(&stack, "zap_pid_ns_processes"));
        assert!(!has(&stack, "zap_pid_ns"));
        assert_eq!(
            path(&stack),
            ["__send_signal_locked", "zap_pid_ns_processes", "do_exit"]
        );
    }

    #[test]
    fn system_calls_are_told_apart() {
        let by = |names: &[&str]| system_call(&frames(names)).map(|c| c.1);
        assert_eq!(
            by(&["kill_pid_info", "kill_something_info", "__x64_sys_kill"]),
            Some("kill-syscall")
        );
        assert_eq!(
            by(&["do_send_specific", "do_rt_tgsigqueueinfo"]),
            Some("sigqueue-syscall")
        );
        assert_eq!(
            by(&["do_send_specific", "__x64_sys_tgkill"]),
            Some("tkill-syscall")
        );
        assert_eq!(by(&["zap_pid_ns_processes", "do_exit"]), None);
    }
}
