//! Threads that end because their process does something: nobody killed them.

use super::waiting::{pair, USER};
use super::world::*;
use crate::event::{Fact, Task};
use crate::explain::report::Certainty;
use crate::explain::signals::*;

/// A signal that a worker thread blocks.
fn to_worker(w: &mut World, sh: &Task, app: &Task) -> u64 {
    w.send(sh, app, USR1)
        .handler(USER)
        .tkill()
        .blocked()
        .set(|s| {
            s.target.tid = 105;
            s.state.threads = 2;
        })
        .go()
}

#[test]
fn what_was_for_a_thread_that_ended_with_the_others() {
    for (status, cause, words) in [
        (0, "group-exit", "ended as a whole"),
        (TERM, "group-exit", "ended as a whole"),
        (ABRT | 0x80, "coredump-zap", "wrote a core dump"),
    ] {
        let (mut w, sh, app) = pair();
        let id = to_worker(&mut w, &sh, &app);
        w.exit_with(&app, status, true, 0);
        let told = w.run();
        let s = told.signal(id);
        assert_eq!(
            (s.fate, s.cause, s.explanation.certainty),
            ("died_first", Some(cause), Certainty::Inferred)
        );
        let said = s.explanation.sentences.join(" ");
        assert!(
            said.contains(words) && said.contains("nobody killed it"),
            "{said}"
        );
    }
}

#[test]
fn what_was_for_a_thread_that_an_exec_ended() {
    let (mut w, sh, app) = pair();
    let id = to_worker(&mut w, &sh, &app);
    w.push(Fact::Exec {
        task: app.clone(),
        old_tid: app.key.pid,
    });
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.fate, s.cause),
        ("died_first", Some("exec-other-threads"))
    );
    assert!(s.explanation.sentences[0].contains("called execve"));
}

#[test]
fn of_the_last_thread_it_is_known_what_was_pending() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, USR1).handler(USER).tkill().blocked().go();
    w.exit_with(&app, 0, true, bit(USR1));
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.fate, s.cause, s.explanation.certainty),
        ("died_first", None, Certainty::Proven)
    );
    // It ended by itself, and died of nothing.
    assert_eq!(
        s.explanation.sentences,
        ["The process exited, with status 0, before it acted on SIGUSR1, which was still in the queue and did nothing to it."]
    );
}
