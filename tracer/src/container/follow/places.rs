//! Where what is told belongs.

use super::*;

impl Follow {
    /// A fact: to be handed on, or kept.
    pub fn take(&mut self, time: BootTime, fact: Fact) -> Option<Fact> {
        let place = match &fact {
            Fact::Fork { child, .. } => {
                self.born(child);
                self.place(child)
            }
            Fact::Signal(signal) => match (self.place(&signal.target), self.place(&signal.current))
            {
                (Place::Ours, _) | (_, Place::Ours) => Place::Ours,
                // To a process of the host: its sender's affair.
                (Place::Elsewhere, sender) => sender,
                (target, _) => target,
            },
            Fact::Refused(refused) => {
                let target = refused.denial.as_ref().map(|denial| &denial.target);
                let target = target.map_or(Place::Elsewhere, |target| self.place(target));
                match (target, self.place(&refused.current)) {
                    (Place::Ours, _) | (_, Place::Ours) => Place::Ours,
                    (Place::Elsewhere, sender) => sender,
                    (target, _) => target,
                }
            }
            Fact::ForkRejected(fork) => {
                let place = match (self.place(&fork.current), fork.ns) {
                    (Place::Elsewhere, Some(ns)) => self.place_of_pidns(ns),
                    (place, _) => place,
                };
                self.like_forks.put(LikeFork::of(fork), self.then(place));
                place
            }
            Fact::ForksCounted { like, .. } => self.now(self.like_forks.get(like)),
            Fact::Deliver { task, .. }
            | Fact::Dequeue { task, .. }
            | Fact::Exec { task, .. }
            | Fact::Placed { task, .. }
            | Fact::Exit { task, .. }
            | Fact::DoExit { task, .. }
            | Fact::GroupExit { task, .. }
            | Fact::ZapPidNs { task, .. } => self.place(task),
            Fact::Oom(oom) => self.place(&oom.victim),
            Fact::Fault(place) | Fact::HandlerFound(place) => self.place(&place.task),
            Fact::Resumed(resumed) => self.place(&resumed.task),
            Fact::Reap { key, .. } => self.reaped(*key),
            // Of those that were told before.
            Fact::Folded { like, .. } => self.now(self.likes.get(like)),
            _ => Place::Ours,
        };
        let ended = |signal: &Signal| signal.outcome != Outcome::Delivered;
        if let Some(signal) = fact.signal().filter(|signal| ended(signal)) {
            self.likes.put(Like::of(signal), self.then(place));
        }
        match place {
            Place::Ours | Place::Elsewhere => Some(fact),
            Place::Other => None,
            Place::Held(home) => {
                self.keep(home, time, fact);
                None
            }
        }
    }

    /// Where a PID namespace belongs.
    pub(super) fn place_of_pidns(&self, ns: PidNs) -> Place {
        let home = Home::PidNs(ns);
        match self.spaces.get(&home) {
            Some(Space::Ours(_)) => Place::Ours,
            Some(Space::Held(_)) => Place::Held(home),
            Some(Space::Other) => Place::Other,
            None => Place::Elsewhere,
        }
    }

    pub(super) fn then(&self, place: Place) -> Then {
        let first = match place {
            Place::Held(home) => match self.spaces.get(&home) {
                Some(Space::Held(held)) => Some(held.first.key),
                _ => None,
            },
            _ => None,
        };
        Then { place, first }
    }

    /// A place that was known then, as it is now. Of a kind that is not known nobody can
    /// say that it is not ours.
    pub(super) fn now(&self, then: Option<Then>) -> Place {
        let Some(then) = then else {
            return Place::Ours;
        };
        let Place::Held(_) = then.place else {
            return then.place;
        };
        match then.first.is_some() && self.then(then.place) == then {
            true => then.place,
            false => Place::Other,
        }
    }

    pub(super) fn place(&mut self, task: &Task) -> Place {
        if self.filter.names_alone(task) {
            return Place::Ours;
        }
        let mut place = Place::Elsewhere;
        let mut own = false;
        // Outermost first, so that the innermost counts, where none is traced.
        for &ns in &task.namespaces {
            let home = Home::PidNs(ns);
            place = match self.spaces.get(&home) {
                Some(Space::Ours(_)) => return Place::Ours,
                Some(Space::Held(_)) => Place::Held(home),
                Some(Space::Other) => Place::Other,
                None => continue,
            };
            // Whose cgroup is not known yet, it is that of its PID 1.
            let of = self.cgroup_of.get(&ns);
            own |= of.is_none() || of == task.cgroup.as_ref();
        }
        match task.cgroup {
            Some(id) if !own => self.place_by_cgroup(task, Home::Cgroup(id)),
            _ => place,
        }
    }

    /// Of somebody who is in no namespace that is told apart, or only visits it.
    pub(super) fn place_by_cgroup(&mut self, task: &Task, home: Home) -> Place {
        if !self.spaces.contains_key(&home) {
            self.hold(home, task);
            self.cgroups.push_back(home);
            if self.cgroups.len() > CGROUPS {
                if let Some(old) = self.cgroups.pop_front() {
                    self.give_up(old);
                    self.spaces.remove(&old);
                }
            }
        }
        match self.spaces.get(&home) {
            Some(Space::Ours(_)) => Place::Ours,
            Some(Space::Held(_)) => Place::Held(home),
            _ => Place::Other,
        }
    }
}
