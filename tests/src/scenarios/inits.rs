//! PID 1s of every sort: without a handler, ready-made inits, Go's runtime.

use std::env;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{kept, play, shared, Scenario, Scene, Set};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::stage::host::{self, Host};
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("no-handler", set_no_handler, act_no_handler, no_handler),
        shared("no-handler-timer", kept, act_timer, timer),
        shared(
            "tini",
            |_| ready_made(&["tini", "tini-static"]),
            terminate,
            takes_and_forwards,
        ),
        shared(
            "dumb-init",
            |_| ready_made(&["dumb-init"]),
            terminate,
            dumb_init,
        ),
        shared("go-init", set_go, terminate, go),
        shared("startup-window", set_late, act_late, late),
    ]
}

fn terminate(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    ns::kill(scene.pid1(), Signal::SIGTERM)?;
    scene.ns.pid1.wait().map(drop)
}

/// Its own timer sends it SIGKILL, while whoever runs is not of its namespace.
fn act_timer(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    scene.ns.pid1.tell("timer KILL")?;
    let target = format!(r#""target":{{"pid":{},"#, scene.pid1());
    sigtrace.wait_for(&[&target, r#""sender":{"kind":"timer"}"#])?;
    scene.clear()
}

fn timer(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .signal(
            "the timer",
            libc::SIGKILL,
            From::Nobody("timer"),
            scene.pid1(),
        )
        .fate("dropped", Some("init-no-handler"))
        .words(&["A timer of PID 1 had run out"]);
    judge.cleared(scene.pid1());
}

fn set_no_handler(_: &Host) -> Result<Set> {
    let mut scene = Scene::new(Ns::new(&["c-init-nosig", "1"])?);
    let child = scene.ns.pid1.everybody("child", 1)?[0];
    scene.remember("child", child);
    Ok(Set::Ready(scene))
}

fn act_no_handler(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    for (who, signal) in [("sender of TERM", "TERM"), ("sender of KILL", "KILL")] {
        let sender = scene.ns.enter(&["send", signal, "1"])?;
        let person = sender.meet("send")?;
        scene.remember(who, person);
        sender.tell("go")?;
        sender.wait()?;
    }
    ns::kill(scene.pid1(), Signal::SIGTERM)?;
    scene.clear()
}

fn no_handler(scene: &Scene, judge: &mut Judge<'_>) {
    let pid1 = scene.pid1();
    let inside = [("sender of TERM", TERM), ("sender of KILL", KILL)];
    for (who, number) in inside {
        let sender = scene.pid(who);
        judge
            .signal(
                &format!("signal {number} from inside"),
                number,
                From::Process(sender),
                pid1,
            )
            .fate("dropped", Some("init-no-handler"))
            .field("/result", "ignored")
            .words(&["from inside"])
            .no_words(&["from outside"]);
        judge.death(who, sender).cause("exit", "exit", 0);
    }
    judge
        .signal("SIGTERM from outside", TERM, From::Process(play()), pid1)
        .fate("dropped", Some("init-no-handler"))
        .field("/result", "ignored")
        .words(&["from outside"])
        .no_words(&["from inside"]);
    judge.cleared(pid1);
    judge
        .zapped("the child", scene.pid("child"), pid1)
        .chain(&["SIGKILL by the kernel", "PID 1 killed by SIGKILL"])
        .says(Phrase::Pid1Killed);
}

/// An init that people install, with a child that only sleeps.
fn ready_made(names: &[&str]) -> Result<Set> {
    let Some(program) = names.iter().find_map(|name| host::program(name)) else {
        return Ok(Set::Skip(format!("no {} on the PATH", names.join(" or "))));
    };
    let program = program.to_str().context("its path")?;
    let own = env::current_exe().context("the name of this program")?;
    let own = own.to_str().context("its path")?;
    let ns = Ns::with(&["exec", program, "--", own, "inside", "role", "sleeper"])?;
    let child = ns.pid1.meet("sleeper")?;
    let mut scene = Scene::new(ns);
    scene.remember("child", child);
    Ok(Set::Ready(scene))
}

/// At its end it signals what may be left of its child's process group: nobody is.
fn dumb_init(scene: &Scene, judge: &mut Judge<'_>) {
    takes_and_forwards(scene, judge);
    judge
        .refused(
            "SIGTERM to the group",
            (Signal::SIGTERM as i32, scene.pid1()),
            ("no-such-process", Some("ESRCH")),
        )
        .words(&["no process group"]);
}

fn takes_and_forwards(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid1, child) = (scene.pid1(), scene.pid("child"));
    judge
        .signal(
            "the signal that is taken",
            TERM,
            From::Process(play()),
            pid1,
        )
        .fate("accepted", None);
    judge
        .signal("SIGTERM to the child", TERM, From::Process(pid1), child)
        .fate("fatal", None)
        .field("/cause", "killed-by-process");
    judge
        .death("the child", child)
        .cause("killed-by-process", "kill-syscall", 143)
        .forced(false)
        .field("/stop/signal", "SIGTERM")
        .says(Phrase::PassedOn);
    judge
        .death("PID 1", pid1)
        .cause("exit", "exit", 143)
        .forced(false);
}

fn set_go(_: &Host) -> Result<Set> {
    let Some(program) = host::program("go-init") else {
        return Ok(Set::Skip(
            "no go-init on the PATH (built from labs/handle_sig/go-init.go where there is a Go compiler)".to_owned(),
        ));
    };
    let ns = Ns::new(&["exec", program.to_str().context("its path")?])?;
    Ok(Set::Ready(Scene::new(ns)))
}

fn go(scene: &Scene, judge: &mut Judge<'_>) {
    let pid1 = scene.pid1();
    judge
        .signal("SIGTERM to PID 1", TERM, From::Process(play()), pid1)
        .fate("handled", None);
    // dieFromSignal raises it once with the handler still there, then with the
    // default action, as often as its version thinks it necessary.
    judge
        .signal("SIGTERM of its own", TERM, From::Process(pid1), pid1)
        .fate("handled", None);
    let mut dropped = 0;
    while judge.has_signal(TERM, From::Process(pid1), pid1) {
        judge
            .signal("SIGTERM that is dropped", TERM, From::Process(pid1), pid1)
            .fate("dropped", Some("init-no-handler"))
            .words(&["Go's runtime"]);
        dropped += 1;
    }
    if dropped == 0 {
        judge.fault("no SIGTERM of its own was dropped");
    }
    judge
        .death("PID 1", pid1)
        .cause("exit", "exit", 2)
        .forced(false)
        .words(&["Go's runtime"]);
}

fn set_late(_: &Host) -> Result<Set> {
    let ns = Ns::with(&["role", "late", "TERM"])?;
    ns.pid1.meet("late")?;
    Ok(Set::Ready(Scene::new(ns)))
}

/// Asked to end before it has a handler, and once more when it has.
fn act_late(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let target = format!(r#""target":{{"pid":{},"#, scene.pid1());
    ns::kill(scene.pid1(), Signal::SIGTERM)?;
    sigtrace.wait_for(&[&target, r#""fate":"dropped""#, "had run for"])?;
    scene.ns.pid1.tell("go")?;
    scene.ns.pid1.hear("installed")?;
    // A look finds it.
    sigtrace.wait_for(&[r#""event":"update""#, "a handler was there"])?;
    terminate(scene, sigtrace)
}

fn late(scene: &Scene, judge: &mut Judge<'_>) {
    let from = From::Process(play());
    judge
        .signal("the SIGTERM that came too early", TERM, from, scene.pid1())
        .fate("dropped", Some("init-no-handler"))
        .words(&["had no handler for SIGTERM yet", "later at the latest"])
        .advises("once PID 1 is ready");
    judge
        .signal("the SIGTERM after that", TERM, from, scene.pid1())
        .fate("handled", None);
    judge
        .death("PID 1", scene.pid1())
        .cause("exit", "exit", 0)
        .forced(false);
}
