//! Threads that end with their process, or for its exec: signals that were for them
//! never act, and nobody killed them.

use std::fs;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::rare_kills::in_guest;
use super::signals::{wait_until_blocked, wait_until_dead};
use super::{kept, play, shared, Scenario, Scene};
use crate::judge::{From, Judge};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::{ns, until};
use crate::sys;

const USR1: i32 = Signal::SIGUSR1 as i32;
const HUP: i32 = Signal::SIGHUP as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("threads-exec", kept, |s, t| act(s, t, "exec"), execed),
        shared("threads-exit", kept, |s, t| act(s, t, "exit"), exited),
        shared("threads-dump", in_guest, act_dump, dumped),
        shared("dead-thread", kept, act_dead, dead),
        shared("dead-thread-stopped", kept, act_stopped, stopped),
        shared("another-thread-sleeps", kept, act_aside, aside),
    ]
}

/// A thread blocks a signal that is for it alone, and the process does something.
fn act(scene: &mut Scene, sigtrace: &Sigtrace, what: &str) -> Result<()> {
    let pid = scene.spawn("threaded", what)?.host;
    let line = scene.ns.pid1.hear("thread")?;
    let tid = line.split(' ').nth(1).context("a thread")?;
    sys::rare::kill_thread(pid.try_into()?, tid.parse()?, USR1)?;
    wait_until_blocked(sigtrace, pid)?;
    ns::kill(pid, Signal::SIGHUP)?;
    if what == "exec" {
        scene.ns.pid1.meet("execed")?;
    } else {
        wait_until_dead(pid)?;
    }
    scene.clear()
}

fn act_dump(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    fs::write("/proc/sys/kernel/core_pattern", "/tmp/core")?;
    act(scene, sigtrace, "dump")?;
    fs::remove_file("/tmp/core").context("the core dump")
}

fn lost(scene: &Scene, judge: &mut Judge<'_>, cause: &str) -> u32 {
    let pid = scene.pid("threaded");
    let from = From::Process(play());
    judge
        .signal("the thread's signal", USR1, from, pid)
        .fate_at_first("blocked", "blocked-mask")
        .fate("died_first", None)
        .field("/cause", cause)
        .words(&["nobody killed it"]);
    judge.signal("SIGHUP", HUP, from, pid).fate("handled", None);
    judge.cleared(scene.pid1());
    pid
}

fn execed(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = lost(scene, judge, "exec-other-threads");
    judge.zapped("the target", pid, scene.pid1());
}

fn exited(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = lost(scene, judge, "group-exit");
    judge
        .death("the target", pid)
        .cause("exit", "exit", 0)
        .forced(false);
}

fn dumped(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = lost(scene, judge, "coredump-zap");
    judge
        .signal("SIGABRT", libc::SIGABRT, From::Process(pid), pid)
        .fate("fatal", None);
    judge
        .death("the target", pid)
        .cause("abort", "tkill-syscall", 134)
        .is("/core_dumped", &true.into())
        .forced(false);
}

/// tkill(2) to a first thread that has ended; then kill(2) to its process.
fn act_dead(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("leaderless", "")?.host;
    for number in [libc::SIGKILL, USR1] {
        sys::rare::kill_thread(pid.try_into()?, pid.try_into()?, number)?;
    }
    ns::kill(pid, Signal::SIGTERM)?;
    wait_until_told(sigtrace, pid)?;
    scene.clear()
}

/// Its first thread is dead all the time.
fn wait_until_told(sigtrace: &Sigtrace, pid: u32) -> Result<()> {
    let task = format!(r#""pid":{pid},"#);
    sigtrace.wait_for(&[r#""event":"exit""#, &task])
}

fn dead(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("leaderless");
    let from = From::Process(play());
    for (name, number) in [("SIGKILL", libc::SIGKILL), ("SIGUSR1", USR1)] {
        judge
            .signal(name, number, from, pid)
            .fate("dropped", Some("target-exiting"))
            .words(&["the first thread of its process"]);
    }
    judge
        .signal("SIGTERM", libc::SIGTERM, from, pid)
        .fate("fatal", None);
    judge
        .death("the target", pid)
        .cause("killed-by-process", "kill-syscall", 143);
    judge.cleared(scene.pid1());
}

/// Its process is stopped all the same.
fn act_stopped(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("leaderless", "")?.host;
    ns::kill(pid, Signal::SIGSTOP)?;
    until("the stop of its other thread", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task"))?;
        let stopped = |path: std::path::PathBuf| {
            let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
            let state = stat.rsplit(')').next().map(str::trim_start);
            state.is_some_and(|rest| rest.starts_with('T'))
        };
        let mut threads = threads.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(threads.any(stopped).then_some(()))
    })?;
    ns::kill(pid, Signal::SIGTERM)?;
    sigtrace.wait_for(&["SIGTERM has waited for", r#""reason":"stopped""#])?;
    ns::kill(pid, Signal::SIGCONT)?;
    wait_until_told(sigtrace, pid)?;
    scene.clear()
}

fn stopped(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("leaderless");
    let from = From::Process(play());
    judge
        .signal("SIGSTOP", libc::SIGSTOP, from, pid)
        .fate("stopped", None);
    judge
        .signal("SIGTERM", libc::SIGTERM, from, pid)
        .fate_meanwhile("pending", "stopped")
        .said_meanwhile(&["It was stopped by the SIGSTOP of sigtrace-play "])
        .fate("fatal", None);
    judge
        .signal("SIGCONT", libc::SIGCONT, from, pid)
        .fate("continued", None);
    judge
        .death("the target", pid)
        .cause("killed-by-process", "kill-syscall", 143);
    judge.cleared(scene.pid1());
}

/// The first thread blocks it, and the only one that could take it sleeps.
fn act_aside(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("vforks-aside", "")?.host;
    let child: u32 = until("a child of vfork", || {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = thread?.path();
            let children = fs::read_to_string(path.join("children")).unwrap_or_default();
            let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
            let asleep = stat.rsplit(')').next().map(str::trim_start);
            if let (Ok(child), true) = (
                children.trim().parse(),
                asleep.is_some_and(|rest| rest.starts_with('D')),
            ) {
                return Ok(Some(child));
            }
        }
        Ok(None)
    })?;
    scene.remember_outsider("child", child);
    ns::kill(pid, Signal::SIGUSR2)?;
    // No other scenario has that; an update says no more than what is new.
    sigtrace.wait_for(&["SIGUSR2 has waited for", r#""reason":"uninterruptible""#])?;
    ns::kill(child, Signal::SIGKILL)?;
    scene.ns.pid1.hear("rang")?;
    scene.clear()
}

fn aside(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, child) = (scene.pid("vforks-aside"), scene.pid("child"));
    let from = From::Process(play());
    judge
        .signal("SIGUSR2", Signal::SIGUSR2 as i32, from, pid)
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
