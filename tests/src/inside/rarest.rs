//! Roles for what most machines never see: job control that stops, a counter that
//! traps, memory that is used up, a console that somebody holds. They introduce
//! themselves first, so that the play knows who dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process;

use anyhow::{bail, ensure, Context, Result};
use nix::pty;
use nix::sys::signal::{self, SigSet, Signal};
use nix::sys::termios::{self, LocalFlags, SetArg};
use nix::sys::wait::{self, WaitPidFlag, WaitStatus};
use nix::unistd::{self, Pid};

use super::doomed::prepare;
use super::tools;
use crate::sys::{self, rarest, Bell, Side};

/// The terminal of the machine's first virtual console.
pub(crate) const CONSOLE: &str = "/dev/tty1";

/// Plays one; false: there is no such role here.
pub(super) fn play(role: &str, words: &[&str]) -> Result<bool> {
    match (role, words) {
        ("jobs", [what]) => jobs(what)?,
        ("owes", [name]) => owes(tools::signal(name)?)?,
        ("is-counted", []) => {
            sys::default_action(Signal::SIGTRAP)?;
            prepare(role)?;
            let counter = rarest::trap_at_page_fault()?;
            // New memory, whose first use is a page fault.
            let pages = vec![1_u8; 1 << 20];
            drop((counter, std::hint::black_box(pages)));
        }
        ("eats-all", []) => {
            let mut bell = Bell::for_signals(&[Signal::SIGUSR1])?;
            prepare(role)?;
            bell.wait()?;
            rarest::use_up_memory()?;
        }
        ("oopses", []) => {
            prepare(role)?;
            rarest::return_to_nowhere();
        }
        ("holds-console", []) => {
            let _console = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOCTTY)
                .open(CONSOLE)
                .context(CONSOLE)?;
            prepare(role)?;
            tools::sleep_for_ever();
        }
        _ => return Ok(false),
    }
    bail!("{role} was to be killed")
}

/// Leads the session of a terminal that stops its child: that reads or writes in the
/// background, or Ctrl-Z is typed. Then it ends the child and itself.
fn jobs(what: &str) -> Result<()> {
    prepare("jobs")?;
    let pty = pty::openpty(None, None).context("openpty")?;
    unistd::setsid().context("setsid")?;
    sys::take_terminal(&pty.slave)?;
    if what == "writes" {
        let mut modes = termios::tcgetattr(&pty.slave).context("tcgetattr")?;
        modes.local_flags |= LocalFlags::TOSTOP;
        termios::tcsetattr(&pty.slave, SetArg::TCSANOW, &modes).context("tcsetattr")?;
    }
    let (mut ready, tells) = super::doomed::pipe()?;
    let child = match sys::fork()? {
        Side::Child => {
            drop((ready, pty.master));
            return job(what, pty.slave, tells);
        }
        Side::Parent(child) => child,
    };
    drop(tells);
    ready.read_to_end(&mut Vec::new())?;
    if what == "types" {
        // In the foreground, as a shell puts it there.
        unistd::tcsetpgrp(&pty.slave, child).context("tcsetpgrp")?;
        File::from(pty.master.try_clone()?).write_all(b"\x1a")?;
    }
    let status = wait::waitpid(child, Some(WaitPidFlag::WUNTRACED)).context("waitpid")?;
    ensure!(
        matches!(status, WaitStatus::Stopped(..)),
        "{status:?} instead of a stop"
    );
    signal::kill(child, Signal::SIGKILL).context("kill")?;
    wait::waitpid(child, None).context("waitpid")?;
    process::exit(0);
}

/// In a process group of its own, which is in the background.
fn job(what: &str, terminal: OwnedFd, tells: File) -> Result<()> {
    let own = Pid::from_raw(0);
    unistd::setpgid(own, own).context("setpgid")?;
    prepare("job")?;
    drop(tells);
    let mut terminal = File::from(terminal);
    match what {
        "reads" => drop(terminal.read(&mut [0])?),
        "writes" => terminal.write_all(b"?")?,
        _ => tools::sleep_for_ever(),
    }
    bail!("the terminal was to stop it")
}

/// Blocks a signal until it gets SIGUSR1, and has no handler for it.
fn owes(signal: Signal) -> Result<()> {
    let owed: SigSet = [signal].into_iter().collect();
    owed.thread_block()?;
    let mut bell = Bell::for_signals(&[Signal::SIGUSR1])?;
    prepare("owes")?;
    bell.wait()?;
    owed.thread_unblock()?;
    tools::sleep_for_ever();
}
