//! Which of the signals that wait a thread takes, and who comes between the queue
//! and the delivery.

use super::waiting::{pair, USER};
use super::world::*;
use crate::event::{Dispositions, Task};
use crate::explain::report::{Certainty, Evidence};
use crate::explain::signals::*;

#[test]
fn a_thread_takes_its_own_queue_first() {
    let (mut w, sh, app) = pair();
    let process = w.send(&sh, &app, USR1).handler(USER).go();
    let thread = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .tkill()
        .set(|s| s.target.tid = 105)
        .go();
    let worker = Task {
        tid: 105,
        ..app.clone()
    };
    w.deliver(&worker, USR1, USER);
    let told = w.run();
    assert_eq!(told.signal(thread).fate, "handled");
    assert_eq!(told.signal(process).fate, "pending");
    let (mut w, sh, app) = pair();
    let thread = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .tkill()
        .set(|s| s.target.tid = 105)
        .go();
    w.deliver(&app, USR1, USER);
    assert_eq!(
        w.run().signal(thread).fate,
        "pending",
        "another thread's delivery is not its own"
    );
}

#[test]
fn real_time_signals_queue_up() {
    let (mut w, sh, app) = pair();
    let a = w.send(&sh, &app, 40).handler(USER).go();
    let b = w.send(&sh, &app, 40).handler(USER).go();
    w.deliver(&app, 40, USER);
    let told = w.run();
    assert_eq!(
        (told.signal(a).fate, told.signal(b).fate),
        ("handled", "pending")
    );
}

#[test]
fn a_debugger_between_the_queue_and_the_delivery() {
    let (mut w, sh, app) = pair();
    let id = w
        .send(&sh, &app, TERM)
        .handler(USER)
        .set(|s| s.state.traced = true)
        .go();
    w.dequeue(&app, TERM, &["dequeue_signal", "get_signal"]);
    w.pass(300 * MS);
    w.deliver(&app, TERM, USER);
    assert_eq!(
        w.run().history_of(id),
        [("pending", false), ("handled", true)]
    );
}

#[test]
fn a_debugger_that_lets_no_signal_through() {
    for traced in [true, false] {
        let (mut w, sh, app) = pair();
        let id = w
            .send(&sh, &app, TERM)
            .handler(USER)
            .set(|s| s.state.traced = traced)
            .go();
        let got = w.dequeue(&app, TERM, &["dequeue_signal", "get_signal"]);
        w.pass(60 * MS);
        let empty = Dispositions {
            state: b't',
            ..Dispositions::default()
        };
        w.observe(&app, empty);
        w.pass(300 * MS);
        let second = w.send(&sh, &app, TERM).handler(USER).go();
        let told = w.run_until(w.now + 200 * MS);
        let s = told.signal(id);
        assert_eq!(
            (s.fate, s.reason, s.settled),
            ("pending", Some("traced"), false)
        );
        assert!(s.explanation.evidence.contains(&Evidence::Event(got)));
        // The next one, which it does let through.
        w.dequeue(&app, TERM, &["dequeue_signal", "get_signal"]);
        w.deliver(&app, TERM, USER);
        let told = w.run();
        assert_eq!(told.signal(second).fate, "handled");
        let s = told.signal(id);
        assert_eq!(
            (s.fate, s.reason, s.settled, s.explanation.certainty),
            ("swallowed", Some("tracer"), true, Certainty::Inferred)
        );
    }
    // Nothing comes after it.
    for sees_dequeue in [true, false] {
        let (mut w, sh, app) = pair();
        w.coverage.sees_dequeue = sees_dequeue;
        let id = w
            .send(&sh, &app, TERM)
            .handler(USER)
            .set(|s| s.state.traced = true)
            .go();
        if sees_dequeue {
            w.dequeue(&app, TERM, &["dequeue_signal", "get_signal"]);
        }
        w.pass(600 * MS);
        w.send(&sh, &app, USR1).handled();
        w.exit(&app, 0);
        assert_eq!(
            w.run().history_of(id),
            [("pending", false), ("swallowed", true)]
        );
    }
}

#[test]
fn of_several_equal_ones_at_a_death_only_the_last_is_known_to_have_waited() {
    for sees_dequeue in [true, false] {
        let (mut w, sh, app) = pair();
        w.coverage.sees_dequeue = sees_dequeue;
        let mut send = || {
            w.send(&sh, &app, RTMIN)
                .set(|s| s.state.blocked = bit(RTMIN))
                .go()
        };
        let (first, second) = (send(), send());
        let pending = bit(RTMIN);
        w.exit_with(&app, 0, true, pending);
        let told = w.run();
        // signalfd or sigwait may have taken it, and nobody saw that.
        let certainty = |id| {
            let signal = told.signal(id);
            assert_eq!(signal.fate, "died_first");
            signal.explanation.certainty
        };
        let of_first = if sees_dequeue {
            Certainty::Proven
        } else {
            Certainty::Inferred
        };
        assert_eq!(certainty(first), of_first);
        assert_eq!(certainty(second), Certainty::Proven);
    }
}
