//! Signals that wait, and how they end.

use super::world::*;
use crate::event::{Dispositions, Fact, Handler, Info, Sight, Task};
use crate::explain::report::{Certainty, Evidence};
use crate::explain::signals::*;

pub(super) const USER: Handler = Handler::User(0x40_0000);

pub(super) fn pair() -> (World, Task, Task) {
    let mut w = World::new();
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    w.fork(&sh, &app);
    (w, sh, app)
}

#[test]
fn blocked_reported_after_100_ms_and_updated() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, TERM).handler(USER).blocked().go();
    w.pass(400 * MS);
    w.deliver(&app, TERM, USER);
    let told = w.run();
    assert_eq!(told.history_of(id), [("blocked", false), ("handled", true)]);
    assert!(told.signal(id).latency_ns.is_some_and(|l| l >= 400 * MS));
    let before = w.run_until(w.now - 200 * MS);
    let s = before.signal(id);
    assert_eq!(
        (s.fate, s.reason, s.settled),
        ("blocked", Some("blocked-mask"), false)
    );
    assert_eq!(s.explanation.certainty, Certainty::Proven);
    assert!(
        s.explanation.sentences[0].contains("waited for 100 ms"),
        "{:?}",
        s.explanation.sentences
    );
}

#[test]
fn a_fast_handler_gives_one_report() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, TERM).handled();
    assert_eq!(w.run().history_of(id), [("handled", true)]);
}

#[test]
fn evidence_that_is_no_report_says_what_it_is() {
    let (mut w, sh, app) = pair();
    let first = w.send(&sh, &app, USR1).handled();
    let second = w.send(&sh, &app, TERM).blocked().go();
    w.pass(10 * MS);
    let exit = w.exit_with(&app, 0, true, bit(TERM));
    let told = w.run();
    // The delivery is no line; the exit is one.
    let handled = &told.signal(first).explanation;
    assert_eq!(handled.moments, [(first + 1, "delivery")]);
    let died = &told.signal(second).explanation;
    assert!(died.evidence.contains(&Evidence::Event(exit)), "{died:?}");
    assert_eq!(died.moments, []);
}

#[test]
fn blocked_by_some_threads_only_is_not_blocked() {
    let (mut w, sh, app) = pair();
    let some = w
        .send(&sh, &app, TERM)
        .handler(USER)
        .set(|s| {
            (
                s.state.blocked,
                s.state.threads,
                s.state.threads_seen,
                s.state.threads_blocking,
            ) = (bit(TERM), 3, 3, 2);
        })
        .go();
    let all = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| {
            s.state.shared_pending |= bit(TERM);
            (
                s.state.threads,
                s.state.threads_seen,
                s.state.threads_blocking,
                s.state.threads_unable,
            ) = (3, 3, 2, 1);
        })
        .go();
    let told = w.run();
    assert_eq!(told.signal(some).fate, "pending");
    assert_eq!(told.signal(all).fate, "blocked");
}

#[test]
fn pending_says_why() {
    let (mut w, sh, app) = pair();
    let d = w
        .send(&sh, &app, TERM)
        .handler(USER)
        .set(|s| s.state.state = 2)
        .go();
    let told = w.run();
    assert_eq!(
        (told.signal(d).fate, told.signal(d).reason),
        ("pending", Some("uninterruptible"))
    );
    let (mut w, sh, app) = pair();
    let t = w
        .send(&sh, &app, TERM)
        .handler(USER)
        .set(|s| s.state.traced = true)
        .go();
    let told = w.run();
    assert_eq!(
        (told.signal(t).fate, told.signal(t).reason),
        ("pending", Some("traced"))
    );
    let (mut w, sh, app) = pair();
    let s = w
        .send(&sh, &app, TERM)
        .handler(USER)
        .set(|s| s.state.state = 4)
        .go();
    let told = w.run();
    assert_eq!(
        (told.signal(s).fate, told.signal(s).reason),
        ("pending", Some("stopped"))
    );
    let (mut w, sh, app) = pair();
    let n = w.send(&sh, &app, TERM).handler(USER).go();
    let told = w.run();
    assert_eq!(
        (told.signal(n).reason, told.signal(n).explanation.certainty),
        (None, Certainty::Inferred)
    );
}

