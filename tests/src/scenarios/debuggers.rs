//! What debuggers do to those that they trace: the play is the debugger, or somebody
//! inside who ends too early; and who is not taken for a parent.

use anyhow::{ensure, Result};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene};
use crate::judge::{From, Judge};
use crate::stage::ns::{self, Program};
use crate::stage::sigtrace::Sigtrace;

const STOP: i32 = Signal::SIGSTOP as i32;
const USR1: i32 = Signal::SIGUSR1 as i32;
const USR2: i32 = Signal::SIGUSR2 as i32;
const TERM: i32 = Signal::SIGTERM as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("ptrace-attach", kept, act_attach, attach),
        shared("ptrace-signals", kept, act_signals, signals),
        shared("ptrace-injected", kept, act_injected, injected),
        shared("ptrace-replaced", kept, act_replaced, replaced),
        shared("ptrace-syscall-stop", kept, act_at_call, at_call),
        shared("ptrace-step", kept, act_step, step),
        shared("ptrace-kill", kept, act_kill, kill),
        shared("ptrace-exitkill", kept, act_exitkill, exitkill),
        shared("ptrace-sender", kept, act_sender, sender),
        shared("ptrace-sender-parent", kept, act_parent, parent),
    ]
}

fn pid(of: u32) -> Result<Pid> {
    Ok(Pid::from_raw(of.try_into()?))
}

/// Waits until it has stopped for this signal, and holds it there.
fn held(of: Pid, signal: Signal) -> Result<()> {
    let status = waitpid(of, Some(WaitPidFlag::__WALL))?;
    ensure!(
        status == WaitStatus::Stopped(of, signal),
        "{status:?} instead of a stop for {signal}"
    );
    Ok(())
}

fn attached(of: u32) -> Result<Pid> {
    let of = pid(of)?;
    ptrace::attach(of)?;
    held(of, Signal::SIGSTOP)?;
    Ok(of)
}

/// The SIGSTOP of an attachment, which the play kept back.
fn stop(judge: &mut Judge<'_>, target: u32) {
    judge
        .signal("SIGSTOP", STOP, From::Process(play()), target)
        .fate("swallowed", Some("tracer"))
        .field("/cause", "ptrace-attach")
        .words(&["sigtrace-play", "attached", "PTRACE_ATTACH"]);
}

