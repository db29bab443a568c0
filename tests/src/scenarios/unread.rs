//! Nobody reads what sigtrace writes: asked to end it waits for its reader and says so;
//! asked once more it ends at once.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use anyhow::{ensure, Context, Result};
use nix::fcntl::{fcntl, FcntlArg};
use nix::poll::{poll, PollFd, PollFlags};
use nix::sys::signal::Signal;

use super::{takes_turns, Outcome, Scenario, Stage};
use crate::stage::ns::{self, Ns};

/// The smallest pipe there is, in bytes (fcntl(2), F_SETPIPE_SZ).
const PIPE: i32 = 4096;
/// Their lives fill more than that.
const SLEEPERS: usize = 12;

/// How long it may take to say something, in milliseconds: 30 s.
const LIMIT: u16 = 30_000;

/// A process that does not outlive the scenario.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![takes_turns("unread", unread)]
}

fn unread(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["keeper"])?;
    let ino = ns.ino.to_string();
    let sigtrace = Command::new(&stage.host.sigtrace)
        .args(["--hooks", &stage.host.hooks, "--pidns", &ino, "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start sigtrace")?;
    let mut sigtrace = Ended(sigtrace);
    let stdout = sigtrace.0.stdout.take().context("its stdout")?;
    fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(PIPE)).context("F_SETPIPE_SZ")?;
    let mut stdout = BufReader::with_capacity(1, stdout);
    let mut line = String::new();
    stdout.read_line(&mut line).context("its first line")?;
    for _ in 0..SLEEPERS {
        ns.spawn("sleeper", "")?;
    }
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    let mut errors = BufReader::new(sigtrace.0.stderr.take().context("its stderr")?);
    let mut said = || -> Result<String> {
        ns::kill(sigtrace.0.id(), Signal::SIGINT)?;
        let mut ready = [PollFd::new(errors.get_ref().as_fd(), PollFlags::POLLIN)];
        ensure!(poll(&mut ready, LIMIT)? == 1, "it says nothing");
        let mut line = String::new();
        errors.read_line(&mut line).context("its stderr")?;
        Ok(line)
    };
    // It says that two seconds after it was asked, and what comes then is the second time.
    let lines = [said()?, said()?];
    let status = sigtrace.0.wait()?;
    let mut faults = Vec::new();
    for (line, words) in lines
        .iter()
        .zip(["read slowly, or by nobody", "ended at once"])
    {
        if !line.contains(words) {
            faults.push(format!("it did not say \"{words}\": {line}"));
        }
    }
    if status.code() != Some(1) {
        faults.push(format!("it ended with {status}"));
    }
    Ok(Outcome::of(faults, &lines))
}
