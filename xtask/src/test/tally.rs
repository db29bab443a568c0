//! Counting what was tested, and the last lines that say so. Reading results
//! out of other programs' output is left to `units` and `play`.

use std::fmt;

/// Kernels that continuous integration must have booted: below it, a mirror
/// that has lost its kernels would look like success.
const KERNELS_IN_CI: usize = 4;

/// Results of one part or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// What failed, and where: said again at the end, because what is between is long.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// One result.
    pub(crate) fn one(what: &str, passed: bool) -> Self {
        let mut tally = Self {
            passed: usize::from(passed),
            ..Self::default()
        };
        if !passed {
            tally.fail(what);
        }
        tally
    }

    /// One more failure.
    pub(crate) fn fail(&mut self, what: &str) {
        self.failed += 1;
        self.failures.push(what.to_owned());
    }

    /// Where all of it was tried.
    pub(crate) fn at(mut self, place: &str) -> Self {
        for failure in &mut self.failures {
            *failure = format!("{place}: {failure}");
        }
        self
    }

    /// One thing that could not be tried.
    pub(crate) fn one_skipped() -> Self {
        Self {
            skipped: 1,
            ..Self::default()
        }
    }

    /// Adds a part to the whole.
    pub(crate) fn add(&mut self, part: &Self) {
        self.passed += part.passed;
        self.failed += part.failed;
        self.skipped += part.skipped;
        self.failures.extend_from_slice(&part.failures);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            ..
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// What continuous integration says about the number of kernels that were
/// really booted, if it has to complain.
pub(crate) fn too_few_kernels(in_ci: bool, booted: usize) -> Option<String> {
    (in_ci && booted < KERNELS_IN_CI).then(|| {
        format!(
            "only {booted} kernels were booted, and CI wants {KERNELS_IN_CI}: \
             see above why the others could not be had"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_exact() {
        let mut all = Tally::one("a", true);
        all.add(&Tally {
            passed: 40,
            failed: 0,
            skipped: 2,
            ..Tally::default()
        });
        all.add(&Tally::one("b: no verdict", false).at("6.12 raw"));
        all.add(&Tally::one_skipped());
        assert_eq!(all.to_string(), "41 passed, 1 failed, 3 skipped");
        assert_eq!(all.failures, ["6.12 raw: b: no verdict"]);
    }

    #[test]
    fn only_ci_insists_on_kernels() {
        assert_eq!(too_few_kernels(false, 0), None);
        assert_eq!(too_few_kernels(true, 4), None);
        assert!(too_few_kernels(true, 3).unwrap().contains("only 3"));
    }
}
