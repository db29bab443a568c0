//! Reports made by hand, for the tests of the writers: the picture, and one of
//! every kind.

use std::sync::Arc;

use super::{Clock, Context, Ending, Scope, Tracing};
use crate::{
    event::{BootTime, Call, Comm, Origin, OriginContainer, Outcome, PidNs, ProcessKey, Task},
    explain::path::{Decision, KernelPath, Stack},
    explain::report::{
        Asked, Certainty, Evidence, ExitReport, Explanation, FaultFunction, FaultPlace, Forebear,
        ForkLimit, ForkReport, HandlerPlace, Kept, Link, RefusedReport, Report, Sender,
        SignalReport, Stop, Summary, Unreaped, Update, Zombies,
    },
    explain::runtime::{Recognized, Role},
};

/// The namespace of the samples.
pub(crate) const NS: PidNs = 4_026_532_281;

/// 02:38:01 is boot plus 100 s.
pub(crate) fn context() -> Context {
    Context {
        clock: Clock {
            offset_ns: 1_795_401_381_000_000_000,
        },
        utc: true,
        numeric: false,
        color: false,
        width: Some(110),
        failed_only: false,
        all_signals: false,
        named_signals: false,
        path: false,
        many: false,
        scopes: vec![Scope {
            pidns: NS,
            label: Some("fwd_sig".into()),
            note: Some("made by the demo".into()),
            pid1: Some("c-init-sig".into()),
            ..Scope::default()
        }],
    }
}

pub(crate) fn tracing() -> Tracing {
    Tracing {
        since: BootTime(100_000_000_000),
        kernel: "6.1.0-40-cloud-amd64".into(),
        version: "0.1.0".into(),
        filters: Vec::new(),
        hooks: vec![("signal_generate".into(), "tp_btf".into())],
        notes: Vec::new(),
        waiting: Vec::new(),
    }
}

/// So many milliseconds after tracing began.
pub(crate) fn at(ms: u64) -> BootTime {
    BootTime(100_000_000_000 + ms * 1_000_000)
}

pub(crate) fn outside(comm: &str, pid: u32) -> Task {
    Task {
        key: ProcessKey {
            pid,
            start_ns: 1_000_000 + u64::from(pid),
        },
        tid: pid,
        ppid: 1,
        uid: 0,
        flags: 0,
        comm: Comm::from(comm),
        ns_pids: Default::default(),
        namespaces: Default::default(),
        cgroup: None,
    }
}

pub(crate) fn inside(comm: &str, pid: u32, ns_pid: u32) -> Task {
    Task {
        ns_pids: [ns_pid][..].into(),
        namespaces: [NS][..].into(),
        ..outside(comm, pid)
    }
}

fn pid1() -> Task {
    inside("c-init-sig", 16301, 1)
}

fn child() -> Task {
    inside("c-init-sig", 16341, 2)
}

