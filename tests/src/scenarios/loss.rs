//! More signals than the smallest buffer holds: what was lost is counted to the
//! last one, and what is said is less certain. Of equal ones nothing is lost: they
//! are folded.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{takes_turns, Outcome, Scenario, Stage};
use crate::inside::storm::{self, KEYS};
use crate::judge::Seen;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::{Ended, Sigtrace};
use crate::stage::until;
use crate::sys;

/// Four KiB: a page, the least that the kernel allows.
const BUFFER: &str = "4096";
/// Real-time signals alone, so that every signal counted is the storm's.
const STORM: &str =
    "34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("loss", loss),
        takes_turns("folded", folded),
        takes_turns("folded-merged", merged),
        takes_turns("adds-nothing", adds_nothing),
        takes_turns("folded-crowded-out", crowded_out),
        takes_turns("folded-first-lost", first_lost),
        takes_turns("folded-of-others", of_others),
    ]
}

/// How many a storm sent, once its target is gone.
fn sent(storm: &Program) -> Result<u64> {
    let sent = storm.hear("sent")?;
    let sent = sent.strip_prefix("sent ").context("a number")?;
    sent.parse().context("how many were sent")
}

/// A storm of signals that end nobody, until its target in this role is dead, who is ended
/// once `until` is over: how many it sent, to whom, and what sigtrace said.
fn blown(
    stage: &Stage<'_>,
    role: &str,
    kind: &str,
    until: impl FnOnce(&Sigtrace) -> Result<()>,
) -> Result<(u64, u32, Ended)> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let target = ns.enter(&["role", role])?;
    let victim = target.meet(role)?.host;
    let storm = Program::outside(&["storm", &victim.to_string(), kind])?;
    storm.hear("ready")?;
    let ino = ns.ino.to_string();
    let scope = ["--pidns", &ino, "--once", "-o", "json", "-s", STORM];
    // Nothing shall be lost of what is told whole, on a machine that is slow, too.
    let flags = [&scope[..], &["--buffer", "32M"]].concat();
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    storm.tell("go")?;
    storm.hear("blowing")?;
    until(&sigtrace)?;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    target.wait()?;
    ns.pid1.wait()?;
    let sent = sent(&storm)?;
    storm.wait()?;
    Ok((sent, victim, sigtrace.ended()?.well()?))
}

/// None of a storm is lost, none is missing; and in how many lines it was told.
fn exact(seen: &Seen, victim: u32, sent: u64) -> (Vec<String>, usize) {
    let mut faults = seen.faults.clone();
    let (told, lines) = told(seen, victim);
    if told != sent || seen.summary["events_lost"] != 0 {
        faults.push(format!("{sent} were sent, {told} told: {}", seen.summary));
    }
    if seen.summary["signals_dropped"] != sent {
        faults.push(format!("not all {sent} dropped: {}", seen.summary));
    }
    println!("{sent} signals in {lines} lines");
    (faults, lines)
}

/// Equal ones: few lines tell them.
fn folded(stage: &Stage<'_>) -> Result<Outcome> {
    let (sent, victim, ended) = blown(stage, "ignores-rt", "equal", |_| Ok(()))?;
    let (mut faults, lines) = exact(&Seen::read(&ended.lines), victim, sent);
    if lines as u64 * 4 > sent {
        faults.push(format!("{sent} signals in {lines} lines"));
    }
    Ok(Outcome::of(faults, first(&ended, 20)))
}

/// Real-time signals that kill(2) sends when the queue is full: where others of their number
/// are in it, they add nothing, and few lines tell them.
fn merged(stage: &Stage<'_>) -> Result<Outcome> {
    let (sent, victim, ended) = blown(stage, "blocks-rt", "equal", |_| Ok(()))?;
    let seen = Seen::read(&ended.lines);
    let mut faults = seen.faults.clone();
    let (told, lines) = told(&seen, victim);
    println!("{sent} signals in {lines} lines");
    if told != sent || seen.summary["events_lost"] != 0 {
        faults.push(format!("{sent} were sent, {told} told: {}", seen.summary));
    }
    if lines as u64 * 4 > sent {
        faults.push(format!("{sent} signals in {lines} lines"));
    }
    let without_entry = seen.events.iter().filter(|event| {
        event.number("/target/pid") == Some(victim.into()) && event.text("/result") == "lose_info"
    });
    let mut coalesced = 0;
    for event in without_entry {
        match (event.text("/fate"), event.text("/certainty")) {
            ("coalesced", "proven") => coalesced += event.number("/count").unwrap_or(0),
            // The last ones, while it dies.
            ("dropped", _) => {}
            _ => faults.push(format!("one that adds nothing: {}", event.now)),
        }
    }
    if seen.summary["signals_coalesced"] != coalesced {
        faults.push(format!(
            "{coalesced} are told to add nothing: {}",
            seen.summary
        ));
    }
    // It was dying when the last came.
    if coalesced * 2 < sent {
        faults.push(format!("{coalesced} of {sent} are told to add nothing"));
    }
    Ok(Outcome::of(faults, first(&ended, 20)))
}

