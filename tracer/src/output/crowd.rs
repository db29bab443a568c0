//! Many of a kind in one moment. When 200 processes die of one cause, the
//! first few are written whole and the rest in one counted line that names
//! their pids. This file recognizes a crowd and counts; [`super::text`] words
//! it. JSON has every one.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{BootTime, PidNs};

/// So many are written whole.
const WHOLE: u64 = 3;
/// A crowd is over when nobody has joined it for so long.
const QUIET_NS: u64 = 2_000_000_000;
/// A crowd that goes on for ever is counted this often.
const AT_MOST_NS: u64 = 1_000_000_000;
/// All crowds are looked at no more often than this: as many times as time has
/// passed, not as events have come.
const LOOK_NS: u64 = 100_000_000;

/// What members of a crowd have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// `KILLED`, `SIGTERM`.
    pub(crate) kind: String,
    /// The result column.
    pub(crate) result: String,
    /// `[pid1-exited, proven]`.
    pub(crate) id: String,
    /// Where.
    pub(crate) pidns: Option<PidNs>,
    /// Explanation and chain, digits left out: they may name each one's pid.
    words: String,
}

impl Key {
    pub(crate) fn new(
        kind: &str,
        result: &str,
        id: &str,
        pidns: Option<PidNs>,
        words: &str,
    ) -> Self {
        let words = words.chars().filter(|c| !c.is_ascii_digit());
        Self {
            kind: kind.to_owned(),
            result: result.to_owned(),
            id: id.to_owned(),
            pidns,
            words: words.collect(),
        }
    }
}

/// Those that were held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// How many events, folded ones counted.
    pub(crate) count: u64,
    /// Name and pid of each process.
    pub(crate) who: BTreeSet<(String, u32)>,
    /// Whom they are owed to, as their chains have it, and how many of them to each.
    pub(crate) by: BTreeMap<String, u64>,
    /// There is somebody among those whom those that were written whole have not named.
    pub(crate) by_others: bool,
    /// When the first of them was.
    pub(crate) first: BootTime,
    /// When the last of them was.
    pub(crate) last: BootTime,
}

#[derive(Debug, Default)]
struct Crowd {
    whole: u64,
    /// Whom those that were written whole are owed to.
    named: BTreeSet<String>,
    seen: BootTime,
    held: Held,
}

/// All crowds of the moment.
#[derive(Debug, Default)]
pub(crate) struct Crowds {
    crowds: BTreeMap<Key, Crowd>,
    /// When to look at them next.
    look: BootTime,
    /// How many were looked at to find what is due.
    #[cfg(test)]
    pub(crate) steps: u64,
}

impl Crowds {
    /// One more of a kind; `true`: write it whole.
    pub(crate) fn join(
        &mut self,
        key: Key,
        time: BootTime,
        count: u64,
        who: (String, u32),
        by: Option<String>,
    ) -> bool {
        let crowd = self.crowds.entry(key).or_default();
        crowd.seen = time;
        // What was counted has been written whole before, if it was not long ago.
        if crowd.whole < WHOLE && (count == 1 || crowd.whole == 0) {
            crowd.whole += 1;
            crowd.named.extend(by);
            return true;
        }
        let held = &mut crowd.held;
        if held.count == 0 {
            held.first = time;
        }
        held.last = time;
        held.count += count;
        held.who.insert(who);
        if let Some(by) = by {
            held.by_others |= !crowd.named.contains(&by);
            *held.by.entry(by).or_default() += count;
        }
        false
    }

    /// What is to be said by now, in the order of time. `None`: the end, so
    /// everything.
    pub(crate) fn due(&mut self, now: Option<BootTime>) -> Vec<(Key, Held)> {
        if let Some(now) = now {
            if now < self.look {
                return Vec::new();
            }
            self.look = BootTime(now.0.saturating_add(LOOK_NS));
        }
        #[cfg(test)]
        {
            self.steps += self.crowds.len() as u64;
        }
        let since = |time: BootTime| now.map_or(u64::MAX, |now| now.0.saturating_sub(time.0));
        let mut due = Vec::new();
        self.crowds.retain(|key, crowd| {
            let quiet = since(crowd.seen) > QUIET_NS;
            if crowd.held.count > 0 && (quiet || since(crowd.held.first) > AT_MOST_NS) {
                due.push((key.clone(), std::mem::take(&mut crowd.held)));
            }
            !quiet
        });
        due.sort_by_key(|(_, held)| held.last);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sentence: &str) -> Key {
        Key::new("KILLED", "SIGKILL (137)", "[x, proven]", Some(1), sentence)
    }

    #[test]
    fn three_whole_then_counted_until_it_is_quiet() {
        let mut crowds = Crowds::default();
        for pid in 0..200 {
            let whole = crowds.join(
                key(&format!("{pid} died")),
                BootTime(pid),
                1,
                ("x".into(), 1),
                Some(format!("sh {}", pid / 100)),
            );
            assert_eq!(whole, pid < 3);
        }
        assert!(crowds.join(key("other words"), BootTime(200), 1, ("y".into(), 2), None));
        assert!(crowds.due(Some(BootTime(200))).is_empty());
        let due = crowds.due(Some(BootTime(QUIET_NS + 201)));
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].1.count, 197);
        assert_eq!(due[0].1.who, [("x".to_owned(), 1)].into());
        let by = [("sh 0".to_owned(), 97), ("sh 1".to_owned(), 100)];
        assert_eq!((&due[0].1.by, due[0].1.by_others), (&by.into(), true));
        assert!(crowds.crowds.is_empty());
    }

    #[test]
    fn a_storm_without_end_is_said_now_and_then() {
        let mut crowds = Crowds::default();
        let step = QUIET_NS / 2;
        let said: u64 = (0..100)
            .map(|i| {
                crowds.join(key("s"), BootTime(i * step), 1, ("x".into(), 1), None);
                crowds
                    .due(Some(BootTime(i * step)))
                    .iter()
                    .map(|(_, held)| held.count)
                    .sum::<u64>()
            })
            .sum();
        assert!((90..97).contains(&said), "{said}");
        assert_eq!(
            crowds
                .due(None)
                .iter()
                .map(|(_, held)| held.count)
                .sum::<u64>(),
            97 - said
        );
    }
}
