//! What terminals send: who closed, gave up or hung up one, and who led its session.

use super::world::*;
use crate::event::{flag, Task};
use crate::explain::report::{Certainty, ExitReport, Report, Sender};
use crate::explain::signals::*;

const LEADER: &[&str] = &[
    "kill_pgrp",
    "disassociate_ctty",
    "do_exit",
    "do_group_exit",
    "__x64_sys_exit_group",
];
const GIVEN_UP: &[&str] = &[
    "kill_pgrp",
    "disassociate_ctty",
    "tty_ioctl",
    "__x64_sys_ioctl",
];
const CLOSED: &[&str] = &[
    "tty_signal_session_leader",
    "__tty_hangup",
    "tty_release",
    "__fput",
    "__x64_sys_close",
];
/// Before 6.6 a file is closed on the way back from the call.
const CLOSED_LATER: &[&str] = &[
    "tty_signal_session_leader",
    "__tty_hangup",
    "pty_close",
    "tty_release",
    "__fput",
    "task_work_run",
    "exit_to_user_mode_prepare",
];
const VHANGUP: &[&str] = &[
    "tty_signal_session_leader",
    "__tty_hangup",
    "tty_vhangup_self",
    "__do_sys_vhangup",
];
const DRIVER: &[&str] = &[
    "tty_signal_session_leader",
    "__tty_hangup",
    "process_one_work",
    "worker_thread",
];
const ASKED: &[&str] = &[
    "kill_pgrp",
    "pty_unix98_ioctl",
    "tty_ioctl",
    "__x64_sys_ioctl",
];
const KEY: &[&str] = &[
    "kill_pgrp",
    "__isig",
    "isig",
    "n_tty_receive_signal_char",
    "flush_to_ldisc",
    "process_one_work",
];
const PUT_IN: &[&str] = &[
    "kill_pgrp",
    "isig",
    "n_tty_receive_signal_char",
    "tty_ioctl",
    "__x64_sys_ioctl",
];

/// What is said of who dies of it, and for whom the terminal sent it.
fn told(number: i32, stack: &[&str], by: &Task) -> (ExitReport, Option<u32>) {
    let app = member(101, 2, "app");
    let mut w = World::new();
    let sending = w.send(by, &app, number).by_kernel().stack(stack);
    let id = sending.ancestry(&[(40, "sshd")]).fatal();
    w.exit(&app, number);
    let told = w.run();
    let Sender::Terminal { on_behalf_of } = &told.signal(id).sender else {
        panic!("{:?}", told.signal(id).sender);
    };
    (
        told.exit(&app).clone(),
        on_behalf_of.as_ref().map(|by| by.key.pid),
    )
}

#[test]
fn a_hangup_tells_by_whose_doing() {
    let by = host(60, "other");
    let ends = exiting(&by);
    let cases: &[(&[&str], &Task, &str, &str)] = &[
        (
            CLOSED,
            &by,
            "other 60 closed the other end",
            "other end of its terminal closed",
        ),
        (
            CLOSED_LATER,
            &by,
            "other 60 closed the other end",
            "other end of its terminal closed",
        ),
        (
            CLOSED,
            &ends,
            "other 60, which held the other end",
            "end of who held the other end of its terminal",
        ),
        (
            LEADER,
            &ends,
            "other 60, the leader of its session, ended",
            "end of its session's leader",
        ),
        (
            GIVEN_UP,
            &by,
            "other 60, the leader of its session, gave their terminal up",
            "its session's leader gave the terminal up",
        ),
        (
            VHANGUP,
            &by,
            "other 60 hung up its terminal by vhangup(2)",
            "vhangup(2) of its terminal",
        ),
    ];
    for (stack, by, said, root) in cases {
        let (e, doer) = told(HUP, stack, by);
        assert_eq!(
            (e.cause, e.explanation.certainty, doer),
            ("tty-hangup", Certainty::Proven, Some(60)),
            "{stack:?}"
        );
        assert!(why(&e).starts_with(said), "{}", why(&e));
        let whole = format!("SIGHUP by its terminal ← {root} ← other 60 ← sshd 40");
        assert_eq!(chain(&e), whole);
    }
}

