//! Stop signals of a terminal: why each was sent.

use super::world::*;
use crate::explain::signals::*;

/// What is said of a stop signal of the kernel with this stack, and its cause.
fn told(number: i32, stack: &[&str]) -> (Option<&'static str>, String) {
    let (mut w, app) = (World::new(), member(101, 2, "app"));
    w.fork(&host(50, "sh"), &app);
    let id = w.send(&app, &app, number).by_kernel().stack(stack).go();
    w.deliver(&app, number, crate::event::Handler::Default);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(s.fate, "stopped");
    (s.cause, s.explanation.sentences.join(" "))
}

#[test]
fn job_control_is_told_from_what_others_send() {
    let check = ["__kill_pgrp_info", "__tty_check_change", "n_tty_read"];
    let (cause, why) = told(TTIN, &check);
    assert_eq!(cause, Some("tty-job"));
    assert!(
        why.starts_with("app 101 tried to read from its terminal while it was in the background"),
        "{why}"
    );
    let (cause, why) = told(TTOU, &check);
    assert_eq!(cause, Some("tty-job"));
    assert!(why.contains("to write to its terminal"), "{why}");
    let key = ["__kill_pgrp_info", "__isig", "n_tty_receive_buf_common"];
    let (cause, why) = told(TSTP, &key);
    assert_eq!(cause, Some("tty-job"));
    assert!(why.contains("Ctrl-Z"), "{why}");
    // A shell's own, with kill(2).
    assert_eq!(told(TTIN, KILL_STACK).0, None);
}

#[test]
fn who_asks_for_a_stop_is_named() {
    let asked = [
        "__kill_pgrp_info",
        "kill_pgrp",
        "pty_unix98_ioctl",
        "tty_ioctl",
    ];
    let (cause, why) = told(TSTP, &asked);
    assert_eq!(cause, Some("tty-job"));
    assert!(why.contains("app 101 asked its terminal"), "{why}");
    let put_in = ["__kill_pgrp_info", "isig", "tty_ioctl"];
    let (cause, why) = told(TSTP, &put_in);
    assert_eq!(cause, Some("tty-job"));
    assert!(why.contains("TIOCSTI"), "{why}");
}
