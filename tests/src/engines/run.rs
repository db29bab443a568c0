//! Plays the scenarios in each engine: sets those that share a sigtrace, traces
//! them all by their names, acts, judges; then those that have their own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{bail, Context, Result};

use super::{all, Amount, Kind, Scenario, Scene, Shared, Stage};
use crate::judge::{Judge, Place, Seen, Table};
use crate::run::{self, Tally};
use crate::scenarios::Outcome;
use crate::stage::engine::Engine;
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;

/// Containers that are started or stopped at the same time.
const AT_ONCE: usize = 3;

/// One that is set, and what came of its acting.
struct Played {
    name: String,
    shared: Shared,
    scene: Scene,
    acted: Result<()>,
}

/// `docker-picture`, which is also the container's name.
fn full_name(engine: &Engine, scenario: &Scenario) -> String {
    format!("{}-{}", engine.name, scenario.name)
}

/// All names that the table may speak of.
#[cfg(test)]
pub(crate) fn names() -> Vec<String> {
    let scenarios = all();
    let all = crate::stage::engine::ALL.iter();
    let of = |engine| {
        let played = scenarios.iter().filter(move |one| (one.on)(engine));
        played.map(move |one| full_name(engine, one))
    };
    all.flat_map(of).collect()
}

/// Plays those with these names, or all; whether all went well.
pub(crate) fn run(
    host: &Host,
    engines: &[Engine],
    names: &[String],
    amount: Amount,
) -> Result<bool> {
    let table = Table::own()?;
    let scenarios = all();
    let mut chosen = Vec::new();
    for engine in engines {
        for scenario in &scenarios {
            let full = full_name(engine, scenario);
            let wanted = |name: &String| *name == full || name == scenario.name;
            let played = (scenario.on)(engine) && (scenario.core || !amount.core);
            if played && (names.is_empty() || names.iter().any(wanted)) {
                chosen.push((full, engine, scenario));
            }
        }
    }
    if chosen.is_empty() {
        bail!("no such scenario with these engines: {}", names.join(" "));
    }
    let mut tally = Tally::default();
    let mut place = None;
    for engine in engines {
        let own = chosen.iter().filter(|(_, e, _)| e.name == engine.name);
        let shared = own.filter_map(|(name, _, scenario)| match scenario.kind {
            Kind::Shared(shared) => Some((name.clone(), shared)),
            Kind::Own(_) => None,
        });
        let shared: Vec<_> = shared.collect();
        if !shared.is_empty() {
            place = Some(play_shared(host, &table, engine, shared, &mut tally)?);
        }
    }
    for (name, engine, scenario) in &chosen {
        if let Kind::Own(play) = scenario.kind {
            let place = match &place {
                Some(place) => place,
                None => place.insert(find_place(host)?),
            };
            let begin = Instant::now();
            let stage = Stage {
                name,
                engine,
                host,
                table: &table,
                place,
                amount,
            };
            let outcome = play(&stage);
            if outcome.is_err() {
                // What it left running would be in the way of those after it.
                let _ = engine.clear(name);
            }
            println!("{name} took {:.1?}", begin.elapsed());
            tally.tell(name, outcome);
        }
    }
    tally.end(&table);
    Ok(tally.failed == 0)
}

/// What can be known here, where no shared sigtrace has shown it.
fn find_place(host: &Host) -> Result<Place> {
    let flags = ["--to-pid", "1", "-o", "json"];
    let ended = Sigtrace::attached(host, &flags)?.interrupt()?.well()?;
    Ok(run::place(host, &Seen::read(&ended.lines)))
}

fn play_shared(
    host: &Host,
    table: &Table,
    engine: &Engine,
    chosen: Vec<(String, Shared)>,
    tally: &mut Tally,
) -> Result<Place> {
    let scenes = at_once(&chosen, |(name, shared)| {
        let begin = Instant::now();
        let scene = (shared.set)(engine, name);
        println!("{name} set in {:.1?}", begin.elapsed());
        scene
    });
    let mut set = Vec::new();
    for ((name, shared), scene) in chosen.into_iter().zip(scenes) {
        match scene {
            Ok(scene) => set.push(Played {
                name,
                shared,
                scene,
                acted: Ok(()),
            }),
            Err(error) => tally.tell(&name, Err(error.context("setting the stage"))),
        }
    }
    if set.is_empty() {
        bail!("none of the containers could be started in {}", engine.name);
    }
    let begin = Instant::now();
    let names: Vec<&str> = set.iter().map(|one| one.name.as_str()).collect();
    let sigtrace = Sigtrace::of_containers(host, engine, &names, &["--all-signals"])?;
    println!("attached in {:.1?}", begin.elapsed());
    let acted = at_once(&set, |played| {
        let begin = Instant::now();
        let acted = (played.shared.act)(&played.scene);
        println!("{} acted for {:.1?}", played.name, begin.elapsed());
        if acted.is_err() {
            // The others can still be played.
            drop(played.scene.say(engine.rm));
        }
        acted
    });
    for (played, acted) in set.iter_mut().zip(acted) {
        played.acted = acted;
    }
    let ended = sigtrace
        .ended()
        .context("with every container ended, sigtrace --once has to end")?;
    let seen = Seen::read(&ended.lines);
    let place = run::place(host, &seen);
    println!("kernel {}, level {:?}", place.kernel, place.level);
    for played in set {
        judge(&played, table, &place, &seen, tally);
        // Restarted ones run again.
        drop(engine.try_say(&[engine.rm, &[&played.name]].concat())?);
    }
    let stream = run::stream(&seen, ended.status, &ended.errors);
    tally.tell(&format!("{}-stream", engine.name), Ok(stream));
    Ok(place)
}

/// Does this with each of them, several at a time: much of it is waiting.
pub(super) fn at_once<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(one) = of.get(at) else { break };
                let result = work(one);
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.push((at, result));
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|&(at, _)| at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn judge(played: &Played, table: &Table, place: &Place, seen: &Seen, tally: &mut Tally) {
    let events = seen.of_namespaces(&[played.scene.container.ino]);
    let lines: Vec<String> = events.iter().map(|event| event.now.to_string()).collect();
    let mut judge = Judge::new(&played.name, table, place, events);
    if let Err(error) = &played.acted {
        judge.fault(format!("acting: {error:#}"));
    }
    played.scene.introduce(&mut judge);
    (played.shared.judge)(&played.scene, &mut judge);
    judge.nothing_else();
    judge.table_is_met();
    tally.tell(&played.name, Ok(Outcome::of(judge.faults, &lines)));
}
