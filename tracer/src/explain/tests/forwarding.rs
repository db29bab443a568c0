//! PID 1 ended and its namespace with it: what is said about the stop signal,
//! in each situation.

use super::world::*;
use crate::event::{Handler, Task};
use crate::explain::report::{Certainty, Evidence, Sender, Stop};
use crate::explain::signals::*;

const ANCESTRY: &[(u32, &str)] = &[(15990, "bash"), (1201, "sshd"), (1, "systemd")];

/// The actors of the picture.
fn cast() -> (Task, Task, Task) {
    (
        host(16350, "sh"),
        member(16301, 1, "c-init-sig"),
        member(16341, 2, "c-init-sig"),
    )
}

/// PID 1 has started its child.
fn started() -> (World, Task, Task, Task) {
    let (sh, one, child) = cast();
    let mut w = World::new();
    w.fork(&sh, &one);
    w.fork(&one, &child);
    w.pass(1_000 * MS);
    (w, sh, one, child)
}

#[test]
fn the_picture() {
    let (mut w, sh, one, child) = started();
    let term = w.send(&sh, &one, TERM).ancestry(ANCESTRY).handled();
    w.pass(MS);
    let end = w.exit(&one, 0);
    let kill = w.zap(&one, &child);
    w.exit(&child, KILL);
    let told = w.run();

    let s = told.signal(term);
    assert_eq!((s.fate, s.settled, s.reason), ("handled", true, None));
    assert_eq!(s.latency_ns, Some(50_000));
    assert!(matches!(&s.sender, Sender::Process { task, .. } if task.comm == sh.comm));

    let s = told.signal(kill);
    assert_eq!(
        (s.fate, s.cause, s.mechanism),
        ("fatal", Some("pid1-exited"), Some("kernel-signal"))
    );
    assert!(matches!(&s.sender, Sender::Kernel { on_behalf_of: Some(t) } if t.key == one.key));

    let e = told.exit(&one);
    assert_eq!(
        (e.cause, e.exit_code, e.forced, e.pid1),
        ("exit", 0, false, true)
    );
    assert_eq!(
        chain(e),
        "PID 1 exited with status 0 ← SIGTERM handled by PID 1 ← sh 16350 ← bash 15990 ← sshd 1201"
    );

    let e = told.exit(&child);
    assert_eq!(
        (e.cause, e.mechanism, e.exit_code, e.forced),
        ("pid1-exited", Some("kernel-signal"), 137, true)
    );
    assert_eq!(
        e.explanation.certainty,
        Certainty::Proven,
        "{:?}",
        e.explanation.missing
    );
    assert!(e.explanation.missing.is_empty());
    assert_eq!(
        e.explanation.sentences,
        [
            "PID 1 exited, so the kernel killed everything left in its PID namespace (zap_pid_ns_processes).",
            "This process never got the SIGTERM: PID 1 handled it and sent nothing on.",
        ]
    );
    assert_eq!(
        chain(e),
        "SIGKILL by the kernel ← PID 1 exited with status 0 ← SIGTERM handled by PID 1 ← sh 16350 ← bash 15990 ← sshd 1201"
    );
    let events: Vec<_> = e.chain.iter().map(|l| l.event).collect();
    assert_eq!(events, [Some(kill), Some(end), Some(term), None]);
    assert!(e
        .explanation
        .evidence
        .contains(&Evidence::Stack("zap_pid_ns_processes".into())));
    assert_eq!(
        e.explanation.advice,
        ["forward SIGTERM in PID 1 and wait for the children, or use an init that does (docker run --init, tini)."]
    );
    assert_eq!(e.contributing, ["not-forwarded"]);
    assert!(
        matches!(e.stop, Some(Stop { signal: TERM, used_ns }) if (MS..2 * MS).contains(&used_ns))
    );
    assert_eq!(
        (
            told.summary.exited,
            told.summary.forced,
            told.summary.dropped
        ),
        (2, 1, 0)
    );
    assert!(told.ended && told.summary.ended);
}

/// PID 1 exits with a status, the child is killed with the namespace; what is
/// said about the child.
fn end(w: &mut World, one: &Task, child: &Task, status: i32) -> Told {
    w.pass(MS);
    w.exit(one, status);
    w.zapped(one, child);
    w.run()
}

