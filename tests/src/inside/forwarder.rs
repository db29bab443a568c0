//! `forwarder SIGNAL wait|leave ROLE [ARGUMENTS]`: a PID 1 with one child; on
//! SIGTERM it sends SIGNAL to that child and then waits for it, or exits at once.

use std::io::Read;
use std::process;

use anyhow::{bail, Context, Result};
use nix::sys::signal::{self, Signal};
use nix::sys::wait;
use nix::unistd;

use super::{role, tools};
use crate::sys::{self, Bell, Side};

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let [send, then, role, arguments @ ..] = words else {
        bail!("forwarder SIGNAL wait|leave ROLE [ARGUMENTS]");
    };
    let send = tools::signal(send)?;
    // What the child does with the signal shall not depend on who runs first:
    // the child lets go of this pipe once its handler has run.
    let (began, holds) = unistd::pipe().context("pipe")?;
    tools::set_name(b"forwarder")?;
    let child = match sys::fork()? {
        Side::Child => {
            drop(began);
            return if *role == "slow" {
                role::slow(arguments, holds)
            } else {
                drop(holds);
                role::play(role, arguments)
            };
        }
        Side::Parent(child) => child,
    };
    drop(holds);
    let mut bell = Bell::for_signals(&[Signal::SIGTERM])?;
    tools::say("ready")?;
    bell.wait()?;
    signal::kill(child, send).context("sending it on")?;
    if *then == "wait" {
        wait::waitpid(child, None).context("waiting for the child")?;
    } else {
        std::fs::File::from(began).read_to_end(&mut Vec::new())?;
    }
    process::exit(0);
}
