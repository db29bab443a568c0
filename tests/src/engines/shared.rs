//! Containers without a PID namespace of their own: with the host's, and with another
//! container's, as in a pod.

use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{core, fwd_sig, own, Scenario, Scene, Stage, FWD_SIG};
use crate::judge::told::Told;
use crate::scenarios::Outcome;
use crate::stage::engine::Container;
use crate::stage::sigtrace::{Ended, Sigtrace};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        own("pid-host", of_host),
        own("pid-host-slow", slow),
        core(own("pid-of-another", of_another)),
        own("pid-of-another-alone", alone),
        own("pid-host-followed", followed),
    ]
}

/// `c-init-sig` with a child, ready, with these options of `run`.
pub(super) fn start(
    stage: &Stage<'_>,
    name: &str,
    options: &[&str],
    words: &[&str],
) -> Result<Scene> {
    let words = [&[FWD_SIG, "/c-init-sig"], words].concat();
    let container = stage.engine.start(name, options, &words)?;
    let mut scene = Scene::new(stage.engine, container);
    let children = Container::wait_children(scene.pid1(), 1)?;
    Container::wait_handler(scene.pid1(), Signal::SIGTERM)?;
    scene.remember("the child", children[0]);
    Ok(scene)
}

pub(super) fn trace(stage: &Stage<'_>, name: &str) -> Result<Sigtrace> {
    Sigtrace::of_containers(stage.host, stage.engine, &[name], &["--all-signals"])
}

/// What is told of the container and of its end.
pub(super) fn read(
    ended: &Ended,
    scene: &Scene,
    fields: &[(&str, &str)],
    verdict: &str,
) -> Result<Told> {
    let mut told = Told::read(ended)?;
    let all = [&[("/container/id", &*scene.container.id)], fields].concat();
    for (at, wanted) in all {
        let found = told.lines[0].pointer(&format!("/scopes/0{at}")).cloned();
        told.expect(found == Some(wanted.into()), || {
            format!("{at} is {found:?}, not {wanted}")
        });
    }
    let last = told.lines.last().cloned().unwrap_or_default();
    let is = last["ended"] == true
        && last["verdict"] == verdict
        && last["partial"] == false
        && last["processes_exited"] == 2;
    told.expect(is, || format!("the summary: {last}"));
    Ok(told)
}

/// One death, with what it says.
pub(super) fn death(told: &mut Told, scene: &Scene, pid: u32, fields: &[(&str, &str)], says: &str) {
    let pid = pid.to_string();
    let of = [
        ("/task/pid", &*pid),
        ("/container/id", &*scene.container.id),
    ];
    told.count("exit", 1, &[&of, fields].concat());
    let deaths = told.of("exit");
    let this = |exit: &&Value| exit["task"]["pid"].as_u64() == pid.parse().ok();
    let words = deaths
        .iter()
        .find(this)
        .map(|exit| exit["explanation"].to_string());
    told.expect(
        words.as_ref().is_some_and(|words| words.contains(says)),
        || format!("{pid}: {words:?} does not say {says:?}"),
    );
}

/// Its first process exits, and the runtime kills what is left.
pub(super) fn first_exits(told: &mut Told, scene: &Scene, whose: &str) {
    let first = [
        ("/exit_code", "0"),
        ("/cause", "exit"),
        ("/certainty", "proven"),
    ];
    death(
        told,
        scene,
        scene.pid1(),
        &first,
        "its handler ran for SIGTERM",
    );
    let says = format!(
        "The container's first process, c-init-sig {}, had ended",
        scene.pid1()
    );
    let child = scene.pid("the child");
    death(told, scene, child, &[("/signal", "SIGKILL")], &says);
    let says = format!("It shares {whose} PID namespace");
    death(told, scene, child, &[("/certainty", "proven")], &says);
    told.count("init_exit", 0, &[]);
}

fn of_host(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = start(stage, stage.name, &["--pid", "host"], &[])?;
    let sigtrace = trace(stage, stage.name)?;
    scene.say(&["stop"])?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(&["rm"])?;
    let shares = [("/shares/with", "host"), ("/shares/first", "c-init-sig")];
    let verdict = match stage.engine.kind {
        "podman" => "clean",
        _ => "unclean",
    };
    let mut told = read(&ended, &scene, &shares, verdict)?;
    let stop = [
        ("/target/pid", &*scene.pid1().to_string()),
        ("/signal/name", "SIGTERM"),
        ("/fate", "handled"),
        ("/container/id", &*scene.container.id),
    ];
    told.count("signal", 1, &stop);
    if stage.engine.kind == "podman" {
        // Which sends the stop signal to every process where no PID 1 passes it on.
        let ended = [("/exit_code", "0"), ("/cause", "exit")];
        death(
            &mut told,
            &scene,
            scene.pid1(),
            &ended,
            "after its handler ran",
        );
        let asked = [
            ("/signal", "SIGTERM"),
            ("/cause", "killed-by-process"),
            ("/certainty", "proven"),
        ];
        // Under systemd the unit that it is of stands there, too.
        for says in ["(container runtime", ") sent SIGTERM"] {
            death(&mut told, &scene, scene.pid("the child"), &asked, says);
        }
    } else {
        first_exits(&mut told, &scene, "the host's");
    }
    Ok(told.outcome(&ended))
}

