//! The rows of a way through the kernel: a function a line with what it decides in
//! a second column, or all of it on one line. What is on them is
//! [`super::blocks`]'s.

use crate::event::printable;

/// Names longer than this do not push the second column any further.
const LONGEST: usize = 30;
/// Between the columns.
const GAP: usize = 2;

/// A line of it.
#[derive(Debug)]
pub(crate) struct Step {
    mark: char,
    name: String,
    words: String,
}

/// What a decision begins with.
const DECIDED: char = '→';

impl Step {
    /// A function, and what it decides.
    pub(crate) fn new(mark: char, name: &str, words: &str) -> Self {
        Self {
            mark,
            name: printable(name),
            words: printable(words),
        }
    }

    /// What was decided at the function above.
    pub(crate) fn decided(words: &str) -> Self {
        Self::new(DECIDED, "", words)
    }

    /// About all of it.
    pub(crate) fn note(words: &str) -> Self {
        Self::new(' ', "", words)
    }

    pub(crate) fn is_decided(&self) -> bool {
        self.mark == DECIDED
    }

    /// The line, and where it goes on if it is too long.
    pub(super) fn line(&self, label: &str, row: usize, column: usize) -> (String, usize) {
        let lead = row - 2;
        let begin = format!("{:<lead$}{} ", format!("   {label}"), self.mark);
        if self.name.is_empty() {
            return (format!("{begin}{}", self.words), row + GAP);
        }
        let hang = row + column;
        let text = format!("{begin}{:<column$}{}", self.name, self.words);
        // A name that fills its column still ends before the words.
        let text = if self.name.chars().count() < column {
            text
        } else {
            format!("{begin}{}{:GAP$}{}", self.name, "", self.words)
        };
        (text.trim_end().to_owned(), hang)
    }
}

/// Where the second column begins, behind the first's begin.
pub(super) fn column(steps: &[Step]) -> usize {
    let names = steps.iter().map(|step| step.name.chars().count());
    names.filter(|&length| length <= LONGEST).max().unwrap_or(0) + GAP
}

/// Piped: `kill_pid_info (what it decides) → +prepare_signal (…) = dropped here: …`.
pub(super) fn on_one_line(steps: &[Step]) -> String {
    let mut line = String::new();
    for step in steps {
        let Step { mark, name, words } = step;
        if step.is_decided() {
            line.push_str(&format!(" = {words}"));
        } else if name.is_empty() {
            let between = if line.is_empty() { "" } else { "; " };
            line.push_str(&format!("{between}{words}"));
        } else {
            let between = if line.is_empty() { "" } else { " → " };
            let mark = if *mark == ' ' { "" } else { "+" };
            line.push_str(&format!("{between}{mark}{name}"));
            if !words.is_empty() {
                line.push_str(&format!(" ({words})"));
            }
        }
    }
    line
}
