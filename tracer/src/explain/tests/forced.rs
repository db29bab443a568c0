//! What gets SIGKILL past a PID 1 without a handler: the kernel's `force`, which asks
//! who runs only where the siginfo has room for a sender.

use super::world::*;
use crate::event::{Info, Signal};
use crate::explain::signals::*;

/// A SIGKILL that was dropped by PID 1 while somebody of the host ran.
fn dropped(stack: &[&str], change: impl FnOnce(&mut Signal)) -> (Option<&'static str>, String) {
    let (swapper, one) = (host(0, "swapper/1"), member(100, 1, "app"));
    let mut w = World::new();
    let sending = w.send(&swapper, &one, KILL).set(|s| s.info = Info::Full);
    let id = sending.stack(stack).set(change).dropped();
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(s.fate, "dropped");
    (s.reason, s.explanation.sentences.join(" "))
}

#[test]
fn a_timer_is_not_from_outside_whoever_runs() {
    for stack in [
        "send_sigqueue",
        "posixtimer_send_sigqueue",
        "something_newer",
    ] {
        let (reason, why) = dropped(&[stack, "posix_timer_fn"], |s| s.code = -2);
        assert_eq!(reason, Some("init-no-handler"), "{stack}");
        assert!(why.starts_with("A timer of PID 1 had run out"), "{why}");
    }
}

#[test]
fn nor_is_a_file_that_became_ready() {
    // POLL_IN, and SI_SIGIO.
    for code in [1, -5] {
        let stack = ["send_sigio_to_task", "__do_softirq"];
        let (reason, _) = dropped(&stack, |s| s.code = code);
        assert_eq!(reason, Some("init-no-handler"), "{code}");
    }
}

#[test]
fn kill_from_outside_is() {
    // It would have been fatal, so that nothing explains this.
    let (reason, _) = dropped(KILL_STACK, |s| s.code = 0);
    assert_eq!(reason, None);
}
