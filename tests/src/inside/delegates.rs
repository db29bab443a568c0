//! `delegates SIGNAL self|child`: a supervisor with one child. Asked to end by SIGTERM, it
//! sends SIGNAL to that, itself or by a child that it makes for it, as a shell's trap does
//! that runs kill(1). It ends as a shell does, with 128 + n, when its child was ended by
//! signal n.

use std::process;

use anyhow::{bail, Context, Result};
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{self, WaitStatus};

use super::{role, tools};
use crate::sys::{self, Bell, Side};

pub(super) fn run(signal: &str, by: &str) -> Result<()> {
    let send = tools::signal(signal)?;
    let mut bell = Bell::for_signals(&[Signal::SIGTERM, Signal::SIGCHLD])?;
    tools::set_name(b"delegates")?;
    tools::introduce("delegates")?;
    let Side::Parent(child) = sys::fork()? else {
        sys::default_action(Signal::SIGTERM)?;
        return role::asleep("supervised");
    };
    if bell.wait()? == Signal::SIGTERM as i32 {
        match by {
            "self" => signal::kill(child, send).context("kill")?,
            _ => {
                let Side::Parent(sender) = sys::fork()? else {
                    tools::set_name(b"sends")?;
                    tools::introduce("sends")?;
                    signal::kill(child, send).context("kill")?;
                    process::exit(0);
                };
                wait::waitpid(sender, None).context("waiting for the sender")?;
            }
        }
    }
    match wait::waitpid(child, None).context("waiting for the child")? {
        WaitStatus::Signaled(_, signal, _) => process::exit(128 + signal as i32),
        other => bail!("the child ended with {other:?}"),
    }
}
