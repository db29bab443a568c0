//! The death of a PID 1 and what it does to its namespace: the kernel kills
//! everything that is left (`zap_pid_ns_processes`). What is said here about
//! the stop signal before it is only what the history covers; the sentences
//! themselves stand in [`super::stopped`], what a process was asked in
//! [`super::requests`].

use crate::event::{flag, printable, BootTime, Info, ProcessKey, Signal, Task};
use crate::explain::report::{Certainty, Evidence, Stop};
use crate::history::note::Fate;
use crate::history::process::{Fatal, Process};

use super::death::Death;
use super::path::KernelPath;
use super::sender::SI_KERNEL;
use super::signals::{self, DefaultAction};
use super::verdict::{Blind, View};
use super::{lead, quota, stack, stop_request, stopped};

pub(crate) use super::requests::{
    acted_before, asks_to_end, became, got, old_sigterm, own, own_sigterm, passed_on,
    perhaps_request, raised_again, request, stop_signal, unanswered, PERHAPS_NS, STOP_NS,
};

/// So many generations are looked at.
const ANCESTORS: usize = 64;

/// Why a SIGKILL is the end of a namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proof {
    evidence: Vec<Evidence>,
    missing: Vec<String>,
}

impl Proof {
    /// The SIGKILL itself was not seen.
    pub(crate) fn unseen(view: View<'_>, one: &Process, victim: &Process) -> Self {
        let mut proof = Self::default();
        proof
            .evidence
            .push(Evidence::Field("ended by SIGKILL".to_owned()));
        let zap = victim
            .task
            .namespaces
            .iter()
            .filter_map(|&ns| view.history.namespace(ns))
            .find(|n| n.pid1 == Some(one.task.key))
            .and_then(|n| n.zap);
        if let Some(event) = zap.map(|z| z.0).or(one.exit.map(|e| e.event)) {
            proof.evidence.push(Evidence::Event(event));
        }
        let since = one
            .exit
            .map_or(BootTime(victim.task.key.start_ns), |e| e.time);
        let why = view
            .blind_to(signals::KILL, since, victim)
            .map_or_else(String::new, |b| format!(" ({})", b.because()));
        proof.missing.push(format!("the SIGKILL itself{why}"));
        proof
    }
}

/// Whether a SIGKILL came from `zap_pid_ns_processes`. The stack proves it.
/// Without names on the stack: the kernel's own SIGKILL, while the current task
/// is the exiting PID 1 of a namespace that the target lives in.
pub(crate) fn zapped(view: View<'_>, s: &Signal) -> Option<Proof> {
    // Among those that are killed may be threads of PID 1 itself, whose end has another cause.
    if s.number != signals::KILL || s.current.key == s.target.key {
        return None;
    }
    if stack::has(&s.stack, "zap_pid_ns_processes") {
        let evidence = vec![Evidence::Stack("zap_pid_ns_processes".to_owned())];
        return Some(Proof {
            evidence,
            missing: Vec::new(),
        });
    }
    let kernel = s.info == Info::Kernel || (s.info == Info::Full && s.code == SI_KERNEL);
    let ns = s.current.pidns()?;
    let of_it = s.current.is_pid1() && s.target.namespaces.contains(&ns);
    if !kernel || !of_it || stack::named(&s.stack) {
        return None;
    }
    let mut proof = Proof {
        evidence: vec![Evidence::Field("si_code=SI_KERNEL".to_owned())],
        missing: Vec::new(),
    };
    let one = view.history.process(s.current.key);
    if let Some((event, _)) = view.history.namespace(ns).and_then(|n| n.zap) {
        proof.evidence.push(Evidence::Event(event));
    } else if let Some(exit) = one.and_then(|p| p.exit) {
        proof.evidence.push(Evidence::Event(exit.event));
    } else if s.current.flags & flag::PF_EXITING != 0 {
        proof
            .evidence
            .push(Evidence::Field("PID 1 has PF_EXITING".to_owned()));
    } else {
        proof
            .missing
            .push("the exit of PID 1 before this SIGKILL".to_owned());
    }
    if s.state.traced {
        // exit_ptrace kills with the same siginfo, a moment earlier.
        proof.missing.push(
            "kernel symbols: PID 1 may have been its tracer with PTRACE_O_EXITKILL".to_owned(),
        );
    }
    Some(proof)
}

/// The dead or dying PID 1 that can have ended a process, outermost first.
pub(crate) fn dying_pid1<'a>(
    view: View<'a>,
    victim: &Process,
    before: BootTime,
) -> Option<&'a Process> {
    victim.task.namespaces.iter().find_map(|&ns| {
        let one = view.history.pid1(ns)?;
        let dead = one.exit.is_some_and(|e| e.time <= before)
            || view
                .history
                .namespace(ns)
                .and_then(|n| n.zap)
                .is_some_and(|z| z.1 <= before);
        (dead && one.task.key != victim.task.key).then_some(one)
    })
}

