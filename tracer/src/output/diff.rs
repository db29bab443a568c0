//! What changed between two states of one line, for `update`. The last state
//! of each line that may still change is kept, so many at most; a line that has
//! been forgotten is updated with all its fields, which is correct and longer.
//! Which lines were written is remembered far longer than what was on them: an
//! `update` of a line that never was would say nothing to its reader.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Lines that are remembered, as text: as values they would take several times as much
/// memory, and hardly any of them is looked at again. At one or two kilobytes each
/// that is most of a megabyte.
const KEPT: usize = 512;

/// Blocks of ids of which it is remembered which were written: some megabytes
/// at most, for two million lines at least where all are written.
const BLOCKS: usize = 32_768;

/// Ids in a word.
const BITS: u64 = u64::BITS as u64;

/// Fields that are the line's own, not the event's.
const FIXED: [&str; 4] = ["v", "id", "event", "time"];

/// The lines that were written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    lines: BTreeMap<u64, Box<str>>,
    /// A bit for each id. The oldest go: they count as not written, so that what
    /// is told of them is a whole line again.
    ids: BTreeMap<u64, u64>,
}

impl Written {
    /// The line as it was last written.
    pub(crate) fn remember(&mut self, id: u64, line: &str) {
        self.note(id);
        self.lines.insert(id, line.into());
        if self.lines.len() > KEPT {
            self.lines.pop_first();
        }
    }

    /// The line was written, and hardly ever changes: then with all its fields.
    pub(crate) fn note(&mut self, id: u64) {
        *self.ids.entry(id / BITS).or_default() |= 1 << (id % BITS);
        if self.ids.len() > BLOCKS {
            self.ids.pop_first();
        }
    }

    /// Whether the line was written.
    pub(crate) fn has(&self, id: u64) -> bool {
        let word = self.ids.get(&(id / BITS)).copied().unwrap_or_default();
        word >> (id % BITS) & 1 == 1
    }

    /// The fields of `now` that differ from the line as it was last written,
    /// `null` where it has none any more.
    pub(crate) fn changed(&self, id: u64, now: &Map<String, Value>) -> Map<String, Value> {
        let text = self.lines.get(&id);
        let before: Map<String, Value> = text
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
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
        written.remember(1, r#"{"id": 1, "fate": "blocked", "reason": "r", "n": 1}"#);
        let now = object(&json!({"id": 1, "fate": "handled", "latency_ns": 5, "n": 1}));
        let expected = json!({"fate": "handled", "latency_ns": 5, "reason": null});
        assert_eq!(Value::Object(written.changed(1, &now)), expected);
    }

    #[test]
    fn memory_is_bounded_and_forgotten_lines_are_written_whole() {
        let mut written = Written::default();
        let line = |id: u64| object(&json!({"id": id, "n": 1}));
        for id in 0..=KEPT as u64 {
            written.remember(id, &format!(r#"{{"id":{id},"n":1}}"#));
        }
        assert_eq!(written.lines.len(), KEPT);
        assert!(written.has(0), "forgotten, not unwritten");
        assert!(!written.has(KEPT as u64 + 1));
        assert_eq!(Value::Object(written.changed(0, &line(0))), json!({"n": 1}));
        for id in 0..2 * BLOCKS as u64 {
            written.note(id * BITS);
        }
        assert_eq!(written.ids.len(), BLOCKS);
        assert!(!written.has(0), "too old to be known");
    }

    #[test]
    fn a_line_that_was_never_written_stays_so_however_many_follow() {
        let mut written = Written::default();
        for id in (1..=4 * KEPT as u64).step_by(2) {
            written.remember(id, "{}");
        }
        assert!(written.has(1) && !written.has(2));
    }
}
