//! Forks that the kernel rejected: which limit said no, and what is said where less is
//! known.

use super::world::*;
use crate::event::{
    BootTime, Fact, ForkRejected, FullGroup, FullNs, LikeFork, Machine, Stage, Task,
};
use crate::explain::report::{Certainty, ForkReport, Report};

const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;

fn rejected(by: &Task, error: i32, stage: Stage) -> ForkRejected {
    ForkRejected {
        current: by.clone(),
        ancestry: ancestors(&[(900, "bash")]),
        thread: Some(false),
        error,
        stage,
        sees_alloc_pid: true,
        sees_pids: true,
        nproc: Some((5, 100)),
        nproc_exempt: false,
        deadline: false,
        group: None,
        ns: by.pidns(),
        ns_dead: false,
        full: None,
        machine: Some(Machine {
            threads: 100,
            threads_max: 1000,
            pid_max: 32_768,
        }),
    }
}

fn full_group() -> Option<FullGroup> {
    Some(FullGroup {
        id: 7,
        names: vec!["1dca".into(), "docker".into()],
        whole: true,
        depth: 0,
        count: 3,
        max: 3,
    })
}

fn all(w: &World) -> Vec<ForkReport> {
    let reports = w.run().reports.into_iter();
    reports
        .filter_map(|report| match report {
            Report::ForkRejected(report) => Some(*report),
            _ => None,
        })
        .collect()
}

fn told(fork: ForkRejected) -> ForkReport {
    let mut w = World::new();
    w.push(Fact::ForkRejected(Box::new(fork)));
    all(&w).pop().expect("it is reported")
}

fn id(fork: ForkRejected) -> (&'static str, Certainty) {
    let report = told(fork);
    assert_eq!(
        report.explanation.missing.is_empty(),
        report.explanation.certainty == Certainty::Proven
    );
    (report.reason, report.explanation.certainty)
}

#[test]
fn what_failed_inside_proves_the_limit() {
    let app = member(101, 2, "app");
    let of = |error, stage| rejected(&app, error, stage);
    assert_eq!(
        id(of(EAGAIN, Stage::Pids)),
        ("pids-limit", Certainty::Proven)
    );
    assert_eq!(
        id(of(EAGAIN, Stage::AllocPid)),
        ("pid-max", Certainty::Proven)
    );
    assert_eq!(
        id(of(ENOMEM, Stage::Other)),
        ("no-memory", Certainty::Proven)
    );
    let dead = ForkRejected {
        ns_dead: true,
        ..of(ENOMEM, Stage::AllocPid)
    };
    assert_eq!(id(dead), ("pidns-dead", Certainty::Proven));
    let full = ForkRejected {
        nproc: Some((100, 100)),
        ..of(EAGAIN, Stage::Other)
    };
    assert_eq!(id(full.clone()), ("nproc-limit", Certainty::Proven));
    // Nobody limits root.
    let root = ForkRejected {
        nproc_exempt: true,
        ..full
    };
    assert_eq!(id(root.clone()), ("unknown", Certainty::Unknown));
    let deadline = ForkRejected {
        deadline: true,
        ..root
    };
    assert_eq!(id(deadline), ("deadline-task", Certainty::Proven));
}

#[test]
fn what_was_not_seen_is_inferred_from_the_numbers() {
    let app = member(101, 2, "app");
    let unseen = ForkRejected {
        sees_alloc_pid: false,
        sees_pids: false,
        ..rejected(&app, EAGAIN, Stage::Unknown)
    };
    assert_eq!(id(unseen.clone()), ("unknown", Certainty::Unknown));
    let group = ForkRejected {
        group: full_group(),
        ..unseen.clone()
    };
    assert_eq!(id(group), ("pids-limit", Certainty::Inferred));
    let pids = ForkRejected {
        full: Some(FullNs {
            ns: 1,
            level: 0,
            count: 32_468,
            max: None,
        }),
        ..unseen.clone()
    };
    assert_eq!(id(pids), ("pid-max", Certainty::Inferred));
    let memory = ForkRejected {
        error: ENOMEM,
        ..unseen
    };
    assert_eq!(id(memory), ("no-memory", Certainty::Inferred));
}

#[test]
fn a_group_full_of_zombies_names_who_must_wait() {
    let (sh, one, app, other) = (
        host(50, "sh"),
        member(100, 1, "init"),
        member(101, 2, "app"),
        member(102, 3, "app"),
    );
    let mut w = World::new();
    w.fork(&sh, &one);
    w.fork(&one, &app);
    w.fork(&one, &other);
    w.exit(&app, 0);
    w.exit(&other, 0);
    let fork = ForkRejected {
        group: full_group(),
        ..rejected(&one, EAGAIN, Stage::Pids)
    };
    w.push(Fact::ForkRejected(Box::new(fork)));
    let report = all(&w).pop().unwrap();
    let limit = report.limit.unwrap();
    assert_eq!(limit.cgroup.as_deref(), Some("/docker/1dca"));
    let dead = limit.zombies.unwrap();
    assert_eq!((dead.count, dead.of_parent), (2, 2));
    assert_eq!(dead.parent.unwrap().key, one.key);
    assert!(report.explanation.advice[0].contains("wait() for its children"));
}

#[test]
fn zombies_of_others_do_not_fill_a_users_limit() {
    let (one, root) = (member(100, 1, "init"), member(101, 2, "dead"));
    let app = Task {
        uid: 65_534,
        ..member(102, 3, "app")
    };
    let mut w = World::new();
    w.fork(&one, &root);
    w.exit(&root, 0);
    let fork = ForkRejected {
        nproc: Some((1, 1)),
        ..rejected(&app, EAGAIN, Stage::Other)
    };
    w.push(Fact::ForkRejected(Box::new(fork)));
    let report = all(&w).pop().unwrap();
    assert!(report.limit.unwrap().zombies.is_none());
    assert!(report.explanation.advice[0].contains("ulimit -u"));
}

#[test]
fn those_that_were_counted_are_told_with_their_number() {
    let app = member(101, 2, "app");
    let fork = rejected(&app, EAGAIN, Stage::Pids);
    let like = LikeFork::of(&fork);
    let mut w = World::new();
    w.push(Fact::ForkRejected(Box::new(fork)));
    let last = BootTime(w.now);
    w.push(Fact::ForksCounted {
        like,
        count: 500,
        last,
    });
    let counts: Vec<_> = all(&w).iter().map(|report| report.count).collect();
    assert_eq!(counts, [1, 500]);
    assert_eq!(w.run().summary.forks_rejected, 501);
}
