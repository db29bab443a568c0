//! How fast the engine explains, by its own bench (`tracer/benches/engine.rs`, divan), whose
//! table is read.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use super::table::{Table, Target, Unit};

/// So often a round runs the whole stream.
const SAMPLES: &str = "5";

/// The row, of a median each round.
pub(super) fn row(table: &mut Table, bench: &Path, rounds: u32) -> Result<()> {
    let each = (0..rounds).map(|_| rate(bench)).collect::<Result<_>>()?;
    table.row(
        "explanation engine, on one core: events a second",
        Unit::Other(""),
        Some(each),
        Some(Target::AtLeast(1e6)),
    )
}

fn rate(bench: &Path) -> Result<f64> {
    let mut command = Command::new(bench);
    command.args(["--bench", "--sample-count", SAMPLES, "explain"]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{}", bench.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the engine's bench failed: {said}");
    median(&said).with_context(|| format!("no rate in what the engine's bench says: {said}"))
}

/// The third column of the line of rates.
fn median(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.contains("item/s"))?;
    let (number, unit) = line.split('│').nth(2)?.trim().split_once(' ')?;
    let scale = match unit {
        "item/s" => 1.0,
        "Kitem/s" => 1e3,
        "Mitem/s" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_read() {
        let said = "\
engine      fastest       │ slowest       │ median        │ mean          │ samples │ iters
╰─ explain  159.3 ms      │ 450.8 ms      │ 216.8 ms      │ 233 ms        │ 100     │ 100
            1.015 Mitem/s │ 222 Kitem/s   │ 461.5 Kitem/s │ 429.4 Kitem/s │         │
";
        assert_eq!(median(said), Some(461_500.0));
        assert_eq!(
            median("  │  │ 1.25 Mitem/s │ 1 item/s │"),
            Some(1_250_000.0)
        );
        assert_eq!(median("explain 1 ms │ 2 ms │ 3 ms"), None);
    }
}
