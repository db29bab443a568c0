//! PID 1 ended in other ways, or part of the history is missing: what is said
//! then, and what is not.

use super::picture::*;
use super::world::*;
use crate::event::{Handler, Task};
use crate::explain::report::{Certainty, Evidence, Stop};
use crate::explain::signals::*;

#[test]
fn nothing_had_asked_pid1() {
    for (status, first) in [
        (0, "PID 1 exited, so the kernel killed everything left in its PID namespace (zap_pid_ns_processes)."),
        (3 << 8, "PID 1 exited with status 3, so the kernel killed everything left in its PID namespace (zap_pid_ns_processes)."),
    ] {
        let (mut w, _, one, child) = started();
        let told = end(&mut w, &one, &child, status);
        let e = told.exit(&child);
        assert_eq!(e.explanation.sentences[0], first);
        assert_eq!(second(e), "No SIGTERM was sent to PID 1: it exited on its own.");
        assert_eq!((e.explanation.certainty, e.stop.as_ref()), (Certainty::Proven, None));
        assert!(e.contributing.is_empty());
    }
}

#[test]
fn sigterm_left_out_or_lost() {
    type Change = fn(&mut World);
    let cases: [(&str, Change); 2] = [
        ("SIGTERM is left out by the signal filter", |w| {
            w.coverage.signals = all_but(TERM);
        }),
        ("3 signal events were lost", |w| {
            w.push(crate::event::Fact::Lost {
                kind: "signal",
                count: 3,
                slow_output: false,
            });
        }),
    ];
    for (because, change) in cases {
        // PID 1 acted on nothing that was seen.
        let (mut w, _, one, child) = started();
        change(&mut w);
        let told = end(&mut w, &one, &child, 0);
        let e = told.exit(&child);
        assert_eq!(
            second(e),
            format!("Whether PID 1 was asked to end (SIGTERM) is not known: {because}.")
        );
        assert_eq!(e.explanation.certainty, Certainty::Inferred);
        assert!(!e.explanation.missing.is_empty() && e.contributing.is_empty());
        // It was seen to act on one, but what it sent on is not known.
        let (mut w, sh, one, child) = started();
        if because.starts_with("SIGTERM") {
            continue;
        }
        w.send(&sh, &one, TERM).handled();
        change(&mut w);
        let told = end(&mut w, &one, &child, 0);
        let e = told.exit(&child);
        assert_eq!(
            second(e),
            format!(
                "PID 1 handled SIGTERM; whether this process got one too is not known: {because}."
            )
        );
        assert_eq!(e.explanation.certainty, Certainty::Inferred);
    }
}

#[test]
fn what_a_program_that_did_not_run_missed_may_be_anything() {
    let (mut w, _, one, child) = started();
    w.push(crate::event::Fact::Lost {
        kind: "not-run",
        count: 2,
        slow_output: false,
    });
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        second(told.exit(&child)),
        "Whether PID 1 was asked to end (SIGTERM) is not known: 2 signal events were lost."
    );
    // Also if it is noticed later.
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    w.push(crate::event::Fact::Lost {
        kind: "not-run",
        count: 2,
        slow_output: false,
    });
    let told = w.run();
    assert!(told.update_of(told.exit(&child).id).is_some());
}

