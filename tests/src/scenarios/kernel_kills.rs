//! Deaths by signals that the kernel itself sends, one scenario per cause. Who
//! runs at that moment is often a bystander; the report must not name it.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::signals::wait_until_dead;
use super::{kept, shared, Scenario, Scene};
use crate::judge::{From, Judge};
use crate::sys;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("fault", kept, |s, _| ends(s, "faults"), fault),
        shared("seccomp", kept, |s, _| ends(s, "forbidden"), seccomp),
        shared(
            "seccomp-strict",
            kept,
            |s, _| ends(s, "strict"),
            seccomp_strict,
        ),
        shared(
            "broken-pipe",
            kept,
            |s, _| ends(s, "no-reader"),
            |s, j| {
                own_doing(
                    s,
                    j,
                    "no-reader",
                    Signal::SIGPIPE,
                    "broken-pipe",
                    &["SIGPIPE by the kernel", "write to a pipe or socket without"],
                );
            },
        ),
        shared(
            "broken-pipe-sendfile",
            kept,
            |s, _| ends(s, "sends-file"),
            |s, j| {
                let root = "write to a pipe or socket without";
                let chain = ["SIGPIPE by the kernel", root];
                own_doing(s, j, "sends-file", Signal::SIGPIPE, "broken-pipe", &chain);
            },
        ),
        shared(
            "file-size-limit",
            kept,
            |s, _| ends(s, "too-large"),
            |s, j| {
                own_doing(
                    s,
                    j,
                    "too-large",
                    Signal::SIGXFSZ,
                    "file-size-limit",
                    &["SIGXFSZ by the kernel", "file size limit"],
                );
            },
        ),
        shared(
            "cpu-limit",
            kept,
            |s, _| ends(s, "spends"),
            |s, j| {
                own_doing(
                    s,
                    j,
                    "spends",
                    Signal::SIGXCPU,
                    "cpu-limit",
                    &["SIGXCPU by the kernel", "limit of processor time"],
                );
            },
        ),
        shared(
            "timer",
            kept,
            |s, _| ends(s, "rings"),
            |s, j| {
                let number = Signal::SIGALRM;
                by(
                    s,
                    j,
                    "rings",
                    number,
                    From::Nobody("timer"),
                    "timer",
                    &["SIGALRM by a timer"],
                );
            },
        ),
        shared(
            "parent-death-signal",
            kept,
            |s, _| follows(s, "bereaves", "bereaved"),
            |s, j| {
                let (parent, number) = (s.pid("bereaves"), Signal::SIGTERM);
                let cause = "parent-death-signal";
                by(
                    s,
                    j,
                    "bereaved",
                    number,
                    From::KernelFor(parent),
                    cause,
                    &["SIGTERM by the kernel", "end of its parent bereaves"],
                );
                j.death("the parent", parent).cause("exit", "exit", 0);
            },
        ),
    ]
}

pub(super) fn ends(scene: &mut Scene, role: &'static str) -> Result<()> {
    let pid = scene.spawn(role, "")?.host;
    wait_until_dead(pid)?;
    scene.clear()
}

/// The role's child is the one that is killed.
pub(super) fn follows(scene: &mut Scene, role: &'static str, child: &'static str) -> Result<()> {
    let parent = scene.spawn(role, "")?;
    let person = scene.ns.pid1.meet(child)?;
    scene.remember(child, person);
    // It waits for its child, or its child outlives it by a moment, or goes first.
    wait_until_dead(parent.host)?;
    if matches!(role, "bereaves" | "abandons" | "leads") {
        wait_until_dead(person.host)?;
    }
    scene.clear()
}

/// The signal and the death of somebody by the kernel.
pub(super) fn by(
    scene: &Scene,
    judge: &mut Judge<'_>,
    who: &str,
    signal: Signal,
    from: From,
    cause: &str,
    chain: &[&str],
) {
    ended(scene, judge, who, signal, from, cause, chain);
    judge.cleared(scene.pid1());
}

/// The same, before the scene is over.
pub(super) fn ended(
    scene: &Scene,
    judge: &mut Judge<'_>,
    who: &str,
    signal: Signal,
    from: From,
    cause: &str,
    chain: &[&str],
) {
    let pid = scene.pid(who);
    judge
        .signal("the signal", signal as i32, from, pid)
        .fate("fatal", None)
        .field("/cause", cause);
    judge
        .death("the target", pid)
        .cause(cause, "kernel-signal", 128 + signal as i32)
        .field("/signal", signal.as_str())
        .chain(chain);
}

pub(super) fn own_doing(
    scene: &Scene,
    judge: &mut Judge<'_>,
    who: &str,
    signal: Signal,
    cause: &str,
    chain: &[&str],
) {
    let from = From::KernelFor(scene.pid(who));
    by(scene, judge, who, signal, from, cause, chain);
}

fn fault(scene: &Scene, judge: &mut Judge<'_>) {
    let root = [
        "SIGSEGV by the kernel",
        "fault at address 0x10 in sigtrace-play+0x",
    ];
    own_doing(scene, judge, "faults", Signal::SIGSEGV, "fault", &root);
    let begins = match sys::own_offset(sys::read_near_zero as *const ()) {
        Ok(offset) => offset,
        Err(error) => return judge.fault(format!("where the role faults: {error:#}")),
    };
    // It is a short function.
    judge
        .last_death("the target", scene.pid("faults"))
        .field("/fault/object", "sigtrace-play")
        .within("/fault/object_offset", begins..begins + 64)
        .text_ends("/fault/path", "/sigtrace-play")
        .words(&["bytes into the file /"]);
}

fn seccomp(scene: &Scene, judge: &mut Judge<'_>) {
    let pid = scene.pid("forbidden");
    if judge.place.kernel != "5.10" {
        let root = ["SIGSYS by the kernel", "system call 110 of x86-64"];
        own_doing(scene, judge, "forbidden", Signal::SIGSYS, "seccomp", &root);
        return;
    }
    // Before 5.11 there is no signal: the process ends on the spot.
    judge
        .death("the target", pid)
        .cause("seccomp", "exit", 128 + libc::SIGSYS)
        .field("/signal", "SIGSYS")
        .chain(&["ended as if by SIGSYS", "system call 110 of x86-64"]);
    judge.cleared(scene.pid1());
}

/// SIGKILL is its status, and no signal was sent.
fn seccomp_strict(scene: &Scene, judge: &mut Judge<'_>) {
    judge
        .death("the target", scene.pid("strict"))
        .cause("seccomp", "exit", 128 + libc::SIGKILL)
        .field("/signal", "SIGKILL")
        .words(&["strict mode of seccomp"])
        .chain(&[
            "ended as if by SIGKILL",
            "system call 110 of x86-64 that strict seccomp",
        ]);
    judge.cleared(scene.pid1());
}
