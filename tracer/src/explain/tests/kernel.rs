//! Deaths by the kernel's own signals: each row of the contract, by the stack
//! that proves it, and the near misses.

use crate::event::{Detail, Handler, Info, Signal};
use crate::explain::ids;
use crate::explain::kernel_rules;
use crate::explain::report::{Certainty, ExitReport, Sender};
use crate::explain::signals::*;

use super::world::*;

/// What is different from a signal of the kernel to another process.
type Change = fn(&mut Signal);

/// What a signal of the kernel with that stack is said to be.
fn killed(number: i32, stack: &[&str], change: impl Fn(&mut Signal)) -> ExitReport {
    let (other, app) = (host(60, "other"), member(101, 2, "app"));
    let mut w = World::new();
    let sending = w.send(&other, &app, number).by_kernel().stack(stack);
    let sending = sending.set(change);
    if matches!(default_action(number), DefaultAction::Core) {
        sending.go();
        w.deliver(&app, number, Handler::Default);
    } else {
        sending.fatal();
    }
    w.exit(&app, number);
    w.run().exit(&app).clone()
}

fn own(s: &mut Signal) {
    s.current = s.target.clone();
}

fn dying(s: &mut Signal) {
    s.current = exiting(&s.current);
}

#[test]
fn each_kernel_path_has_its_cause() {
    let none: Change = |_| {};
    let parent: Change = |s| {
        dying(s);
        s.pdeath_signal = s.number;
    };
    let cases: &[(i32, &[&str], Change, &str)] = &[
        (
            KILL,
            &[
                "do_send_sig_info",
                "__oom_kill_process",
                "oom_kill_process",
                "out_of_memory",
                "mem_cgroup_out_of_memory",
            ],
            none,
            "oom-memcg",
        ),
        (
            KILL,
            &[
                "do_send_sig_info",
                "__oom_kill_process",
                "oom_kill_process",
                "out_of_memory",
            ],
            none,
            "oom-global",
        ),
        (
            KILL,
            &[
                "__oom_kill_process",
                "oom_kill_memcg_member",
                "mem_cgroup_scan_tasks",
                "oom_kill_process",
                "mem_cgroup_out_of_memory",
            ],
            none,
            "oom-group",
        ),
        (
            KILL,
            &[
                "__oom_kill_process",
                "oom_kill_process",
                "out_of_memory",
                "moom_callback",
            ],
            none,
            "sysrq",
        ),
        (
            KILL,
            &["bpf_send_signal_common", "bpf_send_signal"],
            own,
            "bpf",
        ),
        // What the helpers share is inlined.
        (
            KILL,
            &["do_send_sig_info", "bpf_send_signal", "syscall_trace_enter"],
            own,
            "bpf",
        ),
        (
            BUS,
            &["force_sig_mceerr", "kill_proc", "memory_failure"],
            none,
            "hwpoison",
        ),
        (
            INT,
            &["reboot_pid_ns", "__do_sys_reboot"],
            none,
            "pidns-reboot",
        ),
        (KILL, &["__do_SAK", "do_SAK_work"], none, "sak"),
        (
            HUP,
            &[
                "__group_send_sig_info",
                "tty_signal_session_leader",
                "__tty_hangup",
            ],
            none,
            "tty-hangup",
        ),
        (
            HUP,
            &["kill_pgrp", "disassociate_ctty", "do_exit"],
            dying,
            "tty-hangup",
        ),
        (
            INT,
            &["kill_pgrp", "__isig", "isig", "n_tty_receive_signal_char"],
            none,
            "tty-interrupt",
        ),
        (
            HUP,
            &["__kill_pgrp_info", "kill_orphaned_pgrp", "do_exit"],
            dying,
            "orphaned-pgrp",
        ),
        (
            HUP,
            &["__kill_pgrp_info", "do_exit"],
            dying,
            "orphaned-pgrp",
        ),
        (KILL, &["exit_ptrace", "do_exit"], dying, "ptrace-exitkill"),
        (
            USR1,
            &["do_notify_parent", "do_exit"],
            dying,
            "child-exit-signal",
        ),
        (
            TERM,
            &["do_send_sig_info", "do_exit"],
            parent,
            "parent-death-signal",
        ),
        (
            SYS,
            &["force_sig_seccomp", "__seccomp_filter"],
            own,
            "seccomp",
        ),
        (
            SEGV,
            &["force_fatal_sig", "bprm_execve"],
            own,
            "exec-failed",
        ),
        (
            SEGV,
            &[
                "force_sigsegv",
                "signal_setup_done",
                "arch_do_signal_or_restart",
            ],
            own,
            "bad-signal-frame",
        ),
        (
            SEGV,
            &["force_sig_fault", "exc_page_fault", "asm_exc_page_fault"],
            own,
            "fault",
        ),
        (
            ILL,
            &["force_sig_info_to_task", "exc_invalid_op"],
            own,
            "fault",
        ),
        (TRAP, &["send_sig_perf", "perf_pending_task"], own, "perf"),
        (
            PIPE,
            &["send_sig", "anon_pipe_write", "vfs_write"],
            own,
            "broken-pipe",
        ),
        (
            PIPE,
            &["send_sig", "wait_for_space", "splice_file_to_pipe"],
            own,
            "broken-pipe",
        ),
        // What is in between is inlined.
        (PIPE, &["send_sig", "do_sendfile"], own, "broken-pipe"),
        (
            XFSZ,
            &["send_sig", "generic_write_check_limits"],
            own,
            "file-size-limit",
        ),
        (
            XCPU,
            &[
                "__group_send_sig_info",
                "check_process_timers",
                "posix_cpu_timers_work",
            ],
            own,
            "cpu-limit",
        ),
        (ALRM, &["it_real_fn", "__hrtimer_run_queues"], none, "timer"),
        (
            PROF,
            &["check_cpu_itimer", "posix_cpu_timers_work"],
            own,
            "timer",
        ),
        (USR2, &["__do_notify", "do_mq_timedsend"], none, "mqueue"),
        (
            IO,
            &[
                "send_sigio_to_task",
                "send_sigio",
                "kill_fasync",
                "__break_lease",
            ],
            none,
            "lease",
        ),
        (
            IO,
            &["send_sigio_to_task", "send_sigio", "kill_fasync"],
            none,
            "async-io",
        ),
    ];
    for (number, stack, change, cause) in cases {
        let e = killed(*number, stack, change);
        assert_eq!(
            (e.cause, e.mechanism, e.explanation.certainty),
            (*cause, Some("kernel-signal"), Certainty::Proven),
            "{stack:?}"
        );
        // That of a terminal goes on to who did it.
        let wanted = if cause.starts_with("tty-") {
            2..=3
        } else {
            2..=2
        };
        assert!(wanted.contains(&e.chain.len()), "{cause}: {}", chain(&e));
    }
}

