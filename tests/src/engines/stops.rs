//! How engines end containers: with and without a handler, in time and too late,
//! by force, for a restart.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{fwd_sig, shared, Scenario, Scene, SIG_PROC};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::stage::engine::Engine;

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

/// Runtimes use either: Go since 1.23 and crun have pidfds.
const BY_KILL: [&str; 2] = ["kill-syscall", "pidfd-signal"];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared(
            "stop-no-handler",
            deaf,
            |scene| scene.say(&["stop"]),
            no_handler,
        ),
        shared(
            "stop-slow",
            |engine, name| fwd_sig(engine, name, &["--slow", "60"], 1),
            |scene| scene.say(&["stop", "-t", "2"]),
            slow,
        ),
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
        shared(
            "restart",
            |engine, name| fwd_sig(engine, name, &[], 1),
            |scene| scene.say(&["restart"]),
            restart,
        ),
    ]
}

fn deaf(engine: &Engine, name: &str) -> Result<Scene> {
    let grace = ["--stop-timeout", "3"];
    let container = engine.start(name, &grace, &[SIG_PROC, "/c-init-nosig"])?;
    Ok(Scene::new(engine, container))
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

/// Its grace period is the container's own, so all is known.
fn no_handler(scene: &Scene, judge: &mut Judge<'_>) {
    let runtime = From::Program(scene.engine.runtime);
    judge
        .signal("SIGTERM to PID 1", TERM, runtime, scene.pid1())
        .fate("dropped", Some("init-no-handler"))
        .words(&["from outside"])
        .no_words(&["from inside"]);
    timed_out(scene, judge, "init-no-handler");
    let ended = judge.last(scene.pid1());
    if let Some(ended) = ended {
        let used = ended.number("/stop/used_ms").unwrap_or(0);
        if ended.number("/stop/grace_ms") != Some(3000) || used < 2900 {
            judge.fault(format!("not a stop of 3 s: {}", ended.now["stop"]));
        }
    }
}

/// Stopped with another grace period than the container's own.
fn slow(scene: &Scene, judge: &mut Judge<'_>) {
    let runtime = From::Program(scene.engine.runtime);
    judge
        .signal("SIGTERM to PID 1", TERM, runtime, scene.pid1())
        .fate("handled", None);
    timed_out(scene, judge, "too-slow");
    let (pid1, child) = (scene.pid1(), scene.pid("the child"));
    judge
        .zapped("the child", child, pid1)
        .chain(&["SIGKILL by the kernel", "PID 1 killed by SIGKILL"]);
}

/// The first life; the next has another PID namespace.
fn restart(scene: &Scene, judge: &mut Judge<'_>) {
    let runtime = From::Program(scene.engine.runtime);
    judge
        .signal("SIGTERM to PID 1", TERM, runtime, scene.pid1())
        .fate("handled", None);
    judge
        .death("PID 1", scene.pid1())
        .cause("exit", "exit", 0)
        .forced(false);
    judge
        .zapped("the child", scene.pid("the child"), scene.pid1())
        .has("/contributing", "not-forwarded")
        .says(Phrase::NothingSentOn);
}
