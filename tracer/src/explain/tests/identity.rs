//! A process that is older than the trace is known from `/proc` with a rounded
//! start, and from the kernel side with the exact one: it is one process.

use super::world::*;
use crate::event::{Task, TICK_NS};
use crate::explain::report::Report;
use crate::explain::signals::*;

#[test]
fn the_exact_start_is_used_once_it_is_known() {
    let mut one = member(100, 1, "init");
    one.key.start_ns = 504 * MS + 321;
    let mut app = member(101, 2, "app");
    app.key.start_ns = 509 * MS + 7;
    let mut w = World::new();
    let tasks = [&one, &app];
    for task in tasks {
        w.snapshot(task);
    }
    let by_handler = w.send(&host(50, "sh"), &one, TERM).handled();
    w.exit(&one, 0);
    let zap = w.zapped(&one, &app);
    w.pass(20 * MS);
    w.observe(
        &one,
        crate::event::Dispositions {
            state: b'Z',
            ..Default::default()
        },
    );
    w.pass(2_000 * MS);
    let told = w.run();
    assert_eq!(told.signal(by_handler).target.key, one.key);
    for task in tasks {
        let e = told.exit(task);
        assert_eq!(e.task.key.start_ns, task.key.start_ns);
        assert_ne!(e.task.key.start_ns % TICK_NS, 0);
    }
    assert_eq!(told.exit(&app).id, zap);
    // Known by one name only, so that both count once.
    assert_eq!((told.summary.exited, told.summary.unseen_ends), (2, 0));
    assert!(told.ended);
    let zombies: Vec<&Task> = told
        .reports
        .iter()
        .filter_map(|r| match r {
            Report::Zombie { task, .. } => Some(task),
            _ => None,
        })
        .collect();
    assert_eq!(zombies.len(), 1);
    for zombie in zombies {
        assert_ne!(zombie.key.start_ns % TICK_NS, 0, "{zombie:?}");
    }
    assert!(chain(told.exit(&app)).contains("SIGTERM handled by PID 1"));
}

#[test]
fn a_process_that_renames_itself_is_called_as_it_was_last_seen() {
    // PR_SET_NAME leaves no record; a look shows it.
    let (one, app) = (member(100, 1, "init"), member(101, 2, "python3"));
    let child = member(102, 3, "child");
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &app);
    w.fork(&app, &child);
    w.send(&host(50, "sh"), &app, TERM).blocked().go();
    w.pass(60 * MS);
    let dispositions = Some(crate::event::Dispositions {
        shared_pending: bit(TERM),
        state: b'S',
        ..Default::default()
    });
    let sight = crate::event::Sight {
        comm: Some("realname".into()),
        ..Default::default()
    };
    w.push(crate::event::Fact::Observed {
        key: app.key,
        dispositions,
        sight,
    });
    w.exit(&child, 0);
    w.pass(3_000 * MS);
    let told = w.run();
    let parents: Vec<_> = (told.reports.iter())
        .filter_map(|r| match r {
            Report::Zombie { parent, .. } => parent.as_ref(),
            _ => None,
        })
        .map(|parent| parent.comm.to_string())
        .collect();
    assert_eq!(parents, ["realname"]);
}
