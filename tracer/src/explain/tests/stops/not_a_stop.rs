//! What only looks like a stop, or is one by somebody else.

use super::*;

#[test]
fn a_kill_without_a_stop_signal_is_none() {
    let (mut w, one, child) = container(TERM);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    assert_eq!(e.cause, "killed-by-process");
    assert!(
        why(e).starts_with("runc 960 (container runtime) killed it with SIGKILL"),
        "{}",
        why(e)
    );
    assert_eq!((&e.stop, e.chain[1].runtime), (&None, Some("runc")));
    assert_eq!(
        chain(e),
        "SIGKILL ← runc 960 (container runtime) ← containerd-shim 900"
    );
}

#[test]
fn a_reload_before_a_kill_is_no_stop() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, HUP).dropped();
    w.pass(3_000 * MS);
    let told = killed(&mut w, &one, &child);
    assert_eq!(told.exit(&one).cause, "killed-by-process");
}

#[test]
fn somebody_else_kills_during_the_grace_period() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(1_000 * MS);
    let sh = host(50, "sh");
    w.send(&sh, &one, KILL).ancestry(&[(49, "bash")]).fatal();
    let told = ended(&mut w, &one, &child);
    let e = told.exit(&one);
    assert_eq!(e.cause, "killed-by-process");
    assert!(
        why(e).contains("had been dropped (init-no-handler)"),
        "{}",
        why(e)
    );
    assert!(!why(e).contains("grace"), "{}", why(e));
    // What it would have been allowed is not what it was.
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, None);
    assert!(!why(told.exit(&child)).contains("grace"));
}

#[test]
fn the_runtime_kills_after_somebody_elses_request() {
    let (mut w, one, child) = container(TERM);
    w.send(&host(50, "sh"), &one, TERM).dropped();
    w.pass(3_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    assert_eq!(e.cause, "killed-by-process");
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, None);
}

#[test]
fn what_docker_exec_runs_asks_for_no_stop() {
    let (mut w, one, child) = container(TERM);
    // `docker exec CONTAINER kill 1`: its parent is the shim too.
    let kill = Task {
        ppid: 900,
        ..member(102, 3, "kill")
    };
    w.send(&kill, &one, TERM).ancestry(SHIM).dropped();
    w.pass(3_000 * MS);
    let told = killed(&mut w, &one, &child);
    let e = told.exit(&one);
    assert_eq!(e.cause, "killed-by-process", "{}", why(e));
    assert!(!why(e).contains("grace"), "{}", why(e));
}

#[test]
fn an_end_in_between() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.exit(&one, 0);
    w.pass(3_000 * MS);
    // It was left over and is killed by its control group.
    w.send(&runc(960), &child, KILL)
        .ancestry(SHIM)
        .stack(CGROUP_KILL)
        .fatal();
    w.exit(&child, KILL);
    assert_eq!(w.run().exit(&child).cause, "cgroup-kill");
}

#[test]
fn first_fatal_signal_wins() {
    let (mut w, one, _) = container(TERM);
    // In the host's PID namespace SIGTERM is fatal: what follows is late.
    w.send(&runc(950), &one, TERM).ancestry(SHIM).fatal();
    w.pass(3_000 * MS);
    w.send(&runc(960), &one, KILL)
        .ancestry(SHIM)
        .set(|s| {
            s.state.signal_flags = crate::event::flag::GROUP_EXIT;
            s.state.group_exit_code = TERM;
        })
        .dropped();
    w.exit(&one, TERM);
    let told = w.run();
    let e = told.exit(&one);
    assert_eq!((e.cause, e.signal), ("killed-by-process", Some(TERM)));
}
