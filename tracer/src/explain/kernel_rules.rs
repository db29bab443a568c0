//! Which function on the stack of a signal that the kernel itself sent proves which
//! cause (section 3 of the contract of reasons): a table. It is read by
//! [`super::kernel_cause`].

use crate::event::{flag, Detail, Info, Signal};

use super::sender;
use super::{signals, stack};

/// One row: a cause, and what must be on the stack and be true of the signal.
pub(super) struct Rule {
    pub(super) cause: &'static str,
    /// One of these is on the stack.
    pub(super) frames: &'static [&'static str],
    pub(super) holds: fn(&Signal) -> bool,
}

const fn rule(cause: &'static str, frames: &'static [&'static str]) -> Rule {
    Rule {
        cause,
        frames,
        holds: |_| true,
    }
}

const fn rule_if(
    cause: &'static str,
    frames: &'static [&'static str],
    holds: fn(&Signal) -> bool,
) -> Rule {
    Rule {
        cause,
        frames,
        holds,
    }
}

/// The OOM killer sends below one of these; the outer names are those of
/// kernels that inline the inner one.
pub(super) const OOM: &[&str] = &["__oom_kill_process", "oom_kill_process"];

/// Kills the others of a group whose member was chosen.
pub(super) const OOM_GROUP: &str = "oom_kill_memcg_member";

/// A BPF program sends below one of these; the helpers themselves are there where
/// what they share is inlined (5.10).
const BPF: &[&str] = &[
    "bpf_send_signal_common",
    "do_bpf_send_signal",
    "bpf_send_signal",
    "bpf_send_signal_thread",
];

/// Below these the kernel looks how long threads have run.
const CPU_TIMERS: &[&str] = &[
    "posix_cpu_timers_work",
    "run_posix_cpu_timers",
    "__run_posix_cpu_timers",
    "handle_posix_cpu_timers",
    "check_process_timers",
    "check_thread_timers",
    "check_cpu_itimer",
];

/// Below these a thread traps after a step.
const STEPS: &[&str] = &[
    "exc_debug_user",
    "exc_debug",
    "noist_exc_debug",
    "send_sigtrap",
    "force_sig_fault",
];

/// Below these a program is loaded.
pub(super) const EXEC: &[&str] = &["bprm_execve", "begin_new_exec", "do_execveat_common"];

/// Below these a handler is made ready to run.
const DELIVERS: &[&str] = &[
    "handle_signal",
    "arch_do_signal_or_restart",
    "arch_do_signal",
    "do_signal",
    "setup_rt_frame",
];

/// By which anything is sent.
const SENDING: &[&str] = &[
    "__send_signal",
    "__send_signal_locked",
    "send_signal_locked",
    "do_send_sig_info",
    "send_sig_info",
    "send_sig",
];