/// What is said to add nothing to a full queue does not: its target's handler runs as often as
/// signals are told to be handled, and no more.
fn adds_nothing(stage: &Stage<'_>) -> Result<Outcome> {
    const MORE: u64 = 10;
    let number = *storm::SIGNALS.start();
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let target = ns.enter(&["role", "counts-rt"])?;
    let victim = target.meet("counts-rt")?.host;
    let ino = ns.ino.to_string();
    let flags = ["--pidns", &ino, "--once", "-o", "json", "-s", STORM];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let sent = storm::ROOM + MORE;
    for _ in 0..sent {
        sys::kill_number(victim.try_into()?, number)?;
    }
    target.tell("go")?;
    let handled = target.hear("handled")?;
    let handled: u64 = handled
        .strip_prefix("handled ")
        .and_then(|count| count.parse().ok())
        .context("how often its handler ran")?;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    target.wait()?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    let seen = Seen::read(&ended.lines);
    let mut faults = seen.faults.clone();
    let told = |fate: &str, certainty: &str| -> u64 {
        let signals = seen.events.iter().filter(|event| event.is_signal());
        let of_fate = signals
            .filter(|event| event.text("/fate") == fate && event.text("/certainty") == certainty);
        of_fate.filter_map(|event| event.number("/count")).sum()
    };
    let (taken, added_nothing) = (told("handled", "proven"), told("coalesced", "proven"));
    if (taken, taken + added_nothing) != (handled, sent) {
        faults.push(format!(
            "of {sent} the handler got {handled}; {taken} are told to be handled and {added_nothing} to add nothing"
        ));
    }
    if added_nothing < MORE {
        faults.push(format!("the queue was not full: {added_nothing}"));
    }
    Ok(Outcome::of(faults, &ended.lines))
}

/// A storm in a namespace that is made while a container is waited for, and is nobody's: it
/// is not told, nor is it lost.
fn of_others(stage: &Stage<'_>) -> Result<Outcome> {
    let quiet = Ns::new(&["c-init-nosig"])?;
    let ino = quiet.ino.to_string();
    let scope = ["--pidns", &ino, "--container", "nobody", "--wait"];
    let flags = [&scope[..], &["-o", "json", "--buffer", "32M"]].concat();
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let other = Ns::new(&["c-init-sig", "1"])?;
    let target = other.enter(&["role", "ignores-rt"])?;
    let victim = target.meet("ignores-rt")?.host;
    let storm = Program::outside(&["storm", &victim.to_string(), "equal"])?;
    storm.hear("ready")?;
    storm.tell("go")?;
    storm.hear("blowing")?;
    ns::kill(other.pid1.pid, Signal::SIGTERM)?;
    target.wait()?;
    other.pid1.wait()?;
    let sent = sent(&storm)?;
    storm.wait()?;
    let ended = sigtrace.interrupt()?.well()?;
    let seen = Seen::read(&ended.lines);
    let mut faults = seen.faults.clone();
    println!("{sent} signals in a namespace of others");
    if seen.summary["events_lost"] != 0 || seen.summary["signals"] != 0 {
        faults.push(format!("{sent} were sent to others: {}", seen.summary));
    }
    Ok(Outcome::of(faults, first(&ended, 20)))
}

/// So many sorts that for some the place where they are counted is another's: they are
/// counted elsewhere, as exactly.
fn crowded_out(stage: &Stage<'_>) -> Result<Outcome> {
    // Counts have been read once then, and go on.
    let counts = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["count"].as_u64().is_some_and(|count| count > 1)
    };
    let (sent, victim, ended) = blown(stage, "ignores-rt", "keys", |sigtrace| {
        sigtrace.out.wait("a line that counts", 0, counts).map(drop)
    })?;
    let seen = Seen::read(&ended.lines);
    let (mut faults, _) = exact(&seen, victim, sent);
    let counted = (seen.events.iter()).filter(|event| event.number("/count") > Some(1));
    let keys: BTreeSet<_> = counted
        .map(|event| {
            let code = event.now["signal"]["code_number"].as_i64();
            (event.number("/signal/number"), code)
        })
        .collect();
    if keys.len() != KEYS {
        faults.push(format!("{} and not {KEYS} sorts are counted", keys.len()));
    }
    Ok(Outcome::of(faults, first(&ended, 20)))
}

