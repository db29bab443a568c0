//! Lines as wide as the terminal, with a hanging indent. Columns are counted
//! in characters, which is exact for all but wide scripts in process names.

/// Narrower than this, wrapping makes it worse.
const LEAST: usize = 40;

/// A space where no line is broken; written as a common one.
pub(crate) const HARD_SPACE: &str = "\u{a0}";

/// `text` broken at spaces so that no line is wider than `width`; lines after
/// the first begin with `hang` spaces. Runs of spaces inside a line are kept:
/// they are columns. A word that is wider than a line stays whole.
pub(crate) fn wrap(text: &str, width: usize, hang: usize) -> Vec<String> {
    let width = width.max(LEAST);
    let mut lines = vec![String::new()];
    let mut used = 0;
    let mut fresh = true;
    for piece in text.split_inclusive(' ') {
        let word = piece.trim_end_matches(' ');
        let length = word.chars().count();
        if !fresh && length > 0 && used + length > width {
            lines.push(" ".repeat(hang));
            used = hang;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(piece);
        }
        used += piece.chars().count();
        // Leading spaces are the first line's own indent: no break before the
        // first word of a line.
        fresh = fresh && length == 0;
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
        if line.contains(HARD_SPACE) {
            *line = line.replace(HARD_SPACE, " ");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hangs_and_keeps_columns() {
        let text = "   why    PID 1 exited, so the kernel killed everything left in it.";
        let expected = [
            "   why    PID 1 exited, so the kernel",
            "          killed everything left in it.",
        ];
        assert_eq!(wrap(text, 41, 10), expected);
        assert_eq!(wrap("a    b", 80, 2), ["a    b"]);
        assert_eq!(wrap("a\u{a0}b", 40, 2), ["a b"]);
    }

    #[test]
    fn long_words_and_nothing() {
        let long = "x".repeat(60);
        assert_eq!(
            wrap(&format!("a {long} b"), 40, 2),
            ["a", &format!("  {long}"), "  b"]
        );
        assert_eq!(wrap("", 40, 2), [""]);
    }
}
