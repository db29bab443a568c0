//! What is said of a death by one of the kernel's own signals: why, the root of
//! the chain, and what to do. Which cause it is was decided in
//! [`super::kernel_cause`].

use crate::event::{flag, Detail, Signal};
use crate::explain::report::Evidence;

use super::death::Death;
use super::sender::{self, Origin};
use super::{kernel_rules, signals, stack, words};

/// An address below this belongs to no program: a null pointer and a small
/// offset (`vm.mmap_min_addr` is 64 KiB).
const NULL_PAGE: u64 = 1 << 16;
/// Addresses from here on are the kernel's half.
const KERNELS: u64 = 1 << 63;
/// Tells of a change in a directory.
const DNOTIFY: &str = "dnotify_handle_event";
/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
const I386: u32 = 0x4000_0003;

/// Sentences, the chain's root and advice.
pub(super) fn explain(cause: &'static str, s: &Signal, d: &mut Death) {
    let name = signals::name(s.number);
    let other = words::who(&s.current);
    // The end of the thread that made it is what counts (find_new_reaper gives it to
    // another one); of a process that goes on, that is not the first thread.
    let parent = match s.current.tid == s.current.key.pid {
        true => (format!("Its parent {other}"), format!("its parent {other}")),
        false => (
            format!(
                "The thread {} of {other}, which had started it,",
                s.current.tid
            ),
            format!("the thread {} of its parent {other}", s.current.tid),
        ),
    };
    let handler = match s.number {
        signals::KILL => "nothing can handle that".to_owned(),
        _ => format!("it has no handler for {name}, whose default action ended it"),
    };
    let (why, root, advice) = match cause {
        "sysrq" => (
            "Somebody used the system request key (SysRq, or a write to /proc/sysrq-trigger), which sends signals to everything or calls the OOM killer.".to_owned(),
            "system request key".to_owned(),
            "",
        ),
        "bpf" => (
            "A BPF program sent it (bpf_send_signal), as security tools do that enforce a policy.".to_owned(),
            "a BPF program".to_owned(),
            "look at the policy of the security tool that runs here (Tetragon and others)",
        ),
        "hwpoison" => (
            "A page of memory that it uses is damaged: the hardware reported an error that cannot be corrected.".to_owned(),
            "memory error".to_owned(),
            "look at the machine check log; replace the memory",
        ),
        "pidns-reboot" => (
            format!("{other} called reboot(2) inside of the PID namespace, which ends its PID 1. Its parent finds SIGHUP (restart) or SIGINT (halt, power off) as its status, and not the SIGKILL that the kernel sent."),
            format!("reboot(2) by {other}"),
            "",
        ),
        "sak" => (
            "The secure attention key was pressed: it kills everything that holds the console open.".to_owned(),
            "secure attention key".to_owned(),
            "",
        ),
        "tty-job" => (
            format!("Its terminal's job control sent {name}."),
            "job control of its terminal".to_owned(),
            "",
        ),
        "orphaned-pgrp" => (
            format!("Its process group was orphaned by the end of {other} while a member was stopped, so the kernel sent SIGHUP and SIGCONT to it, and it has no handler for SIGHUP."),
            format!("end of {other}"),
            "",
        ),
        "ptrace-exitkill" => (
            format!("{other}, which traced it, ended and had asked for its death (PTRACE_O_EXITKILL)."),
            format!("end of its tracer {other}"),
            "",
        ),
        "tracer-injected" if stack::find(&s.stack, kernel_rules::EXEC).is_some() => (
            format!("It executed a program (execve) while it was traced, which the kernel tells the debugger by {name}; the debugger let it have that, and {handler}."),
            "its debugger".to_owned(),
            "",
        ),
        "tracer-injected" if s.number == signals::TRAP && s.code == 2 => (
            format!("Its debugger had it make a single step (ptrace), which ends with {name}, and let it have that; {handler}."),
            "its debugger".to_owned(),
            "",
        ),
        "tracer-injected" => (
            format!("Its debugger let it go on from a system call with {name}, and {handler}."),
            "its debugger".to_owned(),
            "",
        ),
        "child-exit-signal" => (
            format!("Its child {other} ended, and was cloned with {name} instead of SIGCHLD as the signal of its end; {handler}."),
            format!("end of its child {other}"),
            "",
        ),
        "parent-death-signal" => (
            format!("{} ended, and it had asked for {name} in that case (prctl PR_SET_PDEATHSIG).", parent.0),
            format!("end of {}", parent.1),
            "if that surprises: the signal comes at the end of the thread that started it, not of the process; start it from a thread that lives on",
        ),
        "seccomp" => seccomp(s, d),
        "exec-failed" => (
            "It called execve(2), and after the old program was gone the new one could not be loaded: there was nothing left to return to.".to_owned(),
            "execve(2) failed past the point of no return".to_owned(),
            "look at the program: its interpreter, its format, its memory needs",
        ),
        "bad-signal-frame" => (
            "The kernel could not write or read the frame of a signal handler on its stack, so it forced SIGSEGV.".to_owned(),
            "the stack has no room for a handler, or is damaged".to_owned(),
            "look for a stack overflow; use sigaltstack(2)",
        ),
        "perf" => (
            format!("A performance counter of its own overflowed (perf_event_open with sigtrap), and {handler}."),
            "a performance counter".to_owned(),
            "",
        ),
        "fault" => fault(s),
        "broken-pipe" => (
            "It wrote to a pipe or socket that nobody reads any more, and has no handler for SIGPIPE.".to_owned(),
            "write to a pipe or socket without a reader".to_owned(),
            "in a pipeline that is normal; a server should ignore SIGPIPE and handle EPIPE",
        ),
        "file-size-limit" => (
            "It wrote beyond the limit of its file size (RLIMIT_FSIZE), and has no handler for SIGXFSZ.".to_owned(),
            "file size limit".to_owned(),
            "raise the limit (ulimit -f)",
        ),
        "cpu-limit" => cpu_limit(s, &handler),
        "rt-limit" => (
            format!(
                "A real-time thread of it ran longer without a pause than it may (RLIMIT_RTTIME{}){}.",
                match s.detail {
                    Detail::Limits { rt_us: Some(us), .. } =>
                        format!(", {}", words::span(u64::from(us) * 1000)),
                    _ => String::new(),
                },
                if s.number == signals::KILL { String::new() } else { format!(", and {handler}") }
            ),
            "limit of real-time processing".to_owned(),
            "let the thread sleep now and then, or raise the limit (ulimit -R, LimitRTTIME= of systemd)",
        ),
        "timer" if s.number == signals::KILL => (
            "A timer of its own ran out (timer_create), which was made to send SIGKILL (sigev_signo).".to_owned(),
            "a timer of its own".to_owned(),
            "have the timer send a signal that can be handled",
        ),
        "timer" => (
            format!("A timer of its own ran out (alarm, setitimer or timer_create), and {handler}."),
            "a timer of its own".to_owned(),
            "install the handler before the timer is armed",
        ),
        "mqueue" | "lease" | "async-io" => notice(cause, s, &handler),
        // Every cause has words of its own; a new one is not told as another.
        _ => (
            format!("The kernel sent it ({cause}), and {handler}."),
            "the kernel".to_owned(),
            "",
        ),
    };
    d.say(why);
    d.link(None, root);
    if !advice.is_empty() {
        d.advise(advice);
    }
}

