//! `storm PID`: sends real-time signals to a process until it is gone, and counts
//! those that the kernel took. The count is the truth that sigtrace's numbers are
//! held against.

use std::process;

use anyhow::{bail, Result};

use super::tools;
use crate::sys::PidFd;

/// All of glibc's real-time signals: many, so that equal ones do not follow each
/// other and folding them cannot make the storm small.
pub(crate) const SIGNALS: std::ops::RangeInclusive<i32> = 34..=64;

/// So many before the play goes on: many times what the smallest buffer holds.
const ENOUGH: u64 = 3_000;
/// The target should have been ended long before.
const TOO_MANY: u64 = 50_000_000;

pub(crate) fn run(pid: i32) -> Result<()> {
    tools::set_name(b"storm")?;
    // A plain pid could be another process's by the time the storm ends.
    let target = PidFd::open(pid)?;
    tools::say("ready")?;
    tools::hear()?;
    let mut sent = 0;
    for number in SIGNALS.cycle() {
        if !target.send(number)? {
            break;
        }
        sent += 1;
        if sent == ENOUGH {
            tools::say("blowing")?;
        }
        if sent == TOO_MANY {
            bail!("the target is still there");
        }
    }
    tools::say(&format!("sent {sent}"))?;
    process::exit(0);
}
