//! How engines end containers: with and without a handler, in time and too late,
//! by force, for a restart.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{core, everywhere, fwd_sig, own, shared, Scenario, Scene, Stage, SIG_PROC};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::scenarios::Outcome;
use crate::stage::sigtrace::{Ended, Sigtrace};

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

/// Runtimes use either: Go since 1.23 and crun have pidfds.
const BY_KILL: [&str; 2] = ["kill-syscall", "pidfd-signal"];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        core(everywhere(own("stop-no-handler", no_handler))),
        own("stop-slow", slow),
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
fn timed_out(scene: &Scene, judge: &mut Judge<'_>, contributing: &str) {
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
        .field("/stop/signal", "SIGTERM");
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
        timed_out(&scene, judge, "init-no-handler");
        let stop = judge.last(scene.pid1()).map(|death| &death.now["stop"]);
        if let Some(stop) = stop {
            let used = stop["used_ms"].as_u64().unwrap_or(0);
            if stop["grace_ms"] != 3000 || used < 2900 {
                judge.fault(format!("not a stop of 3 s: {stop}"));
            }
        }
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
        timed_out(&scene, judge, "too-slow");
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
        super::lessons::picture(&scene, judge);
    }))
}
