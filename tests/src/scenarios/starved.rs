//! A process that is runnable and gets no CPU, because a real-time process has it. In a
//! guest only: elsewhere the machine's own programs could need that CPU.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{self, MsFlags};
use nix::sched::{self, CpuSet};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{play, shared, Scenario, Scene, Set};
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::ns;
use crate::stage::sigtrace::Sigtrace;
use crate::sys;

const USR1: i32 = Signal::SIGUSR1 as i32;
const USR2: i32 = Signal::SIGUSR2 as i32;
const STARVED: &str = "it did not run at all";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![shared("not-scheduled", set, act, starved)]
}

fn set(host: &Host) -> Result<Set> {
    if !host.guest {
        return Ok(Set::Skip(
            "it takes all of a CPU, so only in a guest".into(),
        ));
    }
    Scene::kept().map(Set::Ready)
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
pub(super) fn told(sigtrace: &Sigtrace, pid: u32, words: &[&str]) -> Result<()> {
    let target = format!(r#""target":{{"pid":{pid},"#);
    sigtrace.wait_for(&[&[&*target], words].concat())
}

/// One that handles and one that always wants to run, on one CPU, and which that is.
pub(super) fn on_one_cpu(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<(u32, u32, usize)> {
    let pid = scene.spawn("handles", "USR1 USR2")?.host;
    let spins = scene.spawn("spins", "")?.host;
    let cpu = last_cpu()?;
    pin(pid, cpu)?;
    pin(spins, cpu)?;
    awake(sigtrace, pid)?;
    scene.ns.pid1.hear("rang-12")?;
    Ok((pid, spins, cpu))
}

/// The CPU is another's, who is served first: a real-time process.
fn act(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let (pid, spins, cpu) = on_one_cpu(scene, sigtrace)?;
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