#[test]
fn a_filter_that_kills_is_not_one_that_traps() {
    let by_filter = |flags: u64| {
        killed(SYS, &["force_sig_seccomp", "__seccomp_filter"], |s| {
            own(s);
            s.state.sa_flags = flags;
        })
    };
    let e = by_filter(crate::event::flag::SA_IMMUTABLE);
    assert!(why(&e).contains("verdict is to kill"), "{}", why(&e));
    assert!(!why(&e).contains("TRAP"), "{}", why(&e));
    let e = by_filter(0);
    assert!(why(&e).contains("SECCOMP_RET_TRAP"), "{}", why(&e));
    assert!(!why(&e).contains("kill"), "{}", why(&e));
}

#[test]
fn the_end_of_a_thread_that_had_children_is_not_that_of_its_process() {
    let ended = |tid: Option<u32>| {
        killed(TERM, &["do_send_sig_info", "do_exit"], |s| {
            dying(s);
            s.pdeath_signal = TERM;
            s.current.tid = tid.unwrap_or(s.current.tid);
        })
    };
    let e = ended(None);
    assert!(why(&e).starts_with("Its parent other 60 ended"), "{e:?}");
    assert!(chain(&e).ends_with("end of its parent other 60"), "{e:?}");
    let e = ended(Some(61));
    let said = why(&e);
    assert!(said.starts_with("The thread 61 of other 60"), "{said}");
    assert!(chain(&e).contains("the thread 61 of its parent other 60"));
}

