//! Signals that were counted and not told.

use super::world::{host, member, Told, World, MS};
use crate::event::{BootTime, Fact, Handler, Like, Outcome, Signal};
use crate::explain::report::{Report, SignalReport};
use crate::explain::signals::{TERM, USR1};

/// Three to PID 1, which has no handler, and what was counted after them.
fn storm(w: &mut World, number: i32, count: u64) -> Like {
    let (sh, one) = (host(50, "sh"), member(40, 1, "init"));
    for _ in 0..3 {
        w.send(&sh, &one, number).dropped();
    }
    let signal = |event: &crate::event::Event| event.fact.signal().map(Like::of);
    let like = w.events.iter().rev().find_map(signal).expect("a signal");
    counted(w, like, count);
    like
}

fn counted(w: &mut World, like: Like, count: u64) {
    let last = BootTime(w.now + 5);
    w.pass(1000 * MS).push(Fact::Folded { like, count, last });
}

fn signals(told: &Told) -> impl Iterator<Item = &SignalReport> {
    told.reports.iter().filter_map(|report| match report {
        Report::Signal(signal) => Some(&**signal),
        _ => None,
    })
}

fn lost(report: &Report) -> Option<(&'static str, u64)> {
    match report {
        Report::Lost { kind, count, .. } => Some((kind, *count)),
        _ => None,
    }
}

/// Three of them to a process that blocks the signal, and what was counted after them.
fn in_vain(outcome: Outcome, number: i32) -> Told {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let mut w = World::new();
    for _ in 0..3 {
        w.send(&sh, &app, number).blocked().outcome(outcome).go();
    }
    let signal = |event: &crate::event::Event| event.fact.signal().map(Like::of);
    let like = w.events.iter().rev().find_map(signal).expect("a signal");
    counted(&mut w, like, 1000);
    w.run()
}

#[test]
fn what_finds_no_room_or_adds_nothing_is_counted() {
    for (outcome, fate) in [
        (Outcome::SharesItsBit, "coalesced"),
        (Outcome::AlreadyPending, "coalesced"),
        (Outcome::OverflowFail, "rejected"),
    ] {
        let told = in_vain(outcome, 40);
        assert!(
            signals(&told).all(|signal| signal.fate == fate),
            "{outcome:?}"
        );
        let counts = (told.summary.coalesced, told.summary.rejected);
        let expected = if fate == "rejected" {
            (0, 1003)
        } else {
            (1003, 0)
        };
        assert_eq!((counts, told.summary.lost), (expected, 0), "{outcome:?}");
    }
    // Alone it is pending, and each is told.
    assert_eq!(in_vain(Outcome::BitAlone, 40).summary.coalesced, 0);
}

#[test]
fn they_are_what_the_last_told_one_was() {
    let mut w = World::new();
    let like = storm(&mut w, USR1, 1000);
    counted(&mut w, like, 234);
    let told = w.run();
    let signals: Vec<_> = signals(&told).collect();
    let counts: Vec<u64> = signals.iter().map(|s| s.count).collect();
    assert_eq!(counts, [1, 1, 1, 1000, 234]);
    for signal in signals {
        assert_eq!(
            (signal.fate, signal.reason),
            ("dropped", Some("init-no-handler"))
        );
        assert!(signal.settled);
    }
    assert_eq!(told.summary.dropped, 1237);
    assert_eq!(told.summary.signals, 1237);
    assert_eq!(told.summary.lost, 0);
}

#[test]
fn what_was_counted_while_its_target_lived_is_no_zombies() {
    let mut w = World::new();
    let like = storm(&mut w, USR1, 10);
    w.exit(&member(40, 1, "init"), 0);
    counted(&mut w, like, 20);
    let told = w.run();
    assert!(signals(&told).all(|s| s.reason == Some("init-no-handler")));
}

#[test]
fn a_kind_of_which_none_was_told_is_lost() {
    let mut w = World::new();
    let like = storm(&mut w, USR1, 1);
    let other = Like {
        number: TERM,
        ..like
    };
    counted(&mut w, other, 7);
    let told = w.run();
    assert!(told.reports.iter().filter_map(lost).eq([("signal", 7)]));
    assert_eq!(told.summary.lost, 7);
}

#[test]
fn one_alone_is_not_kept_for_what_is_counted() {
    let mut w = World::new();
    let (sh, one) = (host(50, "sh"), member(40, 1, "init"));
    w.send(&sh, &one, USR1).dropped();
    let like = Like::of(w.events.last().and_then(|e| e.fact.signal()).expect("it"));
    // The second and the third did not arrive.
    counted(&mut w, like, 7);
    let told = w.run();
    assert!(told.reports.iter().filter_map(lost).eq([("signal", 7)]));
    assert_eq!((told.summary.signals, told.summary.lost), (1, 7));
}

#[test]
fn what_concerns_nobody_is_nobodys_loss() {
    let mut w = World::new();
    let (sh, other) = (host(50, "sh"), host(60, "other"));
    w.send(&sh, &other, USR1).dropped();
    let like = Like::of(w.events.last().and_then(|e| e.fact.signal()).expect("it"));
    counted(&mut w, like, 99);
    let told = w.run();
    assert_eq!((signals(&told).count(), told.summary.lost), (0, 0));
}

#[test]
fn another_handler_is_another_kind() {
    let mut w = World::new();
    storm(&mut w, USR1, 1);
    let signal = w.events.iter().find_map(|e| e.fact.signal()).expect("it");
    let with = |handler| {
        let mut signal: Signal = signal.clone();
        signal.state.handler = handler;
        Like::of(&signal)
    };
    assert_eq!(with(Handler::User(1)), with(Handler::User(2)));
    assert_ne!(with(Handler::User(1)), with(Handler::Ignore));
}
