//! Who is who: identity over exec, threads and reused pids, nested namespaces,
//! zombies and what is outside.

use super::world::*;
use crate::event::{Dispositions, Fact, Handler, Home, ProcessKey, Task};
use crate::explain::report::{Certainty, Report};
use crate::explain::signals::*;

#[test]
fn nested_namespaces_end_with_the_outer_pid1() {
    let (sh, outer) = (host(50, "sh"), member(100, 1, "outer"));
    let (init, leaf) = (inner(110, 5, 1, "inner"), inner(111, 6, 2, "leaf"));
    let mut w = World::new();
    for (parent, child) in [(&sh, &outer), (&outer, &init), (&init, &leaf)] {
        w.fork(parent, child);
    }
    w.send(&sh, &outer, TERM).handled();
    w.exit(&outer, 0);
    // The outer zap kills everything below, the inner PID 1 included; the inner
    // zap finds its member killed already.
    w.zap(&outer, &init);
    w.zap(&outer, &leaf);
    w.exit(&init, KILL);
    w.exit(&leaf, KILL);
    let told = w.run();
    for task in [&init, &leaf] {
        let e = told.exit(task);
        assert_eq!(
            (e.cause, e.explanation.certainty),
            ("pid1-exited", Certainty::Proven)
        );
        assert!(
            e.explanation.sentences[0].starts_with("PID 1 of the outer PID namespace (outer 100) exited, so the kernel killed everything left in that namespace and those nested in it"),
            "{}",
            why(e)
        );
        assert!(chain(e).contains("PID 1 outer of the outer namespace exited with status 0 ← SIGTERM handled by PID 1"), "{}", chain(e));
    }
    assert!(told.exit(&init).pid1);
    assert!(!told.ended, "PID 1 is not known to be done");
    w.reaped(&outer);
    assert!(w.run().ended);
}

#[test]
fn an_inner_pid1_killed_by_the_outer_takes_its_own_with_it() {
    let (outer, init, leaf) = (
        member(100, 1, "outer"),
        inner(110, 5, 1, "inner"),
        inner(111, 6, 2, "leaf"),
    );
    let mut w = World::new();
    for (parent, child) in [(&host(50, "sh"), &outer), (&outer, &init), (&init, &leaf)] {
        w.fork(parent, child);
    }
    w.exit(&outer, 0);
    w.zap(&outer, &init);
    w.exit(&init, KILL);
    w.zap(&init, &leaf);
    w.exit(&leaf, KILL);
    let told = w.run();
    let e = told.exit(&leaf);
    assert_eq!(
        chain(e),
        "SIGKILL by the kernel ← PID 1 killed by SIGKILL ← SIGKILL by the kernel ← PID 1 outer of the outer namespace exited with status 0"
    );
    assert!(e.explanation.sentences[0].starts_with("PID 1 was killed by SIGKILL"));
}

#[test]
fn a_leader_exits_before_its_threads() {
    let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
    w.fork(&sh, &app);
    w.exit_with(&app, 0, false, 0);
    w.pass(500 * MS);
    let id = w
        .send(&sh, &app, TERM)
        .set(|s| (s.state.exit_state, s.state.threads) = (32, 2))
        .fatal();
    let worker = Task {
        tid: 105,
        ..app.clone()
    };
    w.exit(&worker, TERM);
    w.exit(&worker, TERM);
    let told = w.run();
    assert_eq!(told.signal(id).fate, "fatal");
    assert_eq!(
        (told.exit(&app).cause, told.exit(&app).exit_code),
        ("killed-by-process", 143)
    );
    assert_eq!(
        told.summary.exited, 1,
        "two threads can both be the last one"
    );
}

#[test]
fn exec_by_another_thread_keeps_the_process() {
    let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
    w.fork(&sh, &app);
    let (caller, other) = (
        Task {
            tid: 105,
            ..app.clone()
        },
        Task {
            tid: 106,
            ..app.clone()
        },
    );
    let user = Handler::User(1);
    let to_caller = w
        .send(&sh, &caller, USR1)
        .handler(user)
        .tkill()
        .blocked()
        .go();
    let to_other = w
        .send(&sh, &other, USR2)
        .handler(user)
        .tkill()
        .blocked()
        .go();
    w.exit_with(&app, 0, false, 0);
    let mut new = app.clone();
    new.comm = "new".into();
    w.push(Fact::Exec {
        task: new.clone(),
        old_tid: 105,
    });
    w.deliver(&new, USR1, user);
    w.exit(&new, 0);
    let told = w.run();
    assert_eq!(
        told.signal(to_caller).fate,
        "handled",
        "the caller's queue is the leader's now"
    );
    assert_eq!(told.signal(to_other).fate, "died_first");
    assert_eq!((told.summary.exited, told.exit(&app).cause), (1, "exit"));
    assert!(told
        .reports
        .iter()
        .any(|r| matches!(r, Report::Exec { task, .. } if task.comm == new.comm)));
}