#[test]
fn the_state_seen_later_counts_more() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, TERM).handler(USER).go();
    w.pass(60 * MS);
    let seen = Dispositions {
        shared_pending: bit(TERM),
        state: b'D',
        ..Dispositions::default()
    };
    w.observe(&app, seen);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.reason, s.explanation.certainty),
        (Some("uninterruptible"), Certainty::Proven)
    );
    // From its state at that moment alone, or with further threads: likely.
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, TERM).set(|s| s.state.state = 2).go();
    let (at_once, mut more) = (w.run(), pair().0);
    assert_eq!(
        at_once.signal(id).explanation.certainty,
        Certainty::Inferred
    );
    let id = more.send(&sh, &app, TERM).set(|s| s.state.threads = 3).go();
    more.pass(60 * MS);
    more.observe(&app, seen);
    let told = more.run();
    let s = told.signal(id);
    assert_eq!(s.reason, Some("uninterruptible"));
    assert_eq!(s.explanation.missing, ["the states of 2 further threads"]);
}

#[test]
fn a_blocked_sigcont_that_is_delivered_later_continues_nothing() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, CONT).blocked().go();
    w.pass(MS);
    w.deliver(&app, CONT, Handler::Default);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.fate, s.reason, s.settled),
        ("discarded", Some("default-ignore"), true)
    );
}

#[test]
fn accepted_by_signalfd_and_without_symbols() {
    let (mut w, sh, app) = pair();
    let fd = w.send(&sh, &app, TERM).blocked().go();
    w.dequeue(
        &app,
        TERM,
        &["bpf_trampoline_1", "signalfd_dequeue", "signalfd_read_iter"],
    );
    let unnamed = w.send(&sh, &app, USR1).blocked().go();
    w.push(Fact::Dequeue {
        task: app.clone(),
        number: USR1,
        stack: vec![],
    });
    w.pass(600 * MS);
    let told = w.run();
    let s = told.signal(fd);
    assert_eq!(
        (s.fate, s.explanation.certainty),
        ("accepted", Certainty::Proven)
    );
    assert!(s
        .explanation
        .evidence
        .contains(&Evidence::Stack("signalfd_dequeue".into())));
    let s = told.signal(unnamed);
    assert_eq!(
        (s.fate, s.explanation.certainty),
        ("accepted", Certainty::Inferred)
    );
    assert_eq!(told.history_of(unnamed), [("accepted", true)]);
}

#[test]
fn a_dequeue_by_get_signal_is_a_delivery() {
    for stack in [
        &["dequeue_signal", "get_signal", "arch_do_signal_or_restart"][..],
        &[],
    ] {
        let (mut w, sh, app) = pair();
        let id = w.send(&sh, &app, TERM).handler(USER).go();
        w.dequeue(&app, TERM, stack);
        w.deliver(&app, TERM, USER);
        w.pass(300 * MS);
        assert_eq!(w.run().history_of(id), [("handled", true)]);
        // A virtual CPU can be stopped between the two: nobody is told meanwhile that it
        // was accepted, that it waits, or that a debugger has it.
        let (mut w, sh, app) = pair();
        let id = w.send(&sh, &app, TERM).handler(USER).go();
        w.dequeue(&app, TERM, stack);
        w.pass(300 * MS);
        w.deliver(&app, TERM, USER);
        assert_eq!(w.run().history_of(id), [("handled", true)], "{stack:?}");
    }
}

#[test]
fn without_the_dequeue_hook_a_later_look_tells() {
    // The next signal finds the queue empty.
    let (mut w, sh, app) = pair();
    w.coverage.sees_dequeue = false;
    let id = w
        .send(&sh, &app, TERM)
        .set(|s| s.state.real_blocked = bit(TERM))
        .go();
    w.pass(MS);
    w.send(&sh, &app, USR1).handled();
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.fate, s.explanation.certainty),
        ("accepted", Certainty::Inferred)
    );
    assert!(s
        .explanation
        .evidence
        .iter()
        .any(|e| matches!(e, Evidence::Field(f) if f.contains("real_blocked"))));
    assert!(!s.explanation.missing.is_empty());

    // It is still there: nothing changes.
    let (mut w, sh, app) = pair();
    w.coverage.sees_dequeue = false;
    let id = w.send(&sh, &app, TERM).blocked().go();
    w.send(&sh, &app, USR1)
        .set(|s| s.state.shared_pending |= bit(TERM))
        .handled();
    assert_eq!(w.run().signal(id).fate, "blocked");

    // A look at /proc, and the end of the process.
    for exit in [false, true] {
        let (mut w, sh, app) = pair();
        w.coverage.sees_dequeue = false;
        let id = w.send(&sh, &app, TERM).blocked().go();
        w.pass(60 * MS);
        if exit {
            w.exit(&app, 0);
        } else {
            w.observe(
                &app,
                Dispositions {
                    state: b'S',
                    ..Dispositions::default()
                },
            );
        }
        let told = w.run();
        assert_eq!(
            (told.signal(id).fate, told.signal(id).explanation.certainty),
            ("accepted", Certainty::Inferred)
        );
    }
}

