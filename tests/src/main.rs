//! `sigtrace-play`: plays situations in PID namespaces of its own and holds what
//! sigtrace says about them against what is known to have happened.
//!
//! `stage` has what scenarios are played on, `scenarios` the scenarios, `judge`
//! what is expected, `inside` the programs in the namespaces, `demo` the picture.

mod demo;
mod inside;
mod stage;
mod sys;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Plays situations in PID namespaces and judges what sigtrace says about them
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Play,
}

#[derive(Subcommand)]
enum Play {
    /// A process is killed by force, and sigtrace says why
    Demo {
        /// The sigtrace to show
        #[arg(long, value_name = "FILE", default_value = "sigtrace")]
        sigtrace: PathBuf,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
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
        Play::Demo { sigtrace, json } => {
            demo::command(&sigtrace, json).map(|status| u8::try_from(status).unwrap_or(1))
        }
        Play::Inside { words } => inside::run(&words).map(|()| 0),
    }
}
