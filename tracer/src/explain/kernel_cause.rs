//! Deaths by signals that the kernel itself sent: which function on the stack
//! proves which cause (section 3 of the contract of reasons). What each says
//! about itself stands in [`super::kernel_words`].

use crate::event::{flag, Detail, Frame, Info, Signal};
use crate::explain::report::{Certainty, Evidence};
use crate::history::process::{Exited, Fatal};

use super::death::Death;
use super::path::KernelPath;
use super::sender::{self, Origin};
use super::verdict::View;
use super::{kernel_words, oom, place, signals, stack, terminal};

/// One row: a cause, and what must be on the stack and be true of the signal.
struct Rule {
    cause: &'static str,
    /// One of these is on the stack.
    frames: &'static [&'static str],
    holds: fn(&Signal) -> bool,
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
const RULES: &[Rule] = &[
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

fn own_doing(s: &Signal) -> bool {
    s.current.key == s.target.key
}

fn exiting(s: &Signal) -> bool {
    s.current.flags & flag::PF_EXITING != 0
}

/// How a cause was found.
enum Found {
    /// By a function on the stack.
    Frame(&'static str, &'static str),
    /// Without names on the stack, by what else the signal tells; and what is
    /// missing.
    Guess(&'static str, &'static str),
}

fn find(s: &Signal) -> Option<Found> {
    let by_frame = RULES.iter().find_map(|rule| {
        let frame = stack::find(&s.stack, rule.frames)?;
        (rule.holds)(s).then_some(Found::Frame(rule.cause, frame))
    });
    if by_frame.is_some() || stack::named(&s.stack) {
        return by_frame;
    }
    by_code(s).map(|(cause, missing)| Found::Guess(cause, missing))
}

/// Without kernel symbols.
fn by_code(s: &Signal) -> Option<(&'static str, &'static str)> {
    const SYMBOLS: &str = "kernel symbols, which would prove it";
    let own = own_doing(s);
    let fault = [
        signals::SEGV,
        signals::BUS,
        signals::ILL,
        signals::FPE,
        signals::TRAP,
    ];
    let full = s.info == Info::Full;
    Some(match sender::origin(s) {
        Origin::Timer => ("timer", SYMBOLS),
        Origin::Terminal => ("tty-interrupt", SYMBOLS),
        _ if exiting(s) && s.pdeath_signal == s.number => ("parent-death-signal", SYMBOLS),
        _ if exiting(s) && s.state.traced && s.number == signals::KILL => {
            ("ptrace-exitkill", SYMBOLS)
        }
        _ if own && s.number == signals::PIPE => ("broken-pipe", SYMBOLS),
        _ if own && s.number == signals::XFSZ => ("file-size-limit", SYMBOLS),
        _ if own && full && s.number == signals::SYS && s.code == 1 => ("seccomp", SYMBOLS),
        _ if own && full && s.code > 0 && fault.contains(&s.number) => ("fault", SYMBOLS),
        _ => return None,
    })
}

/// A process that a signal of the kernel ended.
pub(super) fn of(view: View<'_>, fatal: &Fatal, s: &Signal) -> Death {
    let Some(found) = find(s) else {
        return unknown(fatal, s);
    };
    let cause = match found {
        // The same frames: it is killed beside the chosen one.
        Found::Frame("oom-memcg" | "oom-global", _) if oom::shares_memory(view, fatal, s) => {
            "oom-shared-mm"
        }
        Found::Frame(cause, _) | Found::Guess(cause, _) => cause,
    };
    let mut d = Death::new(cause, Some("kernel-signal"));
    d.kernel_path = KernelPath::fatal(s);
    match found {
        Found::Frame(_, frame) => d.evidence(Evidence::Stack(frame.to_owned())),
        Found::Guess(_, missing) => d.missing(missing, Certainty::Inferred),
    }
    d.evidence(Evidence::Field(format!("si_code={}", s.code)));
    d.evidence(Evidence::Event(fatal.event));
    if let (true, Detail::Limits { cpu_s, rt_us }) = (cause.ends_with("-limit"), s.detail) {
        let limits = [("RLIMIT_CPU", "s", cpu_s), ("RLIMIT_RTTIME", "us", rt_us)];
        for (name, unit, limit) in limits {
            if let Some(limit) = limit {
                d.evidence(Evidence::Field(format!("{name}={limit} {unit}")));
            }
        }
    }
    if cause == "parent-death-signal" {
        d.evidence(Evidence::Field(format!(
            "pdeath_signal={}",
            s.pdeath_signal
        )));
    }
    if cause == "cpu-limit"
        && matches!(
            s.detail,
            Detail::Limits {
                cpu_s: Some(_),
                rt_us: Some(_)
            }
        )
    {
        d.missing(
            "which of its limits it was: RLIMIT_CPU and RLIMIT_RTTIME are both set",
            Certainty::Inferred,
        );
    }
    let name = signals::name(s.number);
    let by = match sender::origin(s) {
        Origin::Terminal => "its terminal",
        Origin::Timer => "a timer",
        _ => "the kernel",
    };
    d.link(Some(fatal.event), format!("{name} by {by}"));
    if cause.starts_with("oom-") {
        oom::explain(view, fatal, s, cause, &mut d);
    } else if matches!(cause, "tty-hangup" | "tty-interrupt") {
        terminal::explain(view, fatal, s, cause, &mut d);
    } else {
        kernel_words::explain(cause, s, &mut d);
    }
    if cause == "fault" {
        place::explain(view, s, &mut d);
    }
    d
}

/// No rule fits: the path is the evidence.
fn unknown(fatal: &Fatal, s: &Signal) -> Death {
    let name = signals::name(s.number);
    let mut d = Death::new("unknown", Some("kernel-signal"));
    d.kernel_path = KernelPath::fatal(s);
    for function in d.kernel_path.functions.clone() {
        d.evidence(Evidence::Stack(function));
    }
    d.evidence(Evidence::Event(fatal.event));
    d.evidence(Evidence::Field(format!("si_code={}", s.code)));
    let missing = if d.kernel_path.functions.is_empty() {
        "the kernel path that sent it (kernel symbols, or the stack itself)"
    } else {
        "a rule that names the cause of this kernel path"
    };
    d.missing(missing, Certainty::Unknown);
    let (origin, by) = match sender::origin(s) {
        Origin::Terminal => ("Its terminal", "its terminal"),
        Origin::Timer => ("A timer", "a timer"),
        _ => ("The kernel itself", "the kernel"),
    };
    d.say(if d.kernel_path.functions.is_empty() {
        format!("{origin} sent {name}; on whose behalf is not known.")
    } else {
        format!(
            "{origin} sent {name}, by way of {}.",
            d.kernel_path
                .functions
                .iter()
                .take(4)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" < ")
        )
    });
    d.link(Some(fatal.event), format!("{name} by {by}"));
    d
}