#[test]
fn what_a_look_finds_gone_is_not_told_to_wait() {
    let (mut w, sh, app) = pair();
    w.coverage.sees_dequeue = false;
    let id = w.send(&sh, &app, TERM).blocked().go();
    w.pass(70 * MS);
    let state = b'S';
    w.observe(
        &app,
        Dispositions {
            state,
            ..Dispositions::default()
        },
    );
    w.pass(300 * MS);
    assert_eq!(w.run().history_of(id), [("accepted", true)]);
}

#[test]
fn a_delivery_on_its_way_beats_the_look() {
    let (mut w, sh, app) = pair();
    w.coverage.sees_dequeue = false;
    let id = w.send(&sh, &app, TERM).handler(USER).go();
    w.pass(60 * MS);
    w.observe(
        &app,
        Dispositions {
            state: b'S',
            ..Dispositions::default()
        },
    );
    w.deliver(&app, TERM, USER);
    assert_eq!(w.run().history_of(id), [("handled", true)]);
}

#[test]
fn flushed_by_sigaction() {
    for sees_dequeue in [true, false] {
        let (mut w, sh, app) = pair();
        w.coverage.sees_dequeue = sees_dequeue;
        let id = w.send(&sh, &app, TERM).blocked().go();
        w.pass(60 * MS);
        w.observe(
            &app,
            Dispositions {
                state: b'S',
                ignored: bit(TERM),
                ..Dispositions::default()
            },
        );
        let told = w.run();
        let s = told.signal(id);
        assert_eq!((s.fate, s.reason), ("discarded", Some("sig-ign")));
        assert_eq!(s.explanation.certainty, Certainty::Inferred);
    }
}

#[test]
fn a_look_that_found_it_flushed_counts_at_the_end_too() {
    let (mut w, sh, app) = pair();
    w.coverage.sees_dequeue = false;
    let id = w.send(&sh, &app, TERM).blocked().go();
    w.pass(60 * MS);
    w.observe(
        &app,
        Dispositions {
            state: b'S',
            ignored: bit(TERM),
            ..Dispositions::default()
        },
    );
    w.pass(10 * MS);
    w.exit(&app, 0);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!((s.fate, s.reason), ("discarded", Some("sig-ign")));
}

#[test]
fn what_nobody_saw_taken_may_have_been_thrown_away() {
    // Blocked, set to be ignored and unblocked: no look saw it so.
    let (mut w, sh, app) = pair();
    w.coverage.sees_dequeue = false;
    let id = w.send(&sh, &app, USR1).blocked().go();
    w.pass(400 * MS);
    w.exit(&app, 0);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.fate, s.explanation.certainty),
        ("accepted", Certainty::Inferred)
    );
    let missing = s.explanation.missing.concat();
    assert!(missing.contains("sigaction"), "{missing}");
    assert!(s.explanation.sentences.concat().contains("most likely"));
    assert!(s.within_ns.is_some_and(|ns| ns >= 400 * MS));

    // A hook on the queue rules out that it was taken.
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, USR1).blocked().go();
    w.pass(400 * MS);
    w.exit(&app, 0);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!((s.fate, s.reason), ("discarded", Some("sig-ign")));
}

#[test]
fn a_lost_delivery_leaves_it_open_what_happened() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, TERM).handler(USER).go();
    w.push(Fact::Lost {
        kind: "deliver",
        count: 2,
        slow_output: false,
    });
    w.exit(&app, 0);
    let told = w.run();
    assert_eq!(
        (told.signal(id).fate, told.signal(id).explanation.certainty),
        ("unknown", Certainty::Unknown)
    );
    assert!(told.signal(id).explanation.missing[0].contains("2 lost deliveries"));
}

