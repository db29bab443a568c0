//! What tracing costs: bare, with a program that does nothing, with sigtrace in
//! every state, and with tools of others, interleaved on the same work in one
//! run. [`subject`] is who is measured, [`load`] on what, [`flood`] whether all of a
//! storm is told, [`watch`] how it waits and how soon it tells, [`stats`] how rounds
//! become figures, [`table`] what is to be reached.

mod flood;
mod load;
mod stats;
mod subject;
mod table;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::stage::host::Host;
use crate::stage::ns::Ns;
use load::{Kind, Load};
use subject::{Bench, Rival, Subject};
use table::{Clock, Table};

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
    /// Rounds; below 6 nothing is bounded
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(6..))]
    rounds: u32,
    /// Milliseconds of work per round
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..))]
    round_ms: u64,
    /// A nanosecond is an instruction, as in a virtual machine with `-icount shift=0`:
    /// all on one CPU, each attached once, and neither storms nor waiting
    #[arg(long)]
    instructions: bool,
    /// Measure this load alone, and neither storms nor waiting; may be repeated
    #[arg(long, value_name = "LOAD")]
    only: Vec<Kind>,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Nanoseconds of one subject on one load, round by round.
pub(crate) struct Series {
    pub(crate) kind: Kind,
    pub(crate) subject: Subject,
    pub(crate) nanoseconds: Vec<f64>,
    /// Nanoseconds without it, right before and after: half of both.
    pub(crate) bare: Vec<f64>,
    /// Milliseconds from its start until it was attached.
    pub(crate) start_ms: Vec<f64>,
    /// Its memory at the end of the rounds, kB.
    pub(crate) peak_kb: Vec<f64>,
}

impl Series {
    /// So many rounds more, of one that is attached for them, and of the load alone right
    /// before and after.
    fn measure(
        &mut self,
        bench: &Bench<'_>,
        load: &Load,
        time: Duration,
        rounds: u32,
    ) -> Result<()> {
        let before = load.round(time / 2)?;
        let (attached, start) = bench
            .attach(self.subject, load, self.kind.buffer())
            .with_context(|| format!("{:?}", self.subject))?;
        attached.settle()?;
        // Once to warm up what has just been loaded.
        load.round(time / 10)?;
        let first = self.nanoseconds.len();
        for _ in 0..rounds {
            self.nanoseconds.push(load.round(time)?);
        }
        self.start_ms.push(start.as_secs_f64() * 1e3);
        let peak = attached.peak_kb();
        self.peak_kb.extend(peak.map(|kb| kb as f64));
        attached.end()?;
        let bare = f64::midpoint(before, load.round(time / 2)?);
        let measured = self.nanoseconds.len() - first;
        self.bare.extend(std::iter::repeat_n(bare, measured));
        Ok(())
    }
}

/// Measures, prints, and says whether every target is met.
pub(crate) fn command(options: &Options) -> Result<bool> {
    let host = Host::new(options.sigtrace.clone(), &options.hooks, None)?;
    if !options.instructions {
        subject::keep_apart()?;
    }
    if options.rivals.is_some() {
        subject::with_tracefs()?;
    }
    let elsewhere = Ns::new(&["c-init-nosig"])?;
    let bench = Bench {
        host: &host,
        rivals: options.rivals.as_deref(),
        elsewhere: elsewhere.ino,
    };
    let clock = if options.instructions {
        Clock::Instructions
    } else {
        Clock::Time
    };
    let level = bench.level()?;
    let mut all = Vec::new();
    let kinds = match &options.only[..] {
        [] => &Kind::ALL[..],
        only => only,
    };
    for &kind in kinds {
        all.extend(measure(&bench, kind, options)?);
    }
    let mut table = Table::of(&all, &level, clock)?;
    if options.only.is_empty() && !options.instructions {
        whole(&bench, options.rounds, &mut table)?;
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
    if !missing.is_empty() && !options.instructions {
        println!("not measured, because not there: {}", missing.join(", "));
    }
    let (met, of) = table.targets();
    println!("{met} of {of} targets met");
    Ok(met == of)
}

/// What is not the cost of a load.
fn whole(bench: &Bench<'_>, rounds: u32, table: &mut Table) -> Result<()> {
    let storms = flood::SENDERS.map(|senders| flood::storm(bench, senders, rounds));
    let storms = storms.into_iter().collect::<Result<Vec<_>>>()?;
    table.storms(&storms, &flood::memory(bench, rounds)?)?;
    let idle = watch::idle(bench)?;
    let latencies = watch::RATES.map(|rate| watch::latency(bench, rate, rounds));
    let latencies = latencies.into_iter().collect::<Result<Vec<_>>>()?;
    table.watch(idle, &latencies)
}

fn measure(bench: &Bench<'_>, kind: Kind, options: &Options) -> Result<Vec<Series>> {
    let load = Load::new(kind)?;
    let time = Duration::from_millis(options.round_ms);
    let mut all: Vec<Series> = subjects(bench, kind)
        .into_iter()
        .map(|subject| Series {
            kind,
            subject,
            nanoseconds: Vec::new(),
            bare: Vec::new(),
            start_ms: Vec::new(),
            peak_kb: Vec::new(),
        })
        .collect();
    if options.instructions {
        // The same each time, but for what the kernel has to do now and then.
        for series in &mut all {
            eprintln!("{kind:?}: {:?}", series.subject);
            series.measure(bench, &load, time, options.rounds)?;
        }
        return Ok(all);
    }
    for round in 0..options.rounds {
        eprintln!("{kind:?}: round {} of {}", round + 1, options.rounds);
        for series in &mut all {
            series.measure(bench, &load, time, 1)?;
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
