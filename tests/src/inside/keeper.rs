//! `keeper`: a PID 1 that does what the play tells it, a line at a time: `spawn
//! ROLE …`, `reap`, `timer SIGNAL` (which runs out at once), `unshare` and `outlive` (see `forks`), `again PID HOSTPID ROLE …` (a child with these pids).

use anyhow::{bail, Context, Result};
use nix::sys::wait;

use super::{role, tools};
use crate::sys::{self, rare, Side};

pub(crate) fn run() -> Result<()> {
    tools::set_name(b"keeper")?;
    tools::say("ready")?;
    while let Some(line) = tools::hear()? {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["spawn", role, arguments @ ..] => {
                if let Side::Child = sys::fork()? {
                    return role::play(role, arguments);
                }
            }
            ["unshare"] => super::forks::unshare()?,
            ["timer", signal] => {
                // It is there as long as this process is.
                rare::Timer::new(tools::signal(signal)?)?.once()?;
            }
            ["outlive"] => super::forks::outlive()?,
            ["reap"] => {
                let ended = wait::wait().context("wait")?;
                let pid = ended.pid().context("a child")?;
                tools::say(&format!("reaped {pid}"))?;
            }
            ["again", pid, host_pid, role, arguments @ ..] => {
                if let Side::Child = sys::fork_as(&[pid.parse()?, host_pid.parse()?])? {
                    return role::play(role, arguments);
                }
            }
            other => bail!("the keeper does not know {other:?}"),
        }
    }
    Ok(())
}
