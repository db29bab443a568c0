//! Containers that start while sigtrace runs: waited for, restarted, and others
//! with the same name.

use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{core, everywhere, fwd_sig, own, Scenario, Stage, FWD_SIG};
use crate::judge::told::Told;
use crate::judge::{Event, Seen};
use crate::scenarios::Outcome;
use crate::stage::engine::Container;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        core(own("wait", wait)),
        everywhere(own("wait-once", wait_once)),
        own("restarted", restarted),
        own("name-taken-over", taken_over),
    ]
}

/// sigtrace for these containers, attached.
fn sigtrace(stage: &Stage<'_>, names: &[&str], flags: &[&str]) -> Result<Sigtrace> {
    let mut command = Command::new(&stage.host.sigtrace);
    stage.engine.for_sigtrace(&mut command);
    command.args(["--hooks", &stage.host.hooks, "-o", "json", "--all-signals"]);
    command.args(flags);
    for name in names {
        command.args(["--container", name]);
    }
    let sigtrace = Sigtrace::spawn(&mut command)?;
    sigtrace.wait_attached()?;
    Ok(sigtrace)
}

/// A container whose program ends at once, with status 2.
fn short(stage: &Stage<'_>, name: &str) -> Result<()> {
    let words = [
        "run",
        "--rm",
        "--name",
        name,
        "--network",
        "host",
        FWD_SIG,
        "/c-init-sig",
        "--none",
    ];
    let status = stage.engine.try_say(&words)?.status;
    anyhow::ensure!(status.code() == Some(2), "{words:?}: {status}");
    Ok(())
}

