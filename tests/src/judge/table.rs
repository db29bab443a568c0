//! `tests/expected.toml`: how sure sigtrace can be, per scenario, claim, kernel
//! and hook level. Less fails; more fails too, so that the table stays true.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::ledger::Ledger;

const TEXT: &str = include_str!("../../expected.toml");

/// How sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sure {
    /// This kernel at this level does not show it: sigtrace must say `unknown`.
    Impossible,
    Inferred,
    Proven,
}

impl fmt::Display for Sure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Impossible => "impossible",
            Self::Inferred => "inferred",
            Self::Proven => "proven",
        })
    }
}

/// Which column: a kernel and what could be attached on it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kernel: String,
    pub(crate) level: Level,
    /// Names of the hooks that are attached.
    pub(crate) hooks: Vec<String>,
}

/// What could be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// All hooks tell all that they can: fentry, or kprobes.
    Btf,
    /// Tracepoints alone, or kretprobes that do not tell who took a signal.
    Raw,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Where nothing else is said.
    default: Sure,
    #[serde(default)]
    except: Vec<Exception>,
    /// What came of it.
    #[serde(skip)]
    pub(crate) ledger: Ledger,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    pub(crate) scenarios: Vec<String>,
    /// Absent: every claim of the scenario.
    pub(crate) claim: Option<String>,
    /// Absent: every kernel.
    pub(crate) kernels: Option<Vec<String>>,
    /// Absent: every level.
    pub(crate) level: Option<Level>,
    /// Only where this hook is not attached.
    pub(crate) without: Option<String>,
    pub(crate) is: Sure,
    /// What makes it proven may come before the trace ends, or after.
    #[serde(default)]
    or_proven: bool,
    because: String,
}

impl Exception {
    pub(crate) fn holds(&self, scenario: &str, place: &Place) -> bool {
        self.scenarios.iter().any(|name| name == scenario)
            && self.level.is_none_or(|level| level == place.level)
            && (self.without.as_ref()).is_none_or(|hook| !place.hooks.contains(hook))
            && self
                .kernels
                .as_ref()
                .is_none_or(|kernels| kernels.contains(&place.kernel))
    }

    fn is_about(&self, claim: &str) -> bool {
        self.claim.as_deref().is_none_or(|own| own == claim)
    }
}

impl Table {
    /// The table of this repository.
    pub(crate) fn own() -> Result<Self> {
        Self::read(TEXT)
    }

    pub(crate) fn read(text: &str) -> Result<Self> {
        toml::from_str(text).context("tests/expected.toml")
    }

    /// What is expected, and why if it is an exception. The last one that holds
    /// counts.
    pub(crate) fn expected(&self, scenario: &str, claim: &str, place: &Place) -> (Sure, &str) {
        self.exception(scenario, claim, place)
            .map_or((self.default, ""), |e| (e.is, &e.because))
    }

    /// Whether it may be proven although that is not expected.
    pub(crate) fn or_proven(&self, scenario: &str, claim: &str, place: &Place) -> bool {
        self.exception(scenario, claim, place)
            .is_some_and(|e| e.or_proven)
    }

    fn exception(&self, scenario: &str, claim: &str, place: &Place) -> Option<&Exception> {
        let holds = |e: &&Exception| e.holds(scenario, place) && e.is_about(claim);
        self.except.iter().rev().find(holds)
    }

    /// Rows about this scenario, here, that no claim of it met.
    pub(crate) fn unmet(
        &self,
        scenario: &str,
        place: &Place,
        claims: &BTreeSet<String>,
    ) -> Vec<&str> {
        self.except
            .iter()
            .filter(|e| e.holds(scenario, place) && !claims.iter().any(|claim| e.is_about(claim)))
            .map(|e| e.claim.as_deref().unwrap_or("any claim"))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn exceptions(&self) -> &[Exception] {
        &self.except
    }
}
