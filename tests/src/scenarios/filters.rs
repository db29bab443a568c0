//! The filters: several sigtraces see the same signals, each shows only its own.
//! On a machine that is not ours alone only namespaces are traced.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{play, takes_turns, Outcome, Scenario, Scene, Stage};
use crate::judge::Seen;
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;

/// Signal, sender, target.
type Sent = (i32, u32, u32);

/// Whether a filter lets it through.
type Wanted = Box<dyn Fn(&Sent) -> bool>;

/// Flags, and what they let through.
type Case = (Vec<String>, Wanted);

const USR1: i32 = Signal::SIGUSR1 as i32;
const USR2: i32 = Signal::SIGUSR2 as i32;
const HUP: i32 = Signal::SIGHUP as i32;
const ALRM: i32 = Signal::SIGALRM as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        takes_turns("filters", filters),
        takes_turns("bystander", bystander),
    ]
}

fn case(flags: &str, wanted: impl Fn(&Sent) -> bool + 'static) -> Case {
    let flags = flags.split(' ').map(str::to_owned).collect();
    (flags, Box::new(wanted))
}

/// Who takes part: two in one namespace, one in another.
#[derive(Clone, Copy)]
struct Cast {
    us: u32,
    a: u32,
    b: u32,
    other: u32,
}

fn filters(stage: &Stage<'_>) -> Result<Outcome> {
    let (mut scene, mut second) = (Scene::kept()?, Scene::kept()?);
    let b = scene.spawn("handles", "USR1 USR2")?;
    let a = scene.spawn("relays", &format!("USR2 {}", b.inside))?.host;
    let cast = Cast {
        us: play(),
        a,
        b: b.host,
        other: second.spawn("handles", "USR1")?.host,
    };
    let Cast { us, a, b, other } = cast;
    let all: [Sent; 6] = [
        (USR1, us, a),
        (USR2, us, a),
        (USR1, us, b),
        (USR1, us, other),
        (HUP, us, a),
        (USR2, a, b),
    ];
    let ino = scene.ns.ino;
    let mut cases = of_namespaces(ino, cast);
    let group = if stage.host.guest {
        let group = Group::with(a)?;
        cases.extend(of_processes(ino, cast, &group));
        Some(group)
    } else {
        None
    };
    let (mut faults, mut lines) = (Vec::new(), Vec::new());
    // A few at a time: to attach takes long where everything is emulated.
    for some in cases.chunks(5) {
        let running = start(stage.host, some)?;
        for (number, from, to) in all {
            if from == us {
                crate::sys::kill_number(to.try_into()?, number)?;
            }
        }
        // The last one comes of the others, by a's own hand; b says when it is there.
        scene.ns.pid1.hear("rang-12")?;
        second.ns.pid1.hear("rang-10")?;
        for (sigtrace, case) in running.into_iter().zip(some) {
            let ended = sigtrace.interrupt()?.well()?;
            faults.extend(wrong(case, cast, &all, &Seen::read(&ended.lines)));
            lines.extend(ended.lines);
        }
    }
    scene.clear()?;
    if let Some(group) = group {
        group.remove()?;
    }
    Ok(Outcome::of(faults, &lines))
}

/// What is wrong with what one of them shows.
fn wrong((flags, wanted): &Case, cast: Cast, all: &[Sent], seen: &Seen) -> Vec<String> {
    let mut faults: Vec<_> = seen
        .faults
        .iter()
        .map(|f| format!("{flags:?}: {f}"))
        .collect();
    let among = |s: &Sent| [cast.a, cast.b, cast.other].contains(&s.2);
    // All of them have handlers: whatever a filter leaves out, it must not make
    // of a signal what it was not.
    let expected = all.iter().filter(|s| wanted(s));
    let expected: BTreeSet<_> = expected.map(|&s| (s, "handled".to_owned())).collect();
    let (got, others): (BTreeSet<_>, BTreeSet<_>) =
        sent(seen).into_iter().partition(|(s, _)| among(s));
    if got != expected {
        faults.push(format!("{flags:?}: expected {expected:?}, got {got:?}"));
    }
    // What we send to the sigtraces at the end is ours as well.
    for (other, _) in others.iter().filter(|(s, _)| !wanted(s)) {
        faults.push(format!("{flags:?}: shows {other:?}"));
    }
    faults
}

/// Filters by number restrict what a namespace shows.
fn of_namespaces(ino: u32, cast: Cast) -> Vec<Case> {
    let inside = move |s: &Sent| [cast.a, cast.b].contains(&s.2);
    let only = |flags: &str, wanted: fn(i32) -> bool| {
        case(&format!("--pidns {ino} {flags}"), move |s: &Sent| {
            inside(s) && wanted(s.0)
        })
    };
    vec![
        only("-s SIGHUP,12", |number| number != USR1),
        only("--exclude-signal USR1", |number| number != USR1),
        only("-s 10,12 --exclude-signal 12", |number| number == USR1),
    ]
}

/// What any of these names is traced, also beside a namespace.
fn of_processes(ino: u32, cast: Cast, group: &Group) -> Vec<Case> {
    let Cast { us, a, b, other } = cast;
    let group = group.name();
    vec![
        case(&format!("--from-pid {us}"), move |s| s.1 == us),
        case(&format!("--to-pid {a}"), move |s| s.2 == a),
        case(&format!("-p {a}"), move |s| s.1 == a || s.2 == a),
        case(&format!("--from-pid {a} --to-pid {other}"), move |s| {
            s.1 == a || s.2 == other
        }),
        case(&format!("--from-pid {us} -s USR2"), move |s| {
            s.1 == us && s.0 == USR2
        }),
        case(&format!("--pidns {ino} --to-pid {other}"), move |s| {
            [a, b, other].contains(&s.2)
        }),
        case(&format!("--cgroup /{group} --to-pid {other}"), move |s| {
            s.1 == a || s.2 == a || s.2 == other
        }),
    ]
}