#[test]
fn a_reused_pid_is_another_process() {
    let (mut w, sh, one) = (World::new(), host(50, "sh"), member(100, 1, "init"));
    let old = member(101, 2, "old");
    let mut new = member(101, 2, "new");
    w.fork(&sh, &one);
    w.fork(&one, &old);
    w.send(&sh, &old, TERM).handled();
    w.exit(&old, 0);
    w.push(Fact::Reap {
        key: old.key,
        by: Some(100),
    });
    w.pass(900 * MS);
    new.key.start_ns = w.now;
    w.fork(&one, &new);
    w.pass(MS);
    w.send(&sh, &one, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &new);
    let told = w.run();
    assert_eq!(told.exit(&old).cause, "exit");
    let e = told.exit(&new);
    assert_eq!(
        e.explanation.sentences[1],
        "This process never got the SIGTERM: PID 1 handled it and sent nothing on."
    );
    assert_eq!(told.summary.exited, 3);
}

#[test]
fn what_is_outside_is_not_reported() {
    let mut w = World::new();
    w.fork(&host(50, "sh"), &host(51, "x"));
    w.exit(&host(51, "x"), 0);
    w.send(&host(50, "sh"), &host(52, "y"), TERM).fatal();
    let told = w.run();
    assert!(told.reports.is_empty());
    assert_eq!(told.summary.exited, 0);
}

