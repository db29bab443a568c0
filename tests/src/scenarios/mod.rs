//! The scenarios. Most share one sigtrace, each with a namespace of its own
//! ([`Shared`]); those that need flags or a moment of their own start their own
//! ([`Own`]). `run` plays them.

mod bad_input;
mod configurations;
mod crashes;
mod deaths;
mod debuggers;
mod dumping;
mod elsewhere;
mod faults;
mod filters;
mod forks;
mod forwarding;
mod held;
mod host;
mod inits;
mod itself;
mod job_control;
mod kernel_kills;
mod late;
mod loss;
mod masses;
mod memory;
mod oops;
mod open;
mod overload;
mod path;
mod picture;
mod processes;
mod rare_kills;
mod rarest_kills;
mod refused;
mod relays;
mod shared;
mod signals;
mod starts;
mod starved;
mod stress;
mod terminals;
mod text;
mod threads;
mod throttled;
mod unread;

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result};

use crate::judge::{Judge, Place, Seen, Table};
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns, Person};
use crate::stage::sigtrace::{Ended, Sigtrace};

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// How it is played.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Shared(Shared),
    Own(Own),
    /// As `Own`, and so little a matter of the kernel that some boots are enough
    /// ([`Turn`]). What it claims does not count for the page of proofs.
    TakesTurns(Own),
}

/// Of the scenarios that take turns every `of`-th, from this one on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) number: usize,
    pub(crate) of: usize,
}

impl FromStr for Turn {
    type Err = String;

    /// `2/4`; numbers begin with 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, of) = text.split_once('/').ok_or("as in 2/4")?;
        let parse = |text: &str| text.parse::<usize>().map_err(|error| error.to_string());
        let turn = Self {
            number: parse(number)?,
            of: parse(of)?,
        };
        if turn.number < turn.of {
            Ok(turn)
        } else {
            Err(format!(
                "turns begin with 0: {} is the last",
                turn.of.saturating_sub(1)
            ))
        }
    }
}

/// Set before sigtrace is attached, acted while it is, judged after it has ended.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    pub(crate) set: fn(&Host) -> Result<Set>,
    /// Has to end with the end of the namespace.
    pub(crate) act: fn(&mut Scene, &Sigtrace) -> Result<()>,
    pub(crate) judge: fn(&Scene, &mut Judge<'_>),
}

/// Does everything itself.
pub(crate) type Own = fn(&Stage<'_>) -> Result<Outcome>;

/// What a scenario of its own has to do with.
pub(crate) struct Stage<'a> {
    pub(crate) name: &'static str,
    pub(crate) host: &'a Host,
    pub(crate) table: &'a Table,
    /// What can be known on this kernel.
    pub(crate) place: &'a Place,
}

impl Stage<'_> {
    /// Judges the JSON of a run of its own.
    fn judged(
        &self,
        ended: &Ended,
        inodes: &[u32],
        check: impl FnOnce(&Seen, &mut Judge<'_>),
    ) -> Outcome {
        let seen = Seen::read(&ended.lines);
        let mut judge = Judge::new(
            self.name,
            self.table,
            self.place,
            seen.of_namespaces(inodes),
        );
        for fault in &seen.faults {
            judge.fault(fault);
        }
        check(&seen, &mut judge);
        judge.table_is_met();
        Outcome::of(judge.faults, &ended.lines)
    }
}

/// What came of it.
pub(crate) enum Outcome {
    Passed,
    /// It cannot be played here.
    Skipped(String),
    /// What was wrong, and what was seen.
    Failed(Vec<String>, Vec<String>),
}

impl Outcome {
    /// By its faults, if any.
    pub(crate) fn of(faults: Vec<String>, seen: &[String]) -> Self {
        if faults.is_empty() {
            Self::Passed
        } else {
            Self::Failed(faults, seen.to_vec())
        }
    }
}

/// Whether the stage could be set.
pub(crate) enum Set {
    Ready(Scene),
    Skip(String),
}

/// A namespace and who is who in it.
pub(crate) struct Scene {
    pub(crate) ns: Ns,
    /// Namespaces nested in it.
    pub(crate) nested: Vec<u32>,
    people: BTreeMap<&'static str, Person>,
    /// Many of the same role.
    pub(crate) crowd: Vec<Person>,
}

impl Scene {
    pub(crate) fn new(ns: Ns) -> Self {
        Self {
            ns,
            nested: Vec::new(),
            people: BTreeMap::new(),
            crowd: Vec::new(),
        }
    }

    /// With our keeper as PID 1, who starts the others.
    pub(crate) fn kept() -> Result<Self> {
        Ns::new(&["keeper"]).map(Self::new)
    }

