//! What comes of a storm: whether every signal of it is told or counted, and what
//! sigtrace holds in memory after that and many processes.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};

use super::load;
use super::subject::Bench;
use crate::judge::Seen;
use crate::stage::ns::{Ns, Program};
use crate::stage::sigtrace::Sigtrace;

/// The storms, by the number of their senders.
pub(crate) const SENDERS: [usize; 2] = [1, 500];
/// How long one blows.
const TIME: Duration = Duration::from_secs(1);
/// What memory is measured after.
const SIGNALS: u64 = 10_000_000;
const PROCESSES: u64 = 100_000;
/// A page for each half of what the kernel maps of it: nothing of it counts.
const LEAST_BUFFER: &str = "4096";

/// Round by round.
#[derive(Default)]
pub(crate) struct Storm {
    pub(crate) senders: usize,
    /// Signals a second.
    pub(crate) rate: Vec<f64>,
    /// How many were neither told nor counted, or lost.
    pub(crate) missing: Vec<f64>,
}

/// Each sender sends as fast as it goes; what sigtrace says is added up.
pub(crate) fn storm(bench: &Bench<'_>, senders: usize, rounds: u32) -> Result<Storm> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let what = [libc::SIGTERM.to_string(), "1".to_owned()];
    let enter = |_| ns.enter(&load::command("wall", "signal", &what));
    let programs = (0..senders).map(enter).collect::<Result<Vec<_>>>()?;
    for program in &programs {
        program.meet("ready")?;
    }
    let mut storm = Storm {
        senders,
        ..Storm::default()
    };
    for round in 0..rounds {
        eprintln!("storm of {senders}: round {} of {rounds}", round + 1);
        let ino = ns.ino.to_string();
        let flags = ["--pidns", &ino, "-s", "TERM", "-o", "json"];
        let sigtrace = Sigtrace::attached(bench.host, &flags)?;
        let (sent, took) = blow(&programs)?;
        let ended = sigtrace.interrupt()?.well()?;
        let seen = Seen::read(&ended.lines);
        let counts = seen.events.iter().filter(|event| event.is_signal());
        let told: u64 = counts.filter_map(|event| event.number("/count")).sum();
        let lost = seen.summary["events_lost"].as_u64().context("no summary")?;
        storm.rate.push(sent as f64 / took.as_secs_f64());
        storm.missing.push((sent.abs_diff(told) + lost) as f64);
    }
    Ok(storm)
}

/// All at once; how many signals that were, and how long it took.
fn blow(programs: &[Program]) -> Result<(u64, Duration)> {
    let begin = Instant::now();
    for program in programs {
        program.tell(&TIME.as_millis().to_string())?;
    }
    let mut sent = 0;
    for program in programs {
        let line = program.hear("round")?;
        let count = line.split(' ').nth(1).context("too short")?;
        sent += count.parse::<u64>().context("no number")?;
    }
    Ok((sent, begin.elapsed()))
}

/// Resident memory without the buffer, kB, after so many signals and processes, and then
/// after each second in which more processes come and go.
pub(crate) fn memory(bench: &Bench<'_>, rounds: u32) -> Result<Vec<f64>> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let enter = |name, what: &[String]| -> Result<[Program; 1]> {
        let program = ns.enter(&load::command("wall", name, what))?;
        program.meet("ready")?;
        Ok([program])
    };
    let signals = enter("signal", &[libc::SIGTERM.to_string(), "1".to_owned()])?;
    let forks = enter("fork", &[])?;
    let ino = ns.ino.to_string();
    let flags = ["--pidns", &ino, "--buffer", LEAST_BUFFER, "-o", "json"];
    let sigtrace = Sigtrace::attached(bench.host, &flags)?;
    for (programs, what, enough) in [
        (&signals, "signals", SIGNALS),
        (&forks, "processes", PROCESSES),
    ] {
        let mut all = 0;
        while all < enough {
            eprintln!("memory: {all} of {enough} {what}");
            let (more, _) = blow(programs)?;
            ensure!(more > 0, "a second without {what}");
            all += more;
        }
    }
    let mut resident = Vec::new();
    for round in 0..rounds {
        eprintln!("memory: round {} of {rounds}", round + 1);
        blow(&forks)?;
        resident.push(resident_kb(sigtrace.pid())?);
    }
    sigtrace.interrupt()?.well()?;
    Ok(resident)
}

fn resident_kb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.context("no VmRSS")?.parse().context("VmRSS")
}
