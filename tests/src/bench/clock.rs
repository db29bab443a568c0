//! What a figure is of: time, or instructions. In a virtual machine whose clock goes on by
//! a nanosecond for each instruction (qemu's `-icount shift=0`) the same programs measure
//! these, and each time the same number of them.

use std::arch::asm;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use nix::time::{self, ClockId};

/// What loads are measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Nanoseconds.
    Time,
    /// Instructions.
    Instructions,
}

/// What `kill()` alone took on the machine that the targets were set on, nanoseconds.
pub(super) const KILL_NS: f64 = 326.0;

impl Clock {
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Time => "ns",
            Self::Instructions => "instructions",
        }
    }

    /// How much of the unit stands for a nanosecond of a target. `kill`: what `kill()` alone
    /// takes here. Of instructions it is as many as `kill()` does in a nanosecond on the
    /// machine of the targets, as if all took the same time.
    pub(super) fn scale(self, kill: f64) -> f64 {
        match self {
            Self::Time => 1.0,
            Self::Instructions => kill / KILL_NS,
        }
    }
}

/// How often the loop runs, of two instructions each.
const TIMES: u64 = 10_000_000;

/// Whether the clock counts instructions, since otherwise figures would be no such.
///
/// # Errors
/// It does not.
pub(super) fn counts_instructions() -> Result<()> {
    // Others may want the one CPU, too.
    let now = || -> Result<Duration> {
        let now = time::clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("clock_gettime")?;
        Ok(now.into())
    };
    let begin = now()?;
    // SAFETY: a register of its own is counted down.
    unsafe {
        asm!(
            "2: sub {times}, 1",
            "jnz 2b",
            times = inout(reg) TIMES => _,
            options(nomem, nostack)
        );
    }
    let took = (now()? - begin).as_nanos() as f64;
    let ratio = took / (2 * TIMES) as f64;
    ensure!(
        (0.99..1.05).contains(&ratio),
        "{ratio:.2} ns for each instruction, and not 1: this clock does not count them; \
         `cargo xtask bench` and `cargo xtask vm --icount` run it where one does"
    );
    Ok(())
}
