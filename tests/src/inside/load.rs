//! `load`: does one thing as fast as it goes, for so many milliseconds as it is
//! told, and says how long that took. What is measured is this program alone:
//! everything that a tracer adds to the system call is in its time.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use nix::sched::{self, CpuSet};
use nix::sys::wait;
use nix::time::{self, ClockId};
use nix::unistd::Pid;

use super::tools;
use crate::sys::{self, Side};

/// The clock is read once per so many, so that it costs nothing.
const BATCH: u64 = 100;

/// What one piece of a round takes at least.
const PIECE: Duration = Duration::from_millis(1);

/// So many values of `si_code`, below all that mean something: what the kernel side
/// counts together has one in common, and this is more than it remembers at a time.
const CODES: std::ops::Range<i32> = -101_000..-1000;

/// `load signal CPU NUMBER PID`, `load queue CPU NUMBER PID`, `load paced CPU NUMBER PID
/// RATE` (the same, so many a second), `load fork CPU`, `load call CPU` (a system call
/// that has nothing to do with signals): each line it hears is a number of
/// milliseconds, each line it says `round COUNT NANOSECONDS EACH`: the last is the median of the
/// round's pieces, which whoever disturbs some of them does not change.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    tools::set_name(b"load")?;
    match words {
        ["signal", cpu, number, pid] => {
            let (number, pid) = (number.parse()?, pid.parse()?);
            rounds(cpu, OWN, BATCH, || {
                if !sys::kill_number(pid, number)? {
                    bail!("the target is gone");
                }
                Ok(())
            })
        }
        ["queue", cpu, number, pid] => {
            let (number, pid) = (number.parse()?, pid.parse()?);
            rounds(cpu, OWN, BATCH, different(pid, number))
        }
        ["paced", cpu, number, pid, rate] => {
            let rate: u64 = rate.parse()?;
            let send = different(pid.parse()?, number.parse()?);
            // So many at a time that there are at most a thousand times a second.
            let batch = rate.div_ceil(1000);
            let pause = Duration::from_nanos(batch * 1_000_000_000 / rate);
            rounds(cpu, WALL, 1, || {
                let next = Instant::now() + pause;
                for _ in 0..batch {
                    send()?;
                }
                thread::sleep(next.saturating_duration_since(Instant::now()));
                Ok(())
            })
        }
        ["call", cpu] => rounds(cpu, OWN, BATCH, || {
            sys::call_nothing();
            Ok(())
        }),
        ["fork", cpu] => rounds(cpu, WALL, 1, || match sys::fork()? {
            Side::Child => std::process::exit(0),
            Side::Parent(child) => wait::waitpid(child, None).map(drop).context("waitpid"),
        }),
        other => bail!("no such load: {other:?}"),
    }
}

/// Sends it by `rt_sigqueueinfo`, hardly two alike.
fn different(pid: i32, number: i32) -> impl Fn() -> Result<()> {
    let code = Cell::new(CODES.start);
    move || {
        let next = code.get() + 1;
        code.set(if next < CODES.end { next } else { CODES.start });
        sys::queue_as(pid, number, next)
    }
}

/// What this thread takes: who shares its CPU does not count.
const OWN: ClockId = ClockId::CLOCK_THREAD_CPUTIME_ID;
/// Where others work for it, or it sleeps.
const WALL: ClockId = ClockId::CLOCK_MONOTONIC;

fn rounds(cpu: &str, clock: ClockId, batch: u64, act: impl Fn() -> Result<()>) -> Result<()> {
    stay_on(cpu.parse().context("a CPU")?)?;
    let now = || -> Result<Duration> {
        let now = time::clock_gettime(clock).context("clock_gettime")?;
        Ok(now.into())
    };
    tools::introduce("ready")?;
    while let Some(line) = tools::hear()? {
        let enough = Duration::from_millis(line.parse().context("milliseconds")?);
        // A round is over by the clock on the wall: hundreds may share the CPU.
        let (round, begin) = (Instant::now(), now()?);
        let (mut count, mut took) = (0, Duration::ZERO);
        let mut pieces = Vec::with_capacity(1 << 10);
        while round.elapsed() < enough {
            let (counted, since) = (count, took);
            while took - since < PIECE {
                for _ in 0..batch {
                    act()?;
                }
                count += batch;
                took = now()? - begin;
            }
            pieces.push((took - since).as_nanos() as f64 / (count - counted) as f64);
        }
        let each = median(&mut pieces).context("no time at all")?;
        tools::say(&format!("round {count} {} {each}", took.as_nanos()))?;
    }
    Ok(())
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// From now on this process runs on one CPU only.
pub(crate) fn stay_on(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched::sched_setaffinity(Pid::from_raw(0), &set)
        .with_context(|| format!("sched_setaffinity to CPU {cpu}"))
}
