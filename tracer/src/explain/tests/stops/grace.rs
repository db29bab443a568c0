//! Grace periods: declared, measured, run out, or kept.

use super::*;

#[test]
fn another_grace_period_than_the_containers_own() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(1_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    assert_eq!(
        (e.cause, e.explanation.certainty),
        ("stop-timeout", Certainty::Inferred)
    );
    assert!(
        why(e)
            .contains("; 1.0 s later (the container's own grace period is 3 s) runc 960 killed it"),
        "{}",
        why(e)
    );
    assert_eq!(
        e.explanation.missing,
        ["whether this was one stop with another grace period (the container's own is 3 s), or two signals that were asked for one by one"]
    );
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, None);
}

#[test]
fn asked_twice_it_is_the_first_that_ran_out() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(2_000 * MS);
    term(&mut w, &one, TERM).dropped();
    w.pass(1_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["init-no-handler"]);
    assert!(
        why(e).contains("; 3.0 s later (grace period 3 s)"),
        "{}",
        why(e)
    );
}

#[test]
fn nothing_is_known_of_the_container() {
    let mut w = World::new();
    let (one, child) = (one(), member(101, 2, "app"));
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &child);
    term(&mut w, &one, TERM).dropped();
    w.pass(10_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["init-no-handler"]);
    assert!(
        why(e).contains("; 10.0 s later runc 960 killed it"),
        "{}",
        why(e)
    );
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, None);
}

#[test]
fn a_stop_in_time_names_its_grace_period() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    let told = w.run();
    let e = told.exit(&child);
    let stop = e.stop.clone().unwrap();
    assert_eq!((stop.grace_ns, e.cause), (Some(3_000 * MS), "pid1-exited"));
    assert_eq!(
        chain(e),
        "SIGKILL by the kernel ← PID 1 exited with status 0 ← SIGTERM handled by PID 1 ← runc 950 (container runtime) ← containerd-shim 900"
    );
}

#[test]
fn a_pid1_that_threw_it_away_is_looked_at_until_it_is_dead() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    let begun = w.now;
    w.pass(3_000 * MS);
    w.send(&runc(960), &one, KILL).ancestry(SHIM).fatal();
    w.exit(&one, KILL);
    w.zapped(&one, &child);
    w.reaped(&one);
    let mut engine = crate::explain::Engine::new(w.coverage.clone());
    let mut looks = 0;
    let mut events = w.events.clone().into_iter().peekable();
    for now in (begun..w.now + 3_000 * MS).step_by(10 * MS as usize) {
        let now = crate::event::BootTime(now);
        while let Some(event) = events.next_if(|e| e.time <= now) {
            engine.push(event);
        }
        looks += engine.to_observe(now).len();
        engine.advance(now);
    }
    // At 50 ms and then every 500 ms, until 3 s.
    assert_eq!(looks, 6);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn no_report_calls_the_runtime_a_stranger() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    for report in &w.run().reports {
        if let Report::Signal(s) = report {
            if let Sender::Process { task, runtime, .. } = &s.sender {
                assert_eq!(
                    runtime.is_some(),
                    task.comm == crate::event::Comm::from("runc")
                );
            }
        }
    }
}
