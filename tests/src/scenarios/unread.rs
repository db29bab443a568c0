//! Nobody reads what sigtrace writes: asked to end it waits for its reader and says so;
//! asked once more it ends at once.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::fcntl::{fcntl, FcntlArg};
use nix::sys::signal::Signal;

use super::{takes_turns, Outcome, Scenario, Stage};
use crate::stage::ns::{self, Ns};

/// The smallest pipe there is, in bytes (fcntl(2), F_SETPIPE_SZ).
const PIPE: i32 = 4096;
/// Their lives fill more than that.
const SLEEPERS: usize = 12;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![takes_turns("unread", unread)]
}

fn unread(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["keeper"])?;
    let ino = ns.ino.to_string();
    let mut sigtrace = Command::new(&stage.host.sigtrace)
        .args(["--hooks", &stage.host.hooks, "--pidns", &ino, "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start sigtrace")?;
    let stdout = sigtrace.stdout.take().context("its stdout")?;
    fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(PIPE)).context("F_SETPIPE_SZ")?;
    let mut stdout = BufReader::with_capacity(1, stdout);
    let mut line = String::new();
    stdout.read_line(&mut line).context("its first line")?;
    for _ in 0..SLEEPERS {
        ns.spawn("sleeper", "")?;
    }
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    let mut errors = BufReader::new(sigtrace.stderr.take().context("its stderr")?);
    let mut said = || -> Result<String> {
        ns::kill(sigtrace.id(), Signal::SIGINT)?;
        let mut line = String::new();
        errors.read_line(&mut line).context("its stderr")?;
        Ok(line)
    };
    // It says that two seconds after it was asked, and what comes then is the second time.
    let lines = [said()?, said()?];
    let status = sigtrace.wait()?;
    let mut faults = Vec::new();
    for (line, words) in lines
        .iter()
        .zip(["nobody reads its output", "ended at once"])
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
