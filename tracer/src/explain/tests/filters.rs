//! What the filters let through: whoever one of them names, as what it is named,
//! and no bystander; and what is said of what they leave out.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::picture::*;
use super::random::{steps, world};
use super::world::*;
use crate::event::{Handler, Info, Outcome, Task};
use crate::explain::report::{Certainty, Report, Sender, SignalReport};
use crate::explain::signals::*;
use crate::history::filter::Filter;

/// The ids of the signals that are reported.
fn shown(told: &Told) -> BTreeSet<u64> {
    signals(told).map(|s| s.id).collect()
}

fn signals(told: &Told) -> impl Iterator<Item = &SignalReport> {
    told.reports.iter().filter_map(|report| match report {
        Report::Signal(s) => Some(&**s),
        _ => None,
    })
}

fn exits(told: &Told) -> Vec<&Task> {
    let mut tasks = Vec::new();
    for report in &told.reports {
        if let Report::Exit(e) = report {
            tasks.push(&e.task);
        }
    }
    tasks
}

#[test]
fn a_bystander_is_no_sender() {
    let (a, b, c) = (host(60, "a"), host(61, "b"), host(62, "c"));
    let user = Handler::User(0x1000);
    // What comes while `a` merely runs: timers with and without a stack, data
    // that arrived, a key, and the kernel's own for lack of memory.
    let bystanding = |w: &mut World| {
        w.send(&a, &b, ALRM)
            .by_kernel()
            .stack(&[])
            .handler(user)
            .go();
        w.send(&a, &b, ALRM).by_kernel().stack(&["it_real_fn"]).go();
        w.send(&a, &b, USR1).stack(&[]).set(|s| s.code = -2).go();
        for number in [URG, IO] {
            w.send(&exiting(&a), &b, number).by_kernel().stack(&[]).go();
        }
        w.send(&a, &b, IO).stack(&[]).set(|s| s.code = 1).go();
        w.send(&a, &b, INT).by_kernel().stack(&["isig"]).go();
        w.send(&a, &b, KILL)
            .by_kernel()
            .stack(&["oom_kill_process"])
            .fatal();
        w.exit(&b, KILL);
    };
    for roles in ["s", "st"] {
        let mut w = World::new();
        bystanding(w.only(&[(&a, roles)]));
        let told = w.run();
        assert_eq!(shown(&told), BTreeSet::new());
        assert_eq!((told.summary.signals, told.summary.exited), (0, 0));
        // What it does itself, and what is done because of it.
        let sent = w.send(&a, &c, TERM).fatal();
        let own = w
            .send(&a, &a, PIPE)
            .set(|s| s.info = Info::None)
            .stack(&[])
            .go();
        let child = w
            .send(&exiting(&a), &c, CHLD)
            .set(|s| s.code = 1)
            .stack(&[])
            .go();
        w.exit(&c, TERM);
        let told = w.run();
        assert_eq!(shown(&told), BTreeSet::from([sent, own, child]));
        assert_eq!(exits(&told).len(), 1, "of the one that it ended");
    }
    // As the target it gets them all.
    let mut w = World::new();
    bystanding(w.only(&[(&b, "t")]));
    assert_eq!((w.run().summary.signals, w.run().summary.exited), (8, 1));
    // And a cgroup's member is a bystander like any other.
    let mut w = World::new();
    w.only(&[]).coverage.filter.cgroups = [IN].into();
    let a = Task {
        cgroup: Some(IN),
        ..a
    };
    w.send(&a, &b, ALRM).by_kernel().stack(&["it_real_fn"]).go();
    let sent = w.send(&a, &b, USR1).handled();
    assert_eq!(shown(&w.run()), BTreeSet::from([sent]));
}

#[test]
fn each_role_and_a_pid_that_is_used_again() {
    let (a, b, c) = (host(60, "a"), host(61, "b"), host(62, "c"));
    let mut again = a.clone();
    again.key.start_ns = SINCE + 700 * MS;
    let run = |named: &[(&Task, &str)]| {
        let mut w = World::new();
        w.only(named);
        let ab = w.send(&a, &b, USR1).handled();
        let ba = w.send(&b, &a, USR1).handled();
        let bc = w.send(&b, &c, USR1).handled();
        w.pass(800 * MS);
        let later = w.send(&again, &b, USR1).handled();
        let shown = shown(&w.run());
        [ab, ba, bc, later].map(|id| shown.contains(&id))
    };
    assert_eq!(run(&[(&a, "s")]), [true, false, false, false]);
    assert_eq!(run(&[(&a, "t")]), [false, true, false, false]);
    assert_eq!(run(&[(&a, "st")]), [true, true, false, false]);
    assert_eq!(run(&[(&a, "s"), (&c, "t")]), [true, false, true, false]);
    assert_eq!(run(&[(&again, "s")]), [false, false, false, true]);
}

