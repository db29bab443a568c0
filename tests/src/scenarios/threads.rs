//! Threads that end with their process, or for its exec: signals that were for them
//! never act, and nobody killed them.

use std::fs;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::rare_kills::in_guest;
use super::signals::{wait_until_blocked, wait_until_dead};
use super::{kept, play, shared, Scenario, Scene};
use crate::judge::{From, Judge};
use crate::stage::ns;
use crate::stage::sigtrace::Sigtrace;
use crate::sys;

const USR1: i32 = Signal::SIGUSR1 as i32;
const HUP: i32 = Signal::SIGHUP as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("threads-exec", kept, |s, t| act(s, t, "exec"), execed),
        shared("threads-exit", kept, |s, t| act(s, t, "exit"), exited),
        shared("threads-dump", in_guest, act_dump, dumped),
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
