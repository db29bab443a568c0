//! Order, deadlines and the end of the stream.

use super::world::*;
use crate::event::{BootTime, Handler};
use crate::explain::report::{Certainty, Report};
use crate::explain::signals::*;
use crate::explain::Engine;

fn time_of(report: &Report) -> u64 {
    match report {
        Report::Signal(s) => s.time.0,
        Report::Exit(e) => e.time.0,
        Report::Refused(r) => r.time.0,
        Report::ForkRejected(r) => r.time.0,
        Report::Update { time, .. }
        | Report::Fork { time, .. }
        | Report::Exec { time, .. }
        | Report::Zombie { time, .. }
        | Report::Waits { time, .. }
        | Report::Reap { time, .. }
        | Report::Lost { time, .. } => time.0,
    }
}

fn scene() -> World {
    let (sh, one, child) = (
        host(50, "sh"),
        member(100, 1, "init"),
        member(101, 2, "app"),
    );
    let mut w = World::new();
    w.fork(&sh, &one);
    w.fork(&one, &child);
    w.send(&sh, &child, USR1).blocked().go();
    w.pass(30 * MS);
    w.send(&sh, &one, TERM).handled();
    w.exit(&one, 0);
    w.zap_pending(&one, &child, bit(USR1));
    w.exit_with(&child, KILL, true, bit(USR1));
    w
}

#[test]
fn reports_are_in_the_order_of_time() {
    let told = scene().run();
    let times: Vec<_> = told
        .reports
        .iter()
        .filter(|r| !matches!(r, Report::Zombie { .. }))
        .map(time_of)
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.len() >= 6);
}

#[test]
fn any_order_of_arrival_gives_the_same() {
    let mut w = scene();
    let expected = format!("{:?}", w.run().reports);
    w.events.reverse();
    assert_eq!(format!("{:?}", w.run().reports), expected);
    // Live: pushed a little late, advanced every few milliseconds.
    w.events
        .sort_by_key(|e| (e.time.0 / (5 * MS), std::cmp::Reverse(e.id)));
    let mut engine = Engine::new(w.coverage.clone());
    let mut reports = Vec::new();
    let mut events = w.events.clone().into_iter().peekable();
    for now in (SINCE..w.now + 5_000 * MS).step_by(3 * MS as usize) {
        while let Some(event) = events.next_if(|e| e.time.0 + 6 * MS <= now) {
            engine.push(event);
        }
        reports.extend(engine.advance(BootTime(now)));
    }
    reports.extend(engine.finish(BootTime(w.now + 5_000 * MS)).0);
    assert_eq!(format!("{reports:?}"), expected);
}

#[test]
fn nothing_is_held_longer_than_100_ms() {
    let w = scene();
    let mut engine = Engine::new(w.coverage.clone());
    let first = w
        .events
        .iter()
        .find(|e| matches!(e.fact, crate::event::Fact::Signal(_)))
        .expect("a signal")
        .time
        .0;
    for event in w.events.iter().take(3) {
        engine.push(event.clone());
    }
    assert!(!engine
        .advance(BootTime(first + 99 * MS))
        .iter()
        .any(|r| matches!(r, Report::Signal(_))));
    assert!(engine
        .next_deadline()
        .is_some_and(|d| d.0 <= first + 100 * MS));
    let reports = engine.advance(BootTime(first + 100 * MS));
    assert!(matches!(&reports[..], [Report::Signal(s)] if !s.settled && s.fate == "blocked"));
}

#[test]
fn following_next_deadline_is_enough() {
    let w = scene();
    let mut engine = Engine::new(w.coverage.clone());
    for event in &w.events {
        engine.push(event.clone());
    }
    let mut reports = Vec::new();
    let mut rounds = 0;
    while let Some(next) = engine.next_deadline() {
        reports.extend(engine.advance(next));
        rounds += 1;
        assert!(rounds < 100, "a deadline that never passes: {next:?}");
    }
    assert_eq!(format!("{reports:?}"), format!("{:?}", w.run().reports));
}

#[test]
fn open_signals_are_looked_at_three_times() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    w.send(&sh, &app, USR1).blocked().go();
    let mut engine = Engine::new(w.coverage.clone());
    engine.push(w.events[0].clone());
    let start = w.now;
    let mut asked = Vec::new();
    for now in (start..start + 60_000 * MS).step_by(10 * MS as usize) {
        engine.advance(BootTime(now));
        if engine.to_observe(BootTime(now)) == [app.key] {
            asked.push((now - start) / MS);
        }
    }
    assert_eq!(asked, [50, 1_100, 10_000]);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn the_end_reports_what_is_left() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    let id = w.send(&sh, &app, USR1).handler(Handler::User(1)).go();
    let told = w.run_until(w.now + MS);
    assert_eq!(told.history_of(id), [("pending", false)]);
    assert_eq!(told.summary.signals, 1);
}

