//! Fills the JSON [`shapes`] from reports. Values are copied as they are: JSON
//! writing escapes, and [`escape::lossy`] deals with bytes that are no text.

use std::borrow::Cow;

use super::{
    codes, escape,
    shapes::{self, Line, VERSION},
    wording, Context,
};
use crate::{
    event::{BootTime, Call, Origin, OriginKind, Outcome, Task},
    explain::{
        forks,
        path::{KernelPath, Source, Step},
        refused,
        report::{
            Certainty, Evidence, ExitReport, Explanation, FaultPlace, Forebear, ForkReport,
            HandlerPlace, RefusedReport, Report, Sender, SignalReport,
        },
        signals, words,
    },
};

pub(crate) fn scope(scope: &super::Scope) -> shapes::Scope {
    shapes::Scope {
        pidns: scope.pidns,
        label: scope.label.clone(),
        note: scope.note.clone(),
        pid1: scope.pid1.clone(),
        container: scope.container.as_ref().map(container),
        shares: scope.shares.as_ref().map(|shares| shapes::Shares {
            with: match shares.owner {
                None => "host",
                Some(_) => "container",
            }
            .to_owned(),
            container: shares.owner.clone(),
            cgroup: shares.path.clone(),
            first: shares.first.clone(),
        }),
    }
}

fn container(container: &super::ContainerName) -> shapes::Container {
    shapes::Container {
        name: container.name.clone(),
        id: container.id.clone(),
        engine: container.engine.clone(),
    }
}

/// The container that a task is in.
fn container_of(context: &Context, task: &Task) -> Option<shapes::Container> {
    let scope = context.scope_of(task)?;
    scope.container.as_ref().map(container)
}

fn task(context: &Context, task: &Task) -> shapes::Task {
    let (comm, comm_hex) = escape::lossy(task.comm.bytes());
    let container = context
        .scope_of(task)
        .and_then(|scope| scope.container.as_ref());
    shapes::Task {
        pid: task.key.pid,
        tid: task.tid,
        comm,
        comm_hex,
        ns_pids: std::iter::once(task.key.pid)
            .chain(task.ns_pids.iter().copied())
            .collect(),
        start_ns: task.key.start_ns,
        uid: task.uid,
        container: container.map(|c| c.name.clone().unwrap_or_else(|| c.id.clone())),
        origin: None,
    }
}

fn sender(context: &Context, sender: &Sender) -> shapes::Sender {
    match sender {
        Sender::Process {
            task: by,
            ancestry,
            more_ancestors,
            origin: from,
            runtime,
            ..
        } => {
            let by = task(context, by);
            let ancestry: Vec<_> = ancestry.iter().map(ancestor).collect();
            shapes::Sender::Process(shapes::ProcessSender {
                pid: by.pid,
                tid: by.tid,
                comm: by.comm,
                comm_hex: by.comm_hex,
                ns_pids: by.ns_pids,
                start_ns: by.start_ns,
                uid: by.uid,
                container: by.container,
                ancestry: (!ancestry.is_empty()).then_some(ancestry),
                ancestry_cut: more_ancestors.then_some(true),
                origin: from.as_deref().and_then(origin),
                runtime: runtime.map(|found| found.program.to_owned()),
            })
        }
        Sender::Kernel { on_behalf_of } => shapes::Sender::Kernel(shapes::KernelSender {
            on_behalf_of: on_behalf_of.as_ref().map(|by| task(context, by)),
        }),
        Sender::Terminal { on_behalf_of } => shapes::Sender::Terminal(shapes::TerminalSender {
            on_behalf_of: on_behalf_of.as_ref().map(|by| task(context, by)),
        }),
        Sender::Timer => shapes::Sender::Timer(shapes::Nothing {}),
    }
}

fn origin(origin: &Origin) -> Option<shapes::Origin> {
    let kind = match origin.kind()? {
        OriginKind::Container => "container",
        OriginKind::Pod => "pod",
        OriginKind::Session => "session",
        OriginKind::Unit => "unit",
    };
    Some(shapes::Origin {
        kind: kind.to_owned(),
        container: origin
            .container
            .as_ref()
            .map(|container| shapes::Container {
                name: container.name.clone(),
                id: container.id.clone(),
                engine: container.engine.map(str::to_owned),
            }),
        pod: origin.pod.clone(),
        unit: origin.unit.clone(),
        session: origin.session.clone(),
        uid: origin.uid,
    })
}

