//! Deaths by signals that the kernel sends more rarely, one scenario per cause.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::held::remove;
use super::kernel_kills::{by, ends, follows, own_doing};
use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("rt-limit", kept, |s, _| ends(s, "hogs"), rt_limit),
        shared(
            "async-io",
            kept,
            |s, _| follows(s, "is-told", "tells"),
            async_io,
        ),
        shared("async-io-directory", kept, act_watch, watched),
        shared("lease", kept, |s, _| ends_with_file(s, "leases"), lease),
        shared("mqueue", kept, |s, _| ends(s, "is-notified"), mqueue),
        shared(
            "child-exit-signal",
            kept,
            |s, _| follows(s, "clones", "cloned"),
            child_exit_signal,
        ),
        shared(
            "exec-failed",
            kept,
            |s, _| ends_with_file(s, "execs-nothing"),
            exec_failed,
        ),
        shared("bad-signal-frame", kept, |s, _| ends(s, "no-stack"), frame),
        shared("orphaned-pgrp", kept, act_orphans, orphaned),
        shared("cgroup-kill", in_guest, act_cgroup, cgroup),
        shared("pidns-reboot", in_guest, act_reboot, reboot),
        shared("sysrq-oom", in_guest, act_sysrq, sysrq),
        shared("hwpoison", in_guest, act_damage, damaged),
    ]
}

/// What changes the whole machine is done to a guest alone.
pub(super) fn in_guest(host: &Host) -> Result<Set> {
    if host.guest {
        kept(host)
    } else {
        Ok(Set::Skip(
            "it takes the whole machine, so only in a guest".into(),
        ))
    }
}

/// The role has a file, which it cannot remove itself.
fn ends_with_file(scene: &mut Scene, role: &'static str) -> Result<()> {
    ends(scene, role)?;
    let file = env::temp_dir().join(format!("{role}-{}", scene.pid(role)));
    fs::remove_file(&file).with_context(|| file.display().to_string())
}

fn rt_limit(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGXCPU by the kernel", "limit of real-time"];
    own_doing(scene, judge, "hogs", Signal::SIGXCPU, "rt-limit", &chain);
}

fn async_io(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGIO by the kernel", "asynchronous I/O, by tells"];
    let from = From::KernelFor(scene.pid("tells"));
    by(
        scene,
        judge,
        "is-told",
        Signal::SIGIO,
        from,
        "async-io",
        &chain,
    );
    judge.zapped("who wrote", scene.pid("tells"), scene.pid1());
}

fn act_watch(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("watches", "")?.host;
    let child = scene.ns.pid1.meet("creates")?;
    scene.remember("creates", child);
    wait_until_dead(pid)?;
    let file = scene.pid("watches");
    let directory = env::temp_dir().join(format!("watches-{file}"));
    crate::stage::until("the end of a file", || {
        Ok((!directory.join("file").exists()).then_some(()))
    })?;
    fs::remove_dir(&directory).with_context(|| directory.display().to_string())?;
    scene.clear()
}

fn watched(scene: &Scene, judge: &mut Judge<'_>) {
    let child = scene.pid("creates");
    let root = format!("a change in a directory that it watches (F_NOTIFY), by creates {child}");
    let chain = ["SIGIO by the kernel", &root];
    let (who, from) = ("watches", From::KernelFor(child));
    by(scene, judge, who, Signal::SIGIO, from, "async-io", &chain);
    judge.zapped("who made a file", child, scene.pid1());
}

fn lease(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGIO by the kernel", "a lease on a file was broken"];
    let from = From::KernelFor(scene.pid("leases"));
    by(scene, judge, "leases", Signal::SIGIO, from, "lease", &chain);
}

fn mqueue(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGUSR1 by the kernel", "a message queue"];
    let from = From::KernelFor(scene.pid("is-notified"));
    by(
        scene,
        judge,
        "is-notified",
        Signal::SIGUSR1,
        from,
        "mqueue",
        &chain,
    );
}

fn child_exit_signal(scene: &Scene, judge: &mut Judge<'_>) {
    let child = scene.pid("cloned");
    let chain = ["SIGUSR1 by the kernel", "end of its child cloned"];
    judge.death("the child", child).cause("exit", "exit", 0);
    let from = From::KernelFor(child);
    let cause = "child-exit-signal";
    by(scene, judge, "clones", Signal::SIGUSR1, from, cause, &chain);
}

fn exec_failed(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGSEGV by the kernel", "execve(2) failed"];
    let who = "execs-nothing";
    own_doing(scene, judge, who, Signal::SIGSEGV, "exec-failed", &chain);
}

