//! From names to containers: names that are used again, that nobody or that two
//! engines have, and engines that are down, frozen, or talk nonsense.

use std::process::Command;

use anyhow::Result;

use super::{fwd_sig, own, Scenario, Stage};
use crate::judge::phrases::Phrase;
use crate::judge::Judge;
use crate::scenarios::Outcome;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("reused-name", reused), own("unknown-name", unknown)]
}

/// A container that has a name which another had before.
fn reused(stage: &Stage<'_>) -> Result<Outcome> {
    let first = fwd_sig(stage.engine, stage.name, &[], 1)?;
    first.say(stage.engine.rm)?;
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[stage.name], &[])?;
    scene.say(&["stop"])?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(&["rm"])?;
    let ino = scene.container.ino;
    Ok(stage.judged(&ended, &[ino], |seen, judge: &mut Judge<'_>| {
        let container = &seen.tracing["scopes"][0];
        if seen.tracing.to_string().contains(&first.container.id) {
            judge.fault(format!("that is the first one's id: {container}"));
        }
        judge
            .zapped("the child", scene.pid("the child"), scene.pid1())
            .field("/container/id", &scene.container.id)
            .says(Phrase::NothingSentOn);
    }))
}

/// A name that nobody has: what runs is listed, and the nearest name offered.
fn unknown(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let wrong = format!("{}x", stage.name);
    let mut command = Command::new(&stage.host.sigtrace);
    stage.engine.for_sigtrace(&mut command);
    command.args(["--container", &wrong]);
    let ended = Sigtrace::spawn(&mut command)?.ended()?;
    let mut faults = Vec::new();
    if ended.status != Some(4) {
        faults.push(format!("expected status 4, got {:?}", ended.status));
    }
    let id: String = scene.container.id.chars().take(12).collect();
    for words in [
        format!("did you mean {}", stage.name),
        "running:".to_owned(),
        id,
    ] {
        if !ended.errors.contains(&words) {
            faults.push(format!("stderr does not say \"{words}\""));
        }
    }
    scene.say(stage.engine.rm)?;
    Ok(Outcome::of(faults, &ended.told()))
}
