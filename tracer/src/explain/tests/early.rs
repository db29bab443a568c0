//! Requests to end that a PID 1 threw away before its handler was there.

use super::world::*;
use crate::event::{Dispositions, Task};
use crate::explain::report::{Certainty, Evidence};
use crate::explain::signals::*;

fn started() -> (World, Task, Task) {
    let mut w = World::new();
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    w.fork(&sh, &one);
    w.now = one.key.start_ns + 400 * MS;
    (w, sh, one)
}

fn caught(number: i32) -> Dispositions {
    Dispositions {
        caught: bit(number),
        state: b'S',
        ..Dispositions::default()
    }
}

#[test]
fn a_handler_that_a_look_finds_later() {
    let (mut w, sh, one) = started();
    let id = w.send(&sh, &one, TERM).dropped();
    w.pass(50 * MS).observe(&one, Dispositions::default());
    let early = w.run_until(w.now + 100 * MS);
    let s = early.signal(id);
    assert_eq!((s.fate, s.reason), ("dropped", Some("init-no-handler")));
    let said = s.explanation.sentences.join(" ");
    assert!(said.contains("PID 1 had run for 400 ms then."), "{said}");
    w.pass(450 * MS);
    let look = w.observe(&one, caught(TERM));
    w.pass(500 * MS).observe(&one, caught(TERM));
    let told = w.run();
    assert_eq!(told.history_of(id), [("dropped", true), ("dropped", true)]);
    let s = told.signal(id);
    assert_eq!(
        (s.reason, s.explanation.certainty),
        (Some("init-no-handler"), Certainty::Proven)
    );
    assert!(s.explanation.evidence.contains(&Evidence::Event(look)));
    let said = s.explanation.sentences.join(" ");
    assert!(
        said.contains("yet: it had run for 400 ms") && said.contains("500 ms later at the latest"),
        "{said}"
    );
    assert!(s.explanation.advice[0].contains("once PID 1 is ready"));
    assert_eq!(told.summary.dropped, 1, "counted once");
}

#[test]
fn a_handler_that_runs_later() {
    let (mut w, sh, one) = started();
    let id = w.send(&sh, &one, TERM).dropped();
    w.pass(300 * MS).send(&sh, &one, TERM).handled();
    let told = w.run();
    let said = told.signal(id).explanation.sentences.join(" ");
    assert!(said.contains("a handler was there 300 ms later"), "{said}");
}

#[test]
fn who_never_gets_a_handler_is_told_once() {
    let (mut w, sh, one) = started();
    let id = w.send(&sh, &one, TERM).dropped();
    w.pass(500 * MS).observe(&one, caught(INT));
    assert_eq!(w.run().history_of(id), [("dropped", true)]);
    // Hardly still starting.
    let (mut w, sh, one) = started();
    let id = w.pass(120_000 * MS).send(&sh, &one, TERM).dropped();
    let said = w.run().signal(id).explanation.sentences.join(" ");
    assert!(!said.contains("had run for"), "{said}");
}
