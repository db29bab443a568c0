//! The guest's first program, and the words by which it tells the host what
//! becomes of the command. `run` is the other end.
//!
//! Four serial ports, because all kernels have their driver built in: the
//! kernel's messages, the command's stdout, its stderr, and these words.

use crate::cmd;

/// Where the copied files are and the command starts.
pub(crate) const WORKING_FOLDER: &str = "/work";

/// PID 1 of a plain guest. `engine` has those of the others.
pub(crate) const INIT: &str = concat!(
    include_str!("../../guest/plain.sh"),
    include_str!("../../guest/session.sh")
);

/// PID 1 until the disk of a guest that has one is there.
pub(crate) const DISK_INIT: &str = include_str!("../../guest/disk.sh");

/// What the guest says on its last port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The file systems are mounted, the command begins.
    Ready,
    /// The command is over, and all its output is out.
    Exit(i32),
}

impl Word {
    /// Reads one line of the port.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line == "ready" {
            return Some(Self::Ready);
        }
        line.strip_prefix("exit ")?.parse().ok().map(Self::Exit)
    }
}

/// The script that runs the command, word by word as it was given.
pub(crate) fn command_script(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| cmd::quote(word)).collect();
    format!("#!/bin/sh\nexec {}\n", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_guest() {
        assert_eq!(Word::parse("ready\n"), Some(Word::Ready));
        assert_eq!(Word::parse("exit 137\r\n"), Some(Word::Exit(137)));
        assert_eq!(Word::parse("exit"), None);
        assert_eq!(Word::parse("[    1.0] noise"), None);
    }

    #[test]
    fn a_command_keeps_its_words() {
        let command = ["sh", "-c", "echo \"$1\"; exit 3", "x", "two  words"].map(str::to_owned);
        let script = command_script(&command);
        assert!(
            script.ends_with("exec sh -c 'echo \"$1\"; exit 3' x 'two  words'\n"),
            "{script}"
        );
    }
}