#[test]
fn memory_is_bounded() {
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    let w = World::new();
    let mut engine = Engine::new(w.coverage.clone());
    let mut w = World::new();
    w.fork(&sh, &one);
    for n in 0..20_000u32 {
        let mut child = member(1000 + n % 3000, 2 + n % 3000, "short");
        child.key.start_ns = w.now;
        w.fork(&one, &child);
        w.send(&sh, &one, 40).blocked().go();
        w.send(&sh, &child, TERM).fatal();
        w.exit(&child, TERM);
        w.push(crate::event::Fact::Reap {
            key: child.key,
            by: Some(100),
        });
        for event in w.events.drain(..) {
            engine.push(event);
        }
        w.pass(MS);
        if n % 64 == 0 {
            engine.advance(BootTime(w.now));
        }
    }
    engine.advance(BootTime(w.now + 3_000 * MS));
    let (processes, open, buffered) = engine.sizes();
    assert!(processes <= 1100, "{processes}");
    assert!(open <= 256, "{open}");
    assert_eq!(buffered, 0);
    assert!(!engine.finish(BootTime(w.now)).1.notes.is_empty());
}

/// As when their `sched_process_free` was lost: the dead wait to be looked for.
#[test]
fn the_dead_whose_reaping_was_lost_are_looked_for() {
    let one = member(100, 1, "init");
    let mut w = World::new();
    let mut engine = Engine::new(w.coverage.clone());
    w.fork(&host(50, "sh"), &one);
    let children: Vec<_> = (0..2000)
        .map(|n| member(1000 + n, 2 + n, "short"))
        .collect();
    for child in &children {
        w.fork(&one, child);
        w.exit(child, 0);
    }
    for event in w.events.drain(..) {
        engine.push(event);
    }
    engine.advance(BootTime(w.now));
    let unreaped = engine.not_gone();
    assert!(children.iter().all(|child| unreaped.contains(&child.key)));
    for child in &children {
        let (key, by) = (child.key, None);
        w.push(crate::event::Fact::Reap { key, by });
    }
    for event in w.events.drain(..) {
        engine.push(event);
    }
    engine.advance(BootTime(w.now + MS));
    assert_eq!(engine.not_gone(), [one.key]);
    assert!(engine.sizes().0 <= 520, "{}", engine.sizes().0);
}

#[test]
fn a_kill_may_come_after_the_death_of_it() {
    let (sh, child) = (host(50, "sh"), member(101, 2, "app"));
    let after = |pause: u64| {
        let mut w = World::new();
        w.fork(&member(100, 1, "init"), &child);
        let death = w.exit(&child, KILL);
        w.told_parent(&child, &member(100, 1, "init"));
        w.pass(pause);
        let kill = w.send(&sh, &child, KILL).stack(KILL_STACK).fatal();
        (w.run(), death, kill)
    };
    // complete_signal had marked it, and exit_group(2) saw that without the lock.
    let (told, death, kill) = after(300 * MS);
    let e = told.exit(&child);
    assert_eq!((e.cause, e.id), ("killed-by-process", death));
    assert_eq!(e.explanation.certainty, Certainty::Proven);
    assert_eq!(chain(e), "SIGKILL ← sh 50");
    assert_eq!(told.signal(kill).fate, "fatal");
    // Much later it is another one.
    let (told, _, kill) = after(600 * MS);
    assert_eq!(told.exit(&child).cause, "unknown");
    assert_eq!(told.signal(kill).fate, "dropped");
}

/// Its process is forgotten by the time.
#[test]
fn a_death_that_waits_for_its_kill_is_told_in_a_crowd() {
    let (init, child) = (member(100, 1, "init"), member(101, 2, "app"));
    let mut w = World::new();
    w.fork(&host(50, "sh"), &init);
    w.fork(&init, &child);
    w.exit(&child, KILL);
    w.reaped(&child);
    for pid in 200..800 {
        let other = member(pid, pid, "other");
        w.fork(&init, &other);
        w.exit(&other, 0);
        w.reaped(&other);
    }
    let told = w.run();
    assert_eq!(told.exit(&child).cause, "unknown");
    assert_eq!(told.summary.exited, 601);
    assert_eq!(told.summary.forced, 1);
}