/// Every sentence that is said in one of the situations; no two are the same.
fn second(e: &crate::explain::report::ExitReport) -> &str {
    assert_eq!(e.cause, "pid1-exited");
    &e.explanation.sentences[1]
}

#[test]
fn forwarded_but_the_handler_was_not_done() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    let on = w.send(&one, &child, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "PID 1 handled SIGTERM and sent it on to this process, whose handler began 1.0 ms before the end; PID 1 exited without waiting for it to finish."
    );
    assert_eq!(e.contributing, ["too-slow"]);
    assert!(e.explanation.evidence.contains(&Evidence::Event(on)));
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn forwarded_but_blocked_by_the_child() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    let on = w.send(&one, &child, TERM).blocked().go();
    w.pass(200 * MS);
    w.exit(&one, 0);
    w.zap_pending(&one, &child, bit(TERM));
    w.exit_with(&child, KILL, true, bit(TERM));
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "PID 1 handled SIGTERM and sent it on to this process, which blocked it and had not acted on it 200 ms later, when PID 1 exited without waiting."
    );
    assert_eq!(e.contributing, ["blocked-mask"]);
    assert_eq!(
        told.history_of(on),
        [("blocked", false), ("died_first", true)]
    );
}

#[test]
fn forwarded_but_not_yet_delivered() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    let on = w
        .send(&one, &child, TERM)
        .handler(Handler::User(0x1000))
        .go();
    w.exit(&one, 0);
    w.zap_pending(&one, &child, bit(TERM));
    w.exit_with(&child, KILL, true, bit(TERM));
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "PID 1 handled SIGTERM and sent it on to this process, which had not got to act on it 20 µs later, when PID 1 exited without waiting."
    );
    assert_eq!(e.contributing, ["too-slow"]);
    assert_eq!(told.history_of(on), [("died_first", true)]);
}

#[test]
fn forwarded_but_ignored_by_the_child() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    let on = w
        .send(&one, &child, TERM)
        .handler(Handler::Ignore)
        .dropped();
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        (told.signal(on).fate, told.signal(on).reason),
        ("dropped", Some("sig-ign"))
    );
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "PID 1 handled SIGTERM and sent it on to this process, which ignores SIGTERM (SIG_IGN): it was dropped."
    );
    assert_eq!(e.contributing, ["sig-ign"]);
    assert_eq!(told.summary.dropped, 1);
}

#[test]
fn another_signal_instead() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &child, USR1).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "PID 1 handled SIGTERM, but sent this process SIGUSR1 instead, which it handled and outlived."
    );
    assert_eq!(e.contributing, ["not-forwarded"]);
}

#[test]
fn sent_on_to_others_only() {
    let (mut w, sh, one, child) = started();
    let other = member(16342, 3, "worker");
    w.fork(&one, &other);
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &other, TERM).fatal();
    w.exit(&other, TERM);
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        second(told.exit(&child)),
        "This process never got the SIGTERM: PID 1 handled it and sent it on to 1 other process, not to this one."
    );
    let e = told.exit(&other);
    assert_eq!(
        (e.cause, e.mechanism, e.forced, e.exit_code),
        ("killed-by-process", Some("kill-syscall"), false, 143)
    );
    assert_eq!(
        chain(e),
        "SIGTERM ← PID 1 c-init-sig 16301 ← SIGTERM handled by PID 1 ← sh 16350",
        "the chain goes on behind PID 1"
    );
    assert!(why(e).contains("passed that on: nothing was forced"));
}

#[test]
fn started_after_the_stop_had_begun() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    let mut late = member(16343, 4, "late");
    late.key.start_ns = w.now + 5 * MS;
    w.pass(5 * MS);
    w.fork(&one, &late);
    w.pass(MS);
    w.exit(&one, 0);
    w.zapped(&one, &late);
    w.zapped(&one, &child);
    let told = w.run();
    assert!(
        second(told.exit(&late))
            .starts_with("This process never got the SIGTERM: it was started only 5.0 ms after"),
        "{}",
        second(told.exit(&late))
    );
    assert_eq!(
        second(told.exit(&child)),
        "This process never got the SIGTERM: PID 1 handled it and sent nothing on."
    );
}

