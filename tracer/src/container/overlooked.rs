//! Containers that are waited for and have started, as their engine says, and that are
//! not told apart: they have no PID namespace of their own, and the one that they are in
//! is traced already, or their control group is not told.

use crate::event::{printable, BootTime};

/// So long after its engine has told of it one is found, if at all.
const LATE_NS: u64 = 5_000_000_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Overlooked {
    /// Since when each is known to have started.
    since: Vec<(String, BootTime)>,
    /// Those of whom that was said.
    said: Vec<String>,
}

impl Overlooked {
    /// These have started as of now, and were not found. Those that it is to be said of.
    pub fn look(&mut self, missing: &[&str], now: BootTime) -> Vec<String> {
        self.since.retain(|(name, _)| missing.contains(&&**name));
        for &name in missing {
            if !self.since.iter().any(|(one, _)| one == name) {
                self.since.push((name.to_owned(), now));
            }
        }
        let late = |since: BootTime| now.0.saturating_sub(since.0) >= LATE_NS;
        let new = self
            .since
            .iter()
            .filter(|(name, since)| late(*since) && !self.said.contains(name));
        let new: Vec<String> = new.map(|(name, _)| name.clone()).collect();
        self.said.extend(new.iter().cloned());
        new
    }

    /// What is said of them at the end.
    pub fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.said.iter().map(|name| words(name))
    }
}

/// What is said of one.
pub fn words(name: &str) -> String {
    let name = printable(name);
    format!(
        "{name} has started and cannot be told apart: it has no PID namespace of its own, and the one that it is in is \
         traced already. Trace it while it runs: sigtrace --container {name}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_and_not_of_one_that_is_found_in_time() {
        let mut overlooked = Overlooked::default();
        let at = |s: u64| BootTime(s * 1_000_000_000);
        assert!(overlooked.look(&["side", "web"], at(1)).is_empty());
        assert!(overlooked.look(&["side"], at(3)).is_empty());
        assert_eq!(overlooked.look(&["side"], at(6)), ["side"]);
        assert!(overlooked.look(&["side"], at(9)).is_empty());
        assert_eq!(overlooked.notes().count(), 1);
    }
}
