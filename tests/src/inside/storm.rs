//! `storm PID KIND`: sends real-time signals to a process until it is gone, and
//! counts those that the kernel took. The count is the truth that sigtrace's numbers
//! are held against. `equal`: all alike; `varied`: hardly two alike; `crowd`: so from
//! hundreds of processes, of which one counts.

use std::process;

use anyhow::{bail, Result};

use super::tools;
use crate::sys::{self, PidFd, Side};

/// All of glibc's real-time signals.
pub(crate) const SIGNALS: std::ops::RangeInclusive<i32> = 34..=64;

/// So many before the play goes on: many times what the smallest buffer holds.
const ENOUGH: u64 = 3_000;
/// The target should have been ended long before.
const TOO_MANY: u64 = 50_000_000;

/// So many values of `si_code`, each of which makes signals that are not counted
/// together with others: more than the kernel side remembers at a time.
const CODES: i32 = 100_000;

/// Of a crowd, on a real machine and where one processor is emulated by another.
pub(crate) const CROWD: usize = 500;
pub(crate) const CROWD_IN_A_GUEST: usize = 60;

pub(crate) fn run(pid: i32, kind: &str) -> Result<()> {
    let varied = kind != "equal";
    tools::set_name(b"storm")?;
    // A plain pid could be another process's by the time the storm ends.
    let target = PidFd::open(pid)?;
    tools::say("ready")?;
    tools::hear()?;
    let counts = kind.strip_prefix("crowd").map_or(Ok(true), leads)?;
    let mut sent = 0;
    // Below all that mean something (asm-generic/siginfo.h).
    let codes = (-1000 - CODES..-1000).cycle();
    for (number, code) in SIGNALS.cycle().zip(codes) {
        if !target.send(number, varied.then_some(code))? {
            break;
        }
        sent += 1;
        if counts && sent == ENOUGH {
            tools::say("blowing")?;
        }
        if sent == TOO_MANY {
            bail!("the target is still there");
        }
    }
    if counts {
        tools::say(&format!("sent {sent}"))?;
    }
    process::exit(0);
}

/// Makes a crowd of so many; whether this is the one that counts.
fn leads(many: &str) -> Result<bool> {
    for _ in 1..many.parse::<usize>()? {
        if let Side::Child = sys::fork()? {
            return Ok(false);
        }
    }
    Ok(true)
}