#[test]
fn from_elsewhere() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&sh, &child, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    assert!(
        second(told.exit(&child)).starts_with("This process had got SIGTERM from sh 16350 "),
        "{}",
        second(told.exit(&child))
    );
}

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
fn attached_after_the_sigterm() {
    let (sh, mut one, child) = cast();
    one.key.start_ns = 300 * MS;
    let mut w = World::new();
    w.snapshot(&one);
    w.snapshot(&child);
    let _ = sh;
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "sigtrace was not attached before the last 101 ms of PID 1; whether it got a SIGTERM before that is not known."
    );
    assert_eq!(e.contributing, ["late-attach"]);
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert!(!e.explanation.missing.is_empty());
    assert!(!why(e).contains("never got"));
}

#[test]
fn older_than_sigtrace_but_the_stop_was_seen() {
    let (sh, mut one, mut child) = cast();
    one.key.start_ns = 300 * MS + 1234;
    child.key.start_ns = 310 * MS + 77;
    let mut w = World::new();
    w.snapshot(&one);
    w.snapshot(&child);
    w.send(&sh, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "This process never got the SIGTERM: PID 1 handled it and sent nothing on."
    );
    assert_eq!(e.explanation.certainty, Certainty::Proven);
    assert_eq!(told.summary.exited, 2);
    assert!(
        told.ended,
        "a rounded start and the exact one are the same process"
    );
}

