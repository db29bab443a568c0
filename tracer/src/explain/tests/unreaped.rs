//! Who is dead and stays, when a namespace has ended, and what is known of it
//! where events were lost.

use super::world::*;
use crate::event::{BootTime, Comm, Dispositions, Fact, Home, Sight, Task};
use crate::explain::report::{Report, Unreaped};
use crate::explain::signals::*;
use crate::explain::Engine;
use crate::history::filter::Filter;

fn seen(state: u8) -> Dispositions {
    Dispositions {
        state,
        ..Dispositions::default()
    }
}

fn zombies(told: &Told) -> Vec<u32> {
    let zombie = |report: &Report| match report {
        Report::Zombie { task, .. } => Some(task.key.pid),
        _ => None,
    };
    told.reports.iter().filter_map(zombie).collect()
}

fn waits(told: &Told) -> Option<&[Unreaped]> {
    told.reports.iter().find_map(|report| match report {
        Report::Waits { waits_for, .. } => Some(waits_for.as_slice()),
        _ => None,
    })
}

/// PID 1 of a namespace into which `nsenter` has put a process, and it dies.
fn entered() -> (World, Task, Task, Task) {
    let (one, nsenter) = (member(100, 1, "init"), host(60, "nsenter"));
    let guest = member(101, 2, "guest");
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&nsenter, &guest);
    w.exit(&one, 0);
    (w, one, nsenter, guest)
}

#[test]
fn a_namespace_goes_on_while_a_dead_process_in_it_is_not_reaped() {
    let (mut w, one, nsenter, guest) = entered();
    w.zapped(&one, &guest);
    assert!(!w.run().ended);
    // Its parent is known by what it gets.
    w.told_parent(&guest, &nsenter);
    w.pass(1_100 * MS);
    w.observe(&guest, seen(b'Z'));
    w.observe(&one, seen(b'S'));
    w.pass(MS);
    w.observe(&one, seen(b'S'));
    let told = w.run();
    assert!(!told.ended && !told.summary.ended);
    assert_eq!(zombies(&told), [101], "PID 1 is none");
    let left = waits(&told).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].dead && left[0].task.key == guest.key);
    assert_eq!(left[0].parent.as_ref().map(|p| p.key), Some(nsenter.key));
    // At last it is.
    w.pass(100 * MS);
    w.reaped(&guest);
    w.told_parent(&one, &host(50, "sh"));
    let told = w.run();
    assert!(told.ended);
    let count = |report: &&Report| matches!(report, Report::Waits { .. });
    assert_eq!(told.reports.iter().filter(count).count(), 1);
}

/// Looks may take as long as they like.
#[test]
fn who_waits_is_looked_at_after_those_it_waits_for() {
    let (mut w, one, _, guest) = entered();
    w.zapped(&one, &guest);
    w.pass(1_100 * MS);
    let mut engine = Engine::new(w.coverage.clone());
    for event in w.events.drain(..) {
        engine.push(event);
    }
    let now = BootTime(w.now);
    engine.advance(now);
    assert_eq!(engine.to_observe(now), [guest.key, one.key]);
}

/// One that was asked for earlier, of PID 1 alone, may come after that second, too.
#[test]
fn a_look_that_is_late_tells_nothing_of_the_others() {
    let (mut w, one, _, guest) = entered();
    w.zapped(&one, &guest);
    w.pass(1_100 * MS);
    let mut engine = Engine::new(w.coverage.clone());
    let mut told = Vec::new();
    for round in 0..3 {
        for event in w.events.drain(..) {
            engine.push(event);
        }
        let now = BootTime(w.now);
        told.extend(engine.advance(now));
        let asked = engine.to_observe(now);
        match round {
            0 => w.observe(&one, seen(b'S')),
            1 => {
                assert_eq!(asked, [guest.key, one.key]);
                w.observe(&guest, seen(b'Z'));
                w.observe(&one, seen(b'S'))
            }
            _ => break,
        };
        w.pass(100 * MS);
        let any = |report: &Report| matches!(report, Report::Waits { .. });
        assert!(!told.iter().any(any), "{told:?}");
    }
    let told = Told {
        reports: told,
        summary: engine.finish(BootTime(w.now)).1,
        ended: engine.ended(),
    };
    assert_eq!(waits(&told).unwrap().len(), 1);
}

