//! The stops of containers: the runtime's stop signal, what kept it from
//! working, the end of the grace period, and what only looks like it.

use super::world::*;
use crate::event::{
    Container, Dispositions, EngineAction, EngineEvent, Fact, Handler, Home, ProcessKey, Task,
};
use crate::explain::report::{Certainty, ExitReport, Report, Sender, Update};
use crate::explain::signals::*;
use crate::explain::Awaited;

const WINCH: i32 = 28;
const SHIM: &[(u32, &str)] = &[(900, "containerd-shim"), (1, "systemd")];
const CGROUP_KILL: &[&str] = &[
    "__cgroup_kill",
    "cgroup_kill_write",
    "kernfs_fop_write_iter",
];

/// PID 1 is the shim's child, as under Docker.
fn one() -> Task {
    Task {
        ppid: 900,
        ..member(100, 1, "init")
    }
}

fn runc(pid: u32) -> Task {
    Task {
        ppid: 900,
        ..host(pid, "runc")
    }
}

/// A container of Docker with a grace period of 3 s, and one process more.
fn container(stop_signal: i32) -> (World, Task, Task) {
    let mut w = World::new();
    let (sh, one, child) = (host(50, "sh"), one(), member(101, 2, "app"));
    w.push(Fact::Container(Box::new(Container {
        home: Home::PidNs(NS),
        id: "1dcad40f27d5".into(),
        engine: Some("docker".into()),
        stop_signal: Some(stop_signal),
        grace_ns: Some(3_000 * MS),
        told: true,
        shared: None,
    })));
    w.fork(&sh, &one);
    w.fork(&one, &child);
    (w, one, child)
}

fn term<'w>(w: &'w mut World, one: &Task, number: i32) -> Sending<'w> {
    w.send(&runc(950), one, number).ancestry(SHIM)
}

/// The runtime's SIGKILL, and the end of everything.
fn killed(w: &mut World, one: &Task, child: &Task) -> Told {
    w.send(&runc(960), one, KILL).ancestry(SHIM).fatal();
    ended(w, one, child)
}

fn ended(w: &mut World, one: &Task, child: &Task) -> Told {
    w.exit(one, KILL);
    w.zapped(one, child);
    w.run()
}

fn caught(number: i32) -> Dispositions {
    Dispositions {
        state: b'S',
        caught: bit(number),
        ..Dispositions::default()
    }
}

fn advice(e: &ExitReport) -> String {
    e.explanation.advice.join(" ")
}

#[track_caller]
fn is_timeout(e: &ExitReport, contributing: &[&str]) {
    assert_eq!(e.cause, "stop-timeout", "{e:#?}");
    assert_eq!(e.contributing, contributing, "{e:#?}");
    assert_eq!(e.explanation.certainty, Certainty::Proven, "{e:#?}");
}

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
        "The container runtime runc 960 asked PID 1 to end with SIGTERM, waited 3.0 s (grace period 3 s), then killed it with SIGKILL. \
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

#[test]
fn one_that_only_calls_itself_runc() {
    // Inside of the container.
    let (mut w, one, child) = container(TERM);
    let fake = Task {
        ppid: 900,
        ..member(102, 3, "runc")
    };
    w.send(&fake, &one, TERM).ancestry(SHIM).handled();
    w.pass(3_000 * MS);
    let id = w.send(&fake, &child, KILL).ancestry(SHIM).fatal();
    w.exit(&child, KILL);
    let told = w.run();
    assert_eq!(told.exit(&child).cause, "killed-by-process");
    assert!(matches!(
        &told.signal(id).sender,
        Sender::Process { runtime: None, .. }
    ));

    // Somebody's child, on the host.
    for parents in [
        &[(49, "bash"), (900, "containerd-shim")][..],
        &[(49, "bash")],
    ] {
        let (mut w, one, child) = container(TERM);
        let fake = Task {
            ppid: 49,
            ..host(950, "runc")
        };
        w.send(&fake, &one, TERM).ancestry(parents).dropped();
        w.pass(3_000 * MS);
        let id = w.send(&fake, &one, KILL).ancestry(parents).fatal();
        let told = ended(&mut w, &one, &child);
        assert_eq!(told.exit(&one).cause, "killed-by-process");
        assert!(matches!(
            &told.signal(id).sender,
            Sender::Process { runtime: None, .. }
        ));
        assert!(!chain(told.exit(&one)).contains("(container runtime)"));
    }

    // Its parent runs another file than its name says.
    let (mut w, one, child) = container(TERM);
    let parents = &[(901, "containerd-shim")];
    let fake = Task {
        ppid: 901,
        ..host(950, "runc")
    };
    w.push(Fact::Program {
        key: ProcessKey {
            pid: 901,
            start_ns: 1,
        },
        file: "/tmp/containerd-shim-not".into(),
    });
    w.push(Fact::Program {
        key: ProcessKey {
            pid: 901,
            start_ns: 1,
        },
        file: "/tmp/evil".into(),
    });
    w.send(&fake, &one, TERM).ancestry(parents).dropped();
    w.pass(3_000 * MS);
    w.send(&fake, &one, KILL).ancestry(parents).fatal();
    let told = ended(&mut w, &one, &child);
    assert_eq!(told.exit(&one).cause, "killed-by-process");
}

