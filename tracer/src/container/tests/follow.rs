//! Containers that start while a trace runs.

use std::sync::Arc;

use super::super::{
    events::Told,
    follow::{Claim, Follow, Name, ALONE_NS, KEPT, KEPT_IN_ALL, WITHOUT_ID_NS, WITHOUT_NAME_NS},
    Shared,
};
use crate::{
    event::{
        BootTime, Comm, Detail, EngineAction, Fact, Handler, Home, Info, Like, Outcome, PidNs,
        ProcessKey, Signal, TargetState, Task, HOST_PIDNS,
    },
    history::filter::Filter,
};

const A: &str = "1dcad40f27d5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "2dcad40f27d5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn task(pid: u32, start_ns: u64, namespaces: &[(PidNs, u32)]) -> Task {
    Task {
        key: ProcessKey { pid, start_ns },
        tid: pid,
        ppid: 1,
        uid: 0,
        flags: 0,
        comm: Comm::from("x"),
        ns_pids: namespaces.iter().map(|&(_, pid)| pid).collect(),
        namespaces: namespaces.iter().map(|&(ns, _)| ns).collect(),
        cgroup: None,
    }
}

fn fork(child: &Task) -> Fact {
    let parent = task(50, 1, &[]);
    let child = child.clone();
    Fact::Fork { parent, child }
}

fn exit(task: &Task) -> Fact {
    Fact::DoExit {
        task: task.clone(),
        status: 0,
    }
}

fn reap(task: &Task) -> Fact {
    let (key, by) = (task.key, Some(50));
    Fact::Reap { key, by }
}

/// Something that waits, with an engine or without.
fn follow(names: &[&str], engines: bool, once: bool) -> Follow {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let filter = Filter {
        follows: true,
        ..Filter::default()
    };
    Follow::new(&names, filter, engines, once)
}

fn take(follow: &mut Follow, fact: Fact) -> bool {
    follow.take(BootTime(5), fact).is_some()
}

fn named(id: &str, name: &str) -> Name {
    Name {
        id: id.into(),
        name: name.into(),
        socket: "/run/docker.sock".into(),
    }
}

fn docker(id: &str) -> Option<(String, Option<&'static str>)> {
    Some((id.into(), Some("docker")))
}

