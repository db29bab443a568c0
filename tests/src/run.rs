//! Plays scenarios and tells what came of them, a line each: `PASS name`, `FAIL
//! name: why`, `SKIP name: why`, then `GRADE` lines (`judge::ledger`) and `END n`.
//! Lines before those are for whoever has to find out why.

use std::time::Instant;

use anyhow::{bail, Context, Result};

use crate::judge::table::Level;
use crate::judge::{Judge, Place, Seen, Table};
use crate::scenarios::{self, Kind, Outcome, Own, Scenario, Scene, Set, Shared, Stage, Turn};
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;

/// Faults that are shown of one scenario; with two hundred processes all are alike.
const SHOWN: usize = 12;
/// What holds for the whole stream of the shared sigtrace.
const STREAM: &str = "stream";

/// Counts and prints.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) told: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// The last lines: what was claimed, and how many scenarios there were.
    pub(crate) fn end(&self, table: &Table) {
        for line in table.ledger.lines() {
            println!("{line}");
        }
        println!("END {}", self.told);
    }

    pub(crate) fn tell(&mut self, name: &str, outcome: Result<Outcome>) {
        self.told += 1;
        match outcome {
            Ok(Outcome::Passed) => println!("PASS {name}"),
            Ok(Outcome::Skipped(why)) => println!("SKIP {name}: {why}"),
            Ok(Outcome::Failed(faults, seen)) => {
                self.failed += 1;
                for line in seen {
                    println!("seen: {line}");
                }
                for fault in faults.iter().take(SHOWN) {
                    println!("wrong: {fault}");
                }
                if faults.len() > SHOWN {
                    println!("and {} more", faults.len() - SHOWN);
                }
                let first = faults[0].lines().next().unwrap_or_default();
                let short: String = first.chars().take(1500).collect();
                println!("FAIL {name}: {short}");
            }
            Err(error) => {
                self.failed += 1;
                let text = format!("{error:#}");
                let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
                if !rest.is_empty() {
                    println!("{rest}");
                }
                println!("FAIL {name}: {first}");
            }
        }
    }
}

/// Plays those with these names, or all but those whose turn it is not; whether all
/// went well.
pub(crate) fn run(host: &Host, names: &[String], turn: Turn) -> Result<bool> {
    let table = Table::own()?;
    // What is claimed in some boots alone is not for the page.
    let unlisted = Table::own()?;
    let all = scenarios::all();
    let known = |name: &str| name == STREAM || all.iter().any(|s| s.name == name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        bail!("no scenario {name}; `sigtrace-play list` has them");
    }
    let wanted = |s: &&Scenario| names.is_empty() || names.iter().any(|name| name == s.name);
    let chosen: Vec<&Scenario> = all.iter().filter(wanted).collect();

    let mut tally = Tally::default();
    let place = play_shared(host, &table, &chosen, &mut tally)?;
    let mut taking_turns = 0..;
    for scenario in &chosen {
        let (table, play) = match scenario.kind {
            Kind::Shared(_) => continue,
            Kind::Own(play) => (&table, play),
            Kind::TakesTurns(play) => {
                if taking_turns
                    .next()
                    .is_some_and(|at: usize| at % turn.of != turn.number)
                {
                    continue;
                }
                (&unlisted, play)
            }
        };
        play_own(host, table, &place, scenario.name, play, &mut tally);
    }
    tally.end(&table);
    Ok(tally.failed == 0)
}

fn play_own(
    host: &Host,
    table: &Table,
    place: &Place,
    name: &'static str,
    play: Own,
    tally: &mut Tally,
) {
    let begin = Instant::now();
    let stage = Stage {
        name,
        host,
        table,
        place,
    };
    let outcome = play(&stage);
    println!("{name} took {:.1?}", begin.elapsed());
    tally.tell(name, outcome);
}

/// One that is set, and what came of its acting.
struct Played {
    name: &'static str,
    shared: Shared,
    scene: Scene,
    acted: Result<()>,
}

