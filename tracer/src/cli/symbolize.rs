//! `sigtrace symbolize`: not for people. The process that reads the symbols of a
//! program which somebody else wrote; see [`crate::program`].

use std::io::{self, Write};

use clap::Args as ClapArgs;

use super::{Code, Failure};
use crate::{kernel, program::name};

/// Flags.
#[derive(ClapArgs, Clone, Debug)]
pub struct SymbolizeArgs {
    /// The place in the file at standard input, bytes from its begin.
    pub offset: u64,
    /// The file has to have this build id.
    #[arg(long, hide = true)]
    pub build_id: Option<String>,
}

/// Gives up everything, and looks.
pub fn run(args: &SymbolizeArgs) -> Result<(), Failure> {
    kernel::privileges::keep_nothing()?;
    let found = name::at(args.offset, args.build_id.as_deref())?;
    let Some(function) = found else {
        return Err(Failure::silent(Code::NotFound));
    };
    let mut out = io::stdout().lock();
    let line = serde_json::to_string(&function).map_err(anyhow::Error::from)?;
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
