//! PID 1 acted on the stop signal and exited: what became of it for a process
//! that was killed with the namespace, in each situation.

use super::picture::*;
use super::world::*;
use crate::event::Handler;
use crate::explain::report::{Certainty, Evidence};
use crate::explain::signals::*;

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
    w.send(&one, &other, TERM).handled();
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
    assert!(why(e).contains("PID 1 passed on the request to end"));
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
            "do_sigtimedwait",
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
    assert!(why(e).contains("128 + 15, by which shells"), "{}", why(e));
    assert!(why(e).contains("after it took SIGTERM"), "{}", why(e));
}

#[test]
fn a_go_pid1_raises_its_signal_again() {
    let (mut w, sh, one, child) = started();
    let first = w.send(&sh, &one, TERM).handled();
    // With the handler still there, then with the default action.
    w.send(&one, &one, TERM).tkill().handled();
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
        why(e).contains("if this is a Go program, Go's runtime does so"),
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
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, RTMIN + 3).blocked().go();
    w.dequeue(&one, RTMIN + 3, &["dequeue_signal", "signalfd_dequeue"]);
    let told = end(&mut w, &one, &child, 0);
    assert_eq!(
        second(told.exit(&child)),
        "This process never got the SIGRTMIN+3: PID 1 took it and sent nothing on."
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
