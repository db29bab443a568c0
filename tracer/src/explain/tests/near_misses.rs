//! What looks like another cause, fate or proof than it is: users found each of these
//! told wrongly once.

use super::waiting::{pair, USER};
use super::world::*;
use crate::event::{Handler, Info, Outcome, Signal};
use crate::explain::report::{Certainty, ExitReport};
use crate::explain::signals::*;

/// A fatal signal of the kernel to the current task, with that stack.
fn own(number: i32, stack: &[&str], change: impl Fn(&mut Signal)) -> ExitReport {
    let app = member(101, 2, "app");
    let mut w = World::new();
    w.fork(&host(50, "sh"), &app);
    w.send(&app, &app, number)
        .by_kernel()
        .stack(stack)
        .set(change)
        .go();
    w.deliver(&app, number, Handler::Default);
    w.exit(&app, number);
    w.run().exit(&app).clone()
}

#[test]
fn a_traced_program_that_was_executed_did_not_fail() {
    // PTRACE_TRACEME, execve, and PTRACE_CONT with SIGTRAP.
    let stack = ["send_sig", "bprm_execve", "do_execveat_common"];
    let e = own(TRAP, &stack, |s| {
        s.info = Info::None;
        s.code = 0;
        s.state.traced = true;
    });
    assert_eq!(e.cause, "tracer-injected");
    assert!(why(&e).contains("It executed a program"), "{}", why(&e));
    assert!(chain(&e).ends_with("its debugger"), "{}", chain(&e));
    assert_eq!(own(SEGV, &stack, |_| ()).cause, "exec-failed");
}

#[test]
fn a_single_step_is_the_debuggers() {
    let stack = ["force_sig_fault", "send_sigtrap", "exc_debug_user"];
    let step = |traced: bool| {
        own(TRAP, &stack, |s| {
            s.info = Info::Full;
            s.code = 2;
            s.state.traced = traced;
        })
    };
    let e = step(true);
    assert_eq!(e.cause, "tracer-injected");
    assert!(why(&e).contains("single step"), "{}", why(&e));
    let e = step(false);
    assert_eq!(e.cause, "fault");
    assert!(why(&e).contains("no debugger there"), "{}", why(&e));
    let e = own(TRAP, &["force_sig_fault", "exc_int3"], |s| {
        s.state.traced = true;
    });
    assert!(why(&e).contains("its debugger let it have"), "{}", why(&e));
}

#[test]
fn a_bad_restartable_sequence_is_no_bad_frame() {
    let of = |stack: &[&str]| own(SEGV, stack, |_| ()).cause;
    let back = "exit_to_user_mode_loop";
    assert_eq!(of(&["force_sigsegv", back]), "unknown");
    assert_eq!(
        of(&[
            "force_sigsegv",
            "__rseq_handle_notify_resume",
            "handle_signal",
            back
        ]),
        "unknown"
    );
    let delivers = ["force_sigsegv", "arch_do_signal_or_restart", back];
    assert_eq!(of(&delivers), "bad-signal-frame");
}

