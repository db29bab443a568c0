//! Deaths that no PID 1 has to do with, and deaths by the hundred.

use super::world::*;
use crate::event::{Fact, Handler, Info, Task};
use crate::explain::report::{Certainty, Evidence};
use crate::explain::signals::*;

#[test]
fn two_hundred_die_at_once() {
    let (mut w, sh, one) = (World::new(), host(50, "sh"), member(100, 1, "init"));
    w.fork(&sh, &one);
    let children: Vec<_> = (0..200)
        .map(|n| member(1000 + n, 2 + n, "worker"))
        .collect();
    for c in &children {
        w.fork(&one, c);
    }
    w.send(&sh, &one, TERM).handled();
    w.exit(&one, 0);
    for c in &children {
        w.zap(&one, c);
    }
    for c in children.iter().rev() {
        w.exit(c, KILL);
    }
    let told = w.run();
    for c in &children {
        let e = told.exit(c);
        assert_eq!(
            (e.cause, e.explanation.certainty, e.chain.len()),
            ("pid1-exited", Certainty::Proven, 4)
        );
    }
    assert_eq!((told.summary.exited, told.summary.forced), (201, 200));
}

#[test]
fn abort_and_the_calls_that_kill() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let cases: [(&[&str], i32, &str); 5] = [
        (KILL_STACK, 0, "kill-syscall"),
        (
            &["do_send_specific", "__x64_sys_tgkill"],
            -6,
            "tkill-syscall",
        ),
        (&["do_rt_sigqueueinfo"], -1, "sigqueue-syscall"),
        (
            &["do_pidfd_send_signal", "__x64_sys_pidfd_send_signal"],
            0,
            "pidfd-signal",
        ),
        (&[], -6, "tkill-syscall"),
    ];
    for (stack, code, mechanism) in cases {
        let mut w = World::new();
        w.send(&sh, &app, KILL)
            .stack(stack)
            .set(|s| s.code = code)
            .fatal();
        w.exit(&app, KILL);
        let told = w.run();
        let e = told.exit(&app);
        assert_eq!(
            (e.cause, e.mechanism, e.forced),
            ("killed-by-process", Some(mechanism), true)
        );
        assert_eq!(chain(e), "SIGKILL ← sh 50");
    }
    let mut w = World::new();
    let id = w.send(&app, &app, ABRT).tkill().go();
    w.deliver(&app, ABRT, Handler::Default);
    w.exit(&app, ABRT | 0x80);
    let told = w.run();
    assert_eq!(
        (told.exit(&app).cause, told.signal(id).cause),
        ("abort", Some("abort"))
    );
    assert_eq!(told.exit(&app).mechanism, Some("tkill-syscall"));
    // An abort that somebody else asked for is none.
    let mut w = World::new();
    w.send(&sh, &app, ABRT).go();
    w.deliver(&app, ABRT, Handler::Default);
    w.exit(&app, ABRT);
    assert_eq!(w.run().exit(&app).cause, "killed-by-process");
    let mut w = World::new();
    w.send(&sh, &app, ABRT).tkill().go();
    w.deliver(&app, ABRT, Handler::Default);
    w.exit(&app, ABRT);
    assert_eq!(w.run().exit(&app).cause, "killed-by-process");
}

#[test]
fn a_death_by_an_unseen_signal() {
    let app = member(101, 2, "app");
    let mut w = World::new();
    w.exit(&app, KILL);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(
        (e.cause, e.explanation.certainty, e.forced),
        ("unknown", Certainty::Unknown, true)
    );
    assert!(e.explanation.missing[0].contains("the sending of SIGKILL"));
    assert!(e
        .explanation
        .evidence
        .contains(&Evidence::Stack("do_exit".into())));
}

#[test]
fn exits_and_what_their_status_means() {
    for (status, text) in [
        (0, "It exited with status 0."),
        (127 << 8, "the program was not found"),
        (143 << 8, "128 + 15"),
    ] {
        let app = member(101, 2, "app");
        let mut w = World::new();
        w.exit(&app, status);
        let told = w.run();
        let e = told.exit(&app);
        assert_eq!(
            (e.cause, e.mechanism, e.forced, e.signal),
            ("exit", Some("exit"), false, None)
        );
        assert!(why(e).contains(text), "{}", why(e));
    }
}

#[test]
fn the_end_of_a_thread_is_no_signal() {
    // exec ends the other threads with a SIGKILL without siginfo.
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    w.push(Fact::Deliver {
        task: Task {
            tid: 105,
            ..app.clone()
        },
        number: KILL,
        code: 0,
        info: Info::None,
        handler: Handler::Default,
        signal_flags: 0,
        group_exit_code: 0,
        traced: false,
        fault_at: None,
        orphaned: None,
    });
    w.push(Fact::Exec {
        task: app.clone(),
        old_tid: 101,
    });
    let term = w.send(&sh, &app, TERM).fatal();
    w.exit(&app, TERM);
    let told = w.run();
    assert_eq!(told.signal(term).fate, "fatal");
    assert_eq!(told.exit(&app).cause, "killed-by-process");
    assert_eq!(told.summary.signals, 1);
}