/// A timer of one process runs out while another one runs: it has nothing to do
/// with the one that runs, whatever filter names that. Both share a CPU, so that
/// this is what happens.
fn bystander(stage: &Stage<'_>) -> Result<Outcome> {
    let (mut scene, mut second) = (Scene::kept()?, Scene::kept()?);
    let busy = scene.spawn("spins", "")?.host;
    let alarmed = second.spawn("alarmed", "")?.host;
    let nothing = |_: &Sent| false;
    let mut cases = vec![case(&format!("--pidns {}", scene.ns.ino), nothing)];
    let mut group = None;
    if stage.host.guest {
        let made = Group::with(busy)?;
        cases.push(case(&format!("--from-pid {busy}"), nothing));
        cases.push(case(&format!("-p {busy}"), nothing));
        cases.push(case(&format!("--cgroup /{}", made.name()), nothing));
        cases.push(case(&format!("--to-pid {alarmed}"), |s| s.0 == ALRM));
        group = Some(made);
    }
    cases.push(case(&format!("--pidns {}", second.ns.ino), |s| s.0 == ALRM));
    for (flags, _) in &mut cases {
        flags.push("--all-signals".to_owned());
    }
    let running = start(stage.host, &cases)?;
    crate::sys::kill_number(alarmed.try_into()?, USR1)?;
    second.ns.pid1.hear("ticked")?;
    let last = running.last().context("one that sees it")?;
    last.wait_for(&[r#""event":"exit""#, &format!(r#""pid":{alarmed},"#)])?;

    let (mut faults, mut lines) = (Vec::new(), Vec::new());
    for (sigtrace, (flags, wanted)) in running.into_iter().zip(&cases) {
        let ended = sigtrace.interrupt()?.well()?;
        let seen = Seen::read(&ended.lines);
        let sees = wanted(&(ALRM, busy, alarmed));
        let of_timer =
            |event: &&crate::judge::Event| event.number("/signal/number") == Some(ALRM as u64);
        let signals = seen.events.iter().filter(|event| event.is_signal());
        let alarms: Vec<_> = signals.filter(of_timer).collect();
        let deaths = seen.events.iter().filter(|event| event.is_death()).count();
        if sees {
            // Those that came together are one that was pending already.
            let handled = alarms.iter().filter(|event| event.now["fate"] == "handled");
            let fatal = alarms.iter().filter(|event| event.now["fate"] == "fatal");
            let (handled, fatal) = (handled.count(), fatal.count());
            if handled < 20 || fatal != 1 || deaths != 1 {
                faults.push(format!(
                    "{flags:?}: {handled} alarms handled, {fatal} fatal, {deaths} deaths"
                ));
            }
            if let Some(event) = alarms.iter().find(|e| e.text("/sender/kind") != "timer") {
                faults.push(format!("{flags:?}: not sent by a timer: {}", event.now));
            }
        } else if deaths > 0 || seen.summary["signals"] != 0 || !alarms.is_empty() {
            faults.push(format!(
                "{flags:?}: {deaths} deaths, {} alarms of another: {}",
                alarms.len(),
                seen.summary
            ));
        }
        lines.extend(ended.lines.into_iter().take(12));
    }
    scene.clear()?;
    if let Some(group) = group {
        group.remove()?;
    }
    Ok(Outcome::of(faults, &lines))
}

/// Starts them all, and waits until they are attached.
fn start(host: &Host, cases: &[Case]) -> Result<Vec<Sigtrace>> {
    let start = |(flags, _): &Case| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        // One after the other: a verifier takes seconds where a processor is emulated.
        Sigtrace::attached(host, &[&["-o", "json"], flags.as_slice()].concat())
    };
    cases.iter().map(start).collect()
}

/// Signals that a sigtrace saw with their fates, but for routine ones.
fn sent(seen: &Seen) -> BTreeSet<(Sent, String)> {
    let told = |event: &crate::judge::Event| {
        let number = |path| event.number(path).and_then(|n| n.try_into().ok());
        let signal = event.number("/signal/number")?.try_into().ok()?;
        let sent = (signal, number("/sender/pid")?, number("/target/pid")?);
        Some((sent, event.text("/fate").to_owned()))
    };
    let signals = seen.events.iter().filter(|event| event.is_signal());
    let unusual = signals.filter(|event| event.now["routine"] != true);
    unusual.filter_map(told).collect()
}

/// A cgroup of ours with one below it, which somebody is in.
struct Group(PathBuf);

impl Group {
    fn with(pid: u32) -> Result<Self> {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/play-{pid}"));
        let below = folder.join("below");
        fs::create_dir_all(&below).with_context(|| format!("making {}", below.display()))?;
        fs::write(below.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("moving {pid} to {}", below.display()))?;
        Ok(Self(folder))
    }

    fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Once nobody is in it any more.
    fn remove(self) -> Result<()> {
        for folder in [self.0.join("below"), self.0] {
            crate::stage::until(
                &format!("the end of {}", folder.display()),
                || match fs::remove_dir(&folder) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(None),
                    done => Ok(Some(done?)),
                },
            )?;
        }
        Ok(())
    }
}
