//! More than can be explained: a storm that does not end, in which Ctrl-C and `--duration`
//! are heard all the same; and more senders than are remembered, none of whom hides a
//! request to end.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{own, shell_kill, takes_turns, Outcome, Scenario, Stage};
use crate::judge::Seen;
use crate::stage::host::Host;
use crate::stage::ns::{self, Ns, Program};
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        own("overload", overload),
        takes_turns("many-senders", many_senders),
    ]
}

/// Twice as many as a process's signals are remembered (`history::process::NOTES`).
const SENDERS: usize = 48;

/// A SIGTERM that is dropped, a signal from each of many others, and then the SIGKILL.
fn many_senders(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let pid1 = ns.pid1.pid;
    let ino = ns.ino.to_string();
    let scope = ["--pidns", &ino, "--once", "-o", "json"];
    let sigtrace = Sigtrace::attached(stage.host, &scope)?;
    shell_kill("TERM", pid1)?;
    for _ in 0..SENDERS {
        shell_kill("USR1", pid1)?;
    }
    ns::kill(pid1, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    Ok(stage.judged(&ended, &[ns.ino], |_, judge| {
        judge
            .death("PID 1", pid1)
            .cause("killed-by-process", "kill-syscall", 137)
            .has("/contributing", "init-no-handler")
            .no_words(&["SIGUSR1", "not known", "no longer known"]);
    }))
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
