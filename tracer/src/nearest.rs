//! What somebody may have meant who mistyped a name. Which names there are is
//! the caller's: ids and signals for `cli::explain`, containers for
//! `container::resolve`.

/// At most so many are named.
const MOST: usize = 3;

/// Names close to `word`, the closest first.
pub(crate) fn nearest(word: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let word: Vec<char> = word.to_ascii_lowercase().chars().take(64).collect();
    let mut near: Vec<(usize, String)> = names
        .filter_map(|name| {
            let other: Vec<char> = name.to_ascii_lowercase().chars().take(256).collect();
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
        let near = |word: &str| {
            let names = ["pid1-exited", "oom-memcg", "SIGTERM", "SIGTRAP", "fwd_sig"];
            nearest(word, names.into_iter().map(str::to_owned))
        };
        assert_eq!(near("pid1-exitd")[0], "pid1-exited");
        assert_eq!(near("SIGTREM")[0], "SIGTERM");
        assert_eq!(near("fwd-sig"), ["fwd_sig"]);
        assert!(near("oom").contains(&"oom-memcg".to_owned()));
        assert!(near("qqqqqqqq").is_empty());
        assert!(near("").is_empty());
        assert!(near(&"x".repeat(100_000)).is_empty());
    }

    #[test]
    fn distances() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("kitten"), &chars("sitting")), 3);
        assert_eq!(distance(&chars(""), &chars("ab")), 2);
    }
}
