//! From names to containers: names that are used again, that nobody has, or two
//! engines have.

use std::process::Command;

use anyhow::Result;

use super::{fwd_sig, of_docker, own, Scenario, Stage, FWD_SIG};
use crate::judge::phrases::Phrase;
use crate::judge::{Judge, Seen};
use crate::scenarios::Outcome;
use crate::stage::engine::PODMAN;
use crate::stage::host;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        own("reused-name", reused),
        own("unknown-name", unknown),
        of_docker("twin-name", twins),
    ]
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
        if seen.tracing.to_string().contains(&first.container.id) {
            judge.fault(format!("that is the first one's id: {}", seen.tracing));
        }
        judge
            .zapped("the child", scene.pid("the child"), scene.pid1())
            .field("/container/id", &scene.container.id)
            .says(Phrase::NothingSentOn);
    }))
}

/// A container of Docker and one of Podman with the same name: both are listed,
/// and each is traced by its id.
fn twins(stage: &Stage<'_>) -> Result<Outcome> {
    if host::program("podman").is_none() {
        return Ok(Outcome::Skipped("no podman on the PATH".to_owned()));
    }
    let ours = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let theirs = PODMAN.start(stage.name, &[], &[FWD_SIG, "/c-init-sig"])?;
    let mut command = Command::new(&stage.host.sigtrace);
    command.args(["--container", stage.name]);
    let ended = Sigtrace::spawn(&mut command)?.ended()?;
    let mut faults = Vec::new();
    if ended.status != Some(2) {
        faults.push(format!("expected status 2, got {:?}", ended.status));
    }
    for id in [&ours.container.id, &theirs.id] {
        let id: String = id.chars().take(12).collect();
        if !ended.errors.contains(&id) {
            faults.push(format!("stderr does not list {id}"));
        }
    }
    let id: String = theirs.id.chars().take(12).collect();
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[&id], &[])?;
    PODMAN.say(&["rm", "-f", "-t", "0", stage.name])?;
    let traced = sigtrace.ended()?.well()?;
    let seen = Seen::read(&traced.lines);
    let death = seen.events.iter().find(|event| event.is_death());
    if death.is_none_or(|death| death.text("/container/id") != theirs.id) {
        faults.push(format!("by its id {id} that of podman is meant"));
    }
    ours.say(stage.engine.rm)?;
    Ok(Outcome::of(faults, &[ended.told(), traced.told()].concat()))
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
