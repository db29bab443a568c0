//! A sidecar that shares the PID namespace of its neighbour and kills in there: chains
//! cross containers and name both.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{fwd_sig, own, Scenario, Scene, Stage, SIG_PROC};
use crate::judge::told::Told;
use crate::scenarios::Outcome;
use crate::stage::engine::Container;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("sidecar-kills", kills)]
}

fn kills(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let child = scene.pid("the child");
    let name = format!("{}-sidecar", stage.name);
    let mode = format!("container:{}", stage.name);
    let words = [SIG_PROC, "/c-init-sig"];
    let sidecar = stage.engine.start(&name, &["--pid", &mode], &words)?;
    Container::wait_handler(sidecar.pid1, Signal::SIGTERM)?;
    let sidecar = Scene::new(stage.engine, sidecar);
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[stage.name], &[])?;
    sidecar.exec(&["kill", "-9", &Container::pid_inside(child)?.to_string()])?;
    let task = format!(r#""task":{{"pid":{child},"#);
    sigtrace.wait_for(&[r#""event":"exit""#, &task])?;
    // Whose namespace another container has may not be removed before that.
    scene.say(&["kill"])?;
    let ended = sigtrace.ended()?.well()?;
    sidecar.say(stage.engine.rm)?;
    scene.say(stage.engine.rm)?;
    let mut told = Told::read(&ended)?;
    judge(&mut told, stage, child, &scene, &sidecar)?;
    Ok(told.outcome(&ended))
}

fn judge(
    told: &mut Told,
    stage: &Stage<'_>,
    child: u32,
    scene: &Scene,
    sidecar: &Scene,
) -> Result<()> {
    let child = child.to_string();
    let origin = |of: &str, what: &str| format!("/{of}/origin/container/{what}");
    let ids = [origin("sender", "id"), origin("target", "id")];
    let names = [origin("sender", "name"), origin("target", "name")];
    let signal = [
        ("/signal/name", "SIGKILL"),
        ("/target/pid", &*child),
        ("/sender/comm", "kill"),
        (&*ids[0], &*sidecar.container.id),
        (&*ids[1], &*scene.container.id),
        (&*names[0], &*sidecar.container.name),
        (&*names[1], &*scene.container.name),
        ("/sender/origin/container/engine", stage.engine.kind),
    ];
    told.count("signal", 1, &signal);
    let death = [
        ("/task/pid", &*child),
        ("/cause", "killed-by-process"),
        ("/certainty", "proven"),
    ];
    told.count("exit", 1, &death);
    let exits = told.of("exit");
    let this = exits
        .iter()
        .find(|end| end["task"]["pid"].as_u64() == child.parse().ok());
    let this = this.context("its end")?;
    let links: Vec<&str> = (this["chain"].as_array().into_iter().flatten())
        .filter_map(|link| link["what"].as_str())
        .collect();
    let chain = links.join(" ← ");
    let (ours, theirs) = (&scene.container.name, &sidecar.container.name);
    let begins = format!("SIGKILL into container {ours} ← kill ");
    let crosses = format!(" (in container {theirs}) ← ");
    // Behind whom the host's PID 1 is.
    let root = match stage.engine.kind {
        "podman" => "conmon",
        _ => "containerd-shim",
    };
    let last = chain.rsplit(" ← ").next().unwrap_or_default();
    let is = chain.starts_with(&begins) && chain.contains(&crosses) && last.starts_with(root);
    told.expect(is, || format!("the chain {chain:?}"));
    let says = format!("(in container {theirs})");
    let words = this["explanation"].to_string();
    told.expect(words.contains(&says), || format!("it says {words}"));
    Ok(())
}
