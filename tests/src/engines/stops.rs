//! How engines end containers: with and without a handler, in time and too late,
//! by force, for a restart.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{core, everywhere, fwd_sig, own, shared, Scenario, Scene, Stage, FWD_SIG, SIG_PROC};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge, Verdict};
use crate::scenarios::Outcome;
use crate::stage::engine::Container;
use crate::stage::sigtrace::{Ended, Sigtrace};
use crate::stage::until;

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

/// Runtimes use either: Go since 1.23 and crun have pidfds.
const BY_KILL: [&str; 2] = ["kill-syscall", "pidfd-signal"];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        core(everywhere(own("stop-no-handler", no_handler))),
        own("stop-t", for_three_seconds),
        own("stop-slow", slow),
        own("stop-too-early", too_early),
        own("stop-signal", another_signal),
        shared(
            "kill",
            |engine, name| fwd_sig(engine, name, &[], 1),
            |scene| scene.say(&["kill"]),
            |scene, judge| {
                killed(scene, judge);
                zapped(scene, judge, Phrase::Pid1Killed);
            },
        ),
        shared(
            "rm",
            |engine, name| fwd_sig(engine, name, &[], 1),
            |scene| scene.say(scene.engine.rm),
            |scene, judge| {
                killed(scene, judge);
                zapped(scene, judge, Phrase::Pid1Killed);
            },
        ),
        own("restart", restart),
    ]
}

/// SIGKILL to PID 1 by the runtime, and nothing before it.
pub(super) fn killed(scene: &Scene, judge: &mut Judge<'_>) {
    let pid1 = scene.pid1();
    judge
        .signal(
            "SIGKILL to PID 1",
            KILL,
            From::Program(scene.engine.runtime),
            pid1,
        )
        .fate("fatal", None)
        .field("/cause", "killed-by-process")
        .ancestor(scene.engine.asks);
    judge
        .death("PID 1", pid1)
        .cause_by("killed-by-process", &BY_KILL, 137)
        .forced(true);
}

fn zapped(scene: &Scene, judge: &mut Judge<'_>, phrase: Phrase) {
    judge
        .zapped("the child", scene.pid("the child"), scene.pid1())
        .chain(&["SIGKILL by the kernel", "PID 1 killed by SIGKILL"])
        .says(phrase);
}

/// SIGKILL to PID 1 by the runtime, when a stop's grace period was over.
fn timed_out<'a, 'b>(
    scene: &Scene,
    judge: &'a mut Judge<'b>,
    contributing: &str,
    signal: &str,
) -> Verdict<'a, 'b> {
    let pid1 = scene.pid1();
    let runtime = From::Program(scene.engine.runtime);
    judge
        .signal("SIGKILL to PID 1", KILL, runtime, pid1)
        .fate("fatal", None)
        .field("/cause", "stop-timeout")
        .field("/sender/runtime", scene.engine.runtime)
        .ancestor(scene.engine.asks);
    judge
        .death("PID 1", pid1)
        .cause_by("stop-timeout", &BY_KILL, 137)
        .forced(true)
        .has("/contributing", contributing)
        .field("/stop/signal", signal)
}

/// Stopped with its own grace period, of which all is known. Alone, as the next
/// one: an engine that is asked about a dozen at once may be late with that.
fn no_handler(stage: &Stage<'_>) -> Result<Outcome> {
    let grace = ["--stop-timeout", "3"];
    let words = [SIG_PROC, "/c-init-nosig"];
    let container = stage.engine.start(stage.name, &grace, &words)?;
    let scene = Scene::new(stage.engine, container);
    let ended = stopped(stage, &scene, &["stop"])?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        let runtime = From::Program(scene.engine.runtime);
        judge
            .signal("SIGTERM to PID 1", TERM, runtime, scene.pid1())
            .fate("dropped", Some("init-no-handler"))
            .words(&["from outside"])
            .no_words(&["from inside"]);
        let declared = serde_json::json!(3000);
        timed_out(&scene, judge, "init-no-handler", "SIGTERM").is("/stop/grace_ms", &declared);
        measured(judge, scene.pid1(), 3);
        judge.nothing_else();
    }))
}

/// The measured grace period of a death is this one, in seconds.
fn measured(judge: &mut Judge<'_>, pid1: u32, seconds: u64) {
    let Some(death) = judge.last(pid1) else {
        return;
    };
    let used = death.now["stop"]["used_ms"].as_u64().unwrap_or(0);
    // A runtime is not woken early, and late on a busy machine.
    if used < seconds * 1000 - 100 || used > seconds * 1000 + 5000 {
        judge.fault(format!("not a stop of {seconds} s: {}", death.now["stop"]));
    }
}

