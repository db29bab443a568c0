//! `sigtrace completions SHELL`.

use std::io::{self, Write};

use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;

use super::{args::Args, Failure};

/// Flags.
#[derive(ClapArgs, Clone, Debug)]
pub struct CompletionsArgs {
    /// For which shell: source what is printed, or put it where the shell looks
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints them.
pub fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut command = Args::command();
    // In memory first: clap_complete panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "sigtrace", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
