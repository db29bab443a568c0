//! The sentences that tell one situation from another, by their distinguishing
//! words: change them here when the explanations change. A scenario names the one
//! that must be said; then none of the others may be, because each is a claim
//! about what happened.

/// What became of the request to end, as said of a process that was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phrase {
    NothingSentOn,
    TooSlow,
    AnotherSignal,
    Ignores,
    Pid1Killed,
    LateAttach,
    NotKnown,
    PassedOn,
}

/// Words of which each must stand in the explanation.
const TABLE: &[(Phrase, &[&str])] = &[
    (
        Phrase::NothingSentOn,
        &["never got the SIGTERM", "sent nothing on"],
    ),
    (
        Phrase::TooSlow,
        &["sent it on to this process, whose handler began"],
    ),
    (
        Phrase::AnotherSignal,
        &["but sent this process SIGINT instead"],
    ),
    (
        Phrase::Ignores,
        &["sent it on to this process, which ignores"],
    ),
    (Phrase::Pid1Killed, &["leaves PID 1 no chance"]),
    (Phrase::LateAttach, &["not attached before"]),
    (
        Phrase::NotKnown,
        &["whether this process got one too is not known"],
    ),
    (
        Phrase::PassedOn,
        &["PID 1 passed on the request to end", "nothing was forced"],
    ),
];

/// What is wrong with an explanation that should say this and none of the others.
pub(crate) fn faults(explanation: &str, phrase: Phrase) -> Vec<String> {
    let mut faults = Vec::new();
    for (of, words) in TABLE {
        for word in *words {
            if *of == phrase && !explanation.contains(word) {
                faults.push(format!("does not say \"{word}\""));
            }
            if *of != phrase && explanation.contains(word) {
                faults.push(format!("says \"{word}\", which is {of:?}"));
            }
        }
    }
    faults
}