#[test]
fn who_wrote_or_opened_or_sent_a_message_is_named() {
    let on_behalf = |number: i32, stack: &[&str], change: Change| {
        let (other, app) = (host(60, "other"), member(101, 2, "app"));
        let mut w = World::new();
        let sending = w.send(&other, &app, number).by_kernel().stack(stack);
        let id = sending.set(change).handled();
        match w.run().signal(id).sender.clone() {
            Sender::Kernel { on_behalf_of } => on_behalf_of.map(|task| task.key.pid),
            other => panic!("{other:?}"),
        }
    };
    let none: Change = |_| {};
    let write = ["send_sigio", "kill_fasync", "pipe_write", "vfs_write"];
    let open = ["kill_fasync", "lease_break_callback", "vfs_open"];
    let message = ["__do_notify", "do_mq_timedsend"];
    let packet = ["kill_fasync", "tcp_rcv", "__do_softirq", "__sys_sendto"];
    assert_eq!(on_behalf(IO, &write, none), Some(60));
    assert_eq!(on_behalf(IO, &open, none), Some(60));
    assert_eq!(on_behalf(USR1, &message, none), Some(60));
    // A packet that arrives interrupts anybody, and a worker writes for others.
    assert_eq!(on_behalf(IO, &packet, none), None);
    let worker: Change = |s| s.current.flags |= crate::event::flag::PF_KTHREAD;
    assert_eq!(on_behalf(IO, &write, worker), None);
    // Of a stack that was cut nothing is said.
    assert_eq!(on_behalf(IO, &["send_sigio", "kill_fasync"], none), None);
    // Without names on the stack the code tells of a message.
    let by_code: Change = |s| (s.info, s.code) = (Info::Full, -3);
    assert_eq!(on_behalf(USR1, &[], by_code), Some(60));

    let e = killed(IO, &write, none);
    assert!(why(&e).contains("became ready by other 60"), "{}", why(&e));
    assert!(chain(&e).ends_with("asynchronous I/O, by other 60"));
    let e = killed(IO, &packet, none);
    assert!(why(&e).contains("interrupt"), "{}", why(&e));
    let e = killed(IO, &open, own);
    assert!(why(&e).contains("by the process itself"), "{}", why(&e));
    let change = ["send_sigio", "dnotify_handle_event", "vfs_create"];
    let e = killed(IO, &change, none);
    assert_eq!(e.cause, "async-io");
    let said = why(&e);
    assert!(said.contains("(fcntl F_NOTIFY) was changed by other 60"));
    assert!(!said.contains("O_ASYNC"), "{said}");
    let e = killed(USR1, &message, none);
    assert!(why(&e).contains("of a message by other 60"), "{}", why(&e));
}

#[test]
fn what_only_looks_like_it_is_unknown() {
    let cases: &[(i32, &[&str], Change)] = &[
        // It had not asked for it.
        (TERM, &["do_send_sig_info", "do_exit"], dying),
        // SIGPROF has the frames of the limits.
        (
            PROF,
            &["check_process_timers", "posix_cpu_timers_work"],
            |s| {
                s.info = Info::Full;
                s.code = 5;
            },
        ),
        // Somebody else's page fault.
        (SEGV, &["force_sig_fault", "exc_page_fault"], |_| {}),
        (HUP, &["some_driver"], |_| {}),
    ];
    for (number, stack, change) in cases {
        let e = killed(*number, stack, change);
        assert_eq!(e.cause, "unknown", "{stack:?}");
        assert!(!e.explanation.missing.is_empty());
    }
}

