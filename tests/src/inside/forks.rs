//! Roles whose forks the kernel rejects. Each introduces itself, fills what there is
//! to be filled, and says what its last fork failed with (`failed ERRNO`).

use std::fs;
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
const TRIES: usize = 64;

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
        _ => return Ok(false),
    }
    tools::say(&format!("failed {}", until_it_fails()?))?;
    tools::sleep_for_ever();
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
