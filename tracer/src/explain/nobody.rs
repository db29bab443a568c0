//! ESRCH: nobody has that pid where the sender looks. Pids count per PID namespace,
//! so somebody may have it elsewhere, and somebody may have had it before.

use crate::event::{BootTime, Call, Refused, Task};
use crate::history::process::Process;

use super::refused::refused;
use super::verdict::{Verdict, View};
use super::words;

/// So many of those who have that pid elsewhere are named.
const NAMED: usize = 2;

pub(crate) fn verdict(view: View<'_>, time: BootTime, r: &Refused) -> Verdict {
    let by = words::who(&r.current);
    let v = refused().because("no-such-process");
    let Some(pid) = r.wanted_pid() else {
        return many(v, r, &by);
    };
    if r.call == Call::Tkill {
        return v.say(format!("There is no thread {} where {by} looks.", r.tid));
    }
    let own = r.current.pidns();
    let seen = namesakes(view, r, pid);
    let there = seen.iter().find(|task| inside(task, own) == Some(pid));
    if let Some(task) = there.filter(|_| r.tid != 0) {
        return v.say(format!(
            "{} (pid {pid} for {by}) has no thread {}: it has ended, or never was one of that process.",
            words::who(task),
            r.tid
        ));
    }
    let place = match own {
        None => "on the host".to_owned(),
        Some(_) => format!("in the PID namespace of {by}"),
    };
    let v = match before(view, own, pid) {
        Some(process) if there.is_none() => had(v, time, process, pid, &place),
        // Whether there is one without that thread nobody knows.
        _ if r.tid != 0 => v.say(format!(
            "There is no thread {} of a process {pid} {place}.",
            r.tid
        )),
        _ => v.say(format!("There is no process {pid} {place}.")),
    };
    let others = seen.iter().filter(|task| inside(task, own) != Some(pid));
    others
        .take(NAMED)
        .fold(v, |v, task| elsewhere(v, task, own, pid, &by))
}

/// Who has that pid somewhere: those who are traced, and those whom a look found.
fn namesakes(view: View<'_>, r: &Refused, pid: u32) -> Vec<Task> {
    // What a look finds has the name of now.
    let mut found: Vec<Task> = r.namesakes.clone().unwrap_or_default();
    for process in view.history.called(pid) {
        if found
            .iter()
            .all(|seen| seen.key.pid != process.task.key.pid)
        {
            found.push(process.task.clone());
        }
    }
    // Low pids are in every container: of those whom the sender cannot see, the
    // host's alone may have been meant.
    let own = r.current.pidns();
    found.retain(|task| task.key.pid == pid || inside(task, own).is_some());
    // On the host first, then in the order of their pids.
    found.sort_by_key(|task| (task.key.pid != pid, task.key));
    found
}

/// A process group, or everybody.
fn many(v: Verdict, r: &Refused, by: &str) -> Verdict {
    match (r.call, r.pid) {
        (Call::Pidfd, fd) => v.say(format!(
            "The process that the descriptor {fd} of {by} stands for has ended and was reaped."
        )),
        (_, -1) if r.current.is_pid1() => v.say(format!("{by} can see no process but itself.")),
        (_, -1) => v.say(format!("{by} can see no process but itself and PID 1.")),
        (_, pid) => v.say(format!(
            "There is no process group {} where {by} looks.",
            pid.unsigned_abs()
        )),
    }
}

/// The pid of a process as the namespace `own` has it.
fn inside(task: &Task, own: Option<u32>) -> Option<u32> {
    match own {
        None => Some(task.key.pid),
        Some(ns) => task.pid_in(ns),
    }
}

/// The last one that had it and is dead.
fn before(view: View<'_>, own: Option<u32>, pid: u32) -> Option<&Process> {
    let ended = |process: &&Process| process.exit.is_some();
    match own {
        None => view.history.with_pid(pid).filter(ended),
        Some(ns) => {
            let had = view.history.members(ns);
            let had = had.filter(|process| process.task.pid_in(ns) == Some(pid));
            had.filter(ended)
                .max_by_key(|process| process.exit.map(|exit| exit.time))
        }
    }
}

fn had(v: Verdict, time: BootTime, process: &Process, pid: u32, place: &str) -> Verdict {
    let Some(exit) = process.exit else { return v };
    v.event(exit.event).say(format!(
        "There is no process {pid} {place} any more: it was {}, which ended {} before.",
        words::who(&process.task),
        words::span(words::between(exit.time, time))
    ))
}

/// Somebody has that pid, in another namespace.
fn elsewhere(v: Verdict, task: &Task, own: Option<u32>, pid: u32, by: &str) -> Verdict {
    let who = words::who(task);
    let where_it_is = match task.key.pid == pid {
        true => "on the host".to_owned(),
        false => "in another PID namespace".to_owned(),
    };
    match inside(task, own) {
        Some(right) => v
            .say(format!(
                "{pid} is the pid of {who} {where_it_is}; for {by} that process is {right}."
            ))
            .advise(format!("use the pid as the sender sees it: {right}")),
        None => v.say(format!(
            "{pid} is the pid of {who} {where_it_is}, which {by} cannot see."
        )),
    }
}