/// It runs its program.
fn placed(
    follow: &mut Follow,
    task: &Task,
    of: Option<(String, Option<&'static str>)>,
) -> Option<Claim> {
    follow.placed(BootTime(5), task, false, "docker-x.scope", of)
}

/// A whole life of a container with PID 1 `pid` in `ns`, as far as it is kept.
fn life(follow: &mut Follow, pid: u32, ns: PidNs) -> Task {
    let pid1 = task(pid, u64::from(pid), &[(ns, 1)]);
    let child = task(pid + 1, u64::from(pid), &[(ns, 2)]);
    for fact in [
        fork(&pid1),
        fork(&child),
        exit(&child),
        reap(&child),
        exit(&pid1),
        reap(&pid1),
    ] {
        assert!(!take(follow, fact), "kept");
    }
    pid1
}

fn facts(claim: &Claim) -> usize {
    claim.facts.len()
}

#[test]
fn a_container_that_is_over_already_is_handed_on_whole() {
    let mut follow = follow(&["a"], true, false);
    assert!(!follow.all_found());
    let pid1 = life(&mut follow, 100, 7);
    follow.told(Told {
        container: A.into(),
        action: EngineAction::Die,
        wall_ns: 1,
        answering: true,
    });
    assert_eq!(
        placed(&mut follow, &pid1, docker(A)),
        None,
        "its name is not known"
    );
    let claims = follow.named(named(A, "a"));
    let [claim] = claims.as_slice() else {
        panic!("{claims:?}");
    };
    assert_eq!((facts(claim), claim.dropped), (6, 0));
    assert_eq!(claim.container.id, A);
    assert_eq!(claim.container.name.as_deref(), Some("a"));
    assert_eq!((claim.container.pidns, claim.first.key), (7, pid1.key));
    assert_eq!(claim.told.len(), 1);
    assert!(follow.all_found());
    assert_eq!((follow.sizes(), follow.unclaimed()), ((0, 0), 0));
}

#[test]
fn the_name_may_come_first() {
    let mut follow = follow(&["a"], true, false);
    assert_eq!(follow.named(named(A, "a")), []);
    let pid1 = task(100, 100, &[(7, 1)]);
    assert!(!take(&mut follow, fork(&pid1)));
    let claim = placed(&mut follow, &pid1, docker(A)).unwrap();
    assert_eq!(facts(&claim), 1);
    // From here on it is the engine's, and what happens on the host too.
    assert!(take(&mut follow, exit(&pid1)));
    assert!(take(&mut follow, exit(&task(60, 1, &[]))));
}

#[test]
fn others_are_forgotten_and_nothing_of_them_gets_through() {
    let mut follow = follow(&["a"], true, false);
    let pid1 = life(&mut follow, 100, 7);
    assert_eq!(follow.named(named(B, "b")), []);
    assert_eq!(placed(&mut follow, &pid1, docker(B)), None);
    assert_eq!((follow.sizes(), follow.unclaimed()), ((0, 0), 0));
    assert!(!take(&mut follow, exit(&pid1)));
}

#[test]
fn without_an_engine_ids_are_enough_and_names_never_come() {
    let mut follow = follow(&["2dca"], false, false);
    let (other, meant) = (life(&mut follow, 100, 7), life(&mut follow, 200, 8));
    assert_eq!(placed(&mut follow, &other, docker(A)), None);
    assert_eq!(follow.sizes(), (1, 6));
    let claim = placed(&mut follow, &meant, docker(B)).unwrap();
    assert_eq!(
        (claim.container.id.as_str(), claim.container.name),
        (B, None)
    );
}

#[test]
fn the_inode_of_a_namespace_that_ended_is_anothers() {
    let mut follow = follow(&["a"], true, false);
    let mut known = follow.named(named(A, "a"));
    let first = task(100, 100, &[(7, 1)]);
    assert!(!take(&mut follow, fork(&first)));
    known.extend(placed(&mut follow, &first, docker(A)));
    assert_eq!(known.len(), 1);
    assert!(take(&mut follow, reap(&first)));
    // Another container gets the inode: nothing of it is the first one's.
    follow.named(named(B, "b"));
    let second = task(200, 200, &[(7, 1)]);
    assert!(!take(&mut follow, fork(&second)));
    assert!(!take(&mut follow, exit(&second)));
    assert_eq!(placed(&mut follow, &second, docker(B)), None);
    // The next start of the first one is.
    let third = task(300, 300, &[(7, 1)]);
    assert!(!take(&mut follow, fork(&third)));
    let claim = placed(&mut follow, &third, docker(A)).unwrap();
    assert_eq!((claim.first.key, facts(&claim)), (third.key, 1));
    assert!(take(&mut follow, exit(&third)));
}

#[test]
fn with_once_the_first_start_counts() {
    let mut follow = follow(&["a"], true, true);
    follow.named(named(A, "a"));
    let (first, second) = (life(&mut follow, 100, 7), life(&mut follow, 200, 8));
    assert!(placed(&mut follow, &first, docker(A)).is_some());
    assert_eq!(placed(&mut follow, &second, docker(A)), None);
    assert!(follow.all_found());
}

#[test]
fn a_container_that_ran_before_is_not_taken_for_a_new_one() {
    let mut follow = follow(&["a"], true, false);
    // Made while the hooks were being attached, so it is known from both.
    let pid1 = task(100, 100, &[(7, 1)]);
    follow.ours(7, Some(pid1.key));
    follow.found("a");
    assert!(follow.all_found());
    assert!(take(&mut follow, fork(&pid1)));
    assert!(take(&mut follow, reap(&pid1)));
    assert!(!take(&mut follow, fork(&task(200, 200, &[(7, 1)]))));
}

#[test]
fn a_namespace_in_a_container_belongs_to_it() {
    let mut follow = follow(&["a"], true, false);
    follow.named(named(A, "a"));
    let pid1 = task(100, 100, &[(7, 1)]);
    let inner = task(110, 110, &[(7, 2), (8, 1)]);
    assert!(!take(&mut follow, fork(&pid1)));
    assert!(!take(&mut follow, fork(&inner)));
    assert_eq!(facts(&placed(&mut follow, &pid1, docker(A)).unwrap()), 2);
    assert!(take(&mut follow, exit(&inner)));
    // One that is made later, too.
    let later = task(120, 120, &[(7, 3), (9, 1)]);
    assert!(take(&mut follow, fork(&later)));
    assert!(take(&mut follow, reap(&inner)));
}

#[test]
fn a_container_in_another_one_is_found_too() {
    let mut follow = follow(&["a"], true, false);
    follow.named(named(A, "a"));
    follow.named(named(B, "b"));
    let outer = task(100, 100, &[(7, 1)]);
    assert!(!take(&mut follow, fork(&outer)));
    assert_eq!(placed(&mut follow, &outer, docker(B)), None);
    let inner = task(110, 110, &[(7, 2), (8, 1)]);
    assert!(!take(&mut follow, fork(&inner)));
    let claim = placed(&mut follow, &inner, docker(A)).unwrap();
    assert_eq!(claim.container.pidns, 8);
    assert!(take(&mut follow, exit(&inner)));
    assert!(!take(&mut follow, exit(&outer)));
}

#[test]
fn what_is_kept_is_bounded_and_counted() {
    let mut follow = follow(&["a"], true, false);
    let many = |follow: &mut Follow, pid: u32, ns| {
        let pid1 = task(pid, u64::from(pid), &[(ns, 1)]);
        assert!(!take(follow, fork(&pid1)));
        for _ in 0..KEPT {
            assert!(!take(follow, exit(&pid1)));
        }
        pid1
    };
    let all = KEPT_IN_ALL / KEPT;
    let pid1s: Vec<_> = (0..=all as u32)
        .map(|i| many(&mut follow, 100 + i, 7 + i))
        .collect();
    // The oldest was given up for the newest, with the one that found no room.
    assert_eq!(follow.sizes(), (all, KEPT_IN_ALL));
    assert_eq!(follow.unclaimed(), KEPT as u64 + 1);
    assert_eq!(placed(&mut follow, &pid1s[0], docker(A)), None);
    follow.named(named(B, "a"));
    let claim = placed(&mut follow, &pid1s[all], docker(B)).unwrap();
    assert_eq!((facts(&claim), claim.dropped), (KEPT, 1));
}

#[test]
fn what_stays_unknown_is_given_up_in_time() {
    let mut follow = follow(&["a"], true, false);
    let (nobody, late) = (life(&mut follow, 100, 7), life(&mut follow, 200, 8));
    assert_eq!(placed(&mut follow, &late, docker(A)), None);
    follow.expire(BootTime(WITHOUT_ID_NS));
    assert_eq!(follow.sizes().0, 2);
    follow.expire(BootTime(WITHOUT_ID_NS + 100));
    assert_eq!(follow.sizes().0, 1);
    assert_eq!(placed(&mut follow, &nobody, docker(B)), None);
    follow.expire(BootTime(WITHOUT_NAME_NS + 200));
    assert_eq!(follow.sizes(), (0, 0));
    assert_eq!(follow.unclaimed(), 12);
    assert_eq!(follow.named(named(A, "a")), []);
}

fn signal(by: &Task, to: &Task) -> Fact {
    Fact::Signal(Arc::new(Signal {
        number: 17,
        code: 0,
        info: Info::Kernel,
        detail: Detail::None,
        pdeath_signal: 0,
        queues: None,
        to_process: true,
        outcome: Outcome::Delivered,
        current: by.clone(),
        target: to.clone(),
        state: TargetState {
            handler: Handler::Default,
            sa_flags: 0,
            blocked: 0,
            real_blocked: 0,
            pending: 0,
            shared_pending: 0,
            signal_flags: 0,
            group_exit_code: 0,
            traced: false,
            state: 0,
            exit_state: 0,
            threads: 1,
            threads_seen: 1,
            threads_blocking: 0,
            threads_unable: 0,
            dumping: false,
            throttled: false,
        },
        ancestry: Vec::new(),
        more_ancestors: false,
        places: Default::default(),
        stack: Vec::new(),
    }))
}

#[test]
fn a_signal_between_two_namespaces_goes_with_the_one_it_concerns() {
    let mut follow = follow(&["a"], true, false);
    let pid1 = task(100, 100, &[(7, 1)]);
    assert!(!take(&mut follow, fork(&pid1)));
    let shim = task(60, 1, &[]);
    assert!(!take(&mut follow, signal(&shim, &pid1)), "into it");
    assert!(!take(&mut follow, signal(&pid1, &shim)), "out of it");
    assert!(
        take(&mut follow, signal(&shim, &shim)),
        "the engine decides"
    );
    assert_eq!(follow.sizes(), (1, 3));
    // Nobody else's, even where its namespace has an inode that was traced.
    follow.named(named(B, "b"));
    assert_eq!(placed(&mut follow, &pid1, docker(B)), None);
    assert!(!take(&mut follow, signal(&pid1, &shim)));
    assert!(!take(&mut follow, signal(&shim, &pid1)));
}

/// Of the container that this cgroup holds, or of its runtime on the way in.
fn grouped(pid: u32, cgroup: u64, namespaces: &[(PidNs, u32)]) -> Task {
    Task {
        cgroup: Some(cgroup),
        ..task(pid, u64::from(pid), namespaces)
    }
}

fn exec(task: &Task) -> Fact {
    Fact::Exec {
        task: task.clone(),
        old_tid: task.tid,
    }
}

fn dead(task: &Task) -> Fact {
    Fact::Exit {
        task: task.clone(),
        group_dead: true,
        status: 0,
        signal_flags: 0,
        pending: 0,
        pdeath_signal: 0,
        call: crate::event::Detail::None,
        ancestry: vec![],
        stack: vec![],
    }
}

/// A runtime comes into a cgroup and becomes a program there; that one.
fn runs(follow: &mut Follow, cgroup: u64, namespaces: &[(PidNs, u32)], of: &str) -> Task {
    let stage = Task {
        comm: Comm::from("runc"),
        ..grouped(200, cgroup, &[])
    };
    let first = grouped(201, cgroup, namespaces);
    for fact in [exec(&stage), fork(&first), dead(&stage), exec(&first)] {
        assert!(!take(follow, fact), "kept");
    }
    let now = BootTime(5);
    let early = BootTime(0);
    assert_eq!(follow.placed(early, &stage, true, "x", docker(of)), None);
    assert!(follow.ripen(BootTime(now.0 + ALONE_NS - 1)).is_empty());
    assert_eq!(placed(follow, &first, docker(of)), None);
    first
}

fn ripen(follow: &mut Follow, after_ns: u64) -> Vec<Claim> {
    follow.ripen(BootTime(5 + after_ns))
}

#[test]
fn a_cgroup_without_a_namespace_is_a_container_itself() {
    let mut follow = follow(&["a"], true, true);
    follow.named(named(A, "a"));
    let first = runs(&mut follow, 9, &[], A);
    let child = grouped(202, 9, &[]);
    assert!(!take(&mut follow, fork(&child)));
    assert!(ripen(&mut follow, ALONE_NS - 1).is_empty());
    let claims = ripen(&mut follow, ALONE_NS);
    let [claim] = claims.as_slice() else {
        panic!("{claims:?}");
    };
    let container = &claim.container;
    assert_eq!(container.home(), Home::Cgroup(9));
    assert_eq!(container.pidns, HOST_PIDNS);
    assert_eq!(container.shares.as_ref().unwrap().with, Shared::Host);
    assert_eq!(claim.first.key, first.key, "not the runtime's");
    assert_eq!((facts(claim), claim.dropped), (5, 0));
    assert!(follow.all_found());
    assert!(take(&mut follow, dead(&child)));
    assert!(ripen(&mut follow, 9 * ALONE_NS).is_empty(), "once");
    // What it makes itself is its own.
    assert!(take(&mut follow, fork(&grouped(203, 9, &[(7, 1)]))));
    assert_eq!(follow.sizes(), (0, 0));
}

/// `docker run --pid=container:web` while web is traced.
#[test]
fn one_that_joins_a_traced_namespace_is_known_from_then_on() {
    for (of, name, known) in [(A, "a", true), (B, "b", false)] {
        let mut follow = follow(&["a"], true, false);
        follow.ours(7, None);
        let stage = Task {
            comm: Comm::from("runc"),
            ..grouped(200, 9, &[])
        };
        for fact in [exec(&stage), dead(&stage)] {
            assert!(!take(&mut follow, fact), "kept");
        }
        let now = BootTime(5);
        // Gone before it was looked at: it is not known to be a runtime.
        assert_eq!(follow.placed(now, &stage, false, "x", docker(of)), None);
        let init = grouped(201, 9, &[(7, 30)]);
        assert!(take(&mut follow, exec(&init)), "told as web's");
        assert_eq!(follow.joined(now, &init, true, "x", docker(of)), None);
        assert_eq!(follow.joined(now, &init, false, "x", docker(of)), None);
        follow.named(named(of, name));
        let claims = ripen(&mut follow, ALONE_NS);
        assert_eq!(claims.len(), usize::from(known));
        for claim in claims {
            assert_eq!(claim.container.home(), Home::Cgroup(9));
            assert_eq!(claim.first.key, init.key);
            assert_eq!((claim.container.pidns, facts(&claim)), (7, 0));
        }
        assert_eq!(follow.sizes(), (0, 0));
        assert!(take(&mut follow, dead(&init)), "still told");
    }
}

#[test]
fn one_that_is_over_before_it_is_known_is_handed_on_whole() {
    let mut follow = follow(&["a"], true, false);
    let first = runs(&mut follow, 9, &[], A);
    assert!(!take(&mut follow, dead(&first)));
    assert!(!take(&mut follow, reap(&first)));
    assert!(
        ripen(&mut follow, ALONE_NS).is_empty(),
        "its name is not known"
    );
    let claims = follow.named(named(A, "a"));
    assert_eq!((facts(&claims[0]), claims[0].first.key), (6, first.key));
    // Another one's is forgotten at once.
    let other = runs(&mut follow, 10, &[], B);
    assert!(follow.named(named(B, "b")).is_empty());
    assert!(!take(&mut follow, dead(&other)));
    assert_eq!(follow.sizes(), (0, 0));
}

#[test]
fn a_runtime_in_the_cgroup_is_no_container() {
    let mut follow = follow(&["a"], true, false);
    follow.named(named(A, "a"));
    let stage = grouped(200, 9, &[]);
    let pid1 = grouped(201, 9, &[(7, 1)]);
    for fact in [exec(&stage), fork(&pid1), exec(&pid1)] {
        assert!(!take(&mut follow, fact));
    }
    assert_eq!(placed(&mut follow, &stage, docker(A)), None);
    let claim = placed(&mut follow, &pid1, docker(A)).unwrap();
    assert_eq!(claim.container.home(), Home::PidNs(7));
    assert_eq!(facts(&claim), 2, "of the namespace alone");
    // By `docker exec`.
    let later = grouped(210, 9, &[]);
    assert!(!take(&mut follow, fork(&later)));
    assert!(ripen(&mut follow, 9 * ALONE_NS).is_empty());
    assert!(take(&mut follow, fork(&grouped(211, 9, &[(7, 3)]))));
    assert_eq!(follow.sizes(), (0, 0));
}

#[test]
fn a_namespace_that_a_container_makes_is_its_own() {
    let mut follow = follow(&["a"], true, false);
    follow.named(named(A, "a"));
    let first = runs(&mut follow, 9, &[], A);
    let inner = Task {
        ppid: first.key.pid,
        ..grouped(210, 9, &[(7, 1)])
    };
    assert!(!take(&mut follow, fork(&inner)));
    assert!(!take(&mut follow, exec(&inner)));
    assert_eq!(placed(&mut follow, &inner, docker(A)), None);
    assert!(!take(&mut follow, dead(&inner)));
    let claims = ripen(&mut follow, ALONE_NS);
    assert_eq!((claims.len(), facts(&claims[0])), (1, 4 + 3));
    assert_eq!(claims[0].container.home(), Home::Cgroup(9));
}

#[test]
fn one_in_anothers_namespace_is_told_from_it() {
    let mut follow = follow(&["a"], true, false);
    follow.named(named(A, "a"));
    follow.named(named(B, "b"));
    let owner = grouped(100, 8, &[(7, 1)]);
    assert!(!take(&mut follow, fork(&owner)));
    assert_eq!(placed(&mut follow, &owner, docker(B)), None);
    let first = runs(&mut follow, 9, &[(7, 5)], A);
    let claims = ripen(&mut follow, ALONE_NS);
    let shares = claims[0].container.shares.as_ref().unwrap();
    assert!(matches!(shares.with, Shared::Container(_)));
    assert_eq!(
        (claims[0].container.pidns, claims[0].first.key),
        (7, first.key)
    );
    assert!(take(&mut follow, dead(&first)));
    assert!(!take(&mut follow, dead(&owner)));
}

/// What comes of a storm, a second after it.
fn counted(signal: &Fact) -> Fact {
    let Fact::Signal(signal) = signal else {
        panic!("a signal");
    };
    Fact::Folded {
        like: Like::of(signal),
        count: 1000,
        last: BootTime(6),
    }
}

/// The first of a storm in the namespace of a PID 1.
fn storm(pid1: &Task) -> Fact {
    let mut signal = signal(pid1, pid1);
    if let Fact::Signal(signal) = &mut signal {
        Arc::make_mut(signal).outcome = Outcome::Ignored;
    }
    signal
}

#[test]
fn counts_go_where_those_went_that_were_told() {
    // Given up: nobody's.
    let mut waiting = follow(&["a"], true, false);
    let pid1 = task(100, 100, &[(7, 1)]);
    let first = storm(&pid1);
    assert!(!take(&mut waiting, fork(&pid1)));
    assert!(!take(&mut waiting, first.clone()));
    assert!(!take(&mut waiting, counted(&first)), "held");
    waiting.expire(BootTime(100 + WITHOUT_ID_NS));
    assert!(!take(&mut waiting, counted(&first)), "given up");
    assert_eq!(waiting.unclaimed(), 1002, "as many as they were");
    // Its inode is another's, which is not known yet, or ours.
    let other = task(200, 200, &[(7, 1)]);
    assert!(!take(&mut waiting, fork(&other)));
    assert!(!take(&mut waiting, counted(&first)), "of the one before");
    assert_eq!(waiting.sizes(), (1, 1));
    waiting.named(named(A, "a"));
    let claim = placed(&mut waiting, &other, docker(A)).expect("a claim");
    assert_eq!(facts(&claim), 1);
    assert!(!take(&mut waiting, counted(&first)), "not of ours");
    // Of ours after its end.
    let second = storm(&other);
    assert!(take(&mut waiting, second.clone()));
    assert!(take(&mut waiting, reap(&other)));
    assert!(take(&mut waiting, counted(&second)));
    // It was told when it was held, and is ours, and over.
    let mut waiting = follow(&["a"], true, false);
    assert!(!take(&mut waiting, fork(&pid1)));
    assert!(!take(&mut waiting, first.clone()));
    waiting.named(named(A, "a"));
    placed(&mut waiting, &pid1, docker(A)).expect("a claim");
    assert!(take(&mut waiting, reap(&pid1)));
    assert!(take(&mut waiting, counted(&first)), "ours");
    // Of what is not known nobody can say that it is not ours.
    assert!(take(&mut waiting, counted(&storm(&other))));
}
