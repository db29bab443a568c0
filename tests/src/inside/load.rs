//! `load`: does one thing as fast as it goes, for so many milliseconds as it is
//! told, and says how long that took: by the clock on the wall, where everything that a
//! tracer adds or stops it for is in its time, or by its thread's own where it shares the
//! CPU with the tracer.

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

/// The clock is read once per so many, so that it costs next to nothing.
const BATCH: u64 = 100;

/// What one piece of a round takes at least, and so many it takes for a median.
const PIECE: Duration = Duration::from_millis(1);
const PIECES: usize = 5;

/// So many values of `si_code`, below all that mean something: what the kernel side
/// counts together has one in common, and this is more than it remembers at a time.
const CODES: std::ops::Range<i32> = -101_000..-1000;

/// `load CLOCK CPU WHAT`, `WHAT` being `signal NUMBER PID`, `queue NUMBER PID`, `paced NUMBER
/// PID RATE` (the same, so many a second), `fork`, or `call` (a system call that has nothing
/// to do with signals), `CLOCK` `wall` or `own`: each line it hears is a number of
/// milliseconds, each line it says `round COUNT NANOSECONDS EACH`: the last is the median of
/// the round's pieces, which whoever disturbs some of them does not change.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    tools::set_name(b"load")?;
    let [clock, cpu, what @ ..] = words else {
        bail!("load CLOCK CPU WHAT");
    };
    let clock = match *clock {
        "wall" => ClockId::CLOCK_MONOTONIC,
        "own" => ClockId::CLOCK_THREAD_CPUTIME_ID,
        other => bail!("no such clock: {other}"),
    };
    stay_on(cpu.parse().context("a CPU")?)?;
    match what {
        ["signal", number, pid] => {
            let (number, pid) = (number.parse()?, pid.parse()?);
            rounds(clock, BATCH, || {
                if !sys::kill_number(pid, number)? {
                    bail!("the target is gone");
                }
                Ok(())
            })
        }
        ["queue", number, pid] => {
            let (number, pid) = (number.parse()?, pid.parse()?);
            rounds(clock, BATCH, different(pid, number))
        }
        ["paced", number, pid, rate] => {
            let rate: u64 = rate.parse()?;
            let send = different(pid.parse()?, number.parse()?);
            // So many at a time that there are at most a thousand times a second.
            let batch = rate.div_ceil(1000);
            let pause = Duration::from_nanos(batch * 1_000_000_000 / rate);
            rounds(clock, 1, || {
                let next = Instant::now() + pause;
                for _ in 0..batch {
                    send()?;
                }
                thread::sleep(next.saturating_duration_since(Instant::now()));
                Ok(())
            })
        }
        ["call"] => rounds(clock, BATCH, || {
            sys::call_nothing();
            Ok(())
        }),
        ["fork"] => rounds(clock, 1, || match sys::fork()? {
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

fn rounds(clock: ClockId, batch: u64, act: impl Fn() -> Result<()>) -> Result<()> {
    let now = || -> Result<Duration> {
        let now = time::clock_gettime(clock).context("clock_gettime")?;
        Ok(now.into())
    };
    tools::introduce("ready")?;
    while let Some(line) = tools::hear()? {
        let enough = Duration::from_millis(line.parse().context("milliseconds")?);
        let begin = now()?;
        let (mut count, mut took) = (0, Duration::ZERO);
        let mut pieces = Vec::with_capacity(1 << 10);
        while took < enough || pieces.len() < PIECES {
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
        let each = median(&mut pieces).context("no pieces")?;
        tools::say(&format!("round {count} {} {each}", took.as_nanos()))?;
    }
    Ok(())
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// From now on this process runs on any CPU.
pub(crate) fn stay_anywhere() -> Result<()> {
    let mut set = CpuSet::new();
    for cpu in 0..CpuSet::count() {
        set.set(cpu)?;
    }
    sched::sched_setaffinity(Pid::from_raw(0), &set).context("sched_setaffinity to all CPUs")
}

/// From now on this process runs on one CPU only.
pub(crate) fn stay_on(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched::sched_setaffinity(Pid::from_raw(0), &set)
        .with_context(|| format!("sched_setaffinity to CPU {cpu}"))
}