/// Of equal ones the first were lost: the next are told instead, so that it is known what is
/// counted after them.
fn first_lost(stage: &Stage<'_>) -> Result<Outcome> {
    const EQUAL: i32 = 60;
    const TIMES: u64 = 10;
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let target = ns.enter(&["role", "ignores-rt"])?;
    let victim = target.meet("ignores-rt")?.host;
    let ino = ns.ino.to_string();
    let scope = ["--pidns", &ino, "--once", "-o", "json", "-s", STORM];
    let flags = [&scope[..], &["--buffer", BUFFER]].concat();
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    let signal = |number| sys::kill_number(victim.try_into()?, number).map(drop);
    let equal = || (0..TIMES).try_for_each(|_| signal(EQUAL));
    ns::kill(sigtrace.pid(), Signal::SIGSTOP)?;
    until("it has stopped", || {
        Ok((ns::state(sigtrace.pid())? == Some('T')).then_some(()))
    })?;
    let filling = 34..EQUAL;
    let mut sent = filling.len() as u64;
    for number in filling {
        signal(number)?;
    }
    equal()?;
    ns::kill(sigtrace.pid(), Signal::SIGCONT)?;
    sigtrace.wait_for(&[r#""event":"lost""#])?;
    equal()?;
    sent += 2 * TIMES;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    target.wait()?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    let seen = Seen::read(&ended.lines);
    let mut faults = count(&seen, victim, sent);
    let of_equal = seen.events.iter().filter(|event| {
        event.is_signal() && event.number("/signal/number") == Some(EQUAL.unsigned_abs().into())
    });
    let told: u64 = of_equal.filter_map(|event| event.number("/count")).sum();
    if told != TIMES {
        faults.push(format!("{told} of the last {TIMES} equal ones were told"));
    }
    Ok(Outcome::of(faults, &ended.lines))
}

fn first(ended: &Ended, lines: usize) -> &[String] {
    ended.lines.get(..lines).unwrap_or(&ended.lines)
}

/// How many signals to this process were told, and in how many lines.
fn told(seen: &Seen, victim: u32) -> (u64, usize) {
    let storm = seen
        .events
        .iter()
        .filter(|event| event.is_signal() && event.number("/target/pid") == Some(victim.into()));
    let counts: Vec<u64> = storm.filter_map(|event| event.number("/count")).collect();
    (counts.iter().sum(), counts.len())
}

fn loss(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let child = ns.pid1.everybody("child", 1)?[0].host;
    let target = ns.enter(&["role", "ignores-rt"])?;
    let victim = target.meet("ignores-rt")?.host;
    let storm = Program::outside(&["storm", &victim.to_string(), "varied"])?;
    storm.hear("ready")?;
    let ino = ns.ino.to_string();
    let scope = ["--pidns", &ino, "--once", "-o", "json", "--buffer", BUFFER];
    // One counts, the other judges: without SIGTERM it could not.
    let counts = Sigtrace::start(stage.host, &[&scope[..], &["-s", STORM]].concat())?;
    let judges = Sigtrace::start(stage.host, &scope)?;
    counts.wait_attached()?;
    judges.wait_attached()?;
    storm.tell("go")?;
    storm.hear("blowing")?;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    // We are the parent of the target: nobody else reaps it.
    target.wait()?;
    ns.pid1.wait()?;
    let sent = sent(&storm)?;
    storm.wait()?;
    let counts = counts.ended()?.well()?;
    let judges = judges.ended()?.well()?;

    let mut faults = count(&Seen::read(&counts.lines), victim, sent);
    match stage.judged(&judges, &[ns.ino], |seen, judge| {
        for fault in less_certain(seen, child) {
            judge.fault(fault);
        }
    }) {
        Outcome::Failed(more, _) => faults.extend(more),
        Outcome::Passed | Outcome::Skipped(_) => {}
    }
    let mut lines = counts.lines;
    lines.truncate(40);
    lines.extend(
        judges
            .lines
            .into_iter()
            .filter(|line| !line.contains("SIGRT")),
    );
    Ok(Outcome::of(faults, &lines))
}

/// Seen plus folded plus lost is what the storm counted itself.
fn count(seen: &Seen, victim: u32, sent: u64) -> Vec<String> {
    let mut faults = seen.faults.clone();
    let (told, _) = told(seen, victim);
    let lost: u64 = seen
        .events
        .iter()
        .filter(|event| event.kind() == "lost" && event.text("/kind") == "signal")
        .filter_map(|event| event.number("/count"))
        .sum();
    if lost == 0 {
        faults.push(format!("nothing was lost of {sent}: this was no storm"));
    }
    if told + lost != sent {
        faults.push(format!(
            "{sent} signals were sent; {told} were told and {lost} counted as lost, {} in all",
            told + lost
        ));
    }
    faults
}

/// Nothing is proven that the lost events could contradict.
fn less_certain(seen: &Seen, child: u32) -> Vec<String> {
    let mut faults = Vec::new();
    if seen.summary["events_lost"].as_u64().is_none_or(|n| n == 0) {
        faults.push("the summary says that nothing was lost".to_owned());
    }
    if seen.summary["notes"].as_array().is_none_or(Vec::is_empty) {
        faults.push("the summary has no note on what was lost".to_owned());
    }
    let death = seen
        .events
        .iter()
        .find(|event| event.is_death() && event.number("/task/pid") == Some(child.into()));
    // Its death may be among what was lost; the summary has said so.
    if let Some(death) = death {
        println!("of the child: {}", death.text("/explanation"));
        let missing = death.now["missing"].as_array().map_or(0, Vec::len);
        if death.text("/certainty") == "proven" || missing == 0 {
            faults.push(format!("the child's death is too certain: {}", death.now));
        }
        if death.text("/explanation").contains("never got") {
            faults.push(format!("the history does not cover this: {}", death.now));
        }
        if death.now["cause"] == Value::Null {
            faults.push(format!("a death without a cause: {}", death.now));
        }
    }
    faults
}