#[test]
fn what_any_filter_names_is_traced() {
    let (sh, out, one) = (host(50, "sh"), host(60, "out"), member(100, 1, "init"));
    let (deep, grouped) = (
        inner(110, 4, 1, "deep"),
        Task {
            cgroup: Some(IN),
            ..host(61, "grouped")
        },
    );
    let mut w = World::new();
    w.only(&[(&out, "t")]);
    w.coverage.filter.namespaces = [NS].into();
    w.coverage.filter.cgroups = [IN].into();
    let mut to = |task: &Task| w.send(&sh, task, USR1).handled();
    let named = [to(&out), to(&one), to(&deep), to(&grouped)];
    let other = to(&host(62, "other"));
    for task in [&out, &one, &deep, &grouped, &host(62, "other")] {
        w.exit(task, 0);
    }
    let told = w.run();
    assert_eq!(shown(&told), named.into_iter().collect());
    assert!(!shown(&told).contains(&other));
    assert_eq!(exits(&told).len(), 4);
}

#[test]
fn ends_that_were_not_to_be_seen_are_not_missed() {
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    let mut again = host(50, "other");
    again.key.start_ns = SINCE + 700 * MS;
    let mut w = World::new();
    // Outside, and known because its child inside ended; its pid is used again.
    w.send(&exiting(&one), &sh, CHLD)
        .set(|s| s.code = 1)
        .dropped();
    w.pass(800 * MS);
    w.send(&exiting(&one), &again, CHLD)
        .set(|s| s.code = 1)
        .dropped();
    assert_eq!(w.run().summary.unseen_ends, 0);
    w.coverage.filter = Filter::default();
    assert_eq!(w.run().summary.unseen_ends, 1);
    w.only(&[(&sh, "t"), (&one, "s")]);
    assert_eq!(w.run().summary.unseen_ends, 1);
}

#[test]
fn ends_within_a_namespace_that_is_gone_are_missed_once() {
    let (one, app) = (member(100, 1, "init"), member(101, 2, "app"));
    let mut w = World::new();
    w.fork(&host(50, "sh"), &one);
    w.fork(&one, &app);
    w.push(crate::event::Fact::Gone {
        home: crate::event::Home::PidNs(NS),
    });
    for task in [&app, &one] {
        w.push(crate::event::Fact::Reap {
            key: task.key,
            by: None,
        });
    }
    assert_eq!(w.run().summary.unseen_ends, 2);
}

#[test]
fn what_is_left_out_is_named() {
    let ended = |named: &[(&Task, &str)], since: u64| {
        let (mut w, _, one, child) = started();
        w.only(named);
        w.coverage.since.0 = since;
        let told = end(&mut w, &one, &child, 0);
        let e = told.exit(&child);
        (
            second(e).to_owned(),
            e.explanation.missing.join(" "),
            e.explanation.certainty,
        )
    };
    let (sh, one, child) = cast();
    // PID 1 is traced in every role: nothing is left out of what it got.
    let (said, missing, certainty) = ended(&[(&one, "st"), (&sh, "s")], SINCE);
    assert_eq!(said, "No SIGTERM was sent to PID 1: it exited on its own.");
    assert_eq!((missing.as_str(), certainty), ("", Certainty::Proven));
    // The same, and sigtrace came late: that is what is missing.
    let (said, missing, certainty) = ended(&[(&one, "st")], SINCE + 600 * MS);
    assert!(
        said.starts_with("sigtrace was not attached before the last "),
        "{said}"
    );
    assert_eq!(missing, "what happened before sigtrace was attached");
    assert_eq!(certainty, Certainty::Inferred);
    // It is traced as a sender alone.
    let (said, missing, _) = ended(&[(&one, "s"), (&child, "st")], SINCE);
    assert_eq!(said, "Whether PID 1 was asked to end (SIGTERM) is not known: the filters leave out what c-init-sig 16301 gets from processes that they do not name.");
    assert_eq!(
        missing,
        "signals to c-init-sig 16301 from processes that the filters do not name"
    );
}