#[test]
fn a_namespace_goes_on_while_a_process_in_it_cannot_die() {
    let (mut w, one, _, guest) = entered();
    w.zap(&one, &guest);
    w.pass(1_100 * MS);
    w.observe(&guest, seen(b'D'));
    w.observe(&one, seen(b'S'));
    let told = w.run();
    assert!(!told.ended);
    let left = waits(&told).unwrap();
    assert!(!left[0].dead && left[0].task.key == guest.key && left[0].parent.is_none());
    assert!(zombies(&told).is_empty());
    assert_eq!(told.summary.unseen_ends, 0, "it is alive");
}

#[test]
fn a_pid1_that_told_its_parent_is_done_and_a_zombie_until_that_waits() {
    for look in [false, true] {
        let (mut w, one, _, guest) = entered();
        w.zapped(&one, &guest);
        w.reaped(&guest);
        match look {
            true => w.observe(&one, seen(b'Z')),
            false => w.told_parent(&one, &host(50, "sh")),
        };
        let told = w.run();
        assert!(told.ended, "by a look: {look}");
        assert_eq!(zombies(&told), [100]);
        assert!(waits(&told).is_none());
    }
    // Not at the end of a child that it had.
    let (mut w, one, _, guest) = entered();
    w.told_parent(&guest, &one);
    w.send(&exiting(&one), &host(50, "sh"), TERM).dropped();
    assert!(!w.run().ended);
}

#[test]
fn ends_that_were_lost_are_counted_once_the_namespace_has_ended() {
    let one = member(100, 1, "init");
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    let all: Vec<_> = (0..40).map(|i| member(101 + i, 2 + i, "app")).collect();
    for task in &all {
        w.fork(&one, task);
    }
    w.exit(&one, 0);
    for task in &all {
        w.zap(&one, task);
    }
    // Of ten the end was seen, of one the reaping too; one's end comes late.
    all[..10].iter().for_each(|task| {
        w.exit(task, KILL);
    });
    w.reaped(&all[0]);
    w.push(Fact::Lost {
        kind: "exit",
        count: 30,
        slow_output: false,
    });
    w.push(Fact::Lost {
        kind: "reap",
        count: 39,
        slow_output: false,
    });
    assert_eq!(w.run().summary.unseen_ends, 0, "they may be alive");
    w.told_parent(&one, &host(50, "sh"));
    let told = w.run();
    assert!(told.ended);
    let s = &told.summary;
    assert_eq!((s.exited, s.unseen_ends, s.killed_unseen), (11, 30, 30));
    assert!(!s.saw_all());
    assert_eq!(s.notes.len(), 2, "{:?}", s.notes);
    // Nobody else is left in it: they were reaped, though that was not seen.
    assert!(zombies(&told).is_empty());
    w.exit(&all[10], KILL);
    w.reaped(&one);
    w.push(Fact::Gone {
        home: Home::PidNs(NS),
    });
    w.push(Fact::Lost {
        kind: "fork",
        count: 3,
        slow_output: false,
    });
    let s = w.run().summary;
    assert_eq!((s.exited, s.unseen_ends), (12, 29));
    let more = "there may have been more processes than are counted";
    assert!(
        s.notes.iter().any(|note| note.contains(more)),
        "{:?}",
        s.notes
    );
}

#[test]
fn where_reapings_were_lost_a_look_decides_who_is_a_zombie() {
    let (one, app) = (member(100, 1, "init"), member(101, 2, "app"));
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &app);
    w.exit(&app, 0);
    w.push(Fact::Lost {
        kind: "reap",
        count: 1,
        slow_output: false,
    });
    w.pass(1_100 * MS);
    assert!(zombies(&w.run()).is_empty());
    w.observe(&app, seen(b'Z'));
    assert_eq!(zombies(&w.run()), [101]);
}

