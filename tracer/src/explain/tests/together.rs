//! PID 1 and its children are asked to end by the same hand, not one by the
//! other.

use super::picture::*;
use super::world::*;
use crate::explain::report::Certainty;
use crate::explain::signals::*;

const BEFORE: &str = "This process had got SIGTERM from sh 16350 51.1 ms before, and handled it, and had not ended; PID 1 exited without waiting for it.";

#[test]
fn the_child_first_then_pid1() {
    // kill $CHILD $ONE
    let (mut w, sh, one, child) = started();
    w.send(&sh, &child, TERM).handled();
    w.send(&sh, &one, TERM).handled();
    w.pass(50 * MS);
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(second(e), BEFORE);
    assert_eq!(e.contributing, ["too-slow"]);
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn pid1_first_then_the_child() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&sh, &child, TERM).handled();
    w.pass(50 * MS);
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(second(told.exit(&child)), BEFORE);
}

#[test]
fn one_kill_for_each() {
    let (mut w, _, one, child) = started();
    let kill = |pid| crate::event::Task {
        ppid: 15990,
        ..host(pid, "kill")
    };
    w.send(&kill(16350), &child, TERM).blocked().go();
    w.pass(10 * MS);
    w.send(&kill(16351), &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    assert!(
        second(told.exit(&child)).starts_with("This process had got SIGTERM from kill 16350 "),
        "{}",
        second(told.exit(&child))
    );
}

#[test]
fn another_one_of_another_hand_is_no_part_of_the_stop() {
    let (mut w, sh, one, child) = started();
    let mut cron = host(600, "cron");
    cron.ppid = 590;
    w.send(&cron, &child, TERM).handled();
    w.pass(60_000 * MS);
    w.send(&sh, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "This process never got the SIGTERM: PID 1 handled it and sent nothing on."
    );
    assert_eq!(
        e.explanation.sentences[2],
        "It had handled another SIGTERM from cron 600, sent 60.0 s before that to PID 1."
    );
    assert_eq!(e.contributing, ["not-forwarded"]);
}

#[test]
fn what_became_of_it_may_not_be_known() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&sh, &child, TERM).blocked().go();
    w.push(crate::event::Fact::Lost {
        kind: "deliver",
        count: 3,
        slow_output: false,
    });
    w.observe(&child, crate::event::Dispositions::default());
    w.pass(200 * MS);
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert!(
        second(e).contains(" before, and what became of it is not known; PID 1 exited"),
        "{}",
        second(e)
    );
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert!(e.contributing.is_empty());
}
