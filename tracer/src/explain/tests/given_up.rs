//! Processes for which more signals wait than are followed.

use super::waiting::{pair, USER};
use super::world::{member, MS};
use crate::event::{BootTime, Fact, Handler};
use crate::explain::crowded::{OPEN_IN_ALL, OPEN_OF_MANY, OPEN_PER_PROCESS};
use crate::explain::report::{Certainty, Report};
use crate::explain::signals::*;
use crate::explain::Engine;

const REALTIME: i32 = 40;

#[test]
fn a_request_to_end_cannot_be_hidden_behind_others() {
    let (mut w, sh, app) = pair();
    w.send(&sh, &app, TERM).blocked().go();
    for _ in 0..2 * OPEN_PER_PROCESS {
        let realtime = w.send(&sh, &app, REALTIME).handler(USER).blocked();
        realtime
            .set(|s| s.state.shared_pending |= bit(TERM) | bit(REALTIME))
            .go();
    }
    w.deliver(&app, TERM, Handler::Default);
    w.exit(&app, TERM);
    let told = w.run();
    let exit = told.exit(&app);
    let explanation = &exit.explanation;
    assert_eq!(exit.mechanism, Some("kill-syscall"), "{exit:?}");
    assert_eq!(explanation.certainty, Certainty::Proven);
    assert!(explanation.missing.is_empty(), "{explanation:?}");
    let given_up = format!("{} signals without an end", OPEN_PER_PROCESS + 1);
    assert!(
        told.summary
            .notes
            .iter()
            .any(|note| note.contains(&given_up)),
        "{:?}",
        told.summary.notes
    );
}

#[test]
fn nor_behind_those_for_threads() {
    let (mut w, sh, app) = pair();
    w.send(&sh, &app, TERM).blocked().go();
    for tid in 0..OPEN_PER_PROCESS as u32 {
        let to_thread = w.send(&sh, &app, USR1).handler(USER).blocked().tkill();
        to_thread
            .set(|s| {
                s.target.tid = 1000 + tid;
                s.state.shared_pending |= bit(TERM);
            })
            .go();
    }
    w.deliver(&app, TERM, Handler::Default);
    w.exit(&app, TERM);
    assert_eq!(w.run().exit(&app).mechanism, Some("kill-syscall"));
}

#[test]
fn which_of_equal_ones_it_was_is_not_known_until_none_waits() {
    let (mut w, sh, app) = pair();
    let mut last = 0;
    for _ in 0..=OPEN_PER_PROCESS {
        let realtime = w.send(&sh, &app, REALTIME).handler(USER).blocked();
        last = realtime
            .set(|s| s.state.shared_pending |= bit(REALTIME))
            .go();
    }
    for _ in 0..=OPEN_PER_PROCESS {
        w.deliver(&app, REALTIME, USER);
    }
    // Its queues are seen: no equal one is in them.
    let other = w.send(&sh, &app, USR1).handler(USER).go();
    w.deliver(&app, USR1, USER);
    let next = w.send(&sh, &app, REALTIME).handler(USER).go();
    w.deliver(&app, REALTIME, USER);
    let told = w.run();
    let missing = &told.signal(last).explanation.missing;
    assert!(missing[0].contains("too many waited"), "{missing:?}");
    for id in [other, next] {
        let signal = told.signal(id);
        assert_eq!(signal.fate, "handled");
        assert_eq!(signal.explanation.certainty, Certainty::Proven);
    }
}

#[test]
fn what_is_no_longer_followed_was_not_unseen() {
    let (mut w, sh, app) = pair();
    for _ in 0..=OPEN_PER_PROCESS {
        w.send(&sh, &app, REALTIME).handler(USER).blocked().go();
    }
    for _ in 0..OPEN_PER_PROCESS {
        w.deliver(&app, REALTIME, USER);
    }
    w.deliver(&app, REALTIME, Handler::Default);
    w.exit(&app, REALTIME);
    let told = w.run();
    let explanation = &told.exit(&app).explanation;
    let said = explanation.sentences.join(" ");
    assert!(said.contains("who sent it is no longer known"), "{said}");
    assert!(!said.contains("not seen"), "{said}");
}

/// It was taken a moment ago, by whom is about to be known.
#[test]
fn what_was_taken_is_told_before_it_is_given_up() {
    let (mut w, sh, app) = pair();
    let first = w.send(&sh, &app, REALTIME).handler(USER).go();
    w.dequeue(&app, REALTIME, &[]);
    for _ in 0..OPEN_PER_PROCESS {
        w.send(&sh, &app, REALTIME).handler(USER).blocked().go();
    }
    let later = w.send(&sh, &app, USR1).handled();
    w.pass(1_000 * MS);
    let told = w.run_before_end();
    assert_eq!(told.history_of(first), [("accepted", true)]);
    assert_eq!(told.history_of(later), [("handled", true)]);
    let notes = w.run().summary.notes;
    assert!(notes.is_empty(), "{notes:?}");
}

/// A fork that was rejected is no process.
#[test]
fn what_may_have_begun_is_only_what_was_a_fork() {
    let (mut w, _, _) = pair();
    for (kind, count) in [("fork_rejected", 2334), ("fork", 924)] {
        w.push(Fact::Lost {
            kind,
            count,
            slow_output: false,
        });
    }
    let notes = w.run().summary.notes.concat();
    assert!(
        notes.contains("924 events that were lost may have been the beginning"),
        "{notes}"
    );
}

/// Nothing comes after the end that could settle it.
#[test]
fn what_was_taken_is_told_at_the_end() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, REALTIME).handler(USER).go();
    w.dequeue(&app, REALTIME, &[]);
    w.pass(MS);
    assert_eq!(w.run_until(w.now).history_of(id), [("accepted", true)]);
}

#[test]
fn many_processes_have_less_room_each() {
    let (mut w, sh, _) = pair();
    let mut engine = Engine::new(w.coverage.clone());
    let apps: Vec<_> = (0..400).map(|n| member(1000 + n, 10 + n, "app")).collect();
    for app in &apps {
        w.fork(&sh, app);
        w.send(&sh, app, TERM).blocked().go();
    }
    for _ in 0..40 {
        for app in &apps {
            let realtime = w.send(&sh, app, REALTIME).handler(USER).blocked();
            realtime
                .set(|s| s.state.shared_pending |= bit(TERM) | bit(REALTIME))
                .go();
        }
        for event in w.events.drain(..) {
            engine.push(event);
        }
        engine.advance(BootTime(w.now));
    }
    let (_, open, _) = engine.sizes();
    assert!(open <= OPEN_IN_ALL + apps.len() * OPEN_OF_MANY, "{open}");
    for app in &apps {
        w.deliver(app, TERM, Handler::Default);
        w.exit(app, TERM);
    }
    for event in w.events.drain(..) {
        engine.push(event);
    }
    let mut reports = engine.advance(BootTime(w.now));
    reports.extend(engine.finish(BootTime(w.now)).0);
    let known = |report: &&Report| match report {
        Report::Exit(exit) => exit.mechanism == Some("kill-syscall"),
        _ => false,
    };
    assert_eq!(reports.iter().filter(known).count(), apps.len());
}
