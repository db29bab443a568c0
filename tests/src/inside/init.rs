//! PID 1s with and without a handler, and who sends them signals from inside.

use std::env;
use std::process::{self, Command};

use anyhow::{bail, Context, Result};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{role, tools};
use crate::sys::{self, Bell, Side};

/// `c-init-sig [N] [--hold]`: has N children that sleep; SIGTERM makes it exit
/// with status 0, with `--hold` only once the play allows it.
pub(crate) fn c_init_sig(words: &[&str]) -> Result<()> {
    tools::set_name(b"c-init-sig")?;
    let hold = words.contains(&"--hold");
    let children = words.first().map_or(Ok(1), |n| n.parse())?;
    // The handler comes after the children: they keep the default.
    fork_sleepers(children)?;
    let mut bell = Bell::for_signals(&[Signal::SIGTERM])?;
    tools::say("ready")?;
    bell.wait()?;
    if hold {
        tools::say("got")?;
        tools::hear()?;
    }
    process::exit(0);
}

/// `c-init-nosig [N]`: no handler at all.
pub(crate) fn c_init_nosig(words: &[&str]) -> Result<()> {
    tools::set_name(b"c-init-nosig")?;
    fork_sleepers(words.first().map_or(Ok(0), |n| n.parse())?)?;
    tools::say("ready")?;
    tools::sleep_for_ever();
}

/// `works`: once it gets SIGTERM it has more to do than it ever gets done.
pub(crate) fn works() -> Result<()> {
    tools::set_name(b"works")?;
    let mut bell = Bell::for_signals(&[Signal::SIGTERM])?;
    tools::say("ready")?;
    bell.wait()?;
    tools::say("works")?;
    loop {
        std::hint::spin_loop();
    }
}

fn fork_sleepers(count: u32) -> Result<()> {
    for _ in 0..count {
        if let Side::Child = sys::fork()? {
            return role::asleep("child");
        }
    }
    Ok(())
}

/// `send SIGNAL PID`: `kill` from inside, as by `docker exec`. Says who it is
/// first, and is told when to go.
pub(crate) fn send(words: &[&str]) -> Result<()> {
    let [name, pid] = words else {
        bail!("send SIGNAL PID");
    };
    tools::set_name(b"send")?;
    tools::introduce("send")?;
    tools::hear()?;
    let number = tools::signal(name)? as i32;
    let found = sys::kill_number(pid.parse().context("a pid")?, number)?;
    process::exit(i32::from(!found));
}

/// `deep N WORDS…`: another of our programs with so many more parents, who wait for it.
pub(crate) fn deep(levels: u32, words: &[&str]) -> Result<()> {
    let deeper = levels.checked_sub(1).map(|levels| levels.to_string());
    let begin: Vec<&str> = deeper.iter().flat_map(|levels| ["deep", levels]).collect();
    let program = env::current_exe().context("the name of this program")?;
    let mut child = Command::new(program)
        .arg("inside")
        .args(begin.iter().chain(words))
        .spawn()
        .context("another one")?;
    let status = child.wait().context("waiting for it")?;
    process::exit(i32::from(!status.success()));
}

/// `debug PID`: traces a process, which is to die with it, and ends. Is told when.
pub(crate) fn debug(pid: i32) -> Result<()> {
    tools::set_name(b"debug")?;
    tools::introduce("debug")?;
    tools::hear()?;
    ptrace::seize(Pid::from_raw(pid), ptrace::Options::PTRACE_O_EXITKILL)
        .context("PTRACE_SEIZE")?;
    process::exit(0);
}

/// `watch PID`: traces a process, which goes on as before, until it is told to end.
pub(crate) fn watch(pid: i32) -> Result<()> {
    tools::set_name(b"watch")?;
    tools::introduce("watch")?;
    ptrace::seize(Pid::from_raw(pid), ptrace::Options::empty()).context("PTRACE_SEIZE")?;
    tools::say("watching")?;
    tools::hear()?;
    process::exit(0);
}
