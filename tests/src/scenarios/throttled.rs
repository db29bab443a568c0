//! Processes that get no CPU: their control group has used up its quota, or another
//! process has the CPU. In a guest only: elsewhere the tree of control groups is the
//! machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::mount::{self, MsFlags};
use nix::sched::{self, CpuSet};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::held::remove;
use super::{play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;
use crate::sys;

const USR1: i32 = Signal::SIGUSR1 as i32;
const USR2: i32 = Signal::SIGUSR2 as i32;
const TERM: i32 = Signal::SIGTERM as i32;
const GROUPS: &str = "/sys/fs/cgroup";
/// As long as periods can be: nothing runs for nearly all of it.
const SELDOM: &str = "20000 1000000";
const OFTEN: &str = "10000 100000";
/// A group that has not run for so long has no CPU time left, and will have none for
/// most of a period.
const STILL: Duration = Duration::from_millis(60);

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
        shared(
            "not-scheduled",
            |host| set(host, &["keeper"]),
            act_starved,
            starved,
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
    Ns::new(words).map(Scene::new).map(Set::Ready)
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

/// From now on it runs on this CPU only.
fn pin(pid: u32, cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched::sched_setaffinity(Pid::from_raw(pid.try_into()?), &set).context("sched_setaffinity")
}

fn last_cpu() -> Result<usize> {
    let allowed = sched::sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
    let last = (0..CpuSet::count()).rfind(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    last.context("no CPU at all")
}

/// sigtrace has come to what happens now: from here on its looks are in time. Right
/// after its start they need not be.
fn awake(sigtrace: &Sigtrace, pid: u32) -> Result<()> {
    ns::kill(pid, Signal::SIGUSR2)?;
    told(sigtrace, pid, &[r#""name":"SIGUSR2""#])
}

/// A line about a signal that this process got.
fn told(sigtrace: &Sigtrace, pid: u32, words: &[&str]) -> Result<()> {
    let target = format!(r#""target":{{"pid":{pid},"#);
    sigtrace.wait_for(&[&[&*target], words].concat())
}

/// One that always wants to run has used up what both may.
fn act_pending(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("handles", "USR1 USR2")?.host;
    let spins = scene.spawn("spins", "")?.host;
    let cpu = last_cpu()?;
    pin(pid, cpu)?;
    pin(spins, cpu)?;
    awake(sigtrace, pid)?;
    scene.ns.pid1.hear("rang-12")?;
    let group = limited(&format!("short-{pid}"), SELDOM, &[pid, spins])?;
    until("its first period without", || {
        Ok((stat(&group, "nr_throttled ")? > 0).then_some(()))
    })?;
    // The end of its part of a period.
    until("an end of its time", || {
        let before = stat(&group, "usage_usec ")?;
        std::thread::sleep(STILL);
        Ok((stat(&group, "usage_usec ")? == before).then_some(()))
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
    scene.clear()?;
    // Its group is there until then, as that of a container is for a while.
    told(sigtrace, pid, &[r#""name":"SIGKILL""#])?;
    remove(&[&group])
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

/// The CPU is another's, who is served first: a real-time process.
fn act_starved(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let pid = scene.spawn("handles", "USR1 USR2")?.host;
    let spins = scene.spawn("spins", "")?.host;
    let cpu = last_cpu()?;
    pin(pid, cpu)?;
    pin(spins, cpu)?;
    awake(sigtrace, pid)?;
    scene.ns.pid1.hear("rang-12")?;
    let alone = Alone::on(cpu)?;
    sys::rare::make_real_time(spins.try_into()?)?;
    ns::kill(pid, Signal::SIGUSR1)?;
    // Whatever comes of it, the CPU is given back.
    let told = sigtrace.wait_for(&["SIGUSR1 has waited for", STARVED]);
    ns::kill(spins, Signal::SIGKILL)?;
    alone.end()?;
    told?;
    scene.ns.pid1.hear("rang-10")?;
    scene.clear()
}

const STARVED: &str = "it did not run at all";

/// Real-time processes get all of a CPU: else a twentieth of each second is left to
/// others, by `sched_rt_runtime_us` and since 6.12 by a server for them.
struct Alone {
    /// What stood in which file.
    before: Vec<(PathBuf, String)>,
}

impl Alone {
    fn on(cpu: usize) -> Result<Self> {
        let mut alone = Self { before: Vec::new() };
        alone.set(Path::new("/proc/sys/kernel/sched_rt_runtime_us"), "-1")?;
        let debug = std::env::temp_dir().join(format!("debugfs-{}", std::process::id()));
        fs::create_dir_all(&debug)?;
        mount::mount(
            Some("debugfs"),
            &debug,
            Some("debugfs"),
            MsFlags::empty(),
            None::<&str>,
        )
        .context("mounting debugfs")?;
        let server = debug.join(format!("sched/fair_server/cpu{cpu}/runtime"));
        let set = match server.is_file() {
            true => alone.set(&server, "0"),
            false => Ok(()),
        };
        set.map(|()| alone)
    }

    fn set(&mut self, file: &Path, value: &str) -> Result<()> {
        let before = fs::read_to_string(file)?;
        fs::write(file, value).with_context(|| format!("{value} to {}", file.display()))?;
        self.before
            .push((file.to_owned(), before.trim().to_owned()));
        Ok(())
    }

    fn end(self) -> Result<()> {
        for (file, value) in self.before.iter().rev() {
            fs::write(file, value).with_context(|| format!("{value} to {}", file.display()))?;
        }
        let debug = std::env::temp_dir().join(format!("debugfs-{}", std::process::id()));
        mount::umount(&debug).context("unmounting debugfs")?;
        fs::remove_dir(&debug).context("removing its folder")
    }
}

fn starved(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid, spins) = (scene.pid("handles"), scene.pid("spins"));
    let from = From::Process(play());
    judge
        .signal("SIGUSR2", USR2, from, pid)
        .fate("handled", None);
    judge
        .signal("SIGUSR1", USR1, from, pid)
        .fate_meanwhile("pending", "not-scheduled")
        .said_meanwhile(&["the process is runnable and gets no CPU (state R)", STARVED])
        .fate("handled", None);
    judge
        .signal("SIGKILL to the other", libc::SIGKILL, from, spins)
        .fate("fatal", None);
    judge
        .death("the other", spins)
        .cause("killed-by-process", "kill-syscall", 137);
    judge.cleared(scene.pid1());
    judge.zapped("the target", pid, scene.pid1());
}
