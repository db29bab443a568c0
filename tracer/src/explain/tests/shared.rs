//! Containers that share a PID namespace, with the host or with another container:
//! told by their cgroup, led by a process that is no PID 1, and ended by another's.

use super::world::*;
use crate::event::{Container, Fact, Home, ProcessKey, Shared, Task};
use crate::explain::report::{Certainty, ExitReport};
use crate::explain::signals::*;
use crate::history::filter::Filter;

const SHIM: &[(u32, &str)] = &[(900, "containerd-shim"), (1, "systemd")];

fn inside(task: Task) -> Task {
    Task {
        cgroup: Some(IN),
        ..task
    }
}

fn runc(pid: u32) -> Task {
    Task {
        ppid: 900,
        ..host(pid, "runc")
    }
}

/// A world in which one container is traced by its cgroup; `first` is its first
/// process, the shim's child.
fn world(first: &Task, pidns: Option<u32>, owner: Option<&str>) -> World {
    let mut w = World::new();
    w.coverage.filter = Filter {
        homes: [IN].into(),
        ..Filter::default()
    };
    w.push(Fact::Container(Box::new(Container {
        home: Home::Cgroup(IN),
        id: "2bcd".into(),
        engine: Some("docker".into()),
        stop_signal: Some(TERM),
        grace_ns: Some(3_000 * MS),
        told: false,
        shared: Some(Shared {
            pidns,
            owner: owner.map(Into::into),
            first: Some(first.key),
        }),
    })));
    w
}

/// With the host: the first process and its child.
fn with_host() -> (World, Task, Task) {
    let first = inside(Task {
        ppid: 900,
        ..host(300, "app")
    });
    let worker = inside(host(301, "worker"));
    let mut w = world(&first, None, None);
    let shim = host(900, "containerd-shim");
    w.fork(&shim, &first);
    w.fork(&first, &worker);
    (w, first, worker)
}

/// With `web`: its PID 1, which is traced for that, and a process of ours.
fn with_web() -> (World, Task, Task) {
    let (one, app) = (member(100, 1, "nginx"), inside(member(101, 7, "app")));
    let mut w = world(&app, Some(NS), Some("web"));
    let owners = &mut w.coverage.filter.owners;
    owners.insert(one.key.pid, one.key.start_ns);
    let shim = host(900, "containerd-shim");
    w.fork(&shim, &one);
    w.fork(&shim, &app);
    (w, one, app)
}

fn advice(e: &ExitReport) -> String {
    e.explanation.advice.join(" ")
}

#[test]
fn what_is_left_of_one_in_the_hosts_namespace_its_runtime_kills() {
    let (mut w, first, worker) = with_host();
    w.exit(&first, 0);
    assert!(!w.run().ended, "the worker lives");
    w.send(&runc(960), &worker, KILL).ancestry(SHIM).fatal();
    w.exit(&worker, KILL);
    let told = w.run();
    assert_eq!(told.exit(&first).cause, "exit");
    let e = told.exit(&worker);
    assert_eq!(
        (e.cause, e.explanation.certainty),
        ("killed-by-process", Certainty::Proven)
    );
    assert_eq!(
        why(e),
        "runc 960 (container runtime) killed it with SIGKILL on the host. \
         The container's first process, app 300, had ended 10 µs before. It shares the host's PID \
         namespace and was no PID 1, so the kernel killed nobody for that: the runtime ended what \
         was left of the container."
    );
    assert!(advice(e).contains("let the first process wait"));
    assert!(told.ended);
    assert_eq!((told.summary.exited, told.summary.forced), (2, 1));
    assert!(!told.summary.partial);
}

#[test]
fn a_first_process_that_was_there_before_is_the_same_once_it_is_reaped() {
    // Its start is rounded in `/proc`, where it was looked up.
    let first = inside(Task {
        ppid: 900,
        key: ProcessKey {
            pid: 300,
            start_ns: 500_000_000 * MS + 7,
        },
        ..host(300, "app")
    });
    let worker = inside(host(301, "worker"));
    let mut rounded = first.clone();
    rounded.key.start_ns -= 7;
    let mut w = world(&rounded, None, None);
    w.snapshot(&first);
    w.snapshot(&worker);
    w.exit(&first, 0);
    w.push(Fact::Reap {
        key: first.key,
        by: Some(900),
    });
    w.send(&runc(960), &worker, KILL).ancestry(SHIM).fatal();
    w.exit(&worker, KILL);
    let told = w.run();
    let e = told.exit(&worker);
    assert!(
        why(e).contains("The container's first process, app 300, had ended"),
        "{}",
        why(e)
    );
}

