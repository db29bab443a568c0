//! More signals than the smallest buffer holds: what was lost is counted to the
//! last one, and what is said is less certain. Of equal ones nothing is lost: they
//! are folded.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{own, Outcome, Scenario, Stage};
use crate::judge::Seen;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::Sigtrace;

/// Four KiB: a page, the least that the kernel allows.
const BUFFER: &str = "4096";
/// Real-time signals alone, so that every signal counted is the storm's.
const STORM: &str =
    "34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("loss", loss), own("folded", folded)]
}

/// How many a storm sent, once its target is gone.
fn sent(storm: &Program) -> Result<u64> {
    let sent = storm.hear("sent")?;
    let sent = sent.strip_prefix("sent ").context("a number")?;
    sent.parse().context("how many were sent")
}

/// A storm of equal signals that are ignored: none is lost, none is missing, and
/// few lines tell it.
fn folded(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let target = ns.enter(&["role", "ignores-rt"])?;
    let victim = target.meet("ignores-rt")?.host;
    let storm = Program::outside(&["storm", &victim.to_string(), "equal"])?;
    storm.hear("ready")?;
    let ino = ns.ino.to_string();
    let flags = ["--pidns", &ino, "--once", "-o", "json", "-s", STORM];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    storm.tell("go")?;
    storm.hear("blowing")?;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    target.wait()?;
    ns.pid1.wait()?;
    let sent = sent(&storm)?;
    storm.wait()?;
    let ended = sigtrace.ended()?.well()?;
    let seen = Seen::read(&ended.lines);
    let mut faults = seen.faults.clone();
    let (told, lines) = told(&seen, victim);
    if told != sent || seen.summary["events_lost"] != 0 {
        faults.push(format!("{sent} were sent, {told} told: {}", seen.summary));
    }
    if seen.summary["signals_dropped"] != sent {
        faults.push(format!("not all {sent} dropped: {}", seen.summary));
    }
    if lines as u64 * 4 > sent {
        faults.push(format!("{sent} signals in {lines} lines"));
    }
    println!("{sent} signals in {lines} lines");
    let mut lines = ended.lines;
    lines.truncate(20);
    Ok(Outcome::of(faults, &lines))
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