#[test]
fn a_fault_says_what_the_code_means_and_no_more() {
    let said = |number, code, address| {
        let e = killed(number, &["force_sig_fault", "exc_page_fault"], |s| {
            own(s);
            s.info = Info::Full;
            s.code = code;
            s.detail = Detail::Address(address);
        });
        why(&e)
    };
    assert!(said(FPE, 1, 0x1000).contains("INT_MIN / -1"));
    assert!(said(FPE, 3, 0x1000).contains("floating-point numbers divided by zero"));
    // The processor tells no address (exc_alignment_check).
    assert!(!said(BUS, 1, 0).contains("0x0"));
    assert!(said(SEGV, 1, 0xffff_8000_0000_0000).contains("the kernel's"));
}

#[test]
fn a_fault_tells_where() {
    let at = |code, address| {
        let e = killed(SEGV, &["force_sig_fault", "exc_page_fault"], |s| {
            own(s);
            s.info = Info::Full;
            s.code = code;
            s.detail = Detail::Address(address);
        });
        (why(&e), chain(&e))
    };
    let (text, chain) = at(1, 0x10);
    assert!(
        text.contains("0x10, where nothing is mapped (SEGV_MAPERR)")
            && text.contains("null pointer"),
        "{text}"
    );
    assert_eq!(chain, "SIGSEGV by the kernel ← fault at address 0x10");
    let (text, _) = at(2, 0x7f00_0000_1000);
    assert!(
        text.contains("SEGV_ACCERR") && !text.contains("null"),
        "{text}"
    );
}

#[test]
fn a_protection_fault_has_no_address() {
    let e = killed(SEGV, &["force_sig", "exc_general_protection"], |s| {
        own(s);
        s.info = Info::Full;
        s.code = 0x80;
    });
    assert!(!why(&e).contains("null pointer"), "{}", why(&e));
    assert_eq!(chain(&e), "SIGSEGV by the kernel ← fault");
}

#[test]
fn without_symbols_the_code_is_a_guess() {
    let cases: &[(i32, i32, &str)] = &[(SEGV, 1, "fault"), (SYS, 1, "seccomp"), (FPE, 1, "fault")];
    for &(number, code, cause) in cases {
        let e = killed(number, &[], |s| {
            own(s);
            s.info = Info::Full;
            s.code = code;
        });
        assert_eq!(
            (e.cause, e.explanation.certainty),
            (cause, Certainty::Inferred)
        );
        assert!(e.explanation.missing[0].contains("symbols"));
    }
}

#[test]
fn deaths_on_the_spot_are_told_by_the_stack_of_the_exit() {
    let app = member(101, 2, "app");
    for (number, stack, cause) in [
        (SYS, "__seccomp_filter", "seccomp"),
        (KILL, "__secure_computing", "seccomp"),
        (KILL, "make_task_dead", "kernel-oops"),
        (SEGV, "make_task_dead", "kernel-oops"),
        (SEGV, "do_group_exit", "unknown"),
    ] {
        let mut w = World::new();
        w.exit_by(&app, number, &["do_exit", stack]);
        assert_eq!(w.run().exit(&app).cause, cause);
    }
}

#[test]
fn the_system_call_of_a_death_on_the_spot_is_named() {
    let app = member(101, 2, "app");
    let ended = |number: i32, call: Detail| {
        let mut w = World::new();
        w.exit_by(&app, number, &["do_exit", "__secure_computing"]);
        if let Some(crate::event::Fact::Exit { call: of, .. }) =
            w.events.last_mut().map(|event| &mut event.fact)
        {
            *of = call;
        }
        let told = w.run();
        let e = told.exit(&app);
        (why(e), chain(e))
    };
    let call = |arch| Detail::SystemCall { number: 110, arch };
    let (said, chained) = ended(SYS, call(0xc000_003e));
    assert!(said.contains("made system call 110 of x86-64,"), "{said}");
    assert!(chained.contains("← system call 110 of x86-64, which its"));
    let (said, chained) = ended(KILL, call(0x4000_0003));
    assert!(said.contains("made system call 110 of 32-bit x86:"));
    assert!(chained.ends_with("110 of 32-bit x86 that strict seccomp forbids"));
    let (said, chained) = ended(KILL, Detail::None);
    assert!(said.contains("made another one:"), "{said}");
    assert!(chained.ends_with("a system call that strict seccomp forbids"));
}

