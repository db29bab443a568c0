//! What is reported of a death, and the one case in which its kill comes after it:
//! `complete_signal` marks a process as killed before the tracepoint is passed, and
//! one that calls exit_group(2) at that moment sees the mark without the lock
//! (`do_group_exit`), and may be gone before its killer is there.

use crate::event::{BootTime, Frame, ProcessKey, Task};
use crate::explain::report::{Certainty, ExitReport, Report};
use crate::history::process::Exited;

use super::agenda::Deadline;
use super::death::{self, Death};
use super::engine::{Engine, ENDINGS_NS, TAKEN_NS, ZOMBIE_NS};
use super::signals;
use super::verdict::Blind;

/// A process that is dead: all that its report needs, since the process itself may be
/// forgotten by then.
#[derive(Debug)]
struct Dead {
    task: Task,
    exited: Exited,
    dump_ended: bool,
}

/// One that is dead of a signal which was not seen yet.
#[derive(Debug)]
pub(super) struct Killed {
    pub(super) key: ProcessKey,
    dead: Dead,
    stack: Vec<Frame>,
    /// What could be said when it ended.
    death: Death,
}

impl Engine {
    /// Reports a death, or waits for its kill as long as a virtual CPU may be stopped.
    pub(super) fn tell_death(&mut self, key: ProcessKey, exited: Exited, stack: &[Frame]) {
        let Some(process) = self.history.process(key) else {
            return;
        };
        let death = death::of_exit(self.view(), process, exited, stack);
        let number = exited.status & 0x7f;
        let (unseen, task) = (process.fatal.is_none(), process.task.clone());
        let begun = BootTime(task.key.start_ns);
        let blind = self.view().blind_to(number, begun, process);
        // What the filter leaves out never comes.
        let left_out = matches!(blind, Some(Blind::Filtered(_) | Blind::NotNamed(_)));
        let waits = number != 0 && unseen && death.cause == "unknown" && !left_out;
        let on_the_spot = number != 0 && unseen && death.mechanism == Some("exit");
        let dead = Dead {
            dump_ended: death::dump_ended(process, number).is_some(),
            exited,
            task,
        };
        let own_pid1 = dead.task.is_pid1() && !dead.task.namespaces.is_empty();
        if let Some(process) = self.history.process_mut(key) {
            process.on_the_spot = on_the_spot.then_some(death.cause);
            process.awaits_kill = waits;
        }
        if waits {
            self.outbox.hold(exited.time, exited.event);
            self.at(exited.time, TAKEN_NS, Deadline::Killed(key));
            self.killed.push(Killed {
                key,
                dead,
                stack: stack.to_vec(),
                death,
            });
        } else {
            self.report_exit(dead, death);
        }
        self.at(exited.time, ZOMBIE_NS, Deadline::Zombie(key));
        if own_pid1 {
            for after in ENDINGS_NS {
                self.at(exited.time, after, Deadline::Ending(key));
            }
        }
    }

    /// A signal that ends a process was seen: one that is dead of it may have waited.
    pub(super) fn kill_has_come(&mut self, key: ProcessKey, number: i32) {
        let of_it = |killed: &Killed| killed.dead.exited.status & 0x7f == number;
        let waiting = (self.killed.iter()).any(|killed| killed.key == key && of_it(killed));
        let Some(process) = self.history.process(key).filter(|_| waiting) else {
            return;
        };
        let Some(exited) = process.exit else { return };
        let mut death = death::of_exit(self.view(), process, exited, &[]);
        let begun = BootTime(key.start_ns);
        let blind = self.view().blind_to(number, begun, process);
        if let Some(blind @ Blind::Lost(_)) = blind {
            death.missing(
                format!("whether this {} was the first", signals::name(number)),
                Certainty::Inferred,
            );
            death.say(format!(
                "It ended before this one was through; whether an earlier one ended it is not known: {}.",
                blind.because()
            ));
        }
        self.no_longer_wait(key, Some(death));
    }

    /// As it stands, or with what is known now.
    pub(super) fn no_longer_wait(&mut self, key: ProcessKey, now: Option<Death>) {
        let Some(at) = self.killed.iter().position(|killed| killed.key == key) else {
            return;
        };
        let Killed {
            dead, death, stack, ..
        } = self.killed.swap_remove(at);
        if let Some(process) = self.history.process_mut(key) {
            process.awaits_kill = false;
        }
        self.outbox.release(dead.exited.time, dead.exited.event);
        // What was lost may have been noticed meanwhile. Anything else that came since is
        // of a later time.
        let again = || {
            let process = self.history.process(key)?;
            let again = death::of_exit(self.view(), process, dead.exited, &stack);
            (again.cause == "unknown").then_some(again)
        };
        let death = now.or_else(again).unwrap_or(death);
        self.report_exit(dead, death);
    }

    fn report_exit(&mut self, dead: Dead, death: Death) {
        let Dead {
            task,
            exited,
            dump_ended,
        } = dead;
        let Exited {
            event: id,
            time,
            status,
            ..
        } = exited;
        let request = death.request;
        let number = status & 0x7f;
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
    }
}
