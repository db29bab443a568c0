//! Many containers that are stopped at once, as when a machine is shut down: each
//! with its own verdict, each by its own name.

use anyhow::{Context, Result};

use super::run::at_once;
use super::{fwd_sig, own, Scenario, Stage};
use crate::judge::phrases::Phrase;
use crate::scenarios::Outcome;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("many", many)]
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
    stage.engine.say(&[&["stop"], &names[..]].concat())?;
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
                .chain_ends(scene.engine.stop)
                .has("/contributing", "not-forwarded")
                .field("/container/name", &scene.container.name)
                .says(Phrase::NothingSentOn);
        }
    }))
}
