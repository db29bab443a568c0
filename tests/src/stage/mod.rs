//! What a scenario is played on: namespaces with programs in them ([`ns`]),
//! or an engine's containers ([`engine`]), sigtrace beside them ([`sigtrace`]), and
//! lines from both ([`lines`]).

pub(crate) mod elf;
pub(crate) mod engine;
pub(crate) mod host;
pub(crate) mod lines;
pub(crate) mod ns;
pub(crate) mod sigtrace;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Result};

/// How long anything may take. Emulated machines are twenty times slower, and
/// only a failure waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(PATIENCE, what, ask)
}

/// The same for what may take longer.
pub(crate) fn until_within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if begin.elapsed() > patience {
            bail!("waited {} s for {what}", patience.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
    }
}
