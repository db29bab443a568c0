//! What each event changes: the history, the signals that wait for an end, and
//! the reports that follow. Called by [`super::engine`] in the order of time.

use std::sync::Arc;

use crate::event::{
    flag, BootTime, Dispositions, Event, Fact, Frame, Handler, Info, Outcome, ProcessKey, Signal,
    Task,
};
use crate::explain::report::{Certainty, ExitReport, Report};
use crate::history::note::{Fate, Note, NotedSender, Sent};
use crate::history::process::{Exited, Fatal};

use super::engine::{Deadline, Engine, LOOKS_NS, SETTLE_NS, WINDOW_NS, ZOMBIE_NS};
use super::fate::{self, Delivery};
use super::open::{Open, OPEN_PER_PROCESS};
use super::sender::{self, Origin};
use super::signals::{self, DefaultAction};
use super::{blocked, death, routine, stack};

impl Engine {
    /// One event.
    pub(super) fn step(&mut self, event: Event) {
        let Event { id, time, fact } = event;
        match fact {
            Fact::Signal(signal) => self.signal(id, time, Arc::from(signal)),
            Fact::Deliver {
                task,
                number,
                info,
                handler,
                signal_flags,
                ..
            } => {
                // The end of a thread whose group exits (get_signal), not a signal.
                if !(number == signals::KILL && info == Info::None) {
                    self.deliver(id, time, &task, number, handler, signal_flags);
                }
            }
            Fact::Dequeue {
                task,
                number,
                stack,
            } => self.dequeue(id, time, &task, number, &stack),
            Fact::Fork { parent, child } => {
                self.history.fork(&parent, &child);
                if self.in_scope(&child) {
                    self.outbox.push(
                        time,
                        id,
                        Report::Fork {
                            id,
                            time,
                            parent,
                            child,
                        },
                    );
                }
            }
            Fact::Exec { task, old_tid } => self.exec(id, time, task, old_tid),
            Fact::Exit {
                task,
                group_dead,
                status,
                pending,
                stack,
                ..
            } => {
                let exited = Exited {
                    event: id,
                    time,
                    status,
                };
                if group_dead {
                    self.exit(task, exited, pending, &stack);
                } else {
                    self.history.see(&task, true).leader_exit = Some(exited);
                }
            }
            Fact::DoExit { task, .. } => {
                self.history.see(&task, true);
            }
            Fact::GroupExit { task, status } => {
                self.history.see(&task, true).exiting.get_or_insert(Exited {
                    event: id,
                    time,
                    status,
                });
            }
            Fact::ZapPidNs { task, pidns } => self.history.zap(&task, pidns, id, time),
            Fact::Reap { key, by } => self.reap(id, time, key, by),
            Fact::Snapshot { task, dispositions } => self.history.snapshot(&task, dispositions),
            Fact::Observed { key, dispositions } => self.observed(id, time, key, dispositions),
            Fact::Lost { kind, count } => {
                self.history.lose(kind, count, time);
                self.outbox.push(
                    time,
                    id,
                    Report::Lost {
                        id,
                        time,
                        kind,
                        count,
                    },
                );
            }
            Fact::NamespaceGone { pidns } => self.history.namespace_gone(pidns),
        }
    }

