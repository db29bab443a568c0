//! Signals that did nothing at once, and who sent them.

use super::world::*;
use crate::event::{flag, Handler, Info, Outcome, Signal, Task};
use crate::explain::report::{Certainty, Sender};
use crate::explain::signals::*;

fn reason(w: &World, id: u64) -> (&'static str, Option<&'static str>, Certainty) {
    let told = w.run();
    let s = told.signal(id);
    assert!(s.settled);
    assert!(!s.explanation.sentences.is_empty());
    (s.fate, s.reason, s.explanation.certainty)
}

fn says(w: &World, id: u64) -> String {
    w.run().signal(id).explanation.sentences.join(" ")
}

const PROVEN: Certainty = Certainty::Proven;

#[test]
fn a_pid1_without_handler_from_inside_and_outside() {
    let one = member(100, 1, "init.sh");
    let inside = member(120, 9, "sh");
    let outside = host(50, "sh");
    let mut w = World::new();
    let a = w.send(&inside, &one, TERM).dropped();
    let b = w.send(&outside, &one, TERM).dropped();
    let c = w.send(&inside, &one, KILL).dropped();
    let d = w.send(&inside, &one, STOP).dropped();
    for id in [a, b, c, d] {
        assert_eq!(reason(&w, id), ("dropped", Some("init-no-handler"), PROVEN));
    }
    assert!(says(&w, a).contains("from inside its PID namespace"));
    assert!(says(&w, b).contains("from outside its PID namespace"));
    assert!(says(&w, c).starts_with("SIGKILL cannot be handled, and sent from inside its PID namespace it never reaches a PID 1"));
    let told = w.run();
    assert!(
        told.signal(c).explanation.advice[0].contains("kill -9 100 on the host"),
        "{:?}",
        told.signal(c).explanation.advice
    );
    let advice = &told.signal(d).explanation.advice[0];
    assert!(advice.contains("kill -STOP 100 on the host"), "{advice}");
    assert!(advice.contains("(docker pause)"), "{advice}");
    assert!(told.signal(a).explanation.advice[0].contains("docker run --init"));
    assert_eq!(told.summary.dropped, 4);
}

#[test]
fn what_a_pid1_did_itself_is_no_attempt_to_end_it() {
    let one = member(100, 1, "init.sh");
    let by_kernel = |number: i32, stack: &[&str]| {
        let mut w = World::new();
        let sending = w.send(&one, &one, number).by_kernel().stack(stack);
        let id = sending.dropped();
        let told = w.run();
        let s = told.signal(id);
        assert_eq!(s.reason, Some("init-no-handler"));
        let advice = s.explanation.advice.join(" ");
        assert!(!advice.contains("SIGKILL from outside"), "{advice}");
        assert!(!advice.contains("--init"), "{advice}");
        format!("{} {advice}", s.explanation.sentences.join(" "))
    };
    let said = by_kernel(PIPE, &["pipe_write", "vfs_write"]);
    assert!(
        said.contains("nobody reads") && said.contains("EPIPE"),
        "{said}"
    );
    let said = by_kernel(ALRM, &["it_real_fn"]);
    assert!(said.contains("before the timer is armed"), "{said}");
    let said = by_kernel(XCPU, &["posix_cpu_timers_work"]);
    assert!(
        said.contains("RLIMIT_CPU") && said.contains("ulimit -t"),
        "{said}"
    );
    let said = by_kernel(XFSZ, &["generic_write_check_limits", "vfs_write"]);
    assert!(said.contains("EFBIG"), "{said}");
    let said = by_kernel(IO, &["send_sigio", "kill_fasync", "vfs_write"]);
    assert!(said.contains("O_ASYNC"), "{said}");
    // Somebody else's is one, whatever signal it is.
    let mut w = World::new();
    let id = w.send(&member(120, 9, "sh"), &one, PIPE).dropped();
    let told = w.run();
    assert!(told.signal(id).explanation.advice[0].contains("SIGKILL from outside"));
}