#[test]
fn the_first_fatal_signal_wins() {
    let (sh, other, app) = (host(50, "sh"), host(51, "other"), member(101, 2, "app"));
    let mut w = World::new();
    w.send(&other, &app, QUIT).go();
    w.send(&sh, &app, TERM)
        .set(|s| s.state.shared_pending |= bit(QUIT))
        .fatal();
    w.deliver(&app, QUIT, Handler::Default);
    w.exit(&app, TERM);
    let told = w.run();
    assert_eq!(chain(told.exit(&app)), "SIGTERM ← sh 50");
    assert_eq!(told.exit(&app).cause, "killed-by-process");
}

#[test]
fn only_pid1_passes_on_what_pid1_was_asked() {
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    let (app, by) = (member(101, 2, "app"), member(102, 3, "by"));
    let mut w = World::new();
    w.fork(&sh, &one);
    w.send(&sh, &one, TERM).handled();
    w.send(&by, &app, TERM).fatal();
    w.exit(&app, TERM);
    assert_eq!(chain(w.run().exit(&app)), "SIGTERM ← by 102");
}

#[test]
fn an_exit_and_what_is_not_known_of_it() {
    type Change = fn(&mut World);
    let cases: [(&str, Change); 3] = [
        ("SIGINT is left out by the signal filter", |w| {
            w.coverage.signals = all_but(INT);
        }),
        ("the filters leave out what app 101 gets", |w| {
            w.only(&[(&member(101, 2, "app"), "s")]);
        }),
        ("1 signal event was lost", |w| {
            w.push(Fact::Lost {
                kind: "signal",
                count: 1,
                slow_output: false,
            });
        }),
    ];
    let app = member(101, 2, "app");
    for (because, change) in cases {
        let mut w = World::new();
        change(&mut w);
        w.exit(&app, 0);
        let told = w.run();
        let e = told.exit(&app);
        assert!(why(e).contains(because), "{}", why(e));
        assert_eq!(
            (e.cause, e.explanation.certainty),
            ("exit", Certainty::Inferred)
        );
    }
    // A loss that is noticed only later.
    let mut w = World::new();
    w.exit(&app, 3 << 8);
    w.push(Fact::Lost {
        kind: "signal",
        count: 1,
        slow_output: false,
    });
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(why(e), "It exited with status 3.");
    let now = told.update_of(e.id).expect("an update");
    assert_eq!(now.explanation.certainty, Certainty::Inferred);
    assert!(why(now).starts_with("It exited with status 3. Whether a signal"));
    // Older than sigtrace.
    let mut old = app.clone();
    old.key.start_ns = 300 * MS + 1;
    let mut w = World::new();
    w.exit(&old, 0);
    assert!(why(w.run().exit(&old))
        .contains("What it got before sigtrace was attached, 100 ms before, is not known"));
    // Forgotten.
    let mut w = World::new();
    for sender in 0..40 {
        w.send(&host(50 + sender, "sh"), &app, PIPE).handled();
    }
    w.exit(&app, 0);
    assert!(why(w.run().exit(&app)).contains("no longer known"));
}

#[test]
fn a_flood_of_one_signal_does_not_push_the_others_out() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    w.send(&sh, &app, TERM).handled();
    for _ in 0..100 {
        w.pass(MS).send(&sh, &app, PIPE).handled();
    }
    w.exit(&app, 0);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(chain(e), "exited with status 0 ← SIGTERM handled ← sh 50");
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn nor_does_one_of_many_senders() {
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    for (handles, became) in [
        (true, "It had handled SIGTERM "),
        (false, "before had been dropped (init-no-handler)."),
    ] {
        let mut w = World::new();
        w.fork(&sh, &one);
        let asked = w.send(&sh, &one, TERM);
        match handles {
            true => asked.handled(),
            false => asked.dropped(),
        };
        for sender in 0..100 {
            w.pass(MS);
            w.send(&host(200 + sender, "flood"), &one, USR2).handled();
        }
        w.pass(MS);
        w.send(&sh, &one, KILL).fatal();
        w.exit(&one, KILL);
        let told = w.run();
        let why = why(told.exit(&one));
        assert!(why.contains(became), "{why}");
        assert!(!why.contains("SIGUSR2"), "{why}");
    }
}