#[test]
fn delivered_without_a_handler_after_all() {
    let one = member(100, 1, "init");
    let (mut w, sh, app) = pair();
    let to_one = w.send(&sh, &one, TERM).blocked().go();
    w.pass(MS);
    w.deliver(&one, TERM, Handler::Default);
    let core = w.send(&sh, &app, QUIT).go();
    w.deliver(&app, QUIT, Handler::Default);
    w.push(Fact::Deliver {
        task: app.clone(),
        number: KILL,
        code: 0,
        info: Info::None,
        handler: Handler::Default,
        signal_flags: 4,
        group_exit_code: QUIT,
        traced: false,
        fault_at: None,
        orphaned: None,
    });
    w.exit(&app, QUIT | 0x80);
    let told = w.run();
    assert_eq!(
        (told.signal(to_one).fate, told.signal(to_one).reason),
        ("discarded", Some("init-no-handler"))
    );
    assert_eq!(
        (told.signal(core).fate, told.signal(core).cause),
        ("fatal", Some("killed-by-process"))
    );
    let e = told.exit(&app);
    assert_eq!(
        (e.cause, e.core_dumped, e.exit_code),
        ("killed-by-process", true, 131)
    );
    // The SIGKILL that ends its threads is no signal.
    assert_eq!(told.summary.signals, 2);
}

/// What is said of a SIGTSTP without handler, by what was asked of its group.
fn terminal_stop(
    number: i32,
    group: Option<bool>,
) -> (&'static str, Option<&'static str>, Certainty) {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, number).go();
    w.push(Fact::Deliver {
        task: app,
        number,
        code: 0,
        info: Info::Full,
        handler: Handler::Default,
        signal_flags: 0,
        group_exit_code: 0,
        traced: false,
        fault_at: None,
        orphaned: group,
    });
    let told = w.run();
    let s = told.signal(id);
    (s.fate, s.reason, s.explanation.certainty)
}

#[test]
fn a_terminals_stop_of_an_orphaned_group() {
    use Certainty::{Inferred, Proven};
    let orphaned = Some("orphaned-pgrp-stop");
    for number in [20, 21, 22] {
        assert_eq!(
            terminal_stop(number, Some(true)),
            ("discarded", orphaned, Proven)
        );
        assert_eq!(
            terminal_stop(number, Some(false)),
            ("stopped", None, Proven)
        );
        assert_eq!(terminal_stop(number, None), ("stopped", None, Inferred));
    }
    assert_eq!(terminal_stop(19, Some(true)), ("stopped", None, Proven));
}

#[test]
fn stop_and_continue() {
    let (mut w, sh, app) = pair();
    let stop = w.send(&sh, &app, STOP).go();
    w.deliver(&app, STOP, Handler::Default);
    let blocked = w.send(&sh, &app, TSTP).blocked().go();
    let cont = w
        .send(&sh, &app, CONT)
        .set(|s| s.state.signal_flags = 0x20)
        .dropped();
    let told = w.run();
    assert_eq!(
        (told.signal(stop).fate, told.signal(stop).routine),
        ("stopped", false)
    );
    assert_eq!(told.signal(blocked).fate, "cancelled");
    assert!(told
        .signal(blocked)
        .explanation
        .evidence
        .contains(&Evidence::Event(cont)));
    assert_eq!(told.signal(cont).fate, "continued");
}

/// A look at it, in this state.
fn seen(w: &mut World, task: &Task, state: u8, sight: Sight) -> u64 {
    w.push(Fact::Observed {
        key: task.key,
        dispositions: Some(Dispositions {
            state,
            shared_pending: bit(USR1),
            ..Dispositions::default()
        }),
        sight,
    })
}

fn cold(v1: bool) -> Sight {
    Sight {
        frozen: Some(("/pod\x1b".into(), v1)),
        ..Sight::default()
    }
}

#[test]
fn a_frozen_process_waits_for_its_group() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    w.pass(50 * MS);
    seen(&mut w, &app, b'S', cold(false));
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.fate, s.reason, s.explanation.certainty),
        ("pending", Some("frozen"), Certainty::Proven)
    );
    let text = &s.explanation.sentences[0];
    assert!(text.contains("control group /pod\\u{1b}."), "{text}");
}

/// A busy machine comes to look only after a while.
#[test]
fn why_it_waits_is_told_once_it_was_looked_at() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    w.pass(300 * MS);
    assert_eq!(w.run_before_end().history_of(id), []);
    seen(&mut w, &app, b'S', cold(false));
    w.pass(MS);
    let told = w.run_before_end();
    assert_eq!(told.history_of(id), [("pending", false)]);
    assert_eq!(told.signal(id).reason, Some("frozen"));
}