#[test]
fn nothing_sent_on_is_said_of_a_sender_that_is_traced() {
    let (sh, one, child) = cast();
    for (one_is, said) in [
        ("st", "sent nothing on."),
        ("t", "sent nothing to this process."),
    ] {
        let (mut w, ..) = started();
        w.only(&[(&sh, "s"), (&one, one_is), (&child, "t")]);
        w.send(&sh, &one, TERM).handled();
        let told = end(&mut w, &one, &child, 0);
        let e = told.exit(&child);
        assert!(second(e).ends_with(said), "{}", second(e));
        assert_eq!(e.explanation.certainty, Certainty::Proven);
    }
    // The child may have got one from elsewhere.
    let (mut w, ..) = started();
    w.only(&[(&sh, "s"), (&one, "st")]);
    w.send(&sh, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    assert!(second(told.exit(&child)).contains(
        "whether this process got one too is not known: the filters leave out what c-init-sig 16341 gets"
    ));
}

#[test]
fn whoever_came_into_the_cgroup_later_has_an_unknown_past() {
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    let inside = Task {
        cgroup: Some(IN),
        ..app.clone()
    };
    for (born, said) in [
        (&inside, "It exited with status 0."),
        (
            &app,
            "app 101 was not in the cgroup that is traced from the beginning.",
        ),
    ] {
        let mut w = World::new();
        w.coverage.filter = Filter {
            cgroups: [IN].into(),
            ..Filter::default()
        };
        w.fork(&sh, born);
        w.exit(&inside, 0);
        let told = w.run();
        assert!(
            why(told.exit(&app)).ends_with(said),
            "{}",
            why(told.exit(&app))
        );
    }
}

/// Who is said to have sent it, if that was a process or for one.
fn sent_by(s: &SignalReport) -> Option<&Task> {
    match &s.sender {
        Sender::Process { task, .. } => Some(task),
        Sender::Kernel { on_behalf_of } | Sender::Terminal { on_behalf_of } => {
            on_behalf_of.as_ref()
        }
        Sender::Timer => None,
    }
}

fn filter() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..10u8, 0..6u8), 1..4)
}

fn set(w: &mut World, by: &[(u8, u8)]) {
    w.only(&[]);
    // Random starts and ends: nobody is another namespace's for starting late.
    w.coverage.filter.follows = true;
    for &(who, how) in by {
        let task = super::random::actor(who);
        match how {
            0 => drop(w.coverage.filter.namespaces.insert(NS)),
            1 => drop(w.coverage.filter.namespaces.insert(INNER)),
            2 => drop(w.coverage.filter.cgroups.insert(IN)),
            _ => {
                let roles = crate::history::filter::Roles {
                    sender: how != 3,
                    target: how != 4,
                };
                w.coverage.filter.add(task.key, roles);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Of all signals those are shown, no more and no fewer, whose target is
    /// named, or whose sender as it is shown; and deaths of those alone that are
    /// named or got one of these.
    #[test]
    fn a_filter_leaves_exactly_the_others_out(steps in steps(), by in filter()) {
        let mut w = world(&steps);
        w.only(&[]);
        let all = w.run();
        set(&mut w, &by);
        let filter = w.coverage.filter.clone();
        let some = w.run();
        let by_named = |s: &&SignalReport| sent_by(s).is_some_and(|t| filter.sender(t));
        let wanted: BTreeSet<u64> = signals(&all)
            .filter(|s| filter.target(&s.target) || by_named(s))
            .map(|s| s.id)
            .collect();
        prop_assert_eq!(shown(&some), wanted);
        let reached: Vec<_> = signals(&some)
            .filter(by_named)
            .filter(|s| s.outcome != Outcome::Ignored)
            .map(|s| s.target.key)
            .collect();
        for task in exits(&some) {
            prop_assert!(filter.names(task) || reached.contains(&task.key), "{:?}", task);
        }
        let exited = exits(&some).len() as u64;
        prop_assert_eq!(some.summary.exited, exited);
    }
}