#[test]
fn losses_before_the_stop_do_not_matter() {
    let (mut w, sh, one, child) = started();
    w.push(crate::event::Fact::Lost {
        kind: "signal",
        count: 3,
        slow_output: false,
    });
    w.pass(MS);
    w.send(&sh, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(told.exit(&child).explanation.certainty, Certainty::Proven);
    assert_eq!(told.summary.lost, 3);
    assert_eq!(told.summary.notes.len(), 1);
}

#[test]
fn pid1_killed_from_outside_after_a_dropped_stop() {
    let (mut w, sh, one, child) = started();
    let dockerd = host(900, "dockerd");
    let term = w.send(&sh, &one, TERM).dropped();
    w.pass(10_000 * MS);
    w.send(&dockerd, &one, KILL)
        .ancestry(&[(1, "systemd")])
        .fatal();
    w.exit(&one, KILL);
    w.zapped(&one, &child);
    let told = w.run();
    assert_eq!(told.signal(term).reason, Some("init-no-handler"));
    let e = told.exit(&one);
    assert_eq!(
        (e.cause, e.forced, e.exit_code),
        ("killed-by-process", true, 137)
    );
    assert!(
        why(e).contains(
            "dockerd 900 (container engine) killed it with SIGKILL from outside its PID namespace."
        ),
        "{}",
        why(e)
    );
    assert!(
        why(e)
            .contains("The SIGTERM that it got 10.0 s before had been dropped (init-no-handler)."),
        "{}",
        why(e)
    );
    assert_eq!(e.contributing, ["init-no-handler"]);
    assert!(matches!(e.stop, Some(Stop { signal: TERM, used_ns, .. }) if used_ns >= 10_000 * MS));
    let e = told.exit(&child);
    assert_eq!(
        e.explanation.sentences[0],
        "PID 1 was killed by SIGKILL, so the kernel killed everything left in its PID namespace (zap_pid_ns_processes)."
    );
    assert!(
        second(e).starts_with("SIGKILL leaves PID 1 no chance to pass anything on"),
        "{}",
        second(e)
    );
    assert_eq!(
        chain(e),
        "SIGKILL by the kernel ← PID 1 killed by SIGKILL ← SIGKILL ← dockerd 900 (container engine)"
    );
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn pid1_crashed() {
    let (mut w, _, one, child) = started();
    w.send(&one, &one, SEGV)
        .stack(&[
            "force_sig_info_to_task",
            "force_sig_fault",
            "__bad_area_nosemaphore",
            "exc_page_fault",
        ])
        .set(|s| {
            s.code = 1;
            s.to_process = false;
            s.state.pending = bit(SEGV);
            s.state.shared_pending = 0;
        })
        .go();
    w.push(crate::event::Fact::Deliver {
        task: one.clone(),
        number: SEGV,
        code: 1,
        info: crate::event::Info::Full,
        handler: Handler::Default,
        // force_sig_info_to_task takes the protection away.
        signal_flags: 0,
        group_exit_code: 0,
        traced: false,
        fault_at: None,
        orphaned: None,
    });
    w.exit(&one, SEGV | 0x80);
    w.zapped(&one, &child);
    let told = w.run();
    let e = told.exit(&one);
    assert_eq!(
        (e.cause, e.signal, e.core_dumped),
        ("fault", Some(SEGV), true)
    );
    assert!(e
        .explanation
        .evidence
        .contains(&Evidence::Stack("force_sig_fault".into())));
    let e = told.exit(&child);
    assert!(e.explanation.sentences[0].starts_with("PID 1 crashed (SIGSEGV), so the kernel"));
    assert_eq!(
        second(e),
        "It ended by SIGSEGV before it could pass anything on to its children."
    );
    assert!(!why(e).contains("SIGTERM"));
    let s = &told.summary;
    assert_eq!((s.exited, s.forced, s.ended_badly), (2, 1, 2));
}

#[test]
fn a_dropped_stop_and_an_exit_of_its_own() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).dropped();
    w.pass(3_000 * MS);
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        second(told.exit(&child)),
        "The SIGTERM that PID 1 got 3.0 s before did nothing (init-no-handler): PID 1 exited on its own."
    );
}

#[test]
fn raw_tracepoints_without_symbols() {
    let (mut w, sh, one, child) = started();
    w.coverage.sees_dequeue = false;
    w.coverage.sees_release = false;
    w.send(&sh, &one, TERM).handled();
    let end = w.exit(&one, 0);
    w.send(&exiting(&one), &child, KILL)
        .by_kernel()
        .unnamed()
        .fatal();
    w.exit(&child, KILL);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        (e.cause, e.explanation.certainty),
        ("pid1-exited", Certainty::Proven)
    );
    assert!(e.explanation.evidence.contains(&Evidence::Event(end)));

    // The exit of PID 1 was lost, its flag is enough; without it only likely.
    for (flags, certainty) in [(4, Certainty::Proven), (0, Certainty::Inferred)] {
        let (mut w, sh, one, child) = started();
        w.send(&sh, &one, TERM).handled();
        let dying = Task {
            flags,
            ..one.clone()
        };
        w.send(&dying, &child, KILL).by_kernel().unnamed().fatal();
        w.exit(&child, KILL);
        let told = w.run();
        let e = told.exit(&child);
        assert_eq!(
            (e.cause, e.explanation.certainty),
            ("pid1-exited", certainty)
        );
        assert_eq!(
            e.explanation.missing.is_empty(),
            certainty == Certainty::Proven
        );
    }
}

#[test]
fn the_sigkill_itself_was_lost() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    let end = w.exit(&one, 0);
    w.push(crate::event::Fact::Lost {
        kind: "signal",
        count: 1,
        slow_output: false,
    });
    w.exit(&child, KILL);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        (e.cause, e.explanation.certainty, e.forced),
        ("pid1-exited", Certainty::Inferred, true)
    );
    assert!(e.explanation.evidence.contains(&Evidence::Event(end)));
    assert!(
        e.explanation
            .missing
            .iter()
            .any(|m| m.contains("the SIGKILL itself")),
        "{:?}",
        e.explanation.missing
    );
}

