//! Senders outside of the traced namespace, named by the cgroup that they are in: a
//! container, a pod, a unit of systemd, a login session. All of them are gone as soon as
//! they have sent, and so is the cgroup of each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use nix::mount::{self, MntFlags, MsFlags};
use nix::sys::signal::Signal;
use serde_json::{json, Value};

use super::{own, play, Outcome, Scenario, Stage};
use crate::judge::told::Told;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;

/// So often each of them sends.
const ROUNDS: usize = 10;
const V1: &str = "/run/sigtrace-pids";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        own("senders-elsewhere", unified),
        own("senders-elsewhere-v1", on_v1),
    ]
}

/// A cgroup, with the folders around it that had to be made.
struct Made {
    folders: Vec<PathBuf>,
}

impl Made {
    fn new(root: &Path, path: &str) -> Result<Self> {
        let mut made = Self {
            folders: Vec::new(),
        };
        let mut folder = root.to_owned();
        for name in path.split('/') {
            folder.push(name);
            if !folder.exists() {
                fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
                made.folders.push(folder.clone());
            }
        }
        Ok(made)
    }

    fn take(&self, pid: u32) -> Result<()> {
        let folder = self.folders.last().context("it was there already")?;
        fs::write(folder.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("moving {pid} to {}", folder.display()))
    }

