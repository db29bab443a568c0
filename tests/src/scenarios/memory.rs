//! Deaths for lack of memory: whose limit it was, who was chosen, and who died with
//! it. In a guest only: elsewhere the tree of control groups is the machine's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::kernel_kills::ended;
use super::signals::wait_until_dead;
use super::{play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;
use crate::stage::{ns, until};

/// Less than `eats` asks for, more than it is itself.
const MEMORY: u64 = 16 << 20;
/// More than that, and less than it asks for.
const MORE: u64 = 48 << 20;
const CHAIN: [&str; 2] = ["SIGKILL by the kernel", "memory limit of 16.0 MiB of"];

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("oom-memcg", set, act_own, own),
        shared("oom-parent", set, act_parent, parent),
        shared("oom-group", set, act_group, group),
        shared("oom-shared-mm", set, act_shared, shared_memory),
    ]
}

fn set(host: &Host) -> Result<Set> {
    match cannot_limit(host)? {
        Some(why) => Ok(Set::Skip(why)),
        None => Scene::kept().map(Set::Ready),
    }
}

/// Why memory cannot be limited here, if it cannot.
pub(super) fn cannot_limit(host: &Host) -> Result<Option<String>> {
    if !host.guest {
        return Ok(Some(
            "control groups are the whole machine's, so only in a guest".into(),
        ));
    }
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?;
    if !controllers.split_whitespace().any(|name| name == "memory") {
        return Ok(Some(
            "this kernel's cgroup v2 has no memory controller".into(),
        ));
    }
    delegate(Path::new("/sys/fs/cgroup"))?;
    Ok(None)
}

/// Groups below this one may have limits of their own.
fn delegate(group: &Path) -> Result<()> {
    fs::write(group.join("cgroup.subtree_control"), "+memory")
        .context("enabling the memory controller")
}

/// A control group with this limit; its path as the kernel names it.
pub(super) fn limited(name: &str, limit: u64) -> Result<PathBuf> {
    let folder = Path::new("/sys/fs/cgroup").join(name);
    fs::create_dir(&folder).with_context(|| format!("a control group {name}"))?;
    fs::write(folder.join("memory.max"), limit.to_string())?;
    // Absent where swap is not accounted.
    fs::write(folder.join("memory.swap.max"), "0").ok();
    Ok(folder)
}

fn enter(group: &Path, pid: u32) -> Result<()> {
    fs::write(group.join("cgroup.procs"), pid.to_string()).context("entering a control group")
}

/// Lets it eat, and waits for its end and that of these others.
fn feed(scene: &mut Scene, pid: u32, others: &[u32], groups: &[&Path]) -> Result<()> {
    ns::kill(pid, Signal::SIGUSR1)?;
    wait_until_dead(pid)?;
    for &other in others {
        wait_until_dead(other)?;
    }
    scene.clear()?;
    groups.iter().try_for_each(|group| remove(group))
}

/// Removes a control group once its processes are gone.
pub(super) fn remove(group: &Path) -> Result<()> {
    until("the end of the control group", || {
        Ok(fs::remove_dir(group).ok())
    })
}

fn act_own(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("eats", "")?.host;
    let group = limited(&format!("eats-{pid}"), MEMORY)?;
    enter(&group, pid)?;
    feed(scene, pid, &[], &[&group])
}

fn own(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = fed(scene, judge, "eats");
    let path = format!("/eats-{pid}");
    let root = format!("memory limit of 16.0 MiB of control group {path}");
    let chain = ["SIGKILL by the kernel", &root];
    judge
        .last_death("whose limit it was", pid)
        .field("/oom/scope", "own")
        .field("/oom/cgroup", &path)
        .is("/oom/limit_bytes", &MEMORY.into())
        .is("/oom/trigger/pid", &pid.into())
        .absent("/oom/chosen")
        .words(&["PID 1 of its namespace was still alive"]);
    dies(scene, judge, "eats", "oom-memcg", &chain);
    judge.cleared(scene.pid1());
}

