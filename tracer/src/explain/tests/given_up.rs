//! Processes for which more signals wait than are followed.

use super::waiting::{pair, USER};
use crate::event::Handler;
use crate::explain::open::OPEN_PER_PROCESS;
use crate::explain::report::Certainty;
use crate::explain::signals::*;

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