#[test]
fn a_lineage_known_by_names_alone_is_inferred() {
    // Podman's: its PID 1 is conmon's child, not its own.
    let play = |file: Option<&str>| {
        let (mut w, one, child) = container(TERM);
        let podman: &[(u32, &str)] = &[(800, "podman"), (49, "bash")];
        if let Some(file) = file {
            w.push(Fact::Program {
                key: ProcessKey {
                    pid: 800,
                    start_ns: 1,
                },
                file: file.into(),
            });
        }
        let crun = |pid| Task {
            ppid: 800,
            ..host(pid, "crun")
        };
        w.send(&crun(950), &one, TERM).ancestry(podman).dropped();
        w.pass(3_000 * MS);
        w.send(&crun(960), &one, KILL).ancestry(podman).fatal();
        ended(&mut w, &one, &child).exit(&one).clone()
    };
    let e = play(None);
    assert_eq!(e.cause, "stop-timeout");
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert!(
        e.explanation.missing[0].contains("only their names"),
        "{e:?}"
    );
    let e = play(Some("/usr/bin/podman"));
    is_timeout(&e, &["init-no-handler"]);
    assert!(chain(&e).ends_with("crun 950 (container runtime) ← podman 800 ← bash 49"));
    assert_eq!(play(Some("/tmp/evil")).cause, "killed-by-process");
}

#[test]
fn a_stop_signal_without_ancestry_is_of_the_same_parent() {
    // Podman's: nothing but its parent's pid connects it.
    let (mut w, one, child) = container(WINCH);
    let podman: &[(u32, &str)] = &[(800, "podman"), (49, "bash")];
    w.push(Fact::Program {
        key: ProcessKey {
            pid: 800,
            start_ns: 1,
        },
        file: "/usr/bin/podman".into(),
    });
    let crun = |pid| Task {
        ppid: 800,
        ..host(pid, "crun")
    };
    w.send(&crun(950), &one, WINCH).dropped();
    w.pass(3_000 * MS);
    w.send(&crun(960), &one, KILL).ancestry(podman).fatal();
    let told = ended(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["default-ignore"]);
    assert!(
        chain(e).ends_with("crun 950 (container runtime) ← podman 800 ← bash 49"),
        "{}",
        chain(e)
    );
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, Some(3_000 * MS));
}

#[test]
fn two_commands_of_podman_are_two_requests() {
    let (mut w, one, child) = container(TERM);
    let crun = |pid, ppid| Task {
        ppid,
        ..host(pid, "crun")
    };
    w.send(&crun(950, 800), &one, TERM)
        .ancestry(&[(800, "podman")])
        .dropped();
    w.pass(3_000 * MS);
    w.send(&crun(960, 801), &one, KILL)
        .ancestry(&[(801, "podman")])
        .fatal();
    assert_eq!(
        ended(&mut w, &one, &child).exit(&one).cause,
        "killed-by-process"
    );
}

#[test]
fn dockerd_kills_itself_where_runc_cannot() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(5_000 * MS);
    let dockerd = host(700, "dockerd");
    w.push(Fact::Program {
        key: dockerd.key,
        file: "/usr/bin/dockerd".into(),
    });
    w.send(&dockerd, &one, KILL)
        .ancestry(&[(1, "systemd")])
        .fatal();
    is_timeout(ended(&mut w, &one, &child).exit(&one), &["init-no-handler"]);
}

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
        why(e).contains("waited 1.0 s (the container's own grace period is 3 s), then killed it"),
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
        why(e).contains("waited 3.0 s (grace period 3 s)"),
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
    assert!(why(e).contains("waited 10.0 s, then"), "{}", why(e));
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

/// The engine's word, some time after what it is about.
fn engine_says(w: &mut World, action: EngineAction) -> u64 {
    let at = crate::event::BootTime(w.now);
    w.pass(40 * MS);
    w.push(Fact::Engine(EngineEvent {
        home: Home::PidNs(NS),
        at,
        answering: true,
        action,
    }))
}

