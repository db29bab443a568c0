//! What is kept until it is known whose it is, and what is given up.

use super::*;

/// How many events a fact tells.
fn events(fact: &Fact) -> u64 {
    match fact {
        Fact::Folded { count, .. } | Fact::ForksCounted { count, .. } => *count,
        _ => 1,
    }
}

impl Follow {
    pub(super) fn hold(&mut self, home: Home, first: &Task) {
        let held = Held {
            first: first.clone(),
            id: None,
            cgroup: String::new(),
            runs: None,
            ripe: matches!(home, Home::PidNs(_)),
            facts: Vec::new(),
            keys: HashSet::new(),
            dropped: 0,
            over: false,
        };
        self.spaces.insert(home, Space::Held(Box::new(held)));
        self.waiting.push_back(home);
    }

    /// The first process of a namespace that is not inside another new one.
    pub(super) fn born(&mut self, child: &Task) {
        let Some(ns) = child.pidns().filter(|_| child.is_pid1()) else {
            return;
        };
        let outer = child.namespaces.iter().filter(|&&outer| outer != ns);
        let inside = outer
            .filter_map(|&outer| self.spaces.get(&Home::PidNs(outer)))
            .any(|space| {
                matches!(space, Space::Ours(_))
                    || matches!(space, Space::Held(held) if held.id.is_none())
            });
        let home = Home::PidNs(ns);
        let known =
            matches!(self.spaces.get(&home), Some(Space::Ours(Some(key))) if same(*key, child.key));
        if inside || known || self.is_in_ripe(child) {
            return;
        }
        self.give_up(home);
        self.cgroup_of.remove(&ns);
        self.hold(home, child);
    }

    /// In a container that shares its PID namespace: what it makes is its own.
    pub(super) fn is_in_ripe(&self, child: &Task) -> bool {
        let space = child
            .cgroup
            .and_then(|id| self.spaces.get(&Home::Cgroup(id)));
        match space {
            Some(Space::Ours(_)) => true,
            Some(Space::Held(held)) => held.ripe,
            _ => child
                .cgroup
                .is_some_and(|id| self.filter.homes.contains(&id)),
        }
    }

    pub(super) fn reaped(&mut self, key: ProcessKey) -> Place {
        let over = |space: &Space| matches!(space, Space::Ours(Some(pid1)) if same(*pid1, key));
        if let Some(space) = self.spaces.values_mut().find(|space| over(space)) {
            // What comes with its inode from here on is another's.
            *space = Space::Other;
            return Place::Ours;
        }
        for (&home, space) in &mut self.spaces {
            match space {
                Space::Held(held) if held.keys.contains(&key) => {
                    held.over |= held.first.key == key;
                    return Place::Held(home);
                }
                _ => {}
            }
        }
        Place::Elsewhere
    }

    pub(super) fn keep(&mut self, home: Home, time: BootTime, fact: Fact) {
        let Some(Space::Held(held)) = self.spaces.get_mut(&home) else {
            return;
        };
        if let Fact::Fork { child: task, .. } | Fact::Exec { task, .. } = &fact {
            if held.keys.len() < KEPT {
                held.keys.insert(task.key);
            }
        }
        if held.facts.len() >= KEPT {
            held.dropped += events(&fact);
            return;
        }
        held.facts.push((time, fact));
        self.kept += 1;
        while self.kept > KEPT_IN_ALL {
            let Some(oldest) = self.waiting.pop_front() else {
                break;
            };
            self.give_up(oldest);
        }
    }

    /// Nobody will know whose it was.
    pub(super) fn give_up(&mut self, home: Home) {
        self.waiting.retain(|&waiting| waiting != home);
        if let Some(Space::Held(held)) = self.spaces.insert(home, Space::Other) {
            self.kept -= held.facts.len();
            // Whoever makes a namespace without being a container's engine is no
            // loss, as long as nobody is waited for.
            if held.id.is_some() || !self.all_found() {
                let all = held.facts.iter().map(|(_, fact)| events(fact));
                self.unclaimed += all.sum::<u64>() + held.dropped;
            }
        }
    }

    /// It is another container's.
    pub(super) fn forget(&mut self, home: Home) -> Option<Box<Held>> {
        self.waiting.retain(|&waiting| waiting != home);
        match self.spaces.insert(home, Space::Other) {
            Some(Space::Held(held)) => {
                self.kept -= held.facts.len();
                Some(held)
            }
            // What is traced already, or never was held, stays what it is.
            Some(space) => {
                self.spaces.insert(home, space);
                None
            }
            None => None,
        }
    }

    /// What has waited long enough is given up.
    pub fn expire(&mut self, now: BootTime) {
        while let Some(&oldest) = self.waiting.front() {
            let Some(Space::Held(held)) = self.spaces.get(&oldest) else {
                self.waiting.pop_front();
                continue;
            };
            let age = now.0.saturating_sub(held.first.key.start_ns);
            let limit = if held.id.is_some() {
                WITHOUT_NAME_NS
            } else {
                WITHOUT_ID_NS
            };
            if age < limit {
                break;
            }
            self.give_up(oldest);
        }
    }

    /// How much is kept: namespaces, events.
    pub fn sizes(&self) -> (usize, usize) {
        (self.waiting.len(), self.kept)
    }
}