fn act_attach(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let target = scene.spawn("sleeper", "")?.host;
    ptrace::detach(attached(target)?, None)?;
    // By the request itself, or by a look at it: not only at its end.
    sigtrace.wait_for(&[r#""fate":"swallowed""#])?;
    scene.clear()
}

fn attach(scene: &Scene, judge: &mut Judge<'_>) {
    let target = scene.pid("sleeper");
    stop(judge, target);
    judge.cleared(scene.pid1());
    judge.zapped("the target", target, scene.pid1());
}

/// Kept back, passed on, left waiting until the play looks.
fn act_signals(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let target = scene.spawn("handles", "USR1 HUP USR2")?.host;
    let traced = attached(target)?;
    ptrace::cont(traced, None)?;
    ns::kill(target, Signal::SIGUSR1)?;
    held(traced, Signal::SIGUSR1)?;
    ptrace::cont(traced, None)?;
    ns::kill(target, Signal::SIGHUP)?;
    held(traced, Signal::SIGHUP)?;
    ptrace::cont(traced, Signal::SIGHUP)?;
    scene.ns.pid1.hear("rang-1")?;
    ns::kill(target, Signal::SIGUSR2)?;
    let of = format!(r#""target":{{"pid":{target},"#);
    sigtrace.wait_for(&[&of, r#""number":12"#, r#""reason":"traced""#])?;
    held(traced, Signal::SIGUSR2)?;
    ptrace::detach(traced, Signal::SIGUSR2)?;
    scene.ns.pid1.hear("rang-12")?;
    scene.clear()
}

fn signals(scene: &Scene, judge: &mut Judge<'_>) {
    let target = scene.pid("handles");
    let from = From::Process(play());
    stop(judge, target);
    judge
        .signal("the one kept back", USR1, from, target)
        .fate("swallowed", Some("tracer"))
        .absent("/cause");
    judge
        .signal("the one passed on", libc::SIGHUP, from, target)
        .fate("handled", None);
    judge
        .signal("the one that waits", USR2, from, target)
        .fate_at_first("pending", "traced")
        .fate("handled", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", target, scene.pid1());
}

fn act_injected(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("sleeper", "")?.host;
    ptrace::detach(attached(target)?, Signal::SIGTERM)?;
    wait_until_dead(target)?;
    scene.clear()
}

fn injected(scene: &Scene, judge: &mut Judge<'_>) {
    let target = scene.pid("sleeper");
    stop(judge, target);
    given(judge, target, TERM, "PTRACE_DETACH");
    judge.cleared(scene.pid1());
}

/// What the play gave somebody to end by.
fn given(judge: &mut Judge<'_>, target: u32, number: i32, by: &str) {
    // Where its request is not seen, only the death tells.
    let hooked = judge
        .place
        .hooks
        .iter()
        .any(|hook| hook == "ptrace_request");
    if hooked {
        judge
            .signal("the signal given", number, From::Process(play()), target)
            .fate("fatal", None)
            .field("/cause", "tracer-injected");
    }
    let death = judge
        .death("the target", target)
        .cause("tracer-injected", "ptrace-syscall", 128 + number)
        .chain(&["SIGTERM given by its debugger"]);
    if hooked {
        death.words(&["sigtrace-play", by]);
    }
}

/// Whatever USR1 was to do.
fn act_replaced(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("handles", "USR1")?.host;
    let traced = attached(target)?;
    ptrace::cont(traced, None)?;
    ns::kill(target, Signal::SIGUSR1)?;
    held(traced, Signal::SIGUSR1)?;
    ptrace::cont(traced, Signal::SIGTERM)?;
    waitpid(traced, Some(WaitPidFlag::__WALL))?;
    scene.clear()
}

fn replaced(scene: &Scene, judge: &mut Judge<'_>) {
    let target = scene.pid("handles");
    stop(judge, target);
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), target)
        .fate("swallowed", Some("tracer"));
    given(judge, target, TERM, "PTRACE_CONT");
    judge.cleared(scene.pid1());
}

/// Stops at a system call and goes on from there with a signal.
fn act_at_call(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("sleeper", "")?.host;
    let traced = attached(target)?;
    ptrace::setoptions(traced, ptrace::Options::PTRACE_O_TRACESYSGOOD)?;
    ptrace::syscall(traced, None)?;
    // The call that the stop had interrupted begins again.
    let status = waitpid(traced, Some(WaitPidFlag::__WALL))?;
    ensure!(status == WaitStatus::PtraceSyscall(traced), "{status:?}");
    ptrace::cont(traced, Signal::SIGTERM)?;
    // The kernel sends it, and it is held like any other.
    held(traced, Signal::SIGTERM)?;
    ptrace::cont(traced, Signal::SIGTERM)?;
    waitpid(traced, Some(WaitPidFlag::__WALL))?;
    scene.clear()
}

fn at_call(scene: &Scene, judge: &mut Judge<'_>) {
    let target = scene.pid("sleeper");
    stop(judge, target);
    let hooked = judge
        .place
        .hooks
        .iter()
        .any(|hook| hook == "ptrace_request");
    let (from, mechanism) = if hooked {
        (From::Process(play()), "ptrace-syscall")
    } else {
        (From::KernelFor(target), "kernel-signal")
    };
    judge
        .signal("SIGTERM", TERM, from, target)
        .fate("fatal", None)
        .field("/cause", "tracer-injected");
    judge
        .death("the target", target)
        .cause("tracer-injected", mechanism, 128 + TERM);
    judge.cleared(scene.pid1());
}

/// One step, and its SIGTRAP passed on: no trap of the program's own.
fn act_step(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("spins", "")?.host;
    let traced = attached(target)?;
    ptrace::step(traced, None)?;
    held(traced, Signal::SIGTRAP)?;
    ptrace::detach(traced, Signal::SIGTRAP)?;
    wait_until_dead(target)?;
    scene.clear()
}

fn step(scene: &Scene, judge: &mut Judge<'_>) {
    let target = scene.pid("spins");
    stop(judge, target);
    judge
        .signal("SIGTRAP", libc::SIGTRAP, From::KernelFor(target), target)
        .fate("fatal", None)
        .field("/cause", "tracer-injected");
    judge
        .death("the target", target)
        .cause("tracer-injected", "kernel-signal", 128 + libc::SIGTRAP)
        .chain(&["SIGTRAP by the kernel", "its debugger"])
        .words(&["single step"]);
    judge.cleared(scene.pid1());
}

/// PTRACE_KILL, which sends a signal of its own (5.19, and stable kernels since then).
fn act_kill(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("sleeper", "")?.host;
    let traced = attached(target)?;
    ptrace::kill(traced)?;
    waitpid(traced, Some(WaitPidFlag::__WALL))?;
    scene.clear()
}

fn kill(scene: &Scene, judge: &mut Judge<'_>) {
    let target = scene.pid("sleeper");
    stop(judge, target);
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(play()), target)
        .fate("fatal", None)
        .field("/cause", "tracer-injected");
    judge
        .death("the target", target)
        .cause("tracer-injected", "ptrace-syscall", 137)
        .forced(true);
    judge.cleared(scene.pid1());
}

fn act_exitkill(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("sleeper", "")?;
    let tracer = scene.ns.enter(&["debug", &target.inside.to_string()])?;
    let person = tracer.meet("debug")?;
    scene.remember("debugger", person);
    tracer.tell("go")?;
    tracer.wait()?;
    wait_until_dead(target.host)?;
    scene.clear()
}

fn exitkill(scene: &Scene, judge: &mut Judge<'_>) {
    let (target, tracer) = (scene.pid("sleeper"), scene.pid("debugger"));
    judge
        .signal("SIGKILL", libc::SIGKILL, From::KernelFor(tracer), target)
        .fate("fatal", None)
        .field("/cause", "ptrace-exitkill");
    judge
        .death("the target", target)
        .cause("ptrace-exitkill", "kernel-signal", 137)
        .forced(true)
        .words(&["debug", "PTRACE_O_EXITKILL"])
        .chain(&["SIGKILL by the kernel", "end of its tracer debug"]);
    judge.death("the debugger", tracer).cause("exit", "exit", 0);
    judge.cleared(scene.pid1());
}

/// Somebody inside traces this process, until the play tells it to end.
fn watched(scene: &mut Scene, inside: u32) -> Result<Program> {
    let watch = scene.ns.enter(&["watch", &inside.to_string()])?;
    let person = watch.meet("watch")?;
    scene.remember("tracer", person);
    watch.hear("watching")?;
    Ok(watch)
}

/// `task_struct.parent` of the sender is its tracer then, and not its parent.
fn act_sender(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let target = scene.spawn("ignores", "USR1")?.inside.to_string();
    let parent = scene.ns.enter(&["deep", "0", "send", "USR1", &target])?;
    scene.remember_outsider("parent", parent.pid);
    let sender = parent.meet("send")?;
    scene.remember("sender", sender);
    let watch = watched(scene, sender.inside)?;
    parent.tell("go")?;
    // Its parent is told once its tracer is gone.
    wait_until_dead(sender.host)?;
    watch.tell("go")?;
    watch.wait()?;
    parent.wait()?;
    scene.clear()
}

fn sender(scene: &Scene, judge: &mut Judge<'_>) {
    let parent = scene.pid("parent");
    real(scene, judge, scene.pid("sender"), &[parent, play()]);
    for (claim, name) in [("the sender", "sender"), ("its parent", "parent")] {
        judge.death(claim, scene.pid(name)).cause("exit", "exit", 0);
    }
    judge.cleared(scene.pid1());
    judge.zapped("the target", scene.pid("ignores"), scene.pid1());
}

/// The same on the way up: the sender is not traced, but its parent is.
fn act_parent(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let target = scene.spawn("ignores", "USR1")?;
    let sender = scene.spawn("relays", &format!("USR1 {}", target.inside))?;
    let watch = watched(scene, 1)?;
    ns::kill(sender.host, Signal::SIGHUP)?;
    let from = format!(r#""sender":{{"kind":"process","pid":{},"#, sender.host);
    let to = format!(r#""target":{{"pid":{},"#, target.host);
    sigtrace.wait_for(&[&from, &to])?;
    watch.tell("go")?;
    watch.wait()?;
    scene.clear()
}

fn parent(scene: &Scene, judge: &mut Judge<'_>) {
    let (sender, target) = (scene.pid("relays"), scene.pid("ignores"));
    let hup = judge.signal("SIGHUP", libc::SIGHUP, From::Process(play()), sender);
    hup.fate("handled", None);
    real(scene, judge, sender, &[scene.pid1(), play()]);
    judge.cleared(scene.pid1());
    judge.zapped("the sender", sender, scene.pid1());
    judge.zapped("the target", target, scene.pid1());
}

/// What the sender sent, with its parents and not the tracer, who ended well.
fn real(scene: &Scene, judge: &mut Judge<'_>, sender: u32, parents: &[u32]) {
    judge
        .signal("SIGUSR1", USR1, From::Process(sender), scene.pid("ignores"))
        .fate("dropped", Some("sig-ign"))
        .ancestry(parents)
        .no_ancestor("watch");
    let tracer = scene.pid("tracer");
    judge.death("the tracer", tracer).cause("exit", "exit", 0);
}
