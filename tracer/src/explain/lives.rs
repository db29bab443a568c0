//! Processes run other programs, die and are reaped; losses make what was said
//! about the dead less certain.

use crate::event::{Ancestor, BootTime, Frame, ProcessKey, Task};
use crate::explain::report::{Certainty, ExitReport, Report, Update};
use crate::history::process::{Exited, LostChild};
use crate::history::{HELD, NOT_RUN};

use super::engine::{Engine, BY_ABSENCE_KEPT, LOSS_NS};
use super::fate::{ThreadsEnd, Waited};
use super::{asked, death, fate, signals};

impl Engine {
    pub(super) fn exec(&mut self, id: u64, time: BootTime, task: Task, old_tid: u32) {
        self.history.joined(&task);
        let process = self.history.see(&task, true);
        let pid = process.task.key.pid;
        // The other threads are gone, and the caller has become the leader
        // (de_thread): it keeps its queue under the leader's tid.
        for o in process.open.clone() {
            let Some(open) = self.open.get_mut(o) else {
                continue;
            };
            match open.tid {
                Some(tid) if tid == old_tid => open.tid = Some(pid),
                Some(_) => {
                    let verdict = fate::died_with_others(&open.signal, id, ThreadsEnd::Exec);
                    self.conclude(o, verdict, id, time);
                }
                None => {}
            }
        }
        if self.history.counts(&task) {
            self.outbox.push(time, id, Report::Exec { id, time, task });
        }
    }

    pub(super) fn exit(
        &mut self,
        task: &Task,
        exited: Exited,
        pending: u64,
        ancestry: &[Ancestor],
        frames: &[Frame],
    ) {
        let Exited {
            event: id,
            time,
            status,
            ..
        } = exited;
        if !self.history.exit(task, exited) {
            return;
        }
        let key = self.history.resolve(task.key);
        let open = self.history.process_mut(key).map_or_else(Vec::new, |p| {
            // A child whose parent ended before it is another's by now.
            if let Some(parent) = ancestry.first() {
                p.parent = Some(parent.key);
            }
            p.open.clone()
        });
        let last: Vec<bool> = (0..open.len())
            .map(|at| self.open.is_last_of_queue(&open, at))
            .collect();
        for (o, is_last) in open.into_iter().zip(last) {
            let Some(open) = self.open.get(o) else {
                continue;
            };
            let there = pending & signals::bit(open.signal.number) != 0;
            let seen = open.tid.is_none_or(|tid| tid == task.tid);
            let verdict = match open.taken {
                Some((event, taken)) => fate::accepted_inferred(
                    open.time,
                    &open.signal,
                    Some(event),
                    taken,
                    "the name of the function that took it",
                ),
                // One of several threads; what the last one waited for it may have taken.
                None if open.got.is_none()
                    && open.tid.is_some()
                    && open.signal.state.threads > 1
                    && (there || !seen || !fate::waited_for(&open.signal)) =>
                {
                    let by = match status & 0x80 {
                        0 => ThreadsEnd::Exit,
                        _ => ThreadsEnd::CoreDump,
                    };
                    fate::died_with_others(&open.signal, id, by)
                }
                None if open.got.is_none() && (there || !seen) => {
                    let takings_seen = self.coverage.sees_dequeue
                        && self.history.lost_since("dequeue", open.time) == 0;
                    let waited = match there {
                        false => Waited::Unknown,
                        true if is_last || takings_seen => Waited::ToTheLast,
                        true => Waited::OneOfThem,
                    };
                    fate::died_first(&open.signal, id, waited, Some(status))
                }
                None => fate::gone(self.view(), open, id, time, open.flushed()),
            };
            self.conclude(o, verdict, id, time);
        }
        self.lose_child(key, task, exited);
        if !self.history.counts(task) {
            return;
        }
        let Some(process) = self.history.process(key) else {
            return;
        };
        let overdue = process.overdue;
        if overdue {
            self.ended_late(id, time, key);
        }
        self.tell_death(key, exited, frames);
    }