/// How a PID 1 came to its end.
pub(crate) enum End {
    /// It exited.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// The kernel ended it without one: the cause.
    OnTheSpot(&'static str),
    /// Not known.
    Unknown,
}

/// How it ended, as far as is known at a time.
pub(crate) fn end(one: &Process, before: BootTime) -> End {
    let status = one
        .exit
        .or(one.exiting)
        .filter(|e| e.time <= before)
        .map(|e| e.status);
    match (status, &one.fatal) {
        (Some(status), _) if status & 0x7f != 0 => {
            let killed = End::Killed(status & 0x7f);
            one.on_the_spot.map_or(killed, End::OnTheSpot)
        }
        (Some(status), _) => End::Exited((status >> 8) & 0xff),
        (None, Some(fatal)) if fatal.time <= before => End::Killed(fatal.number),
        (None, _) => End::Unknown,
    }
}

/// A process that died because PID 1 of its namespace, or of one around it,
/// had ended.
pub(crate) fn killed(
    view: View<'_>,
    victim: &Process,
    one: &Task,
    proof: Proof,
    by: Option<(&Fatal, &Signal)>,
    at: BootTime,
) -> Death {
    let mut d = Death::new("pid1-exited", Some("kernel-signal"));
    for evidence in proof.evidence {
        d.evidence(evidence);
    }
    for missing in proof.missing {
        d.missing(missing, Certainty::Inferred);
    }
    let killed_at = by.map_or(at, |(fatal, _)| fatal.time);
    match by {
        Some((fatal, s)) => {
            d.kernel_path = KernelPath::fatal(s);
            d.link(Some(fatal.event), "SIGKILL by the kernel");
        }
        None => d.link(None, "SIGKILL by the kernel"),
    }
    let known = view.history.process(one.key);
    let end = known.map_or(End::Unknown, |p| end(p, killed_at));
    let outer = one.pidns() != victim.task.pidns();
    let owner = owner(view, victim, one);
    d.say(first_sentence(one, &end, outer, owner.as_deref()));
    let whose = match &owner {
        Some(owner) => format!("PID 1 {} of {owner}", one.comm),
        None if outer => format!("PID 1 {} of the outer namespace", one.comm),
        None => "PID 1".to_owned(),
    };
    let exit_event = known
        .and_then(|p| p.exit.or(p.exiting))
        .filter(|e| e.time <= killed_at)
        .map(|e| e.event);
    if let Some(event) = exit_event {
        d.evidence(Evidence::Event(event));
    }
    d.link(
        exit_event,
        match end {
            End::Exited(status) => format!("{whose} exited with status {status}"),
            End::Killed(number) => format!("{whose} killed by {}", signals::name(number)),
            End::OnTheSpot(cause) => format!("{whose} ended by the kernel ({cause})"),
            End::Unknown => format!("{whose} ended"),
        },
    );
    if let (Some(_), End::OnTheSpot(_)) = (known, &end) {
        d.advise("look at the end of PID 1: the cause of all of this is its own");
    } else if let Some(p) = known {
        stopped::about(view, victim, p, &end, killed_at, &mut d);
        d.stop = d.stop.or_else(|| stop_of(view, p, killed_at));
    } else {
        d.missing("what PID 1 got and did before", Certainty::Inferred);
    }
    if let Some(entered) = entered(view, victim, one) {
        d.say(match entered == victim.task.key {
            true => "It was started from outside (as docker exec and nsenter do), so it is no child of PID 1, which cannot wait for it.".to_owned(),
            false => "It descends from a process that was started from outside (as docker exec and nsenter do), and not from PID 1, which cannot wait for it.".to_owned(),
        });
        d.explanation.advice.clear();
        d.advise("end what was started from outside (docker exec, nsenter) before the container ends: the end of its PID 1 ends that too");
    }
    if let Some(owner) = owner {
        d.advise(format!("stop this container before {owner}, or give it a PID namespace of its own: in the one that it shares, the end of {owner} is its end too"));
    }
    d
}

/// The process or one of those it descends from, that was put into the namespace of a
/// PID 1 by a process outside, whose child it is.
fn entered(view: View<'_>, victim: &Process, one: &Task) -> Option<ProcessKey> {
    let ns = one.pidns()?;
    let inside = |process: &&Process| process.task.namespaces.contains(&ns);
    let mut process = victim;
    for _ in 0..ANCESTORS {
        let maker = process.made_by.filter(|_| process.task.key != one.key)?;
        if let Some(maker) = view.history.process(maker).filter(inside) {
            process = maker;
            continue;
        }
        // Made outside, or by one who was forgotten; whoever is alive inside is known.
        // A runtime's helper makes it a child of the runtime (CLONE_PARENT).
        let parent = process.task.ppid;
        let known = view.history.with_pid(parent);
        let outside = parent > 1 && parent != one.key.pid && known.filter(inside).is_none();
        return outside.then_some(process.task.key);
    }
    None
}

/// The container that a PID 1 belongs to, if that is not the victim's own, which
/// shares its PID namespace.
fn owner(view: View<'_>, victim: &Process, one: &Task) -> Option<String> {
    let shared = lead::shared(view.history, &victim.task)?;
    if shared.pidns.is_none() || shared.pidns != one.pidns() || one.cgroup == victim.task.cgroup {
        return None;
    }
    let name = shared.owner.as_deref().map(printable);
    Some(name.unwrap_or_else(|| "another container".to_owned()))
}

fn first_sentence(one: &Task, end: &End, outer: bool, owner: Option<&str>) -> String {
    let whose = if let Some(owner) = owner {
        format!(
            "PID 1 ({} {}), which belongs to the container {owner},",
            one.comm, one.key.pid
        )
    } else if outer {
        format!(
            "PID 1 of the outer PID namespace ({} {})",
            one.comm, one.key.pid
        )
    } else {
        "PID 1".to_owned()
    };
    let left = if owner.is_some() {
        "in its PID namespace, which this container shares"
    } else if outer {
        "in that namespace and those nested in it"
    } else {
        "in its PID namespace"
    };
    let what = match end {
        End::Exited(0) => "exited".to_owned(),
        End::Exited(status) => format!("exited with status {status}"),
        End::Killed(number) if signals::default_action(*number) == DefaultAction::Core => {
            format!("crashed ({})", signals::name(*number))
        }
        End::Killed(number) => format!("was killed by {}", signals::name(*number)),
        End::OnTheSpot(cause) => {
            format!("was ended by the kernel on the spot, without a signal ({cause})")
        }
        End::Unknown => "ended".to_owned(),
    };
    format!("{whose} {what}, so the kernel killed everything left {left} (zap_pid_ns_processes).")
}

fn stop_of(view: View<'_>, one: &Process, at: BootTime) -> Option<Stop> {
    let note = stop_signal(one, at)?;
    Some(stop_request::course(view, one, note, at))
}

/// The stop that a death belongs to: that of its own namespace's PID 1, if that
/// has ended, or had told this process to end.
pub(crate) fn stop(view: View<'_>, victim: &Process, at: BootTime) -> Option<Stop> {
    let one = lead::of(view.history, &victim.task)?.one;
    let ended = one.exit.or(one.exiting).is_some() || one.fatal.is_some();
    let told = || {
        got(victim, at, STOP_NS)
            .filter(|n| n.acted_on() || n.fate == Fate::Fatal)
            .filter_map(|n| Some((n, n.sender.as_ref()?.key)))
            // Without a hook on dequeue_signal it may not be known yet that
            // PID 1 took its own; that it then sent this one is.
            .any(|(n, by)| {
                let by_pid1 = view.history.resolve(by) == one.task.key;
                by_pid1 && asks_to_end(n.number) && stop_signal(one, n.time).is_some()
            })
    };
    if ended || told() {
        stop_of(view, one, at)
    } else {
        None
    }
}

/// A PID 1 was killed by force: what had become of the request to end before.
/// `it`: how to call that PID 1.
pub(crate) fn unanswered_stop(
    view: View<'_>,
    one: &Process,
    it: &str,
    killed: BootTime,
    d: &mut Death,
) {
    if stop_request::behind(view, one, d) {
        return;
    }
    let started = BootTime(one.task.key.start_ns);
    let Some(note) = unanswered(one, killed) else {
        let forgotten = !one.notes.has_all_kinds_since(started);
        match view.blind_to(signals::TERM, started, one) {
            // It may have come after that.
            None | Some(Blind::Late) if forgotten => {
                d.missing(
                    "older signals, which were forgotten to bound memory",
                    Certainty::Inferred,
                );
                d.say(format!(
                    "Whether {it} had been asked to end before is no longer known."
                ));
            }
            Some(blind) => d.say(format!(
                "Whether {it} had been asked to end before is not known: {}.",
                blind.because()
            )),
            None => {}
        }
        return;
    };
    let name = signals::name(note.number);
    d.evidence(Evidence::Event(note.event));
    d.say(became(one, note, it, killed));
    if note.acted_on() || note.fate.interim() {
        quota::slowed(one, it, note.time, killed, d);
    }
    if let Some(reason) = note.reason {
        d.contributing.push(reason);
    }
    if note.reason == Some("init-no-handler") {
        d.advise(format!("give PID 1 a handler for {name}, or use an init that has one (docker run --init, tini)"));
    }
}
