//! stress-ng's stressors of signals, forks, zombies and memory: programs that nobody
//! here has written, all at once. Every death that they cause has to be explained. And
//! loads that try to blind sigtrace, beside a stop that has nothing to do with them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::memory;
use super::{takes_turns, Outcome, Scenario, Stage};
use crate::inside::storm::{CROWD, CROWD_IN_A_GUEST};
use crate::judge::{Event, Seen};
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::Sigtrace;

const PROGRAM: &str = "/usr/bin/stress-ng";

/// Each once, with so many rounds that an emulated machine does them in seconds.
const STRESSORS: [(&str, u32); 24] = [
    ("clone", 20),
    ("daemon", 10),
    ("fork", 20),
    ("itimer", 20),
    ("kill", 50),
    ("mq", 20),
    ("ptrace", 20),
    ("sigabrt", 20),
    ("sigchld", 50),
    ("sigfd", 50),
    ("sigfpe", 50),
    ("sigio", 50),
    ("signal", 50),
    ("signest", 50),
    ("sigpending", 50),
    ("sigpipe", 50),
    ("sigq", 50),
    ("sigrt", 50),
    ("sigsegv", 50),
    ("sigsuspend", 50),
    ("sigtrap", 50),
    ("timer", 20),
    ("vfork", 20),
    ("zombie", 20),
];

/// What a stressor of memory may have, and what it asks for.
const LIMIT: u64 = 48 << 20;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("stress", stress),
        takes_turns("stress-memory", stress_memory),
        takes_turns("blinded", blinded),
    ]
}

fn stress(stage: &Stage<'_>) -> Result<Outcome> {
    let mut words = Vec::new();
    for (name, rounds) in STRESSORS {
        words.extend([format!("--{name}"), "1".into()]);
        words.extend([format!("--{name}-ops"), rounds.to_string()]);
    }
    play(stage, &words, None, &[])
}

fn stress_memory(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(why) = memory::cannot_limit(stage.host)? {
        return Ok(Outcome::Skipped(why));
    }
    let words = ["--bigheap", "1", "--bigheap-ops", "100000", "--oomable"];
    let words = words.map(str::to_owned);
    let group = memory::limited(&format!("stress-{}", std::process::id()), LIMIT)?;
    play(stage, &words, Some(&group), &["oom-memcg"])
}

/// Runs it in a namespace of its own; `causes` are those that have to be there.
fn play(
    stage: &Stage<'_>,
    words: &[String],
    group: Option<&Path>,
    causes: &[&str],
) -> Result<Outcome> {
    if !Path::new(PROGRAM).exists() {
        return Ok(Outcome::Skipped("there is no stress-ng here".into()));
    }
    let ns = Ns::new(&["keeper"])?;
    let ino = ns.ino.to_string();
    let scope = ["--pidns", &ino, "--once", "-o", "json", "--buffer", "64M"];
    let sigtrace = Sigtrace::attached(stage.host, &scope)?;
    let folder = std::env::temp_dir().join(format!("sigtrace-stress-{}", ns.ino));
    fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let place = folder.to_str().context("its path")?;
    let run = match group
        .map(|group| group.to_str().context("its path"))
        .transpose()?
    {
        Some(group) => vec!["exec-in", group],
        None => vec!["exec"],
    };
    let own = [PROGRAM, "--quiet", "--timeout", "15", "--temp-path", place];
    let words = words.iter().map(String::as_str);
    let words: Vec<&str> = run.into_iter().chain(own).chain(words).collect();
    let status = ns.enter(&words)?.wait();
    fs::remove_dir_all(&folder).ok();
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    if let Some(group) = group {
        memory::remove(group)?;
    }
    status?;
    let ended = sigtrace.ended()?.well()?;
    let seen = Seen::read(&ended.lines);
    let mut faults = unexplained(stage.host, &seen);
    let deaths = || seen.events.iter().filter(|event| event.is_death());
    for cause in causes {
        if deaths().all(|event| event.text("/cause") != *cause) {
            faults.push(format!("no death is told to be of {cause}"));
        }
    }
    let summary = deaths().map(|event| event.now.to_string());
    Ok(Outcome::of(faults, &summary.take(20).collect::<Vec<_>>()))
}