/// Its bit goes with the last of those that have an entry (collect_signal).
#[test]
fn a_real_time_signal_without_an_entry_merges() {
    let (mut w, sh, app) = pair();
    let number = RTMIN + 1;
    let send = |w: &mut World, outcome| {
        let sending = w.send(&sh, &app, number).handler(USER).blocked();
        sending.outcome(outcome).go()
    };
    let first = send(&mut w, Outcome::Delivered);
    let lost = send(&mut w, Outcome::LoseInfo);
    w.deliver(&app, number, USER);
    let told = w.run();
    assert_eq!(told.signal(first).fate, "handled");
    let s = told.signal(lost);
    assert_eq!((s.fate, s.reason), ("coalesced", Some("already-pending")));
    assert_eq!(s.explanation.certainty, Certainty::Inferred);
    let said = s.explanation.sentences.join(" ");
    assert!(said.contains("this one adds nothing"), "{said}");
    assert!(!said.contains("before it is taken"), "{said}");
    // Not where the kernel side has seen that there is no entry any more.
    let (mut w, ..) = pair();
    send(&mut w, Outcome::Delivered);
    let alone = send(&mut w, Outcome::BitAlone);
    assert_ne!(w.run().signal(alone).fate, "coalesced");
    // Where it has seen one, nothing else need be known.
    let (mut w, ..) = pair();
    let shares = send(&mut w, Outcome::SharesItsBit);
    let told = w.run();
    let s = told.signal(shares);
    assert_eq!((s.fate, s.reason), ("coalesced", Some("already-pending")));
    assert_eq!(s.explanation.certainty, Certainty::Proven);
    assert_eq!(s.kernel_path.decision, None, "not in legacy_queue");
    assert_eq!(told.summary.coalesced, 1);
    // Alone it is handed out by its bit.
    let (mut w, sh, app) = pair();
    let sending = w.send(&sh, &app, number).handler(USER).blocked();
    let alone = sending.outcome(Outcome::LoseInfo).go();
    w.deliver(&app, number, USER);
    assert_eq!(w.run().signal(alone).fate, "handled");
}

/// Among those that a dying PID 1 kills may be threads of its own.
#[test]
fn a_pid1_is_no_victim_of_its_own_end() {
    let one = member(40, 1, "init");
    let mut w = World::new();
    w.send(&exiting(&one), &one, KILL)
        .by_kernel()
        .stack(ZAP_STACK)
        .go();
    w.exit(&one, KILL);
    assert_ne!(w.run().exit(&one).cause, "pid1-exited");
}

#[test]
fn an_exit_long_after_a_request_is_not_proven_to_follow() {
    let after = |pause: u64| {
        let (mut w, sh, app) = pair();
        w.send(&sh, &app, TERM).handled();
        w.pass(pause);
        w.exit(&app, 3 << 8);
        let e = w.run().exit(&app).clone();
        (e.explanation.certainty, e.explanation.missing.len())
    };
    assert_eq!(after(500 * MS), (Certainty::Proven, 0));
    assert_eq!(after(2_800 * MS), (Certainty::Inferred, 1));
}

#[test]
fn what_would_stop_others_is_not_said_to_kill_them() {
    let (mut w, one) = (World::new(), member(100, 1, "init"));
    let stop = w.send(&host(50, "sh"), &one, TSTP).dropped();
    let told = w.run();
    let said = told.signal(stop).explanation.sentences.join(" ");
    assert!(said.contains("would have stopped"), "{said}");
    assert!(!said.contains("fatal"), "{said}");
}

#[test]
fn an_abort_is_of_the_thread_that_gets_it() {
    let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
    w.fork(&sh, &app);
    let watchdog = w
        .send(&app, &app, ABRT)
        .tkill()
        .set(|s| s.current.tid = 105);
    watchdog.go();
    w.deliver(&app, ABRT, Handler::Default);
    w.exit(&app, ABRT);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(e.cause, "killed-by-process");
    let thread = "A thread of the process (105) sent SIGABRT to its thread 101";
    assert!(why(e).starts_with(thread), "{}", why(e));
}

/// Nobody sent it the SIGKILL of its status, and its children follow it.
#[test]
fn a_pid1_in_strict_seccomp_was_not_killed() {
    let (one, app) = (member(100, 1, "init"), member(101, 2, "app"));
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &app);
    w.exit_by(&one, KILL, &["do_exit", "__secure_computing_strict"]);
    w.zapped(&one, &app);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(e.cause, "pid1-exited");
    assert!(why(e).contains("on the spot"), "{}", why(e));
    assert_eq!(e.explanation.missing, Vec::<String>::new());
    assert!(
        chain(e).ends_with("PID 1 ended by the kernel (seccomp)"),
        "{}",
        chain(e)
    );
}
