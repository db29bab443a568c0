//! `nest`: a PID 1 whose child is the PID 1 of a namespace inside, which has a
//! child of its own. SIGTERM makes the outer one exit.

use std::process;

use anyhow::{Context, Result};
use nix::sched::{self, CloneFlags};
use nix::sys::signal::Signal;

use super::{role, tools};
use crate::sys::{self, Bell, Side};

pub(crate) fn run() -> Result<()> {
    tools::set_name(b"outer")?;
    sched::unshare(CloneFlags::CLONE_NEWPID).context("unshare")?;
    if let Side::Child = sys::fork()? {
        if let Side::Child = sys::fork()? {
            return role::asleep("innermost");
        }
        return role::asleep("inner");
    }
    let mut bell = Bell::for_signals(&[Signal::SIGTERM])?;
    tools::say("ready")?;
    bell.wait()?;
    process::exit(0);
}