#[test]
fn sigkill_from_outside_that_is_dropped_has_another_reason() {
    // A forced SIGKILL gets through sig_task_ignored, so no-handler is no reason.
    let one = member(100, 1, "init.sh");
    let mut w = World::new();
    let id = w.send(&host(50, "sh"), &one, KILL).dropped();
    let told = w.run();
    assert_eq!(
        (told.signal(id).fate, told.signal(id).reason),
        ("dropped", None)
    );
    assert_eq!(told.signal(id).explanation.certainty, Certainty::Unknown);
    assert!(!told.signal(id).explanation.missing.is_empty());
}

#[test]
fn pid1_is_known_by_its_number_and_not_by_the_flag() {
    // GROUP_EXIT overwrites UNKILLABLE; a plain process never has it.
    let mut w = World::new();
    let id = w
        .send(&host(50, "sh"), &member(101, 2, "x"), TERM)
        .set(|s| s.state.signal_flags = flag::UNKILLABLE)
        .dropped();
    assert_ne!(reason(&w, id).1, Some("init-no-handler"));
}

#[test]
fn sigchld_to_pid1_is_ignored_by_default() {
    let one = member(100, 1, "init.sh");
    let mut w = World::new();
    let id = w
        .send(&exiting(&member(101, 2, "x")), &one, CHLD)
        .set(|s| s.code = 1)
        .stack(&["do_notify_parent", "do_exit"])
        .dropped();
    assert_eq!(reason(&w, id), ("dropped", Some("default-ignore"), PROVEN));
    let told = w.run();
    assert!(told.signal(id).routine);
    assert!(
        matches!(&told.signal(id).sender, Sender::Kernel { on_behalf_of: Some(t) } if t.key.pid == 101)
    );
    assert_eq!(
        (
            told.summary.routine,
            told.summary.dropped,
            told.summary.signals
        ),
        (1, 0, 1)
    );
}

#[test]
fn the_hosts_pid1_gets_no_sigkill() {
    let mut w = World::new();
    w.coverage.filter.namespaces.clear();
    let id = w.send(&host(50, "sh"), &host(1, "systemd"), KILL).dropped();
    assert_eq!(reason(&w, id), ("dropped", Some("global-init"), PROVEN));
    let id = w.send(&host(50, "sh"), &host(1, "systemd"), USR1).dropped();
    assert_eq!(reason(&w, id), ("dropped", Some("init-no-handler"), PROVEN));
}

#[test]
fn ignored_by_choice_and_by_default() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    let ign = w.send(&sh, &app, HUP).handler(Handler::Ignore).dropped();
    let urg = w.send(&sh, &app, URG).dropped();
    let cont = w.send(&sh, &app, CONT).dropped();
    let went_on = w
        .send(&sh, &app, CONT)
        .set(|s| s.state.signal_flags = flag::CLD_CONTINUED)
        .dropped();
    assert_eq!(reason(&w, ign), ("dropped", Some("sig-ign"), PROVEN));
    assert_eq!(reason(&w, urg), ("dropped", Some("default-ignore"), PROVEN));
    assert_eq!(
        reason(&w, cont),
        ("dropped", Some("default-ignore"), PROVEN)
    );
    assert_eq!(reason(&w, went_on), ("continued", None, PROVEN));
    assert!(!w.run().signal(went_on).routine && !w.run().signal(ign).routine);
}

#[test]
fn kernel_threads() {
    let mut w = World::new();
    w.coverage.filter.namespaces.clear();
    let kthread = Task {
        flags: flag::PF_KTHREAD,
        ..host(30, "kswapd0")
    };
    let id = w
        .send(&host(50, "sh"), &kthread, TERM)
        .handler(Handler::Ignore)
        .dropped();
    assert_eq!(reason(&w, id), ("dropped", Some("kernel-thread"), PROVEN));
}

#[test]
fn the_order_of_the_reasons_is_the_kernels() {
    // Everything at once: the dump comes first, then the exit, then PID 1.
    let one = member(100, 1, "init.sh");
    let sh = host(50, "sh");
    let mut w = World::new();
    let dump = w
        .send(&sh, &one, TERM)
        .set(|s| (s.state.dumping, s.state.signal_flags) = (true, flag::GROUP_EXIT))
        .dropped();
    let exit = w
        .send(&sh, &one, TERM)
        .set(|s| s.state.signal_flags = flag::GROUP_EXIT)
        .dropped();
    let no_handler = w.send(&sh, &one, TERM).dropped();
    assert_eq!(reason(&w, dump).1, Some("target-dumping"));
    assert_eq!(reason(&w, exit).1, Some("target-exiting"));
    assert_eq!(reason(&w, no_handler).1, Some("init-no-handler"));
}

