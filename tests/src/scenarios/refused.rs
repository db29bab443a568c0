//! Signals that the kernel refused to send, one scenario for each reason. Each
//! sender has asked for signal 0 before, which is never reported.

use anyhow::{ensure, Result};
use nix::sys::signal::Signal;

use super::{kept, play, shared, takes_turns, Outcome, Scenario, Scene, Set, Stage};
use crate::judge::{From, Judge, Seen};
use crate::stage::host::Host;
use crate::stage::ns::{Ns, Person};
use crate::stage::sigtrace::Sigtrace;
use crate::sys;

const TERM: i32 = Signal::SIGTERM as i32;
const USR1: i32 = Signal::SIGUSR1 as i32;
const WINCH: i32 = Signal::SIGWINCH as i32;
/// Does nothing to whoever gets it after all.
const CONT: i32 = Signal::SIGCONT as i32;
const NO_SIGNAL: i32 = 99;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("refused-no-permission", kept, act_other_user, other_user),
        shared("refused-lsm-denied", landlock, act_confined, confined),
        shared("refused-no-such-process", kept, act_host_pid, host_pid),
        shared("refused-no-such-thread", kept, act_thread, thread),
        shared("refused-bad-signal", kept, act_bad_signal, bad_signal),
        shared("refused-bad-argument", kept, act_no_thread, no_thread),
        shared("refused-forged-siginfo", kept, act_forged, forged),
        shared("refused-pidns-not-visible", kept, act_outsider, outsider),
        shared("refused-partial-broadcast", kept, act_many, many),
        takes_turns("refused-unasked", unasked),
    ]
}

/// Somebody tries, and fails with this.
fn try_it(scene: &mut Scene, words: &str, error: i32) -> Result<Person> {
    let tries = scene.spawn("tries", words)?;
    let said = scene.ns.pid1.hear("tried")?;
    ensure!(said == format!("tried {error}"), "expected {error}: {said}");
    Ok(tries)
}

