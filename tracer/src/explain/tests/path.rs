//! The way through the kernel: where a fate was decided, and what is added to the
//! stack because the facts say so.

use super::world::*;
use crate::event::{flag, Handler, Outcome, Task};
use crate::explain::path::{KernelPath, Source, Stack, Step};
use crate::explain::report::{Evidence, SignalReport};
use crate::explain::signals::*;

fn steps(path: &KernelPath, evidence: &[Evidence]) -> Vec<Step> {
    path.steps(evidence)
}

fn of(report: &SignalReport) -> Vec<Step> {
    steps(&report.kernel_path, &report.explanation.evidence)
}

/// `kill_something_info kill_pid_info +prepare_signal`, and where it was decided.
fn told(steps: &[Step]) -> (String, String) {
    let name = |step: &Step| {
        let mark = match step.source {
            Source::Stack => "",
            Source::Below => "+",
            Source::Later => ">",
        };
        format!("{mark}{}", step.function)
    };
    let mut decided = steps.iter().filter(|step| step.decided.is_some());
    let at = decided.next().map_or("", |step| &step.function).to_owned();
    assert!(decided.next().is_none(), "it is decided once: {steps:?}");
    let names: Vec<_> = steps.iter().map(name).collect();
    (names.join(" "), at)
}

/// What is behind `__send_signal_locked` of a kill(2), and where it was decided.
fn behind(w: &World, id: u64) -> (String, String) {
    let (names, at) = told(&of(w.run().signal(id)));
    let (begin, rest) = names.split_once("__send_signal_locked").unwrap();
    assert_eq!(begin, "__x64_sys_kill kill_something_info kill_pid_info ");
    (rest.trim().to_owned(), at)
}

fn one_and_other() -> (Task, Task) {
    (member(100, 1, "init.sh"), member(101, 2, "worker"))
}

const TASK_IGNORED: &str = "+prepare_signal +sig_ignored +sig_task_ignored";

#[test]
fn a_pid1_without_handler_is_decided_below_the_tracepoint() {
    let (one, other) = one_and_other();
    let mut w = World::new();
    let term = w.send(&host(50, "sh"), &one, TERM).dropped();
    let kill = w.send(&other, &one, KILL).dropped();
    let told = w.run();
    for (id, force) in [(term, "its handler is SIG_DFL"), (kill, "force is not set")] {
        assert_eq!(
            behind(&w, id),
            (TASK_IGNORED.into(), "sig_task_ignored".into())
        );
        let last = of(told.signal(id)).pop().unwrap();
        let why = last.decided.unwrap();
        assert!(
            why.contains("SIGNAL_UNKILLABLE") && why.contains(force),
            "{why}"
        );
        assert!(last.decides.unwrap().contains("PID 1 without handler"));
    }
}

#[test]
fn every_drop_is_decided_where_the_kernel_does() {
    let (one, other) = one_and_other();
    let handler_ignored = format!("{TASK_IGNORED} +sig_handler_ignored");
    let decided = |number, to: &Task, set: fn(&mut crate::event::Signal)| {
        let mut w = World::new();
        let id = w.send(&member(102, 3, "sh"), to, number).set(set).dropped();
        behind(&w, id)
    };
    let ignored = decided(TERM, &other, |s| s.state.handler = Handler::Ignore);
    let by_default = decided(WINCH, &other, |_| {});
    for found in [ignored, by_default] {
        assert_eq!(
            found,
            (handler_ignored.clone(), "sig_handler_ignored".into())
        );
    }
    // The flag of a PID 1 is looked at before its handler.
    let init = decided(WINCH, &one, |_| {});
    let thread = decided(TERM, &host(9, "kworker"), |s| {
        s.target.flags = flag::PF_KTHREAD;
        s.state.handler = Handler::KernelThreadKernel;
    });
    let host_init = decided(KILL, &host(1, "systemd"), |_| {});
    for found in [init, thread, host_init] {
        assert_eq!(found, (TASK_IGNORED.into(), "sig_task_ignored".into()));
    }
    let dumping = decided(TERM, &other, |s| s.state.dumping = true);
    let dying = decided(TERM, &other, |s| {
        s.state.signal_flags = flag::GROUP_EXIT;
        s.state.group_exit_code = KILL;
    });
    // That nothing is known of.
    let unknown = decided(TERM, &other, |_| {});
    for found in [dumping, dying] {
        assert_eq!(found, ("+prepare_signal".into(), "prepare_signal".into()));
    }
    assert_eq!(unknown, (String::new(), String::new()));
}

#[test]
fn before_6_0_the_dying_are_queued_for() {
    let (_, other) = one_and_other();
    let dying = |s: &mut crate::event::Signal| {
        s.state.signal_flags = flag::GROUP_EXIT;
        s.state.group_exit_code = KILL;
    };
    let mut w = World::new();
    let queued = w.send(&host(50, "sh"), &other, TERM).set(dying).go();
    let either = w.send(&host(50, "sh"), &other, CHLD).set(dying).dropped();
    assert_eq!(
        behind(&w, queued),
        ("+complete_signal".into(), "complete_signal".into())
    );
    assert_eq!(behind(&w, either).1, "prepare_signal");
    let told = w.run();
    let why = of(told.signal(either)).pop().unwrap().decided.unwrap();
    assert!(why.contains("before 6.0 because sig_ignored"), "{why}");
}

