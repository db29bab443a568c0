//! Everything a developer types: `cargo xtask …`. This file holds the command
//! line and nothing else; each subcommand is a module of the same name.

mod bench;
mod build;
mod cmd;
mod debian;
mod demo;
mod dist;
mod docs;
mod elf;
mod go_init;
mod guest_tools;
mod kernel;
mod labs;
mod lint;
mod places;
mod setup;
mod stress_ng;
mod system;
mod test;
mod toolchain;
mod ui;
mod vm;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use kernel::Series;
use places::Places;
use vm::Engine;

/// Builds, tests and shows sigtrace. Begin with `cargo xtask demo`.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Get ready: compiler for the kernel side, qemu, kernels.
    ///
    /// Says first what it installs with root's rights; all else goes to
    /// ~/.cache/sigtrace ($SIGTRACE_CACHE). Can be run again at any time: it
    /// goes on where it stopped, and does nothing where nothing is missing.
    Setup,
    /// Build the kernel side, then static binaries with it inside.
    Build,
    /// Show what sigtrace does: a forced kill, explained.
    ///
    /// Gets ready and builds first where that was not done yet. Needs no
    /// container engine; runs in a virtual machine where this one cannot trace.
    Demo {
        /// In a container of a real Docker, in a virtual machine.
        #[arg(long)]
        docker: bool,
    },
    /// Run all tests; the last line counts them.
    Test {
        /// The long ones too: each scenario in each boot, all that is played with Docker
        /// and Podman, in three guests, and setup from nothing in a minimal Debian.
        #[arg(long)]
        all: bool,
        /// Only these kernel series, and each scenario there.
        #[arg(long, value_name = "SERIES", num_args = 1..)]
        kernel: Vec<Series>,
        /// No virtual machines.
        #[arg(long, conflicts_with = "kernel")]
        no_vm: bool,
    },
    /// Run a command in a virtual machine with one of Debian's kernels.
    ///
    /// sigtrace is on its PATH, the copied files in its working folder. Output
    /// and exit status are the command's; 125 means that there was none,
    /// because the guest crashed or the time was over.
    ///
    /// With --engine, the machine has Docker and Podman and the labs' images
    /// can be made in them: `guest-engines images docker podman`. Its disk is
    /// made at first need, and what is written to it is forgotten.
    Vm {
        /// Kernel series: 5.10, 6.1, 6.12, 6.18, 7.x (the newest 7).
        #[arg(long, value_name = "SERIES", required_unless_present = "engine")]
        kernel: Option<Series>,
        /// With container engines: bookworm (Debian 12, no systemd), trixie
        /// (Debian 13, systemd), v1 (bookworm with cgroup v1).
        #[arg(long, value_name = "NAME")]
        engine: Option<Engine>,
        /// File or folder to put into the working folder.
        #[arg(long, value_name = "FILE")]
        copy: Vec<PathBuf>,
        /// The guest's memory [default: 1024, with an engine 2048].
        #[arg(long, value_name = "MB")]
        memory: Option<u32>,
        /// Stop the guest after this time.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        timeout: u64,
        /// Count instructions: emulate one CPU, whose clock goes on by a nanosecond for
        /// each.
        #[arg(long)]
        icount: bool,
        /// More words for the kernel's command line.
        #[arg(
            long,
            value_name = "WORDS",
            default_value = "",
            hide_default_value = true,
            allow_hyphen_values = true
        )]
        append: String,
        /// What to run; try `sh -c '…'` for more than one command.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Measure what sigtrace costs, beside the tools of others, on this machine.
    ///
    /// Needs root and a quiet machine with two CPUs. Before, the same is counted in
    /// instructions in a virtual machine, with the hooks that this kernel may not have.
    /// The last line counts the targets that are met; the exit status is 1 if one is
    /// missed.
    Bench {
        /// Rounds [default: 15].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(6..))]
        rounds: Option<u32>,
        /// Which hooks sigtrace shall use [default: auto].
        #[arg(long, value_parser = ["auto", "btf", "raw", "kprobe"])]
        hooks: Option<String>,
        /// JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// Write the table to docs/performance.md.
        #[arg(long, conflicts_with = "json")]
        write: bool,
    },
    /// Check formatting and warnings.
    Lint,
    /// Write the code's documentation.
    Docs,
    /// Make the one file to hand out, and prove that it needs nothing else.
    Dist,
}

fn main() -> ExitCode {
    // cargo's own libraries are not for the programs that we start.
    std::env::remove_var("LD_LIBRARY_PATH");
    match run(Cli::parse()) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<i32> {
    let places = Places::find()?;
    match cli.task {
        Task::Setup => setup::all(&places)?,
        Task::Build => build::all(&places)?,
        Task::Demo { docker: false } => return demo::command(&places),
        Task::Demo { docker: true } => return demo::with_docker(&places),
        Task::Test { all, kernel, no_vm } => {
            let options = test::Options {
                all,
                kernels: kernel,
                no_vm,
            };
            return Ok(i32::from(!test::command(&places, &options)?));
        }
        Task::Bench {
            rounds,
            hooks,
            json,
            write,
        } => {
            let options = bench::Options {
                rounds,
                hooks,
                json,
                write,
            };
            return Ok(i32::from(!bench::command(&places, &options)?));
        }
        Task::Lint => return Ok(i32::from(!lint::command(&places)?)),
        Task::Docs => docs::command(&places)?,
        Task::Dist => dist::command(&places)?,
        Task::Vm {
            kernel,
            engine,
            copy,
            memory,
            timeout,
            icount,
            append,
            command,
        } => {
            let options = vm::Options {
                copies: copy,
                memory_mib: memory,
                append,
                timeout: Duration::from_secs(timeout),
                icount,
            };
            // Otherwise it would be tried what was built before the last change.
            setup::to_build(&places)?;
            build::all(&places)?;
            let guest = vm::Which { kernel, engine };
            return vm::command(&places, guest, &options, &command);
        }
    }
    Ok(0)
}