    /// The pid of PID 1 on the host.
    pub(crate) fn pid1(&self) -> u32 {
        self.ns.pid1.pid
    }

    /// Remembers somebody.
    pub(crate) fn remember(&mut self, name: &'static str, person: Person) {
        self.people.insert(name, person);
    }

    /// Remembers a process that is not inside.
    pub(crate) fn remember_outsider(&mut self, name: &'static str, pid: u32) {
        self.remember(
            name,
            Person {
                host: pid,
                inside: 0,
            },
        );
    }

    /// The keeper starts somebody.
    pub(crate) fn spawn(&mut self, role: &'static str, words: &str) -> Result<Person> {
        let person = self.ns.spawn(role, words)?;
        self.remember(role, person);
        Ok(person)
    }

    /// Somebody's pid on the host; 0, which nobody has, if the scene broke off
    /// before they came.
    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.people.get(name).map_or(0, |person| person.host)
    }

    /// Ends the scene: SIGKILL to PID 1 from outside. `Judge::cleared` expects it.
    pub(crate) fn clear(&self) -> Result<()> {
        ns::kill(self.pid1(), nix::sys::signal::Signal::SIGKILL)?;
        self.ns.pid1.wait().map(drop)
    }

    /// All namespaces that belong to it.
    pub(crate) fn inodes(&self) -> Vec<u32> {
        let mut inodes = self.nested.clone();
        inodes.push(self.ns.ino);
        inodes
    }

    /// Tells the judge who is who.
    pub(crate) fn introduce(&self, judge: &mut Judge<'_>) {
        judge.call(self.pid1(), "PID 1");
        for (name, person) in &self.people {
            judge.call(person.host, name);
        }
    }
}

/// The pid of the play itself, which sends signals from outside.
pub(crate) fn play() -> u32 {
    std::process::id()
}

/// All of them, in the order in which they are played.
pub(crate) fn all() -> Vec<Scenario> {
    let groups = [
        picture::scenarios(),
        inits::scenarios(),
        forwarding::scenarios(),
        relays::scenarios(),
        signals::scenarios(),
        refused::scenarios(),
        forks::scenarios(),
        held::scenarios(),
        throttled::scenarios(),
        starved::scenarios(),
        job_control::scenarios(),
        deaths::scenarios(),
        debuggers::scenarios(),
        kernel_kills::scenarios(),
        rare_kills::scenarios(),
        rarest_kills::scenarios(),
        terminals::scenarios(),
        dumping::scenarios(),
        faults::scenarios(),
        crashes::scenarios(),
        memory::scenarios(),
        processes::scenarios(),
        threads::scenarios(),
        text::scenarios(),
        host::scenarios(),
        path::scenarios(),
        late::scenarios(),
        starts::scenarios(),
        shared::scenarios(),
        elsewhere::scenarios(),
        filters::scenarios(),
        loss::scenarios(),
        overload::scenarios(),
        masses::scenarios(),
        stress::scenarios(),
        open::scenarios(),
        bad_input::scenarios(),
        itself::scenarios(),
        unread::scenarios(),
        configurations::scenarios(),
        oops::scenarios(),
    ];
    groups.into_iter().flatten().collect()
}

/// One that shares the sigtrace.
fn shared(
    name: &'static str,
    set: fn(&Host) -> Result<Set>,
    act: fn(&mut Scene, &Sigtrace) -> Result<()>,
    judge: fn(&Scene, &mut Judge<'_>),
) -> Scenario {
    Scenario {
        name,
        kind: Kind::Shared(Shared { set, act, judge }),
    }
}

/// One that has its own.
fn own(name: &'static str, play: Own) -> Scenario {
    Scenario {
        name,
        kind: Kind::Own(play),
    }
}

/// One that has its own, in some boots alone.
fn takes_turns(name: &'static str, play: Own) -> Scenario {
    Scenario {
        name,
        kind: Kind::TakesTurns(play),
    }
}

/// A scene that only needs a keeper.
fn kept(_: &Host) -> Result<Set> {
    Scene::kept().map(Set::Ready)
}

/// `sh -c 'kill -SIGNAL PID'` from outside; the shell's pid, which sends it.
fn shell_kill(signal: &str, pid: u32) -> Result<u32> {
    let shell = crate::stage::host::program("sh").context("no sh on the PATH")?;
    let mut shell = std::process::Command::new(shell)
        .args(["-c", &format!("kill -{signal} {pid}")])
        .stdin(std::process::Stdio::null())
        .spawn()
        .context("cannot start sh")?;
    let pid = shell.id();
    shell.wait().context("waiting for sh")?;
    Ok(pid)
}
