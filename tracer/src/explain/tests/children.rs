//! A shell ends with 128 + n where a child of it was ended by signal n: which.

use super::world::*;
use crate::event::{Fact, Task};
use crate::explain::report::{Certainty, Evidence};
use crate::explain::signals::*;

fn family() -> (World, Task, Task, Task) {
    let (mut w, bash) = (World::new(), host(50, "bash"));
    let (sh, sleep) = (member(101, 2, "sh"), member(102, 3, "sleep"));
    w.fork(&bash, &sh);
    w.fork(&sh, &sleep);
    (w, bash, sh, sleep)
}

#[test]
fn a_shell_that_was_asked_itself_ended_for_that() {
    let (mut w, bash, sh, sleep) = family();
    w.send(&bash, &sh, TERM).handled();
    dies(&mut w, &sh, &sleep, TERM, Some(101));
    w.exit(&sh, 143 << 8);
    assert_eq!(
        chain(w.run().exit(&sh)),
        "exited with status 143 ← SIGTERM handled ← bash 50"
    );
}

/// The child dies of a signal and is reaped; then the shell exits.
fn dies(w: &mut World, by: &Task, child: &Task, number: i32, reaper: Option<u32>) -> u64 {
    w.send(by, child, number).fatal();
    let death = w.exit(child, number);
    w.push(Fact::Reap {
        key: child.key,
        by: reaper,
    });
    w.pass(MS);
    death
}

#[test]
fn the_child_that_it_waited_for() {
    let (mut w, bash, sh, sleep) = family();
    let death = dies(&mut w, &bash, &sleep, KILL, Some(101));
    w.exit(&sh, 137 << 8);
    let told = w.run();
    let e = told.exit(&sh);
    assert_eq!(
        e.explanation.sentences[1],
        "Its child sleep 102, which it had waited for, had been ended by SIGKILL 1.0 ms before."
    );
    assert!(e.explanation.evidence.contains(&Evidence::Event(death)));
    assert_eq!(
        chain(e),
        "exited with status 137 ← its child sleep 102 ended by SIGKILL ← SIGKILL ← bash 50"
    );
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn where_nobody_sees_who_reaps() {
    let (mut w, bash, sh, sleep) = family();
    w.coverage.sees_release = false;
    dies(&mut w, &bash, &sleep, KILL, None);
    w.exit(&sh, 137 << 8);
    let told = w.run();
    let e = told.exit(&sh);
    assert_eq!(
        e.explanation.sentences[1],
        "Its child sleep 102 had been ended by SIGKILL 1.0 ms before."
    );
    assert!(chain(e).contains("its child sleep 102 ended by SIGKILL"));
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
}

#[test]
fn no_child_that_says_nothing() {
    type Change = fn(&mut World, &Task, &Task, &Task);
    let cases: [(&str, Change); 4] = [
        ("another signal", |w, bash, _, sleep| {
            dies(w, bash, sleep, TERM, Some(101));
        }),
        ("reaped by another", |w, bash, _, sleep| {
            dies(w, bash, sleep, KILL, Some(77));
        }),
        ("long ago", |w, bash, _, sleep| {
            dies(w, bash, sleep, KILL, Some(101));
            w.pass(61_000 * MS);
        }),
        ("another's child", |w, bash, _, _| {
            let other = member(103, 4, "sleep");
            w.fork(bash, &other);
            dies(w, bash, &other, KILL, Some(50));
        }),
    ];
    for (case, change) in cases {
        let (mut w, bash, sh, sleep) = family();
        change(&mut w, &bash, &sh, &sleep);
        w.exit(&sh, 137 << 8);
        let said = why(w.run().exit(&sh));
        assert!(!said.contains("Its child"), "{case}: {said}");
    }
}
