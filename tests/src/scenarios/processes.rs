//! Processes of unusual shape: nested namespaces, a group without its leader, an
//! exec by a thread, many deaths at once.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene, Set};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

const TERM: i32 = Signal::SIGTERM as i32;
/// Processes that die at once.
const CROWD: usize = 200;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("nested", set_nested, terminate, nested),
        shared("leader-exits-first", kept, act_leaderless, leaderless),
        shared("exec-by-thread", kept, act_exec, exec),
        shared("raised-again", kept, act_again, again),
        shared("two-hundred-at-once", set_crowd, terminate, crowd),
    ]
}

fn terminate(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    ns::kill(scene.pid1(), Signal::SIGTERM)?;
    scene.ns.pid1.wait().map(drop)
}

/// PID 1 handled it and exited with 0.
fn exited(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .signal(
            "SIGTERM to PID 1",
            TERM,
            From::Process(play()),
            scene.pid1(),
        )
        .fate("handled", None);
    judge
        .death("PID 1", scene.pid1())
        .cause("exit", "exit", 0)
        .forced(false);
}

fn set_nested(_: &Host) -> Result<Set> {
    let mut scene = Scene::new(Ns::new(&["nest"])?);
    for role in ["inner", "innermost"] {
        let person = scene.ns.pid1.everybody(role, 1)?[0];
        scene.remember(role, person);
    }
    scene.nested.push(ns::inode(scene.pid("inner"))?);
    Ok(Set::Ready(scene))
}

fn nested(scene: &Scene, judge: &mut Judge<'_>) {
    exited(scene, judge);
    let outer = scene.pid1();
    for (role, kind, pid_inside) in [("inner", "init_exit", 1), ("innermost", "exit", 2)] {
        let pid = scene.pid(role);
        judge
            .zapped(role, pid, outer)
            .field("/event", kind)
            .is("/pidns", &scene.nested[0].into())
            .is("/task/ns_pids/0", &pid.into())
            .is("/task/ns_pids/2", &pid_inside.into())
            .words(&["outer PID namespace"])
            .says(Phrase::NothingSentOn);
    }
}

fn act_leaderless(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("leaderless", "")?.host;
    // Its leader is a zombie all the time; gone are the threads.
    ns::kill(pid, Signal::SIGTERM)?;
    scene.ns.pid1.tell("reap")?;
    scene.ns.pid1.hear("reaped")?;
    scene.clear()
}

fn leaderless(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("leaderless");
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("fatal", None);
    judge
        .death("the target", pid)
        .cause("killed-by-process", "kill-syscall", 143)
        .field("/signal", "SIGTERM")
        .forced(false);
    judge.cleared(scene.pid1());
}

fn act_exec(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let before = scene.spawn("execs", "")?;
    let after = scene.ns.pid1.meet("execed")?;
    anyhow::ensure!(before == after, "{after:?} should still be {before:?}");
    ns::kill(after.host, Signal::SIGTERM)?;
    wait_until_dead(after.host)?;
    scene.clear()
}

fn exec(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("execs");
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("fatal", None);
    judge
        .death("the target", pid)
        .cause("killed-by-process", "kill-syscall", 143)
        .is("/task/tid", &pid.into())
        .field("/task/comm", "execed")
        .forced(false);
    judge.cleared(scene.pid1());
}

/// It cleans up at SIGTERM and then ends by it.
fn act_again(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("cleans-up", "")?.host;
    ns::kill(pid, Signal::SIGTERM)?;
    wait_until_dead(pid)?;
    scene.clear()
}

fn again(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("cleans-up");
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("handled", None);
    judge
        .signal("SIGTERM to itself", TERM, From::Process(pid), pid)
        .fate("fatal", None);
    let (itself, play) = (
        format!("cleans-up {pid}"),
        format!("sigtrace-play {}", play()),
    );
    judge
        .death("the target", pid)
        .cause("killed-by-process", "tkill-syscall", 143)
        .forced(false)
        .chain(&["SIGTERM", &itself, "SIGTERM handled by it", &play]);
    judge.cleared(scene.pid1());
}

fn set_crowd(_: &Host) -> Result<Set> {
    let mut scene = Scene::new(Ns::new(&["c-init-sig", &CROWD.to_string()])?);
    scene.crowd = scene.ns.pid1.everybody("child", CROWD)?;
    Ok(Set::Ready(scene))
}

fn crowd(scene: &Scene, judge: &mut Judge<'_>) {
    exited(scene, judge);
    for child in &scene.crowd {
        judge
            .zapped("a child", child.host, scene.pid1())
            .has("/contributing", "not-forwarded")
            .says(Phrase::NothingSentOn);
    }
}
