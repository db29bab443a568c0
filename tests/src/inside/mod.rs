//! The programs that run inside the namespaces, all of them this one binary:
//! `sigtrace-play inside PROGRAM ARGUMENTS`. They say on stdout who they are and
//! when they are set up, and hear on stdin what to do; `stage::ns` is the other
//! end. What they stand for is said by the scenario that plays them.

mod crashing;
mod delegates;
mod doomed;
pub(crate) mod forks;
mod forwarder;
mod init;
mod keeper;
pub(crate) mod load;
mod nest;
mod rare;
pub(crate) mod rarest;
mod refused;
mod role;
pub(crate) mod storm;
mod terminal;
mod tools;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{bail, Context, Result};

/// Runs one of them.
pub(crate) fn run(words: &[String]) -> Result<()> {
    tools::die_with_parent()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["c-init-sig", rest @ ..] => init::c_init_sig(rest),
        ["c-init-nosig", rest @ ..] => init::c_init_nosig(rest),
        ["forwarder", rest @ ..] => forwarder::run(rest),
        ["keeper"] => keeper::run(),
        ["load", rest @ ..] => load::run(rest),
        ["nest"] => nest::run(),
        ["role", role, rest @ ..] => role::play(role, rest),
        ["works"] => init::works(),
        ["send", rest @ ..] => init::send(rest),
        ["deep", levels, rest @ ..] => init::deep(levels.parse()?, rest),
        ["storm", pid, kind] => storm::run(pid.parse()?, kind),
        // A program that is not ours, which then still dies with the play.
        ["debug", pid] => init::debug(pid.parse()?),
        ["watch", pid] => init::watch(pid.parse()?),
        ["exec", program, rest @ ..] => {
            let error = Command::new(program).args(rest).exec();
            Err(error).with_context(|| format!("exec {program}"))
        }
        // The same in a control group.
        ["exec-in", group, program, rest @ ..] => {
            fs::write(Path::new(group).join("cgroup.procs"), "0").context("entering a group")?;
            let error = Command::new(program).args(rest).exec();
            Err(error).with_context(|| format!("exec {program}"))
        }
        other => bail!("no such program: {other:?}"),
    }
}