fn frame(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("no-stack");
    judge
        .signal("SIGUSR1", libc::SIGUSR1, From::Process(pid), pid)
        .fate("discarded", None)
        .words(&["its handler did not run"]);
    let chain = ["SIGSEGV by the kernel", "the stack has no room"];
    let cause = "bad-signal-frame";
    own_doing(scene, judge, "no-stack", Signal::SIGSEGV, cause, &chain);
}

fn act_orphans(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let parent = scene.spawn("orphans", "")?;
    let child = scene.ns.pid1.meet("orphan")?;
    scene.remember("orphan", child);
    wait_until_dead(parent.host)?;
    wait_until_dead(child.host)?;
    scene.clear()
}

fn orphaned(scene: &Scene, judge: &mut Judge<'_>) {
    let (parent, child) = (scene.pid("orphans"), scene.pid("orphan"));
    judge
        .signal("SIGSTOP", libc::SIGSTOP, From::Process(child), child)
        .fate("stopped", None);
    judge
        .signal("SIGCONT", libc::SIGCONT, From::KernelFor(parent), child)
        .fate("continued", None);
    judge.death("the parent", parent).cause("exit", "exit", 0);
    let chain = ["SIGHUP by the kernel", "end of orphans"];
    let from = From::KernelFor(parent);
    by(
        scene,
        judge,
        "orphan",
        Signal::SIGHUP,
        from,
        "orphaned-pgrp",
        &chain,
    );
}

/// Somebody writes to `cgroup.kill` of its group (5.14).
fn act_cgroup(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("sleeper", "")?.host;
    let group = Path::new("/sys/fs/cgroup").join(format!("doomed-{pid}"));
    fs::create_dir(&group)?;
    if !group.join("cgroup.kill").exists() {
        fs::remove_dir(&group)?;
        return scene.clear();
    }
    fs::write(group.join("cgroup.procs"), pid.to_string())?;
    fs::write(group.join("cgroup.kill"), "1")?;
    wait_until_dead(pid)?;
    scene.clear()?;
    remove(&[&group])
}

fn cgroup(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("sleeper");
    if judge.place.kernel == "5.10" {
        judge.cleared(scene.pid1());
        judge.zapped("the target", pid, scene.pid1());
        return;
    }
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(play()), pid)
        .fate("fatal", None)
        .field("/cause", "cgroup-kill");
    judge
        .death("the target", pid)
        .cause("cgroup-kill", "cgroup-kill", 137)
        .forced(true)
        .words(&["cgroup.kill", "sigtrace-play"]);
    judge.cleared(scene.pid1());
}

fn act_reboot(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    scene.spawn("reboots", "")?;
    scene.ns.pid1.wait().map(drop)
}

fn reboot(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid1, caller) = (scene.pid1(), scene.pid("reboots"));
    judge
        .signal("SIGKILL", libc::SIGKILL, From::KernelFor(caller), pid1)
        .fate("fatal", None)
        .field("/cause", "pidns-reboot");
    judge
        .death("PID 1", pid1)
        .cause("pidns-reboot", "kernel-signal", 137)
        .words(&["reboots", "reboot(2)", "SIGHUP"])
        .chain(&["SIGKILL by the kernel", "reboot(2) by reboots"]);
    // It exits on the spot, or is killed with its namespace.
    let killed = |event: &crate::judge::Event| event.number("/exit_code") == Some(137);
    if judge.last(caller).is_some_and(killed) {
        judge.zapped("the caller", caller, pid1);
    } else {
        judge.death("the caller", caller).cause("exit", "exit", 0);
    }
}

/// SysRq-f: the OOM killer is called, and this is whom it likes best.
fn act_sysrq(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("sleeper", "")?.host;
    fs::write(format!("/proc/{pid}/oom_score_adj"), "1000")?;
    fs::write("/proc/sys/kernel/sysrq", "1").context("kernel.sysrq")?;
    fs::write("/proc/sysrq-trigger", "f").context("/proc/sysrq-trigger")?;
    wait_until_dead(pid)?;
    scene.clear()
}

fn sysrq(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGKILL by the kernel", "system request key"];
    let from = From::Nobody("kernel");
    by(
        scene,
        judge,
        "sleeper",
        Signal::SIGKILL,
        from,
        "sysrq",
        &chain,
    );
}

fn act_damage(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("damaged", "")?.host;
    crate::stage::until("its death, or that there is no test", || {
        let dead = crate::stage::ns::state(pid)? == Some('Z');
        Ok((dead || scene.ns.pid1.has_said("no-test")).then_some(()))
    })?;
    scene.clear()
}

fn damaged(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("damaged");
    if scene.ns.pid1.has_said("no-test") {
        judge.cleared(scene.pid1());
        judge.zapped("the target", pid, scene.pid1());
        return;
    }
    let chain = ["SIGBUS by the kernel", "memory error"];
    own_doing(scene, judge, "damaged", Signal::SIGBUS, "hwpoison", &chain);
}
