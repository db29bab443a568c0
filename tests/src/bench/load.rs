//! The work on which all are measured: a namespace whose PID 1 has no handlers,
//! and a program inside that does one thing again and again.

use std::time::Duration;

use anyhow::{Context, Result};

use super::subject::LOAD_CPU;
use crate::stage::ns::{Ns, Program};

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
    pub(crate) fn new(kind: Kind) -> Result<Self> {
        let ns = Ns::new(&["c-init-nosig"])?;
        let cpu = LOAD_CPU.to_string();
        let signal = |number: i32| number.to_string();
        let program = match kind {
            Kind::Routine => ns.enter(&["load", "signal", &cpu, &signal(libc::SIGWINCH), "1"])?,
            Kind::Dropped => ns.enter(&["load", "signal", &cpu, &signal(libc::SIGTERM), "1"])?,
            Kind::RoutineEach => {
                ns.enter(&["load", "queue", &cpu, &signal(libc::SIGWINCH), "1"])?
            }
            Kind::DroppedEach => ns.enter(&["load", "queue", &cpu, &signal(libc::SIGTERM), "1"])?,
            Kind::Fork => ns.enter(&["load", "fork", &cpu])?,
            Kind::Call => ns.enter(&["load", "call", &cpu])?,
        };
        program.meet("ready")?;
        Ok(Self { program, ns })
    }

    /// Dropped signals, hardly two alike, so many a second.
    pub(crate) fn paced(rate: u64) -> Result<Self> {
        let ns = Ns::new(&["c-init-nosig"])?;
        let (cpu, term) = (LOAD_CPU.to_string(), libc::SIGTERM.to_string());
        let program = ns.enter(&["load", "paced", &cpu, &term, "1", &rate.to_string()])?;
        program.meet("ready")?;
        Ok(Self { program, ns })
    }

    /// One round; nanoseconds for each time, the median of its pieces.
    pub(crate) fn round(&self, time: Duration) -> Result<f64> {
        self.program.tell(&time.as_millis().to_string())?;
        let line = self.program.hear("round")?;
        let each = line.split(' ').nth(3).context("too short")?;
        each.parse().context("no number")
    }
}
