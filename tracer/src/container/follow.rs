//! Containers that start while a trace runs. The kernel side tells what happens
//! in every PID namespace that is made, and in every cgroup that is and may be a
//! container's; whose it is becomes known later: the id from the cgroup's name once
//! it runs its program, the name from its engine's events. Until then what is told is
//! kept here, bounded, and after that it is handed on whole ([`Claim`]) or forgotten.
//! Pure: looks nowhere and has no clock.
//!
//! A container has a PID namespace of its own, or shares one and is held by its
//! cgroup. Which of them is not known at first, because its runtime is in the cgroup
//! before the PID 1 is: a cgroup in which a program runs and no PID 1 of a new
//! namespace within [`ALONE_NS`] is a container itself.
//!
//! The kernel gives the inode of a namespace again once that has ended. A
//! namespace here begins with the fork of its PID 1 and ends when that is reaped;
//! nothing of another one with the same inode comes in between.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::PathBuf,
};

use sigtrace_common::filter::CGROUP_V1;

use super::{
    events::Told,
    resolve::{fit, Fit},
    Container, Hierarchy, Shared, Shares,
};
use crate::{
    event::{
        BootTime, CgroupId, Fact, Home, Like, LikeFork, Outcome, PidNs, ProcessKey, Signal, Task,
        HOST_PIDNS,
    },
    explain::runtime::is_runtime,
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
/// How long the PID 1 of a new namespace may take to come into a cgroup in which
/// somebody runs a program that is no runtime's.
pub const ALONE_NS: u64 = 1_000_000_000;
/// Kinds of signals whose place is remembered.
const LIKES: usize = 4096;
/// New cgroups that are told apart at a time.
const CGROUPS: usize = 8192;
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
    pub first: Task,
    /// What its cgroup is called, where that holds it.
    pub cgroup: String,
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
    /// The PID 1 of the namespace; of a cgroup whoever was seen first.
    first: Task,
    id: Option<(String, Option<&'static str>)>,
    /// The cgroup's name, and since when a program runs in it.
    cgroup: String,
    runs: Option<BootTime>,
    /// It is a container itself.
    ripe: bool,
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
    Held(Home),
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
    spaces: HashMap<Home, Space>,
    /// Cgroups among them, the oldest first.
    cgroups: VecDeque<Home>,
    /// In which cgroup the PID 1 of a namespace runs its program.
    cgroup_of: HashMap<PidNs, CgroupId>,
    /// Those that are held, the oldest first.
    waiting: VecDeque<Home>,
    kept: usize,
    told: VecDeque<Told>,
    unclaimed: u64,
    /// Where signals of a kind belong that may be counted later.
    likes: HashMap<Like, Place>,
    like_forks: HashMap<LikeFork, Place>,
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
            cgroups: VecDeque::new(),
            cgroup_of: HashMap::new(),
            waiting: VecDeque::new(),
            kept: 0,
            told: VecDeque::new(),
            unclaimed: 0,
            likes: HashMap::new(),
            like_forks: HashMap::new(),
        }
    }

    /// This namespace is traced already.
    pub fn ours(&mut self, pidns: PidNs, pid1: Option<ProcessKey>) {
        self.spaces.insert(Home::PidNs(pidns), Space::Ours(pid1));
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

    /// Those of which an engine has told, and which were not found.
    pub fn named_and_missing(&self) -> Vec<&str> {
        let told = |one: &&Wanted| {
            let mut names = self.names.values();
            names.any(|name| fit(&one.text, &name.id, Some(&name.name)).is_some())
        };
        let missing = self.wanted.iter().filter(|one| !one.found);
        missing.filter(told).map(|one| &*one.text).collect()
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
                self.remember_fork(LikeFork::of(fork), place);
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
            if self.likes.len() >= LIKES {
                self.likes.clear();
            }
            self.likes.insert(Like::of(signal), place);
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
    fn place_of_pidns(&self, ns: PidNs) -> Place {
        let home = Home::PidNs(ns);
        match self.spaces.get(&home) {
            Some(Space::Ours(_)) => Place::Ours,
            Some(Space::Held(_)) => Place::Held(home),
            Some(Space::Other) => Place::Other,
            None => Place::Elsewhere,
        }
    }

    fn remember_fork(&mut self, like: LikeFork, place: Place) {
        if self.like_forks.len() >= LIKES {
            self.like_forks.clear();
        }
        self.like_forks.insert(like, place);
    }

    /// A place that was known then, as it is now.
    fn now(&self, then: Option<&Place>) -> Place {
        match then {
            Some(Place::Held(home)) => match self.spaces.get(home) {
                Some(Space::Held(_)) => Place::Held(*home),
                Some(Space::Other) => Place::Other,
                _ => Place::Ours,
            },
            Some(place) => *place,
            None => Place::Ours,
        }
    }

    fn place(&mut self, task: &Task) -> Place {
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
    fn place_by_cgroup(&mut self, task: &Task, home: Home) -> Place {
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

    fn hold(&mut self, home: Home, first: &Task) {
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
    fn born(&mut self, child: &Task) {
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
    fn is_in_ripe(&self, child: &Task) -> bool {
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

    fn reaped(&mut self, key: ProcessKey) -> Place {
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

    fn keep(&mut self, home: Home, time: BootTime, fact: Fact) {
        let Some(Space::Held(held)) = self.spaces.get_mut(&home) else {
            return;
        };
        if let Fact::Fork { child: task, .. } | Fact::Exec { task, .. } = &fact {
            if held.keys.len() < KEPT {
                held.keys.insert(task.key);
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
    fn give_up(&mut self, home: Home) {
        self.waiting.retain(|&waiting| waiting != home);
        if let Some(Space::Held(held)) = self.spaces.insert(home, Space::Other) {
            self.kept -= held.facts.len();
            // Whoever makes a namespace without being a container's engine is no
            // loss, as long as nobody is waited for.
            if held.id.is_some() || !self.all_found() {
                self.unclaimed += held.facts.len() as u64 + held.dropped;
            }
        }
    }

    /// Somebody runs a program: which container the cgroup belongs to, by its name.
    /// Whether that is one that is waited for may become known by it. `runtime`: it
    /// is one, on its way into the container.
    pub fn placed(
        &mut self,
        time: BootTime,
        task: &Task,
        runtime: bool,
        cgroup: &str,
        container: Option<(String, Option<&'static str>)>,
    ) -> Option<Claim> {
        let own = task.pidns().filter(|_| task.is_pid1()).map(Home::PidNs);
        let is_held = |home: &Home| matches!(self.spaces.get(home), Some(Space::Held(held)) if held.first.key == task.key);
        let own = own.filter(is_held);
        if let (Some(inner), Some(id)) = (own, task.cgroup) {
            if self.made_inside(Home::Cgroup(id), task) {
                self.merge(inner, Home::Cgroup(id));
                return None;
            }
        }
        if let Some(home) = own {
            if let (Home::PidNs(ns), Some(id)) = (home, task.cgroup) {
                self.cgroup_of.insert(ns, id);
                // What was seen in it is its runtime's.
                self.forget(Home::Cgroup(id));
            }
            if let Some(Space::Held(held)) = self.spaces.get_mut(&home) {
                held.id = container.or(held.id.take());
            }
            return self.settle(home);
        }
        let home = Home::Cgroup(task.cgroup?);
        if let Some(Space::Held(held)) = self.spaces.get_mut(&home) {
            held.id = container.or(held.id.take());
            cgroup.clone_into(&mut held.cgroup);
            if !runtime {
                held.runs.get_or_insert(time);
            }
        }
        self.settle(home)
    }

    /// Whether a PID 1 is the child of a program that runs in this cgroup: it was not
    /// a runtime that made its namespace.
    fn made_inside(&self, cgroup: Home, pid1: &Task) -> bool {
        let Some(Space::Held(held)) = self.spaces.get(&cgroup) else {
            return false;
        };
        let is_parent =
            |fact: &Fact| matches!(fact, Fact::Exec { task, .. } if task.key.pid == pid1.ppid);
        held.facts.iter().any(|(_, fact)| is_parent(fact))
    }

    /// A namespace is part of what its cgroup holds.
    fn merge(&mut self, namespace: Home, cgroup: Home) {
        self.waiting.retain(|&waiting| waiting != namespace);
        let Some(Space::Held(inner)) = self.spaces.remove(&namespace) else {
            return;
        };
        if let Some(Space::Held(held)) = self.spaces.get_mut(&cgroup) {
            held.facts.extend(inner.facts);
            held.keys.extend(inner.keys);
            held.dropped += inner.dropped;
        }
    }

    /// Cgroups in which a program runs for a while and no PID 1 came.
    pub fn ripen(&mut self, now: BootTime) -> Vec<Claim> {
        let mut ripe = Vec::new();
        for (&home, space) in &mut self.spaces {
            if let Space::Held(held) = space {
                let since = held.runs.filter(|_| !held.ripe);
                if since.is_some_and(|since| now.0.saturating_sub(since.0) >= ALONE_NS) {
                    held.ripe = true;
                    ripe.push(home);
                }
            }
        }
        let claims = ripe.into_iter().filter_map(|home| self.settle(home));
        claims.collect()
    }

    /// What a container is called, where its engine has told.
    pub fn name_of(&self, id: &str) -> Option<&str> {
        self.names.get(id).map(|name| name.name.as_str())
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
        let all: Vec<Home> = all.map(|(&home, _)| home).collect();
        let claims = all.into_iter().filter_map(|home| self.settle(home));
        claims.collect()
    }

    /// An engine tells of a container that is not traced yet.
    pub fn told(&mut self, told: Told) {
        self.told.push_back(told);
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
    }

    fn settle(&mut self, home: Home) -> Option<Claim> {
        let Some(Space::Held(held)) = self.spaces.get(&home) else {
            return None;
        };
        let ripe = held.ripe;
        let (id, engine) = held.id.clone()?;
        let name = self.names.get(&id);
        let fits = |one: &Wanted| fit(&one.text, &id, name.map(|name| name.name.as_str()));
        let best: Option<Fit> = self.wanted.iter().filter_map(fits).max();
        if best.is_none() {
            // Without a name it may still be the one.
            if name.is_some() || !self.engines {
                self.forget(home);
            }
            return None;
        }
        let again = |one: &Wanted| !(self.once && one.found);
        if !self
            .wanted
            .iter()
            .any(|one| fits(one).is_some() && again(one))
        {
            self.forget(home);
            return None;
        }
        if !ripe {
            return None;
        }
        let (name, socket) = name.cloned().map(|one| (one.name, one.socket)).unzip();
        for wanted in &mut self.wanted {
            wanted.found |= fit(&wanted.text, &id, name.as_deref()).is_some();
        }
        let held = self.forget(home)?;
        let first = match home {
            Home::PidNs(_) => held.first,
            Home::Cgroup(_) => first_of(&held),
        };
        let after = if held.over && matches!(home, Home::PidNs(_)) {
            Space::Other
        } else {
            // Of a cgroup nothing comes after its end.
            let pid1 = matches!(home, Home::PidNs(_)).then_some(first.key);
            Space::Ours(pid1)
        };
        self.spaces.insert(home, after);
        let (of_it, other) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|told| told.container == id);
        self.told = other;
        let (pidns, shares) = match home {
            Home::PidNs(ns) => (ns, None),
            Home::Cgroup(cgroup) => {
                let shares = Shares {
                    with: match first.pidns() {
                        None => Shared::Host,
                        Some(_) => Shared::Container("another container".to_owned()),
                    },
                    cgroup: PathBuf::from(&held.cgroup),
                    hierarchy: match cgroup & CGROUP_V1 {
                        0 => Hierarchy::Unified,
                        _ => Hierarchy::Pids,
                    },
                    id: cgroup,
                    first: Some((first.key, first.comm.to_string())),
                };
                (first.pidns().unwrap_or(HOST_PIDNS), Some(shares))
            }
        };
        Some(Claim {
            container: Container {
                id,
                name,
                engine: engine.map(str::to_owned),
                pidns,
                shares,
                pid: Some(first.key.pid),
                socket,
                stop_signal: None,
                stop_timeout_s: None,
            },
            first,
            cgroup: held.cgroup,
            facts: held.facts,
            dropped: held.dropped,
            told: VecDeque::into(of_it),
        })
    }

    /// It is another container's.
    fn forget(&mut self, home: Home) -> Option<Box<Held>> {
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

/// The first process of a container that is held by its cgroup: of those that ran a
/// program in it, the first that is there still, or that ended last. A runtime is in it
/// too, and gone when the container runs.
fn first_of(held: &Held) -> Task {
    let ended: Vec<ProcessKey> = (held.facts.iter())
        .filter_map(|(_, fact)| match fact {
            Fact::Exit { task, .. } => Some(task.key),
            _ => None,
        })
        .collect();
    let runs = held.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::Exec { task, .. } if !is_runtime(task.comm, None) => Some(task),
        _ => None,
    });
    let end = |task: &Task| ended.iter().position(|key| *key == task.key);
    let last = |task: &&Task| end(task).unwrap_or(usize::MAX);
    // Of those that are there the first, and that is the last among equal ones.
    let all: Vec<&Task> = runs.collect();
    let first = all.into_iter().rev().max_by_key(last);
    let mut first = first.unwrap_or(&held.first).clone();
    // A program's name is set after its first steps.
    for (_, fact) in &held.facts {
        match fact {
            Fact::Placed { task, .. } | Fact::Exit { task, .. } if task.key == first.key => {
                first.comm = task.comm;
            }
            Fact::Fork { parent: task, .. } if task.key == first.key => first.comm = task.comm,
            _ => {}
        }
    }
    first
}

/// The same process, where one of the starts may be rounded.
fn same(known: ProcessKey, other: ProcessKey) -> bool {
    let start = known.start_ns == other.start_ns || same_start(known.start_ns, other.start_ns);
    known.pid == other.pid && start
}
