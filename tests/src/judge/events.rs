//! The JSON lines of one run, put together: every event as it was first told and
//! as it stood in the end, updates applied. The contract of the lines themselves
//! is held by the schema's own tests; here only what the play relies on.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// A `signal`, `exit`, `init_exit` or any other line with what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) first: Value,
    /// After each update, the last one included.
    pub(crate) then: Vec<Value>,
    pub(crate) now: Value,
}

impl Event {
    pub(crate) fn kind(&self) -> &str {
        self.now["event"].as_str().unwrap_or_default()
    }

    /// A death, of PID 1 or of another.
    pub(crate) fn is_death(&self) -> bool {
        matches!(self.kind(), "exit" | "init_exit")
    }

    pub(crate) fn is_signal(&self) -> bool {
        self.kind() == "signal"
    }

    /// A signal that the kernel refused to send.
    pub(crate) fn is_refused(&self) -> bool {
        self.kind() == "refused"
    }

    /// A fork that the kernel rejected.
    pub(crate) fn is_fork_rejected(&self) -> bool {
        self.kind() == "fork_rejected"
    }

    /// A number at a path such as `/target/pid`.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.now.pointer(path).and_then(Value::as_u64)
    }

    /// A text at a path, empty where there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.now
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// What one sigtrace said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) tracing: Value,
    pub(crate) events: Vec<Event>,
    pub(crate) summary: Value,
    /// What is wrong with the lines themselves.
    pub(crate) faults: Vec<String>,
}

impl Seen {
    /// Reads all lines of a run that has ended.
    pub(crate) fn read(lines: &[String]) -> Self {
        let mut seen = Self::default();
        let mut by_id = HashMap::new();
        let last = lines.len().saturating_sub(1);
        for (number, line) in lines.iter().enumerate() {
            let value: Value = match serde_json::from_str(line) {
                Ok(value) => value,
                Err(error) => {
                    seen.faults.push(format!("no JSON ({error}): {line}"));
                    continue;
                }
            };
            if value["v"] != 1 {
                seen.faults.push(format!("\"v\" is not 1: {line}"));
            }
            match value["event"].as_str() {
                Some("tracing") if number == 0 => seen.tracing = value,
                Some("summary") if number == last => seen.summary = value,
                Some("update") => seen.update(&by_id, value),
                Some("tracing" | "summary") | None => {
                    seen.faults.push(format!("out of place: {line}"));
                }
                Some(kind) => {
                    // A zombie or a reaping may carry the number of its exit.
                    let changes = matches!(kind, "signal" | "refused" | "exit" | "init_exit");
                    if let (true, Some(id)) = (changes, value["id"].as_u64()) {
                        if by_id.insert(id, seen.events.len()).is_some() {
                            seen.faults.push(format!("id {id} twice: {line}"));
                        }
                    }
                    seen.events.push(Event {
                        first: value.clone(),
                        then: Vec::new(),
                        now: value,
                    });
                }
            }
        }
        if seen.tracing.is_null() {
            seen.faults
                .push("the first line is not `tracing`".to_owned());
        }
        if seen.summary.is_null() {
            seen.faults
                .push("the last line is not `summary`".to_owned());
        }
        seen
    }

    fn update(&mut self, by_id: &HashMap<u64, usize>, value: Value) {
        let Value::Object(changes) = value else {
            return;
        };
        let of = changes.get("of").and_then(Value::as_u64);
        let Some(&at) = of.and_then(|of| by_id.get(&of)) else {
            self.faults
                .push(format!("an update of nothing: {changes:?}"));
            return;
        };
        let event = &mut self.events[at];
        if let Value::Object(now) = &mut event.now {
            apply(now, changes);
        }
        event.then.push(event.now.clone());
    }

    /// Events that concern one of these namespaces.
    pub(crate) fn of_namespaces(&self, inodes: &[u32]) -> Vec<&Event> {
        let concerns = |event: &&Event| {
            event
                .number("/pidns")
                .is_some_and(|ino| inodes.iter().any(|&i| u64::from(i) == ino))
        };
        self.events.iter().filter(concerns).collect()
    }
}

/// Fields replace fields, `null` takes one away.
pub(super) fn apply(now: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (field, value) in changes {
        match field.as_str() {
            "event" | "v" | "of" | "time" => {}
            _ if value.is_null() => drop(now.remove(&field)),
            _ => drop(now.insert(field, value)),
        }
    }
}

/// Nanoseconds of a day.
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;

/// Nanoseconds since midnight of `2026-11-26T23:38:32.529144782Z`.
pub(crate) fn of_day(time: &str) -> Option<i64> {
    let (_, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = clock.split_once('.')?;
    let mut parts = clock.split(':').map(str::parse::<i64>);
    let mut next = || parts.next()?.ok();
    let seconds = (next()? * 60 + next()?) * 60 + next()?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    Some(seconds * 1_000_000_000 + digits.parse::<i64>().ok()?)
}