fn ancestor(forebear: &Forebear) -> shapes::Ancestor {
    let Forebear { key, comm, runtime } = forebear;
    let (comm, comm_hex) = escape::lossy(comm.bytes());
    shapes::Ancestor {
        pid: key.pid,
        comm,
        comm_hex,
        start_ns: key.start_ns,
        runtime: runtime.map(str::to_owned),
    }
}

fn certainty(certainty: Certainty) -> String {
    wording::certainty(certainty).to_owned()
}

fn evidence(explanation: &Explanation) -> Vec<shapes::Evidence> {
    let what = |id: u64| {
        let moment = explanation.moments.iter().find(|(of, _)| *of == id);
        moment.map(|(_, what)| (*what).to_owned())
    };
    let one = |evidence: &Evidence| match evidence {
        Evidence::Stack(function) => shapes::Evidence::Stack {
            fact: function.clone(),
        },
        Evidence::Event(id) => shapes::Evidence::Event {
            fact: *id,
            what: what(*id),
        },
        Evidence::Field(value) => shapes::Evidence::Field {
            fact: value.clone(),
        },
    };
    explanation.evidence.iter().map(one).collect()
}

fn joined(sentences: &[String]) -> Option<String> {
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

fn advice(all: &[String]) -> Option<String> {
    (!all.is_empty()).then(|| words::one_advice(all))
}

fn names(path: &KernelPath) -> Option<Vec<String>> {
    (!path.functions.is_empty()).then(|| path.functions.clone())
}

fn fault(place: &FaultPlace) -> shapes::Fault {
    let function = place.function.as_ref();
    shapes::Fault {
        instruction: format!("{:#x}", place.ip),
        object: place.object.clone(),
        path: place.path.clone(),
        object_offset: place.offset,
        build_id: place.build_id.clone(),
        function: function.map(|function| function.name.clone()),
        function_offset: function.map(|function| function.offset),
        source: function.and_then(|function| function.source.clone()),
    }
}

fn handler(place: &HandlerPlace) -> shapes::Handler {
    let function = place.function.as_ref();
    shapes::Handler {
        address: format!("{:#x}", place.address),
        object: place.object.clone(),
        object_offset: place.offset,
        function: function.map(|function| function.name.clone()),
        function_offset: function.map(|function| function.offset),
        source: function.and_then(|function| function.source.clone()),
    }
}

/// The same with what each decides, if that is asked for.
fn path(
    context: &Context,
    path: &KernelPath,
    explanation: &Explanation,
) -> Option<Vec<shapes::Step>> {
    let steps = if context.path {
        path.steps(&explanation.evidence)
    } else {
        Vec::new()
    };
    let step = |step: Step| shapes::Step {
        function: step.function,
        source: match step.source {
            Source::Stack => "stack",
            Source::Below => "below",
            Source::Later => "later",
        }
        .to_owned(),
        decides: step.decides.map(Cow::into_owned),
        decided: step.decided,
        proves: step.proves.then_some(true),
    };
    (!steps.is_empty()).then(|| steps.into_iter().map(step).collect())
}

fn id(id: Option<&'static str>) -> Option<String> {
    id.map(str::to_owned)
}

pub(crate) fn signal(context: &Context, report: &SignalReport) -> Line {
    let explanation = &report.explanation;
    Line::Signal(Box::new(shapes::Signal {
        v: VERSION,
        id: report.id,
        time: context.clock.rfc3339(report.time),
        container: container_of(context, &report.target).or_else(|| match &report.sender {
            Sender::Process { task, .. } => container_of(context, task),
            _ => None,
        }),
        pidns: report.pidns,
        signal: shapes::SignalName {
            number: report.number,
            name: signals::name(report.number).into_owned(),
            code: codes::name(report.number, report.code).map(str::to_owned),
            code_number: report.code,
        },
        scope: if report.to_process {
            "process"
        } else {
            "thread"
        }
        .to_owned(),
        result: match report.outcome {
            Outcome::Delivered => "delivered",
            Outcome::Ignored => "ignored",
            Outcome::AlreadyPending => "already_pending",
            Outcome::OverflowFail => "overflow_fail",
            Outcome::LoseInfo | Outcome::SharesItsBit | Outcome::BitAlone => "lose_info",
        }
        .to_owned(),
        sender: sender(context, &report.sender),
        target: shapes::Task {
            origin: report.target_origin.as_deref().and_then(origin),
            ..task(context, &report.target)
        },
        fate: report.fate.to_owned(),
        settled: report.settled,
        reason: id(report.reason),
        cause: id(report.cause),
        mechanism: id(report.mechanism),
        certainty: certainty(explanation.certainty),
        evidence: evidence(explanation),
        missing: explanation.missing.clone(),
        kernel_path: names(&report.kernel_path),
        path: path(context, &report.kernel_path, explanation),
        latency_ns: report.latency_ns,
        within_ns: report.within_ns,
        handler: report.handler.as_deref().map(handler),
        fault: report.fault.as_deref().map(fault),
        routine: report.routine,
        explanation: joined(&explanation.sentences),
        advice: advice(&explanation.advice),
        count: report.count,
    }))
}

fn refusal(context: &Context, report: &RefusedReport) -> Line {
    let explanation = &report.explanation;
    let target = report.target.as_ref();
    let by = match &report.sender {
        Sender::Process { task, .. } => Some(task),
        _ => None,
    };
    let own = report.call != Call::Pidfd && report.call != Call::Tkill;
    Line::Refused(Box::new(shapes::Refused {
        v: VERSION,
        id: report.id,
        time: context.clock.rfc3339(report.time),
        container: target
            .and_then(|target| container_of(context, target))
            .or_else(|| container_of(context, by?)),
        pidns: report.pidns,
        signal: shapes::SignalName {
            number: report.number,
            name: signals::name(report.number).into_owned(),
            code: codes::name(report.number, report.code).map(str::to_owned),
            code_number: report.code,
        },
        call: report.call.name().to_owned(),
        mechanism: report.call.mechanism().to_owned(),
        to: shapes::Asked {
            pid: own.then_some(report.pid),
            tid: report.tid,
            pidfd: (report.call == Call::Pidfd).then_some(report.pid),
        },
        error: (report.error != 0).then(|| refused::error_name(report.error).into_owned()),
        sender: sender(context, &report.sender),
        target: target.map(|target| task(context, target)),
        refused: report.counts.map(|(refused, _)| refused),
        reached: report.counts.map(|(_, reached)| reached),
        fate: "refused".to_owned(),
        reason: report.reason.to_owned(),
        certainty: certainty(explanation.certainty),
        evidence: evidence(explanation),
        missing: explanation.missing.clone(),
        routine: report.routine,
        explanation: joined(&explanation.sentences),
        advice: advice(&explanation.advice),
        count: report.count,
    }))
}

fn fork_rejected(context: &Context, report: &ForkReport) -> Line {
    let explanation = &report.explanation;
    let ancestry: Vec<_> = report.ancestry.iter().map(ancestor).collect();
    let limit = report.limit.as_ref().map(|limit| {
        let dead = limit.zombies.as_ref();
        shapes::ForkLimit {
            name: limit.of.to_owned(),
            current: limit.current,
            max: limit.max,
            cgroup: limit.cgroup.clone(),
            scope: limit.scope.map(str::to_owned),
            uid: limit.uid,
            pidns: limit.pidns,
            zombies: dead.map(|dead| dead.count),
            zombies_parent: dead
                .and_then(|dead| dead.parent.as_ref())
                .map(|parent| task(context, parent)),
        }
    });
    Line::ForkRejected(Box::new(shapes::ForkRejected {
        v: VERSION,
        id: report.id,
        time: context.clock.rfc3339(report.time),
        container: container_of(context, &report.task),
        pidns: report.pidns,
        task: task(context, &report.task),
        ancestry: (!ancestry.is_empty()).then_some(ancestry),
        what: report
            .thread
            .map(|thread| if thread { "thread" } else { "process" }.to_owned()),
        error: forks::error_name(report.error).to_owned(),
        reason: report.reason.to_owned(),
        limit,
        certainty: certainty(explanation.certainty),
        evidence: evidence(explanation),
        missing: explanation.missing.clone(),
        explanation: joined(&explanation.sentences),
        advice: advice(&explanation.advice),
        count: report.count,
    }))
}

pub(crate) fn exit(context: &Context, report: &ExitReport) -> Line {
    let explanation = &report.explanation;
    let line = shapes::Exit {
        v: VERSION,
        id: report.id,
        time: context.clock.rfc3339(report.time),
        container: container_of(context, &report.task),
        pidns: report.pidns,
        task: task(context, &report.task),
        signal: report
            .signal
            .map(|number| signals::name(number).into_owned()),
        core_dumped: report.core_dumped,
        exit_code: report.exit_code,
        cause: report.cause.to_owned(),
        mechanism: id(report.mechanism),
        forced: report.forced,
        certainty: certainty(explanation.certainty),
        evidence: evidence(explanation),
        missing: explanation.missing.clone(),
        chain: report
            .chain
            .iter()
            .map(|link| shapes::Link {
                id: link.event,
                what: match link.asked {
                    Some(asked) => format!("{} ({})", link.what, wording::way(asked)),
                    None => link.what.clone(),
                },
                runtime: link.runtime.map(str::to_owned),
                time: link.asked.map(|asked| context.clock.rfc3339(asked.at)),
            })
            .collect(),
        contributing: report
            .contributing
            .iter()
            .map(|&id| id.to_owned())
            .collect(),
        stop: report.stop.as_ref().map(|stop| shapes::Stop {
            signal: signals::name(stop.signal).into_owned(),
            grace_ms: stop.grace_ns.map(|ns| ns / 1_000_000),
            used_ms: stop.used_ns / 1_000_000,
        }),
        throttled: report.throttled.as_ref().map(|found| shapes::Throttled {
            cgroup: found.cgroup.clone(),
            cgroup_version: if found.v1 { 1 } else { 2 },
            quota_us: found.quota_us,
            period_us: found.period_us,
            measured_us: found.measured_us,
            periods: found.periods,
            throttled_periods: found.throttled_periods,
            throttled_us: found.throttled_us,
        }),
        oom: report.oom.as_ref().map(|oom| shapes::Oom {
            scope: oom.scope.map(str::to_owned),
            cgroup: oom.cgroup.clone(),
            limit_bytes: oom.limit,
            usage_bytes: oom.usage,
            trigger: task(context, &oom.trigger),
            chosen: oom.chosen.as_ref().map(|chosen| task(context, chosen)),
        }),
        fault: report.fault.as_deref().map(fault),
        kernel_path: names(&report.kernel_path),
        path: path(context, &report.kernel_path, explanation),
        explanation: joined(&explanation.sentences),
        advice: advice(&explanation.advice),
    };
    if report.pid1 {
        Line::InitExit(line)
    } else {
        Line::Exit(line)
    }
}

/// The kinds that are never updated.
pub(crate) fn simple(context: &Context, report: &Report) -> Option<Line> {
    let at = |time: &BootTime| context.clock.rfc3339(*time);
    let of = |it: &Task| task(context, it);
    let v = VERSION;
    Some(match report {
        Report::Fork {
            id,
            time,
            parent,
            child,
        } => Line::Fork(shapes::Fork {
            v,
            id: *id,
            time: at(time),
            pidns: child.pidns(),
            parent: of(parent),
            child: of(child),
        }),
        Report::Exec { id, time, task } => Line::Exec(shapes::Exec {
            v,
            id: *id,
            time: at(time),
            pidns: task.pidns(),
            task: of(task),
        }),
        Report::Refused(report) => refusal(context, report),
        Report::ForkRejected(report) => fork_rejected(context, report),
        Report::Zombie {
            id,
            time,
            task,
            parent,
        } => Line::Zombie(shapes::Zombie {
            v,
            id: *id,
            time: at(time),
            pidns: task.pidns(),
            task: of(task),
            parent: parent.as_ref().map(of),
        }),
        Report::Waits {
            id,
            time,
            task,
            waits_for,
        } => Line::Waits(shapes::Waits {
            v,
            id: *id,
            time: at(time),
            pidns: task.pidns(),
            task: of(task),
            waits_for: (waits_for.iter())
                .map(|it| shapes::Unreaped {
                    task: of(&it.task),
                    dead: it.dead,
                    parent: it.parent.as_ref().map(of),
                    state: it.kept.as_ref().map(|kept| kept.state.to_string()),
                    reason: it
                        .kept
                        .as_ref()
                        .and_then(|kept| kept.reason)
                        .map(str::to_owned),
                    explanation: it.kept.as_ref().map(|kept| kept.why.clone()),
                })
                .collect(),
        }),
        Report::Reap {
            id,
            time,
            task,
            by,
            certainty: sure,
        } => Line::Reap(shapes::Reap {
            v,
            id: *id,
            time: at(time),
            pidns: task.pidns(),
            task: of(task),
            // One that nobody has to wait for reaps itself.
            by: by.filter(|&by| by != task.key.pid),
            certainty: certainty(*sure),
            missing: (*sure != Certainty::Proven).then(|| {
                vec!["the moment of release_task: only what comes after it was seen".into()]
            }),
        }),
        Report::Lost {
            id,
            time,
            kind,
            count,
            slow_output,
        } => Line::Lost(shapes::Lost {
            v,
            id: *id,
            time: at(time),
            kind: (*kind).to_owned(),
            count: *count,
            slow_output: slow_output.then_some(true),
        }),
        Report::Signal(_) | Report::Exit(_) | Report::Update { .. } => return None,
    })
}
