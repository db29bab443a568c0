//! What a trace does while it watches: whether it sleeps while nothing happens, and how
//! soon after an event its line is there.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{ensure, Context, Result};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::load::Load;
use super::subject::Bench;
use crate::judge::events::{of_day, DAY_NS};
use crate::stage::sigtrace::Sigtrace;

/// How long nothing happens.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// Events a second.
pub(crate) const RATES: [u64; 2] = [10, 100_000];
/// How long each round is.
const TIME: Duration = Duration::from_secs(1);

/// How soon events are told.
pub(crate) struct Latency {
    pub(crate) rate: u64,
    /// Of each round: the time within which 99 of 100 were, milliseconds.
    pub(crate) p99_ms: Vec<f64>,
    /// Of each round: what is said to be lost.
    pub(crate) lost: Vec<f64>,
}

/// Milliseconds from its start until it says that it is attached, with this flag.
pub(crate) fn starts(bench: &Bench<'_>, flag: &str, rounds: u32) -> Result<Vec<f64>> {
    let elsewhere = bench.elsewhere.to_string();
    let flags = [flag, "--pidns", &elsewhere, "-o", "json"];
    let start = |_| {
        let begin = Instant::now();
        let sigtrace = Sigtrace::attached(bench.host, &flags)?;
        let took = begin.elapsed();
        sigtrace.interrupt()?.well()?;
        Ok(took.as_secs_f64() * 1e3)
    };
    (0..rounds).map(start).collect()
}

/// How often the kernel switched to any thread of sigtrace while nothing happened in
/// the namespace that it traces.
pub(crate) fn idle(bench: &Bench<'_>) -> Result<f64> {
    let elsewhere = bench.elsewhere.to_string();
    let sigtrace = Sigtrace::attached(bench.host, &["--pidns", &elsewhere, "-o", "json"])?;
    eprintln!("idle: {} s", IDLE.as_secs());
    // What is left to do after the start.
    thread::sleep(TIME);
    let before = wakes(sigtrace.pid())?;
    thread::sleep(IDLE);
    let woken = wakes(sigtrace.pid())? - before;
    sigtrace.interrupt()?.well()?;
    Ok(woken as f64)
}

/// Each time a thread has slept it has woken (proc_pid_status(5)).
fn wakes(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.context("no switches")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}

/// From an event's time to when its line has been read.
pub(crate) fn latency(bench: &Bench<'_>, rate: u64, rounds: u32) -> Result<Latency> {
    let load = Load::paced(rate)?;
    let (mut p99_ms, mut lost) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("{rate} a second: round {} of {rounds}", round + 1);
        let inode = load.ns.ino.to_string();
        let mut command = Command::new(&bench.host.sigtrace);
        command
            .args([
                "--hooks",
                &bench.host.hooks,
                "-o",
                "json",
                "-s",
                "TERM",
                "--pidns",
                &inode,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start sigtrace")?;
        let told = read(&mut child, || {
            // What is left to do after the start: names of kernel functions are read.
            thread::sleep(TIME);
            load.round(TIME).map(drop)
        });
        let status = child.wait()?;
        let told = told?;
        ensure!(status.success(), "sigtrace ended with {status}");
        let told = lines(&told);
        p99_ms.push(p99(&told)?);
        lost.push(losses(&told)? as f64);
    }
    Ok(Latency { rate, p99_ms, lost })
}

/// What it wrote, and when each piece of it was read, in nanoseconds of the day. After
/// the first line `act` is done, and then it is asked to end.
fn read(child: &mut Child, act: impl FnOnce() -> Result<()>) -> Result<Vec<(Vec<u8>, i64)>> {
    let mut from = child.stdout.take().context("its stdout")?;
    let pid = Pid::from_raw(child.id().try_into()?);
    let mut next = move || -> Result<Option<(Vec<u8>, i64)>> {
        let mut piece = vec![0; 1 << 16];
        let length = from.read(&mut piece)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        piece.truncate(length);
        Ok((length > 0).then_some((piece, (now % DAY_NS as u128) as i64)))
    };
    next()?.context("sigtrace said nothing")?;
    thread::scope(|scope| {
        let reader = scope.spawn(move || -> Result<Vec<_>> {
            let mut all = Vec::new();
            while let Some(piece) = next()? {
                all.push(piece);
            }
            Ok(all)
        });
        let acted = act();
        signal::kill(pid, Signal::SIGINT).context("ending sigtrace")?;
        let all = reader
            .join()
            .map_err(|_| anyhow::anyhow!("the reader failed"))?;
        acted.and(all)
    })
}

/// Whole lines, and when the last piece of each was read.
fn lines(pieces: &[(Vec<u8>, i64)]) -> Vec<(Vec<u8>, i64)> {
    let (mut all, mut line) = (Vec::new(), Vec::new());
    for (piece, at) in pieces {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                all.push((std::mem::take(&mut line), *at));
            }
        }
    }
    all
}

/// Of the lines about signals.
fn p99(lines: &[(Vec<u8>, i64)]) -> Result<f64> {
    let mut late: Vec<i64> = lines
        .iter()
        .filter_map(|(line, at)| lateness(line, *at))
        .collect();
    late.sort_unstable();
    let at = (late.len() * 99).div_ceil(100).saturating_sub(1);
    let nanoseconds = late.get(at).context("no signal was told")?;
    Ok(*nanoseconds as f64 / 1e6)
}

/// Of the summary, which is the last line.
fn losses(lines: &[(Vec<u8>, i64)]) -> Result<u64> {
    let (last, _) = lines.last().context("it said nothing")?;
    let summary: serde_json::Value = serde_json::from_slice(last).context("its last line")?;
    summary["events_lost"].as_u64().context("no summary")
}

/// How long after the event the line was read, if it is about a signal.
fn lateness(line: &[u8], read_at: i64) -> Option<i64> {
    let event: serde_json::Value = serde_json::from_slice(line).ok()?;
    if event["event"] != "signal" {
        return None;
    }
    let happened = of_day(event["time"].as_str()?)?;
    // The event may be of the day before.
    Some((read_at - happened).rem_euclid(DAY_NS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_counted_over_midnight() {
        let line = br#"{"event":"signal","time":"2026-11-26T23:59:59.995Z"}"#;
        assert_eq!(lateness(line, 10_000_000), Some(15_000_000));
        assert_eq!(
            lateness(br#"{"event":"exit","time":"2026-11-26T00:00:00.0Z"}"#, 1),
            None
        );
        assert_eq!(lateness(b"{", 1), None);
    }

    #[test]
    fn of_a_hundred_the_last_but_one_counts() {
        let line = |ms: u32| {
            format!("{{\"event\":\"signal\",\"time\":\"2026-11-26T00:00:00.{ms:03}Z\"}}\n")
        };
        let all: String = (0..100).map(line).collect();
        // All are read at 100 ms, in two pieces that part a line.
        let (one, two) = all.split_at(123);
        let at = 100_000_000;
        let pieces = [(one.into(), at), (two.into(), at)];
        let lines = lines(&pieces);
        assert_eq!(lines.len(), 100);
        assert_eq!(p99(&lines).unwrap(), 99.0);
        assert!(p99(&[]).is_err());
    }
}