fn nothing(certainty: Certainty) -> Explanation {
    Explanation {
        moments: Vec::new(),
        certainty,
        evidence: Vec::new(),
        missing: Vec::new(),
        sentences: Vec::new(),
        advice: Vec::new(),
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// SIGTERM from a shell outside, handled by PID 1.
pub(crate) fn sigterm() -> SignalReport {
    let ancestor = |comm: &str, pid: u32| Forebear {
        runtime: None,
        key: ProcessKey {
            pid,
            start_ns: u64::from(pid),
        },
        comm: Comm::from(comm),
    };
    SignalReport {
        id: 12,
        time: at(6412),
        pidns: Some(NS),
        number: 15,
        code: 0,
        to_process: true,
        outcome: Outcome::Delivered,
        sender: Sender::Process {
            task: outside("sh", 16350),
            runtime: None,
            ancestry: vec![ancestor("bash", 15990), ancestor("sshd", 1201)],
            more_ancestors: false,
            origin: None,
            elsewhere: false,
        },
        target: pid1(),
        target_origin: None,
        fate: "handled",
        settled: true,
        reason: None,
        cause: None,
        mechanism: None,
        kernel_path: KernelPath::default(),
        latency_ns: Some(120_000),
        within_ns: None,
        handler: Some(Box::new(HandlerPlace {
            address: 0x0040_1136,
            object: Some("app".into()),
            offset: Some(0x1136),
            function: Some(FaultFunction {
                name: "on_term".into(),
                offset: 0,
                source: None,
            }),
        })),
        fault: None,
        routine: false,
        explanation: nothing(Certainty::Proven),
        count: 1,
    }
}

fn stack(functions: &[&str], decision: Decision) -> KernelPath {
    KernelPath {
        functions: strings(functions),
        stack: Stack::Named,
        decision: Some(decision),
    }
}

/// The same to a PID 1 without handler.
pub(crate) fn dropped() -> SignalReport {
    SignalReport {
        id: 20,
        target: inside("init.sh", 16301, 1),
        outcome: Outcome::Ignored,
        fate: "dropped",
        reason: Some("init-no-handler"),
        kernel_path: stack(
            &["send_signal_locked", "do_send_sig_info", "kill_pid_info"],
            Decision::Unkillable { kernel_only: false },
        ),
        latency_ns: None,
        handler: None,
        fault: None,
        explanation: Explanation {
            evidence: vec![Evidence::Field("sa_handler=SIG_DFL".into())],
            sentences: strings(&[
                "PID 1 of a PID namespace gets only signals that it handles, \
                waits for or blocks; it has no handler for SIGTERM.",
            ]),
            advice: strings(&[
                "install a handler for SIGTERM in PID 1, or use an init that has one \
                (docker run --init, tini).",
            ]),
            ..nothing(Certainty::Proven)
        },
        ..sigterm()
    }
}

/// The SIGKILL of the picture, which text leaves to the death.
pub(crate) fn sigkill() -> SignalReport {
    SignalReport {
        id: 17,
        time: at(6413),
        number: 9,
        code: 128,
        sender: Sender::Kernel {
            on_behalf_of: Some(pid1()),
        },
        target: child(),
        fate: "fatal",
        cause: Some("pid1-exited"),
        mechanism: Some("kernel-signal"),
        kernel_path: stack(
            &["zap_pid_ns_processes", "do_exit", "do_group_exit"],
            Decision::Fatal,
        ),
        latency_ns: None,
        handler: None,
        fault: None,
        ..sigterm()
    }
}

pub(crate) fn init_exit() -> ExitReport {
    ExitReport {
        id: 15,
        time: at(6413),
        pidns: Some(NS),
        task: pid1(),
        pid1: true,
        signal: None,
        core_dumped: false,
        exit_code: 0,
        cause: "exit",
        mechanism: Some("exit"),
        forced: false,
        chain: Vec::new(),
        contributing: Vec::new(),
        stop: None,
        oom: None,
        throttled: None,
        fault: None,
        kernel_path: KernelPath::default(),
        explanation: nothing(Certainty::Proven),
    }
}

pub(crate) fn killed() -> ExitReport {
    let link = |event, what: &str| Link {
        event,
        what: what.to_owned(),
        runtime: None,
        asked: None,
    };
    ExitReport {
        id: 18,
        time: at(6414),
        task: child(),
        pid1: false,
        signal: Some(9),
        exit_code: 137,
        cause: "pid1-exited",
        mechanism: Some("kernel-signal"),
        forced: true,
        chain: vec![
            link(Some(17), "SIGKILL by the kernel"),
            link(Some(15), "PID 1 exited with status 0"),
            link(Some(12), "SIGTERM handled by PID 1"),
            link(None, "sh 16350"),
            link(None, "bash 15990"),
            link(None, "sshd 1201"),
        ],
        contributing: vec!["not-forwarded"],
        stop: Some(Stop {
            signal: 15,
            grace_ns: None,
            used_ns: 1_400_000,
        }),
        oom: None,
        throttled: None,
        kernel_path: stack(
            &["zap_pid_ns_processes", "do_exit", "do_group_exit"],
            Decision::Fatal,
        ),
        explanation: Explanation {
            evidence: vec![
                Evidence::Stack("zap_pid_ns_processes".into()),
                Evidence::Event(15),
            ],
            sentences: strings(&[
                "PID 1 exited, so the kernel killed everything left in its PID namespace \
                 (zap_pid_ns_processes).",
                "This process never got the SIGTERM: PID 1 handled it and sent nothing on.",
            ]),
            advice: strings(&[
                "forward SIGTERM in PID 1 to its children, and wait for them before it exits.",
            ]),
            ..nothing(Certainty::Proven)
        },
        ..init_exit()
    }
}

/// A fault, with all that can be known of its place.
pub(crate) fn faulted() -> ExitReport {
    ExitReport {
        id: 60,
        signal: Some(11),
        exit_code: 139,
        cause: "fault",
        forced: false,
        fault: Some(Box::new(FaultPlace {
            ip: 0x40_1136,
            object: Some("app".into()),
            path: Some("/usr/bin/app".into()),
            offset: Some(0x1136),
            build_id: Some("abcd".into()),
            anonymous: false,
            jumped: false,
            function: Some(FaultFunction {
                name: "crash".into(),
                offset: 6,
                source: Some("src/app.c:12".into()),
            }),
        })),
        ..killed()
    }
}

/// A death of which nothing is known.
pub(crate) fn unknown() -> ExitReport {
    ExitReport {
        id: 30,
        time: at(9000),
        task: inside("worker", 16360, 9),
        cause: "unknown",
        mechanism: None,
        chain: Vec::new(),
        contributing: Vec::new(),
        stop: None,
        oom: None,
        throttled: None,
        kernel_path: KernelPath::default(),
        explanation: Explanation {
            missing: strings(&["the signal_generate event of its SIGKILL (12 events were lost)"]),
            sentences: strings(&["It was killed by SIGKILL; by whom was not seen."]),
            ..nothing(Certainty::Unknown)
        },
        ..killed()
    }
}

pub(crate) fn picture() -> Vec<Report> {
    vec![
        Report::Signal(Box::new(sigterm())),
        Report::Exit(Box::new(init_exit())),
        Report::Signal(Box::new(sigkill())),
        Report::Exit(Box::new(killed())),
    ]
}

pub(crate) fn summary() -> Summary {
    Summary {
        exited: 2,
        forced: 1,
        ended_badly: 1,
        routine: 14,
        signals: 16,
        ended: true,
        ..Summary::default()
    }
}

/// One of every kind, updates too.
pub(crate) fn every_kind() -> Vec<Report> {
    let blocked = SignalReport {
        id: 21,
        fate: "blocked",
        settled: false,
        reason: Some("blocked-mask"),
        latency_ns: None,
        handler: None,
        fault: None,
        explanation: Explanation {
            sentences: strings(&["Every thread blocks SIGTERM: it waits until one unblocks it."]),
            ..nothing(Certainty::Proven)
        },
        ..sigterm()
    };
    let handled = SignalReport {
        id: 21,
        latency_ns: Some(2_100_000_000),
        ..sigterm()
    };
    let timer = SignalReport {
        id: 22,
        number: 34,
        code: -2,
        sender: Sender::Timer,
        fate: "coalesced",
        reason: Some("timer-overrun"),
        outcome: Outcome::AlreadyPending,
        latency_ns: None,
        handler: None,
        fault: None,
        count: 120,
        ..sigterm()
    };
    let key = SignalReport {
        id: 23,
        number: 2,
        code: 128,
        sender: Sender::Terminal { on_behalf_of: None },
        ..sigterm()
    };
    let routine = SignalReport {
        id: 24,
        number: 17,
        code: 1,
        routine: true,
        ..sigterm()
    };
    let clean = ExitReport {
        id: 25,
        task: inside("sleep", 16370, 12),
        pid1: false,
        ..init_exit()
    };
    let by_term = ExitReport {
        id: 26,
        time: at(7000),
        task: inside("web", 16371, 13),
        signal: Some(15),
        exit_code: 143,
        cause: "killed-by-process",
        mechanism: Some("kill-syscall"),
        forced: false,
        explanation: nothing(Certainty::Proven),
        ..killed()
    };
    let found_out = ExitReport {
        id: 30,
        ..ExitReport {
            task: unknown().task,
            ..killed()
        }
    };
    let late = timed_out("docker stop or kill");
    let asked = timed_out("docker stop");
    let mut reports = vec![
        Report::Fork {
            id: 1,
            time: at(1),
            parent: pid1(),
            child: child(),
        },
        Report::Exec {
            id: 2,
            time: at(2),
            task: child(),
        },
    ];
    reports.extend(picture());
    reports.extend([dropped(), blocked, timer, key, routine].map(|s| Report::Signal(Box::new(s))));
    reports.push(Report::Update {
        of: 21,
        time: at(8512),
        now: Update::Signal(Box::new(handled)),
    });
    reports.push(Report::Signal(Box::new(stop_signal())));
    reports.extend([refused(), refused_by_some()].map(|it| Report::Refused(Box::new(it))));
    reports.push(Report::ForkRejected(Box::new(fork_rejected())));
    reports.extend([clean, by_term, unknown(), late].map(|exit| Report::Exit(Box::new(exit))));
    reports.extend([
        Report::Update {
            of: 30,
            time: at(9100),
            now: Update::Exit(Box::new(found_out)),
        },
        Report::Update {
            of: 34,
            time: at(9150),
            now: Update::Asked(Box::new(asked)),
        },
        Report::Zombie {
            id: 31,
            time: at(9200),
            task: child(),
            parent: Some(pid1()),
        },
        Report::Waits {
            id: 36,
            time: at(9250),
            task: pid1(),
            waits_for: vec![
                Unreaped {
                    task: child(),
                    dead: true,
                    parent: Some(outside("nsenter", 16340)),
                    kept: None,
                },
                Unreaped {
                    task: inside("cat", 16343, 4),
                    dead: false,
                    parent: None,
                    kept: Some(Kept {
                        state: 'D',
                        reason: Some("uninterruptible"),
                        why: "it sleeps in the kernel, in nfs_wait_bit_killable, where no signal wakes it (state D)".into(),
                    }),
                },
            ],
        },
        Report::Reap {
            id: 32,
            time: at(9300),
            task: child(),
            by: Some(16301),
            certainty: Certainty::Inferred,
        },
        Report::Lost {
            id: 33,
            time: at(9400),
            kind: "signal",
            count: 12,
            slow_output: false,
        },
    ]);
    reports
}

/// SIGTERM that the sender may not send.
pub(crate) fn refused() -> RefusedReport {
    let SignalReport { time, sender, .. } = sigterm();
    RefusedReport {
        id: 37,
        time,
        pidns: Some(NS),
        number: 15,
        code: 0,
        call: Call::Kill,
        pid: 16301,
        tid: None,
        error: 1,
        sender,
        target: Some(pid1()),
        counts: None,
        reason: "no-permission",
        routine: false,
        explanation: Explanation {
            evidence: vec![Evidence::Field("check_kill_permission=-EPERM".into())],
            sentences: strings(
                &["sh 16350 (uid 1000) may not signal PID 1 c-init-sig 16301 \
                (uid 0): they are of different users, and it has no CAP_KILL."],
            ),
            advice: strings(&["run the sender as uid 0 or as root, or give it CAP_KILL \
                (docker run --cap-add KILL)."]),
            ..nothing(Certainty::Proven)
        },
        count: 1,
    }
}

/// A control group full of the dead.
pub(crate) fn fork_rejected() -> ForkReport {
    let SignalReport { time, .. } = sigterm();
    ForkReport {
        id: 39,
        time,
        pidns: Some(NS),
        task: child(),
        ancestry: Vec::new(),
        thread: Some(false),
        error: 11,
        reason: "pids-limit",
        limit: Some(ForkLimit {
            of: "pids.max",
            current: Some(100),
            max: Some(100),
            cgroup: Some("/docker/1dcad40f27d5".into()),
            scope: Some("own"),
            zombies: Some(Zombies {
                count: 98,
                parent: Some(pid1()),
                of_parent: 98,
            }),
            ..ForkLimit::default()
        }),
        explanation: Explanation {
            evidence: vec![Evidence::Field("pids_can_fork=-EAGAIN".into())],
            sentences: strings(&[
                "its control group may have 100 tasks (pids.max), no more, and has 100.",
            ]),
            advice: strings(&["let PID 1 wait() for its children."]),
            ..nothing(Certainty::Proven)
        },
        count: 1,
    }
}

/// SIGTERM by a neighbour with too many parents to be recorded.
pub(crate) fn by_neighbour() -> SignalReport {
    let container = |two: &str, name: Option<&str>| OriginContainer {
        id: two.repeat(32),
        name: name.map(str::to_owned),
        engine: Some("docker"),
    };
    let mut report = SignalReport {
        id: 45,
        target_origin: Some(Arc::new(Origin {
            container: Some(container("cd", None)),
            pod: Some("6d1f5d53-8c0b-4a3e-9f6a-0b1c2d3e4f50".to_owned()),
            ..Origin::default()
        })),
        ..sigterm()
    };
    if let Sender::Process {
        more_ancestors,
        origin,
        elsewhere,
        ..
    } = &mut report.sender
    {
        (*more_ancestors, *elsewhere) = (true, true);
        *origin = Some(Arc::new(Origin {
            container: Some(container("ab", Some("sidecar"))),
            ..Origin::default()
        }));
    }
    report
}

/// The same by somebody who is logged in.
pub(crate) fn by_a_session() -> SignalReport {
    let mut report = SignalReport {
        id: 46,
        ..by_neighbour()
    };
    if let Sender::Process { origin, .. } = &mut report.sender {
        *origin = Some(Arc::new(Origin {
            unit: Some("session-3.scope".to_owned()),
            session: Some("3".to_owned()),
            uid: Some(1000),
            ..Origin::default()
        }));
    }
    report
}

/// SIGTERM to everybody, from inside.
fn refused_by_some() -> RefusedReport {
    RefusedReport {
        id: 38,
        call: Call::Kill,
        pid: -1,
        error: 0,
        counts: Some((2, 3)),
        reason: "partial-broadcast",
        ..refused()
    }
}

/// SIGTERM from a container's runtime.
fn stop_signal() -> SignalReport {
    let shim = Forebear {
        key: ProcessKey {
            pid: 16280,
            start_ns: 1,
        },
        comm: Comm::from("containerd-shim"),
        runtime: Some("containerd-shim"),
    };
    SignalReport {
        id: 35,
        time: at(6000),
        sender: Sender::Process {
            task: outside("runc", 16350),
            ancestry: vec![shim],
            more_ancestors: false,
            origin: None,
            elsewhere: false,
            runtime: Some(Recognized {
                program: "runc",
                role: Role::Runtime,
                sure: true,
            }),
        },
        ..dropped()
    }
}

/// A stop whose grace period ran out, and what the engine says it was.
fn timed_out(asked: &str) -> ExitReport {
    let link = |event, what: &str, runtime| Link {
        event,
        what: what.to_owned(),
        runtime,
        asked: None,
    };
    ExitReport {
        id: 34,
        time: at(9010),
        task: pid1(),
        pid1: true,
        cause: "stop-timeout",
        mechanism: Some("kill-syscall"),
        chain: vec![
            link(Some(33), "SIGKILL", None),
            link(None, "runc 16360 (container runtime)", Some("runc")),
            link(Some(35), "SIGTERM dropped by PID 1", None),
            link(
                None,
                "runc 16350 (container runtime) ← containerd-shim 16280",
                Some("runc"),
            ),
            Link {
                asked: Some(Asked {
                    at: at(6064),
                    by_api: true,
                }),
                ..link(Some(36), asked, None)
            },
        ],
        contributing: vec!["init-no-handler"],
        stop: Some(Stop {
            signal: 15,
            grace_ns: Some(3_000_000_000),
            used_ns: 3_010_000_000,
        }),
        explanation: Explanation {
            sentences: strings(&[
                "The container runtime runc 16360 asked PID 1 to end with SIGTERM, waited 3.0 s (grace period 3 s), then killed it with SIGKILL.",
                "PID 1 has no handler for SIGTERM, so it was dropped (init-no-handler).",
            ]),
            ..nothing(Certainty::Proven)
        },
        ..killed()
    }
}

/// What a writer makes of a whole trace.
pub(crate) fn write(
    format: super::Format,
    context: Context,
    reports: &[Report],
    summary: &Summary,
    ending: Ending,
) -> String {
    let mut out = Vec::new();
    let mut writer = super::writer(format, context, &mut out);
    writer.tracing(&tracing()).unwrap();
    for report in reports {
        writer.report(report).unwrap();
    }
    writer.summary(summary, ending, at(10_000)).unwrap();
    drop(writer);
    String::from_utf8(out).expect("output is UTF-8")
}
