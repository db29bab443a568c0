//! Deaths with other causes than the end of PID 1.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

const TERM: i32 = Signal::SIGTERM as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("abort", kept, |scene, _| ends(scene, "aborts", ""), abort),
        shared("abort-pid1", set_aborts, act_aborts, abort_pid1),
        shared(
            "exit-status",
            kept,
            |scene, _| ends(scene, "exits", "42"),
            exit_status,
        ),
        shared("older-than-sigtrace", set_older, act_older, older),
        shared("killed-from-inside", kept, act_inside, inside),
        shared("pid-reuse", kept, act_reuse, reuse),
    ]
}

fn ends(scene: &mut Scene, role: &'static str, words: &str) -> Result<()> {
    let pid = scene.spawn(role, words)?.host;
    wait_until_dead(pid)?;
    scene.clear()
}

fn abort(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("aborts");
    let number = Signal::SIGABRT as i32;
    judge
        .signal("SIGABRT", number, From::Process(pid), pid)
        .fate("fatal", None)
        .field("/cause", "abort");
    judge
        .death("the target", pid)
        .cause("abort", "tkill-syscall", 134)
        .field("/signal", "SIGABRT")
        .forced(false);
    judge.cleared(scene.pid1());
}

fn set_aborts(_: &Host) -> Result<Set> {
    let ns = Ns::with(&["role", "aborts", "told"])?;
    ns.pid1.meet("aborts")?;
    Ok(Set::Ready(Scene::new(ns)))
}

fn act_aborts(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    scene.ns.pid1.tell("go")?;
    scene.ns.pid1.wait().map(drop)
}

/// abort(3) sends SIGABRT twice, which does nothing to a PID 1, and then faults.
/// Rust's own handler for SIGSEGV steps aside for the fault to come again.
fn abort_pid1(scene: &Scene, judge: &mut Judge<'_>) {
    let pid1 = scene.pid1();
    for which in ["the first SIGABRT", "the second SIGABRT"] {
        judge
            .signal(which, Signal::SIGABRT as i32, From::Process(pid1), pid1)
            .fate("dropped", Some("init-no-handler"))
            .words(&["abort(3)"])
            .absent("/advice");
    }
    let number = Signal::SIGSEGV as i32;
    judge
        .signal(
            "SIGSEGV to the handler",
            number,
            From::KernelFor(pid1),
            pid1,
        )
        .fate("handled", None);
    judge
        .signal("SIGSEGV", number, From::KernelFor(pid1), pid1)
        .fate("fatal", None)
        .field("/cause", "abort");
    judge
        .death("PID 1", pid1)
        .cause("abort", "kernel-signal", 139)
        .field("/signal", "SIGSEGV")
        .forced(false)
        .chain(&["SIGSEGV by a fault on purpose", "SIGABRT raised by itself"])
        .words(&["The program aborted", "not SIGABRT (134)"]);
}

fn exit_status(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .death("the target", scene.pid("exits"))
        .cause("exit", "exit", 42)
        .absent("/signal")
        .forced(false);
    judge.cleared(scene.pid1());
}

fn set_older(_: &Host) -> Result<Set> {
    let mut scene = Scene::kept()?;
    scene.spawn("sleeper", "")?;
    scene.spawn("handles", "HUP")?;
    Ok(Set::Ready(scene))
}

fn act_older(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    for (who, signal) in [("sleeper", Signal::SIGKILL), ("handles", Signal::SIGTERM)] {
        ns::kill(scene.pid(who), signal)?;
        wait_until_dead(scene.pid(who))?;
    }
    scene.clear()
}

fn older(scene: &Scene, judge: &mut Judge<'_>) {
    let play = From::Process(play());
    let all = [
        ("sleeper", Signal::SIGKILL, 137),
        ("handles", Signal::SIGTERM, 143),
    ];
    for (who, signal, status) in all {
        let pid = scene.pid(who);
        judge
            .signal(signal.as_str(), signal as i32, play, pid)
            .fate("fatal", None);
        judge
            .death(who, pid)
            .cause("killed-by-process", "kill-syscall", status)
            .forced(signal == Signal::SIGKILL)
            .chain(&[signal.as_str(), "sigtrace-play"]);
    }
    judge.cleared(scene.pid1());
}

fn act_inside(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("sleeper", "")?;
    let sender = scene
        .ns
        .enter(&["send", "KILL", &target.inside.to_string()])?;
    let person = sender.meet("send")?;
    scene.remember("sender", person);
    sender.tell("go")?;
    sender.wait()?;
    wait_until_dead(target.host)?;
    scene.clear()
}

fn inside(scene: &Scene, judge: &mut Judge<'_>) {
    let (target, sender) = (scene.pid("sleeper"), scene.pid("sender"));
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(sender), target)
        .fate("fatal", None)
        .field("/cause", "killed-by-process");
    judge
        .death("the target", target)
        .cause("killed-by-process", "kill-syscall", 137)
        .forced(true)
        .words(&["from inside"])
        .chain(&["SIGKILL", "send"]);
    judge.death("the sender", sender).cause("exit", "exit", 0);
    judge.cleared(scene.pid1());
}

/// The same pids on the host and inside, another process.
fn act_reuse(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let first = scene.spawn("sleeper", "")?;
    ns::kill(first.host, Signal::SIGTERM)?;
    scene.ns.pid1.tell("reap")?;
    scene.ns.pid1.hear("reaped")?;
    scene
        .ns
        .pid1
        .tell(&format!("again {} {} exits 5", first.inside, first.host))?;
    let second = scene.ns.pid1.meet("exits")?;
    anyhow::ensure!(first == second, "{second:?} should be {first:?} again");
    wait_until_dead(second.host)?;
    scene.clear()
}

fn reuse(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("sleeper");
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("fatal", None);
    judge
        .death("the first", pid)
        .cause("killed-by-process", "kill-syscall", 143)
        .field("/task/comm", "sleeper")
        .forced(false);
    judge
        .death("the second", pid)
        .cause("exit", "exit", 5)
        .field("/task/comm", "exits")
        .forced(false)
        .no_words(&["SIGTERM"]);
    judge.cleared(scene.pid1());
}
