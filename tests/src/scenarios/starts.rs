//! Containers that start while sigtrace runs, without an engine: a cgroup whose
//! name has an id, and PID namespaces that live for a moment in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use super::{takes_turns, Outcome, Scenario, Stage};
use crate::judge::told::Told;
use crate::stage::sigtrace::Sigtrace;

/// So many, and as many of another container.
const COUNT: usize = 20;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("container-starts", starts),
        takes_turns("container-shares-starts", shares),
    ]
}

/// Where cgroups can be told by; `None`: nowhere.
fn root() -> Option<&'static str> {
    let exists = |path| Path::new(path).exists();
    if exists(V2) {
        Some("/sys/fs/cgroup")
    } else {
        exists("/sys/fs/cgroup/pids/tasks").then_some("/sys/fs/cgroup/pids")
    }
}

/// There is cgroup v2.
const V2: &str = "/sys/fs/cgroup/cgroup.controllers";

/// A cgroup as an engine would make it.
struct Made(PathBuf);

impl Made {
    fn new(id: &str) -> Result<Self> {
        let root = root().context("no hierarchy of cgroups")?;
        let folder = PathBuf::from(format!("{root}/docker-{id}.scope"));
        fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// A PID namespace with one process that ends at once.
    fn run(&self) -> Result<()> {
        // As a runtime does it, which is in no cgroup of its containers itself.
        let script = format!("echo 0 > {}/cgroup.procs && exec sh -c :", self.0.display());
        let words = ["-p", "-f", "sh", "-c", &script];
        let output = Command::new("unshare").args(words).output()?;
        ensure!(output.status.success(), "{script}: {output:?}");
        Ok(())
    }

    /// A process of the host's namespace, that makes one inside, and ends.
    fn run_shared(&self) -> Result<()> {
        let script = format!(
            "echo 0 > {}/cgroup.procs && exec sh -c 'unshare -p -f true; exit 3'",
            self.0.display()
        );
        let output = Command::new("sh").args(["-c", &script]).output()?;
        ensure!(output.status.code() == Some(3), "{script}: {output:?}");
        Ok(())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Empty by then, or the machine is only ours.
        let _ = fs::remove_dir(&self.0);
    }
}

fn starts(stage: &Stage<'_>) -> Result<Outcome> {
    if !stage.host.guest {
        return Ok(Outcome::Skipped(
            "--wait traces every new PID namespace, so only in a guest".to_owned(),
        ));
    }
    if root().is_none() {
        return Ok(Outcome::Skipped(
            "there is no cgroup v2, and no pids hierarchy of cgroup v1".to_owned(),
        ));
    }
    let ids = ["a1", "b2"].map(|two| two.repeat(32));
    // Of cgroup v2 they may be older than the trace.
    let make = || Ok::<_, anyhow::Error>([Made::new(&ids[0])?, Made::new(&ids[1])?]);
    let older = Path::new(V2).exists().then(make).transpose()?;
    let name = &ids[0][..12];
    let flags = ["--container", name, "--wait", "-o", "json", "--all-signals"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let [ours, other] = match older {
        Some(older) => older,
        None => make()?,
    };
    for _ in 0..COUNT {
        other.run()?;
        ours.run()?;
    }
    // The last one is said to have ended when all is known of it.
    let mut from = 0;
    for _ in 0..COUNT {
        let ended = |line: &str| line.contains(r#""event":"ended""#);
        from = sigtrace.out.wait("the line `ended`", from, ended)?.0 + 1;
    }
    let ended = sigtrace.interrupt()?.well()?;
    let mut told = Told::read(&ended)?;
    let id = ids[0].as_str();
    told.count(
        "started",
        COUNT,
        &[
            ("/scope/container/id", id),
            ("/scope/container/engine", "docker"),
        ],
    );
    told.count(
        "fork",
        COUNT,
        &[("/child/ns_pids/1", "1"), ("/child/container", id)],
    );
    // The shell that goes into the cgroup, and the one in it.
    told.count(
        "exec",
        2 * COUNT,
        &[("/task/ns_pids/1", "1"), ("/task/container", id)],
    );
    let end = [
        ("/container/id", id),
        ("/exit_code", "0"),
        ("/cause", "exit"),
        ("/certainty", "proven"),
    ];
    told.count("init_exit", COUNT, &end);
    told.count("init_exit", COUNT, &[]);
    told.count("reap", COUNT, &[("/task/ns_pids/1", "1")]);
    told.count("ended", COUNT, &[]);
    let of_other = ended.lines.iter().any(|line| line.contains(&ids[1]));
    told.expect(!of_other, || {
        "something of the other container was told".to_owned()
    });
    Ok(told.outcome(&ended))
}

/// Containers without a namespace of their own, which are over before anybody knows
/// that, in a cgroup each.
fn shares(stage: &Stage<'_>) -> Result<Outcome> {
    if !stage.host.guest {
        return Ok(Outcome::Skipped(
            "--wait traces every new PID namespace, so only in a guest".to_owned(),
        ));
    }
    if root().is_none() {
        return Ok(Outcome::Skipped(
            "there is no cgroup v2, and no pids hierarchy of cgroup v1".to_owned(),
        ));
    }
    let ids = ["f6", "a7"].map(|two| two.repeat(32));
    let name = &ids[0][..12];
    let flags = ["--container", name, "--wait", "-o", "json", "--all-signals"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let mut from = 0;
    for _ in 0..2 {
        for id in &ids {
            let made = Made::new(id)?;
            made.run_shared()?;
            drop(made);
        }
        let ended = |line: &str| line.contains(r#""event":"ended""#);
        from = sigtrace.out.wait("the line `ended`", from, ended)?.0 + 1;
    }
    let ended = sigtrace.interrupt()?.well()?;
    let mut told = Told::read(&ended)?;
    let id = ids[0].as_str();
    let scope = [
        ("/scope/container/id", id),
        ("/scope/shares/with", "host"),
        ("/scope/shares/first", "sh"),
    ];
    told.count("started", 2, &scope);
    told.count("started", 2, &[]);
    let end = [
        ("/container/id", id),
        ("/exit_code", "3"),
        ("/cause", "exit"),
        ("/certainty", "proven"),
    ];
    told.count("exit", 2, &end);
    // What is PID 1 of the namespace inside is not the container's.
    told.count(
        "init_exit",
        2,
        &[("/container/id", id), ("/exit_code", "0")],
    );
    told.count("ended", 2, &[("/scope/container/id", id)]);
    let of_other = ended.lines.iter().any(|line| line.contains(&ids[1]));
    told.expect(!of_other, || {
        "something of the other container was told".to_owned()
    });
    Ok(told.outcome(&ended))
}
