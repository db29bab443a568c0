//! What debuggers do: who attached, what was swallowed, what was given instead.

use super::waiting::{pair, USER};
use super::world::*;
use crate::event::{Dispositions, Fact, Handler, Info, Resumed, Task};
use crate::explain::report::{Certainty, Evidence, Sender};
use crate::explain::signals::*;

const CONT_ON: u32 = 7;
const KILL_IT: u32 = 8;
const DETACH: u32 = 17;
const ATTACH_STACK: &[&str] = &[
    "send_sig_info",
    "ptrace_attach",
    "__x64_sys_ptrace",
    "do_syscall_64",
];
const GET_SIGNAL: &[&str] = &["dequeue_signal", "get_signal"];

fn gdb() -> Task {
    host(60, "gdb")
}

impl World {
    fn resume(
        &mut self,
        task: &Task,
        request: u32,
        stopped: Option<i32>,
        given: Option<i32>,
    ) -> u64 {
        self.push(Fact::Resumed(Box::new(Resumed {
            tracer: gdb(),
            task: task.clone(),
            request,
            stopped,
            given,
            ancestry: ancestors(&[(59, "bash")]),
        })))
    }

    /// PTRACE_ATTACH, and the SIGSTOP is taken.
    fn attach(&mut self, task: &Task) -> u64 {
        let id = self
            .send(&gdb(), task, STOP)
            .by_kernel()
            .stack(ATTACH_STACK)
            .set(|s| {
                s.to_process = false;
                s.state.traced = true;
            })
            .go();
        if self.coverage.sees_dequeue {
            self.dequeue(task, STOP, GET_SIGNAL);
        }
        id
    }

    fn deliver_traced(&mut self, task: &Task, number: i32, handler: Handler, by: bool) -> u64 {
        self.push(Fact::Deliver {
            task: task.clone(),
            number,
            code: 0,
            info: Info::Full,
            handler,
            signal_flags: 0,
            group_exit_code: 0,
            traced: by,
            fault_at: None,
            orphaned: None,
        })
    }
}

fn without_dequeue() -> (World, Task, Task) {
    let (mut w, sh, app) = pair();
    w.coverage.sees_dequeue = false;
    (w, sh, app)
}

#[test]
fn who_attached_is_said_and_that_the_stop_was_kept_back() {
    let (mut w, _, app) = pair();
    let id = w.attach(&app);
    let detach = w.resume(&app, DETACH, Some(STOP), None);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(
        (s.fate, s.reason, s.cause, s.settled),
        ("swallowed", Some("tracer"), Some("ptrace-attach"), true)
    );
    assert_eq!(s.explanation.certainty, Certainty::Proven);
    assert!(s.explanation.evidence.contains(&Evidence::Event(detach)));
    assert!(matches!(&s.sender, Sender::Process { task, .. } if task.key == gdb().key));
    let said = s.explanation.sentences.join(" ");
    for words in [
        "gdb 60 attached",
        "PTRACE_ATTACH",
        "without it (PTRACE_DETACH)",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn without_names_on_the_stack_an_attachment_is_known_all_the_same() {
    let (mut w, _, app) = pair();
    let id = w
        .send(&gdb(), &app, STOP)
        .by_kernel()
        .stack(ATTACH_STACK)
        .unnamed()
        .set(|s| s.state.traced = true)
        .go();
    let told = w.run();
    let s = told.signal(id);
    assert_eq!((s.fate, s.cause), ("pending", Some("ptrace-attach")));
    assert!(matches!(s.sender, Sender::Process { .. }));
}

#[test]
fn what_the_debugger_passes_on_is_not_swallowed() {
    let (mut w, sh, app) = pair();
    let id = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| s.state.traced = true)
        .go();
    w.dequeue(&app, USR1, GET_SIGNAL);
    w.resume(&app, CONT_ON, Some(USR1), Some(USR1));
    w.deliver_traced(&app, USR1, USER, true);
    assert_eq!(w.run().history_of(id), [("handled", true)]);
    // Without a hook that sees it taken, too.
    let (mut w, sh, app) = without_dequeue();
    let id = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| s.state.traced = true)
        .go();
    w.resume(&app, CONT_ON, Some(USR1), None);
    assert_eq!(w.run().history_of(id), [("swallowed", true)]);
}