/// The SIGKILL of its status was sent by nobody, not by a PID 1 that dies
/// meanwhile.
#[test]
fn strict_seccomp_is_not_the_end_of_the_namespace() {
    let (one, app) = (member(100, 1, "init"), member(101, 2, "app"));
    let mut w = World::new();
    w.push(crate::event::Fact::ZapPidNs {
        task: exiting(&one),
        pidns: NS,
    });
    w.exit_by(&app, KILL, &["do_exit", "__secure_computing"]);
    w.exit(&one, 0);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(
        (e.cause, e.mechanism, e.explanation.certainty, e.forced),
        ("seccomp", Some("exit"), Certainty::Proven, true)
    );
    assert!(why(e).contains("strict mode"), "{}", why(e));
}

#[test]
fn every_cause_of_a_rule_is_in_the_table() {
    for cause in kernel_rules::causes() {
        let entry = ids::find(cause);
        assert!(entry.is_some_and(|e| e.reported), "{cause}");
    }
}

#[test]
fn which_limit_of_time_it_was() {
    let limited = |number, cpu_s, rt_us| {
        killed(number, &["run_posix_cpu_timers"], |s| {
            own(s);
            s.detail = Detail::Limits { cpu_s, rt_us };
        })
    };
    let e = limited(XCPU, None, Some(100_000));
    assert_eq!(
        (e.cause, e.explanation.certainty),
        ("rt-limit", Certainty::Proven)
    );
    assert!(why(&e).contains("RLIMIT_RTTIME, 100 ms"), "{}", why(&e));
    assert!(why(&e).contains("no handler for SIGXCPU"), "{}", why(&e));
    let e = limited(KILL, None, Some(200_000));
    assert!(!why(&e).contains("handler"), "{}", why(&e));
    let e = limited(XCPU, Some(1), None);
    assert_eq!(
        (e.cause, e.explanation.certainty),
        ("cpu-limit", Certainty::Proven)
    );
    assert!(why(&e).contains("soft limit of processor time (RLIMIT_CPU, 1 s)"));
    assert!(!why(&e).contains("RTTIME"));
    // Both are set: it may be either.
    let e = limited(XCPU, Some(1), Some(100_000));
    assert_eq!(
        (e.cause, e.explanation.certainty),
        ("cpu-limit", Certainty::Inferred)
    );
    assert!(why(&e).contains("RLIMIT_RTTIME"));
}

#[test]
fn a_damaged_page_is_no_error_of_the_program() {
    let bus = |code| {
        killed(
            BUS,
            &["force_sig_mceerr", "do_sigbus", "exc_page_fault"],
            |s| {
                own(s);
                s.info = Info::Full;
                s.code = code;
            },
        )
    };
    // BUS_ADRERR and BUS_MCEERR_AR.
    assert_eq!((bus(2).cause, bus(4).cause), ("fault", "hwpoison"));
}

#[test]
fn who_asked_for_the_end_of_a_namespace_by_reboot() {
    let (one, caller) = (member(100, 1, "init"), member(101, 2, "reboot"));
    let mut w = World::new();
    let id = w
        .send(&caller, &one, KILL)
        .by_kernel()
        .stack(&["send_sig", "reboot_pid_ns", "__do_sys_reboot"])
        .fatal();
    w.exit(&one, KILL);
    let told = w.run();
    assert!(matches!(
        &told.signal(id).sender,
        Sender::Kernel { on_behalf_of: Some(by) } if by.key == caller.key
    ));
    let e = told.exit(&one);
    assert_eq!(e.cause, "pidns-reboot");
    assert!(why(e).contains("reboot 101 called reboot(2)"), "{}", why(e));
}