fn asked(told: &Told, id: u64) -> Vec<String> {
    let of = |r: &Report| match r {
        Report::Update {
            of,
            now: Update::Asked(e),
            ..
        } if *of == id => e.chain.last().map(|l| l.what.clone()),
        _ => None,
    };
    told.reports.iter().filter_map(of).collect()
}

#[test]
fn who_asked_is_known_before_and_after_the_death() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    let when = w.now;
    let kill = engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    w.pass(2_970 * MS);
    w.send(&runc(960), &one, KILL).ancestry(SHIM).fatal();
    let id = w.exit(&one, KILL);
    w.zapped(&one, &child);
    engine_says(&mut w, EngineAction::Kill(Some(KILL)));
    engine_says(&mut w, EngineAction::Die);
    engine_says(&mut w, EngineAction::Stop);
    w.pass(MS);
    let told = w.run();
    let e = told.exit(&one);
    assert!(
        chain(e).ends_with("containerd-shim 900 ← docker stop or kill"),
        "{}",
        chain(e)
    );
    let last = e.chain.last().unwrap();
    assert_eq!(last.event, Some(kill));
    assert_eq!(last.asked.map(|a| (a.at.0, a.by_api)), Some((when, true)));
    assert_eq!(asked(&told, id), ["docker stop"]);
    // Those killed with it were asked for by the same.
    let child = told.exit(&child);
    assert!(chain(child).ends_with("← docker stop or kill"));
    assert_eq!(asked(&told, child.id), ["docker stop"]);
    // Nothing else has changed.
    let Some(Report::Update {
        now: Update::Asked(now),
        ..
    }) = told
        .reports
        .iter()
        .find(|r| matches!(r, Report::Update { of, .. } if *of == id))
    else {
        panic!();
    };
    assert_eq!((&now.explanation, &now.stop), (&e.explanation, &e.stop));
    assert_eq!(now.chain.len(), e.chain.len());
}

#[test]
fn which_verb_the_events_allow() {
    use EngineAction::{Destroy, Die, Kill, Restart, Start, Stop};
    let verbs = |number: i32, engine: &str, events: &[EngineAction]| {
        let (mut w, one, child) = container(TERM);
        w.push(Fact::Container(Box::new(Container {
            home: Home::PidNs(NS),
            engine: Some(engine.into()),
            ..Container::default()
        })));
        let kill = number == KILL;
        if kill {
            w.send(&runc(950), &one, KILL).ancestry(SHIM).fatal();
        } else {
            term(&mut w, &one, number).handled();
        }
        w.exit(&one, if kill { KILL } else { 0 });
        let id = w.zapped(&one, &child);
        for &event in events {
            engine_says(&mut w, event);
        }
        asked(&w.run(), id).pop()
    };
    let docker = |number, events: &[_]| verbs(number, "docker", events);
    let (term, nine) = (Kill(Some(TERM)), Kill(Some(KILL)));
    assert_eq!(docker(TERM, &[]), None);
    assert_eq!(docker(TERM, &[Die, Stop]), None);
    assert_eq!(docker(TERM, &[Kill(Some(HUP))]), None);
    assert_eq!(docker(TERM, &[term, Die]).unwrap(), "docker stop or kill");
    assert_eq!(docker(TERM, &[term, Die, Stop]).unwrap(), "docker stop");
    assert_eq!(
        docker(TERM, &[term, nine, Die, Stop, Destroy]).unwrap(),
        "docker stop"
    );
    let all = [term, Die, Stop, Start, Restart];
    assert_eq!(docker(TERM, &all).unwrap(), "docker restart");
    assert_eq!(docker(TERM, &[term, Die, Destroy]).unwrap(), "docker kill");
    // A later stop is another's.
    assert_eq!(
        docker(TERM, &[term, term, Die, Stop]).unwrap(),
        "docker stop or kill"
    );
    assert_eq!(docker(KILL, &[nine, Die]).unwrap(), "docker kill or rm -f");
    assert_eq!(
        docker(KILL, &[nine, Die, Destroy]).unwrap(),
        "docker kill or rm -f"
    );
    let podman = |number, events: &[_]| verbs(number, "podman", events);
    assert_eq!(podman(TERM, &[Stop, Die]).unwrap(), "podman stop");
    assert_eq!(podman(TERM, &[Kill(None), Die]).unwrap(), "podman kill");
    assert_eq!(podman(TERM, &[Restart, Die]).unwrap(), "podman restart");
    assert_eq!(podman(KILL, &[Kill(None)]).unwrap(), "podman kill");
    assert_eq!(podman(TERM, &[Die]), None);
    // An engine whose events are not known says nothing.
    assert_eq!(verbs(TERM, "cri-o", &[term, Stop]), None);
}

