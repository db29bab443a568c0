//! Processes whose control group has used up its CPU quota: why a signal waits, and why
//! an end took too long.

use super::world::*;
use crate::event::{BootTime, CpuTime, Dispositions, Fact, Quota, Quotas, Sight, Task};
use crate::explain::report::Certainty;
use crate::explain::signals::*;

const USER: crate::event::Handler = crate::event::Handler::User(0x1000);

/// In so many periods of 100 ms it had no time left, 90 ms each.
fn quotas(at: BootTime, periods: u64, throttled_periods: u64) -> Quotas {
    Quotas {
        at,
        groups: vec![Quota {
            group: "/app\x1b".into(),
            v1: false,
            quota_us: 10_000,
            period_us: 100_000,
            periods,
            throttled_periods,
            throttled_us: throttled_periods * 90_000,
        }],
    }
}

fn read(w: &mut World, one: &Task, periods: u64, throttled: u64) -> u64 {
    let quotas = quotas(BootTime(w.now), periods, throttled);
    w.push(Fact::Quotas {
        key: one.key,
        quotas,
    })
}

fn looked(w: &mut World, task: &Task, quotas: Option<Quotas>) {
    w.push(Fact::Observed {
        key: task.key,
        dispositions: Some(Dispositions {
            state: b'R',
            shared_pending: bit(USR1),
            ..Dispositions::default()
        }),
        sight: Sight {
            quotas,
            ..Sight::default()
        },
    });
}

/// A container whose PID 1 handles SIGTERM and is killed 3 s later.
fn killed_after(periods: u64, throttled: u64) -> (Told, Task, [u64; 2]) {
    let mut w = World::new();
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    w.fork(&sh, &one);
    w.send(&sh, &one, TERM).handler(USER).go();
    let first = read(&mut w, &one, 7, 3);
    w.deliver(&one, TERM, USER);
    w.pass(3_000 * MS);
    let last = read(&mut w, &one, 7 + periods, 3 + throttled);
    w.send(&sh, &one, KILL).fatal();
    w.exit(&one, KILL);
    (w.run(), one, [first, last])
}

#[test]
fn an_end_that_was_slow_for_want_of_cpu() {
    let (told, one, [first, last]) = killed_after(30, 27);
    let e = told.exit(&one);
    assert_eq!(e.contributing, ["throttled"]);
    assert_eq!(e.explanation.certainty, Certainty::Proven);
    for event in [first, last] {
        let evidence = crate::explain::report::Evidence::Event(event);
        assert!(e.explanation.evidence.contains(&evidence), "{e:#?}");
    }
    let found = e.throttled.as_deref().unwrap();
    assert_eq!((found.periods, found.throttled_periods), (30, 27));
    assert_eq!(
        (found.throttled_us, found.cgroup.as_str()),
        (2_430_000, "/app\\u{1b}")
    );
    let said = e.explanation.sentences.join(" ");
    assert!(
        said.contains("Meanwhile its control group /app\\u{1b} had used up its CPU quota (10.0 ms of CPU time in each 100 ms) in 27 of 30 periods, and was kept from running for 2.4 s of 3.0 s."),
        "{said}"
    );
}

#[test]
fn what_does_not_matter_is_not_said() {
    for throttled in [0, 3] {
        let (told, one, _) = killed_after(30, throttled);
        let e = told.exit(&one);
        assert!(e.throttled.is_none() && e.contributing.is_empty(), "{e:#?}");
    }
}

#[test]
fn counts_of_before_the_request_prove_nothing() {
    let mut w = World::new();
    let (sh, one) = (host(50, "sh"), member(100, 1, "init"));
    w.fork(&sh, &one);
    read(&mut w, &one, 0, 0);
    w.pass(1_000 * MS);
    w.send(&sh, &one, TERM).handler(USER).go();
    w.deliver(&one, TERM, USER);
    w.pass(3_000 * MS);
    read(&mut w, &one, 30, 27);
    w.send(&sh, &one, KILL).fatal();
    w.exit(&one, KILL);
    assert_eq!(w.run().exit(&one).contributing, [""; 0]);
}