#[test]
fn sigterm_left_out_partial_or_lost() {
    type Change = fn(&mut World);
    let cases: [(&str, Change); 3] = [
        ("SIGTERM is left out by the signal filter", |w| {
            w.coverage.signals = all_but(TERM);
        }),
        (
            "a filter by process or cgroup leaves part of the history out",
            |w| w.coverage.partial = true,
        ),
        ("3 signal events were lost", |w| {
            w.push(crate::event::Fact::Lost {
                kind: "signal",
                count: 3,
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
fn losses_before_the_stop_do_not_matter() {
    let (mut w, sh, one, child) = started();
    w.push(crate::event::Fact::Lost {
        kind: "signal",
        count: 3,
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
        why(e).contains("dockerd 900 killed it with SIGKILL from outside its PID namespace."),
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
    assert!(matches!(e.stop, Some(Stop { signal: TERM, used_ns }) if used_ns >= 10_000 * MS));
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
        "SIGKILL by the kernel ← PID 1 killed by SIGKILL ← SIGKILL ← dockerd 900"
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
    });
    w.exit(&one, SEGV | 0x80);
    w.zapped(&one, &child);
    let told = w.run();
    let e = told.exit(&one);
    assert_eq!(
        (e.cause, e.signal, e.core_dumped),
        ("unknown", Some(SEGV), true)
    );
    assert!(e
        .explanation
        .evidence
        .contains(&Evidence::Stack("exc_page_fault".into())));
    assert!(!e.explanation.missing.is_empty());
    let e = told.exit(&child);
    assert!(e.explanation.sentences[0].starts_with("PID 1 crashed (SIGSEGV), so the kernel"));
    assert_eq!(
        second(e),
        "It ended by SIGSEGV before it could pass anything on to its children."
    );
    assert!(!why(e).contains("SIGTERM"));
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
fn tini_takes_the_signal_and_forces_nothing() {
    let (mut w, sh, _, child) = started();
    let tini = member(16302, 1, "tini");
    w.fork(&sh, &tini);
    let term = w
        .send(&sh, &tini, TERM)
        .set(|s| s.state.real_blocked = u64::MAX)
        .go();
    w.dequeue(
        &tini,
        TERM,
        &[
            "dequeue_signal",
            "do_sigtimedwait.isra.0",
            "__x64_sys_rt_sigtimedwait",
        ],
    );
    let on = w.send(&tini, &child, TERM).fatal();
    w.exit(&child, TERM);
    w.exit(&tini, 143 << 8);
    let told = w.run();
    let s = told.signal(term);
    assert_eq!(
        (s.fate, s.settled, s.explanation.certainty),
        ("accepted", true, Certainty::Proven)
    );
    assert!(s
        .explanation
        .evidence
        .contains(&Evidence::Stack("do_sigtimedwait".into())));
    assert_eq!(
        (told.signal(on).fate, told.signal(on).cause),
        ("fatal", Some("killed-by-process"))
    );
    assert_eq!(told.summary.forced, 0);
    let e = told.exit(&tini);
    assert!(why(e).contains("128 + 15: ended by SIGTERM"), "{}", why(e));
    assert!(why(e).contains("after it took SIGTERM"), "{}", why(e));
}

#[test]
fn a_go_pid1_raises_its_signal_again() {
    let (mut w, sh, one, child) = started();
    let first = w.send(&sh, &one, TERM).handled();
    let own = w.send(&one, &one, TERM).tkill().dropped();
    w.exit(&one, 2 << 8);
    w.zapped(&one, &child);
    let told = w.run();
    assert_eq!(told.signal(first).fate, "handled");
    let s = told.signal(own);
    assert_eq!((s.fate, s.reason), ("dropped", Some("init-no-handler")));
    assert!(
        s.explanation
            .sentences
            .iter()
            .any(|t| t.contains("Go's runtime")),
        "{:?}",
        s.explanation.sentences
    );
    let e = told.exit(&one);
    assert_eq!((e.cause, e.exit_code), ("exit", 2));
    assert!(
        why(e).contains("Status 2 is how Go's runtime ends as PID 1"),
        "{}",
        why(e)
    );
    // Its signal to itself is nothing that it sent on.
    assert_eq!(
        second(told.exit(&child)),
        "This process never got the SIGTERM: PID 1 handled it and sent nothing on."
    );
    assert!(chain(told.exit(&child))
        .contains("PID 1 exited with status 2 ← SIGTERM handled by PID 1 ← sh 16350"));
}

#[test]
fn a_child_that_died_of_the_forwarded_signal_is_not_forced() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &child, TERM).fatal();
    w.exit(&one, 0);
    // 6.0 and later drop what comes to an exiting process.
    let late = w
        .send(&exiting(&one), &child, KILL)
        .by_kernel()
        .stack(ZAP_STACK)
        .set(|s| {
            s.state.signal_flags = 4;
            s.state.group_exit_code = TERM;
        })
        .dropped();
    w.exit(&child, TERM);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        (e.cause, e.forced, e.signal),
        ("killed-by-process", false, Some(TERM))
    );
    assert_eq!(
        (told.signal(late).fate, told.signal(late).reason),
        ("dropped", Some("target-exiting"))
    );
    assert_eq!(told.summary.forced, 0);
}

#[test]
fn raw_tracepoints_without_symbols() {
    let (mut w, sh, one, child) = started();
    w.coverage.symbols = false;
    w.coverage.sees_zap = false;
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
        w.coverage.symbols = false;
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
    });
    let told = w.run();
    assert!(told.update_of(told.exit(&child).id).is_none());
}

#[test]
fn a_pid1_that_waits_for_its_signals_and_forwards_none() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM)
        .set(|s| s.state.real_blocked = bit(TERM))
        .go();
    w.dequeue(&one, TERM, &["dequeue_signal", "do_sigtimedwait"]);
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "This process never got the SIGTERM: PID 1 took it and sent nothing on."
    );
    assert!(
        chain(e).ends_with("SIGTERM taken by PID 1 ← sh 16350"),
        "{}",
        chain(e)
    );
}

#[test]
fn another_stop_signal_than_sigterm() {
    // systemd's is SIGRTMIN+3; a reload long before is none.
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, HUP).handled();
    w.pass(3_600_000 * MS);
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        second(told.exit(&child)),
        "No SIGTERM was sent to PID 1: it exited on its own."
    );
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, RTMIN + 3).handled();
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        second(told.exit(&child)),
        "This process never got the SIGRTMIN+3: PID 1 handled it and sent nothing on."
    );
}

#[test]
fn something_else_to_somebody_else() {
    let (mut w, sh, one, child) = started();
    let other = member(16342, 3, "logger");
    w.fork(&one, &other);
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &other, USR1).handled();
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        second(told.exit(&child)),
        "This process never got the SIGTERM: PID 1 handled it and sent nothing to this process."
    );
}
