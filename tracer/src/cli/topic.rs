//! What `sigtrace explain` finds for a word: the ids of that name, the signal,
//! the exit code. A small number is both a signal and an exit code, and gets
//! both.

use super::explain::Topic;
use crate::explain::{
    ids,
    signals::{self, DefaultAction},
};

/// Everything that `word` may stand for; empty where nothing is called so.
pub(crate) fn find(word: &str) -> Vec<Topic> {
    let word = word.trim();
    let lower = word.to_ascii_lowercase();
    // `died-first` for `died_first` is a slip nobody should have to notice.
    let same = |id: &str| id.replace('_', "-") == lower.replace('_', "-");
    let mut topics: Vec<Topic> = ids::all()
        .iter()
        .filter(|entry| same(entry.id))
        .map(Topic::from)
        .collect();
    topics.extend(signals::parse(word).map(signal));
    topics.extend(
        word.parse()
            .ok()
            .filter(|code| (0..=255).contains(code))
            .map(exit_code),
    );
    topics
}

fn signal(number: i32) -> Topic {
    let name = signals::name(number).into_owned();
    let action = signals::default_action(number);
    let mut text = format!("{}. ", number_of(number));
    text.push_str(match number {
        signals::KILL | signals::STOP => {
            "No program can handle, block or ignore it. PID 1 of a PID namespace is spared when \
             it comes from inside that namespace (init-no-handler); from outside it works."
        }
        signals::CONT => {
            "A stopped process goes on, even where it is blocked or ignored; where there is \
             nothing to continue and no handler it is dropped (default-ignore)."
        }
        _ => match action {
            DefaultAction::Ignore | DefaultAction::Cont => {
                "Where a process has no handler for it, it is dropped, as it should be \
                 (default-ignore): part of normal life, shown with --all-signals."
            }
            DefaultAction::Stop => {
                "Job control: it stops a process that has no handler for it, unless its process \
                 group is orphaned (orphaned-pgrp-stop) or it is PID 1 of a PID namespace."
            }
            DefaultAction::Term | DefaultAction::Core => {
                "A process that has no handler for it ends, and a shell reports that as \
                 128 + number; PID 1 of a PID namespace without handler never gets it \
                 from a process (init-no-handler), but a fault of its own ends it all the \
                 same."
            }
        },
    });
    if number == signals::TERM {
        text.push_str(
            " It is the polite request to end: docker stop, the kubelet and systemd send it \
             first and SIGKILL after a grace period.",
        );
    }
    Topic {
        kind: "signal",
        id: name,
        number: Some(number),
        meaning: format!("by default: {}", action.word()),
        text,
        advice: String::new(),
        reported: None,
    }
}

fn number_of(number: i32) -> String {
    match number {
        32 | 33 => format!("Signal {number}, which the C library keeps for itself"),
        34.. => format!("Signal {number}, a real-time signal: queued, not merged"),
        _ => format!("Signal {number}"),
    }
}

fn exit_code(code: i32) -> Topic {
    let meaning = match code {
        0 => "success".to_owned(),
        _ => signals::exit_code(code)
            .unwrap_or_else(|| "the program's own choice; its documentation tells".to_owned()),
    };
    let (text, advice) = match code {
        137 => (
            "Killed by SIGKILL, not necessarily for lack of memory. The number does not say who \
             sent it: a container runtime after the grace period (stop-timeout), a PID 1 that \
             exited (pid1-exited), kill -9 (killed-by-process), or the kernel for lack of memory \
             (oom-memcg, oom-global) all look the same. A program can also exit with 137 itself.",
            "Run sigtrace with -x while it happens: it names the sender.",
        ),
        143 => (
            "Ended by SIGTERM, for which it had no handler, or after which its handler gave this \
             status: the usual end of a stopped container, and no error.",
            "",
        ),
        129..=192 => (
            "Which process sent the signal is not in the number. A program can also exit with \
             this status itself.",
            "Run sigtrace while it happens: it names the sender.",
        ),
        255 => ("What exit(-1) becomes, since only eight bits are kept.", ""),
        _ => ("", ""),
    };
    Topic {
        kind: "exit_code",
        id: code.to_string(),
        number: None,
        meaning,
        text: text.to_owned(),
        advice: advice.to_owned(),
        reported: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(word: &str) -> Vec<&'static str> {
        find(word).iter().map(|topic| topic.kind).collect()
    }

    #[test]
    fn ids_signals_and_exit_codes() {
        assert_eq!(kinds("init-no-handler"), ["reason"]);
        assert_eq!(kinds("DIED-FIRST"), ["fate"]);
        assert_eq!(kinds("exit"), ["cause", "mechanism"]);
        assert_eq!(kinds("SIGTERM"), ["signal"]);
        assert_eq!(kinds("rtmin+3"), ["signal"]);
        assert_eq!(kinds("9"), ["signal", "exit_code"]);
        assert_eq!(kinds("0"), ["exit_code"]);
        assert_eq!(kinds("255"), ["exit_code"]);
        for nothing in ["", "256", "-1", "SIGNOTHING", "pid1"] {
            assert!(find(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn a_hundred_and_thirty_seven_is_not_taken_for_lack_of_memory() {
        let topic = &find("137")[0];
        assert!(topic.meaning.starts_with("128 + 9"), "{}", topic.meaning);
        assert!(topic.text.contains("not necessarily for lack of memory"));
    }

    #[test]
    fn what_the_texts_refer_to_exists() {
        for number in 0..=255 {
            for topic in find(&number.to_string()) {
                for id in topic
                    .text
                    .split(['(', ')', ',', ' '])
                    .filter(|word| word.contains('-'))
                {
                    let known = !ids::find_all(id).collect::<Vec<_>>().is_empty();
                    let plain = id.starts_with("--") || ["real-time", "-9", "-1"].contains(&id);
                    assert!(known || plain, "{id}");
                }
            }
        }
    }
}