/// Unlike one that is pending already it is handed to a thread all the same.
#[test]
fn what_shares_a_bit_may_end_the_process_or_come_too_late() {
    let number = 40;
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let send = |w: &mut World, app: &Task, flags: u32, code: i32| {
        let sending = w.send(&sh, app, number).outcome(Outcome::SharesItsBit);
        let state = move |s: &mut Signal| {
            (s.state.signal_flags, s.state.group_exit_code) = (flags, code);
        };
        sending.set(state).go()
    };
    let mut w = World::new();
    let ends = send(&mut w, &app, flag::GROUP_EXIT, number);
    let late = send(&mut w, &exiting(&app), flag::GROUP_EXIT, TERM);
    w.exit(&app, number);
    let told = w.run();
    assert_eq!(told.signal(ends).fate, "fatal");
    assert_eq!(told.signal(late).fate, "dropped");
    assert_eq!(told.summary.coalesced, 0);
}

#[test]
fn what_comes_to_the_dying_and_the_dead() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    let first = w.send(&sh, &app, TERM).fatal();
    // 5.10 says that it was queued; the first fatal signal has won all the same.
    let again = w.send(&sh, &app, TERM).fatal();
    let kill = w
        .send(&sh, &app, KILL)
        .set(|s| (s.state.signal_flags, s.state.group_exit_code) = (4, TERM))
        .go();
    w.exit(&app, TERM);
    let dead = w
        .send(&sh, &exiting(&app), KILL)
        .set(|s| s.state.exit_state = 32)
        .go();
    // And 5.10 says of the second SIGKILL to a dead one that one is pending.
    let pending = w
        .send(&sh, &exiting(&app), KILL)
        .set(|s| s.state.exit_state = 32)
        .outcome(Outcome::AlreadyPending)
        .go();
    assert_eq!(reason(&w, pending), ("dropped", Some("zombie"), PROVEN));
    assert_eq!(reason(&w, first), ("fatal", None, PROVEN));
    assert_eq!(
        reason(&w, again),
        ("dropped", Some("target-exiting"), PROVEN)
    );
    assert_eq!(
        reason(&w, kill),
        ("dropped", Some("target-exiting"), PROVEN)
    );
    assert_eq!(reason(&w, dead), ("dropped", Some("zombie"), PROVEN));
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(
        (e.cause, e.forced, e.signal),
        ("killed-by-process", false, Some(TERM))
    );
}

#[test]
fn a_zombie_that_was_never_seen_alive() {
    let mut w = World::new();
    let id = w
        .send(&host(50, "sh"), &member(101, 2, "x"), TERM)
        .set(|s| s.state.exit_state = 32)
        .dropped();
    assert_eq!(reason(&w, id).1, Some("zombie"));
    // A leader that is a zombie while its threads go on is none.
    let id = w
        .send(&host(50, "sh"), &member(102, 3, "x"), TERM)
        .set(|s| (s.state.exit_state, s.state.threads) = (32, 3))
        .go();
    assert_ne!(w.run().signal(id).reason, Some("zombie"));
}

#[test]
fn already_pending_and_no_place() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    let again = w
        .send(&sh, &app, USR1)
        .outcome(Outcome::AlreadyPending)
        .go();
    let timer = w
        .send(&sh, &app, ALRM)
        .set(|s| s.code = -2)
        .stack(&["posix_timer_fn"])
        .outcome(Outcome::AlreadyPending)
        .go();
    let full = w
        .send(&sh, &app, 40)
        .set(|s| s.code = -1)
        .outcome(Outcome::OverflowFail)
        .go();
    assert_eq!(
        reason(&w, again),
        ("coalesced", Some("already-pending"), PROVEN)
    );
    assert_eq!(
        reason(&w, timer),
        ("coalesced", Some("timer-overrun"), PROVEN)
    );
    // Which of the two limits it was is not in the history.
    assert_eq!(reason(&w, full), ("rejected", None, Certainty::Inferred));
    for (queues, expected) in [((7, 7), "queue-full"), ((6, 7), "no-memory")] {
        let full = w
            .send(&sh, &app, RTMIN)
            .set(|s| s.queues = Some(queues))
            .outcome(Outcome::OverflowFail)
            .go();
        let told = ("rejected", Some(expected), Certainty::Proven);
        assert_eq!(reason(&w, full), told);
    }
}

