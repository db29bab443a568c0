//! The lessons as they are taught: "Why was my process in the container killed by
//! force?" with its remedies, and "Why can't I kill PID 1 in my container?" with
//! each PID 1.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{core, everywhere, fwd_sig, shared, Scenario, Scene, FWD_SIG, SIG_PROC};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::stage::engine::{Container, Engine};

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        core(everywhere(shared(
            "picture",
            |engine, name| fwd_sig(engine, name, &[], 1),
            |scene| scene.say(&["stop"]),
            |scene, judge| picture(scene, judge, scene.engine.stop),
        ))),
        core(everywhere(shared(
            "init",
            set_init,
            |scene| scene.say(&["stop"]),
            init,
        ))),
        shared(
            "forward",
            |engine, name| fwd_sig(engine, name, &["--forward"], 1),
            |scene| scene.say(&["stop"]),
            forward,
        ),
        shared(
            "init-sh",
            |engine, name| sig_proc(engine, name, "/init.sh"),
            kill_from_inside,
            deaf,
        ),
        core(everywhere(shared(
            "c-init-nosig",
            |engine, name| sig_proc(engine, name, "/c-init-nosig"),
            kill_from_inside,
            deaf,
        ))),
        shared(
            "c-init-sig",
            set_c_init_sig,
            |scene| {
                scene.exec(&["kill", "-9", "1"])?;
                scene.exec(&["kill", "1"])
            },
            c_init_sig,
        ),
        shared(
            "go-init",
            set_go,
            |scene| {
                scene.exec(&["kill", "-9", "1"])?;
                scene.exec(&["kill", "1"])
            },
            go,
        ),
    ]
}

/// SIGTERM by the runtime's process, which lives for milliseconds, with the
/// engine's own behind it; PID 1 handles it and exits with 0.
fn stopped(scene: &Scene, judge: &mut Judge<'_>) {
    let engine = &scene.engine;
    judge
        .signal(
            "SIGTERM to PID 1",
            TERM,
            From::Program(engine.runtime),
            scene.pid1(),
        )
        .fate("handled", None)
        .ancestor(engine.asks);
    judge
        .death("PID 1", scene.pid1())
        .field("/event", "init_exit")
        .cause("exit", "exit", 0)
        .forced(false);
}

/// `asked`: what the engine says that it was asked for.
pub(super) fn picture(scene: &Scene, judge: &mut Judge<'_>, asked: &str) {
    stopped(scene, judge);
    judge
        .zapped("the child", scene.pid("the child"), scene.pid1())
        .chain(&[
            "SIGKILL by the kernel",
            "PID 1 exited with status 0",
            "SIGTERM handled by PID 1",
            scene.engine.runtime,
        ])
        .chain_ends(asked)
        .has("/contributing", "not-forwarded")
        .field("/container/name", &scene.container.name)
        .field("/container/id", &scene.container.id)
        .field("/container/engine", scene.engine.kind)
        .field("/stop/signal", "SIGTERM")
        .says(Phrase::NothingSentOn);
}

/// The engine's own init before a program without children.
fn set_init(engine: &Engine, name: &str) -> Result<Scene> {
    let words = [FWD_SIG, "/c-init-sig", "0"];
    let container = engine.start(name, &["--init"], &words)?;
    let mut scene = Scene::new(engine, container);
    let child = Container::wait_children(scene.pid1(), 1)?[0];
    Container::wait_handler(child, Signal::SIGTERM)?;
    scene.remember("the child", child);
    Ok(scene)
}

fn init(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid1, child) = (scene.pid1(), scene.pid("the child"));
    judge
        .signal(
            "SIGTERM to PID 1",
            TERM,
            From::Program(scene.engine.runtime),
            pid1,
        )
        .fate("accepted", None);
    judge
        .signal("SIGTERM to the child", TERM, From::Process(pid1), child)
        .fate("handled", None);
    judge
        .death("the child", child)
        .cause("exit", "exit", 0)
        .forced(false);
    judge
        .death("PID 1", pid1)
        .cause("exit", "exit", 0)
        .forced(false);
}

fn forward(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid1, child) = (scene.pid1(), scene.pid("the child"));
    stopped(scene, judge);
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

fn sig_proc(engine: &Engine, name: &str, program: &str) -> Result<Scene> {
    let container = engine.start(name, &[], &[SIG_PROC, program])?;
    Ok(Scene::new(engine, container))
}

fn set_c_init_sig(engine: &Engine, name: &str) -> Result<Scene> {
    let scene = sig_proc(engine, name, "/c-init-sig")?;
    Container::wait_handler(scene.pid1(), Signal::SIGTERM)?;
    Ok(scene)
}

fn set_go(engine: &Engine, name: &str) -> Result<Scene> {
    let scene = sig_proc(engine, name, "/go-init")?;
    // The last one that its runtime installs.
    Container::wait_handler(scene.pid1(), Signal::SIGSYS)?;
    Ok(scene)
}

fn kill_from_inside(scene: &Scene) -> Result<()> {
    scene.exec(&["kill", "1"])?;
    scene.exec(&["kill", "-9", "1"])?;
    scene.say(&["kill"])
}

/// A signal that PID 1 has no handler for, from its own namespace.
fn dropped(scene: &Scene, judge: &mut Judge<'_>, number: i32) {
    judge
        .signal(
            &format!("signal {number} from inside"),
            number,
            From::Program("kill"),
            scene.pid1(),
        )
        .fate("dropped", Some("init-no-handler"))
        .words(&["from inside"])
        .no_words(&["from outside"]);
}

fn deaf(scene: &Scene, judge: &mut Judge<'_>) {
    dropped(scene, judge, TERM);
    dropped(scene, judge, KILL);
    super::stops::killed(scene, judge);
    // init.sh sleeps by a program.
    judge.bystanders(&["kill", "sleep"], scene.pid1());
}

fn handled(scene: &Scene, judge: &mut Judge<'_>) {
    dropped(scene, judge, KILL);
    judge
        .signal(
            "SIGTERM from inside",
            TERM,
            From::Program("kill"),
            scene.pid1(),
        )
        .fate("handled", None);
}

fn c_init_sig(scene: &Scene, judge: &mut Judge<'_>) {
    handled(scene, judge);
    judge
        .death("PID 1", scene.pid1())
        .cause("exit", "exit", 0)
        .forced(false);
    judge.bystanders(&["kill"], scene.pid1());
}

fn go(scene: &Scene, judge: &mut Judge<'_>) {
    let pid1 = scene.pid1();
    handled(scene, judge);
    judge
        .signal("SIGTERM of its own", TERM, From::Process(pid1), pid1)
        .fate("handled", None);
    while judge.has_signal(TERM, From::Process(pid1), pid1) {
        judge
            .signal("SIGTERM that is dropped", TERM, From::Process(pid1), pid1)
            .fate("dropped", Some("init-no-handler"))
            .words(&["Go's runtime"]);
    }
    judge
        .death("PID 1", pid1)
        .cause("exit", "exit", 2)
        .forced(false)
        .words(&["Go's runtime"]);
    judge.bystanders(&["kill"], pid1);
}
