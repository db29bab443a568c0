//! Which ids of the contract were claimed here, and how surely sigtrace said them:
//! the lines `GRADE` of which the table in `docs/proofs.md` is made.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::table::Sure;

/// An id that an event had to say, and how sure it was to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grade {
    /// `fate`, `reason`, `cause` or `mechanism`, as in the contract.
    kind: &'static str,
    id: String,
    sure: Sure,
    /// Why it is no surer.
    because: String,
}

/// All of a run. Scenarios fill it one after the other; what one claims twice
/// stands once.
#[derive(Debug, Default)]
pub(crate) struct Ledger(RefCell<BTreeSet<Grade>>);

impl Ledger {
    pub(crate) fn note(&self, kind: &'static str, id: &str, (sure, because): (Sure, &str)) {
        self.0.borrow_mut().insert(Grade {
            kind,
            id: id.to_owned(),
            sure,
            because: because.to_owned(),
        });
    }

    /// A line per id and degree: `GRADE cause oom-memcg inferred because …`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |grade: &Grade| {
            let Grade {
                kind,
                id,
                sure,
                because,
            } = grade;
            format!("GRADE {kind} {id} {sure} {because}")
                .trim_end()
                .to_owned()
        };
        self.0.borrow().iter().map(line).collect()
    }
}
