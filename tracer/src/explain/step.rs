//! One event or one deadline, in the order of time: hands it to what it
//! concerns. Signals stand in [`super::arrive`], processes in [`super::lives`].

use crate::event::{BootTime, Detail, Event, Fact, Home, Info, Task};
use crate::explain::report::Report;
use crate::history::process::{Exited, NotedFault};

use super::agenda::Deadline;
use super::engine::{Engine, LOOKS_NS};
use super::fate::Delivery;
use super::signals;

impl Engine {
    /// One event.
    pub(super) fn step(&mut self, event: Event) {
        let Event { id, time, fact } = event;
        self.clock = time;
        self.outbox.passes(id, &fact);
        self.supersede(&fact);
        match fact {
            Fact::Signal(signal) => self.signal(id, time, signal),
            Fact::Deliver {
                task,
                number,
                info,
                handler,
                signal_flags,
                traced,
                orphaned,
                fault_at,
                ..
            } => {
                // The end of a thread whose group exits (get_signal), not a signal.
                if !(number == signals::KILL && info == Info::None) {
                    let delivery = Delivery {
                        event: id,
                        time,
                        handler,
                        signal_flags,
                        pid1: task.is_pid1(),
                        orphaned,
                        fault_at,
                    };
                    self.deliver(&task, number, traced, &delivery);
                }
            }
            Fact::Dequeue {
                task,
                number,
                stack,
            } => self.dequeue(id, time, &task, number, &stack),
            Fact::Fork { parent, child } => {
                self.history.fork(&parent, &child);
                let filter = &self.coverage.filter;
                if filter.names(&child) || filter.names(&parent) {
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
            // Told apart before it gets here.
            Fact::Placed { .. } | Fact::Place { .. } => {}
            Fact::Traced { home } => {
                self.coverage.filter.trace(home);
                self.history.trace(home);
            }
            Fact::Exec { task, old_tid } => {
                self.handlers.forget(task.key);
                self.forget_crash(task.key);
                self.exec(id, time, task, old_tid);
            }
            Fact::Exit {
                task,
                group_dead,
                status,
                signal_flags,
                call,
                pending,
                ancestry,
                stack,
                ..
            } => {
                let exited = Exited {
                    event: id,
                    time,
                    status,
                    signal_flags,
                    call,
                };
                if group_dead {
                    self.exit(&task, exited, pending, &ancestry, &stack);
                } else {
                    self.history.see(&task, true);
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
                    signal_flags: 0,
                    call: Detail::None,
                });
            }
            Fact::ZapPidNs { task, pidns } => self.history.zap(&task, pidns, id, time),
            Fact::Resumed(resumed) => self.resumed(id, time, *resumed),
            Fact::Oom(oom) => self.history.oom(id, time, *oom),
            Fact::Fault(fault) => {
                let process = self.history.see(&fault.task, true);
                let fault = *fault;
                process.faulted(NotedFault {
                    event: id,
                    fault,
                    function: None,
                });
            }
            Fact::FaultNamed {
                key,
                ip,
                name,
                offset,
                source,
            } => self.fault_named(id, time, (key, ip), &(name, offset, source)),
            Fact::HandlerFound(place) => self.handler_found(id, *place),
            Fact::HandlerNamed {
                key,
                address,
                name,
                offset,
                source,
            } => self.handler_named(id, time, (key, address), &(name, offset, source)),
            Fact::Refused(refused) => self.refused(id, time, &refused),
            Fact::NotLookedAt(calls) => self.not_looked_at += calls,
            Fact::ForkRejected(fork) => self.fork_rejected(id, time, fork),
            Fact::ForksCounted { like, count, last } => {
                self.forks_counted(id, time, &like, count, last);
            }
            Fact::ForksNotLookedAt(forks) => self.forks_not_looked_at += forks,
            Fact::Reap { key, by } => self.reap(id, time, key, by),
            Fact::Snapshot { task, dispositions } => self.history.snapshot(&task, dispositions),
            Fact::Observed {
                key,
                dispositions,
                sight,
            } => self.observed(id, time, key, dispositions, sight),
            Fact::Folded { like, count, last } => self.folded(id, time, &like, count, last),
            Fact::Lost {
                kind,
                count,
                slow_output,
            } => self.lost(id, time, (kind, count), slow_output),
            Fact::Quotas { key, quotas } => {
                let key = self.history.resolve(key);
                if let Some(process) = self.history.process_mut(key) {
                    process
                        .quotas
                        .push((id, quotas), |(_, quotas)| quotas.at, |_| ());
                }
            }
            Fact::Program { key, file } => self.history.looked_up.program(key, file),
            Fact::Engine(event) => self.engine_told(id, time, event),
            Fact::EngineSilent(why) => {
                if !self.silent.contains(&why) {
                    self.silent.push(why);
                }
            }
            Fact::Container(container) => self.history.looked_up.container(*container),
            Fact::Gone {
                home: Home::PidNs(ns),
            } => self.history.namespace_gone(ns, time),
            Fact::Gone {
                home: Home::Cgroup(id),
            } => self.history.cgroup_gone(id),
        }
        self.settle_orphans(id, time);
    }

    /// Which of the traced namespaces have ended decides who is traced: a later one
    /// may have the same inode.
    fn supersede(&mut self, fact: &Fact) {
        let mut look = |task: &Task| self.history.supersede(task);
        match fact {
            Fact::Fork { child: task, .. } | Fact::Exec { task, .. } | Fact::Exit { task, .. } => {
                look(task);
            }
            Fact::Signal(signal) => {
                look(&signal.current);
                look(&signal.target);
            }
            Fact::Refused(refused) => {
                look(&refused.current);
                if let Some(denial) = &refused.denial {
                    look(&denial.target);
                }
            }
            Fact::ForkRejected(fork) => look(&fork.current),
            _ => {}
        }
        let closed = &self.history.filter().closed;
        if *closed != self.coverage.filter.closed {
            self.coverage.filter.closed.clone_from(closed);
        }
    }

    /// A deadline has come.
    pub(super) fn due(&mut self, time: BootTime, what: Deadline) {
        self.clock = time;
        match what {
            Deadline::Report(id) => self.report_open(id, time),
            Deadline::Taken(id) => self.taken_for_good(id),
            Deadline::Gone(id) => self.gone_for_good(id),
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
            Deadline::Watch(key, looks) => self.watch_again(time, key, looks),
            Deadline::Overdue(key) => {
                if self.is_overdue(key) {
                    self.look_at(key);
                }
            }
            Deadline::Ending(key) => {
                if self.history.waits_in_zap(key) {
                    self.look_at(key);
                }
            }
            Deadline::Killed(key) => self.no_longer_wait(key, None),
            Deadline::Zombie(key) => self.unreaped(time, key),
            Deadline::Waits(key) => self.waits(time, key),
        }
    }
}
