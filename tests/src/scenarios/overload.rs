//! A storm that comes faster than it can be explained, and does not end: Ctrl-C
//! and `--duration` are heard all the same.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{own, Outcome, Scenario, Stage};
use crate::judge::Seen;
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("overload", overload)]
}

fn overload(stage: &Stage<'_>) -> Result<Outcome> {
    if Host::is_emulated() {
        return Ok(Outcome::Skipped(
            "an emulated CPU may hang where the kernel's text is changed under it".to_owned(),
        ));
    }
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let target = ns.enter(&["role", "ignores-rt"])?;
    let victim = target.meet("ignores-rt")?.host.to_string();
    let ino = ns.ino.to_string();
    // More than is taken out at once, and little enough to be explained soon.
    // The storm runs through the functions that refused signals would be looked for in.
    // To hook them the kernel puts a breakpoint there for a moment, and emulated CPUs
    // (QEMU without KVM) may still run into that when it is gone: an oops of the guest.
    let never = "--refused=never";
    let scope = ["--pidns", &ino, "-o", "json", "--buffer", "1M", never];
    let storm = Program::outside(&["storm", &victim, "varied"])?;
    storm.hear("ready")?;
    let told = Sigtrace::attached(stage.host, &scope)?;
    let timed = Sigtrace::start(stage.host, &[&scope[..], &["--duration", "300ms"]].concat())?;
    timed.wait_attached()?;
    storm.tell("go")?;
    storm.hear("blowing")?;
    let timed = timed.ended()?.well()?;
    let told = told.interrupt()?.well()?;
    // Both have ended; only now the storm may.
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    target.wait()?;
    ns.pid1.wait()?;
    storm.hear("sent")?;
    storm.wait()?;
    let mut faults = Vec::new();
    for (ended, why) in [(&told, "interrupted"), (&timed, "time_up")] {
        let seen = Seen::read(&ended.lines);
        faults.extend(seen.faults.iter().cloned());
        if seen.summary["ending"].as_str() != Some(why) {
            faults.push(format!("expected the ending {why}: {}", seen.summary));
        }
    }
    let mut lines = told.lines;
    lines.truncate(20);
    Ok(Outcome::of(faults, &lines))
}