/// The first look may come too late for the first report.
#[test]
fn what_a_later_look_shows_is_told_once() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    w.pass(600 * MS);
    for _ in 0..2 {
        seen(&mut w, &app, b'S', cold(false));
        w.pass(900 * MS);
    }
    w.deliver(&app, USR1, USER);
    let told = w.run();
    let expected = [("pending", false), ("pending", false), ("handled", true)];
    assert_eq!(told.history_of(id), expected);
}

#[test]
fn the_place_of_an_uninterruptible_sleep_is_named() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    w.pass(50 * MS);
    let sight = Sight {
        function: Some("nfs_wait".into()),
        ..Sight::default()
    };
    seen(&mut w, &app, b'D', sight);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(s.reason, Some("uninterruptible"));
    let text = &s.explanation.sentences[0];
    assert!(text.contains("in the kernel, in nfs_wait, where"), "{text}");
}

#[test]
fn a_look_that_comes_after_the_report_proves_it() {
    let (mut w, sh, app) = pair();
    let id = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| s.state.state = 2)
        .go();
    w.pass(550 * MS);
    let told = w.run_until(w.now);
    assert_eq!(told.signal(id).explanation.certainty, Certainty::Inferred);
    seen(&mut w, &app, b'D', Sight::default());
    w.pass(50 * MS);
    let told = w.run_until(w.now);
    assert_eq!(told.signal(id).explanation.certainty, Certainty::Proven);
}

#[test]
fn a_parent_in_vfork_waits_for_its_child() {
    const KILLABLE: u32 = 0x102;
    let told = |number: i32, handler: Handler, pending: u64, function: Option<&str>| {
        let (mut w, sh, app) = pair();
        let sending = w.send(&sh, &app, number).handler(handler);
        let id = sending
            .set(|s| {
                s.state.state = KILLABLE;
                s.state.shared_pending |= pending;
            })
            .go();
        w.pass(60 * MS);
        let sight = Sight {
            function: function.map(Into::into),
            ..Sight::default()
        };
        let both = Dispositions {
            shared_pending: bit(number) | pending,
            state: b'D',
            ..Dispositions::default()
        };
        w.push(Fact::Observed {
            key: app.key,
            dispositions: Some(both),
            sight,
        });
        let told = w.run();
        let s = told.signal(id);
        assert_eq!((s.fate, s.reason), ("pending", Some("uninterruptible")));
        s.explanation.sentences.concat()
    };
    let said = told(USR1, USER, 0, Some("kernel_clone"));
    assert!(
        said.contains("vfork(2)") && !said.contains("disk"),
        "{said}"
    );
    assert!(said.contains("SIGKILL, or one like SIGTERM"), "{said}");
    // It would be fatal, but for the one before (wants_signal).
    let said = told(TERM, Handler::Default, bit(USR1), Some("kernel_clone"));
    assert!(said.contains("another signal been waiting"), "{said}");
    // Elsewhere it is not known to be that; where the place is hidden, it may be.
    let said = told(USR1, USER, 0, Some("nfs_wait_bit_killable"));
    assert!(said.contains("network file system"), "{said}");
    let said = told(USR1, USER, 0, None);
    assert!(said.contains("as the parent in vfork(2)"), "{said}");
}

#[test]
fn a_sigkill_that_does_not_kill_is_told_and_told_again_when_it_does() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, KILL).fatal();
    w.pass(400 * MS);
    // Not yet: a process may take a moment to end.
    seen(&mut w, &app, b'D', Sight::default());
    w.pass(700 * MS);
    seen(&mut w, &app, b'D', cold(true));
    let before = w.run_until(w.now + 50 * MS);
    let s = before.signal(id);
    assert_eq!(
        (s.fate, s.settled, s.reason),
        ("fatal", false, Some("frozen"))
    );
    let text = &s.explanation.sentences[0];
    assert!(
        text.starts_with("1.1 s after SIGKILL the process is still there: it is frozen"),
        "{text}"
    );
    w.pass(2_000 * MS);
    w.exit(&app, KILL);
    let told = w.run();
    assert_eq!(
        told.history_of(id),
        [("fatal", true), ("fatal", false), ("fatal", true)]
    );
    let s = told.signal(id);
    assert_eq!((s.reason, s.cause), (None, Some("killed-by-process")));
    assert!(s.explanation.sentences[0].starts_with("The process ended 3.1 s after SIGKILL."));
}

#[test]
fn one_that_dies_in_time_is_not_looked_at() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, KILL).fatal();
    w.exit(&app, KILL);
    w.pass(1_500 * MS);
    seen(&mut w, &app, b'D', Sight::default());
    assert_eq!(w.run().history_of(id), [("fatal", true)]);
}
