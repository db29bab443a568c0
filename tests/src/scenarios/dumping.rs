//! Signals to those who are ending already: they write a core dump, or are held at
//! their end by others.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd;

use super::kernel_kills::ended;
use super::rare_kills::in_guest;
use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::{self, Host};
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;

const TERM: i32 = Signal::SIGTERM as i32;
const PATTERN: &str = "/proc/sys/kernel/core_pattern";
/// Takes core dumps, and reads them only once it is told to.
const TAKER: &str = "/tmp/core-taker";
const TOLD: &str = "/tmp/core-taker.told";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("target-dumping", in_guest, act_dumping, dumping),
        shared("dump-killed", in_guest, act_dump_killed, dump_killed),
        shared("dump-of-shared-memory", kept, act_shared, shares),
        shared("target-exiting", kept, act_exiting, exiting),
        shared("target-exited", set_exited, act_exited, exited),
    ]
}

/// The one faults, and the other has the same memory and nothing else to do with it.
fn act_shared(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("dumps-shared", "")?.host;
    let other = scene.ns.pid1.meet("shares")?;
    scene.remember("shares", other);
    wait_until_dead(pid)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    if !host::is_at_least(&release, 5, 16) {
        wait_until_dead(other.host)?;
    }
    scene.clear()
}

fn shares(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, other) = (scene.pid("dumps-shared"), scene.pid("shares"));
    let chain = ["SIGSEGV by the kernel", "fault at address 0x10"];
    let from = From::KernelFor(pid);
    ended(
        scene,
        judge,
        "dumps-shared",
        Signal::SIGSEGV,
        from,
        "fault",
        &chain,
    );
    judge.cleared(scene.pid1());
    if judge.place.kernel != "5.10" {
        judge.zapped("who shares its memory", other, scene.pid1());
        return;
    }
    let root = format!("core dump of a process that shares its memory: dumps-shared {pid}");
    judge
        .death("who shares its memory", other)
        .cause("coredump-zap", "kernel-signal", 128 + libc::SIGSEGV)
        .field("/signal", "SIGSEGV")
        .words(&["Nobody sent it a signal"])
        .chain(&["ended as if by SIGSEGV", &root, "SIGSEGV by the kernel"]);
}

/// Core dumps go to a program from here on, until this is dropped.
struct Taker(String);

impl Taker {
    fn new() -> Result<Self> {
        let script = format!("#!/bin/sh\nread word < {TOLD}\nexec /bin/cat > /dev/null\n");
        fs::write(TAKER, script)?;
        fs::set_permissions(TAKER, fs::Permissions::from_mode(0o755))?;
        unistd::mkfifo(Path::new(TOLD), Mode::S_IRWXU).context("mkfifo")?;
        let before = fs::read_to_string(PATTERN)?;
        fs::write(PATTERN, format!("|{TAKER}")).context(PATTERN)?;
        Ok(Self(before))
    }

    /// Lets it read. It opens its end of the pipe when it gets to that.
    fn go(&self) -> Result<()> {
        let mut end = until("the taker of the core dump", || {
            let end = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(TOLD);
            Ok(end.ok())
        })?;
        end.write_all(b"go\n").context("telling the taker")
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        // The machine is only ours, and who fails here fails later.
        let _ = fs::write(PATTERN, self.0.trim_end());
        let _ = fs::remove_file(TAKER);
        let _ = fs::remove_file(TOLD);
    }
}

/// Aborts, and writes a core dump that nobody takes yet.
fn dumps(scene: &mut Scene) -> Result<u32> {
    let pid = scene.spawn("aborts", "")?.host;
    let status = format!("/proc/{pid}/status");
    until("its core dump", || {
        let dumps = fs::read_to_string(&status)?.contains("CoreDumping:\t1");
        Ok(dumps.then_some(()))
    })?;
    Ok(pid)
}

fn act_dumping(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let taker = Taker::new()?;
    let pid = dumps(scene)?;
    ns::kill(pid, Signal::SIGTERM)?;
    taker.go()?;
    wait_until_dead(pid)?;
    drop(taker);
    scene.clear()
}

fn aborted(scene: &Scene, judge: &mut Judge<'_>) -> u32 {
    let pid = scene.pid("aborts");
    judge
        .signal("SIGABRT", libc::SIGABRT, From::Process(pid), pid)
        .fate("fatal", None)
        .field("/cause", "abort");
    pid
}

fn dumping(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = aborted(scene, judge);
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("dropped", Some("target-dumping"))
        .words(&["writing a core dump", "only SIGKILL gets through"]);
    judge
        .death("the target", pid)
        .cause("abort", "tkill-syscall", 134)
        .is("/core_dumped", &true.into())
        .forced(false);
    judge.cleared(scene.pid1());
}

/// SIGKILL is what gets through: it ends the dump, and stands in the status.
fn act_dump_killed(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let taker = Taker::new()?;
    let pid = dumps(scene)?;
    ns::kill(pid, Signal::SIGKILL)?;
    wait_until_dead(pid)?;
    taker.go()?;
    drop(taker);
    scene.clear()
}

fn dump_killed(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = aborted(scene, judge);
    judge
        .signal("SIGKILL", libc::SIGKILL, From::Process(play()), pid)
        .fate("fatal", None);
    judge
        .death("the target", pid)
        .cause("abort", "tkill-syscall", 137)
        .field("/signal", "SIGKILL")
        .is("/core_dumped", &false.into())
        .forced(false)
        .words(&["core dump", "sigtrace-play"]);
    judge.cleared(scene.pid1());
}

/// A PID 1 cannot end before everybody in its namespace is reaped, and this one has a
/// parent outside, the play.
fn held_at_its_end(scene: &Scene, end: Signal) -> Result<()> {
    let outsider = scene.ns.enter(&["keeper"])?;
    outsider.hear("ready")?;
    ns::kill(scene.pid1(), end)?;
    wait_until_dead(outsider.pid)?;
    ns::kill(scene.pid1(), Signal::SIGTERM)?;
    outsider.wait()?;
    scene.ns.pid1.wait().map(drop)
}

fn act_exiting(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    held_at_its_end(scene, Signal::SIGKILL)
}

fn exiting(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .signal("SIGTERM", TERM, From::Process(play()), scene.pid1())
        .fate("dropped", Some("target-exiting"))
        .words(&["ending already, of the SIGKILL of sigtrace-play"]);
    judge.bystanders(&["keeper"], scene.pid1());
    judge.cleared(scene.pid1());
}

fn set_exited(_: &Host) -> Result<Set> {
    Ok(Set::Ready(Scene::new(Ns::new(&["c-init-sig", "0"])?)))
}

fn act_exited(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    held_at_its_end(scene, Signal::SIGTERM)
}

/// By a handler that exits.
fn exited(scene: &Scene, judge: &mut Judge<'_>) {
    let (from, pid1) = (From::Process(play()), scene.pid1());
    judge
        .signal("SIGTERM", TERM, from, pid1)
        .fate("handled", None);
    judge
        .signal("SIGTERM again", TERM, from, pid1)
        .fate("dropped", Some("target-exiting"))
        .words(&["exiting already"]);
    judge.bystanders(&["keeper"], pid1);
    judge
        .death("PID 1", pid1)
        .cause("exit", "exit", 0)
        .forced(false);
}