#[test]
fn a_stop_that_ran_out_is_one_without_a_pid_1_too() {
    let (mut w, first, worker) = with_host();
    w.send(&runc(950), &first, TERM).ancestry(SHIM).handled();
    w.pass(3_004 * MS);
    for task in [&first, &worker] {
        w.send(&runc(960), task, KILL).ancestry(SHIM).fatal();
    }
    w.exit(&first, KILL);
    w.exit(&worker, KILL);
    let told = w.run();
    let e = told.exit(&first);
    assert_eq!(e.cause, "stop-timeout", "{e:#?}");
    assert_eq!(
        why(e),
        "The container runtime runc 950 asked the first process to end with SIGTERM; 3.0 s later \
         (grace period 3 s) runc 960 killed it with SIGKILL. The first process handled SIGTERM, sent \
         nothing on to the 1 other process in its container, and was still running."
    );
    assert_eq!(e.contributing, ["too-slow", "not-forwarded"]);
    assert!(chain(e).contains("SIGTERM handled by the first process ← runc 950"));
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, Some(3_000 * MS));
    let e = told.exit(&worker);
    assert_eq!(e.cause, "stop-timeout", "{e:#?}");
    assert!(why(e).contains("killed this process of its container too"));
}

#[test]
fn the_end_of_the_other_containers_pid_1_is_the_end_of_this_one() {
    let (mut w, one, app) = with_web();
    w.send(&runc(950), &one, TERM).ancestry(SHIM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &app);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(
        (e.cause, e.explanation.certainty),
        ("pid1-exited", Certainty::Proven)
    );
    assert_eq!(
        why(e),
        "PID 1 (nginx 100), which belongs to the container web, exited, so the kernel killed \
         everything left in its PID namespace, which this container shares (zap_pid_ns_processes). \
         This process never got the SIGTERM: PID 1 handled it and sent nothing to this process."
    );
    assert!(
        chain(e).starts_with(
            "SIGKILL by the kernel ← PID 1 nginx of web exited with status 0 ← SIGTERM handled by PID 1 ← runc 950"
        ),
        "{}",
        chain(e)
    );
    assert!(
        advice(e).contains("stop this container before web"),
        "{}",
        advice(e)
    );
    // Only its own are counted.
    assert!(told.ended);
    assert_eq!((told.summary.exited, told.summary.forced), (1, 1));
}

#[test]
fn what_it_made_itself_is_its_own() {
    // A namespace nested in the shared one: its PID 1 is the container's.
    let (mut w, one, app) = with_web();
    let (init, leaf) = (inner(110, 5, 1, "inner"), inner(111, 6, 2, "leaf"));
    let (init, leaf) = (inside(init), inside(leaf));
    w.fork(&app, &init);
    w.fork(&init, &leaf);
    w.exit(&init, 0);
    w.zapped(&init, &leaf);
    w.exit(&app, 0);
    w.exit(&one, 0);
    let told = w.run();
    let e = told.exit(&leaf);
    assert_eq!(e.cause, "pid1-exited");
    assert!(
        why(e).starts_with("PID 1 exited, so the kernel"),
        "{}",
        why(e)
    );
    assert!(!why(e).contains("web"));
    assert_eq!(told.summary.exited, 3);
}

#[test]
fn it_has_ended_once_nobody_is_left_in_its_cgroup() {
    let (mut w, first, worker) = with_host();
    w.exit(&first, 0);
    // It leaves by itself.
    let outside = Task {
        cgroup: None,
        ..worker.clone()
    };
    assert!(!w.run().ended);
    w.send(&worker, &outside, USR1).handled();
    assert!(w.run().ended);

    let (mut w, first, _) = with_host();
    w.exit(&first, 0);
    w.push(Fact::Gone {
        home: Home::Cgroup(IN),
    });
    let told = w.run();
    assert!(told.ended);
    assert_eq!(told.summary.unseen_ends, 1);
}

#[test]
fn whoever_is_beside_it_is_no_runtime_of_it() {
    // By `docker exec`: a child of the shim as well.
    let (mut w, first, worker) = with_host();
    let liar = inside(runc(970));
    w.exit(&first, 0);
    w.send(&liar, &worker, KILL).ancestry(SHIM).fatal();
    w.exit(&worker, KILL);
    let told = w.run();
    assert_eq!(
        why(told.exit(&worker)),
        "runc 970 killed it with SIGKILL on the host."
    );
}