fn act_parent(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("eats", "")?.host;
    let around = limited(&format!("around-{pid}"), MEMORY)?;
    delegate(&around)?;
    let inner = limited(&format!("around-{pid}/inner"), MORE)?;
    enter(&inner, pid)?;
    feed(scene, pid, &[], &[&inner, &around])
}

fn parent(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = fed(scene, judge, "eats");
    let path = format!("/around-{pid}");
    judge
        .last_death("whose limit it was", pid)
        .field("/oom/scope", "parent")
        .field("/oom/cgroup", &path)
        .is("/oom/limit_bytes", &MEMORY.into())
        .words(&[&format!("which its own ({path}/inner) is part of")]);
    let root = format!("memory limit of 16.0 MiB of control group {path}");
    let chain = ["SIGKILL by the kernel", &root];
    dies(scene, judge, "eats", "oom-memcg", &chain);
    judge.cleared(scene.pid1());
}

fn act_group(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("eats", "")?.host;
    let other = scene.spawn("sleeper", "")?.host;
    let group = limited(&format!("group-{pid}"), MEMORY)?;
    fs::write(group.join("memory.oom.group"), "1")?;
    enter(&group, pid)?;
    enter(&group, other)?;
    feed(scene, pid, &[other], &[&group])
}

fn group(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = fed(scene, judge, "eats");
    dies(scene, judge, "eats", "oom-memcg", &CHAIN);
    judge
        .last_death("who was chosen", scene.pid("sleeper"))
        .is("/oom/chosen/pid", &pid.into())
        .field("/oom/scope", "own");
    dies(scene, judge, "sleeper", "oom-group", &CHAIN);
    judge.cleared(scene.pid1());
}

fn act_shared(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("eats-shared", "")?.host;
    let other = scene.ns.pid1.meet("shares")?;
    scene.remember("shares", other);
    let group = limited(&format!("shared-{pid}"), MEMORY)?;
    enter(&group, pid)?;
    enter(&group, other.host)?;
    feed(scene, pid, &[other.host], &[&group])
}

/// Both are as large, so the kernel may choose either.
fn shared_memory(scene: &Scene, judge: &mut Judge<'_>) {
    fed(scene, judge, "eats-shared");
    let both = ["eats-shared", "shares"];
    let is_chosen = |who: &&&str| {
        let death = judge.last(scene.pid(who));
        death.is_some_and(|death| death.text("/cause") == "oom-memcg")
    };
    let Some(chosen) = both.iter().find(is_chosen) else {
        return judge.fault("nobody was chosen by the OOM killer");
    };
    let chosen_pid = scene.pid(chosen);
    for who in both {
        if who == *chosen {
            dies(scene, judge, who, "oom-memcg", &CHAIN);
        } else {
            judge
                .last_death("who was chosen", scene.pid(who))
                .is("/oom/chosen/pid", &chosen_pid.into());
            dies(scene, judge, who, "oom-shared-mm", &CHAIN);
        }
    }
    judge.cleared(scene.pid1());
}

/// The death of one of them.
fn dies(scene: &Scene, judge: &mut Judge<'_>, who: &str, cause: &str, chain: &[&str]) {
    let asked = ["eats", "eats-shared"].map(|role| scene.pid(role));
    let asked = asked.into_iter().find(|&pid| pid != 0).unwrap_or(0);
    // Of others than who asked for memory, on nobody's behalf.
    let from = if scene.pid(who) == asked {
        From::KernelFor(asked)
    } else {
        From::Nobody("kernel")
    };
    ended(scene, judge, who, Signal::SIGKILL, from, cause, chain);
}

/// It got the word to eat; its pid.
fn fed(scene: &Scene, judge: &mut Judge<'_>, who: &str) -> u32 {
    let pid = scene.pid(who);
    judge
        .signal(
            "SIGUSR1",
            Signal::SIGUSR1 as i32,
            From::Process(play()),
            pid,
        )
        .fate("handled", None);
    pid
}
