//! Processes whose control group has used up its CPU quota. In a guest only: elsewhere
//! the tree of control groups is the machine's. One whose CPU is another's is in
//! [`super::starved`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::held::remove;
use super::starved::{on_one_cpu, told};
use super::{play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;

const USR1: i32 = Signal::SIGUSR1 as i32;
const USR2: i32 = Signal::SIGUSR2 as i32;
const TERM: i32 = Signal::SIGTERM as i32;
const GROUPS: &str = "/sys/fs/cgroup";
/// As long as periods can be: nothing runs for nearly all of it.
const SELDOM: &str = "20000 1000000";
const OFTEN: &str = "10000 100000";
/// The group of [`keep_a_quota`].
const KEPT: &str = "quota-of-nobody";
/// A group that has not run for so long, on a CPU that had time, has no CPU time left, and
/// will have none for most of a period.
const STILL: Duration = Duration::from_millis(60);
/// So much of that the CPU was idle, in ticks of 10 ms: a virtual one that stood still
/// itself was not.
const IDLE: u64 = 4;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared(
            "throttled-pending",
            |host| set(host, &["keeper"]),
            act_pending,
            pending,
        ),
        shared(
            "throttled-stop",
            |host| set(host, &["works"]),
            act_stop,
            stop,
        ),
    ]
}

fn set(host: &Host, words: &[&str]) -> Result<Set> {
    if !host.guest {
        return Ok(Set::Skip(
            "control groups are the whole machine's, so only in a guest".into(),
        ));
    }
    let controllers = fs::read_to_string(format!("{GROUPS}/cgroup.controllers"))?;
    if !controllers.split_whitespace().any(|name| name == "cpu") {
        return Ok(Set::Skip(
            "this kernel's cgroup v2 has no cpu controller".into(),
        ));
    }
    keep_a_quota()?;
    Ns::new(words).map(Scene::new).map(Set::Ready)
}

/// A quota of nobody, from before anything is busy until the last of these has ended. The
/// kernel rewrites its scheduler when the first quota is set and when the last is gone,
/// and CPUs that run it meanwhile may be emulated wrongly (QEMU before 8.1).
fn keep_a_quota() -> Result<()> {
    let group = Path::new(GROUPS).join(KEPT);
    if !group.exists() {
        limited(KEPT, OFTEN, &[])?;
    }
    Ok(())
}

/// A control group with this quota, and these in it.
fn limited(name: &str, max: &str, pids: &[u32]) -> Result<PathBuf> {
    fs::write(format!("{GROUPS}/cgroup.subtree_control"), "+cpu")
        .context("enabling the cpu controller")?;
    let group = Path::new(GROUPS).join(name);
    fs::create_dir(&group).with_context(|| format!("a control group {name}"))?;
    fs::write(group.join("cpu.max"), max)?;
    for pid in pids {
        fs::write(group.join("cgroup.procs"), pid.to_string())?;
    }
    Ok(group)
}

/// A line of its `cpu.stat`.
fn stat(group: &Path, name: &str) -> Result<u64> {
    let text = fs::read_to_string(group.join("cpu.stat"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.trim().parse().ok())
        .with_context(|| format!("{name} in cpu.stat"))
}

/// How long a CPU was idle so far, in ticks of 10 ms (proc_stat(5)).
fn idle(cpu: usize) -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{cpu} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    let ticks = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    ticks.with_context(|| format!("{name}in /proc/stat"))
}

/// One that always wants to run has used up what both may.
fn act_pending(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let (pid, spins, cpu) = on_one_cpu(scene, sigtrace)?;
    let group = limited(&format!("short-{pid}"), SELDOM, &[pid, spins])?;
    until("its first period without", || {
        Ok((stat(&group, "nr_throttled ")? > 0).then_some(()))
    })?;
    // The end of its part of a period.
    until("an end of its time", || {
        let before = (stat(&group, "usage_usec ")?, idle(cpu)?);
        std::thread::sleep(STILL);
        let still = stat(&group, "usage_usec ")? == before.0;
        Ok((still && idle(cpu)? >= before.1 + IDLE).then_some(()))
    })?;
    ns::kill(pid, Signal::SIGUSR1)?;
    told(sigtrace, pid, &[r#""reason":"throttled""#])?;
    fs::write(group.join("cpu.max"), "max")?;
    scene.ns.pid1.hear("rang-10")?;
    scene.clear()?;
    remove(&[&group])
}

fn pending(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, spins) = (scene.pid("handles"), scene.pid("spins"));
    judge
        .signal("SIGUSR2", USR2, From::Process(play()), pid)
        .fate("handled", None);
    judge
        .signal("SIGUSR1", USR1, From::Process(play()), pid)
        .fate_meanwhile("pending", "throttled")
        .said_meanwhile(&[
            &format!("the control group /short-{pid} had used up its CPU quota"),
            "(20.0 ms of CPU time in each 1.0 s)",
        ])
        .fate("handled", None);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
    judge.zapped("the other", spins, scene.pid1());
}

/// PID 1 acts on SIGTERM, has much to do, and next to no CPU time for it.
fn act_stop(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.pid1();
    let group = limited(&format!("slow-{pid}"), OFTEN, &[pid])?;
    ns::kill(pid, Signal::SIGTERM)?;
    scene.ns.pid1.hear("works")?;
    told(
        sigtrace,
        pid,
        &[r#""name":"SIGTERM""#, r#""fate":"handled""#],
    )?;
    let before = stat(&group, "nr_throttled ")?;
    until("some periods without", || {
        Ok((stat(&group, "nr_throttled ")? >= before + 7).then_some(()))
    })?;
    // sigtrace comes to it when the process is gone. Its group is still there, as that of
    // a container is for a while.
    ns::kill(sigtrace.pid(), Signal::SIGSTOP)?;
    let cleared = scene.clear();
    ns::kill(sigtrace.pid(), Signal::SIGCONT)?;
    cleared?;
    told(sigtrace, pid, &[r#""name":"SIGKILL""#])?;
    // A hierarchy of cgroup v1 is mounted by others, which takes that there are no groups.
    remove(&[&group, &Path::new(GROUPS).join(KEPT)])
}

fn stop(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid1();
    judge
        .signal("SIGTERM", TERM, From::Process(play()), pid)
        .fate("handled", None);
    judge
        .last_death("what it lacked", pid)
        .has("/contributing", "throttled")
        .field("/throttled/cgroup", &format!("/slow-{pid}"))
        .is("/throttled/cgroup_version", &2.into())
        .is("/throttled/quota_us", &10_000.into())
        .is("/throttled/period_us", &100_000.into())
        .within("/throttled/throttled_periods", 5..100)
        .within("/throttled/throttled_us", 100_000..10_000_000)
        .within("/throttled/measured_us", 300_000..20_000_000)
        .words(&[
            "had handled SIGTERM",
            "had used up its CPU quota (10.0 ms of CPU time in each 100 ms)",
        ])
        .advises("more CPU");
    judge.cleared(pid);
}