#[test]
fn an_earlier_sigkill_is_the_cause() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &child, KILL).fatal();
    w.exit(&one, 0);
    w.exit(&child, KILL);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        (e.cause, e.mechanism),
        ("killed-by-process", Some("kill-syscall"))
    );
}

#[test]
fn a_loss_that_is_noticed_later_takes_the_proof_away() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    w.pass(300 * MS);
    w.push(crate::event::Fact::Lost {
        kind: "signal",
        count: 4,
        slow_output: false,
    });
    let told = w.run();
    let first = told.exit(&child);
    assert_eq!(first.explanation.certainty, Certainty::Proven);
    let now = told.update_of(first.id).expect("an update");
    assert_eq!(now.explanation.certainty, Certainty::Inferred);
    assert_eq!(
        second(now),
        "PID 1 handled SIGTERM; whether this process got one too is not known: 4 signal events were lost."
    );

    // What is proven by what was seen stays so.
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &child, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    w.push(crate::event::Fact::Lost {
        kind: "signal",
        count: 4,
        slow_output: false,
    });
    let told = w.run();
    assert!(told.update_of(told.exit(&child).id).is_none());
}

/// The usual end of a container whose child is too slow.
#[test]
fn pid1_killed_after_it_had_passed_the_stop_on() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &child, TERM).handled();
    w.pass(10_000 * MS);
    w.send(&host(900, "dockerd"), &one, KILL).fatal();
    w.exit(&one, KILL);
    w.zapped(&one, &child);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "PID 1 handled SIGTERM and sent it on to this process, whose handler began 10.0 s before the end; PID 1 was killed by SIGKILL."
    );
    assert_eq!(e.contributing, ["too-slow"]);
    assert!(!why(e).contains("no chance"), "{}", why(e));
    // It had not passed it on.
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.pass(10_000 * MS);
    w.send(&host(900, "dockerd"), &one, KILL).fatal();
    w.exit(&one, KILL);
    w.zapped(&one, &child);
    let told = w.run();
    let e = told.exit(&child);
    assert!(second(e).starts_with("This process never got the SIGTERM: PID 1 handled it"));
    assert_eq!(e.contributing, ["not-forwarded"]);
}

#[test]
fn pid1_killed_and_what_is_known_of_its_children() {
    let killed = |change: &dyn Fn(&mut World, &Task, &Task)| {
        let (mut w, sh, one, child) = started();
        change(&mut w, &one, &child);
        w.send(&sh, &one, TERM).dropped();
        w.send(&host(900, "dockerd"), &one, KILL).fatal();
        w.exit(&one, KILL);
        w.zapped(&one, &child);
        let told = w.run();
        let e = told.exit(&child);
        (second(e).to_owned(), why(e), e.explanation.certainty)
    };
    let (said, all, certainty) = killed(&|_, _, _| ());
    assert_eq!(said, "SIGKILL leaves PID 1 no chance to pass anything on, so this process was not told to end by it.");
    assert!(all.contains("The SIGTERM that PID 1 got"), "{all}");
    assert_eq!(certainty, Certainty::Proven);
    let (said, ..) = killed(&|w, one, child| {
        w.send(one, child, TERM).handled();
    });
    assert!(
        said.starts_with("PID 1 had sent this process SIGTERM "),
        "{said}"
    );
    let (said, _, certainty) = killed(&|w, one, _| {
        w.only(&[(one, "st")]);
    });
    assert!(
        said.contains("is not known: the filters leave out"),
        "{said}"
    );
    assert_eq!(certainty, Certainty::Inferred);
    let (said, _, certainty) = killed(&|w, _, _| w.coverage.since.0 += 500 * MS);
    assert!(
        said.ends_with("nothing since sigtrace was attached."),
        "{said}"
    );
    assert_eq!(certainty, Certainty::Proven);
}

#[test]
fn a_stop_whose_delivery_may_be_lost_did_not_do_nothing() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM)
        .set(|s| s.state.blocked = bit(TERM))
        .go();
    w.pass(5 * MS);
    w.exit(&one, 0);
    // What the explanation of PID 1's end did not know yet.
    w.push(crate::event::Fact::Lost {
        kind: "deliver",
        count: 1,
        slow_output: false,
    });
    w.zapped(&one, &child);
    w.exit(&child, KILL);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "PID 1 got SIGTERM 5.0 ms before; what it did with it is not known."
    );
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert_eq!(e.contributing, [] as [&str; 0]);
}