    /// Removes it, which those in it have left, or are about to.
    fn remove(&mut self) -> Result<()> {
        while let Some(folder) = self.folders.pop() {
            until(&format!("the end of {}", folder.display()), || {
                Ok(fs::remove_dir(&folder).ok())
            })?;
        }
        Ok(())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // On the way out after an error; that error is the one to be told.
        while let Some(folder) = self.folders.pop() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn id(two: &str) -> String {
    two.repeat(32)
}

/// Where senders are, and what has to be told of that.
fn senders() -> Vec<(String, Value)> {
    let uuid = "6d1f5d53-8c0b-4a3e-9f6a-0b1c2d3e4f50";
    let pod = format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
        uuid.replace('-', "_")
    );
    vec![
        (
            format!("docker-{}.scope", id("a1")),
            json!({"kind": "container", "container": {"id": id("a1"), "engine": "docker"}}),
        ),
        (
            format!("{pod}/cri-containerd-{}.scope", id("b2")),
            json!({"kind": "container", "pod": uuid,
                "container": {"id": id("b2"), "engine": "containerd"}}),
        ),
        (
            format!("kubepods/besteffort/pod{uuid}"),
            json!({"kind": "pod", "pod": uuid}),
        ),
        (
            "user.slice/user-1000.slice/session-3.scope".to_owned(),
            json!({"kind": "session", "unit": "session-3.scope", "session": "3", "uid": 1000}),
        ),
        (
            "system.slice/sigtrace-test.service".to_owned(),
            json!({"kind": "unit", "unit": "sigtrace-test.service"}),
        ),
        (
            r"user.slice/user-7.slice/user@7.service/app.slice/run-a\x2db.service".to_owned(),
            json!({"kind": "unit", "unit": r"run-a\x2db.service", "uid": 7}),
        ),
        ("sigtrace-nothing".to_owned(), Value::Null),
    ]
}

fn unified(stage: &Stage<'_>) -> Result<Outcome> {
    let root = Path::new("/sys/fs/cgroup");
    if !stage.host.guest {
        return Ok(Outcome::Skipped("it makes cgroups at the root".to_owned()));
    }
    if !root.join("cgroup.controllers").exists() {
        return Ok(Outcome::Skipped("there is no cgroup v2".to_owned()));
    }
    played(stage, root)
}

/// The `pids` controller in a hierarchy of its own, as in hybrid set-ups: in that of
/// cgroup v2 everybody is at the root.
fn on_v1(stage: &Stage<'_>) -> Result<Outcome> {
    if !stage.host.guest {
        return Ok(Outcome::Skipped("it mounts a hierarchy".to_owned()));
    }
    fs::create_dir_all(V1).context("a place for it")?;
    let mounted = mount::mount(
        Some("cgroup"),
        V1,
        Some("cgroup"),
        MsFlags::empty(),
        Some("pids"),
    );
    if let Err(error) = mounted {
        return Ok(Outcome::Skipped(format!(
            "the pids controller of cgroup v1 cannot be mounted: {error}"
        )));
    }
    let outcome = played(stage, Path::new(V1));
    until("the end of that hierarchy", || {
        Ok(mount::umount2(V1, MntFlags::empty()).ok())
    })?;
    outcome
}

fn played(stage: &Stage<'_>, root: &Path) -> Result<Outcome> {
    let target = format!("docker-{}.scope", id("c3"));
    let mut target = Made::new(root, &target)?;
    let ns = Ns::new(&["keeper"])?;
    target.take(ns.pid1.pid)?;
    let victim = ns.spawn("sleeper", "")?;
    let flags = ["--pidns", &*ns.ino.to_string(), "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let mut sent = Vec::new();
    for _ in 0..ROUNDS {
        for (path, origin) in senders() {
            // PID 1 has no handler: it is dropped, and PID 1 goes on.
            sent.push((send(root, &path, "SIGTERM", ns.pid1.pid)?, origin));
        }
    }
    let neighbour = format!("docker-{}.scope", id("a1"));
    let killer = send(root, &neighbour, "SIGKILL", victim.host)?;
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    target.remove()?;
    let mut told = Told::read(&ended)?;
    for (pid, origin) in sent {
        judge_signal(&mut told, pid, "SIGTERM", &origin);
    }
    judge_signal(&mut told, killer, "SIGKILL", &senders()[0].1);
    judge_chain(&mut told, victim.host, killer);
    Ok(told.outcome(&ended))
}

/// Somebody in that cgroup sends a signal, and is gone with the cgroup.
fn send(root: &Path, path: &str, signal: &str, to: u32) -> Result<u32> {
    let sender = Program::outside(&["send", signal, &to.to_string()])?;
    sender.hear("send")?;
    let mut made = Made::new(root, path)?;
    made.take(sender.pid)?;
    sender.tell("go")?;
    if !sender.wait()?.success() {
        bail!("{path}: nobody got its {signal}");
    }
    made.remove()?;
    Ok(sender.pid)
}

/// Its one signal names where it came from, and where the target is.
fn judge_signal(told: &mut Told, pid: u32, name: &str, origin: &Value) {
    let of_it = |line: &Value| line["sender"]["pid"] == pid && line["signal"]["name"] == name;
    let all = told.of("signal");
    let found: Vec<&Value> = all.iter().filter(|line| of_it(line)).collect();
    let [line] = found[..] else {
        return told.expect(false, || format!("{} signals of {pid}", found.len()));
    };
    let from = &line["sender"]["origin"];
    told.expect(from == origin, || format!("{pid}: from {from}, not {origin}"));
    let to = &line["target"]["origin"]["container"]["id"];
    told.expect(*to == id("c3"), || format!("{pid}: to {to}"));
}

/// The chain names both containers, and ends with those behind the sender.
fn judge_chain(told: &mut Told, victim: u32, killer: u32) {
    let ends = told.of("exit");
    let end = ends.iter().find(|end| end["task"]["pid"] == victim);
    let links = end.and_then(|end| end["chain"].as_array()).cloned();
    let links: Vec<String> = (links.iter().flatten())
        .filter_map(|link| Some(link["what"].as_str()?.to_owned()))
        .collect();
    let chain = links.join(" ← ");
    let begins = format!(
        "SIGKILL into container {} ← send {killer} (in container {}) ← sigtrace-play {}",
        &id("c3")[..12],
        &id("a1")[..12],
        play()
    );
    told.expect(chain.starts_with(&begins), || {
        format!("the chain {chain:?}, not {begins:?}")
    });
}