/// It was told of what somebody did to a file or a queue: who, where that is known.
fn notice(cause: &str, s: &Signal, handler: &str) -> (String, String, &'static str) {
    let own = s.current.key == s.target.key;
    let who = match sender::origin(s) {
        Origin::KernelForCurrent if own => Some("the process itself".to_owned()),
        Origin::KernelForCurrent => Some(words::who(&s.current)),
        _ => None,
    };
    let by = (who.as_ref()).map_or_else(String::new, |who| format!(" by {who}"));
    let (why, root) = match cause {
        "mqueue" => (
            format!("A message queue notified it (mq_notify) of a message{by}"),
            "a message queue",
        ),
        "lease" => (
            format!("A file that it holds a lease on (F_SETLEASE) was opened or changed{by}"),
            "a lease on a file was broken",
        ),
        _ if stack::has(&s.stack, DNOTIFY) => (
            format!("A directory that it asked to be told about (fcntl F_NOTIFY) was changed{by}"),
            "a change in a directory that it watches (F_NOTIFY)",
        ),
        _ if who.is_none() && stack::interrupted(&s.stack) => (
            "A file or socket that it asked to be told about became ready (O_ASYNC, F_SETOWN) in an interrupt, which does not tell by whose doing".to_owned(),
            "asynchronous I/O",
        ),
        _ => (
            format!("A file or socket that it asked to be told about became ready{by} (O_ASYNC, F_SETOWN)"),
            "asynchronous I/O",
        ),
    };
    (
        format!("{why}, and {handler}."),
        match who {
            Some(who) => format!("{root}, by {who}"),
            None => root.to_owned(),
        },
        "",
    )
}

fn cpu_limit(s: &Signal, handler: &str) -> (String, String, &'static str) {
    let (sort, rest) = match s.number {
        signals::KILL => ("hard", String::new()),
        _ => ("soft", format!(", and {handler}")),
    };
    let limit = match s.detail {
        Detail::Limits {
            cpu_s: Some(seconds),
            rt_us: None,
        } => format!("its {sort} limit of processor time (RLIMIT_CPU, {seconds} s)"),
        _ => format!("its {sort} limit of processor time (RLIMIT_CPU), or as a real-time thread that of running without a pause (RLIMIT_RTTIME)"),
    };
    (
        format!("It used up {limit}{rest}."),
        "limit of processor time".to_owned(),
        "raise the limit (ulimit -t)",
    )
}

/// `system call 110 of x86-64`.
pub(super) fn system_call(detail: Detail) -> String {
    match detail {
        Detail::SystemCall {
            number,
            arch: X86_64,
        } => format!("system call {number} of x86-64"),
        Detail::SystemCall { number, arch: I386 } => {
            format!("system call {number} of 32-bit x86")
        }
        Detail::SystemCall { number, arch } => {
            format!("system call {number} of architecture {arch:#x}")
        }
        _ => "a system call".to_owned(),
    }
}

