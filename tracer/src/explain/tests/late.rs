//! sigtrace was attached late: it says what it saw since, and what is missing.

use super::picture::*;
use super::world::*;
use crate::explain::report::Certainty;
use crate::explain::signals::*;

#[test]
fn attached_after_the_sigterm() {
    let (sh, mut one, child) = cast();
    one.key.start_ns = 300 * MS;
    let mut w = World::new();
    w.snapshot(&one);
    w.snapshot(&child);
    let _ = sh;
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "sigtrace was not attached before the last 101 ms of PID 1; whether it got a SIGTERM before that is not known."
    );
    assert_eq!(e.contributing, ["late-attach"]);
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert!(!e.explanation.missing.is_empty());
    assert!(!why(e).contains("never got"));
}

#[test]
fn what_was_seen_since_a_late_attachment_is_said() {
    let (sh, mut one, child) = cast();
    one.key.start_ns = 300 * MS;
    let dockerd = host(900, "dockerd");
    let attached = || {
        let mut w = World::new();
        w.snapshot(&one);
        w.fork(&one, &child);
        w
    };
    // PID 1 exited, and acted on something since.
    let mut w = attached();
    w.send(&sh, &one, USR1).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert!(
        second(e).starts_with("PID 1 handled SIGUSR1 "),
        "{}",
        second(e)
    );
    assert!(second(e).contains(" sigtrace was not attached before the last "));
    assert!(e.explanation.advice[0].contains("wait for its children before it exits"));
    // It was killed: what had become of the request before. Long ago or not.
    for (pause, number, said) in [
        (
            MS,
            TERM,
            "The SIGTERM that it got 1.0 ms before had been dropped (init-no-handler).",
        ),
        (
            MS,
            QUIT,
            "The SIGQUIT that it got 1.0 ms before had been dropped (init-no-handler).",
        ),
        (
            700_000 * MS,
            TERM,
            "The SIGTERM that it got 11 min before had been dropped (init-no-handler).",
        ),
    ] {
        let mut w = attached();
        w.send(&sh, &one, number).dropped();
        w.pass(pause);
        w.send(&dockerd, &one, KILL).fatal();
        w.exit(&one, KILL);
        let told = w.run();
        let all = why(told.exit(&one));
        assert!(all.contains(said), "{all}");
        assert!(!all.contains("not known"), "{all}");
    }
    // It exited although what it was asked by had been dropped.
    let mut w = attached();
    w.send(&sh, &one, TERM).dropped();
    w.pass(MS);
    w.exit(&one, 0);
    let all = why(w.run().exit(&one));
    assert!(
        all.starts_with("It exited with status 0. The SIGTERM that it got 1.0 ms before had been dropped (init-no-handler). What it got before sigtrace was attached, "),
        "{all}"
    );
}

#[test]
fn older_than_sigtrace_but_the_stop_was_seen() {
    let (sh, mut one, mut child) = cast();
    one.key.start_ns = 300 * MS + 1234;
    child.key.start_ns = 310 * MS + 77;
    let mut w = World::new();
    w.snapshot(&one);
    w.snapshot(&child);
    w.send(&sh, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "This process never got the SIGTERM: PID 1 handled it and sent nothing on."
    );
    assert_eq!(e.explanation.certainty, Certainty::Proven);
    assert_eq!(told.summary.exited, 2);
    assert!(
        told.ended,
        "a rounded start and the exact one are the same process"
    );
}

#[test]
fn who_was_put_into_the_namespace_from_outside_is_no_child_of_its_pid1() {
    let (sh, one) = (host(50, "sh"), member(100, 1, "app"));
    let put = |by: u32| {
        let nsenter = host(60, "nsenter");
        let mut shell = member(120, 2, "sh");
        shell.ppid = by;
        let child = member(121, 3, "sleep");
        let mut w = World::new();
        w.fork(&sh, &one);
        w.fork(&nsenter, &shell);
        w.fork(&shell, &child);
        w.exit(&one, 0);
        w.zap(&one, &child);
        w.exit(&child, KILL);
        let e = w.run().exit(&child).clone();
        (why(&e), e.explanation.advice.join(" "))
    };
    // By nsenter itself; or by a helper of a runtime, whose child it is.
    for parent in [60, 61] {
        let (said, advice) = put(parent);
        assert!(
            said.contains("descends from a process that was started from outside"),
            "{said}"
        );
        assert!(!advice.contains("wait for its children"), "{advice}");
        assert!(advice.contains("before the container ends"), "{advice}");
    }
    // Whose child PID 1 has become, that it can wait for.
    let (said, advice) = put(one.key.pid);
    assert!(!said.contains("from outside"), "{said}");
    assert!(advice.contains("wait for its children"), "{advice}");
}
