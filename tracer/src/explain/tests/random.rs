//! Random histories: whatever comes in whatever order, nothing panics, nothing
//! is explained from what came later, and no cause stands without its evidence.

use std::collections::HashMap;

use proptest::prelude::*;

use super::world::*;
use crate::event::{
    Container, Dispositions, Event, Fact, Frame, Handler, Home, Info, Oom, Outcome, ProcessKey,
    Shared, Signal, Task,
};
use crate::explain::engine::{LOOKED_NS, TAKEN_NS};
use crate::explain::ids::{self, Kind};
use crate::explain::report::{Certainty, Evidence, ExitReport, Explanation, Report, Update};
use crate::explain::signals::*;

/// One step of a random history, in small numbers.
type Step = (u8, u8, u8, u8, u16, u64);

const HOMES: [Home; 3] = [Home::PidNs(NS), Home::PidNs(INNER), Home::Cgroup(IN)];

/// Of the third of these.
fn shared(at: u8) -> Option<Shared> {
    let shared = Shared {
        pidns: pick([None, Some(NS), Some(INNER)], at / 3),
        owner: pick([None, Some("web")], at / 9).map(Into::into),
        first: pick([None, Some(5), Some(6)], at / 18).map(|one| actor(one).key),
    };
    (pick(HOMES, at) == HOMES[2]).then_some(shared)
}

/// The cast: three hosts, PID 1, members, a nested PID 1 and its member.
pub(super) fn actor(n: u8) -> Task {
    match n % 10 {
        0 => host(50, "sh"),
        1 => host(51, "dockerd"),
        2 => member(100, 1, "init"),
        3 => member(101, 2, "app"),
        4 => member(102, 3, "worker"),
        5 => Task {
            cgroup: Some(IN),
            ..inner(110, 4, 1, "inner")
        },
        6 => Task {
            cgroup: Some(IN),
            ..inner(111, 5, 2, "leaf")
        },
        7 => Task {
            tid: 1101,
            ..member(101, 2, "app")
        },
        8 => Task {
            ppid: 51,
            ..host(52, "runc")
        },
        // The pid of the worker, used again.
        _ => Task {
            key: ProcessKey {
                pid: 102,
                start_ns: SINCE + 700 * MS,
            },
            ..member(102, 3, "again")
        },
    }
}

const NUMBERS: [i32; 10] = [TERM, KILL, CHLD, CONT, STOP, USR1, ABRT, 40, INT, ALRM];
const STACKS: [&[&str]; 9] = [
    &["__oom_kill_process", "mem_cgroup_out_of_memory"],
    KILL_STACK,
    ZAP_STACK,
    &[],
    &["it_real_fn"],
    &["do_send_specific"],
    &["isig"],
    &["do_sigtimedwait"],
    &["get_signal"],
];
const PARENTS: [&[(u32, &str)]; 4] = [
    &[],
    &[(51, "dockerd")],
    &[(51, "dockerd"), (50, "sh")],
    &[(50, "sh"), (51, "dockerd")],
];
const OUTCOMES: [Outcome; 10] = [
    Outcome::Delivered,
    Outcome::Delivered,
    Outcome::Delivered,
    Outcome::Ignored,
    Outcome::Ignored,
    Outcome::AlreadyPending,
    Outcome::OverflowFail,
    Outcome::LoseInfo,
    Outcome::SharesItsBit,
    Outcome::BitAlone,
];
const HANDLERS: [Handler; 4] = [
    Handler::Default,
    Handler::Ignore,
    Handler::User(0x1000),
    Handler::KernelThread,
];

fn pick<T: Copy, const N: usize>(of: [T; N], by: u8) -> T {
    of[usize::from(by) % N]
}

fn stack_of(names: &[&str], bits: u16) -> Vec<Frame> {
    let mut stack = frames(names);
    if bits & 1 != 0 {
        stack.iter_mut().for_each(|f| f.function = None);
    }
    stack
}

