//! The live trace.

use super::{args::TraceArgs, Code, Failure};

/// Traces until it is told to end.
pub fn run(args: TraceArgs) -> Result<(), Failure> {
    drop(args);
    Err(Failure::new(
        Code::CannotTrace,
        anyhow::anyhow!("this build has no live trace"),
    ))
}