#[test]
fn another_namespace_with_the_same_inode_is_not_traced() {
    let (sh, old) = (host(50, "sh"), member(100, 1, "old"));
    let new = |pid, inside, comm, start| {
        let mut task = member(pid, inside, comm);
        task.key.start_ns = start;
        task
    };
    // Its end is known by the end of PID 1, or only by who comes next.
    for reaped in [true, false] {
        let mut w = World::new();
        w.fork(&sh, &old);
        w.exit(&old, 0);
        if reaped {
            w.reaped(&old);
        }
        assert_eq!(w.run().ended, reaped);
        w.pass(100 * MS);
        let (one, app) = (new(200, 1, "new", w.now), new(201, 2, "app", w.now + MS));
        w.pass(2 * MS);
        w.fork(&sh, &one);
        w.fork(&one, &app);
        w.send(&sh, &app, TERM).dropped();
        w.exit(&app, 1);
        w.exit(&one, 0);
        w.reaped(&one);
        let told = w.run();
        assert!(told.ended, "reaped: {reaped}");
        assert_eq!((told.summary.exited, told.summary.signals), (1, 0));
        assert_eq!(told.summary.unseen_ends, 0);
        let of_it = |report: &&Report| format!("{report:?}").contains("201");
        assert_eq!(told.reports.iter().find(of_it), None);
    }
}

#[test]
fn a_filter_is_closed_until_the_namespace_is_meant_again() {
    let mut filter = Filter {
        namespaces: [NS].into(),
        ..Filter::default()
    };
    let mut task = member(100, 1, "init");
    task.key.start_ns = 500;
    filter.close(INNER, 100);
    assert!(filter.target(&task) && filter.closed.is_empty());
    filter.close(NS, 600);
    assert!(filter.target(&task));
    filter.close(NS, 500);
    filter.close(NS, 700);
    assert!(!filter.names(&task));
    filter.trace(Home::PidNs(NS));
    assert!(filter.names(&task));
    filter.follows = true;
    filter.close(NS, 400);
    assert!(filter.names(&task));
}

#[test]
fn what_keeps_a_namespace_is_told_with_its_state_and_place() {
    let (mut w, one, _, guest) = entered();
    let inside = member(102, 3, "traced");
    w.fork(&one, &inside);
    w.zap(&one, &guest);
    w.zapped(&one, &inside);
    w.pass(1_100 * MS);
    let look = |w: &mut World, task: &Task, state, sight| {
        w.push(Fact::Observed {
            key: task.key,
            dispositions: Some(seen(state)),
            sight,
        })
    };
    let place = Sight {
        function: Some("nfs_wait_bit".into()),
        ..Sight::default()
    };
    look(&mut w, &guest, b'D', place);
    let tracer = Sight {
        tracer: Some((60, Comm::from("gdb"))),
        ..Sight::default()
    };
    look(&mut w, &inside, b'Z', tracer);
    look(&mut w, &one, b'S', Sight::default());
    let told = w.run();
    let left = waits(&told).unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    let kept = |at: usize| left[at].kept.as_ref().unwrap();
    assert_eq!(
        (kept(0).state, kept(0).reason),
        ('D', Some("uninterruptible"))
    );
    assert!(kept(0).why.contains("in nfs_wait_bit"), "{}", kept(0).why);
    assert_eq!((kept(1).state, kept(1).reason), ('Z', Some("traced")));
    assert!(
        kept(1).why.contains("gdb 60 has not waited"),
        "{}",
        kept(1).why
    );
    assert!(left[1].dead && left[1].parent.is_none());
}

#[test]
fn a_dead_child_of_pid_1_keeps_nothing() {
    let (mut w, one, _, guest) = entered();
    let inside = member(102, 3, "child");
    w.fork(&one, &inside);
    w.zapped(&one, &inside);
    w.zapped(&one, &guest);
    w.pass(1_100 * MS);
    w.observe(&inside, seen(b'Z'));
    w.observe(&guest, seen(b'Z'));
    w.observe(&one, seen(b'S'));
    let told = w.run();
    let left: Vec<_> = waits(&told).unwrap().iter().map(|l| l.task.key).collect();
    assert_eq!(left, [guest.key]);
}
