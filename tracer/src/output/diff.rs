//! What changed between two states of one line, for `update`. The last state
//! of each line that may still change is kept, so many at most; a line that has
//! been forgotten is updated with all its fields, which is correct and longer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Lines that are remembered. At two kilobytes each that is a few megabytes.
const KEPT: usize = 4096;

/// Fields that are the line's own, not the event's.
const FIXED: [&str; 4] = ["v", "id", "event", "time"];

/// The lines that were written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    lines: BTreeMap<u64, Map<String, Value>>,
    /// Every line up to here was written or left out, and may be forgotten.
    forgotten: u64,
}

impl Written {
    /// The line as it was last written.
    pub(crate) fn remember(&mut self, id: u64, line: Map<String, Value>) {
        self.lines.insert(id, line);
        if self.lines.len() > KEPT {
            if let Some((id, _)) = self.lines.pop_first() {
                self.forgotten = self.forgotten.max(id);
            }
        }
    }

    /// Whether the line was written and is remembered.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.lines.contains_key(&id)
    }

    /// Whether the line was written; lines so old that they are forgotten
    /// count as written.
    pub(crate) fn knows(&self, id: u64) -> bool {
        id <= self.forgotten || self.lines.contains_key(&id)
    }

    /// The fields of `now` that differ from the line as it was last written,
    /// `null` where it has none any more.
    pub(crate) fn changed(&self, id: u64, now: &Map<String, Value>) -> Map<String, Value> {
        let empty = Map::new();
        let before = self.lines.get(&id).unwrap_or(&empty);
        let gone = before.keys().filter(|key| !now.contains_key(*key));
        let gone = gone.map(|key| (key.clone(), Value::Null));
        let new = now
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(*value));
        let new = new.map(|(key, value)| (key.clone(), value.clone()));
        gone.chain(new)
            .filter(|(key, _)| !FIXED.contains(&key.as_str()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn changed_new_and_gone() {
        let mut written = Written::default();
        written.remember(
            1,
            object(&json!({"id": 1, "fate": "blocked", "reason": "r", "n": 1})),
        );
        let now = object(&json!({"id": 1, "fate": "handled", "latency_ns": 5, "n": 1}));
        let expected = json!({"fate": "handled", "latency_ns": 5, "reason": null});
        assert_eq!(Value::Object(written.changed(1, &now)), expected);
    }

    #[test]
    fn memory_is_bounded_and_forgotten_lines_are_written_whole() {
        let mut written = Written::default();
        let line = |id: u64| object(&json!({"id": id, "n": 1}));
        for id in 0..=KEPT as u64 {
            written.remember(id, line(id));
        }
        assert_eq!(written.lines.len(), KEPT);
        assert!(written.knows(0), "forgotten, not unwritten");
        assert!(!written.knows(KEPT as u64 + 1));
        assert_eq!(Value::Object(written.changed(0, &line(0))), json!({"n": 1}));
    }
}
