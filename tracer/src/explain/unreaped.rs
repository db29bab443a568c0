//! The dead that stay: zombies, which nobody has waited for, and a PID 1 that
//! cannot end because something in its namespace is not reaped (it sleeps in
//! `zap_pid_ns_processes` until nothing else is left).
//!
//! That a process was not reaped is a fact that is missing. Where it may have
//! been lost, a look at `/proc` decides.

use crate::event::{printable, BootTime, ProcessKey, Sight, Task};
use crate::explain::report::{Kept, Report, Unreaped};
use crate::history::process::Process;

use super::agenda::{later, Deadline};
use super::blocked;
use super::engine::{Engine, LOOK_NS, ZOMBIE_NS};

/// So many of those that a PID 1 waits for are named.
const NAMED: usize = 16;

impl Engine {
    /// A second has gone by since the end of a process.
    pub(super) fn unreaped(&mut self, time: BootTime, key: ProcessKey) {
        let Some((process, exit)) = self.dead(key) else {
            return;
        };
        let lost = self.history.lost_since("reap", exit) > 0;
        if self.history.outlived(&process.task) {
            return;
        }
        if self.history.waits_in_zap(key) {
            self.look_at_left(key, exit);
            self.look_at(key);
            return;
        }
        if lost {
            self.look_at(key);
            return;
        }
        self.zombie(time, key);
    }

    /// A look at a dead process found it in this state.
    pub(super) fn seen_dead(&mut self, time: BootTime, key: ProcessKey, state: u8) {
        let key = self.history.resolve(key);
        let Some((process, exit)) = self.dead(key) else {
            return;
        };
        let own = process.task.pidns().filter(|_| process.task.is_pid1());
        let zombie = state == b'Z';
        if zombie {
            if let Some(ns) = own.filter(|_| self.history.waits_in_zap(key)) {
                self.history.over(ns, time);
            }
        }
        if time < later(exit, ZOMBIE_NS) {
            return;
        }
        if zombie {
            self.zombie(time, key);
        } else if state != b'X' && self.history.waits_in_zap(key) {
            // This look may have been asked for before those at the others were.
            match self.look_at_left(key, exit) {
                true => self.look_at(key),
                false => self.at(time, LOOK_NS, Deadline::Waits(key)),
            }
        }
    }

    /// A second after the `exit` of a PID 1: has all looked at that is left in its namespace
    /// and was not since. Whether there is any.
    fn look_at_left(&mut self, one: ProcessKey, exit: BootTime) -> bool {
        let since = later(exit, ZOMBIE_NS);
        let mut any = false;
        for left in self.left_in(one, false) {
            let process = self.history.process(left.task.key);
            let new = process.is_some_and(|process| {
                let died = process.exit.map(|exit| exit.time);
                process.last_look < died.map_or(since, |died| died.max(since))
            });
            if new {
                self.look_at(left.task.key);
                any = true;
            }
        }
        any
    }

    /// Dead and, as far as is known, not reaped; nothing was said of that.
    fn dead(&self, key: ProcessKey) -> Option<(&Process, BootTime)> {
        let process = self.history.process(key)?;
        let new = !process.reaped && !process.zombie_reported;
        process
            .exit
            .filter(|_| new)
            .map(|exit| (process, exit.time))
    }

    fn zombie(&mut self, time: BootTime, key: ProcessKey) {
        let parent = self.parent(key);
        let Some(process) = self.history.process_mut(key) else {
            return;
        };
        process.zombie_reported = true;
        let Some(exit) = process.exit else { return };
        let task = process.task.clone();
        if self.history.counts(&task) {
            let report = Report::Zombie {
                id: exit.event,
                time: exit.time,
                task,
                parent,
            };
            self.outbox.push(time, u64::MAX, report);
        }
    }

    /// It still waits, as far as is known.
    pub(super) fn waits(&mut self, time: BootTime, key: ProcessKey) {
        if self.dead(key).is_none() || !self.history.waits_in_zap(key) {
            return;
        }
        let Some(process) = self.history.process_mut(key) else {
            return;
        };
        process.zombie_reported = true;
        let Some(exit) = process.exit else { return };
        let task = process.task.clone();
        if !self.history.counts(&task) {
            return;
        }
        let report = Report::Waits {
            id: exit.event,
            time: exit.time,
            waits_for: self.left_in(key, true),
            task,
        };
        self.outbox.push(time, u64::MAX, report);
    }

    /// What is left in the namespace of a dead PID 1. Its own children it reaps
    /// itself, so of the dead those count that are children of somebody outside, or that
    /// somebody traces; before they were `looked` at, any may be.
    fn left_in(&self, one: ProcessKey, looked: bool) -> Vec<Unreaped> {
        let Some(ns) = self.history.process(one).and_then(|p| p.task.pidns()) else {
            return Vec::new();
        };
        let exits_lost = self.history.lost_since("exit", BootTime(0)) > 0;
        let holds = |process: &Process| {
            let dead = process.exit.is_some();
            let parent = self.parent(process.task.key);
            // Everybody inside is known.
            let outside = process.parent.is_some_and(|key| {
                let parent = self.history.process(key);
                parent.is_none_or(|parent| !parent.task.namespaces.contains(&ns))
            });
            // Its parent gets to wait for it only once its debugger has.
            let traced = process
                .sight
                .as_ref()
                .is_some_and(|(_, s)| s.tracer.is_some());
            let held = if dead {
                outside || traced || !looked
            } else {
                !exits_lost
            };
            held.then(|| Unreaped {
                task: process.task.clone(),
                dead,
                parent: parent.filter(|_| dead && outside && !traced),
                kept: process
                    .sight
                    .as_ref()
                    .and_then(|(state, sight)| kept(*state, sight)),
            })
        };
        let members = self.history.members(ns);
        let left = members.filter(|p| !p.reaped && !p.missed && p.task.key != one);
        let mut left: Vec<_> = left.filter_map(holds).collect();
        left.sort_by_key(|it| it.task.key);
        left.truncate(NAMED);
        left
    }

    /// Whose child it is. Not by its bare pid: another process may have that by now.
    fn parent(&self, key: ProcessKey) -> Option<Task> {
        let parent = self.history.process(self.history.process(key)?.parent?)?;
        (parent.exit.is_none() && !parent.reaped).then(|| parent.task.clone())
    }
}

/// What a look shows of why it is still there.
fn kept(state: u8, sight: &Sight) -> Option<Kept> {
    let (reason, why) = match (state, &sight.tracer) {
        (b'Z' | b'X', Some((pid, comm))) => (
            Some("traced"),
            format!(
                "dead, and its debugger {} {pid} has not waited for it",
                printable(&comm.to_string())
            ),
        ),
        (b'Z' | b'X', None) => return None,
        _ => {
            let (reason, why, _) = blocked::keeps(state, sight, false);
            (reason, why)
        }
    };
    Some(Kept {
        state: char::from(state),
        reason,
        why,
    })
}
