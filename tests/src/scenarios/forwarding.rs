//! What becomes of SIGTERM between PID 1 and its child: in each case the child's
//! death has another sentence.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{play, shared, Scenario, Scene, Set};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

const TERM: i32 = Signal::SIGTERM as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared(
            "forwards",
            |_| set(&["TERM", "wait", "sleeper"]),
            act,
            forwards,
        ),
        shared(
            "forwards-and-leaves",
            |_| set(&["TERM", "leave", "slow", "TERM"]),
            act,
            |scene, judge| {
                let pid1 = acted(scene, judge);
                let child = scene.pid("child");
                judge
                    .signal("SIGTERM to the child", TERM, From::Process(pid1), child)
                    .fate("handled", None);
                judge
                    .zapped("the child", child, pid1)
                    .has("/contributing", "too-slow")
                    .says(Phrase::TooSlow);
            },
        ),
        shared(
            "forwards-another",
            |_| set(&["INT", "leave", "slow", "INT"]),
            act,
            |scene, judge| {
                let pid1 = acted(scene, judge);
                let child = scene.pid("child");
                let int = Signal::SIGINT as i32;
                judge
                    .signal("SIGINT to the child", int, From::Process(pid1), child)
                    .fate("handled", None);
                judge
                    .zapped("the child", child, pid1)
                    .has("/contributing", "not-forwarded")
                    .says(Phrase::AnotherSignal);
            },
        ),
        shared(
            "child-ignores",
            |_| set(&["TERM", "leave", "ignores", "TERM"]),
            act,
            |scene, judge| {
                let pid1 = acted(scene, judge);
                let child = scene.pid("child");
                judge
                    .signal("SIGTERM to the child", TERM, From::Process(pid1), child)
                    .fate("dropped", Some("sig-ign"));
                judge
                    .zapped("the child", child, pid1)
                    .has("/contributing", "sig-ign")
                    .says(Phrase::Ignores);
            },
        ),
    ]
}

fn set(words: &[&str]) -> Result<Set> {
    let ns = Ns::new(&[&["forwarder"], words].concat())?;
    let child = ns.pid1.everybody(words[2], 1)?[0];
    let mut scene = Scene::new(ns);
    scene.remember("child", child);
    Ok(Set::Ready(scene))
}

fn act(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    ns::kill(scene.pid1(), Signal::SIGTERM)?;
    scene.ns.pid1.wait().map(drop)
}

/// PID 1 handled it and exited with 0, in all of them.
fn acted(scene: &Scene, judge: &mut Judge<'_>) -> u32 {
    let pid1 = scene.pid1();
    judge
        .signal("SIGTERM to PID 1", TERM, From::Process(play()), pid1)
        .fate("handled", None);
    judge
        .death("PID 1", pid1)
        .cause("exit", "exit", 0)
        .forced(false);
    pid1
}

fn forwards(scene: &Scene, judge: &mut Judge<'_>) {
    let pid1 = acted(scene, judge);
    let child = scene.pid("child");
    judge
        .signal("SIGTERM to the child", TERM, From::Process(pid1), child)
        .fate("fatal", None)
        .field("/cause", "killed-by-process");
    judge
        .death("the child", child)
        .cause("killed-by-process", "kill-syscall", 143)
        .forced(false)
        .says(Phrase::PassedOn);
}
