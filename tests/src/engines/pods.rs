//! Pods: containers that share the PID namespace of the pod's own container, whose
//! first process is PID 1 for all of them.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::shared::{death, first_exits, read, start, trace};
use super::{own, Scenario, Stage, FWD_SIG};
use crate::scenarios::Outcome;
use crate::stage::engine::Container;
use crate::stage::ns;

pub(super) fn scenarios() -> Vec<Scenario> {
    [own("pod-member", member), own("pod-ends", ends)]
        .map(|one| Scenario {
            // With runc it is the same, and takes as long again.
            on: |engine| engine.kind == "podman" && engine.runtime == "crun",
            ..one
        })
        .into()
}

/// A pod whose own container runs `c-init-sig`, ready.
struct Pod<'a> {
    stage: &'a Stage<'a>,
    name: String,
    owner: Container,
}

impl<'a> Pod<'a> {
    /// Shares only what this is about: a network of its own takes programs that not
    /// every guest has.
    fn new(stage: &'a Stage<'a>) -> Result<Result<Self, Outcome>> {
        let name = format!("{}-pod", stage.name);
        let infra = format!("{}-infra", stage.name);
        let head = ["pod", "create", "--name", &name, "--infra-name", &infra];
        let shares = ["--share", "pid", "--network", "host"];
        let runs = ["--infra-image", FWD_SIG, "--infra-command", "/c-init-sig"];
        stage.engine.say(&[&head[..], &shares, &runs].concat())?;
        if let Err(error) = stage.engine.say(&["pod", "start", &name]) {
            // Podman 4.3 writes the pod's cgroup itself where systemd does not, and
            // allows no device there.
            if !error.to_string().contains("mknod `/dev/null`") {
                return Err(error);
            }
            stage
                .engine
                .say(&["pod", "rm", "-f", "-t", "0", &name])
                .ok();
            let why = "this Podman lets a pod use no device where there is no systemd";
            return Ok(Err(Outcome::Skipped(why.to_owned())));
        }
        let owner = stage.engine.find(&infra)?;
        Container::wait_handler(owner.pid1, Signal::SIGTERM)?;
        Ok(Ok(Self { stage, name, owner }))
    }

    fn remove(&self) -> Result<()> {
        let remove = ["pod", "rm", "-f", "-t", "0", &self.name];
        self.stage.engine.say(&remove).map(drop)
    }
}

/// A container of a pod is stopped; nobody else's affair.
fn member(stage: &Stage<'_>) -> Result<Outcome> {
    let pod = match Pod::new(stage)? {
        Ok(pod) => pod,
        Err(skipped) => return Ok(skipped),
    };
    let scene = start(stage, stage.name, &["--pod", &pod.name], &[])?;
    let sigtrace = trace(stage, stage.name)?;
    scene.say(&["stop"])?;
    let ended = sigtrace.ended()?.well()?;
    let lives = stage.engine.find(&pod.owner.name)?.pid1 == pod.owner.pid1;
    pod.remove()?;
    let owner = ("/shares/container", &*pod.owner.name);
    let mut told = read(&ended, &scene, &[owner], "unclean")?;
    told.expect(lives, || "the pod has ended too".to_owned());
    first_exits(&mut told, &scene, &format!("{}'s", pod.owner.name));
    Ok(told.outcome(&ended))
}

/// The PID 1 that a pod's containers share exits, and the kernel kills them all.
fn ends(stage: &Stage<'_>) -> Result<Outcome> {
    let pod = match Pod::new(stage)? {
        Ok(pod) => pod,
        Err(skipped) => return Ok(skipped),
    };
    let scene = start(stage, stage.name, &["--pod", &pod.name], &[])?;
    let sigtrace = trace(stage, stage.name)?;
    ns::kill(pod.owner.pid1, Signal::SIGTERM)?;
    let ended = sigtrace.ended()?.well()?;
    pod.remove()?;
    let owner = ("/shares/container", &*pod.owner.name);
    let mut told = read(&ended, &scene, &[owner], "unclean")?;
    let says = format!("which belongs to the container {}, exited", pod.owner.name);
    let zapped = [("/cause", "pid1-exited"), ("/certainty", "proven")];
    for pid in [scene.pid1(), scene.pid("the child")] {
        death(&mut told, &scene, pid, &zapped, &says);
    }
    Ok(told.outcome(&ended))
}