/// Nothing is missed of containers that are gone before anybody could look.
fn wait(stage: &Stage<'_>) -> Result<Outcome> {
    let count = stage.amount.short;
    let sigtrace = sigtrace(stage, &[stage.name], &["--wait"])?;
    let other = format!("{}-other", stage.name);
    let mut from = 0;
    short(stage, &other)?;
    for _ in 0..count {
        short(stage, stage.name)?;
        let ended = |line: &str| line.contains(r#""event":"ended""#);
        from = sigtrace.out.wait("the line `ended`", from, ended)?.0 + 1;
    }
    let ended = sigtrace.interrupt()?.well()?;
    let mut told = Told::read(&ended)?;
    let name = stage.name;
    let waiting = told.lines[0]["waiting"].clone();
    told.expect(waiting == serde_json::json!([name]), || {
        format!("waiting: {waiting}")
    });
    told.count(
        "started",
        count,
        &[
            ("/scope/container/name", name),
            ("/scope/pid1", "c-init-sig"),
        ],
    );
    told.count(
        "fork",
        count,
        &[("/child/ns_pids/1", "1"), ("/child/container", name)],
    );
    told.count(
        "exec",
        count,
        &[("/task/ns_pids/1", "1"), ("/task/comm", "c-init-sig")],
    );
    let end = [
        ("/container/name", name),
        ("/exit_code", "2"),
        ("/cause", "exit"),
        ("/certainty", "proven"),
    ];
    told.count("init_exit", count, &end);
    told.count(
        "reap",
        count,
        &[("/task/ns_pids/1", "1"), ("/certainty", "proven")],
    );
    told.count("ended", count, &[("/scope/container/name", name)]);
    told.count("init_exit", count, &[]);
    let of_other = ended.lines.iter().any(|line| line.contains(&other));
    told.expect(!of_other, || format!("something of {other} was told"));
    Ok(told.outcome(&ended))
}

/// Two that are waited for, each by its own name, until both have ended.
fn wait_once(stage: &Stage<'_>) -> Result<Outcome> {
    let names = ["a", "b"].map(|which| format!("{}-{which}", stage.name));
    let both = [names[0].as_str(), names[1].as_str()];
    let sigtrace = sigtrace(stage, &both, &["--wait", "--once"])?;
    short(stage, both[1])?;
    short(stage, both[1])?;
    short(stage, both[0])?;
    let ended = sigtrace.ended()?.well()?;
    let mut told = Told::read(&ended)?;
    for name in both {
        let end = [
            ("/container/name", name),
            ("/task/container", name),
            ("/exit_code", "2"),
        ];
        told.count("init_exit", 1, &end);
    }
    told.count("started", 2, &[]);
    told.count("init_exit", 2, &[]);
    Ok(told.outcome(&ended))
}

/// From one life of a container into its next.
fn restarted(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let sigtrace = sigtrace(stage, &[stage.name], &[])?;
    scene.say(&["restart"])?;
    let second = lives_again(stage, &sigtrace)?;
    let ended = sigtrace.interrupt()?.well()?;
    scene.say(&["rm"])?;
    let mut told = Told::read(&ended)?;
    let id = scene.container.id.as_str();
    told.count(
        "started",
        1,
        &[("/scope/container/id", id), ("/scope/pid1", "c-init-sig")],
    );
    told.count("ended", 2, &[("/scope/container/id", id)]);
    for pid1 in [scene.pid1(), second] {
        let pid1 = pid1.to_string();
        told.count(
            "init_exit",
            1,
            &[
                ("/task/pid", &pid1),
                ("/container/id", id),
                ("/exit_code", "0"),
            ],
        );
    }
    // Which is known when the next life has begun.
    let seen = Seen::read(&ended.lines);
    let child = u64::from(scene.pid("the child"));
    let of_child = |event: &&Event| event.is_death() && event.number("/task/pid") == Some(child);
    let first = seen.events.iter().find(of_child);
    let chain = first.and_then(|event| event.now["chain"].as_array());
    let last = chain.and_then(|links| links.last()?["what"].as_str());
    told.expect(last == Some(stage.engine.restart), || {
        format!("the end of the child's chain: {last:?}")
    });
    // Its child never gets the SIGTERM, in both.
    told.count(
        "exit",
        2,
        &[
            ("/cause", "pid1-exited"),
            ("/certainty", "proven"),
            ("/container/id", id),
        ],
    );
    told.count("init_exit", 2, &[]);
    Ok(told.outcome(&ended))
}

/// Another container gets the name.
fn taken_over(stage: &Stage<'_>) -> Result<Outcome> {
    let first = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let sigtrace = sigtrace(stage, &[stage.name], &[])?;
    first.say(stage.engine.rm)?;
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    lives_again(stage, &sigtrace)?;
    let ended = sigtrace.interrupt()?.well()?;
    scene.say(&["rm"])?;
    let mut told = Told::read(&ended)?;
    for (container, code) in [(&first.container, "137"), (&scene.container, "0")] {
        let (pid1, id) = (container.pid1.to_string(), container.id.as_str());
        told.count(
            "init_exit",
            1,
            &[
                ("/task/pid", &pid1),
                ("/container/id", id),
                ("/exit_code", code),
            ],
        );
        told.count(
            "exit",
            1,
            &[("/cause", "pid1-exited"), ("/container/id", id)],
        );
        told.count("ended", 1, &[("/scope/container/id", id)]);
    }
    told.count(
        "started",
        1,
        &[("/scope/container/id", &scene.container.id)],
    );
    Ok(told.outcome(&ended))
}

/// Waits for its second life, and ends that; its PID 1.
fn lives_again(stage: &Stage<'_>, sigtrace: &Sigtrace) -> Result<u32> {
    let is = |event: &str| {
        let event = format!(r#""event":"{event}""#);
        move |line: &str| line.contains(&event)
    };
    let (from, _) = sigtrace.out.wait("the next start", 0, is("started"))?;
    let container = stage.engine.find(stage.name)?;
    let children = Container::wait_children(container.pid1, 1)?;
    anyhow::ensure!(!children.is_empty(), "it has no child");
    Container::wait_handler(container.pid1, Signal::SIGTERM)?;
    stage.engine.say(&["stop", stage.name])?;
    sigtrace.out.wait("its end", from, is("ended"))?;
    Ok(container.pid1)
}
