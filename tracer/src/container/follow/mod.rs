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

mod claims;
mod keeping;
mod places;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
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
    likes: Likes<Like>,
    like_forks: Likes<LikeFork>,
}

/// Where something of a kind was, and of what was held then who was first in it: its inode
/// may be another's by the time that the rest of the kind is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Then {
    place: Place,
    first: Option<ProcessKey>,
}

/// By kind; of too many the oldest is forgotten.
#[derive(Debug)]
struct Likes<Kind> {
    then: HashMap<Kind, Then>,
    by_age: VecDeque<Kind>,
}

impl<Kind: Copy + Eq + Hash> Likes<Kind> {
    fn new() -> Self {
        Self {
            then: HashMap::new(),
            by_age: VecDeque::new(),
        }
    }

    fn put(&mut self, kind: Kind, then: Then) {
        if self.then.insert(kind, then).is_some() {
            return;
        }
        self.by_age.push_back(kind);
        if self.by_age.len() > LIKES {
            if let Some(oldest) = self.by_age.pop_front() {
                self.then.remove(&oldest);
            }
        }
    }

    fn get(&self, kind: &Kind) -> Option<Then> {
        self.then.get(kind).copied()
    }

    /// What was in one place is in another now.
    fn moved(&mut self, from: Then, to: Then) {
        for then in self.then.values_mut().filter(|then| **then == from) {
            *then = to;
        }
    }
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
            likes: Likes::new(),
            like_forks: Likes::new(),
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
}

/// The same process, where one of the starts may be rounded.
fn same(known: ProcessKey, other: ProcessKey) -> bool {
    let start = known.start_ns == other.start_ns || same_start(known.start_ns, other.start_ns);
    known.pid == other.pid && start
}
