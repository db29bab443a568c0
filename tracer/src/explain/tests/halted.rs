//! Who stopped a process that a signal waits for.

use super::waiting::{pair, USER};
use super::world::*;
use crate::event::{Dispositions, Handler, Task};
use crate::explain::report::Evidence;
use crate::explain::signals::*;

fn look(w: &mut World, app: &Task) {
    w.pass(30 * MS).observe(
        app,
        Dispositions {
            state: b'T',
            shared_pending: bit(USR1),
            ..Dispositions::default()
        },
    );
}

fn said(w: &World, id: u64) -> String {
    let told = w.run();
    let s = told.signal(id);
    assert_eq!((s.fate, s.reason), ("pending", Some("stopped")));
    s.explanation.sentences.join(" ")
}

#[test]
fn a_stop_that_came_before_is_named() {
    let (mut w, sh, app) = pair();
    let stop = w.send(&sh, &app, STOP).go();
    w.deliver(&app, STOP, Handler::Default);
    w.pass(100 * MS);
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    look(&mut w, &app);
    let text = said(&w, id);
    let by = "It was stopped by the SIGSTOP of sh 50, 100 ms before that came.";
    assert!(text.contains(by), "{text}");
    let told = w.run();
    let evidence = &told.signal(id).explanation.evidence;
    assert!(evidence.contains(&Evidence::Event(stop)), "{evidence:?}");
}

#[test]
fn by_itself_and_by_its_terminal() {
    let (mut w, _, app) = pair();
    w.send(&app, &app, STOP).go();
    w.deliver(&app, STOP, Handler::Default);
    let id = w.send(&app, &app, USR1).handler(USER).go();
    look(&mut w, &app);
    assert!(said(&w, id).contains("stopped by itself, with SIGSTOP"));

    let (mut w, sh, app) = pair();
    w.send(&app, &app, TTOU)
        .by_kernel()
        .stack(&["__tty_check_change", "tty_check_change"])
        .go();
    w.deliver(&app, TTOU, Handler::Default);
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    look(&mut w, &app);
    let text = said(&w, id);
    assert!(
        text.contains("by SIGTTOU of its terminal (job control)"),
        "{text}"
    );
}

#[test]
fn one_that_was_undone_or_not_seen_is_not_blamed() {
    let (mut w, sh, app) = pair();
    w.send(&sh, &app, STOP).go();
    w.deliver(&app, STOP, Handler::Default);
    w.send(&sh, &app, CONT)
        .set(|s| s.state.signal_flags = 0x20)
        .dropped();
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    look(&mut w, &app);
    let text = said(&w, id);
    assert!(text.contains("Who stopped it was not seen"), "{text}");
    assert!(!text.contains("of sh 50"), "{text}");
}

#[test]
fn a_stop_that_comes_after_it_holds_it_too() {
    let (mut w, sh, app) = pair();
    let id = w.send(&sh, &app, USR1).handler(USER).go();
    w.pass(MS);
    w.send(&sh, &app, STOP)
        .set(|s| s.state.shared_pending |= bit(USR1))
        .go();
    w.deliver(&app, STOP, Handler::Default);
    look(&mut w, &app);
    let text = said(&w, id);
    assert!(text.contains("of sh 50, 1.0 ms after that came"), "{text}");
}

/// Its delivery alone was seen: that is no word on who sent it.
#[test]
fn a_stop_whose_sending_was_missed_is_nobodys() {
    for number in [STOP, TSTP] {
        let (mut w, sh, app) = pair();
        w.deliver(&app, number, Handler::Default);
        let id = w.send(&sh, &app, USR1).handler(USER).go();
        look(&mut w, &app);
        let text = said(&w, id);
        assert!(text.contains("who sent that was not seen"), "{text}");
        assert!(
            !text.contains("kernel") && !text.contains("terminal"),
            "{text}"
        );
    }
}