/// The first that fits is the cause: the more special ones come first.
pub(super) const RULES: &[Rule] = &[
    rule(
        "sysrq",
        &["send_sig_all", "moom_callback", "__handle_sysrq"],
    ),
    rule("oom-group", &[OOM_GROUP]),
    rule_if("oom-memcg", OOM, |s| {
        stack::has(&s.stack, "mem_cgroup_out_of_memory")
    }),
    rule("oom-global", OOM),
    rule("bpf", BPF),
    rule(
        "hwpoison",
        &["memory_failure", "kill_procs", "kill_proc", "kill_me_maybe"],
    ),
    rule_if("hwpoison", &["force_sig_mceerr", "do_sigbus"], damaged),
    rule("pidns-reboot", &["reboot_pid_ns"]),
    rule("sak", &["__do_SAK"]),
    rule(
        "tty-hangup",
        &[
            "tty_signal_session_leader",
            "__tty_hangup",
            "disassociate_ctty",
        ],
    ),
    rule_if(
        "tty-interrupt",
        &[
            "isig",
            "__isig",
            "n_tty_receive_signal_char",
            "pty_signal",
            "pty_unix98_ioctl",
            "pty_bsd_ioctl",
        ],
        |s| s.number == signals::INT || s.number == signals::QUIT,
    ),
    rule_if(
        "tty-job",
        &[
            "__tty_check_change",
            "isig",
            "__isig",
            "pty_signal",
            "pty_unix98_ioctl",
        ],
        |s| {
            use signals::{TSTP, TTIN, TTOU};
            [TSTP, TTIN, TTOU].contains(&s.number)
        },
    ),
    rule("orphaned-pgrp", &["kill_orphaned_pgrp"]),
    rule_if("orphaned-pgrp", &["__kill_pgrp_info"], exiting),
    rule_if("ptrace-exitkill", &["exit_ptrace"], |s| {
        s.number == signals::KILL
    }),
    rule_if("child-exit-signal", &["do_notify_parent"], |s| {
        s.number != signals::CHLD
    }),
    rule_if("parent-death-signal", &["do_exit"], |s| {
        exiting(s) && s.pdeath_signal == s.number
    }),
    rule_if(
        "seccomp",
        &[
            "force_sig_seccomp",
            "__seccomp_filter",
            "__secure_computing",
            "__seccomp_permit_syscall",
        ],
        |s| s.number == signals::SYS,
    ),
    // With which it goes on from a stop at a system call.
    rule_if(
        "tracer-injected",
        &[
            "ptrace_report_syscall",
            "ptrace_stop",
            "ptrace_notify",
            "syscall_trace_enter",
            "syscall_exit_work",
            "syscall_slow_exit_work",
        ],
        |s| own_doing(s) && s.info == Info::Kernel && s.state.traced,
    ),
    // Since Linux 7 nothing but the entry of system calls stands there.
    rule_if("tracer-injected", &["do_syscall_64"], |s| {
        let own = own_doing(s) && s.info == Info::Kernel && s.state.traced;
        own && stack::names(&s.stack).all(|f| SENDING.contains(&f) || stack::noise(f))
    }),
    // What a successful execve(2) sends to one that is traced (ptrace_event).
    rule_if("tracer-injected", EXEC, |s| {
        own_doing(s) && s.number == signals::TRAP && s.state.traced
    }),
    // TRAP_TRACE: a step that its debugger had it make.
    rule_if("tracer-injected", STEPS, |s| {
        let step = s.number == signals::TRAP && s.info == Info::Full && s.code == 2;
        own_doing(s) && step && s.state.traced
    }),
    rule_if("exec-failed", EXEC, |s| {
        own_doing(s) && [signals::SEGV, signals::KILL].contains(&s.number)
    }),
    rule_if(
        "bad-signal-frame",
        &[
            "signal_setup_done",
            "__do_sys_rt_sigreturn",
            "__x64_sys_rt_sigreturn",
            "__ia32_sys_rt_sigreturn",
        ],
        |s| s.number == signals::SEGV,
    ),
    // Restartable sequences end so as well, on the way back from anything
    // (`__rseq_handle_notify_resume`).
    rule_if("bad-signal-frame", &["force_sigsegv"], |s| {
        let delivers = stack::find(&s.stack, DELIVERS).is_some();
        let rseq = stack::names(&s.stack).any(|f| f.contains("rseq"));
        s.number == signals::SEGV && delivers && !rseq
    }),
    rule_if(
        "perf",
        &["send_sig_perf", "perf_sigtrap", "perf_pending_task"],
        |s| s.number == signals::TRAP,
    ),
    rule_if(
        "fault",
        &[
            "force_sig_fault",
            "force_sig_mceerr",
            "exc_page_fault",
            "do_user_addr_fault",
            "__bad_area_nosemaphore",
            "bad_area_nosemaphore",
            "do_sigbus",
            "exc_general_protection",
            "gp_user_force_sig_segv",
            "exc_invalid_op",
            "handle_invalid_op",
            "exc_divide_error",
            "exc_alignment_check",
            "exc_stack_segment",
            "exc_segment_not_present",
            "exc_overflow",
            "exc_bounds",
            "exc_int3",
            "do_int3_user",
            "exc_debug_user",
            "exc_debug",
            "exc_coprocessor_error",
            "exc_simd_coprocessor_error",
            "math_error",
            "do_error_trap",
            "do_trap",
            "do_trap_no_signal",
        ],
        own_doing,
    ),
    rule_if(
        "broken-pipe",
        &[
            "pipe_write",
            "anon_pipe_write",
            "fifo_pipe_write",
            "sk_stream_error",
            "unix_stream_sendmsg",
            "sock_sendmsg",
            "sock_write_iter",
            "__sys_sendto",
            "__sys_sendmsg",
            "do_splice",
            "do_tee",
            "__do_sys_vmsplice",
            "splice_to_pipe",
            "splice_from_pipe",
            "splice_file_to_pipe",
            "wait_for_space",
            "unix_stream_sendpage",
            "do_sendfile",
        ],
        |s| s.number == signals::PIPE,
    ),
    rule_if(
        "file-size-limit",
        &[
            "generic_write_check_limits",
            "generic_write_checks_count",
            "generic_write_checks",
            "inode_newsize_ok",
        ],
        |s| s.number == signals::XFSZ,
    ),
    rule_if("rt-limit", CPU_TIMERS, |s| {
        limits(s)
            && matches!(
                s.detail,
                Detail::Limits {
                    cpu_s: None,
                    rt_us: Some(_)
                }
            )
    }),
    rule_if("cpu-limit", CPU_TIMERS, limits),
    // ITIMER_PROF and ITIMER_VIRTUAL, where nothing else sends those.
    rule_if("timer", CPU_TIMERS, |s| {
        matches!(s.number, signals::PROF | signals::VTALRM) && sender::from_kernel_itself(s)
    }),
    rule("timer", stack::TIMER),
    rule(
        "mqueue",
        &["__do_notify", "do_mq_timedsend", "__x64_sys_mq_timedsend"],
    ),
    rule("lease", &["__break_lease", "lease_break_callback"]),
    rule(
        "async-io",
        &[
            "send_sigio_to_task",
            "send_sigio",
            "kill_fasync",
            "send_sigurg",
            "sk_send_sigurg",
        ],
    ),
];

/// What is sent at a limit of processor time.
fn limits(s: &Signal) -> bool {
    let limit = s.number == signals::XCPU || s.number == signals::KILL;
    limit && sender::from_kernel_itself(s)
}

/// The page that it used is damaged (BUS_MCEERR_AR, BUS_MCEERR_AO).
fn damaged(s: &Signal) -> bool {
    s.number == signals::BUS && s.info == Info::Full && (4..=5).contains(&s.code)
}

pub(super) fn own_doing(s: &Signal) -> bool {
    s.current.key == s.target.key
}

pub(super) fn exiting(s: &Signal) -> bool {
    s.current.flags & flag::PF_EXITING != 0
}

/// Every function that a rule looks for.
#[cfg(test)]
pub(super) fn frames() -> impl Iterator<Item = &'static str> {
    RULES.iter().flat_map(|rule| rule.frames).copied()
}

/// Every cause that a rule leads to.
#[cfg(test)]
pub(super) fn causes() -> impl Iterator<Item = &'static str> {
    RULES
        .iter()
        .map(|rule| rule.cause)
        .chain(["kernel-oops", "oom-shared-mm"])
}
