//! Reads what the test program `sigtrace-play` prints: one `PASS name`,
//! `FAIL name: why` or `SKIP name: why` per scenario, and `END n` as its last
//! line, and before that `GRADE` lines, of which the page of proofs is made.
//! Anything else belongs to the scenario that is reported next, and is
//! shown if that one fails.
//!
//! How the program is run is left to `boots`.

use std::fmt::Write as _;

use super::proofs::Grade;
use super::tally::Tally;
use crate::cmd;

/// Lines of a failed scenario that are shown; debugging wants the last ones.
const SHOWN: usize = 40;
/// Characters of such a line.
const WIDTH: usize = 600;

/// What one run of the program came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    /// The last line was there.
    pub(crate) complete: bool,
    /// Failures with their output, and reasons of skips, for people.
    pub(crate) text: String,
    /// What was claimed, and how surely.
    pub(crate) grades: Vec<Grade>,
    /// Scenarios that were not played there, with why.
    pub(crate) skips: Vec<(String, String)>,
}

impl Report {
    /// Reads the whole stdout. A missing or wrong `END` is a failure of its
    /// own: the guest died, or scenarios were lost.
    pub(crate) fn read(stdout: &str) -> Self {
        let mut report = Self::default();
        let mut held = String::new();
        let mut end: Option<&str> = None;
        for line in stdout.lines() {
            let line = line.trim_end_matches('\r');
            match line.split_once(' ') {
                Some(("PASS", _)) => report.tally.passed += 1,
                Some(("FAIL", rest)) => report.fail(rest, &held),
                Some(("SKIP", rest)) => {
                    report.tally.skipped += 1;
                    let _ = writeln!(report.text, "  SKIP {rest}");
                    let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
                    report.skips.push((name.to_owned(), why.to_owned()));
                }
                Some(("GRADE", rest)) => {
                    report.grades.extend(Grade::read(rest));
                    continue;
                }
                Some(("END", rest)) => {
                    end = Some(rest);
                    continue;
                }
                _ => {
                    held.push_str(line);
                    held.push('\n');
                    continue;
                }
            }
            held.clear();
        }
        let seen = report.tally.passed + report.tally.failed + report.tally.skipped;
        report.complete = end.is_some();
        match end.map(str::parse::<usize>) {
            Some(Ok(said)) if said == seen => {}
            Some(Ok(said)) => report.fail(
                &format!("end: the test program speaks of {said} scenarios, {seen} were seen"),
                &held,
            ),
            _ => report.fail(
                &format!("end: it ended early, after {seen} scenarios"),
                &held,
            ),
        }
        report
    }

    fn fail(&mut self, what: &str, held: &str) {
        self.tally.fail(what);
        let _ = writeln!(self.text, "  FAIL {what}");
        for line in cmd::tail(held, SHOWN).lines() {
            let start: String = line.chars().take(WIDTH).collect();
            let cut = if start.len() < line.len() { "…" } else { "" };
            let _ = writeln!(self.text, "  {start}{cut}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_keeps_only_the_failures_output() {
        let report = Report::read(
            "noise of a\nPASS a\nnoise of b\nmore\nFAIL b: no verdict\nSKIP c: no kprobes here\nGRADE cause exit proven\nEND 3\n",
        );
        assert_eq!(
            report.tally,
            Tally {
                passed: 1,
                failed: 1,
                skipped: 1,
                failures: vec!["b: no verdict".to_owned()],
            }
        );
        assert!(report.complete);
        assert_eq!(report.grades.len(), 1);
        assert_eq!(
            report.skips,
            [("c".to_owned(), "no kprobes here".to_owned())]
        );
        assert!(!report.text.contains("noise of a"));
        assert!(
            report
                .text
                .contains("FAIL b: no verdict\n    | noise of b\n    | more\n"),
            "{}",
            report.text
        );
        assert!(report.text.contains("SKIP c: no kprobes here"));
    }

    #[test]
    fn a_missing_end_is_a_failure() {
        let report = Report::read("PASS a\nthread panicked\n");
        assert_eq!(
            report.tally,
            Tally {
                passed: 1,
                failed: 1,
                skipped: 0,
                failures: vec!["end: it ended early, after 1 scenarios".to_owned()],
            }
        );
        assert!(!report.complete);
        assert!(report.text.contains("thread panicked"));
        assert_eq!(Report::read("").tally.failed, 1);
    }

    #[test]
    fn lost_scenarios_are_a_failure() {
        assert_eq!(Report::read("PASS a\nEND 2\n").tally.failed, 1);
        assert_eq!(Report::read("PASS a\nEND x\n").tally.failed, 1);
    }
}
