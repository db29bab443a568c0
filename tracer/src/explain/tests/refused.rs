//! Signals that the kernel refused: which check said no, and what is said where
//! less is known.

use super::world::*;
use crate::event::{
    Call, Creds, Denial, Fact, Handed, Profiles, Refused, Right, Task, EINVAL, EPERM,
};
use crate::explain::report::{Certainty, RefusedReport, Report, Sender};
use crate::explain::signals::*;

const ESRCH: i32 = 3;
const EACCES: i32 = 13;
const FIRST_USER_NS: u32 = 0xeffffffd;

fn creds(uid: u32, cap_kill: bool) -> Creds {
    Creds {
        uid,
        euid: uid,
        suid: uid,
        cap_kill,
        user_ns: FIRST_USER_NS,
        user_ns_level: 0,
    }
}

/// SIGTERM by kill(2), with this error and nothing else known.
fn kill(from: &Task, pid: i32, error: i32) -> Refused {
    Refused {
        call: Call::Kill,
        error,
        number: TERM,
        pid,
        tid: 0,
        flags: 0,
        handed: Handed::Nothing,
        current: from.clone(),
        creds: creds(1000, false),
        ancestry: ancestors(&[(900, "bash")]),
        more_ancestors: false,
        at: Default::default(),
        denial: None,
        counts: None,
        namesakes: None,
        profiles: None,
    }
}

#[test]
fn who_tries_from_elsewhere_is_named_so() {
    let names = ["session-3.scope", "user-1000.slice", "user.slice"].map(str::to_owned);
    let mut r = kill(&host(50, "kill"), 2, EPERM);
    r.at.origin = crate::container::origin_of(&names).map(std::sync::Arc::new);
    r.more_ancestors = true;
    r.denial = denial(&member(101, 2, "app"), 0, EPERM, Right::None);
    let report = told(&mut World::new(), r);
    let Sender::Process {
        origin,
        elsewhere,
        more_ancestors,
        ..
    } = report.sender
    else {
        panic!("{:?}", report.sender);
    };
    assert!(elsewhere && more_ancestors);
    assert_eq!(origin.unwrap().session.as_deref(), Some("3"));
}

fn denial(target: &Task, uid: u32, error: i32, right: Right) -> Option<Denial> {
    Some(Denial {
        target: target.clone(),
        creds: creds(uid, false),
        error,
        right,
    })
}

fn told(w: &mut World, r: Refused) -> RefusedReport {
    w.push(Fact::Refused(Box::new(r)));
    last(w).expect("it is reported")
}

fn last(w: &World) -> Option<RefusedReport> {
    let reports = w.run().reports.into_iter().rev();
    reports
        .filter_map(|report| match report {
            Report::Refused(report) => Some(*report),
            _ => None,
        })
        .next()
}

fn said(report: &RefusedReport) -> String {
    report.explanation.sentences.join(" ")
}

/// `no-permission, proven`.
fn id(report: &RefusedReport) -> (&'static str, Certainty) {
    (report.reason, report.explanation.certainty)
}

use Certainty::{Inferred, Proven, Unknown};

#[test]
fn another_user_is_named_with_what_would_help() {
    let (mut w, app, one) = (World::new(), member(101, 2, "app"), member(100, 1, "init"));
    let report = told(
        &mut w,
        Refused {
            denial: denial(&one, 0, EPERM, Right::None),
            ..kill(&app, 1, EPERM)
        },
    );
    assert_eq!(id(&report), ("no-permission", Proven));
    assert_eq!(
        said(&report),
        "app 101 (uid 1000) may not signal PID 1 init 100 (uid 0): they are of different users, \
         and it has no CAP_KILL."
    );
    assert!(report.explanation.advice[0].contains("as uid 0 or as root"));
    assert_eq!(report.target.map(|task| task.key), Some(one.key));
    assert_eq!(report.pidns, Some(NS));
    assert_eq!(w.run().summary.refused, 1);
}

