//! sigtrace as a guest of the machine: what it may do while it traces, what it
//! takes, and that nothing of it is left in the kernel however it ends.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{own, takes_turns, Outcome, Scenario, Stage};
use crate::judge::phrases::Phrase;
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;
use crate::sys::{bpf_object_exists, BpfObject};

/// CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
const KEPT: u64 = 1 << 2 | 1 << 19;
/// CAP_BPF, without which counts cannot be looked up before 6.0 where
/// unprivileged_bpf_disabled is set.
const BEFORE_6_0: u64 = 1 << 39;
/// Of a trace with CAP_SYS_RESOURCE.
const OOM_SCORE_ADJ: &str = "-900";
/// The least buffer: all the rest of the memory is sigtrace's own.
const BUFFER: &str = "4096";
const MOST_KB: u64 = 15 << 10;
/// At its start, for the moment in which the kernel's types are read and its own
/// programs are loaded.
const MOST_AT_START_KB: u64 = 19 << 10;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        own("privileges", privileges),
        takes_turns("memory", memory),
        takes_turns("nothing-left", nothing_left),
    ]
}

/// A line of `/proc/PID/status`.
fn status(pid: u32, key: &str) -> Result<String> {
    line(&format!("/proc/{pid}/status"), key)
}

fn line(path: &str, key: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    let mut lines = text.lines();
    lines
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
        .with_context(|| format!("{path} has no {key}"))
}

/// What any of its threads may do that it should not: capabilities are each
/// thread's own.
fn may_do(pid: u32, allowed: u64) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path().join("status").display().to_string();
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            let has = u64::from_str_radix(&line(&path, set)?, 16)?;
            let wanted = if set.starts_with("CapI") || set.starts_with("CapA") {
                0
            } else {
                KEPT
            };
            if has & wanted != wanted || has & !allowed != 0 {
                faults.push(format!("{path}: {set} is {has:x}, not {wanted:x}"));
            }
        }
        if line(&path, "NoNewPrivs")? != "1" {
            faults.push(format!("{path}: it could gain privileges"));
        }
    }
    Ok(faults)
}

/// The same of a sigtrace that is busy, and how many threads it has.
pub(super) fn too_much(stage: &Stage<'_>, pid: u32) -> Result<(Vec<String>, usize)> {
    let new = stage.host.series_is_at_least(6, 0);
    let allowed = if new { KEPT } else { KEPT | BEFORE_6_0 };
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?.count();
    Ok((may_do(pid, allowed)?, threads))
}

/// With hardly any privileges it still explains everything.
fn privileges(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let child = ns.pid1.everybody("child", 1)?[0].host;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "--once", "-o", "json"])?;
    let new = stage.host.series_is_at_least(6, 0);
    let allowed = if new { KEPT } else { KEPT | BEFORE_6_0 };
    let mut faults = may_do(sigtrace.pid(), allowed)?;
    let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", sigtrace.pid()))?;
    if stage.host.guest && score.trim() != OOM_SCORE_ADJ {
        faults.push(format!("its oom_score_adj is {}", score.trim()));
    }
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    Ok(stage.judged(&ended, &[ns.ino], |_, judge| {
        for fault in faults {
            judge.fault(fault);
        }
        judge
            .zapped("the child", child, ns.pid1.pid)
            .says(Phrase::NothingSentOn);
    }))
}

fn memory(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "--buffer", BUFFER])?;
    let of = |key| Ok::<_, anyhow::Error>((key, status(sigtrace.pid(), key)?));
    let (resident, peak) = (of("VmRSS")?, of("VmHWM")?);
    let ended = sigtrace.interrupt()?.well()?;
    println!("its memory was {}, {} at most", resident.1, peak.1);
    let mut faults = Vec::new();
    for ((key, said), most) in [(resident, MOST_KB), (peak, MOST_AT_START_KB)] {
        let kb: u64 = said.trim_end_matches(" kB").parse().context(key)?;
        if kb > most {
            faults.push(format!("{key} is {said}, more than {most} kB"));
        }
    }
    Ok(Outcome::of(faults, &ended.lines))
}

/// Everything is held by descriptors alone, so the kernel takes it back even
/// from a process that could not do anything any more, as after a panic.
fn nothing_left(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let ino = ns.ino.to_string();
    let mut faults = Vec::new();
    let asked = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    for signal in asked.into_iter().chain([Signal::SIGKILL]) {
        let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "-o", "json"])?;
        let held = held(sigtrace.pid())?;
        for (kind, least) in [(BpfObject::Program, 6), (BpfObject::Map, 2)] {
            let count = held.iter().filter(|(of, _)| *of == kind).count();
            if count < least {
                faults.push(format!("{count} of {kind:?}: this does not see all"));
            }
        }
        for &(kind, id) in &held {
            if !bpf_object_exists(kind, id)? {
                faults.push(format!("{kind:?} {id} was not there while tracing"));
            }
        }
        let ended = sigtrace.end_by(signal)?;
        let in_good_order = asked.contains(&signal);
        let sums_up = |line: &String| line.contains(r#""event":"summary""#);
        if ended.status != in_good_order.then_some(0)
            || ended.lines.last().is_some_and(sums_up) != in_good_order
        {
            faults.push(format!(
                "after {signal} its status is {:?} and its last line {:?}",
                ended.status,
                ended.lines.last()
            ));
        }
        // The kernel frees them when no CPU can be running them any more.
        until(
            &format!("the end of all of {held:?} after {signal}"),
            || {
                for &(kind, id) in &held {
                    if bpf_object_exists(kind, id)? {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            },
        )?;
    }
    ns.pid1.end()?;
    Ok(Outcome::of(faults, &[]))
}

/// What a process has descriptors for, as the kernel shows them.
fn held(pid: u32) -> Result<BTreeSet<(BpfObject, u32)>> {
    let mut held = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("its descriptors")? {
        let info = fs::read_to_string(entry?.path()).unwrap_or_default();
        for line in info.lines() {
            let Some((key, id)) = line.split_once(":\t") else {
                continue;
            };
            let kind = match key {
                "prog_id" => BpfObject::Program,
                "map_id" => BpfObject::Map,
                "link_id" => BpfObject::Link,
                _ => continue,
            };
            held.insert((kind, id.trim().parse().context("an id")?));
        }
    }
    Ok(held)
}
