//! Scenarios with real container engines, on machines that are nothing but a
//! stage for them (`cargo xtask vm --engine`). Most share one sigtrace, each with
//! a container of its own in each engine; those that need a sigtrace of their own
//! or disturb the engine come after them ([`Kind::Own`]). `run` plays them.

mod following;
mod lessons;
mod many;
mod names;
mod pods;
pub(crate) mod run;
mod shared;
mod sidecar;
mod stops;
mod trouble;

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::judge::{Judge, Place, Seen, Table};
use crate::scenarios::Outcome;
use crate::stage::engine::{Container, Engine};
use crate::stage::host::Host;
use crate::stage::sigtrace::Ended;

/// Images of the labs, which are there before the play begins.
pub(crate) const FWD_SIG: &str = "registry/fwd_sig:v1";
pub(crate) const SIG_PROC: &str = "registry/sig-proc:v1";

/// One scenario, which is played in each engine.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// In which engines.
    pub(crate) on: fn(&Engine) -> bool,
    /// Among the few that are played on every change.
    pub(crate) core: bool,
}

/// How much is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    /// Only the scenarios that are played on every change.
    pub(crate) core: bool,
    /// How many containers are many.
    pub(crate) many: usize,
    /// How many short containers are waited for.
    pub(crate) short: usize,
}

/// How it is played.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Shared(Shared),
    Own(Own),
}

/// Set before sigtrace is attached, acted while it is, judged after it has ended.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    /// Starts a container with this name.
    pub(crate) set: fn(&Engine, &str) -> Result<Scene>,
    /// Has to end with the end of the container.
    pub(crate) act: fn(&Scene) -> Result<()>,
    pub(crate) judge: fn(&Scene, &mut Judge<'_>),
}

/// Does everything itself.
pub(crate) type Own = fn(&Stage<'_>) -> Result<Outcome>;

/// What a scenario of its own has to do with.
pub(crate) struct Stage<'a> {
    /// With the engine's, so that it is a name for a container too.
    pub(crate) name: &'a str,
    pub(crate) engine: &'a Engine,
    pub(crate) host: &'a Host,
    pub(crate) table: &'a Table,
    pub(crate) place: &'a Place,
    pub(crate) amount: Amount,
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
        let events = seen.of_namespaces(inodes);
        let mut judge = Judge::new(self.name, self.table, self.place, events);
        for fault in &seen.faults {
            judge.fault(fault);
        }
        check(&seen, &mut judge);
        judge.table_is_met();
        Outcome::of(judge.faults, &ended.lines)
    }
}

/// A container and who is who in it, by pids on the host.
pub(crate) struct Scene {
    pub(crate) engine: Engine,
    pub(crate) container: Container,
    people: BTreeMap<&'static str, u32>,
}

impl Scene {
    fn new(engine: &Engine, container: Container) -> Self {
        Self {
            engine: *engine,
            container,
            people: BTreeMap::new(),
        }
    }

    fn pid1(&self) -> u32 {
        self.container.pid1
    }

    fn remember(&mut self, name: &'static str, pid: u32) {
        self.people.insert(name, pid);
    }

    fn pid(&self, name: &str) -> u32 {
        self.people.get(name).copied().unwrap_or(0)
    }

    /// `docker WORDS NAME`.
    fn say(&self, words: &[&str]) -> Result<()> {
        let words = [words, &[self.container.name.as_str()]].concat();
        self.engine.say(&words).map(drop)
    }

    /// `docker exec NAME WORDS`. Its status is not looked at: where the container
    /// ends by it, engines tell different ones.
    fn exec(&self, words: &[&str]) -> Result<()> {
        let words = [&["exec", self.container.name.as_str()], words].concat();
        let output = self.engine.try_say(&words)?;
        println!(
            "{words:?}: {}, {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Tells the judge who is who.
    fn introduce(&self, judge: &mut Judge<'_>) {
        judge.call(self.pid1(), "PID 1");
        for (name, pid) in &self.people {
            judge.call(*pid, name);
        }
    }
}

/// All of them, in the order in which they are played.
pub(crate) fn all() -> Vec<Scenario> {
    let groups = [
        lessons::scenarios(),
        stops::scenarios(),
        names::scenarios(),
        trouble::scenarios(),
        many::scenarios(),
        following::scenarios(),
        shared::scenarios(),
        sidecar::scenarios(),
        pods::scenarios(),
    ];
    groups.into_iter().flatten().collect()
}

fn shared(
    name: &'static str,
    set: fn(&Engine, &str) -> Result<Scene>,
    act: fn(&Scene) -> Result<()>,
    judge: fn(&Scene, &mut Judge<'_>),
) -> Scenario {
    Scenario {
        name,
        kind: Kind::Shared(Shared { set, act, judge }),
        on: |engine| !engine.in_part,
        core: false,
    }
}

fn own(name: &'static str, play: Own) -> Scenario {
    Scenario {
        name,
        kind: Kind::Own(play),
        on: |engine| !engine.in_part,
        core: false,
    }
}

/// One that shows how signals come to a container, so that each engine plays it.
fn everywhere(mut scenario: Scenario) -> Scenario {
    scenario.on = |_| true;
    scenario
}

/// One that is played on every change too.
fn core(mut scenario: Scenario) -> Scenario {
    scenario.core = true;
    scenario
}

/// One that is about Docker's own way.
fn of_docker(name: &'static str, play: Own) -> Scenario {
    Scenario {
        on: |engine| engine.kind == "docker",
        ..own(name, play)
    }
}

/// `c-init-sig` of the lesson with these words and so many children, ready.
fn fwd_sig(engine: &Engine, name: &str, words: &[&str], children: usize) -> Result<Scene> {
    let words = [&[FWD_SIG, "/c-init-sig"], words].concat();
    let container = engine.start(name, &[], &words)?;
    let mut scene = Scene::new(engine, container);
    let pids = Container::wait_children(scene.pid1(), children)?;
    Container::wait_handler(scene.pid1(), nix::sys::signal::Signal::SIGTERM)?;
    if let Some(&child) = pids.first() {
        scene.remember("the child", child);
    }
    Ok(scene)
}

/// Which engines these names mean.
pub(crate) fn engines(names: &[String]) -> Result<Vec<Engine>> {
    names
        .iter()
        .map(|name| {
            let all = crate::stage::engine::ALL;
            let engine = all.iter().find(|engine| engine.name == name);
            engine
                .copied()
                .with_context(|| format!("no engine {name} is known here"))
        })
        .collect()
}