    /// A deadline has come.
    pub(super) fn due(&mut self, time: BootTime, what: Deadline) {
        match what {
            Deadline::Report(id) => self.report_open(id, time),
            Deadline::Taken(id) => {
                let Some(open) = self.open.get(id) else {
                    return;
                };
                let Some((event, taken)) = open.taken else {
                    return;
                };
                let verdict = fate::accepted_inferred(
                    open.time,
                    &open.signal,
                    Some(event),
                    taken,
                    "the function that took it (kernel symbols are hidden)",
                );
                self.conclude(id, verdict, event, taken);
            }
            Deadline::Gone(id) => {
                let Some(open) = self.open.get(id) else {
                    return;
                };
                let Some((event, seen, flushed)) = open.gone else {
                    return;
                };
                let verdict =
                    fate::gone(self.view(), open.time, &open.signal, event, seen, flushed);
                self.conclude(id, verdict, event, seen);
            }
            Deadline::Look(id) => {
                let Some(open) = self.open.get_mut(id) else {
                    return;
                };
                open.looks = open.looks.saturating_add(1);
                let (target, generated, next) = (
                    open.target,
                    open.time,
                    LOOKS_NS.get(usize::from(open.looks)),
                );
                if let Some(&next) = next {
                    self.at(generated, next, Deadline::Look(id));
                }
                self.look_at(target);
            }
            Deadline::Zombie(key) => {
                let Some(process) = self.history.process_mut(key) else {
                    return;
                };
                if process.reaped || process.zombie_reported {
                    return;
                }
                let Some(exit) = process.exit else { return };
                process.zombie_reported = true;
                let task = process.task.clone();
                let parent = self.history.by_pid(task.ppid).map(|p| p.task.clone());
                if self.in_scope(&task) {
                    let report = Report::Zombie {
                        id: exit.event,
                        time: exit.time,
                        task,
                        parent,
                    };
                    self.outbox.push(time, u64::MAX, report);
                }
            }
        }
    }

    fn signal(&mut self, id: u64, time: BootTime, s: Arc<Signal>) {
        let origin = sender::origin(&s);
        let by_current = matches!(origin, Origin::Process | Origin::KernelForCurrent);
        let current_in = self.in_scope(&s.current);
        if !self.in_scope(&s.target) && !(by_current && current_in) {
            return;
        }
        self.history.see(&s.target, true);
        if current_in && s.current.key.pid != 0 && s.current.flags & flag::PF_KTHREAD == 0 {
            self.history.see(&s.current, true);
        }
        self.summary.signals += 1;
        self.cancel_opposites(id, time, &s);
        self.look_from_signal(id, time, &s);

        let target = self.history.resolve(s.target.key);
        let verdict = fate::at_generation(self.view(), time, &s);
        let by_itself = s.current.key == s.target.key;
        if origin == Origin::Process
            && s.current.is_pid1()
            && !s.current.namespaces.is_empty()
            && !by_itself
        {
            self.history.sent(
                s.current.key,
                Sent {
                    event: id,
                    time,
                    number: s.number,
                    target,
                },
            );
        }
        // A signal that never ends a process and comes all the time is not
        // worth a note; it would push the others out.
        if signals::default_action(s.number) != DefaultAction::Ignore {
            let sender = (origin == Origin::Process).then(|| NotedSender {
                key: s.current.key,
                comm: s.current.comm,
                ancestry: s.ancestry.clone(),
            });
            let fate = verdict
                .as_ref()
                .map_or_else(|| blocked::standing(&s), |v| v.fate);
            let note = Note {
                event: id,
                time,
                number: s.number,
                fate,
                reason: None,
                sender,
                settled: None,
            };
            if let Some(process) = self.history.process_mut(target) {
                process.note(note);
            }
        }
        let open = Open {
            id,
            time,
            tid: (!s.to_process).then_some(s.target.tid),
            signal: s,
            target,
            reported: false,
            taken: None,
            gone: None,
            looks: 0,
            letter: None,
        };
        match verdict {
            Some(verdict) => self.settle(open, verdict, id, time),
            None => self.wait(open),
        }
    }

    /// It was queued: its end comes later.
    fn wait(&mut self, open: Open) {
        let (id, time, target) = (open.id, open.time, open.target);
        if let Some(process) = self.history.process_mut(target) {
            let given_up = (process.open.len() >= OPEN_PER_PROCESS).then(|| process.open[0]);
            if let Some(oldest) = given_up {
                self.report_open(oldest, time);
                self.open.remove(oldest);
                self.give_up_one();
                if let Some(process) = self.history.process_mut(target) {
                    process.open.remove(0);
                }
            }
        }
        if let Some(process) = self.history.process_mut(target) {
            process.open.push(id);
        }
        self.outbox.hold(time, id);
        self.at(time, SETTLE_NS, Deadline::Report(id));
        self.at(time, LOOKS_NS[0], Deadline::Look(id));
        self.open.insert(open);
    }