#[test]
fn zombies_and_their_reaping() {
    let (one, app) = (
        member(100, 1, "init"),
        Task {
            ppid: 100,
            ..member(101, 2, "app")
        },
    );
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &app);
    let died = w.exit(&app, 0);
    w.pass(2_000 * MS);
    w.push(Fact::Reap {
        key: app.key,
        by: Some(100),
    });
    w.push(Fact::Reap {
        key: app.key,
        by: None,
    });
    let told = w.run();
    let zombie = told.reports.iter().find_map(|r| match r {
        Report::Zombie {
            id,
            parent: Some(p),
            ..
        } => Some((*id, p.key)),
        _ => None,
    });
    assert_eq!(zombie, Some((died, one.key)));
    let reaps: Vec<_> = told
        .reports
        .iter()
        .filter_map(|r| {
            if let Report::Reap { certainty, .. } = r {
                Some(*certainty)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(reaps, [Certainty::Proven]);
    assert!(!told.ended);
}

#[test]
fn the_parent_of_a_zombie_is_not_whoever_has_its_pid_now() {
    let (one, parent) = (member(100, 1, "init"), member(150, 2, "parent"));
    let app = Task {
        ppid: 150,
        ..member(151, 3, "app")
    };
    let of = |w: &World| {
        w.run().reports.iter().find_map(|r| match r {
            Report::Zombie { task, parent, .. } if task.key == app.key => {
                Some(parent.as_ref().map(|p| p.comm))
            }
            _ => None,
        })
    };
    let start = || {
        let mut w = World::new();
        w.fork(&host(50, "sh"), &one);
        // By a process that is not its parent: CLONE_PARENT.
        w.fork(&one, &parent);
        w.fork(&one, &app);
        w.push(Fact::Exit {
            task: exiting(&app),
            group_dead: true,
            status: 0,
            signal_flags: 0,
            pending: 0,
            pdeath_signal: 0,
            call: crate::event::Detail::None,
            ancestry: vec![crate::event::Ancestor {
                key: parent.key,
                comm: parent.comm,
            }],
            stack: vec![],
        });
        w
    };
    assert_eq!(of(&start()), Some(Some(parent.comm)));
    let mut w = start();
    w.exit(&parent, 0);
    w.push(Fact::Reap {
        key: parent.key,
        by: Some(100),
    });
    let mut other = member(150, 4, "other");
    other.key.start_ns = w.now;
    w.fork(&one, &other);
    assert_eq!(of(&w), Some(None));
}

#[test]
fn a_namespace_that_the_kernel_says_is_gone() {
    let mut w = World::new();
    w.fork(&host(50, "sh"), &member(100, 1, "init"));
    assert!(!w.run().ended);
    w.push(Fact::Gone {
        home: Home::PidNs(NS),
    });
    assert!(w.run().ended);
}

#[test]
fn an_inode_that_is_used_again_is_another_namespace() {
    let (sh, old, left) = (
        host(50, "sh"),
        member(100, 1, "old"),
        member(101, 2, "left"),
    );
    let mut w = World::new();
    // It is a container's, whose next start has the same inode.
    w.coverage.filter.follows = true;
    w.fork(&sh, &old);
    w.fork(&old, &left);
    w.send(&sh, &old, TERM).handled();
    w.push(Fact::ZapPidNs {
        task: exiting(&old),
        pidns: NS,
    });
    w.exit(&old, 0);
    w.push(Fact::Gone {
        home: Home::PidNs(NS),
    });
    w.pass(900 * MS);
    let at = w.now;
    let new = |pid, inside, comm| {
        let mut task = member(pid, inside, comm);
        task.key.start_ns = at;
        task
    };
    let (one, app) = (new(200, 1, "new"), new(201, 2, "app"));
    w.fork(&sh, &one);
    w.fork(&one, &app);
    assert!(!w.run().ended, "the new one goes on");
    // Whose end was missed belongs to the old one.
    w.fork(&sh, &new(101, 3, "other"));
    w.exit(&new(101, 3, "other"), 0);
    let killed = new(202, 4, "killed");
    w.fork(&one, &killed);
    w.send(&sh, &killed, KILL).unnamed().by_kernel().fatal();
    w.exit(&killed, KILL);
    let told = w.run();
    assert_eq!(told.exit(&killed).cause, "unknown");
    assert_eq!(told.exit(&killed).stop, None);
    w.push(Fact::ZapPidNs {
        task: exiting(&one),
        pidns: NS,
    });
    w.exit(&one, 0);
    assert!(!w.run().ended, "one is left");
    w.zapped(&one, &app);
    w.reaped(&one);
    assert!(w.run().ended);
}

#[test]
fn a_key_is_found_by_its_rounded_start() {
    let mut h = crate::history::History::default();
    let mut task = member(101, 2, "app");
    task.key.start_ns = 1_234_567_890;
    let coarse = ProcessKey {
        pid: 101,
        start_ns: 1_230_000_000,
    };
    h.see(
        &Task {
            key: coarse,
            ..task.clone()
        },
        false,
    );
    h.see(&task, true);
    assert_eq!(h.len(), 1);
    assert_eq!(h.process(coarse).map(|p| p.task.key), Some(task.key));
    assert!(h
        .process(ProcessKey {
            pid: 101,
            start_ns: 1_900_000_000
        })
        .is_none());
}

#[test]
fn an_unseen_end_leaves_nothing_behind() {
    let (sh, old) = (host(50, "sh"), member(101, 2, "old"));
    let mut w = World::new();
    let id = w.send(&sh, &old, TERM).blocked().go();
    w.pass(500 * MS);
    let mut new = member(101, 2, "new");
    new.key.start_ns = w.now;
    w.fork(&sh, &new);
    let told = w.run();
    assert_eq!(
        told.history_of(id),
        [("blocked", false), ("died_first", true)]
    );
    assert_eq!(told.signal(id).explanation.certainty, Certainty::Inferred);
    assert_eq!(told.summary.notes, ["The end of 1 process was not seen."]);
    assert_eq!((told.summary.unseen_ends, told.summary.partial), (1, false));
    w.coverage.filter.cgroups = [7].into();
    assert!(w.run().summary.partial);
}

#[test]
fn what_the_end_of_a_namespace_sends_to_the_dead_is_routine() {
    let (one, dead) = (member(100, 1, "init"), member(101, 2, "dead"));
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &dead);
    w.exit(&dead, 0);
    w.exit(&one, 0);
    let id = w
        .send(&exiting(&one), &dead, KILL)
        .by_kernel()
        .stack(ZAP_STACK)
        .unnamed()
        .set(|s| s.state.exit_state = 32)
        .dropped();
    let told = w.run();
    assert_eq!(told.signal(id).reason, Some("zombie"));
    assert!(told.signal(id).routine);
    assert_eq!((told.summary.dropped, told.summary.forced), (0, 0));
}

#[test]
fn a_zombie_from_before_is_no_unseen_end() {
    let dead = member(101, 2, "dead");
    let mut w = World::new();
    w.push(Fact::Snapshot {
        task: dead.clone(),
        dispositions: Dispositions {
            state: b'Z',
            ..Dispositions::default()
        },
    });
    w.push(Fact::Reap {
        key: dead.key,
        by: Some(100),
    });
    assert!(w.run().summary.notes.is_empty());
}

#[test]
fn a_reload_is_no_stop() {
    let (sh, one, app) = (
        host(50, "sh"),
        member(100, 1, "init"),
        member(101, 2, "app"),
    );
    let mut w = World::new();
    w.fork(&sh, &one);
    w.send(&sh, &one, HUP).handled();
    w.exit(&app, 0);
    w.pass(MS);
    w.exit(&one, 0);
    let told = w.run();
    assert_eq!(told.exit(&app).stop, None);
    let e = told.exit(&one);
    assert_eq!(e.stop, None);
    assert_eq!(
        why(e),
        "It exited with status 0, 1.0 ms after its handler ran for SIGHUP; whether because of that is not known."
    );
    assert_eq!(chain(e), "PID 1 exited with status 0");
}

#[test]
fn what_is_reaped_in_time_is_no_zombie() {
    let (one, app) = (member(100, 1, "init"), member(101, 2, "app"));
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &app);
    w.exit(&app, 0);
    w.push(Fact::Reap {
        key: app.key,
        by: Some(100),
    });
    let told = w.run();
    let zombies = told
        .reports
        .iter()
        .filter(|r| matches!(r, Report::Zombie { .. }));
    assert_eq!(zombies.count(), 0);
}
