//! The filters that work in the kernel: several sigtraces see the same signals,
//! each only its own.

use std::collections::BTreeSet;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{own, play, Outcome, Scenario, Scene, Stage};
use crate::judge::Seen;
use crate::stage::sigtrace::Sigtrace;

/// Signal, sender, target.
type Sent = (i32, u32, u32);

/// Whether a filter lets it through.
type Wanted = Box<dyn Fn(&Sent) -> bool>;

const USR1: i32 = Signal::SIGUSR1 as i32;
const USR2: i32 = Signal::SIGUSR2 as i32;
const HUP: i32 = Signal::SIGHUP as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![own("filters", filters)]
}

fn filters(stage: &Stage<'_>) -> Result<Outcome> {
    let mut scene = Scene::kept()?;
    let b = scene.spawn("handles", "USR1 USR2")?;
    let a = scene.spawn("relays", &format!("USR2 {}", b.inside))?.host;
    let b = b.host;
    let (ino, us) = (scene.ns.ino.to_string(), play());
    let (a_word, us_word) = (a.to_string(), us.to_string());
    let all: [Sent; 5] = [
        (USR1, us, a),
        (USR2, us, a),
        (USR1, us, b),
        (HUP, us, a),
        (USR2, a, b),
    ];
    // Flags, and which of all these signals they let through.
    let cases: Vec<(Vec<&str>, Wanted)> = vec![
        (vec!["-s", "USR1"], Box::new(|s| s.0 == USR1)),
        (vec!["-s", "SIGHUP,12"], Box::new(|s| s.0 != USR1)),
        (vec!["--exclude-signal", "USR1"], Box::new(|s| s.0 != USR1)),
        (vec!["--from-pid", &us_word], Box::new(move |s| s.1 == us)),
        (vec!["--from-pid", &a_word], Box::new(move |s| s.1 == a)),
        (vec!["--to-pid", &a_word], Box::new(move |s| s.2 == a)),
        (vec!["-p", &a_word], Box::new(move |s| s.1 == a || s.2 == a)),
    ];
    let start = |flags: &Vec<&str>| {
        let scope = ["--pidns", &ino, "-o", "json"];
        Sigtrace::start(stage.host, &[&scope, flags.as_slice()].concat())
    };
    let running = cases
        .iter()
        .map(|(flags, _)| start(flags))
        .collect::<Result<Vec<_>>>()?;
    for sigtrace in &running {
        sigtrace.wait_attached()?;
    }
    for (number, from, to) in all {
        if from == us {
            crate::sys::kill_number(to.try_into()?, number)?;
        }
    }
    // The last one comes of the others, by a's own hand; b says when it is there.
    scene.ns.pid1.hear("rang-12")?;

    let (mut faults, mut lines) = (Vec::new(), Vec::new());
    for (sigtrace, (flags, wanted)) in running.into_iter().zip(&cases) {
        let ended = sigtrace.interrupt()?.well()?;
        let seen = Seen::read(&ended.lines);
        faults.extend(seen.faults.iter().map(|f| format!("{flags:?}: {f}")));
        // All of them have handlers: whatever a filter leaves out, it must not
        // make of a signal what it was not.
        for event in seen.events.iter().filter(|event| event.is_signal()) {
            if event.now["fate"] != "handled" && event.now["routine"] != true {
                faults.push(format!("{flags:?}: not handled: {}", event.now));
            }
        }
        let expected: BTreeSet<Sent> = all.iter().filter(|s| wanted(s)).copied().collect();
        let got = sent(&seen);
        if got != expected {
            faults.push(format!("{flags:?}: expected {expected:?}, got {got:?}"));
        }
        lines.extend(ended.lines);
    }
    Ok(Outcome::of(faults, &lines))
}

/// Signals that a sigtrace saw, but for routine ones.
fn sent(seen: &Seen) -> BTreeSet<Sent> {
    let numbers = |event: &crate::judge::Event| {
        let number = |path| event.number(path).and_then(|n| n.try_into().ok());
        let signal = event.number("/signal/number")?.try_into().ok()?;
        Some((signal, number("/sender/pid")?, number("/target/pid")?))
    };
    let signals = seen.events.iter().filter(|event| event.is_signal());
    let unusual = signals.filter(|event| event.now["routine"] != true);
    unusual.filter_map(numbers).collect()
}
