//! What a sigtrace wrote in JSON, asked by counting lines: for scenarios in which
//! the same happens many times.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::scenarios::Outcome;
use crate::stage::sigtrace::Ended;

/// What was written, to be asked.
pub(crate) struct Told {
    pub(crate) lines: Vec<Value>,
    faults: Vec<String>,
}

impl Told {
    pub(crate) fn read(ended: &Ended) -> Result<Self> {
        let lines = ended.lines.iter().map(|line| serde_json::from_str(line));
        let lines = lines.collect::<Result<Vec<Value>, _>>();
        let mut told = Self {
            lines: lines.context("no JSON")?,
            faults: Vec::new(),
        };
        let last = told.lines.last().cloned().unwrap_or_default();
        for nothing in ["ends_unseen", "events_lost"] {
            told.expect(last[nothing] == 0, || format!("{nothing}: {last}"));
        }
        Ok(told)
    }

    pub(crate) fn expect(&mut self, so: bool, fault: impl FnOnce() -> String) {
        if !so {
            self.faults.push(fault());
        }
    }

    /// Lines of a kind.
    pub(crate) fn of(&self, event: &str) -> Vec<Value> {
        let lines = self.lines.iter().filter(|line| line["event"] == event);
        lines.cloned().collect()
    }

    /// So many lines of a kind with these values.
    pub(crate) fn count(&mut self, event: &str, count: usize, values: &[(&str, &str)]) {
        let fits = |line: &Value| {
            let is = |(at, value): &(&str, &str)| match line.pointer(at) {
                Some(Value::String(is)) => is == value,
                Some(Value::Number(is)) => is.as_i64() == value.parse().ok(),
                _ => false,
            };
            values.iter().all(is)
        };
        let found = self.of(event).iter().filter(|line| fits(line)).count();
        self.expect(found == count, || {
            format!("{found} and not {count} lines {event} with {values:?}")
        });
    }

    pub(crate) fn outcome(self, ended: &Ended) -> Outcome {
        Outcome::of(self.faults, &ended.told())
    }
}