/// It needs longer than it is given.
fn slow(stage: &Stage<'_>) -> Result<Outcome> {
    let options = ["--pid", "host", "--stop-timeout", "2"];
    let scene = start(stage, stage.name, &options, &["--slow", "60"])?;
    let sigtrace = trace(stage, stage.name)?;
    scene.say(&["stop"])?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(&["rm"])?;
    let mut told = read(&ended, &scene, &[("/shares/with", "host")], "unclean")?;
    let timeout = [
        ("/cause", "stop-timeout"),
        ("/signal", "SIGKILL"),
        ("/certainty", "proven"),
    ];
    let says = "asked the first process to end with SIGTERM";
    death(&mut told, &scene, scene.pid1(), &timeout, says);
    Ok(told.outcome(&ended))
}

/// The end of the other one is the end of this one.
fn of_another(stage: &Stage<'_>) -> Result<Outcome> {
    let other = format!("{}-owner", stage.name);
    let owner = fwd_sig(stage.engine, &other, &[], 1)?;
    let mode = format!("container:{other}");
    let scene = start(stage, stage.name, &["--pid", &mode], &[])?;
    let sigtrace = trace(stage, stage.name)?;
    owner.say(&["stop"])?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(stage.engine.rm)?;
    owner.say(stage.engine.rm)?;
    let shares = [
        ("/shares/with", "container"),
        ("/shares/container", &other),
        ("/shares/first", "c-init-sig"),
        ("/pid1", "c-init-sig"),
    ];
    let mut told = read(&ended, &scene, &shares, "unclean")?;
    owners_end(&mut told, &scene, &owner.container);
    Ok(told.outcome(&ended))
}

fn owners_end(told: &mut Told, scene: &Scene, owner: &Container) {
    let says = format!("which belongs to the container {}, exited", owner.name);
    let zapped = [("/cause", "pid1-exited"), ("/certainty", "proven")];
    for pid in [scene.pid1(), scene.pid("the child")] {
        death(told, scene, pid, &zapped, &says);
    }
    let pid1 = owner.pid1.to_string();
    told.count(
        "init_exit",
        1,
        &[("/task/pid", &*pid1), ("/exit_code", "0")],
    );
    told.count(
        "signal",
        1,
        &[
            ("/target/pid", &*pid1),
            ("/signal/name", "SIGTERM"),
            ("/fate", "handled"),
        ],
    );
}

/// Its own end concerns nobody else.
fn alone(stage: &Stage<'_>) -> Result<Outcome> {
    let other = format!("{}-owner", stage.name);
    let owner = fwd_sig(stage.engine, &other, &[], 1)?;
    let mode = format!("container:{other}");
    let scene = start(stage, stage.name, &["--pid", &mode], &[])?;
    let sigtrace = trace(stage, stage.name)?;
    scene.say(&["stop"])?;
    let ended = sigtrace.ended()?.well()?;
    let lives = stage.engine.find(&other)?.pid1 == owner.pid1();
    scene.say(&["rm"])?;
    owner.say(stage.engine.rm)?;
    let mut told = read(&ended, &scene, &[("/shares/container", &*other)], "unclean")?;
    told.expect(lives, || "the other one has ended too".to_owned());
    first_exits(&mut told, &scene, &format!("{other}'s"));
    Ok(told.outcome(&ended))
}

/// Waited for, and followed into its next life.
fn followed(stage: &Stage<'_>) -> Result<Outcome> {
    let mut command = Command::new(&stage.host.sigtrace);
    stage.engine.for_sigtrace(&mut command);
    command.args(["--hooks", &stage.host.hooks, "-o", "json", "--wait"]);
    command.args(["--container", stage.name]);
    let sigtrace = Sigtrace::spawn(&mut command)?;
    sigtrace.wait_attached()?;
    let mut from = 0;
    let mut firsts = Vec::new();
    let scene = start(stage, stage.name, &["--pid", "host"], &[])?;
    for again in [false, true] {
        if again {
            scene.say(&["start"])?;
        }
        let is =
            |event: &'static str| move |line: &str| line.contains(&format!(r#""event":"{event}""#));
        from = sigtrace.out.wait("its start", from, is("started"))?.0;
        let pid = stage.engine.find(stage.name)?.pid1;
        Container::wait_children(pid, 1)?;
        Container::wait_handler(pid, Signal::SIGTERM)?;
        firsts.push(pid);
        scene.say(&["stop"])?;
        from = sigtrace.out.wait("its end", from, is("ended"))?.0;
    }
    let ended = sigtrace.interrupt()?.well()?;
    scene.say(&["rm"])?;
    let mut told = Told::read(&ended)?;
    let id = scene.container.id.as_str();
    let life = [
        ("/scope/container/id", id),
        ("/scope/container/name", stage.name),
        ("/scope/shares/with", "host"),
        ("/scope/shares/first", "c-init-sig"),
    ];
    told.count("started", 2, &life);
    told.count("ended", 2, &life);
    for pid in firsts {
        let end = [
            ("/task/pid", &*pid.to_string()),
            ("/container/id", id),
            ("/exit_code", "0"),
            ("/certainty", "proven"),
        ];
        told.count("exit", 1, &end);
    }
    told.count("init_exit", 0, &[]);
    Ok(told.outcome(&ended))
}
