//! What is reported of a death, and the one case in which its kill comes after it:
//! `complete_signal` marks a process as killed before the tracepoint is passed, and
//! one that calls exit_group(2) at that moment sees the mark without the lock
//! (`do_group_exit`), and may be gone before its killer is there.

use crate::event::{Frame, ProcessKey};
use crate::explain::report::{ExitReport, Report};
use crate::history::process::Exited;

use super::death::{self, Death};
use super::engine::{Deadline, Engine, ENDINGS_NS, TAKEN_NS, ZOMBIE_NS};
use super::signals;

/// A process that is dead of a signal which was not seen yet.
#[derive(Debug)]
pub(super) struct Killed {
    pub(super) key: ProcessKey,
    exited: Exited,
    /// What can be said as long as it is not.
    death: Death,
}

impl Engine {
    /// Reports a death, or waits for its kill as long as a virtual CPU may be stopped.
    pub(super) fn tell_death(&mut self, key: ProcessKey, exited: Exited, stack: &[Frame]) {
        let Some(process) = self.history.process(key) else {
            return;
        };
        let death = death::of_exit(self.view(), process, exited, stack);
        let unsent = process.fatal.is_none() && death.mechanism == Some("exit");
        let signalled = exited.status & 0x7f != 0;
        let cause = death.cause;
        if let Some(process) = self.history.process_mut(key) {
            process.on_the_spot = (signalled && unsent).then_some(cause);
        }
        let Some(process) = self.history.process(key) else {
            return;
        };
        if signalled && process.fatal.is_none() && death.cause == "unknown" {
            self.outbox.hold(exited.time, exited.event);
            self.at(exited.time, TAKEN_NS, Deadline::Killed(key));
            self.killed.push(Killed { key, exited, death });
        } else {
            self.report_exit(key, exited, death);
        }
    }

    /// A signal that ends a process was seen: one that is dead of it may have waited.
    pub(super) fn kill_has_come(&mut self, key: ProcessKey, number: i32) {
        let of_it = |killed: &Killed| killed.exited.status & 0x7f == number;
        let waiting = (self.killed.iter()).any(|killed| killed.key == key && of_it(killed));
        let Some(process) = self.history.process(key).filter(|_| waiting) else {
            return;
        };
        let Some(exited) = process.exit else { return };
        let death = death::of_exit(self.view(), process, exited, &[]);
        self.no_longer_wait(key, Some(death));
    }

    /// As it stands, or with what is known now.
    pub(super) fn no_longer_wait(&mut self, key: ProcessKey, now: Option<Death>) {
        let Some(at) = self.killed.iter().position(|killed| killed.key == key) else {
            return;
        };
        let Killed { exited, death, .. } = self.killed.swap_remove(at);
        self.outbox.release(exited.time, exited.event);
        self.report_exit(key, exited, now.unwrap_or(death));
    }

    fn report_exit(&mut self, key: ProcessKey, exited: Exited, death: Death) {
        let Some(process) = self.history.process(key) else {
            return;
        };
        let Exited {
            event: id,
            time,
            status,
            ..
        } = exited;
        let task = process.task.clone();
        let request = death.request;
        let number = status & 0x7f;
        let dump_ended = death::dump_ended(process, number).is_some();
        let own_pid1 = task.is_pid1() && !task.namespaces.is_empty();
        let report = ExitReport {
            id,
            time,
            pidns: task.pidns(),
            pid1: own_pid1,
            signal: (number != 0).then_some(number),
            core_dumped: status & 0x80 != 0,
            exit_code: if number == 0 {
                (status >> 8) & 0xff
            } else {
                128 + number
            },
            cause: death.cause,
            mechanism: death.mechanism,
            forced: number == signals::KILL && !dump_ended,
            chain: death.chain,
            contributing: death.contributing,
            stop: death.stop,
            oom: death.oom,
            throttled: death.throttled,
            fault: death.fault,
            kernel_path: death.kernel_path,
            explanation: death.explanation,
            task,
        };
        self.rests_on_absence(&report);
        self.may_be_asked(&report, request);
        self.may_be_named(&report);
        // The end of a PID 1 that only others depend on is not theirs.
        if !self.history.filter().is_owner(&report.task) {
            self.summary.exited += 1;
            self.summary.forced += u64::from(report.forced);
            self.summary.ended_badly += u64::from(report.ended_badly());
        }
        self.outbox.push(time, id, Report::Exit(Box::new(report)));
        self.at(time, ZOMBIE_NS, Deadline::Zombie(key));
        if own_pid1 {
            for after in ENDINGS_NS {
                self.at(time, after, Deadline::Ending(key));
            }
        }
    }
}
