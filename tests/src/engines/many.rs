//! Many containers that are stopped at once, as when a machine is shut down: each
//! with its own verdict, each by its own name.

use anyhow::{Context, Result};

use super::run::at_once;
use super::{fwd_sig, own, Scenario, Stage};
use crate::judge::phrases::Phrase;
use crate::scenarios::Outcome;
use crate::stage::engine::Engine;
use crate::stage::sigtrace::Sigtrace;

/// How often an engine is asked.
const TRIES: usize = 4;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("many", many)]
}

/// Stops them all at once. Podman gives up waiting for what its own monitors write where
/// a hundred of them share an emulated processor, and has to be asked again for those
/// that it has not come to.
fn stop_all(engine: &Engine, names: &[&str]) -> Result<()> {
    let words = [&["stop"], names].concat();
    for _ in 1..TRIES {
        let output = engine.try_say(&words)?;
        if output.status.success() {
            return Ok(());
        }
        println!("again: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    engine.say(&words).map(drop)
}

fn many(stage: &Stage<'_>) -> Result<Outcome> {
    let names: Vec<String> = (0..stage.amount.many)
        .map(|number| format!("{}-{number}", stage.name))
        .collect();
    let scenes = at_once(&names, |name| fwd_sig(stage.engine, name, &[], 1));
    let scenes: Vec<_> = scenes
        .into_iter()
        .collect::<Result<_>>()
        .context("setting the stage")?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let flags = ["--buffer", "16M"];
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &names, &flags)?;
    stop_all(stage.engine, &names)?;
    let ended = sigtrace.ended()?.well()?;
    stage.engine.say(&[stage.engine.rm, &names[..]].concat())?;
    let inodes: Vec<u32> = scenes.iter().map(|scene| scene.container.ino).collect();
    Ok(stage.judged(&ended, &inodes, |seen, judge| {
        if seen.summary["events_lost"] != 0 {
            judge.fault(format!("events were lost: {}", seen.summary));
        }
        for scene in &scenes {
            judge
                .death("PID 1", scene.pid1())
                .cause("exit", "exit", 0)
                .field("/container/name", &scene.container.name);
            judge
                .zapped("the child", scene.pid("the child"), scene.pid1())
                .has("/contributing", "not-forwarded")
                .field("/container/name", &scene.container.name)
                .says(Phrase::NothingSentOn);
        }
    }))
}