#[test]
fn a_signal_that_lost_its_siginfo_says_what_may_have_been_short() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let limited = "its user's queues were full (RLIMIT_SIGPENDING) or memory was short.";
    // RLIMIT_SIGPENDING does not hold for what kill(2) sends below SIGRTMIN.
    for (number, code, short) in [
        (TERM, 0, "lost: memory was short."),
        (TERM, -6, limited),
        (40, 0, limited),
        // To the kernel they begin with 32.
        (32, 0, limited),
    ] {
        let mut w = World::new();
        let id = w
            .send(&sh, &app, number)
            .set(|s| s.code = code)
            .outcome(Outcome::LoseInfo)
            .handled();
        let told = w.run();
        let said = told.signal(id).explanation.sentences.join(" ");
        assert!(said.contains("Only its pending bit was set"), "{said}");
        assert!(said.contains(short), "{said}");
    }
}

#[test]
fn current_is_not_always_the_sender() {
    let (by, app) = (host(50, "bystander"), member(101, 2, "app"));
    let mut w = World::new();
    let timer = w
        .send(&by, &app, ALRM)
        .by_kernel()
        .stack(&["it_real_fn", "hrtimer_interrupt"])
        .handled();
    let posix = w
        .send(&by, &app, 40)
        .set(|s| s.code = -2)
        .unnamed()
        .handled();
    let key = w
        .send(&by, &app, INT)
        .by_kernel()
        .stack(&["isig", "n_tty_receive_signal_char"])
        .handled();
    let io = w
        .send(&by, &app, IO)
        .set(|s| s.code = 1)
        .stack(&["send_sigio_to_task"])
        .handled();
    let forged = w
        .send(&by, &app, USR1)
        .set(|s| s.code = -2)
        .stack(&["do_rt_sigqueueinfo"])
        .handled();
    let kernel = w
        .send(&by, &app, KILL)
        .by_kernel()
        .stack(&["something_new"])
        .fatal();
    let cgroup = w
        .send(&by, &member(102, 3, "b"), KILL)
        .set(|s| s.info = Info::None)
        .stack(&["__cgroup_kill", "cgroup_kill_write"])
        .fatal();
    let told = w.run();
    assert_eq!(told.signal(timer).sender, Sender::Timer);
    assert_eq!(told.signal(posix).sender, Sender::Timer);
    assert!(told.signal(timer).routine);
    assert_eq!(
        told.signal(key).sender,
        Sender::Terminal { on_behalf_of: None }
    );
    assert_eq!(
        told.signal(io).sender,
        Sender::Kernel { on_behalf_of: None }
    );
    assert!(
        matches!(&told.signal(forged).sender, Sender::Process { task, .. } if task.key == by.key)
    );
    assert_eq!(
        told.signal(kernel).sender,
        Sender::Kernel { on_behalf_of: None }
    );
    let s = told.signal(kernel);
    assert_eq!(
        (s.cause, s.mechanism),
        (Some("unknown"), Some("kernel-signal"))
    );
    assert!(!s.explanation.missing.is_empty());
    let s = told.signal(cgroup);
    assert_eq!(
        (s.cause, s.mechanism),
        (Some("cgroup-kill"), Some("cgroup-kill"))
    );
}

#[test]
fn a_bystander_inside_makes_no_signal_of_this_namespace() {
    let (bystander, far) = (member(101, 2, "busy"), host(60, "far"));
    let mut w = World::new();
    w.send(&bystander, &far, ALRM)
        .by_kernel()
        .stack(&["it_real_fn"])
        .go();
    let sent = w.send(&bystander, &far, TERM).fatal();
    let told = w.run();
    assert_eq!(told.summary.signals, 1);
    assert_eq!(told.signal(sent).pidns, Some(NS));
}

