//! Those who are ending and not dead yet: a core dump is written, or a PID 1 waits for
//! the last of its namespace.

use super::world::*;
use crate::event::{Handler, Task};
use crate::explain::report::Certainty;
use crate::explain::signals::*;

/// Aborts, and has begun to write its core dump.
fn aborts(w: &mut World, app: &Task) -> u64 {
    w.fork(&host(50, "sh"), app);
    let abort = w.send(app, app, ABRT).tkill().go();
    w.deliver(app, ABRT, Handler::Default);
    abort
}

#[test]
fn sigkill_ends_a_core_dump_and_not_the_process() {
    let (mut w, sh, app) = (World::new(), host(50, "sh"), member(101, 2, "app"));
    let abort = aborts(&mut w, &app);
    let term = w
        .send(&sh, &app, TERM)
        .set(|s| s.state.dumping = true)
        .dropped();
    let kill = w
        .send(&sh, &app, KILL)
        .set(|s| s.state.dumping = true)
        .fatal();
    w.exit(&app, KILL);
    let told = w.run();
    assert_eq!(told.signal(abort).fate, "fatal");
    let term = told.signal(term);
    assert_eq!(
        (term.fate, term.reason),
        ("dropped", Some("target-dumping"))
    );
    let kill = told.signal(kill);
    assert_eq!(
        (kill.fate, kill.cause),
        ("fatal", Some("killed-by-process"))
    );
    let said = kill.explanation.sentences.join(" ");
    assert!(said.starts_with("The process was writing a core dump, because of SIGABRT; sh 50 ended that with SIGKILL"), "{said}");
    let e = told.exit(&app);
    assert_eq!((e.cause, e.mechanism), ("abort", Some("tkill-syscall")));
    assert_eq!((e.signal, e.exit_code, e.forced), (Some(KILL), 137, false));
    assert_eq!(e.explanation.certainty, Certainty::Proven);
    assert!(
        why(e).contains("when sh 50 ended that with SIGKILL: so its status names SIGKILL (137)"),
        "{}",
        why(e)
    );
}

#[test]
fn a_pid1_that_has_exited_is_no_zombie_before_the_others_are_gone() {
    let (mut w, sh, one) = (World::new(), host(50, "sh"), member(100, 1, "app"));
    w.fork(&sh, &one);
    w.exit(&one, 0);
    let early = w
        .send(&sh, &exiting(&one), KILL)
        .set(|s| s.state.signal_flags = crate::event::flag::GROUP_EXIT)
        .dropped();
    let late = w
        .send(&sh, &exiting(&one), KILL)
        .set(|s| s.state.exit_state = 32)
        .dropped();
    let told = w.run();
    let early = told.signal(early);
    assert_eq!(
        (early.fate, early.reason),
        ("dropped", Some("target-exiting"))
    );
    let why = early.explanation.sentences.join(" ");
    assert!(why.contains("exiting already"), "{why}");
    assert!(why.contains("until every other process of its PID namespace is gone"));
    assert_eq!(told.signal(late).reason, Some("zombie"));
}

/// Ends a process with the mark that another's core dump leaves (before 5.16).
fn zapped(w: &mut World, task: &Task, number: i32) {
    w.push(crate::event::Fact::Exit {
        task: exiting(task),
        group_dead: true,
        status: number,
        signal_flags: crate::event::flag::GROUP_EXIT | crate::event::flag::GROUP_COREDUMP_5_10,
        pending: 0,
        pdeath_signal: 0,
        call: crate::event::Detail::None,
        ancestry: vec![],
        stack: frames(&["do_exit", "do_group_exit", "get_signal"]),
    });
}

#[test]
fn the_core_dump_of_another_ends_those_who_share_its_memory() {
    let (parent, child) = (member(101, 2, "parent"), member(102, 3, "child"));
    let mut w = World::new();
    w.fork(&host(50, "sh"), &parent);
    w.fork(&parent, &child);
    w.send(&child, &child, SEGV)
        .by_kernel()
        .stack(&["force_sig_fault", "exc_page_fault"])
        .go();
    w.deliver(&child, SEGV, Handler::Default);
    zapped(&mut w, &parent, SEGV);
    w.exit(&child, SEGV | 0x80);
    let late = w.send(&host(50, "sh"), &exiting(&parent), KILL).set(|s| {
        s.state.signal_flags =
            crate::event::flag::GROUP_EXIT | crate::event::flag::GROUP_COREDUMP_5_10;
        s.state.exit_state = 32;
    });
    let late = late.go();
    let told = w.run();
    assert_eq!(told.signal(late).reason, Some("zombie"));
    let e = told.exit(&parent);
    assert_eq!(
        (e.cause, e.mechanism, e.explanation.certainty),
        ("coredump-zap", Some("kernel-signal"), Certainty::Inferred)
    );
    assert!(why(e).contains("Nobody sent it a signal"), "{}", why(e));
    assert!(why(e).contains("only child 102 died of SIGSEGV"));
    assert_eq!(
        chain(e),
        "ended as if by SIGSEGV ← core dump of a process that shares its memory: child 102 ← \
         SIGSEGV by the kernel ← fault"
    );
    assert_eq!(told.exit(&child).cause, "fault");
}

#[test]
fn of_two_dumps_at_once_neither_is_named() {
    let (parent, child) = (member(101, 2, "parent"), member(102, 3, "child"));
    let mut w = World::new();
    for task in [&child, &member(103, 4, "other")] {
        w.deliver(task, SEGV, Handler::Default);
    }
    zapped(&mut w, &parent, SEGV);
    let told = w.run();
    let e = told.exit(&parent);
    assert_eq!(e.cause, "coredump-zap");
    assert!(!why(e).contains("child"), "{}", why(e));
    assert!(chain(e).ends_with("that shares its memory"), "{}", chain(e));
}