/// Deaths without a cause, and signals without a fate.
fn unexplained(host: &Host, seen: &Seen) -> Vec<String> {
    let mut faults = seen.faults.clone();
    // Where programs are preempted, three tasks of a CPU may be in one hook at once, and
    // the event of a fourth is counted as missed. Nothing else is lost.
    let missed: u64 = (seen.events.iter())
        .filter(|event| event.kind() == "lost" && event.text("/kind") == "not-run")
        .filter_map(|event| event.number("/count"))
        .sum();
    let all = missed == 0 || host.series_is_at_least(7, 0);
    let summary = &seen.summary;
    if !all || summary["events_lost"] != missed || summary["ends_unseen"] != 0 {
        faults.push(format!("all of it should be seen: {summary}"));
    }
    for event in &seen.events {
        let of = if event.is_death() {
            "/cause"
        } else if event.is_signal() {
            "/fate"
        } else {
            continue;
        };
        let unknown = ["", "unknown"].contains(&event.text(of));
        if unknown || event.text("/certainty") == "unknown" {
            faults.push(format!("not explained: {}", event.now));
        }
    }
    faults
}

/// A crowd floods a process of the namespace with signals that are hardly alike, while
/// stress-ng forks and signals in another one. What is said of a stop is as right as
/// without: lost events may make it less certain, and nothing else.
fn blinded(stage: &Stage<'_>) -> Result<Outcome> {
    if !Path::new(PROGRAM).exists() {
        return Ok(Outcome::Skipped("there is no stress-ng here".into()));
    }
    let (stopped, other) = (Ns::new(&["c-init-sig", "1"])?, Ns::new(&["keeper"])?);
    let child = stopped.pid1.everybody("child", 1)?[0].host;
    let target = other.enter(&["role", "ignores-rt"])?;
    let victim = target.meet("ignores-rt")?.host.to_string();
    let many = if stage.host.guest {
        CROWD_IN_A_GUEST
    } else {
        CROWD
    };
    let crowd = Program::outside(&["storm", &victim, &format!("crowd{many}")])?;
    crowd.hear("ready")?;
    let inodes = [stopped.ino.to_string(), other.ino.to_string()];
    let scope = ["--pidns", &inodes[0], "--pidns", &inodes[1]];
    let sigtrace = Sigtrace::attached(
        stage.host,
        &[&scope[..], &["--once", "-o", "json"]].concat(),
    )?;
    let loads = [
        "--fork", "2", "--kill", "2", "--sigq", "2", "--sigrt", "2", "--zombie", "1",
    ];
    let words = [&["exec", PROGRAM, "--quiet", "--timeout", "60"], &loads[..]].concat();
    let load = other.enter(&words)?;
    crowd.tell("go")?;
    crowd.hear("blowing")?;
    ns::kill(stopped.pid1.pid, Signal::SIGTERM)?;
    stopped.pid1.wait()?;
    ns::kill(other.pid1.pid, Signal::SIGKILL)?;
    for program in [&target, &load, &other.pid1, &crowd] {
        program.wait()?;
    }
    let ended = sigtrace.ended()?.well()?;
    let seen = Seen::read(&ended.lines);
    let mut faults = seen.faults.clone();
    let expected = [
        (stopped.pid1.pid, "exit", "exit", false),
        (child, "pid1-exited", "kernel-signal", true),
    ];
    for (pid, cause, mechanism, forced) in expected {
        let of_it =
            |event: &&Event| event.is_death() && event.number("/task/pid") == Some(pid.into());
        let Some(death) = seen.events.iter().find(of_it) else {
            faults.push(format!("no death of {pid} is told: {}", seen.summary));
            continue;
        };
        let told = (death.text("/cause"), death.text("/mechanism"));
        if told != (cause, mechanism) || death.now["forced"] != forced {
            faults.push(format!("expected {cause} by {mechanism}: {}", death.now));
        }
    }
    println!("blinded by {many}: {}", seen.summary);
    Ok(Outcome::of(faults, &[]))
}