fn play(w: &mut World, (what, from, to, number, bits, pause): Step) {
    w.pass(pause);
    let (from, to, number_at, to_at) = (actor(from), actor(to), number, to);
    let number = pick(NUMBERS, number);
    let handler = pick(HANDLERS, (bits >> 8) as u8);
    match what % 17 {
        16 => {
            let fact = match bits % 3 {
                0 => Fact::Program {
                    key: actor(number_at).key,
                    file: pick(["/usr/bin/runc", "/usr/bin/dockerd", "/bin/sh"], to_at).into(),
                },
                _ => Fact::Container(Box::new(Container {
                    home: pick(HOMES, to_at),
                    shared: shared(to_at),
                    stop_signal: pick([None, Some(TERM), Some(USR1)], (bits >> 5) as u8),
                    grace_ns: pick([None, Some(0), Some(100 * MS)], (bits >> 7) as u8),
                    ..Container::default()
                })),
            };
            w.push(fact);
        }
        0..=5 => {
            let sender = if bits & 2 != 0 { exiting(&from) } else { from };
            w.send(&sender, &to, number)
                .ancestry(pick(PARENTS, (bits >> 12) as u8))
                .set(|s| {
                    s.stack = stack_of(pick(STACKS, number_at.wrapping_add(what)), bits);
                    s.outcome = pick(OUTCOMES, (bits >> 3) as u8);
                    s.state.handler = handler;
                    s.info = pick(
                        [Info::Full, Info::Full, Info::Kernel, Info::None],
                        (bits >> 6) as u8,
                    );
                    s.code = pick([0, 0, -6, -1, 0x80, 1], (bits >> 4) as u8);
                    s.to_process = bits & 4 != 0;
                    s.state.signal_flags = pick([0, 0, 4, 0x20, 0x40], (bits >> 9) as u8);
                    s.state.group_exit_code = pick([0, number, TERM], (bits >> 10) as u8);
                    s.state.shared_pending = u64::from(bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    s.state.blocked = s.state.shared_pending.rotate_left(7);
                    s.state.exit_state = pick([0, 0, 0, 32], (bits >> 11) as u8);
                })
                .go();
        }
        6 | 7 => {
            w.deliver(&to, number, handler);
        }
        8 => {
            w.push(Fact::Dequeue {
                task: to,
                number,
                stack: stack_of(pick(STACKS, number_at), bits),
            });
        }
        9 => {
            w.fork(&from, &to);
        }
        10 => {
            w.push(Fact::Exec {
                task: to,
                old_tid: 1101,
            });
        }
        11 | 12 => {
            let status = pick(
                [0, KILL, TERM, ABRT | 0x80, 2 << 8, 143 << 8],
                (bits >> 5) as u8,
            );
            w.exit_with(&to, status, bits & 8 != 0, u64::from(bits) << 8);
        }
        13 => {
            let fact = match bits % 4 {
                0 => Fact::DoExit {
                    task: to,
                    status: 0,
                },
                3 if bits & 16 != 0 => Fact::Oom(Box::new(Oom {
                    trigger: from,
                    victim: to,
                    mm: u64::from(bits >> 12),
                    choice: None,
                    levels: vec![],
                    whole: bits & 32 != 0,
                })),
                1 => Fact::GroupExit {
                    task: to,
                    status: 0,
                },
                // The kernel calls it for a PID 1 alone.
                2 if to.is_pid1() => Fact::ZapPidNs {
                    pidns: to.pidns().unwrap_or(NS),
                    task: to,
                },
                _ => Fact::Gone {
                    home: Home::PidNs(NS),
                },
            };
            w.push(fact);
        }
        14 => {
            let dispositions = Dispositions {
                state: b'S',
                shared_pending: u64::from(bits) << 8,
                ..Dispositions::default()
            };
            match bits % 3 {
                0 => w.push(Fact::Reap {
                    key: to.key,
                    by: Some(1),
                }),
                1 => w.push(Fact::Observed {
                    key: to.key,
                    dispositions: (bits & 64 != 0).then_some(dispositions),
                    sight: Default::default(),
                }),
                _ => w.snapshot(&to),
            };
        }
        _ => {
            w.push(Fact::Lost {
                kind: pick(["signal", "deliver", "exit", "dequeue"], bits as u8),
                count: 1 + u64::from(bits % 5),
                slow_output: false,
            });
        }
    }
}

pub(super) fn world(steps: &[Step]) -> World {
    let mut w = World::new();
    for &step in steps {
        play(&mut w, step);
    }
    w
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![4 => 0..50_000u64, 2 => 0..30 * MS, 1 => 0..400 * MS];
    prop::collection::vec(
        (
            any::<u8>(),
            any::<u8>(),
            any::<u8>(),
            any::<u8>(),
            any::<u16>(),
            pause,
        ),
        1..60,
    )
}

/// What holds for every explanation.
fn sound(
    e: &Explanation,
    events: &HashMap<u64, &Event>,
    latest: (u64, u64),
) -> Result<(), TestCaseError> {
    prop_assert_eq!(
        e.certainty == Certainty::Proven,
        e.missing.is_empty(),
        "{:?}",
        e
    );
    for evidence in &e.evidence {
        if let Evidence::Event(id) = evidence {
            let event = events.get(id);
            prop_assert!(event.is_some(), "evidence {} is no event", id);
            let at = event.map_or((0, 0), |e| (e.time.0, e.id));
            prop_assert!(
                at <= latest,
                "{} is later than what it explains: {:?}, {:?}",
                id,
                e,
                event
            );
        }
    }
    for text in e.sentences.iter().chain(&e.advice).chain(&e.missing) {
        prop_assert!(
            !text.is_empty() && !text.contains("  ") && !text.contains(".."),
            "{}",
            text
        );
    }
    Ok(())
}

/// Until when the death is explained: what killed it may pass the tracepoint after its
/// end (`exit_report`).
fn latest(e: &ExitReport, events: &HashMap<u64, &Event>) -> (u64, u64) {
    let end = (e.time.0, e.id);
    let proofs = e.explanation.evidence.iter().map(|proof| match proof {
        Evidence::Event(id) => Some(*id),
        _ => None,
    });
    let links = e.chain.iter().map(|link| link.event);
    let kills_later = proofs.chain(links).flatten().any(|id| {
        events.get(&id).is_some_and(|event| {
            let kills = |s: &Signal| s.target.key == e.task.key && Some(s.number) == e.signal;
            (event.time.0, event.id) > end && matches!(&event.fact, Fact::Signal(s) if kills(s))
        })
    });
    match kills_later {
        true => (e.time.0 + TAKEN_NS, u64::MAX),
        false => end,
    }
}

fn known(kind: Kind, id: &str) -> bool {
    ids::find_all(id).any(|e| e.kind == kind)
}

fn check(w: &World) -> Result<(), TestCaseError> {
    let events: HashMap<u64, &Event> = w.events.iter().map(|e| (e.id, e)).collect();
    let told = w.run();
    let mut dead = std::collections::HashSet::new();
    for report in &told.reports {
        match report {
            Report::Signal(s)
            | Report::Update {
                now: Update::Signal(s),
                ..
            } => {
                let latest = match report {
                    Report::Update { time, .. } => (time.0, u64::MAX),
                    // Taken while a look at it is waited for, and not delivered for so long.
                    _ => (s.time.0 + LOOKED_NS + TAKEN_NS, u64::MAX),
                };
                sound(&s.explanation, &events, latest)?;
                prop_assert!(known(Kind::Fate, s.fate));
                prop_assert!(s.reason.is_none_or(|r| known(Kind::Reason, r)));
                prop_assert!(s.cause.is_none_or(|r| known(Kind::Cause, r)));
                prop_assert!(s.mechanism.is_none_or(|r| known(Kind::Mechanism, r)));
                let debugger = matches!(s.cause, Some("ptrace-attach" | "tracer-injected"))
                    || s.fate == "died_first";
                prop_assert!(
                    s.cause.is_some() == (s.fate == "fatal") || debugger,
                    "{:?}",
                    s
                );
                prop_assert!(s.settled || matches!(s.fate, "blocked" | "pending" | "fatal"));
                prop_assert!(!s.explanation.sentences.is_empty(), "{:?}", s);
            }
            Report::Exit(e) => {
                sound(&e.explanation, &events, latest(e, &events))?;
                prop_assert!(dead.insert(e.task.key), "died twice");
                prop_assert!(known(Kind::Cause, e.cause));
                prop_assert!(e.mechanism.is_none_or(|r| known(Kind::Mechanism, r)));
                prop_assert!(
                    e.contributing.iter().all(|r| known(Kind::Reason, r)),
                    "{:?}",
                    e.contributing
                );
                prop_assert!(
                    !e.explanation.evidence.is_empty() && !e.explanation.sentences.is_empty()
                );
                prop_assert!(!e.chain.is_empty());
                founded(e, &events)?;
            }
            _ => {}
        }
    }
    let signals = told
        .reports
        .iter()
        .filter(|r| matches!(r, Report::Signal(_)))
        .count() as u64;
    prop_assert_eq!(
        signals,
        told.summary.signals,
        "every signal is reported once"
    );
    prop_assert_eq!(dead.len() as u64, told.summary.exited);
    Ok(())
}

/// No cause without the fact that makes it so.
fn founded(
    e: &crate::explain::report::ExitReport,
    events: &HashMap<u64, &Event>,
) -> Result<(), TestCaseError> {
    let latest = latest(e, events);
    let before = || events.values().filter(move |v| (v.time.0, v.id) < latest);
    let sent = |number: i32| {
        before().any(|v| matches!(&v.fact, Fact::Signal(s) if s.number == number && s.target.key.pid == e.task.key.pid))
    };
    let cause = e.cause;
    match cause {
        "exit" => prop_assert!(e.signal.is_none()),
        "pid1-exited" => {
            prop_assert_eq!(e.signal, Some(KILL));
            let zap = before().any(|v| match &v.fact {
                Fact::Signal(s) => {
                    s.number == KILL
                        && s.target.key.pid == e.task.key.pid
                        && s.current.key != s.target.key
                }
                Fact::Exit { task, .. } | Fact::ZapPidNs { task, .. } => {
                    task.is_pid1() && task.key != e.task.key
                }
                _ => false,
            });
            prop_assert!(zap, "{:?}", e);
        }
        "killed-by-process" | "abort" | "cgroup-kill" => {
            prop_assert!(e.signal.is_some_and(sent), "{:?}", e);
        }
        "stop-timeout" => {
            prop_assert_eq!(e.signal, Some(KILL));
            prop_assert!(sent(KILL), "{:?}", e);
            // By something outside that bears an engine's name, both times.
            let outside = |s: &crate::event::Signal| {
                s.target
                    .pidns()
                    .is_some_and(|ns| !s.current.namespaces.contains(&ns))
            };
            let asked = before().any(|v| match &v.fact {
                Fact::Signal(s) => s.number != KILL && s.target.is_pid1() && outside(s),
                _ => false,
            });
            prop_assert!(asked, "{:?}", e);
            let runtime = e.chain.iter().any(|link| link.runtime.is_some());
            prop_assert!(runtime && e.stop.is_some(), "{:?}", e);
        }
        "unknown" => {}
        _ => {
            prop_assert!(crate::explain::kernel_rules::causes().any(|c| c == cause));
            prop_assert!(e.signal.is_some_and(sent), "{:?}", e);
            let proofs = e.explanation.evidence.iter();
            let mut frames = proofs.filter(|proof| matches!(proof, Evidence::Stack(_)));
            let guess = e.explanation.certainty != Certainty::Proven;
            prop_assert!(guess || frames.next().is_some(), "{:?}", e);
        }
    }
    for sentence in &e.explanation.sentences {
        if sentence.contains("never got the") {
            let asked = before().any(|v| match &v.fact {
                Fact::Signal(s) => s.target.is_pid1(),
                Fact::Deliver { task, .. } => task.is_pid1(),
                _ => false,
            });
            prop_assert!(asked, "{}", sentence);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_explained_soundly(steps in steps()) {
        check(&world(&steps))?;
    }

    #[test]
    fn any_stop_is_explained_soundly(
        before in steps(),
        between in steps(),
        after in steps(),
        number in prop_oneof![Just(TERM), Just(USR1), Just(INT)],
        fate in 0..3u8,
    ) {
        let mut w = world(&before);
        let runc = Task { ppid: 51, ..host(53, "runc") };
        let one = Task { ppid: 51, ..member(100, 1, "init") };
        let stop = w.send(&runc, &one, number).ancestry(PARENTS[1]);
        match fate {
            0 => stop.dropped(),
            1 => stop.handled(),
            _ => stop.go(),
        };
        for &step in &between {
            play(&mut w, step);
        }
        w.send(&runc, &one, KILL).ancestry(PARENTS[1]).fatal();
        w.exit(&one, KILL);
        for &step in &after {
            play(&mut w, step);
        }
        check(&w)?;
    }

    #[test]
    fn the_order_of_arrival_changes_nothing(steps in steps(), seed in any::<u64>()) {
        let mut w = world(&steps);
        let expected = format!("{:?}", w.run().reports);
        w.events.sort_by_key(|e| e.id.wrapping_mul(seed | 1).rotate_left(17));
        prop_assert_eq!(format!("{:?}", w.run().reports), expected);
    }

    #[test]
    fn how_often_it_is_asked_changes_nothing(steps in steps(), every in 1..40u64) {
        let w = world(&steps);
        let mut engine = crate::explain::Engine::new(w.coverage.clone());
        let mut reports = Vec::new();
        let mut events = w.events.clone().into_iter().peekable();
        let end = w.now + 5_000 * MS;
        let mut now = SINCE;
        while now < end {
            while let Some(event) = events.next_if(|e| e.time.0 <= now) {
                engine.push(event);
            }
            reports.extend(engine.advance(crate::event::BootTime(now)));
            engine.to_observe(crate::event::BootTime(now));
            now += every * MS;
        }
        reports.extend(engine.finish(crate::event::BootTime(end)).0);
        let once = w.run().reports;
        prop_assert_eq!(reports.len(), once.len());
        prop_assert_eq!(format!("{reports:?}"), format!("{once:?}"));
    }
}
