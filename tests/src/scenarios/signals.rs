//! Signals that did nothing, or not yet, each for its own reason.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{kept, play, shared, Scenario, Scene};
use crate::judge::{From, Judge};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::{ns, until};
use crate::sys;

const TERM: i32 = Signal::SIGTERM as i32;
const USR1: i32 = Signal::SIGUSR1 as i32;
/// Stored one by one, unlike the others.
const REAL_TIME: i32 = 40;

/// Dropped because of their default action, and whether that is routine.
const IGNORED: [(Signal, bool); 3] = [
    (Signal::SIGWINCH, true),
    (Signal::SIGURG, true),
    (Signal::SIGCONT, false),
];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("sig-ign", kept, act_ignored, ignored),
        shared("default-ignore", kept, act_default_ignore, default_ignore),
        shared("blocked", kept, act_blocked, blocked),
        shared("already-pending", kept, act_pending, already_pending),
        shared("queue-full", kept, act_full, full),
        shared("zombie", kept, act_zombie, zombie),
        shared(
            "sigwait",
            kept,
            |scene, _| takes(scene, "sigwait"),
            |scene, judge| taken(scene, judge, "sigwait"),
        ),
        shared(
            "signalfd",
            kept,
            |scene, _| takes(scene, "signalfd"),
            |scene, judge| taken(scene, judge, "signalfd"),
        ),
    ]
}

fn act_ignored(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("ignores", "USR1")?.host;
    ns::kill(pid, Signal::SIGUSR1)?;
    scene.clear()
}

fn ignored(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("ignores");
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), pid)
        .fate("dropped", Some("sig-ign"))
        .field("/result", "ignored");
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

fn act_default_ignore(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("sleeper", "")?.host;
    for (signal, _) in IGNORED {
        ns::kill(pid, signal)?;
    }
    // A PID 1 has no handler for it either, but that is not the reason.
    ns::kill(scene.pid1(), Signal::SIGWINCH)?;
    scene.clear()
}

fn default_ignore(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("sleeper");
    for (signal, routine) in IGNORED {
        judge
            .signal(signal.as_str(), signal as i32, From::Process(play()), pid)
            .fate("dropped", Some("default-ignore"))
            .is("/routine", &routine.into());
    }
    judge
        .signal(
            "SIGWINCH to PID 1",
            Signal::SIGWINCH as i32,
            From::Process(play()),
            scene.pid1(),
        )
        .fate("dropped", Some("default-ignore"));
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

fn act_blocked(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("blocks", "TERM")?.host;
    ns::kill(pid, Signal::SIGTERM)?;
    wait_until_blocked(sigtrace, pid)?;
    scene.clear()
}

pub(super) fn wait_until_blocked(sigtrace: &Sigtrace, pid: u32) -> Result<()> {
    let target = format!(r#""target":{{"pid":{pid},"#);
    sigtrace.wait_for(&[&target, r#""fate":"blocked""#])
}

fn blocked(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("blocks");
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate_at_first("blocked", "blocked-mask")
        .fate("died_first", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

fn act_pending(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("unblocks", "USR1")?.host;
    ns::kill(pid, Signal::SIGUSR1)?;
    wait_until_blocked(sigtrace, pid)?;
    ns::kill(pid, Signal::SIGUSR1)?;
    ns::kill(pid, Signal::SIGUSR2)?;
    scene.ns.pid1.hear("rang")?;
    scene.clear()
}

fn already_pending(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("unblocks");
    let from = From::Process(play());
    judge
        .signal("the first SIGUSR1", USR1, from, pid)
        .fate_at_first("blocked", "blocked-mask")
        .fate("handled", None);
    judge
        .signal("the second SIGUSR1", USR1, from, pid)
        .fate("coalesced", Some("already-pending"))
        .field("/result", "already_pending");
    judge
        .signal("SIGUSR2", Signal::SIGUSR2 as i32, from, pid)
        .fate("handled", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

/// The target may have no signal queued at all.
fn act_full(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("no-queue", "")?.host;
    let sent = sys::queue(pid.try_into()?, REAL_TIME)?;
    anyhow::ensure!(!sent, "a signal was queued beyond the limit");
    scene.clear()
}

fn full(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("no-queue");
    judge
        .signal("the signal", REAL_TIME, From::Process(play()), pid)
        .fate("rejected", Some("queue-full"))
        .field("/result", "overflow_fail")
        .words(&["the target's limit is 0 (RLIMIT_SIGPENDING)"]);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

/// Waits until a process is dead; the keeper does not reap it.
pub(super) fn wait_until_dead(pid: u32) -> Result<()> {
    until(&format!("the death of {pid}"), || {
        Ok((ns::state(pid)? == Some('Z')).then_some(()))
    })
}

fn act_zombie(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("exits", "3")?.host;
    wait_until_dead(pid)?;
    ns::kill(pid, Signal::SIGTERM)?;
    scene.clear()
}

fn zombie(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("exits");
    judge
        .death("the target", pid)
        .cause("exit", "exit", 3)
        .forced(false);
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("dropped", Some("zombie"));
    judge.cleared(scene.pid1());
}

fn takes(scene: &mut Scene, role: &'static str) -> Result<()> {
    let pid = scene.spawn(role, "TERM")?.host;
    ns::kill(pid, Signal::SIGTERM)?;
    wait_until_dead(pid)?;
    scene.clear()
}

fn taken(scene: &Scene, judge: &mut Judge<'_>, role: &str) {
    let pid = scene.pid(role);
    judge
        .signal("the signal that is taken", TERM, From::Process(play()), pid)
        .fate("accepted", None);
    judge
        .death("the target", pid)
        .cause("exit", "exit", 0)
        .forced(false);
    judge.cleared(scene.pid1());
}
