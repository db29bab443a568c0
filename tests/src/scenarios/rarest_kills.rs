//! Deaths by what most machines never see, and by calls that most programs never make;
//! also one of which nobody can say who caused it.

use std::fs;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::kernel_kills::{by, own_doing};
use super::rare_kills::in_guest;
use super::signals::wait_until_dead;
use super::{kept, play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::ns::Program;
use crate::stage::sigtrace::Sigtrace;
use crate::stage::{ns, until};
use crate::sys::{self, rarest, PidFd};

const TERM: i32 = Signal::SIGTERM as i32;
const USR1: i32 = Signal::SIGUSR1 as i32;

/// How often the kernel may choose once more.
const SPARES: usize = 8;
/// How badly the kernel wants to kill this process (proc_pid_oom_score_adj(5)).
const OWN_SCORE: &str = "/proc/self/oom_score_adj";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("killed-by-sigqueue", kept, act_queue, |s, j| {
            killed(s, j, "sigqueue-syscall");
        }),
        shared("killed-by-pidfd", kept, act_pidfd, |s, j| {
            killed(s, j, "pidfd-signal");
        }),
        shared("bpf", in_guest, act_bpf, bpf),
        shared("perf", has_traps, act_perf, perf),
        shared("oom-global", in_guest, act_oom, oom),
        shared("unseen-sender", set_unseen, act_unseen, unseen),
    ]
}

fn act_queue(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("sleeper", "")?.host;
    anyhow::ensure!(sys::queue(pid.try_into()?, TERM)?, "the queue is full");
    wait_until_dead(pid)?;
    scene.clear()
}

fn act_pidfd(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("sleeper", "")?.host;
    let sent = PidFd::open(pid.try_into()?)?.send(TERM, None)?;
    anyhow::ensure!(sent, "the process is gone");
    wait_until_dead(pid)?;
    scene.clear()
}

fn killed(scene: &Scene, judge: &mut Judge<'_>, mechanism: &str) {
    let pid = scene.pid("sleeper");
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("fatal", None)
        .field("/cause", "killed-by-process")
        .field("/mechanism", mechanism);
    judge
        .death("the target", pid)
        .cause("killed-by-process", mechanism, 128 + TERM)
        .forced(false)
        .words(&["sigtrace-play", "from outside its PID namespace"]);
    judge.cleared(scene.pid1());
}

/// As security tools do it; this one only knows the process.
fn act_bpf(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("handles", "USR1")?.host;
    // In the system call by which it waits; the next one is its handler's.
    until("its sleep", || {
        Ok((ns::state(pid)? == Some('S')).then_some(()))
    })?;
    let program = rarest::kill_by_program(pid, Signal::SIGTERM)?;
    ns::kill(pid, Signal::SIGUSR1)?;
    wait_until_dead(pid)?;
    drop(program);
    scene.clear()
}

fn bpf(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("handles");
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), pid)
        .fate("handled", None);
    let chain = ["SIGTERM by the kernel", "a BPF program"];
    own_doing(scene, judge, "handles", Signal::SIGTERM, "bpf", &chain);
}

fn has_traps(host: &Host) -> Result<Set> {
    if host.guest && !host.series_is_at_least(5, 13) {
        return Ok(Set::Skip(
            "performance counters do not trap before Linux 5.13".into(),
        ));
    }
    in_guest(host)
}

fn act_perf(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("is-counted", "")?.host;
    wait_until_dead(pid)?;
    scene.clear()
}

fn perf(scene: &Scene, judge: &mut Judge<'_>) {
    let chain = ["SIGTRAP by the kernel", "a performance counter"];
    own_doing(scene, judge, "is-counted", Signal::SIGTRAP, "perf", &chain);
}

/// All memory of the machine, by the one whom the kernel is to choose. On a slow machine
/// it chooses again before that one has given it back; then others are there to be taken,
/// and never the test program: nobody would be left to tell.
fn act_oom(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let mut spares = Vec::new();
    for _ in 0..SPARES {
        let spare = Program::outside(&["role", "sleeper"])?;
        spare.hear("sleeper")?;
        let score = format!("/proc/{}/oom_score_adj", spare.pid);
        fs::write(score, "900").context("oom_score_adj")?;
        spares.push(spare);
    }
    let pid = scene.spawn("eats-all", "")?.host;
    fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").context("oom_score_adj")?;
    let before = fs::read_to_string(OWN_SCORE).context(OWN_SCORE)?;
    fs::write(OWN_SCORE, "-1000").context(OWN_SCORE)?;
    let dead = ns::kill(pid, Signal::SIGUSR1).and_then(|()| wait_until_dead(pid));
    fs::write(OWN_SCORE, before.trim()).context(OWN_SCORE)?;
    dead?;
    scene.clear()
}

fn oom(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("eats-all");
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), pid)
        .fate("handled", None);
    // Who asks for memory at that moment may be anybody.
    let own = From::KernelFor(pid);
    let from = if judge.has_signal(libc::SIGKILL, own, pid) {
        own
    } else {
        From::Nobody("kernel")
    };
    judge
        .last_death("whose memory it was", pid)
        .field("/oom/scope", "global")
        .absent("/oom/cgroup")
        .absent("/oom/chosen");
    let chain = ["SIGKILL by the kernel", "no memory left for"];
    let cause = "oom-global";
    by(
        scene,
        judge,
        "eats-all",
        Signal::SIGKILL,
        from,
        cause,
        &chain,
    );
}

/// SIGTERM was sent before sigtrace was attached, and waits.
fn set_unseen(_: &Host) -> Result<Set> {
    let mut scene = Scene::kept()?;
    let pid = scene.spawn("owes", "TERM")?.host;
    ns::kill(pid, Signal::SIGTERM)?;
    Ok(Set::Ready(scene))
}

fn act_unseen(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let pid = scene.pid("owes");
    ns::kill(pid, Signal::SIGUSR1)?;
    wait_until_dead(pid)?;
    scene.clear()
}

fn unseen(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("owes");
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), pid)
        .fate("handled", None);
    judge
        .last_death("what was seen of it", pid)
        .field("/signal", "SIGTERM")
        .forced(false)
        .absent("/mechanism")
        .words(&["who sent it was not seen"])
        .chain(&["SIGTERM from an unseen sender"]);
    judge
        .death("the target", pid)
        .cause("unknown", "kill-syscall", 128 + TERM);
    judge.cleared(scene.pid1());
}
