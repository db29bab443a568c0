//! Signals that did nothing because nothing was left to do, and what a process
//! sends to itself.

use super::world::*;
use crate::event::{flag, Handler, Task};
use crate::explain::report::Certainty;
use crate::explain::signals::*;

/// `timeout 1 sleep 5`: SIGTERM to the child, SIGTERM to the own group, which it
/// ignores itself, and SIGCONT to the child and to the group.
#[test]
fn a_timeout_ends_its_child_and_nothing_needs_a_fix() {
    let (mut w, by, app) = (
        World::new(),
        member(101, 2, "timeout"),
        member(102, 3, "sleep"),
    );
    w.fork(&by, &app);
    let first = w.send(&by, &app, TERM).fatal();
    let dying = |s: &mut crate::event::Signal| {
        s.state.signal_flags |= flag::GROUP_EXIT;
        s.state.group_exit_code = TERM;
    };
    let again = w.send(&by, &app, TERM).set(dying).dropped();
    let group = ["__kill_pgrp_info", "kill_something_info", "__x64_sys_kill"];
    let own = w
        .send(&by, &by, TERM)
        .handler(Handler::Ignore)
        .stack(&group)
        .dropped();
    let cont = w.send(&by, &app, CONT).set(dying).dropped();
    w.exit(&app, TERM);
    let told = w.run();
    assert_eq!(told.signal(first).fate, "fatal");
    for (id, reason) in [
        (again, "target-exiting"),
        (own, "sig-ign"),
        (cont, "target-exiting"),
    ] {
        let s = told.signal(id);
        assert_eq!((s.fate, s.reason), ("dropped", Some(reason)));
        assert!(s.routine, "{s:?}");
        assert_eq!(s.explanation.advice, [""; 0]);
    }
    assert!(told.signal(again).explanation.sentences[0]
        .contains("ending already, of the SIGTERM of timeout 101, when SIGTERM came"));
    assert!(told.signal(own).explanation.sentences[0]
        .contains("sent SIGTERM to its whole process group and ignores it"));
    assert_eq!(told.summary.dropped, 0);
}

/// `trap "" TERM; kill $$`
#[test]
fn what_it_ignores_and_sends_itself_is_told() {
    let (mut w, app) = (World::new(), member(101, 2, "app"));
    let own = w.send(&app, &app, TERM).handler(Handler::Ignore).dropped();
    let told = w.run();
    let s = told.signal(own);
    assert!(!s.routine && !s.explanation.advice.is_empty());
    assert!(s.explanation.sentences[0].contains("sent SIGTERM itself and ignores it"));
    assert_eq!(told.summary.dropped, 1);
}

/// Who stops another's process makes it hang; a shell's `kill -STOP %1` and a process
/// that suspends itself do not.
#[test]
fn a_stop_by_somebody_else_is_told() {
    let (mut w, sh, app, child) = (
        World::new(),
        host(50, "sh"),
        member(101, 2, "app"),
        Task {
            ppid: 101,
            ..member(102, 3, "child")
        },
    );
    w.fork(&app, &child);
    for (by, to, routine) in [
        (&sh, &child, false),
        (&app, &child, true),
        (&app, &app, true),
    ] {
        let stop = w.send(by, to, STOP).go();
        w.deliver(to, STOP, Handler::Default);
        let cont = w
            .send(by, to, CONT)
            .set(|s| s.state.signal_flags = flag::CLD_CONTINUED)
            .dropped();
        let told = w.run();
        for (id, fate) in [(stop, "stopped"), (cont, "continued")] {
            let s = told.signal(id);
            assert_eq!((s.fate, s.routine), (fate, routine), "{s:?}");
        }
        let advice = &told.signal(stop).explanation.advice;
        assert_eq!(advice.is_empty(), by.key == to.key, "{advice:?}");
    }
}

#[test]
fn what_another_sends_to_the_dying_is_told() {
    let (mut w, by, sh, app) = (
        World::new(),
        member(101, 2, "timeout"),
        host(50, "sh"),
        member(102, 3, "sleep"),
    );
    w.send(&by, &app, TERM).fatal();
    let other = w.send(&sh, &app, TERM).dropped();
    let harder = w.send(&by, &app, INT).dropped();
    w.exit(&app, TERM);
    let ignored = w.send(&sh, &by, TERM).handler(Handler::Ignore).dropped();
    let told = w.run();
    for id in [other, harder, ignored] {
        assert!(!told.signal(id).routine);
    }
    assert!(!told.signal(ignored).explanation.advice.is_empty());
}

#[test]
fn a_sigcont_says_that_it_took_back_a_stop() {
    let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
    let stop = w.send(&sh, &app, STOP).go();
    let cont = w.send(&sh, &app, CONT).dropped();
    let nothing = w.send(&sh, &app, CONT).dropped();
    let told = w.run();
    assert_eq!(told.signal(stop).fate, "cancelled");
    let s = told.signal(cont);
    assert_eq!((s.fate, s.reason), ("continued", None));
    assert_eq!(s.explanation.certainty, Certainty::Proven);
    assert!(s.explanation.sentences[0].contains("removed the SIGSTOP that was still pending"));
    let s = told.signal(nothing);
    assert_eq!((s.fate, s.reason), ("dropped", Some("default-ignore")));
}

#[test]
fn sigkill_of_oneself() {
    let (mut w, app, one) = (World::new(), member(101, 2, "app"), member(100, 1, "init"));
    w.fork(&host(50, "sh"), &one);
    let own = w.send(&one, &one, KILL).dropped();
    let from_inside = w.send(&app, &one, KILL).dropped();
    w.send(&app, &app, KILL).fatal();
    w.exit(&app, KILL);
    let told = w.run();
    let s = told.signal(own);
    assert_eq!(s.reason, Some("init-no-handler"));
    assert!(s.explanation.sentences[0].starts_with("PID 1 sent SIGKILL to itself"));
    assert!(s.explanation.advice[0].contains("end with exit"));
    let s = told.signal(from_inside);
    assert!(s.explanation.advice[0].contains("from outside the PID namespace"));
    let words = why(told.exit(&app));
    assert!(
        words.starts_with("The process killed itself with SIGKILL."),
        "{words}"
    );
    assert!(!words.contains("handler"), "{words}");
}
