//! In which function a fault was: of programs whose symbols tell, of those that tell
//! nothing, and of those that were made to harm whoever reads them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{itself, takes_turns, Outcome, Scenario, Scene, Stage};
use crate::judge::{From, Judge};
use crate::stage::elf::{Program, FAULTS_AT, IN_FUNCTION};
use crate::stage::sigtrace::Sigtrace;

const SEGV: i32 = nix::sys::signal::Signal::SIGSEGV as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("fault-named", named),
        takes_turns("fault-not-named", not_named),
    ]
}

const PLAIN: Program<'_> = Program {
    function: b"crash_here",
    size: 16,
    build_id: true,
    sections: None,
};

/// Runs it inside; its pid on the host.
fn run(scene: &Scene, path: &Path) -> Result<u32> {
    let path = path.to_str().context("its path")?;
    let program = scene.ns.enter(&["exec", path])?;
    let pid = program.pid;
    program.wait()?;
    Ok(pid)
}

/// Traces while these run one after the other, each gone with its file by the time
/// that the next comes if `gone`; and judges each.
fn play(
    stage: &Stage<'_>,
    programs: &[(&'static str, Program<'_>)],
    check: impl Fn(&mut Judge<'_>, &str, u32),
) -> Result<Outcome> {
    let scene = Scene::kept()?;
    let ino = scene.ns.ino.to_string();
    let flags = ["--pidns", &ino, "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let files: Vec<PathBuf> = (programs.iter())
        .map(|(name, program)| program.write(name))
        .collect::<Result<_>>()?;
    let pids: Vec<u32> = (files.iter())
        .map(|file| run(&scene, file))
        .collect::<Result<_>>()?;
    let last = format!(r#""pid":{},"#, pids.last().context("a program")?);
    sigtrace.wait_for(&[r#""event":"exit""#, &last])?;
    // The threads that write and that read symbols were made meanwhile.
    let (more, threads) = itself::too_much(stage, sigtrace.pid())?;
    scene.clear()?;
    let ended = sigtrace.ended();
    for file in &files {
        fs::remove_file(file).with_context(|| format!("removing {}", file.display()))?;
    }
    let ended = ended?.well()?;
    Ok(stage.judged(&ended, &[scene.ns.ino], |_, judge| {
        if threads < 3 {
            judge.fault("no thread reads symbols");
        }
        for fault in &more {
            judge.fault(fault);
        }
        for ((name, _), &pid) in programs.iter().zip(&pids) {
            judge
                .signal(name, SEGV, From::KernelFor(pid), pid)
                .fate("fatal", None)
                .field("/cause", "fault");
            judge
                .death(name, pid)
                .cause("fault", "kernel-signal", 139)
                .is("/fault/object_offset", &FAULTS_AT.into())
                .chain(&["SIGSEGV by the kernel", "fault at address 0x10 in "]);
            check(judge, name, pid);
        }
        judge.cleared(scene.pid1());
        judge.nothing_else();
    }))
}

/// By its build id, and without one by device and inode.
fn named(stage: &Stage<'_>) -> Result<Outcome> {
    let without_id = Program {
        build_id: false,
        ..PLAIN
    };
    let programs = [("with-id", PLAIN), ("without-id", without_id)];
    play(stage, &programs, |judge, name, pid| {
        judge
            .last_death(name, pid)
            .field("/fault/function", "crash_here")
            .is("/fault/function_offset", &IN_FUNCTION.into())
            .words(&["It was in the function crash_here of"])
            .chain(&[
                "SIGSEGV by the kernel",
                "fault at address 0x10 in crash_here (",
            ]);
    })
}

/// Nothing is said that the symbols do not, and nothing breaks.
fn not_named(stage: &Stage<'_>) -> Result<Outcome> {
    let programs = [
        // The next symbol before a place is not the function that it is in.
        ("no-size", Program { size: 0, ..PLAIN }),
        ("too-short", Program { size: 2, ..PLAIN }),
        (
            "nonsense",
            Program {
                sections: Some(u64::MAX - 7),
                ..PLAIN
            },
        ),
        (
            "nowhere",
            Program {
                sections: Some(0x100),
                ..PLAIN
            },
        ),
        (
            "nameless",
            Program {
                function: b"\xff\xfe",
                ..PLAIN
            },
        ),
    ];
    play(stage, &programs, |judge, name, pid| {
        judge
            .last_death(name, pid)
            .absent("/fault/function")
            .words(&["It was at ", " bytes into the file /"]);
    })
}
