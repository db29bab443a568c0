//! Containers without a PID namespace of their own, without an engine: cgroups
//! whose names have ids, and processes that the play puts into them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{takes_turns, Outcome, Scenario, Stage};
use crate::judge::told::Told;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("shares-with-host", with_host),
        takes_turns("shares-with-another", with_another),
    ]
}

/// A cgroup as an engine would make it.
struct Made {
    folder: PathBuf,
    id: String,
}

impl Made {
    /// In the first hierarchy that sigtrace can tell processes by; `None`: there is
    /// none.
    fn new(two: &str) -> Result<Option<Self>> {
        let id = two.repeat(32);
        let roots = [
            ("/sys/fs/cgroup", "cgroup.controllers"),
            ("/sys/fs/cgroup/pids", "tasks"),
        ];
        let root = roots
            .iter()
            .find(|(root, file)| Path::new(root).join(file).exists());
        let Some((root, _)) = root else {
            return Ok(None);
        };
        let folder = PathBuf::from(format!("{root}/docker-{id}.scope"));
        fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Some(Self { folder, id }))
    }

    /// Puts a process into it, or into one below.
    fn take(&self, pid: u32, below: &str) -> Result<()> {
        let folder = self.folder.join(below);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("moving {pid} to {}", folder.display()))
    }

    fn short(&self) -> &str {
        &self.id[..12]
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Those in it are dead, and gone a moment later; the machine is only ours.
        let gone = until("the end of a cgroup", || {
            let _ = fs::remove_dir(self.folder.join("below"));
            let gone = fs::remove_dir(&self.folder).is_ok() || !self.folder.exists();
            Ok(gone.then_some(()))
        });
        drop(gone);
    }
}

/// Why it cannot be played here.
fn no_stage(stage: &Stage<'_>) -> Option<Outcome> {
    (!stage.host.guest).then(|| {
        Outcome::Skipped("it traces by cgroup, in PID namespaces that are others'".to_owned())
    })
}

fn no_cgroups() -> Outcome {
    Outcome::Skipped("there is no cgroup v2, and no pids hierarchy of cgroup v1".to_owned())
}

fn scope<'a>(told: &'a Told, at: &str) -> &'a Value {
    told.lines[0].pointer(at).unwrap_or(&Value::Null)
}

fn judge_scope(told: &mut Told, fields: &[(&str, &str)]) {
    for (at, wanted) in fields {
        let found = scope(told, &format!("/scopes/0{at}")).clone();
        told.expect(found == **wanted, || format!("{at}: {found}, not {wanted}"));
    }
}

/// In the host's namespace, with a namespace inside that it made itself: the first
/// process is no PID 1, and whoever is left when it has ended lives on.
fn with_host(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(outcome) = no_stage(stage) {
        return Ok(outcome);
    }
    let Some(made) = Made::new("c3")? else {
        return Ok(no_cgroups());
    };
    let first = Program::outside(&["keeper"])?;
    first.hear("ready")?;
    made.take(first.pid, "")?;
    first.tell("spawn sleeper")?;
    let left = first.meet("sleeper")?;
    first.tell("spawn nests")?;
    let inner = first.meet("nests")?;
    made.take(inner.host, "below")?;
    let flags = ["--container", made.short(), "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    ns::kill(first.pid, Signal::SIGTERM)?;
    sigtrace.wait_for(&[r#""event":"exit""#, &format!(r#""pid":{},"#, first.pid)])?;
    for person in [left, inner] {
        ns::kill(person.host, Signal::SIGKILL)?;
    }
    let ended = sigtrace.ended()?.well()?;
    let mut told = Told::read(&ended)?;
    judge_scope(
        &mut told,
        &[
            ("/container/id", &made.id),
            ("/shares/with", "host"),
            ("/shares/first", "keeper"),
        ],
    );
    let id = made.id.as_str();
    for (pid, signal, cause) in [
        (first.pid, "SIGTERM", "killed-by-process"),
        (left.host, "SIGKILL", "killed-by-process"),
    ] {
        let end = [
            ("/task/pid", &*pid.to_string()),
            ("/container/id", id),
            ("/signal", signal),
            ("/cause", cause),
            ("/certainty", "proven"),
        ];
        told.count("exit", 1, &end);
    }
    // The PID 1 of the namespace inside.
    let end = [
        ("/task/pid", &*inner.host.to_string()),
        ("/container/id", id),
        ("/cause", "killed-by-process"),
    ];
    told.count("init_exit", 1, &end);
    // With its parent, in the namespace around it.
    told.count("exit", 3, &[("/container/id", id)]);
    told.count("exit", 3, &[]);
    told.count("init_exit", 1, &[]);
    judge_summary(&mut told, 4);
    Ok(told.outcome(&ended))
}

/// In another's namespace: the end of that one's PID 1 is the end of this one.
fn with_another(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(outcome) = no_stage(stage) {
        return Ok(outcome);
    }
    let (Some(owner), Some(made)) = (Made::new("d4")?, Made::new("e5")?) else {
        return Ok(no_cgroups());
    };
    let ns = Ns::new(&["c-init-sig"])?;
    owner.take(ns.pid1.pid, "")?;
    let first = ns.enter(&["keeper"])?;
    first.hear("ready")?;
    made.take(first.pid, "below")?;
    first.tell("spawn sleeper")?;
    let left = first.meet("sleeper")?;
    let flags = ["--container", made.short(), "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    let ended = sigtrace.ended()?.well()?;
    let mut told = Told::read(&ended)?;
    judge_scope(
        &mut told,
        &[
            ("/container/id", &made.id),
            ("/shares/with", "container"),
            ("/shares/container", owner.short()),
            ("/shares/first", "keeper"),
            ("/pid1", "c-init-sig"),
        ],
    );
    told.count(
        "signal",
        1,
        &[
            ("/target/pid", &*ns.pid1.pid.to_string()),
            ("/signal/name", "SIGTERM"),
            ("/fate", "handled"),
        ],
    );
    for pid in [first.pid, left.host] {
        let end = [
            ("/task/pid", &*pid.to_string()),
            ("/container/id", &*made.id),
            ("/cause", "pid1-exited"),
            ("/certainty", "proven"),
        ];
        told.count("exit", 1, &end);
    }
    let belongs = format!("belongs to the container {},", owner.short());
    let of_owner = |exit: &Value| {
        exit["explanation"]
            .as_str()
            .is_some_and(|e| e.contains(&belongs))
    };
    let all = told.of("exit").iter().all(of_owner);
    told.expect(all, || format!("not every death says that PID 1 {belongs}"));
    told.count(
        "init_exit",
        1,
        &[
            ("/task/pid", &*ns.pid1.pid.to_string()),
            ("/exit_code", "0"),
        ],
    );
    told.count("exit", 2, &[]);
    judge_summary(&mut told, 2);
    Ok(told.outcome(&ended))
}

/// So many of its processes were killed, and nobody else is counted.
fn judge_summary(told: &mut Told, exited: u64) {
    let last = told.lines.last().cloned().unwrap_or_default();
    let is = last["ended"] == true
        && last["verdict"] == "unclean"
        && last["partial"] == false
        && last["processes_exited"] == exited;
    told.expect(is, || format!("the summary: {last}"));
}
