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
}

impl Tally {
    /// One result.
    pub(crate) fn one(passed: bool) -> Self {
        Self {
            passed: usize::from(passed),
            failed: usize::from(!passed),
            skipped: 0,
        }
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
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
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
        let mut all = Tally::one(true);
        all.add(&Tally {
            passed: 40,
            failed: 0,
            skipped: 2,
        });
        all.add(&Tally::one(false));
        all.add(&Tally::one_skipped());
        assert_eq!(all.to_string(), "41 passed, 1 failed, 3 skipped");
    }

    #[test]
    fn only_ci_insists_on_kernels() {
        assert_eq!(too_few_kernels(false, 0), None);
        assert_eq!(too_few_kernels(true, 4), None);
        assert!(too_few_kernels(true, 3).unwrap().contains("only 3"));
    }
}