#[test]
fn who_decided_is_told_apart() {
    let (app, one) = (member(101, 2, "app"), member(100, 1, "init"));
    let of = |error: i32, right: Right| {
        let report = told(
            &mut World::new(),
            Refused {
                denial: denial(&one, 0, error, right),
                ..kill(&app, 1, error)
            },
        );
        let advice = report.explanation.advice.concat();
        (id(&report), said(&report) + &advice)
    };
    let (ids, _) = of(EPERM, Right::None);
    assert_eq!(ids, ("no-permission", Proven));
    let (ids, said) = of(EACCES, Right::None);
    assert_eq!(ids, ("lsm-denied", Proven));
    assert!(said.starts_with("A security module refused it:"), "{said}");
    for (right, words) in [
        (Right::Own, "A process may signal itself, but"),
        (
            Right::User,
            "The user ids allow app 101 to signal PID 1 init 100, but",
        ),
        (Right::Capable, "although it has CAP_KILL there: a security"),
        (Right::Owner, "although it made the user namespace of that:"),
        (
            Right::Session,
            "SIGCONT may go to every process of a session",
        ),
    ] {
        let (ids, said) = of(EPERM, right);
        assert_eq!(ids, ("lsm-denied", Proven), "{right:?}");
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(of(EINVAL, Right::User).0, ("bad-signal", Proven));
    // Only with EPERM may it have been the capability that was forbidden.
    assert!(of(EPERM, Right::Capable).1.contains("capability kill"));
    let (_, said) = of(EACCES, Right::Capable);
    assert!(!said.contains("capability kill") && !said.contains("security_capable"));
}

#[test]
fn a_capability_counts_in_its_own_user_namespace() {
    let (mut w, app, one) = (World::new(), member(101, 2, "app"), host(50, "sshd"));
    let report = told(
        &mut w,
        Refused {
            creds: Creds {
                user_ns: 4_026_532_000,
                user_ns_level: 1,
                ..creds(100_000, true)
            },
            denial: denial(&one, 0, EPERM, Right::None),
            ..kill(&app, 50, EPERM)
        },
    );
    assert_eq!(id(&report), ("no-permission", Proven));
    assert!(said(&report).contains("counts only in its own user namespace"));
}

#[test]
fn profiles_of_both_sides_are_named() {
    let (mut w, app, one) = (World::new(), member(101, 2, "app"), member(100, 1, "init"));
    let report = told(
        &mut w,
        Refused {
            denial: denial(&one, 0, EACCES, Right::User),
            profiles: Some(Profiles {
                sender: "runc (enforce)".into(),
                target: "docker-default (enforce)".into(),
            }),
            ..kill(&app, 1, EACCES)
        },
    );
    let said = said(&report);
    assert!(
        said.contains(
            "The profile of app 101 is \"runc (enforce)\", that of PID 1 init 100 \
             \"docker-default (enforce)\"."
        ),
        "{said}"
    );
}

#[test]
fn without_a_hook_on_the_check_the_error_alone_is_known() {
    let (app, one) = (member(101, 2, "app"), member(100, 1, "init"));
    let of = |creds: Creds, error: i32| {
        let mut w = World::new();
        w.coverage.sees_check = false;
        w.snapshot(&one);
        let report = told(
            &mut w,
            Refused {
                creds,
                ..kill(&app, 1, error)
            },
        );
        assert_eq!(report.target.as_ref().map(|t| t.key.pid), Some(100));
        (id(&report), said(&report))
    };
    assert_eq!(of(creds(1000, false), EPERM).0, ("no-permission", Inferred));
    assert_eq!(of(creds(0, false), EPERM).0, ("lsm-denied", Inferred));
    assert_eq!(of(creds(1000, true), EPERM).0, ("lsm-denied", Inferred));
    // The uid of the target is as it was last seen, what root may is certain.
    let (_, said) = of(creds(0, true), EPERM);
    assert!(said.contains("although it has CAP_KILL"), "{said}");
    // No other check returns this.
    assert_eq!(of(creds(1000, false), EACCES).0, ("lsm-denied", Proven));
}

#[test]
fn a_pid_that_nobody_has_may_be_somebodys_elsewhere() {
    let (mut w, app) = (World::new(), member(101, 2, "app"));
    let other = member(350, 7, "web");
    w.fork(&app, &other);
    let report = told(&mut w, kill(&app, 350, ESRCH));
    assert_eq!(id(&report), ("no-such-process", Proven));
    assert_eq!(
        said(&report),
        "There is no process 350 in the PID namespace of app 101. 350 is the pid of web 350 on the \
         host; for app 101 that process is 7."
    );
    assert_eq!(
        report.explanation.advice,
        ["use the pid as the sender sees it: 7."]
    );
    // One that a look at /proc found, which the sender cannot see.
    let report = told(
        &mut w,
        Refused {
            namesakes: Some(vec![host(900, "sshd")]),
            ..kill(&app, 900, ESRCH)
        },
    );
    assert!(
        said(&report)
            .ends_with("900 is the pid of sshd 900 on the host, which app 101 cannot see."),
        "{}",
        said(&report)
    );
    // From the host with a pid that counts inside.
    let sh = host(50, "sh");
    let mut w = World::new();
    w.only(&[(&sh, "s")]);
    w.fork(&sh, &other);
    let report = told(&mut w, kill(&sh, 7, ESRCH));
    assert_eq!(
        said(&report),
        "There is no process 7 on the host. 7 is the pid of web 350 in another PID namespace; for \
         sh 50 that process is 350."
    );
}

#[test]
fn who_had_that_pid_before_is_told() {
    let (mut w, app, web) = (World::new(), member(101, 2, "app"), member(350, 7, "web"));
    w.fork(&app, &web);
    w.exit(&web, 0);
    w.reaped(&web);
    w.pass(1_200 * MS);
    let report = told(&mut w, kill(&app, 7, ESRCH));
    assert_eq!(
        said(&report),
        "There is no process 7 in the PID namespace of app 101 any more: it was web 350, which \
         ended 1.2 s before."
    );
}

#[test]
fn a_process_may_be_there_without_that_thread() {
    let (mut w, app, web) = (World::new(), member(101, 2, "app"), member(350, 7, "web"));
    let tgkill = |pid: i32| Refused {
        call: Call::Tgkill,
        tid: 9,
        ..kill(&app, pid, ESRCH)
    };
    let report = told(&mut w, tgkill(7));
    assert!(
        said(&report).starts_with("There is no thread 9 of a process 7 in"),
        "nobody knows whether there is such a process: {}",
        said(&report)
    );
    w.fork(&app, &web);
    let report = told(&mut w, tgkill(7));
    assert!(said(&report).starts_with("web 350 (pid 7 for app 101) has no thread 9"));
    assert_eq!((report.tid, report.code), (Some(9), -6));
}

#[test]
fn what_is_no_signal_or_not_ones_own_is_said() {
    let (mut w, app, one) = (World::new(), member(101, 2, "app"), member(100, 1, "init"));
    let mut of = |r: Refused| id(&told(&mut w, r));
    let bad = Refused {
        number: 99,
        ..kill(&app, 1, EINVAL)
    };
    assert_eq!(of(bad.clone()), ("bad-signal", Proven));
    assert_eq!(of(kill(&app, 1, EINVAL)), ("unknown", Unknown));
    let queue = |code: i32| Refused {
        call: Call::Sigqueue,
        handed: Handed::Code(code),
        ..kill(&app, 1, EPERM)
    };
    assert_eq!(of(queue(0)), ("forged-siginfo", Proven));
    assert_eq!(of(queue(-6)), ("forged-siginfo", Proven));
    // A siginfo that is all right is refused like any other.
    let refused = Refused {
        denial: denial(&one, 0, EPERM, Right::None),
        ..queue(-1)
    };
    assert_eq!(of(refused), ("no-permission", Proven));
    let tgkill = |pid: i32, tid: i32| Refused {
        call: Call::Tgkill,
        tid,
        ..kill(&app, pid, EINVAL)
    };
    assert_eq!(of(tgkill(0, 5)), ("bad-argument", Proven));
    let tgkill = Refused {
        number: 99,
        ..tgkill(7, 7)
    };
    assert_eq!(of(tgkill), ("bad-signal", Proven));
    let pidfd = |error: i32| Refused {
        call: Call::Pidfd,
        ..kill(&app, 5, error)
    };
    assert_eq!(of(pidfd(EINVAL)), ("pidns-not-visible", Proven));
    assert_eq!(of(pidfd(9)), ("bad-argument", Proven));
    assert_eq!(of(pidfd(ESRCH)), ("no-such-process", Proven));
    let flags = Refused {
        flags: 1,
        ..pidfd(EINVAL)
    };
    assert_eq!(of(flags), ("pidns-not-visible", Inferred));
    // There never were such flags, and no kernel knows two at once.
    for flags in [0x100, 3] {
        let flags = Refused {
            flags,
            ..pidfd(EINVAL)
        };
        assert_eq!(of(flags), ("bad-argument", Proven));
    }
    let bad = Refused {
        number: 99,
        denial: denial(&one, 0, EINVAL, Right::None),
        ..pidfd(EINVAL)
    };
    assert_eq!(of(bad), ("bad-signal", Proven));
}

#[test]
fn of_many_some_may_refuse() {
    let (mut w, app, one) = (World::new(), member(101, 2, "app"), member(100, 1, "init"));
    let many = |counts: (u32, u32), error: i32| Refused {
        counts: Some(counts),
        denial: denial(&one, 0, EPERM, Right::None),
        ..kill(&app, -1, error)
    };
    let report = told(&mut w, many((2, 3), 0));
    assert_eq!(id(&report), ("partial-broadcast", Proven));
    assert!(
        said(&report).starts_with(
            "app 101 sent SIGTERM to every process that it can see: 3 processes may get it from \
             there, 2 may not, and the call reports success. The first of those: app 101 (uid 1000)"
        ),
        "{}",
        said(&report)
    );
    let report = told(&mut w, many((2, 0), 0));
    assert_eq!(id(&report), ("no-permission", Proven));
    assert!(
        said(&report).ends_with(
            "So it was with all 2 processes that it was for. kill(-1) reports success all the same."
        ),
        "{}",
        said(&report)
    );
}

#[test]
fn only_who_is_traced_is_told_of() {
    let (sh, cat) = (host(50, "sh"), host(51, "cat"));
    let mut w = World::new();
    w.push(Fact::Refused(Box::new(kill(&sh, 51, ESRCH))));
    assert_eq!(last(&w), None);
    w.push(Fact::Refused(Box::new(Refused {
        denial: denial(&cat, 0, EPERM, Right::None),
        ..kill(&sh, 51, EPERM)
    })));
    assert_eq!(last(&w), None);
    // Into the namespace.
    let report = told(
        &mut w,
        Refused {
            denial: denial(&member(100, 1, "init"), 0, EPERM, Right::None),
            ..kill(&sh, 100, EPERM)
        },
    );
    assert_eq!(report.pidns, Some(NS));
}

#[test]
fn noise_is_routine_and_calls_that_were_not_looked_at_are_no_loss() {
    let (mut w, app) = (World::new(), member(101, 2, "app"));
    let report = told(
        &mut w,
        Refused {
            number: URG,
            ..kill(&app, 7, ESRCH)
        },
    );
    assert!(report.routine);
    w.push(Fact::NotLookedAt(3));
    let summary = w.run().summary;
    assert_eq!((summary.refused, summary.routine, summary.lost), (0, 1, 0));
    assert!(summary.notes[0].starts_with("3 system calls that send signals could not be looked at"));
}
