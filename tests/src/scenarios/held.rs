//! Signals that the target does not come to: it is frozen, or sleeps where none
//! wakes it. Also a SIGKILL that does not kill until that is over.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{self, MntFlags, MsFlags};
use nix::sys::signal::Signal;

use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;
use crate::stage::{ns, until};

const USR1: i32 = Signal::SIGUSR1 as i32;
const GROUPS: &str = "/sys/fs/cgroup";
/// Where the freezer of cgroup v1 is where there is one.
const FREEZER: &str = "/sys/fs/cgroup/freezer";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("uninterruptible", kept, act_asleep, asleep),
        shared("frozen", set_frozen, act_frozen, frozen),
        shared("frozen-kill", set_freezer, act_frozen_kill, frozen_kill),
    ]
}

/// It waits for its child in vfork(2).
fn act_asleep(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("vforks", "")?.host;
    let children = format!("/proc/{pid}/task/{pid}/children");
    let child: u32 = until("a child of vfork", || {
        let children = fs::read_to_string(&children)?;
        Ok(children.trim().parse().ok())
    })?;
    until("its parent's sleep", || {
        Ok((ns::state(pid)? == Some('D')).then_some(()))
    })?;
    // Before 5.16 the kernel does not find that function (get_wchan); since 6.12
    // not until the sleeper has left the run queue, which can be a little later.
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let asleep = if release.starts_with("5.10.") {
        "sleeps in the kernel, where no signal wakes it"
    } else {
        // Which one is the kernel's own affair, and on a busy machine another one
        // for a moment, where the program's pages are read.
        until("where it sleeps", || {
            let function = fs::read_to_string(format!("/proc/{pid}/wchan"))?;
            Ok((function != "0").then_some(()))
        })?;
        "called vfork(2) and sleeps (in "
    };
    scene.remember_outsider("child", child);
    ns::kill(pid, Signal::SIGUSR1)?;
    // Where its place is not known, it is said that it may be this.
    sigtrace.wait_for(&[
        asleep,
        "vfork(2)",
        "Only a signal that ends it at once wakes it",
        r#""certainty":"proven""#,
    ])?;
    ns::kill(child, Signal::SIGKILL)?;
    scene.ns.pid1.hear("rang")?;
    scene.clear()
}

fn asleep(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, child) = (scene.pid("vforks"), scene.pid("child"));
    let from = From::Process(play());
    judge
        .signal("SIGUSR1", USR1, from, pid)
        .fate_meanwhile("pending", "uninterruptible")
        .fate("handled", None);
    judge
        .signal("SIGKILL to the child", libc::SIGKILL, from, child)
        .fate("fatal", None);
    judge
        .death("the child", child)
        .cause("killed-by-process", "kill-syscall", 137);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

fn set_frozen(host: &Host) -> Result<Set> {
    if !host.guest {
        return Ok(Set::Skip(
            "control groups are the whole machine's, so only in a guest".into(),
        ));
    }
    Scene::kept().map(Set::Ready)
}

/// Waits until a file says so.
fn says(file: &Path, word: &str) -> Result<()> {
    until(&format!("{word} in {}", file.display()), || {
        Ok(fs::read_to_string(file)?.contains(word).then_some(()))
    })
}

fn act_frozen(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("handles", "USR1")?.host;
    let outer = Path::new(GROUPS).join(format!("frozen-{pid}"));
    let group = outer.join("inner");
    fs::create_dir_all(&group)?;
    fs::write(group.join("cgroup.procs"), pid.to_string())?;
    fs::write(outer.join("cgroup.freeze"), "1")?;
    says(&group.join("cgroup.events"), "frozen 1")?;
    ns::kill(pid, Signal::SIGUSR1)?;
    let by = format!("frozen by the control group /frozen-{pid}.");
    sigtrace.wait_for(&[&by, r#""reason":"frozen""#])?;
    fs::write(outer.join("cgroup.freeze"), "0")?;
    scene.ns.pid1.hear("rang-10")?;
    scene.clear()?;
    remove(&[&group, &outer])
}

pub(super) fn remove(groups: &[&PathBuf]) -> Result<()> {
    for group in groups {
        until("the end of the control group", || {
            Ok(fs::remove_dir(group).ok())
        })?;
    }
    Ok(())
}

fn frozen(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("handles");
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), pid)
        .fate_meanwhile("pending", "frozen")
        .fate("handled", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}

/// With the freezer of cgroup v1, which keeps even SIGKILL from acting.
fn set_freezer(host: &Host) -> Result<Set> {
    if !host.guest {
        return set_frozen(host);
    }
    let known = fs::read_to_string("/proc/cgroups")?;
    if !known.lines().any(|line| line.starts_with("freezer\t")) {
        return Ok(Set::Skip("this kernel has no freezer of cgroup v1".into()));
    }
    set_frozen(host)
}

fn act_frozen_kill(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("sleeper", "")?.host;
    fs::create_dir(FREEZER).context("a place for the freezer")?;
    mount::mount(
        Some("none"),
        FREEZER,
        Some("cgroup"),
        MsFlags::empty(),
        Some("freezer"),
    )
    .context("mounting the freezer of cgroup v1")?;
    let group = Path::new(FREEZER).join("cold");
    fs::create_dir(&group)?;
    fs::write(group.join("cgroup.procs"), pid.to_string())?;
    let state = group.join("freezer.state");
    fs::write(&state, "FROZEN")?;
    says(&state, "FROZEN")?;
    ns::kill(pid, Signal::SIGKILL)?;
    sigtrace.wait_for(&["the process is still there", r#""reason":"frozen""#])?;
    fs::write(&state, "THAWED")?;
    wait_until_dead(pid)?;
    scene.clear()?;
    remove(&[&group])?;
    // The hierarchy stays busy for a moment after its last group is gone.
    until("the end of the freezer", || {
        Ok(mount::umount2(FREEZER, MntFlags::empty()).ok())
    })?;
    remove(&[&PathBuf::from(FREEZER)])
}

fn frozen_kill(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("sleeper");
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(play()), pid)
        .fate("fatal", None)
        .is("/settled", &true.into())
        .words(&["The process ended ", "s after SIGKILL."]);
    judge
        .death("the target", pid)
        .cause("killed-by-process", "kill-syscall", 137);
    judge.cleared(scene.pid1());
}