/// A death without any signal, from the stack of its exit: the kernel can end
/// the current task on the spot (`do_exit` with a signal's number).
pub(super) fn at_exit(number: i32, exited: Exited, exit_stack: &[Frame]) -> Option<Death> {
    // Before 5.16 a filter's verdict to kill was carried out so, that of strict mode is
    // on all kernels.
    const SECCOMP: &[&str] = &[
        "__seccomp_filter",
        "__secure_computing",
        "__secure_computing_strict",
        // Since Linux 7.
        "__seccomp_permit_syscall",
    ];
    const OOPS: &[&str] = &[
        "make_task_dead",
        "oops_end",
        "rewind_stack_and_make_dead",
        "rewind_stack_do_exit",
    ];
    let strict = number == signals::KILL;
    let call = kernel_words::system_call(exited.call);
    let (cause, frame, why) = if let Some(frame) = stack::find(exit_stack, OOPS) {
        (
            "kernel-oops",
            frame,
            "The kernel ran into an error of its own while it worked for this process, and ended it without any signal (an oops).".to_owned(),
        )
    } else if let Some(frame) =
        stack::find(exit_stack, SECCOMP).filter(|_| number == signals::SYS || strict)
    {
        (
            "seccomp",
            frame,
            if strict {
                format!("It was in the strict mode of seccomp, which allows no system call but read, write, exit and sigreturn, and made {}: the kernel ended it on the spot, without sending the SIGKILL that its status names.",
                    match exited.call {
                        Detail::None => "another one",
                        _ => &call,
                    }
                )
            } else {
                format!("It made {call}, which its seccomp filter forbids: the filter's verdict is to kill.")
            },
        )
    } else {
        return None;
    };
    let mut d = Death::new(cause, Some("exit"));
    d.kernel_path = KernelPath::new(exit_stack);
    d.evidence(Evidence::Stack(frame.to_owned()));
    d.evidence(Evidence::Event(exited.event));
    d.say(why);
    d.link(
        Some(exited.event),
        format!("ended as if by {}", signals::name(number)),
    );
    let (root, advice) = match cause {
        "seccomp" if strict => (
            format!("{call} that strict seccomp forbids"),
            "find out which call it was (the audit log has it, or strace); the program itself asked for that mode (prctl PR_SET_SECCOMP)",
        ),
        "seccomp" => (
            format!("{call}, which its seccomp filter forbids"),
            "find out which call it was (the audit log has it, or strace) and allow it, if it is meant to be (docker run --security-opt seccomp=PROFILE)",
        ),
        _ => (
            "an error in the kernel".to_owned(),
            "look at the kernel log (dmesg): it has the place and the module",
        ),
    };
    d.link(None, root);
    d.advise(advice);
    Some(d)
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
