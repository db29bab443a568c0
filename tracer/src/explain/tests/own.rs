//! What a process sent to itself: its own request to end, and the signal that it
//! raises again to die of it.

use super::picture::*;
use super::world::*;
use crate::explain::report::Certainty;
use crate::explain::signals::*;

const KEPT: &str = "This process never got the SIGTERM: PID 1 handled it and sent nothing on.";

#[test]
fn pid1_asked_itself_to_end() {
    // unshare --pid --fork sh -c 'trap "exit 0" TERM; sleep 100 & kill 1; sleep 1'
    let (mut w, _, one, child) = started();
    w.send(&one, &one, TERM).ancestry(ANCESTRY).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(second(e), "PID 1 had sent SIGTERM to itself.");
    assert_eq!(e.explanation.sentences[2], KEPT);
    assert_eq!(e.explanation.certainty, Certainty::Proven);
    assert!(
        chain(e).ends_with(
            "PID 1 exited with status 0 ← SIGTERM handled by PID 1 ← PID 1 c-init-sig 16301"
        ),
        "{}",
        chain(e)
    );
    let e = told.exit(&one);
    assert_eq!(
        why(e),
        "It exited with status 0, 1.0 ms after its handler ran for SIGTERM, which it had sent to itself."
    );
    assert!(e.stop.is_some());
}

#[test]
fn pid1_asked_itself_after_a_late_attachment() {
    let (_, mut one, child) = cast();
    one.key.start_ns = 300 * MS;
    let mut w = World::new();
    w.snapshot(&one);
    w.snapshot(&child);
    w.send(&one, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(e.explanation.sentences[2], KEPT);
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn pid1_asked_itself_without_a_handler() {
    // unshare --pid --fork sh -c 'sleep 100 & kill 1; sleep .3; exit 2'
    let (mut w, _, one, child) = started();
    w.send(&one, &one, TERM).dropped();
    w.pass(300 * MS);
    let told = end(&mut w, &one, &child, 2 << 8);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        "The SIGTERM that PID 1 had sent to itself 301 ms before did nothing (init-no-handler). \
         No other was sent to it: it exited on its own."
    );
    assert_eq!(e.contributing, ["init-no-handler"]);
    assert_eq!(e.explanation.certainty, Certainty::Proven);
    // Nothing here says Go: it had handled none before.
    assert_eq!(
        why(told.exit(&one)),
        "It exited with status 2. The SIGTERM that it had sent to itself 301 ms before had been dropped (init-no-handler)."
    );
}

#[test]
fn who_raises_a_signal_again_was_asked_by_another() {
    let (mut w, sh, one, child) = started();
    w.send(&sh, &one, TERM).handled();
    w.send(&one, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(second(e), KEPT);
    assert!(
        chain(e).ends_with("SIGTERM handled by PID 1 ← sh 16350"),
        "{}",
        chain(e)
    );
}

#[test]
fn a_process_that_signals_its_whole_group_passes_nothing_on() {
    // kill(0): its own handler runs after the call.
    let (mut w, _, one, child) = started();
    w.send(&one, &one, TERM)
        .handler(crate::event::Handler::User(1))
        .go();
    w.send(&one, &child, TERM).fatal();
    w.deliver(&one, TERM, crate::event::Handler::User(1));
    w.exit(&child, TERM);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(chain(e), "SIGTERM ← c-init-sig 16301");
    assert!(!why(e).contains("passed on"), "{}", why(e));
}

#[test]
fn whoever_raises_again_may_be_a_go_program() {
    let (mut w, sh, one, _) = started();
    w.send(&sh, &one, TERM).handled();
    let own = w.send(&one, &one, TERM).tkill().dropped();
    w.exit(&one, 2 << 8);
    let told = w.run();
    let of_signal = told.signal(own).explanation.sentences.join(" ");
    for said in [of_signal, why(told.exit(&one))] {
        assert!(
            said.contains("f this is a Go program, Go's runtime"),
            "{said}"
        );
    }
}
