//! Roles that send signals which the kernel refuses: `tries CALL SIGNAL PID AS`
//! introduces itself, becomes what it is to be, asks whether the process is there
//! (signal 0, which is never reported), and calls once; then it says what came of it
//! (`tried ERRNO`).

use anyhow::{bail, Context, Result};
use nix::unistd::{self, Uid};

use super::{role, tools};
use crate::sys;

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

/// Plays one; false: there is no such role here.
pub(super) fn play(words: &[&str]) -> Result<bool> {
    match words {
        ["tries", call, number, pid, who] => {
            tools::set_name(b"tries")?;
            tools::introduce("tries")?;
            become_(who)?;
            let (number, pid) = (number.parse()?, pid.parse()?);
            sys::call_kill(pid, 0);
            let error = attempt(call, number, pid)?;
            tools::say(&format!("tried {error}"))?;
            tools::sleep_for_ever();
        }
        // Plays another role as somebody who owns nothing.
        ["as-nobody", role, rest @ ..] => {
            become_("nobody")?;
            role::play(role, rest)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn become_(who: &str) -> Result<()> {
    match who {
        "root" => Ok(()),
        "nobody" => unistd::setuid(Uid::from_raw(NOBODY)).context("setuid"),
        "confined" => sys::scope_signals(),
        other => bail!("nobody is {other}"),
    }
}

/// What it failed with; 0: it did not.
fn attempt(call: &str, number: i32, pid: i32) -> Result<i32> {
    Ok(match call {
        "kill" => sys::call_kill(pid, number),
        "twice" => {
            sys::call_kill(pid, number);
            sys::call_kill(pid, number)
        }
        // A thread that no process has.
        "tgkill" => sys::call_tgkill(pid, i32::MAX, number),
        "tkill" => sys::call_tkill(pid, number),
        // With the siginfo of kill(2).
        "queue" => sys::call_sigqueueinfo(pid, number, 0),
        "pidfd" => sys::call_pidfd_of_proc(pid, number)?,
        other => bail!("no call {other}"),
    })
}
