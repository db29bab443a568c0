//! Losses: in a flood some are noticed every few milliseconds. The first of a kind is
//! written at once, the rest of each second in one line. JSON has every one.

use std::collections::BTreeMap;

use super::lines::{Block, Tone};
use crate::{
    event::BootTime,
    explain::words,
    history::{HELD, NOT_RUN},
};

/// No more than a line of each sort in so much time.
const APART_NS: u64 = 1_000_000_000;

/// What is lost and why: the kind of event, and whether the output's reader was slow.
type Sort = (&'static str, bool);

/// So many of a sort, noticed last at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortfall {
    pub(crate) sort: Sort,
    pub(crate) time: BootTime,
    pub(crate) count: u64,
}

impl Shortfall {
    /// As a line.
    pub(crate) fn block(&self) -> Block {
        let (sort, slow_output) = self.sort;
        let what = words::count(self.count, "event", "events");
        let kind = match meaning(sort) {
            Some(words) => format!("{sort} ({words})"),
            None => sort.to_owned(),
        };
        let (what, advice) = match sort {
            NOT_RUN => (
                format!(
                    "up to {what}: sigtrace's program in the kernel could not run, because it was \
                 running on that CPU already"
                ),
                None,
            ),
            HELD => (
                format!(
                "{what} of a container that started: there were too many to keep until its name \
                 was known"
            ),
                None,
            ),
            _ if slow_output => (
                format!(
                "{what} of kind {kind}: whoever reads this output was slower than events came, \
                 and the kernel's buffer was full meanwhile"
            ),
                Some("write to a file, or a narrower filter; a larger --buffer is full later"),
            ),
            _ => (
                format!("{what} of kind {kind}: the kernel's buffer was full"),
                Some("a larger --buffer, or a narrower filter"),
            ),
        };
        let mut block = Block::new(self.time, "LOST", &what, "", "", Tone::Warning);
        if let Some(advice) = advice {
            block.row("fix", &[advice.to_owned()]);
        }
        block
    }
}

/// What an event of a kind is, where its name does not tell.
fn meaning(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "deliver" => "a process acts on a signal",
        "dequeue" => "a signal is taken from its queue",
        "do_exit" | "do_group_exit" => "an exit begins",
        "zap_pid_ns_processes" => "a PID 1 kills what is left of its namespace",
        "place" => "what a control group is called",
        "placed" => "a program is run in what is new",
        "reap" => "a dead process is gone",
        "fault" => "where in a program a fault was",
        "oom" => "the kernel is about to kill for lack of memory",
        "ptrace" => "a debugger lets a process go on",
        _ => return None,
    })
}

#[derive(Debug)]
struct Told {
    /// When a line was written last.
    at: BootTime,
    /// What none was written of yet, and when that was noticed.
    held: u64,
    last: BootTime,
}

/// All that was lost lately.
#[derive(Debug, Default)]
pub(crate) struct Shortfalls(BTreeMap<Sort, Told>);

impl Shortfalls {
    /// Whether this one is to be written now; else it is counted.
    pub(crate) fn join(&mut self, one: Shortfall) -> bool {
        if let Some(told) = self.0.get_mut(&one.sort) {
            told.held += one.count;
            told.last = one.time;
            return false;
        }
        let told = Told {
            at: one.time,
            held: 0,
            last: one.time,
        };
        self.0.insert(one.sort, told);
        true
    }

    /// What is to be written now; `None`: all.
    pub(crate) fn due(&mut self, now: Option<BootTime>) -> Vec<Shortfall> {
        let mut due = Vec::new();
        self.0.retain(|&sort, told| {
            if now.is_some_and(|now| now.0 < told.at.0.saturating_add(APART_NS)) {
                return true;
            }
            let count = std::mem::take(&mut told.held);
            if count > 0 {
                told.at = now.unwrap_or(told.last);
                due.push(Shortfall {
                    sort,
                    time: told.last,
                    count,
                });
            }
            // Of a sort of which nothing more came the next is a first one.
            count > 0
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn of(kind: &'static str, ms: u64, count: u64) -> Shortfall {
        Shortfall {
            sort: (kind, false),
            time: BootTime(ms * 1_000_000),
            count,
        }
    }

    #[test]
    fn the_first_is_written_and_the_rest_of_a_second_in_one() {
        let mut all = Shortfalls::default();
        assert!(all.join(of("signal", 0, 5)));
        assert!(all.join(of("exit", 0, 1)));
        for ms in [10, 20, 990] {
            assert!(!all.join(of("signal", ms, 7)));
            assert_eq!(all.due(Some(BootTime(ms * 1_000_000))), []);
        }
        assert_eq!(all.due(Some(BootTime(SECOND))), [of("signal", 990, 21)]);
        assert!(!all.join(of("signal", 1500, 1)));
        assert!(all.join(of("exit", 1500, 2)), "the exit was long ago");
        assert_eq!(all.due(None), [of("signal", 1500, 1)]);
        assert_eq!(all.due(None), []);
    }

    #[test]
    fn a_kind_whose_name_does_not_tell_is_explained() {
        let block = |kind| of(kind, 0, 3).block();
        let said = |kind| format!("{:?}", block(kind));
        assert!(said("deliver").contains("of kind deliver (a process acts on a signal)"));
        assert!(said("signal").contains("of kind signal: the kernel's buffer was full"));
        assert!(!said(NOT_RUN).contains("of kind"));
    }

    #[test]
    fn nothing_is_written_twice_nor_left_out() {
        let mut all = Shortfalls::default();
        let mut written = 0;
        for ms in 0..5000 {
            let one = of("signal", ms, ms % 3);
            written += if all.join(one) { one.count } else { 0 };
            let due = all.due(Some(one.time));
            written += due.iter().map(|one| one.count).sum::<u64>();
        }
        written += all.due(None).iter().map(|one| one.count).sum::<u64>();
        assert_eq!(written, (0..5000).map(|ms| ms % 3).sum::<u64>());
    }
}