    /// A shell ends with the status of a child that a signal ended.
    fn lose_child(&mut self, key: ProcessKey, task: &Task, exited: Exited) {
        let parent = self.history.process(key).and_then(|child| child.parent);
        let parent = parent.and_then(|parent| self.history.process_mut(parent));
        let number = exited.status & 0x7f;
        if let Some(parent) = parent.filter(|_| number != 0) {
            parent.lost_child = Some(LostChild {
                key,
                comm: task.comm,
                number,
                event: exited.event,
                time: exited.time,
                waited_for: false,
            });
        }
    }

    /// Whoever reaps a child knows how it ended.
    fn waited_for(&mut self, child: ProcessKey, by: Option<u32>) {
        let key = self.history.resolve(child);
        let parent = self.history.process(key).and_then(|child| child.parent);
        let parent = parent.filter(|parent| by == Some(parent.pid));
        let parent = parent.and_then(|parent| self.history.process_mut(parent));
        let lost = parent.and_then(|parent| parent.lost_child.as_mut());
        if let Some(lost) = lost.filter(|lost| lost.key == key) {
            lost.waited_for = true;
        }
    }

    pub(super) fn reap(&mut self, id: u64, time: BootTime, key: ProcessKey, by: Option<u32>) {
        self.waited_for(key, by);
        let process = self.history.process(key).filter(|p| !p.reaped);
        if let Some(task) = process.map(|p| p.task.clone()) {
            if self.history.counts(&task) {
                let exact = self.coverage.sees_release && by.is_some();
                let certainty = if exact {
                    Certainty::Proven
                } else {
                    Certainty::Inferred
                };
                self.outbox.push(
                    time,
                    id,
                    Report::Reap {
                        id,
                        time,
                        task,
                        by,
                        certainty,
                    },
                );
            }
        }
        self.history.reap(key, time);
    }

    /// Processes whose end was not seen leave signals without one.
    pub(super) fn settle_orphans(&mut self, event: u64, time: BootTime) {
        for o in self.history.take_orphans() {
            let Some(open) = self.open.get(o) else {
                continue;
            };
            let verdict = fate::died_first(&open.signal, event, Waited::Unknown, None);
            self.conclude(o, verdict, event, time);
        }
    }

    /// Events were lost: deaths of a moment ago that were explained by what was
    /// not seen are looked at again.
    pub(super) fn lost(
        &mut self,
        id: u64,
        time: BootTime,
        (kind, count): (&'static str, u64),
        slow_output: bool,
    ) {
        self.history.lose(kind, count, time);
        self.outbox.push(
            time,
            id,
            Report::Lost {
                id,
                time,
                kind,
                count,
                slow_output,
            },
        );
        if kind != "signal" && ![NOT_RUN, HELD].contains(&kind) {
            return;
        }
        for mut report in std::mem::take(&mut self.by_absence) {
            if report.time.0.saturating_add(LOSS_NS) < time.0 {
                continue;
            }
            let Some(process) = self.history.process(report.task.key) else {
                continue;
            };
            let Some(exited) = process.exit else { continue };
            let death = death::of_exit(self.view(), process, exited, &[]);
            if death.explanation.certainty >= report.explanation.certainty {
                continue;
            }
            let of = report.id;
            report.chain = death.chain;
            report.contributing = death.contributing;
            report.explanation = death.explanation;
            let same = |w: &&mut asked::Waiting| w.report.id == of;
            if let Some(waiting) = self.by_request.iter_mut().find(same) {
                waiting.report = report.clone();
            }
            self.outbox.push(
                time,
                id,
                Report::Update {
                    of,
                    time,
                    now: Update::Exit(report),
                },
            );
        }
    }

    /// Whether a later loss can take its proof away.
    pub(super) fn rests_on_absence(&mut self, report: &ExitReport) {
        let rests = matches!(report.cause, "pid1-exited" | "exit");
        if !rests || report.explanation.certainty != Certainty::Proven {
            return;
        }
        let late = |old: &ExitReport| old.time.0.saturating_add(LOSS_NS) < report.time.0;
        while self.by_absence.front().is_some_and(|old| late(old)) {
            self.by_absence.pop_front();
        }
        if self.by_absence.len() == BY_ABSENCE_KEPT {
            self.by_absence.pop_front();
        }
        self.by_absence.push_back(Box::new(report.clone()));
    }
}
