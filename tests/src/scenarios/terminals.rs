//! Terminals: whose doing it was that they end those who use them, that they stop the
//! jobs in their background, and the key that ends whoever holds one open.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::kernel_kills::{by, ended, follows};
use super::rare_kills::in_guest;
use super::signals::wait_until_dead;
use super::{kept, shared, Scenario, Scene, Set};
use crate::inside::rarest::CONSOLE;
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;

const TERMINAL: From = From::Nobody("terminal");

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared(
            "tty-interrupt",
            kept,
            |s, _| follows(s, "types", "typed"),
            |s, j| {
                let root = "a key on";
                at_other_end(s, j, ("types", "typed"), Signal::SIGINT, TERMINAL, root);
            },
        ),
        shared(
            "tty-interrupt-asked",
            kept,
            |s, _| follows(s, "asks", "asked"),
            |s, j| {
                let (who, root) = (("asks", "asked"), "TIOCSIG at its terminal");
                let from = From::TerminalFor(s.pid("asks"));
                at_other_end(s, j, who, Signal::SIGINT, from, root);
            },
        ),
        shared(
            "tty-interrupt-put-in",
            kept,
            |s, _| follows(s, "puts-in", "put-upon"),
            |s, j| {
                let (who, root) = (("puts-in", "put-upon"), "a character put into");
                let from = From::TerminalFor(s.pid("puts-in"));
                at_other_end(s, j, who, Signal::SIGINT, from, root);
            },
        ),
        shared(
            "tty-hangup",
            kept,
            |s, _| follows(s, "hangs-up", "hung-up"),
            |s, j| {
                let (who, root) = (("hangs-up", "hung-up"), "other end of its terminal closed");
                let from = From::TerminalFor(s.pid("hangs-up"));
                at_other_end(s, j, who, Signal::SIGHUP, from, root);
            },
        ),
        shared(
            "tty-hangup-abandoned",
            kept,
            |s, _| follows(s, "abandons", "abandoned"),
            |s, j| {
                let root = "end of who held the other end of its terminal with status 4";
                hangup(s, j, ("abandons", "abandoned"), root, 4);
            },
        ),
        shared(
            "tty-hangup-leader",
            kept,
            |s, _| follows(s, "leads", "led"),
            |s, j| {
                hangup(
                    s,
                    j,
                    ("leads", "led"),
                    "end of its session's leader with status 5",
                    5,
                );
            },
        ),
        shared(
            "tty-hangup-given-up",
            kept,
            |s, _| follows(s, "gives-up", "given-up"),
            |s, j| {
                hangup(
                    s,
                    j,
                    ("gives-up", "given-up"),
                    "its session's leader gave the terminal up",
                    0,
                );
            },
        ),
        shared("tty-hangup-vhangup", kept, act_vhangup, |s, j| {
            hangup(s, j, ("vhangs", "shares"), "vhangup(2) of its terminal", 0);
        }),
        shared(
            "tty-job-reads",
            kept,
            |scene, _| stops(scene, "reads"),
            |scene, judge| {
                let words = ["in the background", "read from"];
                let own = From::TerminalFor(scene.pid("job"));
                stopped(scene, judge, Signal::SIGTTIN, own, &words);
            },
        ),
        shared(
            "tty-job-writes",
            kept,
            |scene, _| stops(scene, "writes"),
            |scene, judge| {
                let words = ["in the background", "write to"];
                let own = From::TerminalFor(scene.pid("job"));
                stopped(scene, judge, Signal::SIGTTOU, own, &words);
            },
        ),
        shared(
            "tty-job-key",
            kept,
            |scene, _| stops(scene, "types"),
            |scene, judge| stopped(scene, judge, Signal::SIGTSTP, TERMINAL, &["Ctrl-Z"]),
        ),
        shared("sak", has_console, act_sak, sak),
    ]
}

/// By something that was done at the other end by who lives on.
fn at_other_end(
    scene: &Scene,
    judge: &mut Judge<'_>,
    (doer, who): (&str, &str),
    signal: Signal,
    from: From,
    root: &str,
) {
    let cause = match signal {
        Signal::SIGHUP => "tty-hangup",
        _ => "tty-interrupt",
    };
    let by = format!("{} by its terminal", signal.as_str());
    let named = format!("{doer} {}", scene.pid(doer));
    let chain = match from {
        From::Nobody(_) => vec![by.as_str(), root],
        _ => vec![&by, root, &named],
    };
    ended(scene, judge, who, signal, from, cause, &chain);
    judge
        .death("who did it", scene.pid(doer))
        .cause("exit", "exit", 0);
    judge.cleared(scene.pid1());
}

/// By the end of somebody, or by what the leader of its session did.
fn hangup(
    scene: &Scene,
    judge: &mut Judge<'_>,
    (doer, who): (&str, &str),
    root: &str,
    status: i32,
) {
    let from = From::TerminalFor(scene.pid(doer));
    let named = format!("{doer} {}", scene.pid(doer));
    let chain = ["SIGHUP by its terminal", root, &named];
    ended(
        scene,
        judge,
        who,
        Signal::SIGHUP,
        from,
        "tty-hangup",
        &chain,
    );
    judge
        .death("who did it", scene.pid(doer))
        .cause("exit", "exit", status);
    judge.cleared(scene.pid1());
}

fn act_vhangup(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let leader = scene.spawn("shares", "")?;
    let doer = scene.ns.pid1.meet("vhangs")?;
    scene.remember("vhangs", doer);
    wait_until_dead(leader.host)?;
    wait_until_dead(doer.host)?;
    scene.clear()
}

/// Who leads the session ends the job as soon as that has stopped.
fn stops(scene: &mut Scene, what: &str) -> Result<()> {
    let leader = scene.spawn("jobs", what)?;
    let job = scene.ns.pid1.meet("job")?;
    scene.remember("job", job);
    wait_until_dead(leader.host)?;
    scene.clear()
}

fn stopped(scene: &Scene, judge: &mut Judge<'_>, signal: Signal, from: From, words: &[&str]) {
    let (leader, job) = (scene.pid("jobs"), scene.pid("job"));
    judge
        .signal("the stop", signal as i32, from, job)
        .fate("stopped", None)
        .field("/cause", "tty-job")
        .words(words);
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(leader), job)
        .fate("fatal", None);
    judge
        .death("the job", job)
        .cause("killed-by-process", "kill-syscall", 137)
        .forced(true);
    judge.death("the leader", leader).cause("exit", "exit", 0);
    judge.cleared(scene.pid1());
}

fn has_console(host: &Host) -> Result<Set> {
    if host.guest && !Path::new(CONSOLE).exists() {
        return Ok(Set::Skip("this machine has no virtual console".into()));
    }
    in_guest(host)
}

/// SysRq-k, for the console in the foreground.
fn act_sak(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("holds-console", "")?.host;
    fs::write("/proc/sys/kernel/sysrq", "1").context("kernel.sysrq")?;
    fs::write("/proc/sysrq-trigger", "k").context("/proc/sysrq-trigger")?;
    wait_until_dead(pid)?;
    scene.clear()
}

fn sak(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGKILL by its terminal", "secure attention key"];
    let who = "holds-console";
    by(scene, judge, who, Signal::SIGKILL, TERMINAL, "sak", &chain);
}
