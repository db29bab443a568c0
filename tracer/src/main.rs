//! The `sigtrace` command: runs it, prints what went wrong with its causes, and
//! picks the exit code. All else is the library's.

use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let Err(failure) = sigtrace::cli::run() else {
        return ExitCode::SUCCESS;
    };
    if failure.is_broken_pipe() {
        return ExitCode::SUCCESS;
    }
    if let Some(error) = &failure.error {
        let text = format!("{error:#}");
        let lines = text.lines().map(sigtrace::event::printable);
        let lines = lines.collect::<Vec<_>>().join("\n");
        // With standard error closed there is nobody left to tell.
        let _ = writeln!(io::stderr(), "sigtrace: {lines}");
    }
    ExitCode::from(failure.code as u8)
}