#[test]
fn an_engine_that_is_shut_down_was_not_asked_through_its_api() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    let at = crate::event::BootTime(w.now);
    w.push(Fact::Engine(EngineEvent {
        home: Home::PidNs(NS),
        at,
        answering: false,
        action: EngineAction::Kill(Some(TERM)),
    }));
    w.exit(&one, 0);
    w.zapped(&one, &child);
    let told = w.run();
    let last = told.exit(&child).chain.last().unwrap();
    assert_eq!(last.what, "docker stop or kill");
    assert_eq!(last.asked.map(|a| a.by_api), Some(false));
}

#[test]
fn an_event_of_another_time_or_request_is_not_joined() {
    let (mut w, one, child) = container(TERM);
    engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    w.pass(1_000 * MS);
    // By a person, with a signal that the engine has sent a second before.
    w.send(&host(50, "sh"), &one, TERM).handled();
    w.exit(&one, 0);
    let id = w.zapped(&one, &child);
    engine_says(&mut w, EngineAction::Stop);
    let told = w.run();
    assert!(asked(&told, id).is_empty());
    assert!(!chain(told.exit(&child)).contains("docker"));

    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.exit(&one, 0);
    let id = w.zapped(&one, &child);
    w.pass(20_000 * MS);
    engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    assert!(asked(&w.run(), id).is_empty());
}

#[test]
fn an_engine_that_is_silent_is_said_once() {
    let (mut w, _, _) = container(TERM);
    for _ in 0..3 {
        w.push(Fact::EngineSilent(
            "cannot read the events of the engine at /x".into(),
        ));
    }
    let notes = w.run().summary.notes;
    assert_eq!(
        notes,
        ["Who asked for a stop may be missing: cannot read the events of the engine at /x."]
    );
}

#[test]
fn a_word_is_awaited_while_one_may_come() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    let mut engine = crate::explain::Engine::new(w.coverage.clone());
    let mut tell = |w: &mut World| {
        for event in w.events.drain(..) {
            engine.push(event);
        }
        engine.advance(crate::event::BootTime(w.now + 100 * MS));
        engine.awaits_word()
    };
    assert_eq!(tell(&mut w), Some(Awaited::Word));
    engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    assert_eq!(tell(&mut w), Some(Awaited::Rest));
    engine_says(&mut w, EngineAction::Stop);
    assert_eq!(tell(&mut w), Some(Awaited::Restart));
    engine_says(&mut w, EngineAction::Start);
    assert_eq!(tell(&mut w), Some(Awaited::Restart));
    engine_says(&mut w, EngineAction::Restart);
    assert_eq!(tell(&mut w), None);
}

/// A container of so many, of which none ends until the kernel kills it with PID 1;
/// how many processes were looked up.
fn crowd(many: u32) -> u64 {
    let (mut w, one, _) = container(TERM);
    let all: Vec<_> = (0..many).map(|i| member(200 + i, 3 + i, "app")).collect();
    for child in &all {
        w.fork(&one, child);
    }
    term(&mut w, &one, TERM).handled();
    w.pass(3_010 * MS);
    w.send(&runc(960), &one, KILL).ancestry(SHIM).fatal();
    w.exit(&one, KILL);
    for child in &all {
        w.zapped(&one, child);
    }
    let mut engine = crate::explain::Engine::new(w.coverage.clone());
    for event in &w.events {
        engine.push(event.clone());
    }
    let (reports, _) = engine.finish(crate::event::BootTime(w.now + 5_000 * MS));
    let deaths = reports.iter().filter_map(|report| match report {
        Report::Exit(e) => Some(e),
        _ => None,
    });
    let (first, rest): (Vec<_>, Vec<_>) = deaths.partition(|e| e.pid1);
    let others = format!("sent nothing on to the {} other processes", many + 1);
    assert!(why(first[0]).contains(&others), "{}", why(first[0]));
    assert_eq!(rest.len(), many as usize);
    assert!(rest.iter().all(|e| chain(e).contains("runc 960")));
    let steps = &engine.history.steps;
    steps.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn each_of_many_that_die_with_pid1_costs_a_few_steps() {
    let (few, many) = (crowd(100), crowd(1_000));
    assert!(many < few * 11, "{few} {many}");
}
