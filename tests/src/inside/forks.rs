//! Roles whose forks the kernel rejects. Each introduces itself, fills what there is
//! to be filled, and says what its last fork failed with (`failed ERRNO`).

use std::fs;
use std::hint;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{bail, Context, Result};
use nix::sched::{self, CloneFlags};
use nix::sys::resource::{self, Resource};
use nix::sys::wait::{self, Id, WaitPidFlag};
use nix::unistd::{self, Uid};

use super::tools;
use crate::sys::{self, Side};

/// Tasks that the control group may have.
pub(crate) const TASKS: u64 = 4;
/// A user who has nothing else.
pub(crate) const USER: u32 = 61_234;
/// More forks than any limit here allows.
const TRIES: usize = 400;
/// The lowest value that the kernel takes: `RESERVED_PIDS` + 1.
pub(crate) const PID_MAX: u64 = 301;
pub(crate) const PID_MAX_FILE: &str = "/proc/sys/kernel/pid_max";
const OVERCOMMIT_FILE: &str = "/proc/sys/vm/overcommit_memory";

/// Plays one; false: there is no such role here.
pub(super) fn play(words: &[&str]) -> Result<bool> {
    match words {
        ["full-group", place] => {
            begin("full-group")?;
            let group = group(&own_pid()?);
            fs::create_dir(&group).context("a control group")?;
            fs::write(group.join("pids.max"), TASKS.to_string())?;
            let inside = if *place == "around" {
                fs::write(group.join("cgroup.subtree_control"), "+pids")?;
                let inner = group.join("inner");
                fs::create_dir(&inner)?;
                inner
            } else {
                group
            };
            fs::write(inside.join("cgroup.procs"), "0").context("entering it")?;
        }
        ["full-user"] => {
            begin("full-user")?;
            resource::setrlimit(Resource::RLIMIT_NPROC, 1, 1)?;
            unistd::setuid(Uid::from_raw(USER)).context("setuid")?;
        }
        // The play sets it back, once sigtrace has looked.
        ["full-pids"] => {
            begin("full-pids")?;
            fs::write(PID_MAX_FILE, PID_MAX.to_string()).context(PID_MAX_FILE)?;
        }
        ["full-memory"] => {
            begin("full-memory")?;
            let failed = failing_for_memory()?;
            tools::say(&format!("failed {failed}"))?;
            tools::sleep_for_ever();
        }
        _ => return Ok(false),
    }
    tools::say(&format!("failed {}", until_it_fails()?))?;
    tools::sleep_for_ever();
}

/// Forks under strict accounting, where a private mapping counts as soon as it is there,
/// and a child would have it once more. Not a moment longer than it takes, because
/// everybody else is under it, too.
fn failing_for_memory() -> Result<i32> {
    let before = fs::read_to_string(OVERCOMMIT_FILE).context(OVERCOMMIT_FILE)?;
    fs::write(OVERCOMMIT_FILE, "2").context(OVERCOMMIT_FILE)?;
    let failed = most_of_the_rest().and_then(|memory| {
        let failed = until_it_fails();
        drop(hint::black_box(memory));
        failed
    });
    fs::write(OVERCOMMIT_FILE, before.trim()).context(OVERCOMMIT_FILE)?;
    failed
}

/// Maps so much that it goes once into what may still be promised, and not twice.
fn most_of_the_rest() -> Result<Vec<u8>> {
    let said = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()
    };
    let (Some(limit), Some(promised)) = (field("CommitLimit:"), field("Committed_AS:")) else {
        bail!("/proc/meminfo does not tell what may be promised");
    };
    let rest = limit.saturating_sub(promised) << 10;
    let mut memory = Vec::new();
    memory.try_reserve_exact(rest / 10 * 6)?;
    Ok(hint::black_box(memory))
}

/// The PID namespace of children to come; nobody is in it yet.
pub(super) fn unshare() -> Result<()> {
    sched::unshare(CloneFlags::CLONE_NEWPID).context("unshare")?;
    tools::say("unshared")
}

/// Its first process ends, and then there can be no other.
pub(super) fn outlive() -> Result<()> {
    match sys::fork()? {
        Side::Child => process::exit(0),
        Side::Parent(child) => wait::waitpid(child, None)?,
    };
    tools::say(&format!("failed {}", until_it_fails()?))
}

/// The control group of the role `full-group`, by its pid on the host.
pub(crate) fn group(pid: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(format!("full-{pid}"))
}

fn begin(role: &str) -> Result<()> {
    tools::set_name(role.as_bytes())?;
    tools::introduce(role)
}

/// /proc is the host's.
fn own_pid() -> Result<String> {
    let own = fs::read_link("/proc/self").context("readlink /proc/self")?;
    Ok(own.display().to_string())
}

/// Children end at once and stay zombies.
fn until_it_fails() -> Result<i32> {
    for _ in 0..TRIES {
        match sys::fork() {
            Ok(Side::Child) => process::exit(0),
            // It is dead before the next one is tried.
            Ok(Side::Parent(child)) => {
                let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
                wait::waitid(Id::Pid(child), flags)?;
            }
            Err(error) => {
                let errno = error.downcast_ref::<nix::Error>().context("no errno")?;
                return Ok(*errno as i32);
            }
        }
    }
    bail!("nothing limits forks here")
}
