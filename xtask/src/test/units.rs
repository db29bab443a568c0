//! `cargo test`: everything that needs no kernel, counted from what it prints.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::tally::Tally;
use crate::places::Places;
use crate::{cmd, ui};

/// Lines shown of a run that failed.
const SHOWN: usize = 80;

/// Runs the default members' tests.
pub(crate) fn run(places: &Places) -> Result<Tally> {
    ui::say("running the tests that need no kernel (cargo test)");
    let begin = Instant::now();
    let output = Command::new("cargo")
        .args(["test", "--no-fail-fast", "--color", "never"])
        .current_dir(&places.root)
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut tally = count(&text);
    if !output.status.success() {
        if tally.failed == 0 {
            // It did not compile, or died on the way.
            tally.fail("cargo test did not end");
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        eprint!("{}{}", cmd::tail(&text, SHOWN), cmd::tail(&errors, SHOWN));
    }
    tally.failures.extend(failed(&text));
    println!("cargo test: {tally} ({})", ui::took(begin.elapsed()));
    Ok(tally)
}

/// Names of the tests of the lines `test a::b ... FAILED`.
fn failed(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .map(|name| format!("cargo test: {name}"))
}

/// Sums up the lines `test result: ok. 28 passed; 0 failed; 0 ignored; …`.
fn count(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        let parts = line.split_once(". ").map_or("", |(_, rest)| rest);
        for part in parts.split("; ") {
            let Some((number, what)) = part.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match what {
                "passed" => tally.passed += number,
                "failed" => tally.failed += number,
                "ignored" => tally.skipped += number,
                _ => {}
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_all_binaries() {
        let text = "\
running 2 tests
test a ... ok
test b::c ... FAILED
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

test result: FAILED. 7 passed; 3 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.10s
";
        assert_eq!(
            count(text),
            Tally {
                passed: 9,
                failed: 3,
                skipped: 1,
                ..Tally::default()
            }
        );
        assert_eq!(failed(text).collect::<Vec<_>>(), ["cargo test: b::c"]);
        assert_eq!(count("error: could not compile"), Tally::default());
    }
}