#[test]
fn a_signal_that_was_given_instead_kills() {
    let (mut w, sh, app) = pair();
    let first = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| s.state.traced = true)
        .go();
    w.dequeue(&app, USR1, GET_SIGNAL);
    let request = w.resume(&app, CONT_ON, Some(USR1), Some(TERM));
    w.deliver_traced(&app, TERM, Handler::Default, true);
    w.exit(&app, TERM);
    let told = w.run();
    let s = told.signal(first);
    assert_eq!(
        (s.fate, s.explanation.certainty),
        ("swallowed", Certainty::Proven)
    );
    assert!(s.explanation.sentences[0].contains("with SIGTERM instead (PTRACE_CONT)"));
    let given = told.signal(request);
    assert_eq!(
        (given.fate, given.cause, given.mechanism, given.number),
        (
            "fatal",
            Some("tracer-injected"),
            Some("ptrace-syscall"),
            TERM
        )
    );
    let e = told.exit(&app);
    assert_eq!(
        (e.cause, e.mechanism, e.explanation.certainty),
        ("tracer-injected", Some("ptrace-syscall"), Certainty::Proven)
    );
    assert_eq!(chain(e), "SIGTERM given by its debugger ← gdb 60 ← bash 59");
    assert!(why(e).contains("let it go on with SIGTERM (PTRACE_CONT)"));
}

#[test]
fn a_handler_runs_for_what_only_the_debugger_gave() {
    let (mut w, _, app) = pair();
    w.attach(&app);
    let request = w.resume(&app, DETACH, Some(STOP), Some(USR2));
    w.pass(40_000).deliver(&app, USR2, USER);
    let told = w.run();
    let s = told.signal(request);
    assert_eq!(
        (s.fate, s.cause, s.number),
        ("handled", Some("tracer-injected"), USR2)
    );
    assert!(s.explanation.sentences[0].contains("Nobody sent this SIGUSR2: gdb 60"));
    // One that was sent beside it is another.
    let (mut w, sh, app) = pair();
    w.attach(&app);
    let sent = w.send(&sh, &app, USR2).handler(USER).go();
    let request = w.resume(&app, DETACH, Some(STOP), Some(USR2));
    w.deliver(&app, USR2, USER);
    let told = w.run();
    assert_eq!(told.signal(request).fate, "handled");
    assert_eq!(told.signal(sent).fate, "pending");
}

#[test]
fn at_a_system_call_the_kernel_sends_what_the_debugger_gives() {
    let stacks = [
        &["send_sig", "syscall_exit_work", "do_syscall_64"][..],
        &[
            "do_send_sig_info",
            "do_syscall_64",
            "entry_SYSCALL_64_after_hwframe",
        ],
    ];
    for (seen, stack) in [(true, stacks[0]), (false, stacks[0]), (false, stacks[1])] {
        let (mut w, _, app) = pair();
        if seen {
            w.resume(&app, CONT_ON, None, Some(TERM));
        }
        w.send(&app, &app, TERM)
            .by_kernel()
            .stack(stack)
            .set(|s| s.state.traced = true)
            .fatal();
        w.exit(&app, TERM);
        let told = w.run();
        let e = told.exit(&app);
        assert_eq!(e.cause, "tracer-injected");
        assert_eq!(e.explanation.certainty, Certainty::Proven);
        assert_eq!(chain(e).contains("gdb 60"), seen, "{}", chain(e));
    }
}

#[test]
fn a_debugger_kills_by_request() {
    // Since 5.19 by a signal, before that by going on with it.
    let (mut w, _, app) = pair();
    w.send(&gdb(), &app, KILL)
        .stack(&["send_sig_info", "ptrace_request", "__x64_sys_ptrace"])
        .set(|s| {
            s.info = Info::None;
            s.state.traced = true;
        })
        .fatal();
    w.exit(&app, KILL);
    let e = w.run().exit(&app).clone();
    assert_eq!((e.cause, e.forced), ("tracer-injected", true));
    assert!(why(&e).contains("gdb 60, which traced it, killed it (PTRACE_KILL)"));
    let (mut w, _, app) = pair();
    w.attach(&app);
    w.resume(&app, KILL_IT, Some(STOP), Some(KILL));
    w.deliver_traced(&app, KILL, Handler::Default, true);
    w.exit(&app, KILL);
    let e = w.run().exit(&app).clone();
    assert_eq!((e.cause, e.forced), ("tracer-injected", true));
    assert!(why(&e).contains("(PTRACE_KILL)"), "{}", why(&e));
}

#[test]
fn without_the_request_a_delivery_that_nobody_sent_is_likely_the_debuggers() {
    // It has detached when the thread goes on: what was in hand tells.
    for (attached, traced, cause) in [
        (true, false, "tracer-injected"),
        (false, true, "tracer-injected"),
        (false, false, "unknown"),
    ] {
        let (mut w, _, app) = without_dequeue();
        let stop = attached.then(|| w.attach(&app));
        w.pass(150 * MS);
        w.deliver_traced(&app, TERM, Handler::Default, traced);
        w.exit(&app, TERM);
        let told = w.run();
        let e = told.exit(&app);
        assert_eq!(e.cause, cause, "{attached} {traced}");
        if cause != "unknown" {
            assert_eq!(e.explanation.certainty, Certainty::Inferred);
            assert!(e.explanation.missing[0].contains("ptrace_request"));
        }
        if let Some(stop) = stop {
            let s = told.signal(stop);
            assert_eq!(
                (s.fate, s.explanation.certainty),
                ("swallowed", Certainty::Inferred)
            );
        }
    }
    // A signal that was lost may as well have been sent.
    let (mut w, _, app) = pair();
    w.push(Fact::Lost {
        kind: "signal",
        count: 1,
        slow_output: false,
    });
    w.deliver_traced(&app, TERM, Handler::Default, true);
    w.exit(&app, TERM);
    assert_eq!(w.run().exit(&app).cause, "unknown");
}

