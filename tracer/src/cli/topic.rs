//! What `sigtrace explain` finds for a word: the ids of that name, the signal,
//! the exit code. A small number is both a signal and an exit code, and gets
//! both.

use super::explain::Topic;
use crate::explain::{
    ids,
    path::{
        self,
        functions::{Function, Name},
    },
    purpose,
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
    topics.extend(path::functions::find(word).map(|found| function(word, found)));
    topics.extend(signals::parse(word).map(signal));
    topics.extend(
        word.parse()
            .ok()
            .filter(|code| (0..=255).contains(code))
            .map(exit_code),
    );
    topics
}

/// A function of the kernel, as `--path` names it.
fn function(word: &str, found: &Function) -> Topic {
    let when = |name: &Name| match name.when {
        "" => String::new(),
        when => format!(" ({when})"),
    };
    let own = found.names.iter().filter(|name| name.name == word);
    let here = own.map(when).collect::<String>();
    let others = found.names.iter().filter(|name| name.name != word);
    let others: Vec<_> = (others.map(|name| format!("{}{}", name.name, when(name)))).collect();
    let mut text = String::new();
    if !here.is_empty() {
        text += &format!("On kernels{}.", here.replace(['(', ')'], ""));
    }
    if !others.is_empty() {
        text += if text.is_empty() { "" } else { " " };
        text += &format!("The same is said of {}.", others.join(", "));
    }
    Topic {
        kind: "function",
        id: word.to_owned(),
        number: None,
        meaning: found.decides.to_owned(),
        text,
        advice: String::new(),
        reported: None,
    }
}

fn signal(number: i32) -> Topic {
    let action = signals::default_action(number);
    let for_pid1 = for_pid1(number);
    let text = format!(
        "{}, by default: {}. {} {for_pid1}",
        number_of(number),
        action.word(),
        by_default(number),
    );
    Topic {
        kind: "signal",
        id: signals::name(number).into_owned(),
        number: Some(number),
        meaning: purpose::purpose(number).to_owned(),
        text: text.trim_end().to_owned(),
        advice: String::new(),
        reported: None,
    }
}

/// What it does where there is no handler for it.
fn by_default(number: i32) -> &'static str {
    match (number, signals::default_action(number)) {
        (signals::KILL, _) => "No program can handle, block or ignore it.",
        (signals::STOP, _) => {
            "No program can handle, block or ignore it; SIGCONT lets the process go on."
        }
        (signals::CONT, _) => {
            "A stopped process goes on, even where it is blocked or ignored; where there is \
             nothing to continue and no handler it is dropped (default-ignore)."
        }
        (_, DefaultAction::Ignore | DefaultAction::Cont) => {
            "Where a process has no handler for it, it is dropped, as it should be \
             (default-ignore): part of normal life, shown with --all-signals."
        }
        (_, DefaultAction::Stop) => {
            "It stops a process that has no handler for it, unless its process group is \
             orphaned (orphaned-pgrp-stop)."
        }
        (_, DefaultAction::Term | DefaultAction::Core) => {
            "A process that neither handles, ignores nor blocks it ends, and a shell reports \
             that as 128 + number."
        }
    }
}

/// What it means for PID 1 of a PID namespace.
fn for_pid1(number: i32) -> &'static str {
    match (number, signals::default_action(number)) {
        (signals::KILL | signals::STOP, _) => {
            "PID 1 of a PID namespace is spared when it comes from inside that namespace \
             (init-no-handler); from outside it works."
        }
        (signals::ABRT, _) => {
            "PID 1 of a PID namespace gets it from a process, be it itself, only if it handles it, \
             blocks it or waits for it; else it is dropped (init-no-handler), and abort(3) then ends it by a fault, and its status \
             is that of SIGSEGV (abort)."
        }
        (_, DefaultAction::Ignore | DefaultAction::Cont) => {
            "To PID 1 of a PID namespace it means the same."
        }
        (_, DefaultAction::Stop) => {
            "It never stops PID 1 of a PID namespace that has no handler for it \
             (init-no-handler)."
        }
        _ if signals::is_fault(number) => {
            "PID 1 of a PID namespace gets it from a process only if it handles it, blocks it or \
             waits for it (sigwait, signalfd); else it is dropped (init-no-handler). A fault of \
             its own ends it all the same."
        }
        (_, DefaultAction::Term | DefaultAction::Core) => {
            "PID 1 of a PID namespace gets it from a process only if it handles it, blocks it or \
             waits for it (sigwait, signalfd); else it is dropped (init-no-handler)."
        }
    }
}