/// Sets, traces, acts, judges. What can be known here is seen by the way.
fn play_shared(
    host: &Host,
    table: &Table,
    chosen: &[&Scenario],
    tally: &mut Tally,
) -> Result<Place> {
    let mut set = Vec::new();
    for scenario in chosen {
        let Kind::Shared(shared) = scenario.kind else {
            continue;
        };
        match (shared.set)(host) {
            Ok(Set::Ready(scene)) => set.push(Played {
                name: scenario.name,
                shared,
                scene,
                acted: Ok(()),
            }),
            Ok(Set::Skip(why)) => tally.tell(scenario.name, Ok(Outcome::Skipped(why))),
            Err(error) => tally.tell(scenario.name, Err(error.context("setting the stage"))),
        }
    }
    // A namespace more, so that there is a stream even where no scenario shares it.
    let spare = Scene::kept()?;
    let begin = Instant::now();
    let sigtrace = attach(host, &set, &spare)?;
    println!("attached in {:.1?}", begin.elapsed());
    for played in &mut set {
        let begin = Instant::now();
        played.acted = (played.shared.act)(&mut played.scene, &sigtrace);
        println!("{} acted for {:.1?}", played.name, begin.elapsed());
        if played.acted.is_err() {
            // The others can still be played.
            if let Err(error) = played.scene.ns.pid1.end() {
                println!("{}: its namespace stays: {error:#}", played.name);
            }
        }
    }
    spare.clear()?;
    let ended = sigtrace
        .ended()
        .context("with every namespace ended, sigtrace --once has to end")?;
    let seen = Seen::read(&ended.lines);
    let place = place(host, &seen);
    println!(
        "kernel {}, level {:?}, hooks {}",
        place.kernel, place.level, seen.tracing["hooks"]
    );
    for played in set {
        judge(&played, table, &place, &seen, tally);
    }
    if chosen.len() == scenarios::all().len() {
        tally.tell(STREAM, Ok(stream(&seen, ended.status, &ended.errors)));
    }
    Ok(place)
}

fn attach(host: &Host, set: &[Played], spare: &Scene) -> Result<Sigtrace> {
    let scenes = set.iter().map(|played| &played.scene).chain([spare]);
    let inodes: Vec<String> = scenes.map(|scene| scene.ns.ino.to_string()).collect();
    let mut flags = vec!["-o", "json", "--once", "--all-signals", "--refused"];
    for ino in &inodes {
        flags.extend(["--pidns", ino]);
    }
    Sigtrace::attached(host, &flags)
}

/// With `dequeue_signal` hooked, everything is: it needs more than all others.
/// Before 5.15 the kernel's stack cannot be followed from a kretprobe, so who took
/// a signal has no name, as if nobody had seen it.
pub(crate) fn place(host: &Host, seen: &Seen) -> Place {
    let hooks = seen.tracing["hooks"].as_array();
    let names = hooks.into_iter().flatten();
    let names = names.filter_map(|hook| Some(hook["hook"].as_str()?.to_owned()));
    let all = hooks.is_some_and(|hooks| {
        let dequeue = hooks.iter().find(|hook| hook["hook"] == "dequeue_signal");
        dequeue.is_some_and(|hook| hook["level"] != "kretprobe" || host.series_is_at_least(5, 15))
    });
    Place {
        kernel: host.kernel.clone(),
        level: if all { Level::Btf } else { Level::Raw },
        hooks: names.collect(),
    }
}

fn judge(played: &Played, table: &Table, place: &Place, seen: &Seen, tally: &mut Tally) {
    let events = seen.of_namespaces(&played.scene.inodes());
    // With what was lost, of whichever namespace: it makes others less certain.
    let lost = seen.events.iter().filter(|event| event.kind() == "lost");
    let lines: Vec<String> = (events.iter().copied().chain(lost))
        .map(|event| event.now.to_string())
        .collect();
    let mut judge = Judge::new(played.name, table, place, events);
    if let Err(error) = &played.acted {
        judge.fault(format!("acting: {error:#}"));
    }
    played.scene.introduce(&mut judge);
    (played.shared.judge)(&played.scene, &mut judge);
    judge.nothing_else();
    judge.table_is_met();
    tally.tell(played.name, Ok(Outcome::of(judge.faults, &lines)));
}

pub(crate) fn stream(seen: &Seen, status: Option<i32>, errors: &str) -> Outcome {
    let mut faults = seen.faults.clone();
    if status != Some(0) {
        faults.push(format!("sigtrace ended with status {status:?}: {errors}"));
    }
    let summary = &seen.summary;
    let deaths = seen.events.iter().filter(|e| e.is_death()).count();
    if summary["processes_exited"] != deaths {
        faults.push(format!("the stream has {deaths} deaths, but {summary}"));
    }
    if summary["ended"] != true || summary["events_lost"] != 0 {
        faults.push(format!(
            "all should have ended, and nothing be lost: {summary}"
        ));
    }
    let lost = seen.events.iter().filter(|e| e.kind() == "lost");
    let lines: Vec<String> = lost.map(|event| event.now.to_string()).collect();
    Outcome::of(faults, &lines)
}
