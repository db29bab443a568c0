//! Whoever was asked to end, and ends another: the chain goes on to who had asked.

use super::world::*;
use crate::event::Task;
use crate::explain::report::{Certainty, ExitReport};
use crate::explain::signals::*;

/// `relay` gets a signal, and after a while sends another to `app`.
fn relayed(asked: i32, after: u64, sent: i32) -> ExitReport {
    let (sh, relay, app) = people();
    let mut w = World::new();
    w.send(&sh, &relay, asked).handled();
    w.pass(after);
    w.send(&relay, &app, sent).fatal();
    w.exit(&app, sent);
    w.run().exit(&app).clone()
}

fn people() -> (Task, Task, Task) {
    (
        host(50, "sh"),
        member(101, 2, "relay"),
        member(102, 3, "app"),
    )
}

#[test]
fn the_same_request_at_once_is_passed_on() {
    let death = relayed(TERM, MS, TERM);
    assert_eq!(
        chain(&death),
        "SIGTERM ← relay 101 ← SIGTERM handled by relay ← sh 50"
    );
    assert_eq!(death.explanation.certainty, Certainty::Proven);
    assert!(why(&death).contains(
        "relay 101 passed on the request to end that it had got (SIGTERM): nothing was forced."
    ));
}

#[test]
fn what_only_the_order_in_time_tells_is_inferred() {
    for (asked, after, sent, name) in [
        (TERM, MS, KILL, "SIGKILL"),
        // ^C at a shell, and a kill(1) that is typed right after.
        (INT, 300 * MS, TERM, "SIGTERM"),
        (TERM, 30_000 * MS, TERM, "SIGTERM"),
        (QUIT, 30_000 * MS, TERM, "SIGTERM"),
    ] {
        let death = relayed(asked, after, sent);
        let request = name_of(asked);
        assert_eq!(
            chain(&death),
            format!("{name} ← relay 101 ← {request} handled by relay ← sh 50")
        );
        assert_eq!(death.explanation.certainty, Certainty::Inferred);
        let missing = &death.explanation.missing;
        assert!(missing[0].contains("only the order in time"), "{missing:?}");
        assert!(why(&death).contains(&format!("relay 101 had handled {request} ")));
    }
}

fn name_of(number: i32) -> String {
    crate::explain::signals::name(number).to_string()
}

#[test]
fn what_has_nothing_to_do_with_it_is_left_alone() {
    for (asked, after, sent) in [
        (TERM, 61_000 * MS, KILL),
        // ^C at a shell, and a kill that somebody types a while later.
        (INT, 2_000 * MS, KILL),
        (HUP, MS, KILL),
        (TERM, MS, USR1),
    ] {
        let death = relayed(asked, after, sent);
        let said = chain(&death);
        assert!(said.ends_with("relay 101"), "{said}");
        assert_eq!(death.explanation.certainty, Certainty::Proven, "{said}");
    }
}

/// A child of `relay` that sends it, made before or after that was asked.
fn by_child(after: bool) -> ExitReport {
    let sh = host(50, "sh");
    let (relay, app) = (member(100, 1, "run.sh"), member(102, 3, "app"));
    let mut w = World::new();
    let mut kill = member(103, 4, "kill");
    kill.key.start_ns = w.now - MS;
    w.send(&sh, &relay, TERM).handled();
    if after {
        kill.key.start_ns = w.now + MS;
    }
    w.pass(2 * MS);
    let parent = crate::event::Ancestor {
        key: relay.key,
        comm: relay.comm,
    };
    w.send(&kill, &app, TERM)
        .set(|s| s.ancestry = vec![parent])
        .fatal();
    w.exit(&app, TERM);
    w.run().exit(&app).clone()
}

#[test]
fn a_child_that_was_made_to_send_it_leads_to_its_maker() {
    let death = by_child(true);
    assert_eq!(
        chain(&death),
        "SIGTERM ← kill 103 ← PID 1 run.sh 100 ← SIGTERM handled by PID 1 ← sh 50"
    );
    assert!(why(&death).contains("PID 1 passed on the request to end"));
    assert_eq!(death.explanation.certainty, Certainty::Proven);
    // One that was there before sends for reasons of its own.
    assert_eq!(chain(&by_child(false)), "SIGTERM ← kill 103 ← run.sh 100");
}

#[test]
fn those_who_ask_each_other_come_to_an_end() {
    let (_, a, b) = people();
    let mut w = World::new();
    for _ in 0..30 {
        w.send(&a, &b, TERM).handled();
        w.send(&b, &a, TERM).handled();
    }
    w.send(&a, &b, KILL).fatal();
    w.exit(&b, KILL);
    let told = w.run();
    let links = told.exit(&b).chain.len();
    assert!((10..80).contains(&links), "{links}");
}