fn number_of(number: i32) -> String {
    match number {
        32 | 33 => format!("Signal {number}, which the C library keeps for itself"),
        34.. => format!("Signal {number}, a real-time signal: queued, not merged"),
        _ => format!("Signal {number}"),
    }
}

const BY_WHOM: &str =
    "Run sigtrace while it happens: it tells whether the kernel or a process sent the signal.";

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
             status: the usual end of a stopped container. The number does not say who sent it.",
            BY_WHOM,
        ),
        134 => (
            "The program aborted (abort(3), a failed assertion, a runtime's fatal error), or \
             somebody sent it SIGABRT: the number does not say which. A program can also exit \
             with this status itself.",
            "Look at what it printed last. Run sigtrace while it happens: it tells whether the \
             program itself, another process or the kernel sent the signal.",
        ),
        139 => (
            "A fault of the program itself, or a signal sent by somebody: the number does not \
             say which. abort(3) of a PID 1 ends like this too (abort). A program can also exit \
             with this status itself.",
            BY_WHOM,
        ),
        code if signals::is_fault(code - 128) => (
            "A fault of the program itself, or a signal sent by somebody: the number does not \
             say which. A program can also exit with this status itself.",
            BY_WHOM,
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
        assert_eq!(kinds("prepare_signal"), ["function"]);
        assert_eq!(kinds("0"), ["exit_code"]);
        assert_eq!(kinds("255"), ["exit_code"]);
        for nothing in ["", "256", "-1", "SIGNOTHING", "pid1"] {
            assert!(find(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn a_function_that_was_renamed_says_so() {
        let topic = &find("send_signal")[0];
        assert!(topic.meaning.starts_with("sets force"), "{}", topic.meaning);
        assert_eq!(
            topic.text,
            "On kernels before 5.19. The same is said of send_signal_locked."
        );
        assert_eq!(find("prepare_signal")[0].text, "");
    }

    #[test]
    fn a_hundred_and_thirty_seven_is_not_taken_for_lack_of_memory() {
        let topic = &find("137")[0];
        assert!(topic.meaning.starts_with("128 + 9"), "{}", topic.meaning);
        assert!(topic.text.contains("not necessarily for lack of memory"));
    }

    #[test]
    fn a_signal_says_what_it_is_for_and_what_it_does() {
        for (signal, words) in [
            (
                "TERM",
                [
                    "polite request",
                    "by default: terminate.",
                    "init-no-handler",
                ],
            ),
            (
                "SEGV",
                ["not mapped", "with a core dump.", "A fault of its own"],
            ),
            (
                "ABRT",
                ["abort(3)", "with a core dump.", "ends it by a fault"],
            ),
            ("CHLD", ["a child", "by default: ignore.", "means the same"]),
            ("TSTP", ["Ctrl-Z", "by default: stop.", "never stops PID 1"]),
            (
                "RTMIN+5",
                ["sigqueue(3)", "a real-time signal", "init-no-handler"],
            ),
            (
                "32",
                ["cancel threads", "keeps for itself", "init-no-handler"],
            ),
        ] {
            let topic = &find(signal)[0];
            let said = format!("{} {}", topic.meaning, topic.text);
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
    }

    #[test]
    fn what_a_pid1_waits_for_reaches_it_without_a_handler() {
        for signal in ["TERM", "SEGV", "RTMIN+3", "ABRT"] {
            let text = &find(signal)[0].text;
            assert!(text.contains("blocks it or waits for it"), "{text}");
            assert!(!text.contains("never gets it"), "{text}");
        }
    }

    #[test]
    fn a_fault_is_not_promised_a_sender() {
        for code in [132, 133, 135, 136, 139, 159] {
            let topic = &find(&code.to_string())[0];
            let said = "A fault of the program itself, or a signal sent by somebody";
            assert!(topic.text.starts_with(said), "{}", topic.text);
            assert!(!topic.advice.contains("names the sender"), "{code}");
        }
        assert!(find("134")[0].text.contains("abort(3)"));
        assert!(find("130")[0].text.starts_with("Which process sent"));
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