/// The same, and waits until it is told: what `/proc` shows of who is there is looked
/// up then.
fn try_and_see(scene: &mut Scene, sigtrace: &Sigtrace, words: &str, error: i32) -> Result<()> {
    try_it(scene, words, error)?;
    let by = format!(r#""pid":{},"#, scene.pid("tries"));
    sigtrace.wait_for(&[r#""event":"refused""#, &by])
}

/// The end of it all.
fn cleared(scene: &Scene, judge: &mut Judge<'_>, others: &[&str]) {
    judge.cleared(scene.pid1());
    for name in others {
        judge.zapped(name, scene.pid(name), scene.pid1());
    }
}

fn act_other_user(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let to = scene.spawn("sleeper", "")?.inside;
    try_it(scene, &format!("kill {TERM} {to} nobody"), libc::EPERM)?;
    scene.clear()
}

fn other_user(scene: &Scene, judge: &mut Judge<'_>) {
    let (by, to) = (scene.pid("tries"), scene.pid("sleeper"));
    judge
        .refused("the signal", (TERM, by), ("no-permission", Some("EPERM")))
        .is("/target/pid", &to.into())
        .field("/call", "kill")
        .field("/mechanism", "kill-syscall")
        .ancestor("keeper")
        .words(&["uid 65534", "different users", "no CAP_KILL"])
        .advises("CAP_KILL");
    cleared(scene, judge, &["sleeper", "tries"]);
}

fn landlock(_: &Host) -> Result<Set> {
    if sys::can_scope_signals() {
        return Scene::kept().map(Set::Ready);
    }
    Ok(Set::Skip(
        "this kernel has no Landlock that scopes signals (Linux 6.12, and enabled)".to_owned(),
    ))
}

/// Root in a Landlock domain, to a process of its own user and to one of another.
fn act_confined(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let to = scene.spawn("sleeper", "")?.inside;
    scene.ns.pid1.tell("spawn as-nobody handles USR1")?;
    let handles = scene.ns.pid1.meet("handles")?;
    scene.remember("handles", handles);
    let first = try_it(scene, &format!("kill {TERM} {to} confined"), libc::EPERM)?;
    scene.remember("first", first);
    let words = format!("kill {USR1} {} confined", handles.inside);
    try_it(scene, &words, libc::EPERM)?;
    scene.clear()
}

fn confined(scene: &Scene, judge: &mut Judge<'_>) {
    let (by, to) = (scene.pid("first"), scene.pid("sleeper"));
    judge
        .refused("the signal", (TERM, by), ("lsm-denied", Some("EPERM")))
        .is("/target/pid", &to.into())
        .words(&["a security module"]);
    let (by, to) = (scene.pid("tries"), scene.pid("handles"));
    judge
        .refused("with CAP_KILL", (USR1, by), ("lsm-denied", Some("EPERM")))
        .is("/target/pid", &to.into())
        .words(&["although it has CAP_KILL", "a security module"]);
    cleared(scene, judge, &["sleeper", "handles", "first", "tries"]);
}

/// A pid of the host's, which inside nobody has.
fn act_host_pid(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let to = scene.spawn("sleeper", "")?;
    ensure!(to.host > 30, "the host's pids are too low to be told apart");
    let words = format!("kill {TERM} {} root", to.host);
    try_and_see(scene, sigtrace, &words, libc::ESRCH)?;
    scene.clear()
}

fn host_pid(scene: &Scene, judge: &mut Judge<'_>) {
    let (by, to) = (scene.pid("tries"), scene.pid("sleeper"));
    judge
        .refused("the signal", (TERM, by), ("no-such-process", Some("ESRCH")))
        .is("/to/pid", &to.into())
        .absent("/target")
        .words(&[
            &format!("There is no process {to} in the PID namespace of tries {by}."),
            &format!(
                "{to} is the pid of sleeper {to} on the host; for tries {by} that process is 2"
            ),
        ])
        .advises("use the pid as the sender sees it: 2");
    cleared(scene, judge, &["sleeper", "tries"]);
}

fn act_thread(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    let to = scene.spawn("sleeper", "")?.inside;
    let words = format!("tgkill {TERM} {to} root");
    try_and_see(scene, sigtrace, &words, libc::ESRCH)?;
    scene.clear()
}

fn thread(scene: &Scene, judge: &mut Judge<'_>) {
    let (by, to) = (scene.pid("tries"), scene.pid("sleeper"));
    judge
        .refused("the signal", (TERM, by), ("no-such-process", Some("ESRCH")))
        .field("/call", "tgkill")
        .is("/to/tid", &i32::MAX.into())
        .words(&[&format!("sleeper {to}"), "has no thread"]);
    cleared(scene, judge, &["sleeper", "tries"]);
}

fn act_bad_signal(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let to = scene.spawn("sleeper", "")?.inside;
    try_it(scene, &format!("kill {NO_SIGNAL} {to} root"), libc::EINVAL)?;
    scene.clear()
}

fn bad_signal(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .refused(
            "the signal",
            (NO_SIGNAL, scene.pid("tries")),
            ("bad-signal", Some("EINVAL")),
        )
        .words(&["signal 99", "1 to 64"]);
    cleared(scene, judge, &["sleeper", "tries"]);
}

/// No thread has such a number.
fn act_no_thread(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    try_it(scene, &format!("tkill {TERM} 0 root"), libc::EINVAL)?;
    scene.clear()
}

fn no_thread(scene: &Scene, judge: &mut Judge<'_>) {
    let by = scene.pid("tries");
    judge
        .refused("the signal", (TERM, by), ("bad-argument", Some("EINVAL")))
        .absent("/target")
        .field("/call", "tkill")
        .field("/mechanism", "tkill-syscall");
    cleared(scene, judge, &["tries"]);
}

fn act_forged(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let to = scene.spawn("sleeper", "")?.inside;
    try_it(scene, &format!("queue {TERM} {to} root"), libc::EPERM)?;
    scene.clear()
}

fn forged(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .refused(
            "the signal",
            (TERM, scene.pid("tries")),
            ("forged-siginfo", Some("EPERM")),
        )
        .field("/call", "rt_sigqueueinfo")
        .field("/signal/code", "SI_USER")
        .advises("SI_QUEUE");
    cleared(scene, judge, &["sleeper", "tries"]);
}

/// The play itself, which is outside; /proc shows it inside, too.
fn act_outsider(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let words = format!("pidfd {CONT} {} root", play());
    try_it(scene, &words, libc::EINVAL)?;
    scene.clear()
}

fn outsider(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .refused(
            "the signal",
            (CONT, scene.pid("tries")),
            ("pidns-not-visible", Some("EINVAL")),
        )
        .field("/call", "pidfd_send_signal")
        .field("/mechanism", "pidfd-signal")
        .words(&["neither in its PID namespace nor in one below"]);
    cleared(scene, judge, &["tries"]);
}

/// To everybody, of whom one is of the same user.
fn act_many(scene: &mut Scene, sigtrace: &Sigtrace) -> Result<()> {
    scene.spawn("sleeper", "")?;
    scene.ns.pid1.tell("spawn as-nobody handles USR1")?;
    let handles = scene.ns.pid1.meet("handles")?;
    scene.remember("handles", handles);
    let first = try_it(scene, &format!("kill {USR1} -1 nobody"), 0)?;
    scene.remember("first", first);
    let target = format!(r#""target":{{"pid":{},"#, handles.host);
    sigtrace.wait_for(&[&target, r#""fate":"handled""#])?;
    try_it(scene, &format!("twice {WINCH} -1 nobody"), 0)?;
    scene.clear()
}

fn many(scene: &Scene, judge: &mut Judge<'_>) {
    let (by, to) = (scene.pid("first"), scene.pid("sleeper"));
    judge
        .signal(
            "the one that arrives",
            USR1,
            From::Process(by),
            scene.pid("handles"),
        )
        .fate("handled", None);
    judge
        .refused("the signal", (USR1, by), ("partial-broadcast", None))
        .is("/to/pid", &(-1).into())
        .is("/refused", &1.into())
        .is("/reached", &1.into())
        .is("/target/pid", &to.into())
        .words(&[
            "1 process may get it from there, 1 may not",
            "different users",
        ]);
    // What was counted of a call is not of the next one.
    let by = scene.pid("tries");
    for claim in ["the first of two", "the second of two"] {
        judge
            .refused(claim, (WINCH, by), ("partial-broadcast", None))
            .is("/refused", &1.into())
            .is("/reached", &2.into())
            .is("/target/pid", &to.into());
        for to in ["handles", "first"] {
            judge
                .signal(
                    "one that it reaches",
                    WINCH,
                    From::Process(by),
                    scene.pid(to),
                )
                .fate("dropped", Some("default-ignore"));
        }
    }
    cleared(scene, judge, &["sleeper", "handles", "first", "tries"]);
}

/// Unless it is asked for, nothing is hooked that other system calls would pay for,
/// and where that is fexit, what is refused is told all the same.
fn unasked(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["keeper"])?;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::attached(stage.host, &["--pidns", &ino, "-o", "json"])?;
    ns.pid1
        .tell(&format!("spawn tries kill {NO_SIGNAL} 1 root"))?;
    ns.pid1.hear("tried")?;
    let ended = sigtrace.interrupt()?.well()?;
    ns.pid1.end()?;
    let seen = Seen::read(&ended.lines);
    let hooks = seen.tracing["hooks"].as_array();
    let level = |name: &str| {
        let mut hooks = hooks.into_iter().flatten();
        let hook = hooks.find(|hook| hook["hook"] == name);
        hook.and_then(|hook| hook["level"].as_str())
    };
    let mut faults = seen.faults.clone();
    for name in ["sys_exit", "__x64_sys_kill", "check_kill_permission"] {
        if let Some(other) = level(name).filter(|level| *level != "fexit") {
            faults.push(format!(
                "{name} is hooked by {other}, and nobody asked for it"
            ));
        }
    }
    let told = seen
        .events
        .iter()
        .filter(|event| event.is_refused())
        .count();
    let expected = usize::from(level("__x64_sys_kill").is_some());
    if told != expected {
        faults.push(format!("{told} refused signals are told, not {expected}"));
    }
    Ok(Outcome::of(faults, &ended.lines))
}
