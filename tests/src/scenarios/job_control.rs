//! Signals that stop and continue, and those that wait, are thrown away or count as
//! one meanwhile.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::signals::{wait_until_blocked, wait_until_dead};
use super::{kept, play, shared, Scenario, Scene};
use crate::judge::{From, Judge};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::{ns, until};

const USR1: i32 = Signal::SIGUSR1 as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("stopped", kept, act_stopped, stopped),
        shared("orphaned-pgrp-stop", kept, act_orphaned, orphaned),
        shared("cancelled", kept, act_cancelled, cancelled),
        shared("discarded", kept, act_discarded, discarded),
        shared("timer-overrun", kept, act_ticks, ticks),
    ]
}

fn act_stopped(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("handles", "USR1")?.host;
    ns::kill(pid, Signal::SIGSTOP)?;
    until("its stop", || {
        Ok((ns::state(pid)? == Some('T')).then_some(()))
    })?;
    ns::kill(pid, Signal::SIGUSR1)?;
    let target = format!(r#""target":{{"pid":{pid},"#);
    sigtrace.wait_for(&[&target, r#""reason":"stopped""#])?;
    ns::kill(pid, Signal::SIGCONT)?;
    scene.ns.pid1.hear("rang-10")?;
    scene.clear()
}

fn stopped(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("handles");
    let from = From::Process(play());
    judge
        .signal("SIGSTOP", libc::SIGSTOP, from, pid)
        .fate("stopped", None)
        .is("/routine", &serde_json::json!(false));
    judge
        .signal("SIGUSR1", USR1, from, pid)
        .fate_at_first("pending", "stopped")
        .said_meanwhile(&[
            "It was stopped by the SIGSTOP of sigtrace-play ",
            " before that came.",
        ])
        .fate("handled", None);
    judge
        .signal("SIGCONT", libc::SIGCONT, from, pid)
        .fate("continued", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

const TERMINAL: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// Nobody in its session could continue the one; of the other its parent could.
fn act_orphaned(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("own-session", "")?.host;
    let job = scene.spawn("own-group", "")?.host;
    let target = format!(r#""target":{{"pid":{pid},"#);
    for signal in TERMINAL {
        ns::kill(pid, signal)?;
        let name = format!(r#""name":"{}""#, signal.as_str());
        sigtrace.wait_for(&[&target, &name, r#""reason":"orphaned-pgrp-stop""#])?;
    }
    for (pid, signal) in [(pid, Signal::SIGSTOP), (job, Signal::SIGTSTP)] {
        ns::kill(pid, signal)?;
        until("its stop", || {
            Ok((ns::state(pid)? == Some('T')).then_some(()))
        })?;
        ns::kill(pid, Signal::SIGCONT)?;
    }
    scene.clear()
}

fn orphaned(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, job) = (scene.pid("own-session"), scene.pid("own-group"));
    let from = From::Process(play());
    for signal in TERMINAL {
        judge
            .signal(signal.as_str(), signal as i32, from, pid)
            .fate("discarded", Some("orphaned-pgrp-stop"))
            .words(&["its process group is orphaned"]);
    }
    for (name, pid, number) in [
        ("SIGSTOP", pid, libc::SIGSTOP),
        ("SIGTSTP to a job", job, libc::SIGTSTP),
    ] {
        judge.signal(name, number, from, pid).fate("stopped", None);
        judge
            .signal("SIGCONT", libc::SIGCONT, from, pid)
            .fate("continued", None);
    }
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
    judge.zapped("the job", job, scene.pid1());
}

/// A stop that is blocked, and the SIGCONT that undoes it.
fn act_cancelled(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("blocks", "TSTP")?.host;
    ns::kill(pid, Signal::SIGTSTP)?;
    wait_until_blocked(sigtrace, pid)?;
    ns::kill(pid, Signal::SIGCONT)?;
    scene.clear()
}

fn cancelled(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("blocks");
    let from = From::Process(play());
    judge
        .signal("SIGTSTP", libc::SIGTSTP, from, pid)
        .fate_at_first("blocked", "blocked-mask")
        .fate("cancelled", None);
    judge
        .signal("SIGCONT", libc::SIGCONT, from, pid)
        .fate("continued", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

/// It waits, and then the process ignores it.
fn act_discarded(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("changes-mind", "")?.host;
    ns::kill(pid, Signal::SIGUSR1)?;
    wait_until_blocked(sigtrace, pid)?;
    ns::kill(pid, Signal::SIGUSR2)?;
    scene.ns.pid1.hear("ignores")?;
    sigtrace.wait_for(&[r#""event":"update""#, r#""fate":"discarded""#])?;
    scene.clear()
}

fn discarded(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("changes-mind");
    let from = From::Process(play());
    judge
        .signal("SIGUSR1", USR1, from, pid)
        .fate_at_first("blocked", "blocked-mask")
        .fate("discarded", Some("sig-ign"));
    judge
        .signal("SIGUSR2", Signal::SIGUSR2 as i32, from, pid)
        .fate("handled", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

/// A timer runs out again and again while its signal is blocked.
fn act_ticks(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("ticks", "")?.host;
    let target = format!(r#""target":{{"pid":{pid},"#);
    sigtrace.wait_for(&[&target, r#""fate":"blocked""#])?;
    sigtrace.wait_for(&[&target, r#""reason":"timer-overrun""#])?;
    ns::kill(pid, Signal::SIGUSR1)?;
    wait_until_dead(pid)?;
    scene.clear()
}

fn ticks(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("ticks");
    let number = Signal::SIGALRM as i32;
    judge
        .signal("the timer", number, From::Nobody("timer"), pid)
        .fate_at_first("blocked", "blocked-mask")
        .fate("died_first", None);
    judge
        .signal("it again", number, From::Nobody("timer"), pid)
        .fate("coalesced", Some("timer-overrun"))
        .field("/result", "already_pending");
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), pid)
        .fate("handled", None);
    judge.death("the target", pid).cause("exit", "exit", 0);
    judge.cleared(scene.pid1());
}
