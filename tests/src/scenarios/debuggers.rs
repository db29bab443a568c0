//! What debuggers do to those that they trace: the play is the debugger, or somebody
//! inside who ends too early.

use anyhow::{ensure, Result};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene};
use crate::judge::{From, Judge};
use crate::stage::ns;
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