    /// The target's queues as this signal found them: earlier ones that are no
    /// longer in them have been taken.
    fn look_from_signal(&mut self, id: u64, time: BootTime, s: &Signal) {
        let Some(process) = self.history.process(s.target.key) else {
            return;
        };
        if process.open.is_empty() {
            return;
        }
        let (shared, own, tid) = (s.state.shared_pending, s.state.pending, s.target.tid);
        self.look(id, time, s.target.key, |o| {
            if o.signal.number == s.number {
                return None;
            }
            let set = match o.tid {
                None => shared,
                Some(t) if t == tid => own,
                Some(_) => return None,
            };
            Some(set & signals::bit(o.signal.number) != 0)
        });
    }

    /// Settles the open signals of a process that are no longer pending.
    fn look(
        &mut self,
        id: u64,
        time: BootTime,
        key: ProcessKey,
        pending: impl Fn(&Open) -> Option<bool>,
    ) {
        let Some(process) = self.history.process(key) else {
            return;
        };
        let gone: Vec<u64> = process
            .open
            .iter()
            .copied()
            .filter(|&o| {
                self.open
                    .get(o)
                    .is_some_and(|o| o.taken.is_none() && pending(o) == Some(false))
            })
            .collect();
        for o in gone {
            let Some(open) = self.open.get(o) else {
                continue;
            };
            let verdict = fate::gone(self.view(), open.time, &open.signal, id, time, false);
            self.conclude(o, verdict, id, time);
        }
    }

    /// SIGCONT removes stop signals from the queue and the reverse
    /// (`prepare_signal`), whatever becomes of itself.
    fn cancel_opposites(&mut self, id: u64, time: BootTime, s: &Signal) {
        let cont = s.number == signals::CONT;
        if !cont && signals::default_action(s.number) != DefaultAction::Stop {
            return;
        }
        let Some(process) = self.history.process(s.target.key) else {
            return;
        };
        let opposite = |number: i32| {
            if cont {
                signals::default_action(number) == DefaultAction::Stop
            } else {
                number == signals::CONT
            }
        };
        let cancelled: Vec<u64> = process
            .open
            .iter()
            .copied()
            .filter(|&o| self.open.get(o).is_some_and(|o| opposite(o.signal.number)))
            .collect();
        for o in cancelled {
            let Some(open) = self.open.get(o) else {
                continue;
            };
            let verdict = fate::cancelled(&open.signal, id, s.number);
            self.conclude(o, verdict, id, time);
        }
    }

    fn deliver(
        &mut self,
        id: u64,
        time: BootTime,
        task: &Task,
        number: i32,
        handler: Handler,
        signal_flags: u32,
    ) {
        let process = self.history.see(task, true);
        let found = self.open.taken(&process.open, task.tid, number);
        let delivery = Delivery {
            event: id,
            time,
            handler,
            signal_flags,
            pid1: task.is_pid1(),
        };
        if let Some(o) = found {
            let Some(open) = self.open.get(o) else { return };
            let verdict = fate::at_delivery(open.time, &open.signal, &delivery);
            self.conclude(o, verdict, id, time);
            return;
        }
        // Its generation was not seen: remembered, for what follows from it.
        let (fate, reason) = fate::by_delivery(number, &delivery);
        if signals::default_action(number) == DefaultAction::Ignore || process.fatal.is_some() {
            return;
        }
        process.note(Note {
            event: id,
            time,
            number,
            fate,
            reason,
            sender: None,
            settled: Some(time),
        });
        if fate == Fate::Fatal {
            process.fatal = Some(Fatal {
                event: id,
                time,
                number,
                signal: None,
            });
        }
    }

    fn dequeue(&mut self, id: u64, time: BootTime, task: &Task, number: i32, frames: &[Frame]) {
        let Some(process) = self.history.process(task.key) else {
            return;
        };
        let Some(o) = self.open.taken(&process.open, task.tid, number) else {
            return;
        };
        if stack::has(frames, "get_signal") {
            return;
        }
        let Some(open) = self.open.get_mut(o) else {
            return;
        };
        if let Some(function) = stack::find(frames, stack::ACCEPTS) {
            let verdict = fate::accepted(open.time, &open.signal, id, time, function);
            self.conclude(o, verdict, id, time);
        } else {
            // Without names: a delivery follows within microseconds, or never.
            open.taken = Some((id, time));
            self.at(time, 2 * WINDOW_NS, Deadline::Taken(o));
        }
    }

