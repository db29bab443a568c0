//! Containers that start while a trace runs. The kernel side tells what happens
//! in every PID namespace that is made; whose it is becomes known later: the id
//! from its cgroup's name once it runs its program, the name from its engine's
//! events. Until then what is told is kept here, bounded, and after that it is
//! handed on whole ([`Claim`]) or forgotten. Pure: looks nowhere and has no clock.
//!
//! The kernel gives the inode of a namespace again once that has ended. A
//! namespace here begins with the fork of its PID 1 and ends when that is reaped;
//! nothing of another one with the same inode comes in between.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    events::Told,
    resolve::{fit, Fit},
    Container,
};
use crate::{
    event::{BootTime, Fact, PidNs, ProcessKey, Task},
    history::{filter::Filter, identity::same_start},
};

/// Events kept for one namespace.
pub const KEPT: usize = 4096;
/// Events kept in all. The oldest namespace is given up for the newest.
pub const KEPT_IN_ALL: usize = 32_768;
/// How long a namespace may go without the id of a container: whoever makes one
/// is a container's runtime for a moment only.
pub const WITHOUT_ID_NS: u64 = 10_000_000_000;
/// How long its engine may take to tell the name of an id.
pub const WITHOUT_NAME_NS: u64 = 30_000_000_000;
/// Names of containers that are remembered.
const NAMES: usize = 4096;
/// Events of engines that are remembered for containers that are not known yet.
const TOLD: usize = 256;

/// A container that started, with everything that happened in it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which; what its engine knows besides has to be asked.
    pub container: Container,
    /// Its first process.
    pub pid1: Task,
    /// What happened, in the order in which it was told.
    pub facts: Vec<(BootTime, Fact)>,
    /// How many events were not kept.
    pub dropped: u64,
    /// What its engine said already.
    pub told: Vec<Told>,
}

/// What an engine calls a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The engine's socket.
    pub socket: String,
}

#[derive(Debug)]
enum Space {
    /// It is traced; its PID 1, where that is known.
    Ours(Option<ProcessKey>),
    /// Another container's, or nobody's.
    Other,
    /// Not known yet.
    Held(Box<Held>),
}

#[derive(Debug)]
struct Held {
    pid1: Task,
    id: Option<(String, Option<&'static str>)>,
    facts: Vec<(BootTime, Fact)>,
    keys: HashSet<ProcessKey>,
    dropped: u64,
    /// Its PID 1 was reaped.
    over: bool,
}

/// Where a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ours,
    Held(PidNs),
    Other,
    Elsewhere,
}

/// See the module.
#[derive(Debug)]
pub struct Follow {
    wanted: Vec<Wanted>,
    filter: Filter,
    /// Names can become known.
    engines: bool,
    once: bool,
    names: HashMap<String, Name>,
    names_by_age: VecDeque<String>,
    spaces: HashMap<PidNs, Space>,
    /// Those that are held, the oldest first.
    waiting: VecDeque<PidNs>,
    kept: usize,
    told: VecDeque<Told>,
    unclaimed: u64,
}

#[derive(Debug)]
struct Wanted {
    text: String,
    found: bool,
}

impl Follow {
    /// Waits for the containers of these names; `filter`: who is traced besides.
    /// `engines`: some engine is listened to. `once`: each name counts once.
    pub fn new(wanted: &[String], filter: Filter, engines: bool, once: bool) -> Self {
        let wanted = wanted.iter().map(|text| Wanted {
            text: text.clone(),
            found: false,
        });
        Self {
            wanted: wanted.collect(),
            filter,
            engines,
            once,
            names: HashMap::new(),
            names_by_age: VecDeque::new(),
            spaces: HashMap::new(),
            waiting: VecDeque::new(),
            kept: 0,
            told: VecDeque::new(),
            unclaimed: 0,
        }
    }

    /// This namespace is traced already.
    pub fn ours(&mut self, pidns: PidNs, pid1: Option<ProcessKey>) {
        self.spaces.insert(pidns, Space::Ours(pid1));
    }

    /// The container of this name is there.
    pub fn found(&mut self, text: &str) {
        for wanted in self.wanted.iter_mut().filter(|one| one.text == text) {
            wanted.found = true;
        }
    }

