//! The command line: one definition ([`args`]), one file per subcommand, and
//! [`Failure`], which carries the exit code to `main`. Nothing below `cli`
//! knows of exit codes, and nothing but `main` ends the process.

use std::{fmt, io};

use clap::Parser as _;

pub mod args;
pub mod cgroup;
pub mod completions;
pub mod doctor;
pub mod duration;
pub mod explain;
mod following;
mod ghosts;
mod live;
mod namesakes;
mod naming;
mod origins;
mod programs;
mod quotas;
pub mod request;
pub mod scope;
pub mod show;
pub mod signals;
pub mod size;
pub mod symbolize;
mod topic;
pub mod trace;
mod watched;

#[cfg(test)]
mod tests;

use args::{Args, Command};

/// Exit codes, the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// It failed.
    Failed = 1,
    /// It was asked for in a way that makes no sense.
    Usage = 2,
    /// This system does not let it trace.
    CannotTrace = 3,
    /// It cannot tell, or there is no such thing.
    NotFound = 4,
}

/// Why a command ends without success, and with which code.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: Code,
    /// With its causes; `None` where the command has said all already.
    pub error: Option<anyhow::Error>,
}

impl Failure {
    /// With this code.
    pub fn new(code: Code, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: Some(error.into()),
        }
    }

    /// Asked for in a way that makes no sense.
    pub fn usage(message: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::new(Code::Usage, anyhow::Error::msg(message))
    }

    /// The output says it all.
    pub fn silent(code: Code) -> Self {
        Self { code, error: None }
    }

    /// The reader of our output went away: that is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        let causes = self.error.iter().flat_map(anyhow::Error::chain);
        let mut io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
        io.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Failed, error)
    }
}

/// Everything else that commands do with files has its own words.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let error = anyhow::Error::new(error);
        Self::new(
            Code::Failed,
            error.context("cannot write to standard output"),
        )
    }
}

/// Parses the command line and does what it says.
pub fn run() -> Result<(), Failure> {
    let args = Args::parse();
    match args.command {
        None => trace::run(args.trace),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Symbolize(args)) => symbolize::run(&args),
    }
}