    fn exec(&mut self, id: u64, time: BootTime, task: Task, old_tid: u32) {
        let process = self.history.see(&task, true);
        process.leader_exit = None;
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
                    let verdict = fate::died_first(&open.signal, id, false);
                    self.conclude(o, verdict, id, time);
                }
                None => {}
            }
        }
        if self.in_scope(&task) {
            self.outbox.push(time, id, Report::Exec { id, time, task });
        }
    }

    fn exit(&mut self, task: Task, exited: Exited, pending: u64, frames: &[Frame]) {
        let Exited {
            event: id,
            time,
            status,
        } = exited;
        if !self.history.exit(&task, exited) {
            return;
        }
        let key = self.history.resolve(task.key);
        let open = self
            .history
            .process(key)
            .map_or_else(Vec::new, |p| p.open.clone());
        for o in open {
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
                    "the function that took it (kernel symbols are hidden)",
                ),
                None if there || !seen => fate::died_first(&open.signal, id, there),
                None => fate::gone(self.view(), open.time, &open.signal, id, time, false),
            };
            self.conclude(o, verdict, id, time);
        }
        if !self.in_scope(&task) {
            return;
        }
        let Some(process) = self.history.process(key) else {
            return;
        };
        let death = death::of_exit(self.view(), process, exited, frames);
        let number = status & 0x7f;
        let report = ExitReport {
            id,
            time,
            pidns: task.pidns(),
            pid1: task.is_pid1() && !task.namespaces.is_empty(),
            signal: (number != 0).then_some(number),
            core_dumped: status & 0x80 != 0,
            exit_code: if number == 0 {
                (status >> 8) & 0xff
            } else {
                128 + number
            },
            cause: death.cause,
            mechanism: death.mechanism,
            forced: number == signals::KILL,
            chain: death.chain,
            contributing: death.contributing,
            stop: death.stop,
            kernel_path: death.kernel_path,
            explanation: death.explanation,
            task,
        };
        self.summary.exited += 1;
        self.summary.forced += u64::from(report.forced);
        self.outbox.push(time, id, Report::Exit(Box::new(report)));
        self.at(time, ZOMBIE_NS, Deadline::Zombie(key));
    }

    fn reap(&mut self, id: u64, time: BootTime, key: ProcessKey, by: Option<u32>) {
        let process = self.history.process(key).filter(|p| !p.reaped);
        if let Some(task) = process.map(|p| p.task.clone()) {
            if self.in_scope(&task) {
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
        self.history.reap(key);
    }

    fn observed(
        &mut self,
        id: u64,
        time: BootTime,
        key: ProcessKey,
        dispositions: Option<Dispositions>,
    ) {
        let Some(process) = self.history.process_mut(key) else {
            return;
        };
        process.dispositions = dispositions;
        // A process that is gone shows nothing: its exit tells, or was lost.
        let Some(seen) = dispositions.filter(|d| d.state != b'Z' && d.state != b'X') else {
            return;
        };
        let leader = process.task.key.pid;
        for o in process.open.clone() {
            let Some(open) = self.open.get_mut(o) else {
                continue;
            };
            open.letter = Some(seen.state);
            let set = match open.tid {
                None => seen.shared_pending,
                Some(tid) if tid == leader => seen.pending,
                Some(_) => continue,
            };
            let bit = signals::bit(open.signal.number);
            if set & bit == 0 && open.gone.is_none() && time > open.time {
                // A delivery at this very moment is still on its way here.
                open.gone = Some((id, time, seen.ignored & bit != 0));
                self.at(time, 2 * WINDOW_NS, Deadline::Gone(o));
            }
        }
    }

    /// Whether a signal's target could not take it is the caller's to say; this
    /// tells whether it is one of those that nobody asks about.
    pub(super) fn is_routine(s: &Signal, fate: Fate) -> bool {
        routine::is(s, sender::origin(s), fate) && s.outcome != Outcome::OverflowFail
    }
}
