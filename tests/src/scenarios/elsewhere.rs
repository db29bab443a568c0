//! Senders outside of the traced container, named by the cgroup that they are in: a
//! container, a pod, a unit of systemd, a login session. All of them are gone as soon as
//! they have sent, and so is the cgroup of each.

use std::fs;

use anyhow::{bail, Context, Result};
use nix::sys::signal::Signal;
use serde_json::{json, Value};

use super::{takes_turns, Outcome, Scenario, Stage};
use crate::judge::told::Told;
use crate::stage::cgroups::{self, Cgroup, Hierarchy};
use crate::stage::engine::status_field;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::Sigtrace;

/// So often each of them sends.
const ROUNDS: usize = 10;
/// So many parents of a sender are recorded.
const RECORDED: usize = 8;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("senders-elsewhere", unified),
        takes_turns("senders-elsewhere-v1", on_v1),
        takes_turns("senders-refused", refused),
    ]
}

fn id(two: &str) -> String {
    two.repeat(32)
}

fn docker(two: &str) -> String {
    format!("docker-{}.scope", id(two))
}

/// Where senders are, and what has to be told of that.
fn senders() -> Vec<(String, Value)> {
    let uuid = "6d1f5d53-8c0b-4a3e-9f6a-0b1c2d3e4f50";
    let pod = format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
        uuid.replace('-', "_")
    );
    let container = |two: &str, engine: &str| json!({"id": id(two), "engine": engine});
    vec![
        (
            docker("a1"),
            json!({"kind": "container", "container": container("a1", "docker")}),
        ),
        (
            format!("machine.slice/libpod-{}.scope/container", id("b1")),
            json!({"kind": "container", "container": container("b1", "podman")}),
        ),
        (
            format!("{pod}/cri-containerd-{}.scope", id("b2")),
            json!({"kind": "container", "pod": uuid, "container": container("b2", "containerd")}),
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
    let Some(hierarchy) = Hierarchy::unified()? else {
        return Ok(Outcome::Skipped("there is no cgroup v2".to_owned()));
    };
    played(stage, &hierarchy, cgroups::own(true)?)
}

/// The `pids` controller in a hierarchy of its own, as in hybrid set-ups: in that of
/// cgroup v2 everybody stays where they are.
fn on_v1(stage: &Stage<'_>) -> Result<Outcome> {
    let hierarchy = match Hierarchy::pids()? {
        Some(hierarchy) => hierarchy,
        None if stage.host.guest => match Hierarchy::mount_pids()? {
            Ok(hierarchy) => hierarchy,
            Err(error) => {
                let why = "the pids controller of cgroup v1 cannot be mounted";
                return Ok(Outcome::Skipped(format!("{why}: {error}")));
            }
        },
        None => {
            let why = "there is no pids hierarchy of cgroup v1, and mounting it is for guests";
            return Ok(Outcome::Skipped(why.to_owned()));
        }
    };
    played(stage, &hierarchy, cgroups::own(false)?)
}

/// Of a sender that the kernel refuses it is told, too.
fn refused(stage: &Stage<'_>) -> Result<Outcome> {
    let hierarchy = match Hierarchy::unified()? {
        Some(hierarchy) => Some(hierarchy),
        None => Hierarchy::pids()?,
    };
    let Some(hierarchy) = hierarchy else {
        let why = "there is no cgroup v2, and no pids hierarchy of cgroup v1";
        return Ok(Outcome::Skipped(why.to_owned()));
    };
    let container = Cgroup::new(&hierarchy, &docker("c3"))?;
    let ns = Ns::new(&["keeper"])?;
    container.take(ns.pid1.pid)?;
    let to = ns.spawn("sleeper", "")?.inside;
    let ino = ns.ino.to_string();
    let flags = ["--refused", "--pidns", &*ino, "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let by = ns.spawn("tries", &format!("kill 15 {to} nobody"))?;
    ns.pid1.hear("tried")?;
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    container.remove()?;
    let mut told = Told::read(&ended)?;
    let line = [
        ("/sender/pid", &*by.host.to_string()),
        ("/reason", "no-permission"),
        ("/sender/origin/kind", "container"),
        ("/sender/origin/container/id", &*id("c3")),
    ];
    told.count("refused", 1, &line);
    Ok(told.outcome(&ended))
}

/// In one hierarchy; `other` is where all of them are in the other one.
fn played(stage: &Stage<'_>, hierarchy: &Hierarchy, other: Option<String>) -> Result<Outcome> {
    if let Some(path) = other.filter(|path| path != "/") {
        let why = format!("we are in {path} of the other hierarchy, which would be told, too");
        return Ok(Outcome::Skipped(why));
    }
    let target = Cgroup::new(hierarchy, &docker("c3"))?;
    let inner = Cgroup::new(hierarchy, &docker("d4"))?;
    let ns = Ns::new(&["keeper"])?;
    target.take(ns.pid1.pid)?;
    let victims = [0; 3].map(|_| ns.spawn("sleeper", ""));
    let victims = victims.into_iter().collect::<Result<Vec<_>>>()?;
    let nested = ns.spawn("nests", "")?;
    inner.take(nested.host)?;
    let flags = ["--pidns", &*ns.ino.to_string(), "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let mut sent = Vec::new();
    let outside = |signal: &str, to: u32| Program::outside(&["send", signal, &to.to_string()]);
    for _ in 0..ROUNDS {
        for (path, origin) in senders() {
            // PID 1 has no handler: it is dropped, and PID 1 goes on.
            let sender = outside("TERM", ns.pid1.pid)?;
            sent.push((send(hierarchy, &path, &sender)?.pid, origin));
        }
    }
    // From the host's namespace, from the same one, from one around it.
    let sidecar = docker("a1");
    let inside = |to: u32| ns.enter(&["send", "KILL", &to.to_string()]);
    let to = victims[2].host.to_string();
    let killers = [
        outside("KILL", victims[0].host)?,
        inside(victims[1].inside)?,
        inside(pid_around(nested.host)?)?,
        // With more parents than are recorded.
        Program::outside(&["deep", "9", "send", "KILL", &to])?,
    ];
    let killers: Vec<Sent> = (killers.iter())
        .map(|killer| send(hierarchy, &sidecar, killer))
        .collect::<Result<_>>()?;
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    inner.remove()?;
    target.remove()?;
    let mut told = Told::read(&ended)?;
    for (pid, origin) in sent {
        judge_signal(&mut told, pid, "SIGTERM", &origin, "c3");
    }
    let killed = [
        (victims[0], "c3"),
        (victims[1], "c3"),
        (nested, "d4"),
        (victims[2], "c3"),
    ];
    for (killer, (victim, into)) in killers.iter().zip(killed) {
        judge_signal(&mut told, killer.pid, "SIGKILL", &senders()[0].1, into);
        judge_chain(&mut told, victim.host, into, killer);
    }
    Ok(told.outcome(&ended))
}

/// Who has sent a signal, and the end of a chain that he is in.
struct Sent {
    pid: u32,
    behind: String,
}

/// Somebody in that cgroup sends a signal, and is gone with the cgroup.
fn send(hierarchy: &Hierarchy, path: &str, sender: &Program) -> Result<Sent> {
    let pid = sender.meet("send")?.host;
    let sent = Sent {
        pid,
        behind: lineage(parent(pid)?)?,
    };
    let made = Cgroup::new(hierarchy, path)?;
    made.take(pid)?;
    sender.tell("go")?;
    if !sender.wait()?.success() {
        bail!("{path}: nobody got its signal");
    }
    made.remove()?;
    Ok(sent)
}

/// Its one signal names where it came from, and where the target is.
fn judge_signal(told: &mut Told, pid: u32, name: &str, origin: &Value, into: &str) {
    let of_it = |line: &Value| line["sender"]["pid"] == pid && line["signal"]["name"] == name;
    let all = told.of("signal");
    let found: Vec<&Value> = all.iter().filter(|line| of_it(line)).collect();
    let [line] = found[..] else {
        return told.expect(false, || format!("{} signals of {pid}", found.len()));
    };
    let from = &line["sender"]["origin"];
    told.expect(from == origin, || {
        format!("{pid}: from {from}, not {origin}")
    });
    let to = &line["target"]["origin"]["container"]["id"];
    told.expect(*to == id(into), || format!("{pid}: to {to}"));
}

/// The chain names both containers, and ends where nobody is behind.
fn judge_chain(told: &mut Told, victim: u32, into: &str, killer: &Sent) {
    let (mut ends, inits) = (told.of("exit"), told.of("init_exit"));
    ends.extend(inits);
    let end = ends.iter().find(|end| end["task"]["pid"] == victim);
    let links = end.and_then(|end| end["chain"].as_array()).cloned();
    let links: Vec<String> = (links.iter().flatten())
        .filter_map(|link| Some(link["what"].as_str()?.to_owned()))
        .collect();
    let chain = links.join(" ← ");
    let wanted = format!(
        "SIGKILL into container {} ← send {} (in container {}){}",
        &id(into)[..12],
        killer.pid,
        &id("a1")[..12],
        killer.behind
    );
    told.expect(chain == wanted, || {
        format!("the chain of {victim} is {chain:?}, not {wanted:?}")
    });
}

/// This process, and whoever is behind it up to the root.
fn lineage(mut pid: u32) -> Result<String> {
    let mut text = String::new();
    for _ in 0..RECORDED {
        if pid <= 2 {
            return Ok(text);
        }
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).context("a name")?;
        text.push_str(&format!(" ← {} {pid}", comm.trim_end()));
        pid = parent(pid)?;
    }
    if pid > 2 {
        text.push_str(" ← … (cut here: more parents than are recorded)");
    }
    Ok(text)
}

fn parent(pid: u32) -> Result<u32> {
    status_field(pid, "PPid:")?.parse().context("a pid")
}

/// The pid of somebody in the namespace around their own, which the play has made.
fn pid_around(pid: u32) -> Result<u32> {
    let all = status_field(pid, "NSpid:")?;
    let pid = all.split_whitespace().nth(1).context("a nested pid")?;
    pid.parse().context("a pid")
}
