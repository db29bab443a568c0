//! `sigtrace-play`: plays situations in PID namespaces of its own and holds what
//! sigtrace says about them against what is known to have happened.
//!
//! `stage` has what scenarios are played on, `scenarios` the scenarios, `engines`
//! those in containers of real engines, `judge` what is expected, `inside` the
//! programs in the namespaces, `demo` the picture, `bench` what it all costs.

mod bench;
mod demo;
mod engines;
mod inside;
mod judge;
mod run;
mod scenarios;
mod stage;
mod sys;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::scenarios::Turn;
use crate::stage::host::Host;

/// Plays situations in PID namespaces and judges what sigtrace says about them
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Play,
}

#[derive(Subcommand)]
enum Play {
    /// Plays all scenarios on this machine, or those with these names
    Run {
        /// Which hooks sigtrace shall use
        #[arg(long, value_parser = ["auto", "btf", "raw", "kprobe"], default_value = "auto")]
        hooks: String,
        /// Which kernel this is, as in expected.toml; default: as uname says
        #[arg(long, value_name = "SERIES")]
        kernel: Option<String>,
        /// The sigtrace under test; default: the one on the PATH
        #[arg(long, value_name = "FILE")]
        sigtrace: Option<PathBuf>,
        /// Of scenarios that take turns, only every M-th from the N-th on
        #[arg(long, value_name = "N/M", default_value = "0/1")]
        turn: Turn,
        /// Scenarios
        names: Vec<String>,
    },
    /// Plays scenarios with container engines; all of this machine is theirs
    Engines {
        /// Engines that this machine has: docker, podman, podman-runc, podman-user
        #[arg(long, value_delimiter = ',', default_value = "docker")]
        with: Vec<String>,
        /// Which kernel this is, as in expected.toml; default: as uname says
        #[arg(long, value_name = "SERIES")]
        kernel: Option<String>,
        /// Only the few scenarios that are played on every change
        #[arg(long)]
        core: bool,
        /// How many containers `many` stops at once
        #[arg(long, value_name = "NUMBER", default_value_t = 8)]
        many: usize,
        /// How many containers that end at once `wait` waits for
        #[arg(long, value_name = "NUMBER", default_value_t = 5)]
        short: usize,
        /// Scenarios, with or without the engine before their names
        names: Vec<String>,
    },
    /// The names of all scenarios
    List,
    /// A process is killed by force, and sigtrace says why
    Demo {
        /// The sigtrace to show
        #[arg(long, value_name = "FILE", default_value = "sigtrace")]
        sigtrace: PathBuf,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
        /// In a container of Docker, which has the image registry/fwd_sig:v1
        #[arg(long)]
        docker: bool,
    },
    /// Measures what sigtrace and its rivals cost, in one run on the same work
    Bench {
        #[command(flatten)]
        options: bench::Options,
    },
    /// A program inside a namespace
    #[command(hide = true)]
    Inside {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

fn main() -> ExitCode {
    match command(Arguments::parse().command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("sigtrace-play: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(play: Play) -> Result<u8> {
    match play {
        Play::Demo {
            sigtrace,
            json,
            docker,
        } => demo::command(&sigtrace, json, docker).map(|status| u8::try_from(status).unwrap_or(1)),
        Play::Run {
            hooks,
            kernel,
            sigtrace,
            turn,
            names,
        } => {
            let host = Host::new(sigtrace, &hooks, kernel)?;
            run::run(&host, &names, turn).map(|well| u8::from(!well))
        }
        Play::Engines {
            with,
            kernel,
            core,
            many,
            short,
            names,
        } => {
            let host = Host::new(None, "auto", kernel)?;
            let engines = engines::engines(&with)?;
            let amount = engines::Amount { core, many, short };
            engines::run::run(&host, &engines, &names, amount).map(|well| u8::from(!well))
        }
        Play::List => {
            for scenario in scenarios::all() {
                println!("{}", scenario.name);
            }
            Ok(0)
        }
        Play::Bench { options } => bench::command(&options).map(|met| u8::from(!met)),
        Play::Inside { words } => inside::run(&words).map(|()| 0),
    }
}