#[test]
fn without_siginfo_and_without_symbols() {
    let (by, app) = (host(50, "systemd"), member(101, 2, "app"));
    let mut w = World::new();
    // A write to cgroup.kill sends so, and kill(2) since Linux 7.
    let kill = w
        .send(&by, &app, KILL)
        .unnamed()
        .set(|s| s.info = Info::None)
        .fatal();
    let told = w.run();
    let s = told.signal(kill);
    assert!(matches!(&s.sender, Sender::Process { task, .. } if task.key == by.key));
    assert_eq!(
        (s.cause, s.mechanism, s.explanation.certainty),
        (Some("killed-by-process"), None, Certainty::Inferred)
    );
    assert_eq!(
        s.explanation.missing,
        ["kernel symbols: kill(2) or cgroup.kill"]
    );
    // cgroup.kill sends nothing else.
    let mut w = World::new();
    let term = w
        .send(&by, &app, TERM)
        .unnamed()
        .set(|s| s.info = Info::None)
        .fatal();
    let told = w.run();
    let s = told.signal(term);
    assert_eq!((s.cause, s.mechanism), (Some("killed-by-process"), None));
    assert!(
        !format!("{s:?}").contains("cgroup.kill"),
        "{:?}",
        s.explanation
    );
    // A parent thread that exits, for prctl(PR_SET_PDEATHSIG).
    let mut w = World::new();
    let parent = w
        .send(&exiting(&by), &member(102, 3, "b"), KILL)
        .unnamed()
        .set(|s| s.info = Info::None)
        .fatal();
    let told = w.run();
    let s = told.signal(parent);
    assert!(matches!(
        &s.sender,
        Sender::Kernel {
            on_behalf_of: Some(_)
        }
    ));
    assert_eq!(
        (s.cause, s.explanation.certainty),
        (Some("unknown"), Certainty::Unknown)
    );
}

#[test]
fn the_calls_that_look_the_same_without_symbols() {
    let (by, app) = (host(50, "sh"), member(101, 2, "app"));
    for (code, missing) in [
        (0, "kernel symbols: kill(2) or pidfd_send_signal(2)"),
        (-1, "kernel symbols: sigqueue(3) or pidfd_send_signal(2)"),
    ] {
        let mut w = World::new();
        let id = w
            .send(&by, &app, TERM)
            .unnamed()
            .set(|s| s.code = code)
            .fatal();
        let told = w.run();
        let s = told.signal(id);
        assert_eq!((s.cause, s.mechanism), (Some("killed-by-process"), None));
        assert_eq!(s.explanation.missing, [missing]);
        assert_eq!(s.explanation.certainty, Certainty::Inferred);
    }
}

#[test]
fn a_child_forked_into_a_killed_group() {
    let (parent, child) = (member(101, 2, "app"), member(102, 3, "app"));
    let mut w = World::new();
    let id = w
        .send(&parent, &child, KILL)
        .stack(&[
            "do_send_sig_info",
            "cgroup_post_fork",
            "copy_process",
            "kernel_clone",
            "__do_sys_clone3",
        ])
        .set(|s| s.info = Info::None)
        .fatal();
    w.exit(&child, KILL);
    let told = w.run();
    let s = told.signal(id);
    assert!(matches!(&s.sender, Sender::Kernel { .. }), "{:?}", s.sender);
    let e = told.exit(&child);
    assert_eq!(
        (e.cause, e.mechanism, e.explanation.certainty),
        ("cgroup-kill", Some("cgroup-kill"), PROVEN)
    );
    assert_eq!(chain(e), "SIGKILL by the kernel");
    assert!(!why(e).contains("app"), "{}", why(e));
}

#[test]
fn a_timer_of_setitimer_has_no_overruns() {
    let (by, app) = (host(0, "swapper"), member(101, 2, "app"));
    let mut w = World::new();
    w.send(&by, &app, ALRM)
        .by_kernel()
        .stack(&["it_real_fn"])
        .blocked()
        .go();
    let again = w
        .send(&by, &app, ALRM)
        .by_kernel()
        .stack(&["it_real_fn"])
        .outcome(Outcome::AlreadyPending)
        .go();
    assert_eq!(
        reason(&w, again),
        ("coalesced", Some("already-pending"), PROVEN)
    );
}