#[test]
fn a_look_tells_that_the_debugger_has_let_go() {
    for (letter, fate) in [(b't', "pending"), (b'R', "pending"), (b'S', "swallowed")] {
        let (mut w, _, app) = without_dequeue();
        let id = w.attach(&app);
        w.pass(60 * MS);
        w.observe(
            &app,
            Dispositions {
                state: letter,
                ..Dispositions::default()
            },
        );
        w.pass(200 * MS);
        let told = w.run_until(w.now);
        assert_eq!(told.signal(id).fate, fate);
        // And a later one, if the first came too early.
        w.pass(800 * MS);
        w.observe(
            &app,
            Dispositions {
                state: b'S',
                ..Dispositions::default()
            },
        );
        assert_eq!(w.run().signal(id).fate, "swallowed");
    }
}

#[test]
fn what_was_ignored_from_the_start_the_debugger_kept() {
    // sig_ignored: of a traced process nothing is dropped before its debugger saw it.
    let look = |w: &mut World, app: &Task, state: u8| {
        let ignored = bit(USR1);
        w.observe(
            app,
            Dispositions {
                state,
                ignored,
                ..Dispositions::default()
            },
        )
    };
    let (mut w, sh, app) = without_dequeue();
    let id = w
        .send(&sh, &app, USR1)
        .handler(Handler::Ignore)
        .set(|s| s.state.traced = true)
        .go();
    w.pass(60 * MS);
    look(&mut w, &app, b't');
    w.pass(200 * MS);
    let told = w.run_until(w.now);
    assert_eq!(told.signal(id).reason, Some("traced"));
    w.exit(&app, 0);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!((s.fate, s.reason), ("swallowed", Some("tracer")));
    assert!(s.within_ns.is_some());

    // It lets it pass, and then it is thrown away.
    let (mut w, sh, app) = without_dequeue();
    let id = w
        .send(&sh, &app, USR1)
        .handler(Handler::Ignore)
        .set(|s| s.state.traced = true)
        .go();
    w.pass(20 * MS);
    w.deliver(&app, USR1, Handler::Ignore);
    let told = w.run();
    let s = told.signal(id);
    assert_eq!((s.fate, s.reason), ("discarded", Some("sig-ign")));
    let said = s.explanation.sentences.concat();
    assert!(said.contains("debugger let it pass"), "{said}");
}

#[test]
fn the_end_of_a_tracer_kills_whom_it_traced() {
    for named in [true, false] {
        let (mut w, _, app) = pair();
        let sending = w
            .send(&exiting(&gdb()), &app, KILL)
            .by_kernel()
            .stack(&["send_sig_info", "exit_ptrace", "do_exit"])
            .set(|s| s.state.traced = true);
        match named {
            true => sending.fatal(),
            false => sending.unnamed().fatal(),
        };
        w.exit(&app, KILL);
        let told = w.run();
        let e = told.exit(&app);
        assert_eq!(e.cause, "ptrace-exitkill");
        let sure = e.explanation.certainty == Certainty::Proven;
        assert_eq!(sure, named);
    }
}

#[test]
fn which_of_two_the_debugger_passed_on_is_not_known_without_its_request() {
    let (mut w, sh, app) = without_dequeue();
    let both = [0, 1].map(|_| {
        w.send(&sh, &app, USR1)
            .handler(USER)
            .set(|s| s.state.traced = true)
            .go()
    });
    w.deliver_traced(&app, USR1, USER, true);
    let told = w.run();
    let s = told.signal(both[0]);
    assert_eq!(
        (s.fate, s.explanation.certainty),
        ("handled", Certainty::Inferred)
    );
    assert!(s.explanation.missing[0].contains("may have kept one"));
}

/// A kretprobe before 5.15 does not tell who took it.
#[test]
fn what_a_debugger_holds_is_not_taken_for_accepted() {
    let (mut w, sh, app) = pair();
    w.attach(&app);
    let id = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| s.state.traced = true)
        .go();
    w.dequeue(&app, USR1, &[]);
    w.pass(500 * MS);
    let told = w.run_until(w.now);
    assert_eq!(told.history_of(id), [("pending", false)]);
    assert_eq!(told.signal(id).reason, Some("traced"));
    w.deliver_traced(&app, USR1, USER, true);
    assert_eq!(w.run().signal(id).fate, "handled");
}
