//! What kept the runtime's stop signal from working.

use super::*;

#[test]
fn without_a_handler() {
    let (mut w, one, child) = container(TERM);
    let stop = term(&mut w, &one, TERM).dropped();
    w.pass(3_004 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["init-no-handler"]);
    assert_eq!(
        why(e),
        "The container runtime runc 950 asked PID 1 to end with SIGTERM; 3.0 s later (grace period 3 s) runc 960 killed it with SIGKILL. \
         PID 1 has no handler for SIGTERM, so it was dropped (init-no-handler)."
    );
    assert_eq!(
        chain(e),
        "SIGKILL ← runc 960 (container runtime) ← SIGTERM dropped by PID 1 ← runc 950 (container runtime) ← containerd-shim 900"
    );
    assert_eq!(e.chain[1].runtime, Some("runc"));
    assert_eq!(e.mechanism, Some("kill-syscall"));
    let course = e.stop.clone().unwrap();
    assert_eq!((course.signal, course.grace_ns), (TERM, Some(3_000 * MS)));
    assert!((3_004 * MS..3_006 * MS).contains(&course.used_ns));
    assert!(advice(e).contains("give PID 1 a handler for SIGTERM"));
    let s = told.signal(stop);
    let Sender::Process {
        runtime, ancestry, ..
    } = &s.sender
    else {
        panic!("{s:?}");
    };
    assert_eq!(runtime.map(|r| r.program), Some("runc"));
    assert_eq!(ancestry[0].runtime, Some("containerd-shim"));
    assert_eq!(ancestry[1].runtime, None);
    // Those killed with it die of its end, whose chain goes on.
    let e = told.exit(&child);
    assert_eq!(e.cause, "pid1-exited");
    assert!(chain(e).ends_with(
        "PID 1 killed by SIGKILL ← SIGKILL ← runc 960 (container runtime) ← SIGTERM dropped by PID 1 ← runc 950 (container runtime) ← containerd-shim 900"
    ), "{}", chain(e));
    assert!(
        why(e).contains("The grace period of the container's stop had run out"),
        "{}",
        why(e)
    );
}

#[test]
fn too_slow_alone() {
    let (mut w, one, _) = container(TERM);
    let mut told = {
        w.exit(&member(101, 2, "app"), 0);
        term(&mut w, &one, TERM).handled();
        w.pass(3_010 * MS);
        w.send(&runc(960), &one, KILL).ancestry(SHIM).fatal();
        w.exit(&one, KILL);
        w.run()
    };
    let e = told.exit(&one);
    is_timeout(e, &["too-slow"]);
    assert!(why(e).contains("PID 1 handled SIGTERM and was still running."));
    assert!(advice(e).contains("allow more time"));
    told.reports.clear();
}

#[test]
fn handled_and_not_forwarded() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.pass(3_010 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["too-slow", "not-forwarded"]);
    assert!(why(e).contains("sent nothing on to the 1 other process in its namespace"));
}

#[test]
fn forwarded_and_the_child_was_slow() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.send(&one, &child, TERM).handled();
    w.pass(3_010 * MS);
    let told = killed(&mut w, &one, &child);
    is_timeout(told.exit(&one), &["too-slow"]);
    assert_eq!(told.exit(&child).contributing, ["too-slow"]);
}

#[test]
fn a_handler_that_came_later() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(50 * MS).observe(&one, caught(0));
    w.pass(450 * MS).observe(&one, caught(TERM));
    w.pass(500 * MS).observe(&one, caught(TERM));
    w.pass(2_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["startup-window", "init-no-handler"]);
    assert!(
        why(e).contains("PID 1 had no handler for SIGTERM yet, 100 ms after it was started"),
        "{}",
        why(e)
    );
    assert!(why(e).contains("one was there 500 ms later."), "{}", why(e));
}

#[test]
fn a_look_that_finds_no_handler_or_came_before_is_no_startup_window() {
    let (mut w, one, child) = container(TERM);
    w.observe(&one, caught(TERM));
    w.pass(MS);
    term(&mut w, &one, TERM).dropped();
    w.pass(3_000 * MS);
    let told = killed(&mut w, &one, &child);
    is_timeout(told.exit(&one), &["init-no-handler"]);
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(500 * MS).observe(&one, caught(INT));
    w.pass(2_500 * MS);
    let told = killed(&mut w, &one, &child);
    is_timeout(told.exit(&one), &["init-no-handler"]);
}

#[test]
fn a_second_stop_signal_that_was_handled() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(1_000 * MS);
    // By somebody else: the runtime's own stays the beginning of the stop.
    w.send(&host(50, "sh"), &one, TERM).handled();
    w.pass(2_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["startup-window", "init-no-handler"]);
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, Some(3_000 * MS));
}

#[test]
fn blocked_to_the_end() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM)
        .set(|s| {
            s.state.blocked = bit(TERM);
            s.state.threads_blocking = 1;
            s.state.handler = Handler::User(1);
        })
        .go();
    w.pass(3_000 * MS);
    w.send(&runc(960), &one, KILL)
        .ancestry(SHIM)
        .set(|s| s.state.shared_pending |= bit(TERM))
        .fatal();
    w.exit_with(&one, KILL, true, bit(TERM));
    w.zapped(&one, &child);
    let told = w.run();
    let e = told.exit(&one);
    is_timeout(e, &["blocked-mask"]);
    assert!(why(e).contains("PID 1 blocked SIGTERM to the end."));
}

#[test]
fn a_configured_stop_signal_that_does_nothing() {
    let (mut w, one, child) = container(INT);
    w.observe(&one, caught(TERM));
    term(&mut w, &one, INT).handler(Handler::Ignore).dropped();
    w.pass(3_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["sig-ign"]);
    assert!(why(e).contains("SIGINT is the stop signal that the container is configured with (StopSignal); PID 1 has a handler for SIGTERM instead."), "{}", why(e));
    assert!(advice(e).contains("remove the configured stop signal"));

    // One that is dropped without a note, were it not configured.
    let (mut w, one, child) = container(WINCH);
    w.send(&runc(950), &one, WINCH).dropped();
    w.pass(3_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    assert!(
        chain(e).ends_with("runc 950 (container runtime) ← containerd-shim 900"),
        "{}",
        chain(e)
    );
    is_timeout(e, &["default-ignore"]);
    assert!(
        why(e).contains("SIGWINCH does nothing by default"),
        "{}",
        why(e)
    );
    assert!(advice(e).contains("configure a stop signal that PID 1 handles"));
}

#[test]
fn by_pidfd_and_by_cgroup_kill() {
    for (stack, mechanism) in [
        (&["__x64_sys_pidfd_send_signal"][..], "pidfd-signal"),
        (CGROUP_KILL, "cgroup-kill"),
    ] {
        let (mut w, one, child) = container(TERM);
        term(&mut w, &one, TERM).dropped();
        w.pass(3_000 * MS);
        // The order in a control group is that of its list.
        for task in [&child, &one] {
            w.send(&runc(960), task, KILL)
                .ancestry(SHIM)
                .stack(stack)
                .fatal();
            w.exit(task, KILL);
        }
        let told = w.run();
        for task in [&one, &child] {
            let e = told.exit(task);
            is_timeout(e, &["init-no-handler"]);
            assert_eq!(e.mechanism, Some(mechanism));
        }
        assert!(why(told.exit(&child)).contains("killed this process of its container too"));
        assert!(told.exit(&child).stop.is_some());
    }
}
