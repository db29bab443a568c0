//! Messages of the kernel programs (aya-log), for debugging sigtrace itself.
//!
//! Off unless `SIGTRACE_KERNEL_LOG` is set to `error`, `warn`, `info`, `debug`
//! or `trace`: the level is a constant to the verifier, which then drops the
//! messages from the programs altogether.

use std::io::{self, Write};

use aya::Ebpf;
use aya_log::EbpfLogger;

/// The environment variable.
pub const VARIABLE: &str = "SIGTRACE_KERNEL_LOG";

/// Writes messages to standard error.
struct ToStderr;

impl log::Log for ToStderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        let _ = writeln!(
            io::stderr(),
            "kernel program: {} {}",
            record.level(),
            crate::event::printable(&text)
        );
    }

    fn flush(&self) {}
}

/// The level that the environment asks for, 0 for none.
pub fn level(value: Option<&str>) -> u8 {
    let levels = ["error", "warn", "info", "debug", "trace"];
    levels
        .iter()
        .position(|&level| Some(level) == value)
        .map_or(0, |at| at as u8 + 1)
}

/// Reads what the programs write.
#[derive(Default)]
pub struct KernelLog(Option<EbpfLogger<ToStderr>>);

impl KernelLog {
    /// Of these programs; does nothing at level 0.
    pub fn new(ebpf: &mut Ebpf, level: u8) -> Self {
        // Without the map nothing was to be logged.
        Self(
            (level > 0)
                .then(|| EbpfLogger::init_with_logger(ebpf, ToStderr).ok())
                .flatten(),
        )
    }

    /// Something is to be logged.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes what has come.
    pub fn flush(&mut self) {
        if let Some(logger) = &mut self.0 {
            logger.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn levels_are_those_of_aya_log() {
        assert_eq!(super::level(None), 0);
        assert_eq!(super::level(Some("nonsense")), 0);
        assert_eq!(super::level(Some("error")), aya_log::Level::Error as u8);
        assert_eq!(super::level(Some("trace")), aya_log::Level::Trace as u8);
    }
}
