//! Without a hook on dequeue_signal only a later look tells that a signal was
//! taken: times are bounds then, and what PID 1 passed on at once is inferred.

use super::picture::*;
use super::world::*;
use crate::event::{Dispositions, Task};
use crate::explain::report::Certainty;
use crate::explain::signals::*;

/// tini waits for its signals; nobody sees it take one.
fn raw() -> (World, Task, Task, Task) {
    let (mut w, sh, one, child) = started();
    w.coverage.sees_dequeue = false;
    (w, sh, one, child)
}

fn asked(w: &mut World, sh: &Task, one: &Task) -> u64 {
    w.send(sh, one, TERM)
        .ancestry(ANCESTRY)
        .set(|s| s.state.real_blocked = u64::MAX)
        .go()
}

#[test]
fn when_it_was_taken_is_only_bounded() {
    let (mut w, sh, one, child) = raw();
    let term = asked(&mut w, &sh, &one);
    w.pass(400 * MS);
    w.observe(&one, Dispositions::default());
    w.pass(2_000 * MS);
    let told = end(&mut w, &one, &child, 7 << 8);
    let said = why(told.exit(&one));
    assert_eq!(
        said,
        "It exited with status 7, at most 2.4 s after it took SIGTERM."
    );
    let s = told.signal(term);
    assert_eq!(s.fate, "accepted");
    let said = s.explanation.sentences.join(" ");
    assert!(
        said.contains("took SIGTERM from the queue at most 400 ms later"),
        "{said}"
    );
    // The same of what it passed on.
    let (mut w, sh, one, child) = raw();
    asked(&mut w, &sh, &one);
    w.send(&one, &child, TERM)
        .set(|s| s.state.real_blocked = u64::MAX)
        .go();
    w.pass(400 * MS);
    w.observe(&one, Dispositions::default());
    w.observe(&child, Dispositions::default());
    w.pass(2_000 * MS);
    let told = end(&mut w, &one, &child, 0);
    let said = second(told.exit(&child));
    assert!(
        said.contains("which took it at most 2.4 s before the end"),
        "{said}"
    );
}

#[test]
fn a_hook_tells_when_it_was_taken() {
    let (mut w, sh, one, child) = started();
    asked(&mut w, &sh, &one);
    w.pass(400 * MS);
    w.dequeue(&one, TERM, &["dequeue_signal", "do_sigtimedwait"]);
    w.pass(2_000 * MS);
    let told = end(&mut w, &one, &child, 7 << 8);
    let said = why(told.exit(&one));
    assert_eq!(
        said,
        "It exited with status 7, 2.0 s after it took SIGTERM."
    );
}

#[test]
fn what_was_passed_on_at_once_leads_to_who_asked() {
    let (mut w, sh, one, child) = raw();
    asked(&mut w, &sh, &one);
    w.send(&one, &child, TERM)
        .ancestry(&[(15990, "bash")])
        .fatal();
    w.exit(&child, TERM);
    w.pass(2_000 * MS);
    w.exit(&one, 143 << 8);
    let told = w.run();
    let e = told.exit(&child);
    assert_eq!(
        chain(e),
        "SIGTERM ← PID 1 c-init-sig 16301 ← SIGTERM taken by PID 1 ← sh 16350 ← bash 15990 ← sshd 1201"
    );
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert!(e.explanation.missing[0].starts_with("that PID 1 had taken its SIGTERM "));
}

#[test]
fn what_still_waits_was_not_passed_on() {
    // It is seen waiting by a look; or a hook would have seen it taken.
    let waiting = |looked: bool| {
        let (mut w, sh, one, child) = raw();
        w.coverage.sees_dequeue = !looked;
        w.send(&sh, &one, TERM).blocked().go();
        w.send(&one, &child, TERM).fatal();
        if looked {
            w.observe(
                &one,
                Dispositions {
                    shared_pending: bit(TERM),
                    ..Dispositions::default()
                },
            );
        }
        w.exit(&child, TERM);
        let told = w.run();
        chain(told.exit(&child))
    };
    for looked in [true, false] {
        assert_eq!(waiting(looked), "SIGTERM ← c-init-sig 16301", "{looked}");
    }
}

#[test]
fn who_took_it_may_have_no_name() {
    // A kretprobe before 5.15, or no kernel symbols: settled only a while later.
    let (mut w, sh, one, child) = started();
    asked(&mut w, &sh, &one);
    w.dequeue(&one, TERM, &[]);
    w.send(&one, &child, TERM).fatal();
    w.exit(&child, TERM);
    let told = w.run();
    let e = told.exit(&child);
    assert!(
        chain(e).contains("SIGTERM taken by PID 1 ← sh 16350"),
        "{}",
        chain(e)
    );
    assert_eq!(
        e.explanation.missing,
        ["the name of the function by which PID 1 took its SIGTERM before it sent this one"]
    );
}
