//! One table of every id that sigtrace reports, or is to report one day: fates, reasons, causes of death
//! and the mechanisms that carry them out. `sigtrace explain` and the docs are
//! made of it. The ids are a contract: they never change their meaning.

mod causes;
mod fates;
mod mechanisms;
mod reasons;

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What became of a signal.
    Fate,
    /// Why it became that, or what contributed to a death.
    Reason,
    /// Why a process died.
    Cause,
    /// The call that carried it out.
    Mechanism,
}

impl Kind {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fate => "fate",
            Self::Reason => "reason",
            Self::Cause => "cause",
            Self::Mechanism => "mechanism",
        }
    }
}

/// One id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id.
    pub id: &'static str,
    /// What it stands for.
    pub kind: Kind,
    /// One line.
    pub meaning: &'static str,
    /// What it means for somebody who does not know the kernel, and which
    /// function of the kernel decides it.
    pub text: &'static str,
    /// What to do; empty where there is nothing to.
    pub advice: &'static str,
    /// This version reports it: some rule leads to it.
    pub reported: bool,
}

/// id, meaning, text, advice.
type Row = (&'static str, &'static str, &'static str, &'static str);

fn entries(
    kind: Kind,
    rows: &'static [Row],
    not_reported: &'static [&'static str],
) -> impl Iterator<Item = Entry> {
    rows.iter().map(move |&(id, meaning, text, advice)| Entry {
        id,
        kind,
        meaning,
        text,
        advice,
        reported: !not_reported.contains(&id),
    })
}

fn table() -> &'static [Entry] {
    static TABLE: std::sync::OnceLock<Vec<Entry>> = std::sync::OnceLock::new();
    TABLE.get_or_init(|| {
        entries(Kind::Fate, fates::ROWS, fates::NOT_REPORTED)
            .chain(entries(Kind::Reason, reasons::ROWS, reasons::NOT_REPORTED))
            .chain(entries(Kind::Cause, causes::ROWS, causes::NOT_REPORTED))
            .chain(entries(
                Kind::Mechanism,
                mechanisms::ROWS,
                mechanisms::NOT_REPORTED,
            ))
            .collect()
    })
}

/// Every id, by kind and in the order of the contract.
pub fn all() -> &'static [Entry] {
    table()
}

/// The entry of an id. An id of more than one kind (`exit`, `stopped`,
/// `unknown`) gives the first of them; see [`find_all`].
pub fn find(id: &str) -> Option<&'static Entry> {
    table().iter().find(|e| e.id == id)
}

/// Every entry of an id, whatever its kind.
pub fn find_all(id: &str) -> impl Iterator<Item = &'static Entry> + use<'_> {
    table().iter().filter(move |e| e.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, fs, path::Path};

    #[test]
    fn every_id_is_there_once_per_kind_and_says_something() {
        let mut seen = HashSet::new();
        for e in all() {
            assert!(seen.insert((e.id, e.kind)), "{} twice", e.id);
            assert!(
                e.meaning.len() > 10 && e.text.len() > e.meaning.len(),
                "{}",
                e.id
            );
            assert!(
                !e.meaning.contains('\n') && !e.meaning.ends_with('.'),
                "{}: one line",
                e.id
            );
            assert!(
                e.text.ends_with('.') || e.text.ends_with(')'),
                "{}: {}",
                e.id,
                e.text
            );
            assert!(e
                .id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_'));
        }
    }

    #[test]
    fn the_contract_is_complete() {
        let want = [
            (Kind::Fate, "dropped coalesced rejected fatal handled accepted stopped continued blocked pending discarded cancelled swallowed died_first refused unknown"),
            (Kind::Reason, "target-dumping target-exiting zombie global-init init-no-handler kernel-thread sig-ign default-ignore already-pending timer-overrun queue-full no-memory blocked-mask uninterruptible frozen stopped traced throttled not-scheduled no-permission lsm-denied no-such-process bad-signal forged-siginfo pidns-not-visible partial-broadcast bad-argument orphaned-pgrp-stop tracer startup-window not-forwarded too-slow late-attach pids-limit nproc-limit pid-max deadline-task pidns-dead unknown"),
            (Kind::Cause, "pid1-exited stop-timeout killed-by-process cgroup-kill oom-memcg oom-global oom-group oom-shared-mm parent-death-signal orphaned-pgrp tty-hangup tty-interrupt tty-job sak seccomp fault abort broken-pipe file-size-limit cpu-limit rt-limit timer async-io mqueue lease perf child-exit-signal exec-failed bad-signal-frame exec-other-threads group-exit coredump-zap ptrace-exitkill tracer-injected ptrace-attach pidns-reboot sysrq bpf kernel-oops hwpoison exit unknown"),
            (Kind::Mechanism, "kill-syscall tkill-syscall sigqueue-syscall pidfd-signal ptrace-syscall cgroup-kill kernel-signal exit unknown"),
        ];
        let mut count = 0;
        for (kind, ids) in want {
            for id in ids.split(' ') {
                count += 1;
                assert!(find_all(id).any(|e| e.kind == kind), "{} {id}", kind.word());
            }
        }
        assert_eq!(count, all().len());
        assert_eq!(find("exit").map(|e| e.kind), Some(Kind::Cause));
        assert_eq!(find("nonsense"), None);
    }

    #[test]
    fn the_marks_fit_the_rules() {
        // What a rule says stands in quotes in its file, a fate as `Fate::…`.
        // `unknown` is also said where a reason is missing.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explain");
        let mut rules = String::new();
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(path).unwrap();
                rules += text.split("#[cfg(test)]").next().unwrap();
            }
        }
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        for e in all().iter().filter(|e| e.id != "unknown") {
            let said = match e.kind {
                Kind::Fate => {
                    let fate: String = e.id.split('_').map(capital).collect();
                    rules.contains(&format!("Fate::{fate}"))
                }
                _ => rules.contains(&format!("{:?}", e.id)),
            };
            assert_eq!(
                e.reported,
                said,
                "{} {}: NOT_REPORTED in explain/ids/ does not fit the rules",
                e.kind.word(),
                e.id
            );
        }
        let marked = all().iter().filter(|e| !e.reported).count();
        let listed = [
            fates::NOT_REPORTED,
            reasons::NOT_REPORTED,
            causes::NOT_REPORTED,
            mechanisms::NOT_REPORTED,
        ];
        assert_eq!(marked, listed.concat().len(), "every mark has its row");
    }
}