    /// Every name has been found once.
    pub fn all_found(&self) -> bool {
        self.wanted.iter().all(|wanted| wanted.found)
    }

    /// Events of namespaces that were given up, which may have been wanted.
    pub fn unclaimed(&self) -> u64 {
        self.unclaimed
    }

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
            Fact::Deliver { task, .. }
            | Fact::Dequeue { task, .. }
            | Fact::Exec { task, .. }
            | Fact::Placed { task, .. }
            | Fact::Exit { task, .. }
            | Fact::DoExit { task, .. }
            | Fact::GroupExit { task, .. }
            | Fact::ZapPidNs { task, .. } => self.place(task),
            Fact::Oom(oom) => self.place(&oom.victim),
            Fact::Reap { key, .. } => self.reaped(*key),
            _ => Place::Ours,
        };
        match place {
            Place::Ours | Place::Elsewhere => Some(fact),
            Place::Other => None,
            Place::Held(ns) => {
                self.keep(ns, time, fact);
                None
            }
        }
    }

    fn place(&self, task: &Task) -> Place {
        if self.filter.names_alone(task) {
            return Place::Ours;
        }
        let mut place = Place::Elsewhere;
        // Outermost first, so that the innermost counts, where none is traced.
        for &ns in &task.namespaces {
            match self.spaces.get(&ns) {
                Some(Space::Ours(_)) => return Place::Ours,
                Some(Space::Held(_)) => place = Place::Held(ns),
                Some(Space::Other) => place = Place::Other,
                None => {}
            }
        }
        place
    }

    /// The first process of a namespace that is not inside another new one.
    fn born(&mut self, child: &Task) {
        let Some(ns) = child.pidns().filter(|_| child.is_pid1()) else {
            return;
        };
        let outer = child.namespaces.iter().filter(|&&outer| outer != ns);
        let inside = outer
            .filter_map(|outer| self.spaces.get(outer))
            .any(|space| {
                matches!(space, Space::Ours(_))
                    || matches!(space, Space::Held(held) if held.id.is_none())
            });
        let known =
            matches!(self.spaces.get(&ns), Some(Space::Ours(Some(key))) if same(*key, child.key));
        if inside || known {
            return;
        }
        self.give_up(ns);
        self.spaces.insert(
            ns,
            Space::Held(Box::new(Held {
                pid1: child.clone(),
                id: None,
                facts: Vec::new(),
                keys: HashSet::new(),
                dropped: 0,
                over: false,
            })),
        );
        self.waiting.push_back(ns);
    }

    fn reaped(&mut self, key: ProcessKey) -> Place {
        let over = |space: &Space| matches!(space, Space::Ours(Some(pid1)) if same(*pid1, key));
        if let Some(space) = self.spaces.values_mut().find(|space| over(space)) {
            // What comes with its inode from here on is another's.
            *space = Space::Other;
            return Place::Ours;
        }
        for (&ns, space) in &mut self.spaces {
            match space {
                Space::Held(held) if held.keys.contains(&key) => {
                    held.over |= held.pid1.key == key;
                    return Place::Held(ns);
                }
                _ => {}
            }
        }
        Place::Elsewhere
    }

    fn keep(&mut self, ns: PidNs, time: BootTime, fact: Fact) {
        let Some(Space::Held(held)) = self.spaces.get_mut(&ns) else {
            return;
        };
        if let Fact::Fork { child, .. } = &fact {
            if held.keys.len() < KEPT {
                held.keys.insert(child.key);
            }
        }
        if held.facts.len() >= KEPT {
            held.dropped += 1;
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
    fn give_up(&mut self, ns: PidNs) {
        self.waiting.retain(|&waiting| waiting != ns);
        if let Some(Space::Held(held)) = self.spaces.insert(ns, Space::Other) {
            self.kept -= held.facts.len();
            // Whoever makes a namespace without being a container's engine is no
            // loss, as long as nobody is waited for.
            if held.id.is_some() || !self.all_found() {
                self.unclaimed += held.facts.len() as u64 + held.dropped;
            }
        }
    }

    /// Which container the cgroup of a namespace's PID 1 belongs to. Whether that
    /// is one that is waited for may become known by it.
    pub fn placed(
        &mut self,
        pid1: ProcessKey,
        container: Option<(String, Option<&'static str>)>,
    ) -> Option<Claim> {
        let is = |space: &Space| matches!(space, Space::Held(held) if held.pid1.key == pid1);
        let (&ns, space) = self.spaces.iter_mut().find(|(_, space)| is(space))?;
        if let Space::Held(held) = space {
            held.id = container.or(held.id.take());
        }
        self.settle(ns)
    }

    /// An engine tells a name.
    pub fn named(&mut self, name: Name) -> Vec<Claim> {
        let id = name.id.clone();
        if self.names.insert(id.clone(), name).is_none() {
            self.names_by_age.push_back(id.clone());
        }
        if self.names_by_age.len() > NAMES {
            if let Some(old) = self.names_by_age.pop_front() {
                self.names.remove(&old);
            }
        }
        let is = |space: &Space| matches!(space, Space::Held(held) if held.id.as_ref().is_some_and(|(of, _)| *of == id));
        let all = self.spaces.iter().filter(|(_, space)| is(space));
        let all: Vec<PidNs> = all.map(|(&ns, _)| ns).collect();
        all.into_iter().filter_map(|ns| self.settle(ns)).collect()
    }

    /// An engine tells of a container that is not traced yet.
    pub fn told(&mut self, told: Told) {
        self.told.push_back(told);
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
    }

    fn settle(&mut self, ns: PidNs) -> Option<Claim> {
        let Some(Space::Held(held)) = self.spaces.get(&ns) else {
            return None;
        };
        let (id, engine) = held.id.clone()?;
        let name = self.names.get(&id);
        let fits = |one: &Wanted| fit(&one.text, &id, name.map(|name| name.name.as_str()));
        let best: Option<Fit> = self.wanted.iter().filter_map(fits).max();
        if best.is_none() {
            // Without a name it may still be the one.
            if name.is_some() || !self.engines {
                self.forget(ns);
            }
            return None;
        }
        let again = |one: &Wanted| !(self.once && one.found);
        if !self
            .wanted
            .iter()
            .any(|one| fits(one).is_some() && again(one))
        {
            self.forget(ns);
            return None;
        }
        let (name, socket) = name.cloned().map(|one| (one.name, one.socket)).unzip();
        for wanted in &mut self.wanted {
            wanted.found |= fit(&wanted.text, &id, name.as_deref()).is_some();
        }
        let held = self.forget(ns)?;
        let after = if held.over {
            Space::Other
        } else {
            Space::Ours(Some(held.pid1.key))
        };
        self.spaces.insert(ns, after);
        let (of_it, other) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|told| told.container == id);
        self.told = other;
        Some(Claim {
            container: Container {
                id,
                name,
                engine: engine.map(str::to_owned),
                pidns: ns,
                shares: None,
                pid: Some(held.pid1.key.pid),
                socket,
                stop_signal: None,
                stop_timeout_s: None,
            },
            pid1: held.pid1,
            facts: held.facts,
            dropped: held.dropped,
            told: VecDeque::into(of_it),
        })
    }

    /// It is another container's.
    fn forget(&mut self, ns: PidNs) -> Option<Box<Held>> {
        self.waiting.retain(|&waiting| waiting != ns);
        match self.spaces.insert(ns, Space::Other) {
            Some(Space::Held(held)) => {
                self.kept -= held.facts.len();
                Some(held)
            }
            _ => None,
        }
    }

    /// What has waited long enough is given up.
    pub fn expire(&mut self, now: BootTime) {
        while let Some(&oldest) = self.waiting.front() {
            let Some(Space::Held(held)) = self.spaces.get(&oldest) else {
                self.waiting.pop_front();
                continue;
            };
            let age = now.0.saturating_sub(held.pid1.key.start_ns);
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

/// The same process, where one of the starts may be rounded.
fn same(known: ProcessKey, other: ProcessKey) -> bool {
    let start = known.start_ns == other.start_ns || same_start(known.start_ns, other.start_ns);
    known.pid == other.pid && start
}
