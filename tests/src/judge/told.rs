//! What a sigtrace wrote in JSON, asked by counting lines: for scenarios in which
//! the same happens many times.

use anyhow::{Context, Result};
use serde_json::Value;

use super::events;
use crate::scenarios::Outcome;
use crate::stage::sigtrace::Ended;

/// Each line as it stood in the end: a slow machine tells late what a fast one knows at
/// once.
fn update(lines: &mut [Value]) {
    for at in 0..lines.len() {
        if lines[at]["event"] != "update" {
            continue;
        }
        let (before, now) = lines.split_at_mut(at);
        let of = &now[0]["of"];
        let changes = now[0].as_object().cloned().unwrap_or_default();
        let is_it = |line: &&mut Value| line["id"] == *of && line["event"] != "update";
        if let Some(Value::Object(line)) = before.iter_mut().find(is_it) {
            events::apply(line, changes);
        }
    }
}

/// What was written, to be asked.
pub(crate) struct Told {
    pub(crate) lines: Vec<Value>,
    faults: Vec<String>,
}

impl Told {
    pub(crate) fn read(ended: &Ended) -> Result<Self> {
        let lines = ended.lines.iter().map(|line| serde_json::from_str(line));
        let lines = lines.collect::<Result<Vec<Value>, _>>();
        let mut lines = lines.context("no JSON")?;
        update(&mut lines);
        let mut told = Self {
            lines,
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
