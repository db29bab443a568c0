//! What tracing costs: bare, with a program that does nothing, with sigtrace in
//! every state, and with tools of others, interleaved on the same work in one
//! run; in time, or in instructions ([`clock`]). [`subject`] is who is measured, [`load`] on
//! what, [`engine`] how fast it explains, [`flood`] whether all of a storm is told, [`watch`] how it waits and how soon it
//! tells, [`stats`] how rounds become figures, [`rows`] which figures there are and what
//! they are to reach, [`table`] how they are shown.

mod clock;
mod engine;
mod flood;
mod load;
mod rows;
mod stats;
mod subject;
mod table;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use clap::Args;

use crate::stage::host::Host;
use crate::stage::ns::Ns;
use clock::Clock;
use load::{Kind, Load};
use subject::{Bench, Rival, Subject};
use table::Table;

/// Flags.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The sigtrace to measure; default: the one on the PATH
    #[arg(long, value_name = "FILE")]
    sigtrace: Option<PathBuf>,
    /// Which hooks sigtrace shall use
    #[arg(long, value_parser = ["auto", "btf", "raw", "kprobe"], default_value = "auto")]
    hooks: String,
    /// Folder of unpacked Debian packages with sigsnoop, bpftrace and strace
    #[arg(long, value_name = "FOLDER")]
    rivals: Option<PathBuf>,
    /// The bench of the explanation engine, built
    #[arg(long, value_name = "FILE", conflicts_with = "instructions")]
    engine: Option<PathBuf>,
    /// Rounds; below 6 nothing is bounded
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(6..))]
    rounds: u32,
    /// Milliseconds of work per round
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..))]
    round_ms: u64,
    /// Count instructions, in a virtual machine whose clock goes on by a nanosecond for each
    /// (`cargo xtask vm --icount`): all on one CPU, and neither storms nor waiting
    #[arg(long, conflicts_with = "rivals")]
    instructions: bool,
    /// Measure this load alone, and neither storms nor waiting; may be repeated
    #[arg(long, value_name = "LOAD")]
    only: Vec<Kind>,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What one subject costs on one load, round by round.
pub(crate) struct Series {
    pub(crate) kind: Kind,
    pub(crate) subject: Subject,
    /// What each time took, in the clock's unit.
    pub(crate) each: Vec<f64>,
    /// The same without it, right before and after: half of both.
    pub(crate) bare: Vec<f64>,
    /// Its memory at the end of the rounds, kB.
    pub(crate) peak_kb: Vec<f64>,
}

impl Series {
    /// One round more, with the load alone right before and after.
    fn measure(&mut self, bench: &Bench<'_>, load: &Load, time: Duration) -> Result<()> {
        let before = load.round(time / 2)?;
        let attached = bench
            .attach(self.subject, load, self.kind.buffer())
            .with_context(|| format!("{:?}", self.subject))?;
        attached.settle()?;
        // Once to warm up what has just been loaded.
        load.round(time / 10)?;
        self.each.push(load.round(time)?);
        let peak = attached.peak_kb();
        self.peak_kb.extend(peak.map(|kb| kb as f64));
        attached.end()?;
        let after = load.round(time / 2)?;
        self.bare.push(f64::midpoint(before, after));
        Ok(())
    }
}

/// Measures, prints, and says whether every target is met.
pub(crate) fn command(options: &Options) -> Result<bool> {
    let host = Host::new(options.sigtrace.clone(), &options.hooks, None)?;
    let clock = if options.instructions {
        clock::counts_instructions()?;
        Clock::Instructions
    } else {
        subject::keep_apart()?;
        Clock::Time
    };
    if options.rivals.is_some() {
        subject::with_tracefs()?;
    }
    let elsewhere = Ns::new(&["c-init-nosig"])?;
    let bench = Bench {
        host: &host,
        rivals: options.rivals.as_deref(),
        elsewhere: elsewhere.ino,
    };
    let wanted = |kind: &Kind| options.only.is_empty() || options.only.contains(kind);
    if clock == Clock::Instructions && !wanted(&Kind::Routine) {
        bail!("targets are relative to what kill() alone takes: --only routine is needed, too");
    }
    let level = bench.level()?;
    let mut all = Vec::new();
    for kind in Kind::ALL.into_iter().filter(wanted) {
        all.extend(measure(&bench, kind, clock, options)?);
    }
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's release")?;
    let mut table = Table::new(clock, release.trim().to_owned());
    rows::costs(&mut table, &all, &level)?;
    if options.only.is_empty() && clock == Clock::Time {
        whole(&bench, options.rounds, &mut table)?;
        if let Some(engine) = &options.engine {
            engine::row(&mut table, engine, options.rounds)?;
        }
    }
    let missing: Vec<_> = Rival::ALL
        .into_iter()
        .filter(|&rival| !bench.has(rival))
        .map(Rival::name)
        .collect();
    if options.json {
        print!("{}", table.json()?);
    } else {
        print!("{}", table.text());
    }
    if !missing.is_empty() && clock == Clock::Time {
        eprintln!("not measured, because not there: {}", missing.join(", "));
    }
    let (met, of) = table.targets();
    println!("{met} of {of} targets met");
    Ok(met == of)
}

/// What is not the cost of a load.
fn whole(bench: &Bench<'_>, rounds: u32, table: &mut Table) -> Result<()> {
    let storms = flood::SENDERS.map(|senders| flood::storm(bench, senders, rounds));
    let storms = storms.into_iter().collect::<Result<Vec<_>>>()?;
    rows::storms(table, storms, flood::memory(bench, rounds)?)?;
    let idle = watch::idle(bench)?;
    // As when nobody measures: on any CPU.
    subject::anywhere(|| {
        let starts = [
            watch::starts(bench, "--refused=never", rounds)?,
            watch::starts(bench, "--refused", rounds)?,
        ];
        let latencies = watch::RATES.map(|rate| watch::latency(bench, rate, rounds));
        let latencies = latencies.into_iter().collect::<Result<Vec<_>>>()?;
        rows::watch(table, starts, idle, latencies)
    })
}

fn measure(bench: &Bench<'_>, kind: Kind, clock: Clock, options: &Options) -> Result<Vec<Series>> {
    let load = Load::new(kind, clock)?;
    let time = Duration::from_millis(options.round_ms);
    let mut all: Vec<Series> = subjects(bench, kind)
        .into_iter()
        .map(|subject| Series {
            kind,
            subject,
            each: Vec::new(),
            bare: Vec::new(),
            peak_kb: Vec::new(),
        })
        .collect();
    for round in 0..options.rounds {
        eprintln!("{kind:?}: round {} of {}", round + 1, options.rounds);
        for series in &mut all {
            series.measure(bench, &load, time)?;
        }
    }
    Ok(all)
}

fn subjects(bench: &Bench<'_>, kind: Kind) -> Vec<Subject> {
    match kind {
        Kind::Routine => {
            let own = [
                Subject::Bare,
                Subject::Empty,
                Subject::Number,
                Subject::Elsewhere,
                Subject::Follows,
                Subject::Refused,
                Subject::Traced,
            ];
            let there = |rival: &Rival| bench.has(*rival);
            let rivals = Rival::ALL.into_iter().filter(there).map(Subject::Rival);
            own.into_iter().chain(rivals).collect()
        }
        Kind::Dropped | Kind::RoutineEach | Kind::DroppedEach => {
            vec![Subject::Bare, Subject::Traced]
        }
        Kind::Fork => vec![Subject::Bare, Subject::Elsewhere],
        Kind::Call => vec![Subject::Bare, Subject::Elsewhere, Subject::Refused],
    }
}
