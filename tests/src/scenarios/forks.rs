//! Forks that the kernel rejects, one scenario for each limit that can be reached
//! without harm to the machine.

use std::fs;

use anyhow::{ensure, Result};

use super::{kept, shared, Scenario, Scene, Set};
use crate::inside::forks::{group, PID_MAX, PID_MAX_FILE, TASKS, USER};
use crate::judge::Judge;
use crate::stage::host::{self, Host};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;

/// Children of the role `full-group` before its group is full.
const DEAD: u64 = TASKS - 1;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("fork-rejected-pids-limit", groups, act_own, own),
        shared("fork-rejected-pids-parent", groups, act_around, around),
        shared("fork-rejected-nproc-limit", kept, act_user, user),
        shared("fork-rejected-pidns-dead", unshared, act_dead, dead),
        shared("fork-rejected-pid-max", in_a_guest, act_pids, pids),
        shared("fork-rejected-no-memory", in_a_guest, act_memory, memory),
    ]
}

fn groups(host: &Host) -> Result<Set> {
    if !host.guest {
        return Ok(Set::Skip(
            "control groups are the whole machine's, so only in a guest".into(),
        ));
    }
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?;
    if !controllers.split_whitespace().any(|name| name == "pids") {
        return Ok(Set::Skip(
            "this kernel's cgroup v2 has no pids controller".into(),
        ));
    }
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+pids")?;
    Scene::kept().map(Set::Ready)
}

/// Plays the role, whose last fork fails with this error. Ends when sigtrace has told of
/// it: the limits that it looks up by itself have to be those of then.
fn try_it(
    scene: &mut Scene,
    sigtrace: &Sigtrace,
    role: &'static str,
    words: &str,
    error: i32,
) -> Result<()> {
    scene.spawn(role, words)?;
    fails(scene, error)?;
    let pid = format!("\"pid\":{}", scene.pid(role));
    sigtrace.wait_for(&["\"fork_rejected\"", &pid])?;
    Ok(())
}

fn fails(scene: &Scene, error: i32) -> Result<()> {
    let said = scene.ns.pid1.hear("failed")?;
    ensure!(
        said == format!("failed {error}"),
        "expected {error}: {said}"
    );
    Ok(())
}

fn in_group(scene: &mut Scene, sigtrace: &Sigtrace, place: &str) -> Result<()> {
    try_it(scene, sigtrace, "full-group", place, libc::EAGAIN)?;
    scene.clear()?;
    let group = group(&scene.pid("full-group").to_string());
    until("the end of the control group", || {
        let inner = group.join("inner");
        let gone = !inner.exists() || fs::remove_dir(&inner).is_ok();
        Ok((gone && fs::remove_dir(&group).is_ok()).then_some(()))
    })
}

fn act_own(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    in_group(scene, sigtrace, "own")
}

fn act_around(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    in_group(scene, sigtrace, "around")
}

fn own(scene: &Scene, judge: &mut Judge<'_>) {
    of_group(scene, judge, "own");
}

fn around(scene: &Scene, judge: &mut Judge<'_>) {
    of_group(scene, judge, "parent");
}

fn of_group(scene: &Scene, judge: &mut Judge<'_>, scope: &str) {
    let pid = scene.pid("full-group");
    judge
        .fork_rejected("the fork", pid, "pids-limit", "EAGAIN")
        .field("/what", "process")
        .field("/limit/name", "pids.max")
        .field("/limit/cgroup", &format!("/full-{pid}"))
        .field("/limit/scope", scope)
        .is("/limit/current", &TASKS.into())
        .is("/limit/max", &TASKS.into())
        .is("/limit/zombies", &DEAD.into())
        .is("/limit/zombies_parent/pid", &pid.into())
        .words(&["pids.max", "has not waited for them"])
        .advises("wait()");
    over(scene, judge, "full-group");
}

fn act_user(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    try_it(scene, sigtrace, "full-user", "", libc::EAGAIN)?;
    scene.clear()
}

fn user(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .fork_rejected("the fork", scene.pid("full-user"), "nproc-limit", "EAGAIN")
        .field("/limit/name", "RLIMIT_NPROC")
        .is("/limit/uid", &USER.into())
        .is("/limit/current", &1.into())
        .is("/limit/max", &1.into())
        .words(&["RLIMIT_NPROC"])
        .advises("ulimit -u");
    over(scene, judge, "full-user");
}

fn in_a_guest(host: &Host) -> Result<Set> {
    if !host.guest {
        return Ok(Set::Skip(
            "the setting is the whole machine's, so only in a guest".into(),
        ));
    }
    Scene::kept().map(Set::Ready)
}

fn act_pids(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let before = fs::read_to_string(PID_MAX_FILE)?;
    let tried = try_it(scene, sigtrace, "full-pids", "", libc::EAGAIN);
    fs::write(PID_MAX_FILE, before.trim())?;
    tried?;
    scene.clear()
}

/// The limit is the PID namespace's own since 6.14, so it is reached by the dead
/// children. Before it is the machine's, which has given those pids to others.
fn pids(scene: &Scene, judge: &mut Judge<'_>) {
    let own = host::is_at_least(&judge.place.kernel, 6, 14);
    let words: &[_] = if own {
        &["no free pid", "has not waited for them"]
    } else {
        &["no free pid"]
    };
    judge
        .fork_rejected("the fork", scene.pid("full-pids"), "pid-max", "EAGAIN")
        .field("/limit/name", "kernel.pid_max")
        .is("/limit/max", &PID_MAX.into())
        .words(words);
    over(scene, judge, "full-pids");
}

fn act_memory(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    try_it(scene, sigtrace, "full-memory", "", libc::ENOMEM)?;
    scene.clear()
}

fn memory(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .fork_rejected("the fork", scene.pid("full-memory"), "no-memory", "ENOMEM")
        .words(&["memory"])
        .advises("overcommit");
    over(scene, judge, "full-memory");
}

/// The namespace is made here, while those of all other scenes are there: its inode
/// shall be none of theirs.
fn unshared(_: &Host) -> Result<Set> {
    let scene = Scene::kept()?;
    scene.ns.pid1.tell("unshare")?;
    scene.ns.pid1.hear("unshared")?;
    Ok(Set::Ready(scene))
}

fn act_dead(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    scene.ns.pid1.tell("outlive")?;
    fails(scene, libc::ENOMEM)?;
    scene.clear()
}

fn dead(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .fork_rejected("the fork", scene.pid1(), "pidns-dead", "ENOMEM")
        .words(&["which its children would be in", "exited with status 0"])
        .advises("start a new container");
    judge.cleared(scene.pid1());
}

fn over(scene: &Scene, judge: &mut Judge<'_>, role: &str) {
    judge.cleared(scene.pid1());
    judge.bystanders(&[role], scene.pid1());
}