#[test]
fn a_driver_hangs_up_for_nobody() {
    let mut worker = host(60, "kworker");
    worker.flags |= flag::PF_KTHREAD;
    let (e, doer) = told(HUP, DRIVER, &worker);
    assert_eq!((e.cause, doer), ("tty-hangup", None));
    assert!(why(&e).contains("hung up by its driver"), "{}", why(&e));
    assert!(chain(&e).ends_with("hangup of its terminal by the driver"));
    // A file that a worker closes for others.
    let (e, doer) = told(HUP, CLOSED, &worker);
    assert_eq!(doer, None);
    assert!(!why(&e).contains("kworker"), "{}", why(&e));
}

#[test]
fn a_key_is_nobodys_and_a_request_is_somebodys() {
    let by = host(60, "other");
    let mut worker = by.clone();
    worker.flags |= flag::PF_KTHREAD;
    let cases: &[(&[&str], &Task, Option<u32>, &str)] = &[
        (KEY, &worker, None, "A key on its terminal"),
        (
            ASKED,
            &by,
            Some(60),
            "other 60 had its terminal send SIGINT",
        ),
        (PUT_IN, &by, Some(60), "other 60 put the character of a key"),
    ];
    for (stack, by, doer, said) in cases {
        let (e, found) = told(INT, stack, by);
        assert_eq!((e.cause, found), ("tty-interrupt", *doer), "{stack:?}");
        assert!(why(&e).starts_with(said), "{}", why(&e));
        assert_eq!(chain(&e).contains("other 60 ← sshd 40"), doer.is_some());
    }
}

#[test]
fn who_hangs_up_on_itself_is_told_so() {
    let app = member(101, 2, "app");
    let (e, doer) = told(HUP, VHANGUP, &app);
    assert_eq!(doer, Some(101));
    assert!(why(&e).starts_with("The process itself"), "{}", why(&e));
}

#[test]
fn the_chain_goes_on_to_what_ended_the_leader() {
    let (sh, app) = (member(102, 3, "sh"), member(101, 2, "app"));
    let killer = host(60, "killer");
    let dies = |how: i32| {
        let mut w = World::new();
        if how == KILL {
            w.send(&killer, &sh, KILL).fatal();
        }
        w.exit(&sh, how);
        w.send(&exiting(&sh), &app, HUP)
            .by_kernel()
            .stack(LEADER)
            .ancestry(&[(40, "sshd")])
            .fatal();
        w.exit(&app, HUP);
        w.run().exit(&app).clone()
    };
    assert_eq!(
        chain(&dies(KILL)),
        "SIGHUP by its terminal ← end of its session's leader ← sh 102 ← SIGKILL ← killer 60"
    );
    assert_eq!(
        chain(&dies(3 << 8)),
        "SIGHUP by its terminal ← end of its session's leader with status 3 ← sh 102 ← sshd 40"
    );
}

/// A filter on who sends means those who did it, and no bystander of a key.
#[test]
fn a_filter_on_the_sender_counts_who_did_it() {
    let by = host(60, "other");
    let mut worker = by.clone();
    worker.flags |= flag::PF_KTHREAD;
    let shown = |stack: &[&str], by: &Task| {
        let app = member(101, 2, "app");
        let mut w = World::new();
        w.only(&[(by, "s")]);
        w.send(by, &app, INT).by_kernel().stack(stack).handled();
        let signal = |report: &Report| matches!(report, Report::Signal(_));
        w.run().reports.iter().filter(|r| signal(r)).count()
    };
    assert_eq!(shown(ASKED, &by), 1);
    assert_eq!(shown(KEY, &worker), 0);
}