#[test]
fn a_flood_leaves_no_doubt_about_what_was_not_in_it() {
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    let mut w = World::new();
    w.fork(&sh, &one);
    for sender in 0..100 {
        w.send(&host(200 + sender, "flood"), &one, USR1).handled();
    }
    w.pass(3_600_000 * MS);
    w.send(&sh, &one, KILL).fatal();
    w.exit(&one, KILL);
    let told = w.run();
    let e = told.exit(&one);
    assert_eq!(
        why(e),
        "sh 50 killed it with SIGKILL from outside its PID namespace."
    );
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn what_was_forgotten_is_not_said_to_be_unseen() {
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    let mut w = World::new();
    // As many kinds as are remembered, and more: none stands for another.
    for number in (1..=62).filter(|number| ![TERM, INT, QUIT, KILL, CHLD].contains(number)) {
        w.pass(MS);
        w.send(&sh, &one, number).dropped();
    }
    w.send(&sh, &one, KILL).fatal();
    w.exit(&one, KILL);
    let told = w.run();
    let e = told.exit(&one);
    assert!(
        why(e).contains("Whether it had been asked to end before is no longer known"),
        "{}",
        why(e)
    );
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
}

#[test]
fn the_latest_request_explains_an_exit() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    w.send(&sh, &app, TERM).handled();
    w.pass(300_000 * MS);
    w.send(&sh, &app, INT).handled();
    w.pass(MS);
    w.exit(&app, 0);
    assert_eq!(
        chain(w.run().exit(&app)),
        "exited with status 0 ← SIGINT handled ← sh 50"
    );
    // An hour ago is too long ago.
    let mut w = World::new();
    w.send(&sh, &app, TERM).handled();
    w.pass(3_600_000 * MS);
    w.exit(&app, 0);
    assert_eq!(chain(w.run().exit(&app)), "exited with status 0");
}

#[test]
fn only_the_same_request_is_passed_on() {
    let (sh, one, app) = (
        host(50, "sh"),
        member(100, 1, "init"),
        member(101, 2, "app"),
    );
    for (asked, sent, passed) in [
        (TERM, TERM, true),
        (INT, TERM, true),
        (HUP, HUP, true),
        (HUP, TERM, false),
        (TERM, INT, false),
        (TERM, USR1, false),
    ] {
        let mut w = World::new();
        w.fork(&sh, &one);
        w.send(&sh, &one, asked).handled();
        w.send(&one, &app, sent).fatal();
        w.exit(&app, sent);
        let told = w.run();
        let e = told.exit(&app);
        assert_eq!(
            why(e).contains("PID 1 passed on the request to end"),
            passed,
            "{}",
            why(e)
        );
        assert_eq!(chain(e).contains("handled by PID 1"), passed);
    }
    let mut w = World::new();
    w.fork(&sh, &one);
    w.send(&sh, &one, TERM).handled();
    w.pass(3_600_000 * MS);
    w.send(&one, &app, TERM).fatal();
    w.exit(&app, TERM);
    let told = w.run();
    assert!(!why(told.exit(&app)).contains("passed on"));
    assert_eq!(told.exit(&app).stop, None);
}

#[test]
fn a_stop_that_pid1_outlives_is_not_that_of_every_death() {
    let (sh, one, app) = (
        host(50, "sh"),
        member(100, 1, "init"),
        member(101, 2, "app"),
    );
    let mut w = World::new();
    w.fork(&sh, &one);
    w.send(&sh, &one, TERM).dropped();
    w.pass(MS);
    w.exit(&app, 0);
    assert_eq!(w.run().exit(&app).stop, None);
    let mut w = World::new();
    w.fork(&sh, &one);
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &app, TERM).handled();
    w.exit(&app, 0);
    assert_eq!(
        w.run().exit(&app).stop.as_ref().map(|s| s.signal),
        Some(TERM)
    );
}

/// A handler that cleans up, sets the default action again and raises the signal.
#[test]
fn what_is_raised_again_is_owed_to_who_sent_it_first() {
    let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
    let first = w.send(&sh, &app, TERM).handled();
    w.pass(3 * MS);
    let again = w.send(&app, &app, TERM).fatal();
    w.exit(&app, TERM);
    let told = w.run();
    let exit = told.exit(&app);
    let links: Vec<_> = exit.chain.iter().map(|l| (l.event, &*l.what)).collect();
    assert_eq!(links[0], (Some(again), "SIGTERM"));
    assert_eq!(links[1].1, "app 101");
    assert_eq!(links[2], (Some(first), "SIGTERM handled by it"));
    assert!(links[3].1.starts_with("sh 50"), "{links:?}");
    assert!(
        exit.explanation.sentences[1].starts_with("It had handled SIGTERM 3"),
        "{:?}",
        exit.explanation.sentences
    );
    // What it had handled of another kind has nothing to do with it.
    let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
    w.send(&sh, &app, USR1).handled();
    w.send(&app, &app, TERM).fatal();
    w.exit(&app, TERM);
    assert!(!format!("{:?}", w.run().exit(&app).chain).contains("sh 50"));
}

/// `signal_deliver` comes before the handler's frame is written.
#[test]
fn a_handler_without_room_for_its_frame_did_not_run() {
    for (stack, fate) in [
        (
            &["signal_setup_done", "arch_do_signal_or_restart"][..],
            "discarded",
        ),
        (
            &["force_sig_fault", "__x64_sys_rt_sigreturn"][..],
            "handled",
        ),
    ] {
        let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
        let first = w.send(&sh, &app, USR1).handled();
        let fault = w.send(&app, &app, SEGV).by_kernel().stack(stack).fatal();
        w.exit(&app, SEGV);
        let told = w.run();
        let s = told.signal(first);
        assert_eq!((s.fate, s.explanation.certainty), (fate, Certainty::Proven));
        let known = s.explanation.evidence.contains(&Evidence::Event(fault));
        assert_eq!(known, fate == "discarded");
        assert_eq!(told.exit(&app).cause, "bad-signal-frame");
    }
}
