//! `storm PID KIND`: sends real-time signals to a process until it is gone, and
//! counts those that the kernel took. The count is the truth that sigtrace's numbers
//! are held against. `equal`: all alike; `varied`: hardly two alike; `keys`: of a few
//! hundred sorts, so many of each in a row that they are counted together; `crowd`:
//! varied ones from hundreds of processes, of which one counts.

use std::fs;
use std::iter;
use std::ops::Range;
use std::process;

use anyhow::{bail, Context, Result};
use nix::sys::resource::{self, Resource};
use sigtrace_common::record::STORM_PLACES;

use super::tools;
use crate::sys::{self, PidFd, Side};

/// All of glibc's real-time signals.
pub(crate) const SIGNALS: std::ops::RangeInclusive<i32> = 34..=64;

/// Entries that the queues of whoever blocks them have room for besides those of others of its
/// user: two of each.
pub(crate) const ROOM: u64 = 2 * (*SIGNALS.end() - *SIGNALS.start() + 1) as u64;

/// So many before the play goes on: many times what the smallest buffer holds, and each
/// of the keys.
const ENOUGH: u64 = 4_000;
/// The target should have been ended long before.
const TOO_MANY: u64 = 50_000_000;

/// So many values of `si_code`, each of which makes signals that are not counted
/// together with others: more than the kernel side remembers at a time.
const CODES: i32 = 100_000;

/// So many values for `keys`, in so many sorts that some 30 want a place of the kernel
/// side's that is another's. In 2000 tries, each with another sender and target, there were
/// never fewer than nine.
const FEW_CODES: i32 = 16;
pub(crate) const KEYS: usize = ((*SIGNALS.end() - *SIGNALS.start() + 1) * FEW_CODES) as usize;
const _: () = assert!(KEYS * KEYS > 2 * 25 * STORM_PLACES as usize);
/// So many of each in a row: more than the three of a second that are told whole.
const IN_A_ROW: usize = 8;
const _: () = assert!(KEYS * IN_A_ROW <= ENOUGH as usize);

/// Of a crowd, on a real machine and where one processor is emulated by another.
pub(crate) const CROWD: usize = 500;
pub(crate) const CROWD_IN_A_GUEST: usize = 60;

/// Blocks them all, with little room for those that come.
pub(crate) fn block() -> Result<()> {
    // Of all that are queued for its user: others have timers, each of which keeps an entry.
    let most = queued()? + ROOM;
    resource::setrlimit(Resource::RLIMIT_SIGPENDING, most, most)?;
    sys::block_numbers(SIGNALS, true)
}

/// How many entries its user has in queues (`SigQ` of proc_pid_status(5)).
fn queued() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let counts = lines.find_map(|line| line.strip_prefix("SigQ:"));
    let (now, _) = counts
        .and_then(|counts| counts.trim().split_once('/'))
        .context("SigQ")?;
    now.parse().context("SigQ")
}

/// Blocks one of them, with as much room, and once it is told to lets them in: how often the
/// handler ran is the truth.
pub(crate) fn counts() -> Result<()> {
    let number = *SIGNALS.start();
    block()?;
    let counted = sys::count_number(number)?;
    tools::set_name(b"counts-rt")?;
    tools::introduce("counts-rt")?;
    tools::hear()?;
    // All of them come before this returns.
    sys::block_numbers([number], false)?;
    tools::say(&format!("handled {}", counted()))?;
    tools::sleep_for_ever();
}

pub(crate) fn run(pid: i32, kind: &str) -> Result<()> {
    tools::set_name(b"storm")?;
    // A plain pid could be another process's by the time the storm ends.
    let target = PidFd::open(pid)?;
    tools::say("ready")?;
    tools::hear()?;
    let counts = kind.strip_prefix("crowd").map_or(Ok(true), leads)?;
    let mut sent = 0;
    for (number, code) in signals(kind) {
        if !target.send(number, code)? {
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

/// What to send, each with its `si_code`; none: the kernel's own.
fn signals(kind: &str) -> Box<dyn Iterator<Item = (i32, Option<i32>)>> {
    match kind {
        "equal" => Box::new(SIGNALS.cycle().map(|number| (number, None))),
        "keys" => {
            let keys = codes(FEW_CODES).flat_map(|code| SIGNALS.map(move |n| (n, Some(code))));
            let row = |key| iter::repeat_n(key, IN_A_ROW);
            Box::new(keys.flat_map(row).cycle())
        }
        _ => Box::new(SIGNALS.cycle().zip(codes(CODES).cycle().map(Some))),
    }
}

/// Values of `si_code` below all that mean something (asm-generic/siginfo.h).
fn codes(many: i32) -> Range<i32> {
    -1000 - many..-1000
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