#[test]
fn a_fatal_one_is_decided_at_once_or_by_the_target() {
    let (_, other) = one_and_other();
    let mut w = World::new();
    let term = w.send(&host(50, "sh"), &other, TERM).fatal();
    w.exit(&other, TERM);
    assert_eq!(
        behind(&w, term),
        ("+complete_signal".into(), "complete_signal".into())
    );

    let faulty = member(102, 3, "faulty");
    let mut w = World::new();
    let segv = w
        .send(&faulty, &faulty, SEGV)
        .by_kernel()
        .stack(&[
            "force_sig_info_to_task",
            "bad_area_nosemaphore",
            "exc_page_fault",
        ])
        .set(|s| s.code = 1)
        .go();
    w.deliver(&faulty, SEGV, Handler::Default);
    w.exit(&faulty, SEGV);
    let run = w.run();
    let want = "exc_page_fault bad_area_nosemaphore force_sig_info_to_task >get_signal";
    assert_eq!(
        told(&of(run.signal(segv))),
        (want.into(), "get_signal".into())
    );
    let death = run.exit(&faulty);
    let steps = steps(&death.kernel_path, &death.explanation.evidence);
    assert_eq!(told(&steps), (want.into(), "get_signal".into()));
    let proof: Vec<_> = steps.iter().filter(|step| step.proves).collect();
    assert_eq!(proof.len(), 1, "{steps:?}");
    assert_eq!(proof[0].source, Source::Stack);
}

#[test]
fn the_end_of_a_namespace_is_proven_by_its_function() {
    let (one, other) = one_and_other();
    let mut w = World::new();
    w.exit(&one, 0);
    w.zapped(&one, &other);
    let run = w.run();
    let death = run.exit(&other);
    let steps = steps(&death.kernel_path, &death.explanation.evidence);
    assert_eq!(
        told(&steps),
        (
            "__x64_sys_exit_group do_group_exit do_exit zap_pid_ns_processes group_send_sig_info \
             +complete_signal"
                .into(),
            "complete_signal".into()
        )
    );
    let proof: Vec<_> = steps.iter().filter(|step| step.proves).collect();
    assert_eq!(proof[0].function, "zap_pid_ns_processes");
    assert!(steps.iter().all(|step| step.decides.is_some()), "{steps:?}");
}

#[test]
fn what_comes_later_is_on_the_targets_own_way() {
    let (_, other) = one_and_other();
    let mut w = World::new();
    let handled = w.send(&host(50, "sh"), &other, TERM).handled();
    let accepted = w.send(&host(50, "sh"), &other, USR1).go();
    w.dequeue(&other, USR1, &["dequeue_signal", "do_sigtimedwait"]);
    let blocked = w.send(&host(50, "sh"), &other, USR2).blocked().go();
    assert_eq!(
        behind(&w, handled),
        (">get_signal".into(), "get_signal".into())
    );
    assert_eq!(
        behind(&w, accepted),
        (">do_sigtimedwait".into(), "do_sigtimedwait".into())
    );
    assert_eq!(
        behind(&w, blocked),
        (
            "+complete_signal +wants_signal".into(),
            "wants_signal".into()
        )
    );
}

#[test]
fn queues_that_are_full_and_signals_that_are_there_already() {
    let (_, other) = one_and_other();
    let mut w = World::new();
    let merged = w
        .send(&host(50, "sh"), &other, USR1)
        .outcome(Outcome::AlreadyPending)
        .go();
    let full = w
        .send(&host(50, "sh"), &other, RTMIN)
        .outcome(Outcome::OverflowFail)
        .set(|s| s.queues = Some((7, 7)))
        .go();
    assert_eq!(
        behind(&w, merged),
        ("+legacy_queue".into(), "legacy_queue".into())
    );
    assert_eq!(
        behind(&w, full),
        ("+__sigqueue_alloc".into(), "__sigqueue_alloc".into())
    );
    let overrun = w
        .send(&host(50, "sh"), &other, USR1)
        .outcome(Outcome::AlreadyPending)
        .stack(&["send_sigqueue", "posix_timer_fn"])
        .set(|s| s.code = -2)
        .go();
    let run = w.run();
    let overrun = told(&of(run.signal(overrun)));
    assert_eq!(
        overrun,
        (
            "posix_timer_fn send_sigqueue".into(),
            "send_sigqueue".into()
        )
    );
}

#[test]
fn without_names_the_facts_are_left_and_without_a_stack_nothing() {
    let (one, _) = one_and_other();
    let mut w = World::new();
    let unnamed = w.send(&host(50, "sh"), &one, TERM).unnamed().dropped();
    let none = w.send(&host(50, "sh"), &one, TERM).stack(&[]).dropped();
    let run = w.run();
    let path = &run.signal(unnamed).kernel_path;
    assert_eq!(path.stack, Stack::Unnamed);
    assert_eq!(told(&steps(path, &[])).0, TASK_IGNORED);
    assert_eq!(steps(&run.signal(none).kernel_path, &[]), []);
}

#[test]
fn what_no_rule_fits_proves_nothing() {
    let (_, other) = one_and_other();
    let mut w = World::new();
    w.send(&other, &other, USR1)
        .by_kernel()
        .stack(&["do_something_new", "do_more"])
        .fatal();
    w.exit(&other, USR1);
    let run = w.run();
    let death = run.exit(&other);
    assert_eq!(death.cause, "unknown");
    let steps = steps(&death.kernel_path, &death.explanation.evidence);
    assert!(steps.iter().all(|step| !step.proves), "{steps:?}");
    assert_eq!(steps[0].decides, None, "{steps:?}");
}
