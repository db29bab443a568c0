//! Every way to choose whom to trace is another program to the verifier, which gives
//! up after a million instructions: the largest can be loaded, with room left.

use std::fs;

use anyhow::{Context, Result};

use super::{own, Outcome, Scenario, Stage};
use crate::stage::cgroups::Hierarchy;
use crate::stage::ns::Ns;
use crate::stage::sigtrace::Sigtrace;

/// What the verifier may follow of one program: half as much again as of the largest, on
/// 5.10 and 6.1. Before 6.2 it follows a way again for every number that it knows exactly.
const MOST: u64 = 280_000;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("largest-programs", largest)]
}

fn largest(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let (ino, pid1) = (ns.ino.to_string(), ns.pid1.pid.to_string());
    let own = ["--pidns", &ino, "--to-pid", &pid1];
    // The pids controller on cgroup v1 takes most, where it can still be had of this
    // kernel. The whole machine is for guests.
    let _mounted = match (stage.host.guest, Hierarchy::pids()?) {
        (true, None) => Hierarchy::mount_pids()?.ok(),
        _ => None,
    };
    let played = match stage.host.guest {
        false => vec![own.to_vec()],
        true => vec![
            [&own[..], &["--cgroup", "/"]].concat(),
            vec!["--container", "nobody", "--wait"],
        ],
    };
    let mut faults = Vec::new();
    for flags in played {
        let most = loaded(stage, &flags)?;
        let said = most.map_or("unknown".to_owned(), |most| most.to_string());
        println!("{}: {said} instructions", flags.join(" "));
        if most.is_some_and(|most| most > MOST) {
            faults.push(format!("{flags:?}: {said} instructions were verified"));
        }
    }
    ns.pid1.end()?;
    Ok(Outcome::of(faults, &[]))
}

/// The most that was verified of one of its programs; `None`: a kernel before 5.16 does
/// not tell.
fn loaded(stage: &Stage<'_>, flags: &[&str]) -> Result<Option<u64>> {
    let sigtrace = Sigtrace::attached(stage.host, &[flags, &["-o", "json"]].concat())?;
    let mut most = None;
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", sigtrace.pid()))? {
        let info = fs::read_to_string(entry?.path()).unwrap_or_default();
        let mut lines = info.lines();
        if let Some(count) = lines.find_map(|line| line.strip_prefix("verified_insns:")) {
            most = most.max(Some(count.trim().parse().context("verified_insns")?));
        }
    }
    sigtrace.interrupt()?.well()?;
    Ok(most)
}
