//! Who ends others once it was asked to end itself, and who ends with the status of its
//! child: the chain goes on behind them.

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

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("relay-kills", kept, |s, _| asks(s, "KILL self"), kills),
        shared(
            "relay-passes-on",
            kept,
            |s, _| asks(s, "TERM self"),
            passes_on,
        ),
        shared("relay-by-child", set_pid1, act_pid1, by_child),
        shared("ends-like-its-child", kept, act_bereaves, bereaved),
    ]
}

fn family(scene: &mut Scene, words: &str) -> Result<(u32, u32)> {
    let parent = scene.spawn("delegates", words)?;
    let child = scene.ns.pid1.meet("supervised")?;
    scene.remember("supervised", child);
    Ok((parent.host, child.host))
}

fn asks(scene: &mut Scene, words: &str) -> Result<()> {
    let (parent, _) = family(scene, words)?;
    ns::kill(parent, Signal::SIGTERM)?;
    wait_until_dead(parent)?;
    scene.clear()
}

/// It handled SIGTERM and ended with the status of its child.
fn relay(judge: &mut Judge<'_>, pid: u32, code: i32, exited: &str) {
    judge
        .signal("SIGTERM to the relay", TERM, From::Process(play()), pid)
        .fate("handled", None);
    judge
        .death("the relay", pid)
        .cause("exit", "exit", code)
        .chain(&[exited, "SIGTERM handled", "sigtrace-play"]);
}

fn kills(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, child) = (scene.pid("delegates"), scene.pid("supervised"));
    relay(judge, pid, 137, "exited with status 137");
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(pid), child)
        .fate("fatal", None);
    judge
        .death("the child", child)
        .cause("killed-by-process", "kill-syscall", 137)
        .chain(&[
            "SIGKILL",
            "delegates",
            "SIGTERM handled by delegates",
            "sigtrace-play",
        ])
        .words(&["whether it did this because of that is not known"]);
    judge.cleared(scene.pid1());
}

fn passes_on(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, child) = (scene.pid("delegates"), scene.pid("supervised"));
    relay(judge, pid, 143, "exited with status 143");
    judge
        .signal("SIGTERM to the child", TERM, From::Process(pid), child)
        .fate("fatal", None);
    judge
        .death("the child", child)
        .cause("killed-by-process", "kill-syscall", 143)
        .chain(&[
            "SIGTERM",
            "delegates",
            "SIGTERM handled by delegates",
            "sigtrace-play",
        ])
        .words(&["passed on the request to end"]);
    judge.cleared(scene.pid1());
}

fn set_pid1(_: &Host) -> Result<Set> {
    let ns = Ns::with(&["role", "delegates", "TERM", "child"])?;
    ns.pid1.meet("delegates")?;
    let child = ns.pid1.meet("supervised")?;
    let mut scene = Scene::new(ns);
    scene.remember("supervised", child);
    Ok(Set::Ready(scene))
}

fn act_pid1(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    ns::kill(scene.pid1(), Signal::SIGTERM)?;
    let sender = scene.ns.pid1.meet("sends")?;
    scene.remember("sends", sender);
    scene.ns.pid1.wait().map(drop)
}

fn by_child(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid1, child) = (scene.pid1(), scene.pid("supervised"));
    relay(judge, pid1, 143, "PID 1 exited with status 143");
    let sender = scene.pid("sends");
    judge
        .signal("SIGTERM to the child", TERM, From::Process(sender), child)
        .fate("fatal", None);
    judge.death("the sender", sender).cause("exit", "exit", 0);
    judge
        .death("the child", child)
        .cause("killed-by-process", "kill-syscall", 143)
        .forced(false)
        .chain(&[
            "SIGTERM",
            "sends",
            "PID 1 delegates",
            "SIGTERM handled by PID 1",
            "sigtrace-play",
        ])
        .says(Phrase::PassedOn);
}

/// It was not asked: its child was killed, and it ends as a shell does.
fn act_bereaves(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let (parent, child) = family(scene, "TERM self")?;
    ns::kill(child, Signal::SIGKILL)?;
    wait_until_dead(parent)?;
    scene.clear()
}

fn bereaved(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, child) = (scene.pid("delegates"), scene.pid("supervised"));
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(play()), child)
        .fate("fatal", None);
    judge
        .death("the child", child)
        .cause("killed-by-process", "kill-syscall", 137);
    judge
        .death("the parent", pid)
        .cause("exit", "exit", 137)
        .chain(&[
            "exited with status 137",
            "its child supervised",
            "SIGKILL",
            "sigtrace-play",
        ]);
    judge.cleared(scene.pid1());
}