/// A filter that kills has the signal forced past any handler (`force_sig_seccomp`,
/// HANDLER_EXIT); one that traps leaves it to the handler. Before 5.16 the former ends
/// the process without a signal, so that this one is a trap all the same.
fn seccomp(s: &Signal, d: &mut Death) -> (String, String, &'static str) {
    let call = system_call(s.detail);
    let verdict = if s.state.sa_flags & flag::SA_IMMUTABLE != 0 {
        d.evidence(Evidence::Field("sa_flags has SA_IMMUTABLE".to_owned()));
        "kill (SECCOMP_RET_KILL_PROCESS, or SECCOMP_RET_KILL_THREAD of its last thread), whatever handler it has"
    } else {
        d.evidence(Evidence::Field("sa_flags has no SA_IMMUTABLE".to_owned()));
        "send SIGSYS (SECCOMP_RET_TRAP), and it has no handler for that, or blocks it"
    };
    (
        format!("It made {call}, which its seccomp filter forbids: the filter's verdict is to {verdict}."),
        format!("{call}, which its seccomp filter forbids"),
        "look up the number (ausyscall, or syscalls(2)) and allow the call, if it is meant to be (docker run --security-opt seccomp=PROFILE)",
    )
}

/// `sigaction(2)` has the codes.
pub(super) fn fault(s: &Signal) -> (String, String, &'static str) {
    // Nothing is said of an address where the processor tells none.
    let (at, of) = match s.detail {
        Detail::Address(address) => (
            format!(" at address {address:#x}"),
            format!("address {address:#x}"),
        ),
        _ => (String::new(), "memory".to_owned()),
    };
    let untold = (s.number, s.code) == (signals::BUS, 1) && matches!(s.detail, Detail::Address(0));
    let (what, code) = match (s.number, s.code) {
        (signals::SEGV, 1) if matches!(s.detail, Detail::Address(address) if address >= KERNELS) => (
            format!("It used {of}, which is the kernel's and no program's"),
            "SEGV_MAPERR",
        ),
        (signals::SEGV, 1) => (format!("It used {of}, where nothing is mapped"), "SEGV_MAPERR"),
        (signals::SEGV, 2) => (
            format!("It used {of} in a way that the mapping there does not allow (such as a write to what is read-only)"),
            "SEGV_ACCERR",
        ),
        (signals::SEGV, 0x80) => (
            "The processor refused what it did (general protection fault: an address that no program can have, or a forbidden instruction such as hlt; it does not tell the address)".to_owned(),
            "SI_KERNEL",
        ),
        // exc_alignment_check tells no address.
        (signals::BUS, 1) if untold => (
            "It used an address that is not aligned as it must be; the processor does not tell which".to_owned(),
            "BUS_ADRALN",
        ),
        (signals::BUS, 1) => (format!("It used {of}, which is not aligned as it must be"), "BUS_ADRALN"),
        (signals::BUS, 2) => (
            format!("It used {of}, behind which there is no memory: mostly a mapped file that was cut off"),
            "BUS_ADRERR",
        ),
        (signals::FPE, 1) => (
            format!("It divided an integer by zero, or with a result too large for its type (INT_MIN / -1), by the instruction{at}"),
            "FPE_INTDIV",
        ),
        (signals::FPE, code @ 2..=7) => {
            let (what, name) = match code {
                2 => ("with integers had a result too large", "FPE_INTOVF"),
                3 => ("with floating-point numbers divided by zero", "FPE_FLTDIV"),
                4 => ("with floating-point numbers had a result too large", "FPE_FLTOVF"),
                5 => ("with floating-point numbers had a result too small", "FPE_FLTUND"),
                6 => ("with floating-point numbers had an inexact result", "FPE_FLTRES"),
                _ => ("with floating-point numbers was invalid", "FPE_FLTINV"),
            };
            (
                format!("A calculation{at} {what}, and it has that trapped (feenableexcept)"),
                name,
            )
        }
        (signals::ILL, code) => (
            format!("It executed an instruction{at} that does not exist or is forbidden"),
            if code == 2 { "ILL_ILLOPN" } else { "SIGILL" },
        ),
        (signals::TRAP, _) if s.state.traced => (
            format!("It ran into a breakpoint or a trap{at}, and its debugger let it have the signal of that"),
            "SIGTRAP",
        ),
        (signals::TRAP, _) => (
            format!("It ran into a breakpoint or a trap of its own{at}, with no debugger there"),
            "SIGTRAP",
        ),
        _ => (format!("The processor refused what it did{at}"), "a fault"),
    };
    let null = matches!(s.detail, Detail::Address(address) if address < NULL_PAGE)
        && s.number == signals::SEGV;
    let null = if null {
        " So close to zero that is a null pointer."
    } else {
        ""
    };
    (
        format!("{what} ({code}).{null}"),
        if untold { "fault".to_owned() } else { format!("fault{at}") },
        "it is an error in the program: look at the core dump, if one was written (coredumpctl, gdb), for the place",
    )
}
