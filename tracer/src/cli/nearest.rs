//! What somebody may have meant who mistyped an id or a signal.

use crate::explain::{ids, signals};

/// At most so many are named.
const MOST: usize = 3;

/// Names close to `word`, the closest first.
pub(crate) fn nearest(word: &str) -> Vec<String> {
    let word: Vec<char> = word.to_ascii_lowercase().chars().take(64).collect();
    let ids = ids::all().iter().map(|entry| entry.id.to_owned());
    let signals = (1..=31).map(|number| signals::name(number).into_owned());
    let mut near: Vec<(usize, String)> = ids
        .chain(signals)
        .filter_map(|name| {
            let other: Vec<char> = name.to_ascii_lowercase().chars().collect();
            let part = word.len() >= 3 && contains(&other, &word);
            let away = if part { 1 } else { distance(&word, &other) };
            (away <= 1 + word.len() / 4).then_some((away, name))
        })
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

fn contains(text: &[char], part: &[char]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Levenshtein's: characters to insert, delete or replace.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_parts() {
        assert_eq!(nearest("pid1-exitd")[0], "pid1-exited");
        assert_eq!(nearest("SIGTREM")[0], "SIGTERM");
        assert!(nearest("oom").contains(&"oom-memcg".to_owned()));
        assert!(nearest("qqqqqqqq").is_empty());
        assert!(nearest("").is_empty());
        assert!(nearest(&"x".repeat(100_000)).is_empty());
    }

    #[test]
    fn distances() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("kitten"), &chars("sitting")), 3);
        assert_eq!(distance(&chars(""), &chars("ab")), 2);
    }
}
