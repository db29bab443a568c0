//! Roles at a terminal: who types, closes it, gives it up or leads its session and ends.
//! They introduce themselves first, so that the play knows who dies.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process;

use anyhow::{bail, Context, Result};
use nix::pty::{self, OpenptyResult};
use nix::sys::signal::Signal;
use nix::sys::wait;
use nix::unistd::{self, Pid};

use super::doomed::{pipe, prepare};
use super::tools;
use crate::sys::{self, terminal, Side};

/// Plays one; false: there is no such role here.
pub(super) fn play(role: &str) -> Result<bool> {
    match role {
        // ^C, as a terminal emulator writes it.
        "types" => at_other_end(role, "typed", |pty| {
            File::from(pty.master.try_clone()?).write_all(b"\x03")?;
            Ok(Some(pty))
        })?,
        "asks" => at_other_end(role, "asked", |pty| {
            terminal::ask_for(&pty.master, Signal::SIGINT)?;
            Ok(Some(pty))
        })?,
        "puts-in" => at_other_end(role, "put-upon", |pty| {
            terminal::put_in(&pty.slave, 3)?;
            Ok(Some(pty))
        })?,
        "hangs-up" => at_other_end(role, "hung-up", |_| Ok(None))?,
        "abandons" => at_other_end(role, "abandoned", |_| process::exit(4))?,
        "leads" => leads(role, "led", |_| process::exit(5))?,
        "gives-up" => leads(role, "given-up", terminal::give_up)?,
        "shares" => is_hung_up(role)?,
        _ => return Ok(false),
    }
    bail!("{role} was to end before")
}

/// Its child leads the session of a terminal; what is done at the other end of
/// that ends the child.
fn at_other_end(
    role: &str,
    child: &str,
    act: impl Fn(OpenptyResult) -> Result<Option<OpenptyResult>>,
) -> Result<()> {
    prepare(role)?;
    let (mut read, write) = pipe()?;
    let pty = pty::openpty(None, None).context("openpty")?;
    if let Side::Child = sys::fork()? {
        drop((read, pty.master));
        unistd::setsid().context("setsid")?;
        sys::take_terminal(&pty.slave)?;
        prepare(child)?;
        drop(write);
        tools::sleep_for_ever();
    }
    drop(write);
    read.read_to_end(&mut Vec::new())?;
    let kept = act(pty)?;
    wait::wait().context("wait")?;
    drop(kept);
    process::exit(0);
}

/// Leads the session; its child is alone in the foreground. Both hold the other end, so
/// that the end of neither closes that while the other one uses the terminal.
fn leads(role: &str, child: &str, act: impl Fn(&OwnedFd) -> Result<()>) -> Result<()> {
    prepare(role)?;
    let (mut read, write) = pipe()?;
    let pty = pty::openpty(None, None).context("openpty")?;
    unistd::setsid().context("setsid")?;
    sys::take_terminal(&pty.slave)?;
    let led = match sys::fork()? {
        Side::Child => {
            drop((read, pty.slave));
            let own = Pid::from_raw(0);
            unistd::setpgid(own, own).context("setpgid")?;
            prepare(child)?;
            drop(write);
            tools::sleep_for_ever();
        }
        Side::Parent(led) => led,
    };
    drop(write);
    read.read_to_end(&mut Vec::new())?;
    unistd::tcsetpgrp(&pty.slave, led).context("tcsetpgrp")?;
    act(&pty.slave)?;
    wait::wait().context("wait")?;
    process::exit(0);
}

/// Leads the session of a terminal that its child, a group of its own, hangs up.
fn is_hung_up(role: &str) -> Result<()> {
    let pty = pty::openpty(None, None).context("openpty")?;
    unistd::setsid().context("setsid")?;
    sys::take_terminal(&pty.slave)?;
    prepare(role)?;
    if let Side::Child = sys::fork()? {
        let own = Pid::from_raw(0);
        unistd::setpgid(own, own).context("setpgid")?;
        prepare("vhangs")?;
        terminal::vhangup()?;
        process::exit(0);
    }
    tools::sleep_for_ever();
}
