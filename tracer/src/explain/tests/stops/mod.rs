//! The stops of containers: the runtime's stop signal, what kept it from
//! working, the end of the grace period, and what only looks like it.

mod crowd;
mod engine;
mod grace;
mod ineffective;
mod not_a_stop;
mod runtime;

use super::world::*;
use crate::event::{
    Container, Dispositions, EngineAction, EngineEvent, Fact, Handler, Home, ProcessKey, Task,
};
use crate::explain::report::{Certainty, ExitReport, Report, Sender, Update};
use crate::explain::signals::*;
use crate::explain::Awaited;

pub(super) const WINCH: i32 = 28;
pub(super) const SHIM: &[(u32, &str)] = &[(900, "containerd-shim"), (1, "systemd")];
pub(super) const CGROUP_KILL: &[&str] = &[
    "__cgroup_kill",
    "cgroup_kill_write",
    "kernfs_fop_write_iter",
];

/// PID 1 is the shim's child, as under Docker.
pub(super) fn one() -> Task {
    Task {
        ppid: 900,
        ..member(100, 1, "init")
    }
}

pub(super) fn runc(pid: u32) -> Task {
    Task {
        ppid: 900,
        ..host(pid, "runc")
    }
}

/// A container of Docker with a grace period of 3 s, and one process more.
pub(super) fn container(stop_signal: i32) -> (World, Task, Task) {
    let mut w = World::new();
    let (sh, one, child) = (host(50, "sh"), one(), member(101, 2, "app"));
    w.push(Fact::Container(Box::new(Container {
        home: Home::PidNs(NS),
        id: "1dcad40f27d5".into(),
        engine: Some("docker".into()),
        stop_signal: Some(stop_signal),
        grace_ns: Some(3_000 * MS),
        told: true,
        shared: None,
    })));
    w.fork(&sh, &one);
    w.fork(&one, &child);
    (w, one, child)
}

pub(super) fn term<'w>(w: &'w mut World, one: &Task, number: i32) -> Sending<'w> {
    w.send(&runc(950), one, number).ancestry(SHIM)
}

/// The runtime's SIGKILL, and the end of everything.
pub(super) fn killed(w: &mut World, one: &Task, child: &Task) -> Told {
    w.send(&runc(960), one, KILL).ancestry(SHIM).fatal();
    ended(w, one, child)
}

pub(super) fn ended(w: &mut World, one: &Task, child: &Task) -> Told {
    w.exit(one, KILL);
    w.zapped(one, child);
    w.run()
}

pub(super) fn caught(number: i32) -> Dispositions {
    Dispositions {
        state: b'S',
        caught: bit(number),
        ..Dispositions::default()
    }
}

pub(super) fn advice(e: &ExitReport) -> String {
    e.explanation.advice.join(" ")
}

#[track_caller]
pub(super) fn is_timeout(e: &ExitReport, contributing: &[&str]) {
    assert_eq!(e.cause, "stop-timeout", "{e:#?}");
    assert_eq!(e.contributing, contributing, "{e:#?}");
    assert_eq!(e.explanation.certainty, Certainty::Proven, "{e:#?}");
}
