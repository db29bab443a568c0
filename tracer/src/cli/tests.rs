//! The definition of the command line, walked: every flag has help, every unit
//! is named, no letter has two meanings, and the examples of `--help` parse.

use std::{collections::BTreeMap, fs, path::Path};

use clap::{CommandFactory, Parser};

use super::{
    args::{Args, Command},
    Code, Failure,
};

fn walk(command: &clap::Command, see: &mut impl FnMut(&clap::Command, &clap::Arg)) {
    for arg in command.get_arguments() {
        see(command, arg);
    }
    for subcommand in command.get_subcommands() {
        walk(subcommand, see);
    }
}

#[test]
fn the_definition_holds_together() {
    Args::command().debug_assert();
}

#[test]
fn everything_has_help() {
    walk(&Args::command(), &mut |command, arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(
            help.len() > 10,
            "{} {}: {help:?}",
            command.get_name(),
            arg.get_id()
        );
    });
    for subcommand in Args::command().get_subcommands() {
        assert!(
            subcommand.get_about().is_some(),
            "{}",
            subcommand.get_name()
        );
    }
}

#[test]
fn no_letter_has_two_meanings() {
    let mut letters = BTreeMap::new();
    walk(&Args::command(), &mut |_, arg| {
        if let (Some(letter), Some(long)) = (arg.get_short(), arg.get_long()) {
            let known = letters
                .entry(letter)
                .or_insert_with(|| long.to_owned())
                .clone();
            assert_eq!(known, long, "-{letter}");
        }
    });
    let letters: String = letters.keys().collect();
    assert_eq!(letters, "cdopsx");
}

#[test]
fn the_examples_of_help_parse() {
    let help = Args::command().render_long_help().to_string();
    let (_, help) = help.split_once("Examples:").unwrap();
    let examples: Vec<_> = help
        .lines()
        .filter_map(|line| line.trim().strip_prefix("sigtrace "))
        .collect();
    assert!(examples.len() > 5, "{help}");
    for example in examples {
        let words = ["sigtrace"].into_iter().chain(example.split_whitespace());
        if let Err(error) = Args::try_parse_from(words) {
            panic!("{example}: {error}");
        }
    }
}

/// Lines of the documents that are commands, up to a pipe or a comment.
fn commands(document: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(document);
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("sigtrace "));
    let command = |line: &str| {
        let end = line.find(['#', '|', '>']).unwrap_or(line.len());
        line[..end]
            .replace("INODE", "4026532281")
            .replace("\"$ns\"", "4026532281")
    };
    lines.map(command).collect()
}

#[test]
fn the_commands_of_the_documents_parse() {
    let commands = [commands("README.md"), commands("docs/json.md")].concat();
    assert!(commands.len() > 7, "{commands:?}");
    for command in commands {
        if let Err(error) = Args::try_parse_from(command.split_whitespace()) {
            panic!("{command}: {error}");
        }
    }
}

fn trace(line: &str) -> super::args::TraceArgs {
    let args = Args::try_parse_from(line.split_whitespace());
    args.unwrap_or_else(|error| panic!("{line}: {error}")).trace
}

#[test]
fn a_filter_that_leaves_nothing_is_a_mistake() {
    let refused = super::trace::run(trace("sigtrace -s KILL --exclude-signal KILL")).unwrap_err();
    assert_eq!(refused.code, Code::Usage);
}

#[test]
fn filters() {
    let args = trace("sigtrace -s term,9 --signal RTMIN+2 --exclude-signal KILL -p 1 -p 2 -x");
    assert_eq!(args.signal_mask(), 1 << 14 | 1 << 35);
    assert_eq!(args.pids, [1, 2]);
    assert!(args.failed);
    assert_eq!(
        args.filters(false),
        [
            "process 1 2",
            "only SIGTERM SIGKILL SIGRTMIN+2",
            "without SIGKILL"
        ]
    );
    let args = trace("sigtrace");
    assert_eq!(args.signal_mask(), u64::MAX);
    assert_eq!(args.buffer_bytes(), 4 << 20);
    assert!(args.filters(false).is_empty());
    // Beside a filter that names everybody only the signals are one.
    let args = trace("sigtrace --pidns 4026531836 -p 1 --cgroup x -s TERM");
    assert_eq!(args.filters(true), ["only SIGTERM"]);
}

#[test]
fn subcommands_and_usage_errors() {
    let args = Args::try_parse_from(["sigtrace", "doctor", "-o", "json"]).unwrap();
    assert!(matches!(args.command, Some(Command::Doctor(_))));
    for wrong in [
        "sigtrace why fwd_sig",
        "sigtrace -p 0",
        "sigtrace -p init",
        "sigtrace -s NOSUCH",
        "sigtrace --label x",
        "sigtrace -x doctor",
        "sigtrace -d 0",
        "sigtrace --buffer 1.5M",
        "sigtrace fwd_sig",
        "sigtrace --once -p 1",
    ] {
        let error = Args::try_parse_from(wrong.split_whitespace()).unwrap_err();
        assert_eq!(error.exit_code(), Code::Usage as i32, "{wrong}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert!(Failure::from(closed()).is_broken_pipe());
    let wrapped = anyhow::Error::from(closed()).context("cannot write");
    assert!(Failure::from(wrapped).is_broken_pipe());
    assert!(!Failure::usage("no").is_broken_pipe());
    assert!(!Failure::silent(Code::CannotTrace).is_broken_pipe());
}
