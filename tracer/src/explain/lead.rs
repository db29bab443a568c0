//! Who comes first in a container: PID 1 of its PID namespace or, of a container
//! that shares its PID namespace with others, its own first process. Its runtime
//! sends it the stop signal, and the container is over when it ends; but only a
//! PID 1 takes all others with it.

use crate::event::{Home, Shared, Task};
use crate::history::process::Process;
use crate::history::History;

/// The first process of a container.
#[derive(Clone, Copy)]
pub(crate) struct Lead<'a> {
    /// The process.
    pub(crate) one: &'a Process,
    /// Its container.
    pub(crate) home: Home,
}

/// What the first process is called in a sentence.
#[derive(Clone, Copy)]
pub(crate) struct Called {
    /// At its beginning.
    pub(crate) first: &'static str,
    /// In its middle.
    pub(crate) then: &'static str,
}

/// The PID namespace that a process's container shares.
pub(crate) fn shared<'a>(history: &'a History, task: &Task) -> Option<&'a Shared> {
    let home = Home::Cgroup(task.cgroup?);
    history.looked_up.container_of(home)?.shared.as_ref()
}

/// Those of the containers that a process is in, the innermost first.
pub(crate) fn all<'a>(history: &'a History, task: &Task) -> impl Iterator<Item = Lead<'a>> {
    let mut homes: Vec<_> = task.namespaces.iter().map(|&ns| Home::PidNs(ns)).collect();
    let shared = shared(history, task);
    if let (Some(shared), Some(id)) = (shared, task.cgroup) {
        // In the namespace that it shares, and around those that it has made itself.
        let around = shared.pidns.map(Home::PidNs);
        let at = homes.iter().position(|&home| Some(home) == around);
        homes.insert(at.map_or(0, |at| at + 1), Home::Cgroup(id));
    }
    homes.into_iter().rev().filter_map(move |home| {
        let one = match home {
            Home::PidNs(ns) => history.pid1(ns),
            Home::Cgroup(_) => history.process(shared?.first?),
        };
        Some(Lead { one: one?, home })
    })
}

/// That of the container that a process is in.
pub(crate) fn of<'a>(history: &'a History, task: &Task) -> Option<Lead<'a>> {
    let innermost = match (shared(history, task), task.pidns()) {
        (Some(shared), own) if shared.pidns == own => Home::Cgroup(task.cgroup?),
        (_, own) => Home::PidNs(own?),
    };
    all(history, task).find(|lead| lead.home == innermost)
}

/// The container that a process is the first of.
pub(crate) fn led(history: &History, task: &Task) -> Option<Home> {
    if let Some(ns) = task.pidns().filter(|_| task.is_pid1()) {
        return Some(Home::PidNs(ns));
    }
    let first = shared(history, task)?.first?;
    let is = history.resolve(first) == history.resolve(task.key);
    Some(Home::Cgroup(task.cgroup?)).filter(|_| is)
}

/// What to call it.
pub(crate) fn called(one: &Process) -> Called {
    if one.task.is_pid1() {
        let (first, then) = ("PID 1", "PID 1");
        Called { first, then }
    } else {
        let (first, then) = ("The first process", "the first process");
        Called { first, then }
    }
}
