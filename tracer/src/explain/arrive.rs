//! A signal arrives, waits and is taken: what each of these events changes for
//! the signals that have no end yet.

use std::sync::Arc;

use crate::event::{
    flag, BootTime, Dispositions, Frame, Handler, Info, Outcome, ProcessKey, Sight, Signal, Task,
};
use crate::history::note::{Fate, Note, NotedSender, Sent};
use crate::history::process::Fatal;

use super::agenda::{later, Deadline};
use super::engine::{Engine, LOOKS_NS, LOOK_NS, SETTLE_NS, TAKEN_NS};
use super::fate::{self, Delivery};
use super::open::Open;
use super::sender::{self, Origin};
use super::signals::{self, DefaultAction};
use super::{blocked, eligible, lead, queued, stack, stop_request, terminal};

impl Engine {
    pub(super) fn signal(&mut self, id: u64, time: BootTime, s: Arc<Signal>) {
        let s = self.as_given(s);
        // CLD_EXITED, CLD_KILLED, CLD_DUMPED: its own end, told to its parent.
        let ended = s.number == signals::CHLD && s.info == Info::Full && (1..=3).contains(&s.code);
        if ended && s.current.is_pid1() {
            self.history.notified(&s.current, time);
        }
        self.history.called_now(s.current.key, s.current.comm);
        for ancestor in &s.ancestry {
            self.history.called_now(ancestor.key, ancestor.comm);
        }
        let origin = sender::origin(&s);
        // For timers, terminals and the kernel's own signals the current task is
        // a bystander, who has nothing to do with it whatever filter names it.
        let by_current = match origin {
            Origin::Process | Origin::KernelForCurrent => true,
            Origin::Terminal => terminal::doer(&s).is_some(),
            Origin::Kernel | Origin::Timer => false,
        };
        let filter = &self.coverage.filter;
        let sent = by_current && filter.sender(&s.current);
        let counts = sent || filter.target(&s.target);
        let current_named = filter.names(&s.current);
        if !counts {
            self.told_whole(&s, None);
            return;
        }
        // What never ends a process changes nothing in its life.
        let reached = sent
            && s.outcome != Outcome::Ignored
            && signals::default_action(s.number) != DefaultAction::Ignore;
        self.history.see(&s.target, true).reached |= reached;
        if current_named && s.current.key.pid != 0 && s.current.flags & flag::PF_KTHREAD == 0 {
            self.history.see(&s.current, true);
        }
        self.summary.signals += 1;
        let cancelled = self.cancel_opposites(id, time, &s);
        self.look_from_signal(id, time, &s);
        self.handler_did_not_run(id, time, &s);

        let target = self.history.resolve(s.target.key);
        let verdict = fate::at_generation(self.view(), time, &s)
            .map(|verdict| fate::undid(verdict, &s, &cancelled))
            .or_else(|| Some(queued::shares_it_with(&s, self.with_entry(target, &s)?)));
        if verdict.is_some() {
            self.told_whole(&s, verdict.as_ref());
        }
        let by_itself = s.current.key == s.target.key;
        if origin == Origin::Process && lead::led(&self.history, &s.current).is_some() && !by_itself
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
        let configured = lead::led(&self.history, &s.target)
            .and_then(|home| stop_request::configured(&self.history, home));
        let ignored = signals::default_action(s.number) == DefaultAction::Ignore;
        if !ignored || configured == Some(s.number) {
            let sender = (origin == Origin::Process).then(|| NotedSender::of(&s));
            let stop = sender
                .as_ref()
                .is_some_and(|by| stop_request::begins(&self.history, &s, by));
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
                unsent: false,
                stop,
                settled: None,
            };
            if let Some(process) = self.history.process_mut(target) {
                process.note(note);
            }
        }
        let open = Open::new(id, time, s, target);
        match verdict {
            Some(verdict) => self.settle(open, verdict, id, time),
            None => self.wait(open),
        }
    }

    /// An earlier signal of the same number and queue that has an entry there, where this
    /// one has none and the kernel side has not seen whether another has.
    fn with_entry(&self, target: ProcessKey, s: &Signal) -> Option<u64> {
        if s.outcome != Outcome::LoseInfo || s.number < signals::KERNEL_RTMIN {
            return None;
        }
        let tid = (!s.to_process).then_some(s.target.tid);
        let open = &self.history.process(target)?.open;
        open.iter().copied().find(|&o| {
            self.open.get(o).is_some_and(|o| {
                let has_entry = !o.signal.outcome.lost_info();
                let same = o.signal.number == s.number && o.tid == tid && has_entry;
                same && o.taken.is_none() && o.got.is_none()
            })
        })
    }

    /// It was queued: its end comes later.
    pub(super) fn wait(&mut self, open: Open) {
        let (id, time, target) = (open.id, open.time, open.target);
        self.make_room(target, time);
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
    pub(super) fn look_from_signal(&mut self, id: u64, time: BootTime, s: &Signal) {
        self.still_given_up(s.target.key, s.state.shared_pending | s.state.pending);
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
    pub(super) fn look(
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
                self.open.get(o).is_some_and(|o| {
                    o.taken.is_none() && !fate::held(o, false) && pending(o) == Some(false)
                })
            })
            .collect();
        for o in gone {
            let Some(open) = self.open.get(o) else {
                continue;
            };
            let verdict = fate::gone(self.view(), open, id, time, open.flushed());
            self.conclude(o, verdict, id, time);
        }
    }

    /// SIGCONT removes stop signals from the queue and the reverse
    /// (`prepare_signal`), whatever becomes of itself. Those that it removes: their
    /// events and numbers.
    pub(super) fn cancel_opposites(
        &mut self,
        id: u64,
        time: BootTime,
        s: &Signal,
    ) -> Vec<(u64, i32)> {
        let cont = s.number == signals::CONT;
        if !cont && signals::default_action(s.number) != DefaultAction::Stop {
            return Vec::new();
        }
        let Some(process) = self.history.process(s.target.key) else {
            return Vec::new();
        };
        let opposite = |number: i32| {
            if cont {
                signals::default_action(number) == DefaultAction::Stop
            } else {
                number == signals::CONT
            }
        };
        let cancelled: Vec<(u64, i32)> = process
            .open
            .iter()
            .filter_map(|&o| Some((o, self.open.get(o)?.signal.number)))
            .filter(|&(_, number)| opposite(number))
            .collect();
        for &(o, _) in &cancelled {
            let Some(open) = self.open.get(o) else {
                continue;
            };
            let verdict = fate::cancelled(&open.signal, id, s.number);
            self.conclude(o, verdict, id, time);
        }
        cancelled
    }

    /// A thread acts on a signal; `traced`: a debugger traces it.
    pub(super) fn deliver(&mut self, task: &Task, number: i32, traced: bool, d: &Delivery) {
        let process = self.history.see(task, true);
        let got = self.open.got_by(&process.open, task.tid).filter(|&o| {
            let open = self.open.get(o);
            open.is_some_and(|o| o.signal.number == number)
        });
        if got.is_none() && process.given.is_some() && self.deliver_given(task, number, d) {
            return;
        }
        let process = self.history.see(task, true);
        let found = got.or_else(|| self.open.taken(&process.open, task.tid, number));
        if let Some(o) = found {
            let Some(open) = self.open.get(o) else { return };
            let mut verdict = fate::at_delivery(open.time, &open.signal, d);
            if got.is_none() && self.may_be_another(o) {
                verdict = verdict.but("which of several equal signals this was: the process was traced, and its debugger may have kept one");
            }
            verdict = self.unless_given_up(task.key, number, verdict);
            if verdict.fate == Fate::Handled {
                let (time, signal) = (open.time, Arc::clone(&open.signal));
                self.chosen.push(task.tid, o, time, signal, d);
            }
            self.conclude(o, verdict, d.event, d.time);
            if matches!(d.handler, Handler::User(_)) {
                self.has_handlers(d.event, d.time, task.key, signals::bit(number));
            }
            return;
        }
        // Its generation was not seen: remembered, for what follows from it.
        let perhaps_given = self.perhaps_given(task, traced, d);
        let process = self.history.see(task, true);
        let (fate, reason) = fate::by_delivery(number, d);
        let over = process.fatal.is_some() || process.exit.is_some();
        if signals::default_action(number) == DefaultAction::Ignore || over {
            return;
        }
        process.note(Note {
            event: d.event,
            time: d.time,
            number,
            fate,
            reason,
            sender: None,
            unsent: true,
            stop: false,
            settled: Some(d.time),
        });
        if fate == Fate::Fatal {
            process.fatal = Some(Fatal {
                event: d.event,
                time: d.time,
                number,
                signal: None,
                perhaps_given,
            });
        }
    }

    pub(super) fn dequeue(
        &mut self,
        id: u64,
        time: BootTime,
        task: &Task,
        number: i32,
        frames: &[Frame],
    ) {
        self.history.called_now(task.key, task.comm);
        let Some(process) = self.history.process(task.key) else {
            return;
        };
        let (found, before) = (
            self.open.taken(&process.open, task.tid, number),
            self.open.got_by(&process.open, task.tid),
        );
        // A thread takes the next one when it is done with the one before.
        if let Some((o, open)) = before.and_then(|o| Some((o, self.open.get(o)?))) {
            let verdict = fate::gone(self.view(), open, id, time, false);
            self.conclude(o, verdict, id, time);
        }
        let Some((o, open)) = found.and_then(|o| Some((o, self.open.get_mut(o)?))) else {
            return;
        };
        let accepts = stack::find(frames, stack::ACCEPTS);
        // Without names, one of a traced process is taken as its debugger's: that holds
        // it (ptrace_signal) as long as it likes before it is delivered.
        let held = accepts.is_none() && open.signal.state.traced;
        if stack::has(frames, "get_signal") || held {
            open.got = Some((id, time, task.tid));
            return;
        }
        if let Some(function) = accepts {
            let verdict = fate::accepted(open.time, &open.signal, id, time, function);
            let verdict = self.unless_given_up(task.key, number, verdict);
            self.conclude(o, verdict, id, time);
        } else {
            // Without names: a delivery follows, or never.
            open.taken = Some((id, time));
            let (signal, target) = (open.id, open.target);
            if let Some(process) = self.history.process_mut(target) {
                process.took(signal, time);
            }
            self.at(time, TAKEN_NS, Deadline::Taken(o));
        }
    }

    pub(super) fn observed(
        &mut self,
        id: u64,
        time: BootTime,
        key: ProcessKey,
        dispositions: Option<Dispositions>,
        sight: Sight,
    ) {
        if let Some(comm) = sight.comm {
            self.history.called_now(key, comm);
        }
        let sight = Arc::new(sight);
        self.looked_at(id, time, key, dispositions, &sight);
        // Those that were waited with until somebody had looked, whatever that found.
        let open = self
            .history
            .process(key)
            .map(|process| process.open.clone());
        for o in open.unwrap_or_default() {
            let open = self.open.get(o);
            if open.is_some_and(|open| time >= later(open.time, SETTLE_NS)) {
                self.report_open(o, time);
            }
        }
    }

    fn looked_at(
        &mut self,
        id: u64,
        time: BootTime,
        key: ProcessKey,
        dispositions: Option<Dispositions>,
        sight: &Arc<Sight>,
    ) {
        self.still_there(id, time, key, dispositions, sight);
        let Some(process) = self.history.process_mut(key) else {
            return;
        };
        // The first look that found these handlers.
        let caught = |d: Option<Dispositions>| d.map(|d| d.caught);
        if caught(process.dispositions) != caught(dispositions) {
            process.looked = Some((id, time));
        }
        process.last_look = time;
        process.dispositions = dispositions;
        process.sight = dispositions.map(|seen| (seen.state, sight.clone()));
        if let Some(seen) = dispositions {
            self.has_handlers(id, time, key, seen.caught);
        }
        if let Some(seen) = dispositions {
            self.seen_dead(time, key, seen.state);
        }
        // A process that is gone shows nothing: its exit tells, or was lost.
        let Some(seen) = dispositions.filter(|d| d.state != b'Z' && d.state != b'X') else {
            return;
        };
        self.still_given_up(key, seen.pending | seen.shared_pending);
        let Some(process) = self.history.process(key) else {
            return;
        };
        let leader = process.task.key.pid;
        for o in process.open.clone() {
            let Some(open) = self.open.get_mut(o) else {
                continue;
            };
            open.first.get_or_insert_with(|| sight.clone());
            let of_takers = eligible::seen(open, seen.state, sight);
            let before = open.seen.replace(of_takers);
            let told = open.reported;
            let own = (leader, seen.pending);
            let Some(set) = eligible::queue(open, own, seen.shared_pending, sight) else {
                continue;
            };
            let bit = signals::bit(open.signal.number);
            if set & bit == 0 && open.gone.is_none() && time > open.time {
                // A delivery at this very moment is still on its way here.
                // sigaction(2) flushes what it sets to be ignored; what was ignored when
                // it came is in the queue for another cause (a debugger, a mask).
                let was = open.signal.state.handler == Handler::Ignore;
                open.gone = Some((id, time, seen.ignored & bit != 0 && !was));
                self.at(time, LOOK_NS, Deadline::Gone(o));
            } else if told && set & bit != 0 {
                self.waits_for_else(o, id, time, before.as_ref());
            }
        }
    }
}