/// What is said of a signal to a process that is runnable: by the kernel's word when
/// it came, and by two looks between which so many periods were without.
fn waits(throttled: bool, looks: [Option<u64>; 2]) -> (Option<&'static str>, Certainty, String) {
    let mut w = World::new();
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    w.fork(&member(100, 1, "init"), &app);
    let id = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| s.state.throttled = throttled)
        .go();
    w.pass(50 * MS);
    for count in looks.into_iter().flatten() {
        let quotas = quotas(BootTime(w.now), count, count);
        looked(&mut w, &app, Some(quotas));
        w.pass(950 * MS);
    }
    let told = w.run();
    let s = told.signal(id);
    let said = s.explanation.sentences.join(" ");
    (s.reason, s.explanation.certainty, said)
}

#[test]
fn a_signal_waits_for_cpu_time() {
    let (reason, certainty, said) = waits(true, [Some(0), None]);
    assert_eq!((reason, certainty), (Some("throttled"), Certainty::Proven));
    assert!(
        said.contains("when it came, the control group /app\\u{1b} had used up its CPU quota (10.0 ms of CPU time in each 100 ms)"),
        "{said}"
    );
    // Who used it up is not known, where it came before that.
    let (reason, certainty, said) = waits(false, [Some(0), Some(9)]);
    assert_eq!(
        (reason, certainty),
        (Some("throttled"), Certainty::Inferred)
    );
    assert!(said.contains("in 9 of 9 periods"), "{said}");
    let (reason, ..) = waits(true, [Some(0), Some(9)]);
    assert_eq!(reason, Some("throttled"));
    // It has had all the time that it wanted since.
    for throttled in [true, false] {
        let (reason, certainty, _) = waits(throttled, [Some(5), Some(5)]);
        assert_eq!(
            (reason, certainty),
            (Some("not-scheduled"), Certainty::Inferred)
        );
    }
    let (reason, ..) = waits(false, [Some(5), None]);
    assert_eq!(reason, Some("not-scheduled"));
}

/// What is said at last of a signal to a process that is runnable, by two looks at how
/// much its first thread has run.
fn starves(
    looks: [Option<(u64, u64)>; 2],
    apart: u64,
    threads: u32,
    quotas_known: bool,
) -> (Option<&'static str>, Certainty, String) {
    let mut w = World::new();
    let (sh, app) = (host(50, "sh"), member(101, 2, "app"));
    w.fork(&member(100, 1, "init"), &app);
    let id = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| s.state.threads = threads)
        .go();
    for (wait, ran) in [50 * MS, apart].into_iter().zip(looks) {
        w.pass(wait);
        let at = BootTime(w.now);
        w.push(Fact::Observed {
            key: app.key,
            dispositions: Some(Dispositions {
                state: b'R',
                shared_pending: bit(USR1),
                ..Dispositions::default()
            }),
            sight: Sight {
                quotas: quotas_known.then(|| Quotas { at, groups: vec![] }),
                cpu: ran.map(|(ran_ns, turns)| CpuTime { at, ran_ns, turns }),
                ..Sight::default()
            },
        });
    }
    let told = w.run();
    let s = told.signal(id);
    let said = s.explanation.sentences.join(" ");
    (s.reason, s.explanation.certainty, said)
}

#[test]
fn a_signal_waits_for_a_cpu() {
    let same = [Some((700, 3)); 2];
    let (reason, certainty, said) = starves(same, 1_050 * MS, 1, true);
    assert_eq!(
        (reason, certainty),
        (Some("not-scheduled"), Certainty::Proven)
    );
    assert!(
        said.contains("gets no CPU (state R). In 1.1 s between two looks at it, it did not run"),
        "{said}"
    );
    // It has run, or how much is not known, or not for long enough; a thread that is
    // not looked at may run, and a quota that is not known be used up.
    let inferred = [
        ([Some((700, 3)), Some((900, 3))], 1_050, 1, true),
        ([Some((700, 3)), Some((700, 4))], 1_050, 1, true),
        ([None, Some((700, 3))], 1_050, 1, true),
        ([Some((700, 3)), None], 1_050, 1, true),
        (same, 900, 1, true),
        (same, 1_050, 2, true),
        (same, 1_050, 1, false),
    ];
    for (looks, apart, threads, quotas_known) in inferred {
        let (reason, certainty, said) = starves(looks, apart * MS, threads, quotas_known);
        assert_eq!(
            (reason, certainty),
            (Some("not-scheduled"), Certainty::Inferred),
            "{said}"
        );
    }
}