/// `stop -t 3`, of which nothing is known but what is measured.
fn for_three_seconds(stage: &Stage<'_>) -> Result<Outcome> {
    let container = stage
        .engine
        .start(stage.name, &[], &[SIG_PROC, "/c-init-nosig"])?;
    let scene = Scene::new(stage.engine, container);
    let ended = stopped(stage, &scene, &["stop", "-t", "3"])?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        let runtime = From::Program(scene.engine.runtime);
        judge
            .signal("SIGTERM to PID 1", TERM, runtime, scene.pid1())
            .fate("dropped", Some("init-no-handler"));
        timed_out(&scene, judge, "init-no-handler", "SIGTERM");
        measured(judge, scene.pid1(), 3);
        judge.nothing_else();
    }))
}

/// Stopped before it is ready: its handler is installed when the signal has been
/// thrown away.
fn too_early(stage: &Stage<'_>) -> Result<Outcome> {
    // It waits in open(2): a shell that forks blocks signals for a moment.
    const UNTIL_TOLD: &str =
        "mkfifo /never /pipe; read it </pipe; trap 'exit 0' TERM; read it </never";
    let words = [FWD_SIG, "/bin/sh", "-c", UNTIL_TOLD];
    let container = stage
        .engine
        .start(stage.name, &["--stop-timeout", "12"], &words)?;
    let scene = Scene::new(stage.engine, container);
    let pipe = format!("/proc/{}/root/pipe", scene.pid1());
    until("the pipe", || Ok(Path::new(&pipe).exists().then_some(())))?;
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[stage.name], &[])?;
    thread::scope(|scope| {
        let stop = scope.spawn(|| scene.say(&["stop"]));
        let dropped = |line: &str| {
            line.contains(r#""event":"signal""#) && line.contains(r#""fate":"dropped""#)
        };
        sigtrace.out.wait("the dropped SIGTERM", 0, dropped)?;
        fs::write(&pipe, "now\n").context("the pipe")?;
        Container::wait_handler(scene.pid1(), Signal::SIGTERM)?;
        stop.join()
            .unwrap_or_else(|_| anyhow::bail!("the stop panicked"))
    })?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(stage.engine.rm)?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        let runtime = From::Program(scene.engine.runtime);
        judge
            .signal("SIGTERM to PID 1", TERM, runtime, scene.pid1())
            .fate("dropped", Some("init-no-handler"));
        timed_out(&scene, judge, "startup-window", "SIGTERM");
        measured(judge, scene.pid1(), 12);
        judge.nothing_else();
    }))
}

/// Configured to be stopped with a signal that it does not handle; it would
/// handle the usual one.
fn another_signal(stage: &Stage<'_>) -> Result<Outcome> {
    const NUMBER: i32 = Signal::SIGUSR1 as i32;
    let options = ["--stop-signal", "SIGUSR1", "--stop-timeout", "2"];
    let words = [FWD_SIG, "/c-init-sig", "0"];
    let container = stage.engine.start(stage.name, &options, &words)?;
    let scene = Scene::new(stage.engine, container);
    Container::wait_handler(scene.pid1(), Signal::SIGTERM)?;
    let ended = stopped(stage, &scene, &["stop"])?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        let runtime = From::Program(scene.engine.runtime);
        judge
            .signal("SIGUSR1 to PID 1", NUMBER, runtime, scene.pid1())
            .fate("dropped", Some("init-no-handler"));
        timed_out(&scene, judge, "init-no-handler", "SIGUSR1")
            .words(&["StopSignal", "PID 1 has a handler for SIGTERM instead"])
            .advises("remove the configured stop signal");
        measured(judge, scene.pid1(), 2);
        judge.nothing_else();
    }))
}

/// Stopped with another grace period than its own.
fn slow(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &["--slow", "60"], 1)?;
    let ended = stopped(stage, &scene, &["stop", "-t", "2"])?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        let runtime = From::Program(scene.engine.runtime);
        judge
            .signal("SIGTERM to PID 1", TERM, runtime, scene.pid1())
            .fate("handled", None);
        timed_out(&scene, judge, "too-slow", "SIGTERM");
        let (pid1, child) = (scene.pid1(), scene.pid("the child"));
        judge
            .zapped("the child", child, pid1)
            .chain(&["SIGKILL by the kernel", "PID 1 killed by SIGKILL"]);
        judge.nothing_else();
    }))
}

/// Traced, acted upon, and removed.
fn stopped(stage: &Stage<'_>, scene: &Scene, words: &[&str]) -> Result<Ended> {
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[stage.name], &[])?;
    scene.say(words)?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(stage.engine.rm)?;
    Ok(ended)
}

/// The first life ends; the next has another PID namespace. It may get the same
/// inode, so this does not share a sigtrace with others.
fn restart(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let ended = stopped(stage, &scene, &["restart"])?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        // That it was a restart an engine tells once all is over; where that takes it
        // long, sigtrace, which is to end with the first life, has ended.
        super::lessons::picture(&scene, judge, None);
    }))
}
