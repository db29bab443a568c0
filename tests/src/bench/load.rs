//! The work on which all are measured: a namespace whose PID 1 has no handlers,
//! and a program inside that does one thing again and again.

use std::time::Duration;

use anyhow::{Context, Result};

use super::clock::Clock;
use crate::stage::ns::{Ns, Program};

/// Where it runs.
const LOAD_CPU: &str = "0";

/// What the load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// `kill()` of a signal that does nothing by default (SIGWINCH): after three in a
    /// second they are folded.
    Routine,
    /// The same by `rt_sigqueueinfo()`, hardly two alike, so that each is told.
    RoutineEach,
    /// `kill()` of a signal that PID 1 has no handler for (SIGTERM): dropped.
    Dropped,
    /// The same, each of them told.
    DroppedEach,
    /// fork, exit and wait.
    Fork,
    /// A system call that has nothing to do with signals (`getppid`).
    Call,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Routine,
        Self::RoutineEach,
        Self::Dropped,
        Self::DroppedEach,
        Self::Fork,
        Self::Call,
    ];
}

/// One that waits for its rounds.
pub(crate) struct Load {
    // Before its namespace, whose PID 1 waits at its end for all who are in it,
    // and this one is reaped here.
    pub(crate) program: Program,
    pub(crate) ns: Ns,
}

impl Kind {
    /// The buffer that it is traced with, bytes: nothing of a round is to be lost, which
    /// would cost less than to be told.
    pub(crate) fn buffer(self) -> &'static str {
        match self {
            Self::RoutineEach | Self::DroppedEach => "512M",
            Self::Routine | Self::Dropped | Self::Fork | Self::Call => "4M",
        }
    }
}

impl Load {
    pub(crate) fn new(kind: Kind, clock: Clock) -> Result<Self> {
        let what = |number: libc::c_int| [number.to_string(), "1".to_owned()];
        let (name, what): (_, &[String]) = match kind {
            Kind::Routine => ("signal", &what(libc::SIGWINCH)),
            Kind::Dropped => ("signal", &what(libc::SIGTERM)),
            Kind::RoutineEach => ("queue", &what(libc::SIGWINCH)),
            Kind::DroppedEach => ("queue", &what(libc::SIGTERM)),
            Kind::Fork => ("fork", &[]),
            Kind::Call => ("call", &[]),
        };
        // Where all share a CPU, what the tool does meanwhile is not the load's; but what its
        // children do is.
        let own = clock == Clock::Instructions && kind != Kind::Fork;
        Self::enter(if own { "own" } else { "wall" }, name, what)
    }

    /// Dropped signals, hardly two alike, so many a second.
    pub(crate) fn paced(rate: u64) -> Result<Self> {
        let what = [libc::SIGTERM.to_string(), "1".to_owned(), rate.to_string()];
        Self::enter("wall", "paced", &what)
    }

    fn enter(clock: &str, name: &str, what: &[String]) -> Result<Self> {
        let ns = Ns::new(&["c-init-nosig"])?;
        let program = ns.enter(&command(clock, name, what))?;
        program.meet("ready")?;
        Ok(Self { program, ns })
    }

    /// One round; what each time took, the median of its pieces.
    pub(crate) fn round(&self, time: Duration) -> Result<f64> {
        self.program.tell(&time.as_millis().to_string())?;
        let line = self.program.hear("round")?;
        let each = line.split(' ').nth(3).context("too short")?;
        each.parse().context("no number")
    }
}

/// The words of a load on the CPU that is for it.
pub(crate) fn command<'w>(clock: &'w str, name: &'w str, what: &'w [String]) -> Vec<&'w str> {
    let words = ["load", clock, LOAD_CPU, name];
    words
        .into_iter()
        .chain(what.iter().map(String::as_str))
        .collect()
}
