//! Forks that the kernel rejected: which limit said no. `copy_process` asks in this
//! order: the user's processes (RLIMIT_NPROC), the machine's threads (threads-max), the
//! scheduler, memory, a pid (`alloc_pid`), the control groups (`pids_can_fork`). What
//! of that was seen decides; what was not is told from the numbers, and is inferred.

use std::sync::Arc;

use crate::event::{printable, BootTime, ForkRejected, FullGroup, LikeFork, Stage};
use crate::explain::report::{ForkLimit, ForkReport, Report, Zombies};
use crate::history::hash::Map;
use crate::history::note::Fate;
use crate::history::process::Process;

use super::engine::Engine;
use super::recent::Recent;
use super::verdict::{Verdict, View};
use super::{runtime, signals, words};

const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
/// Pids below are given once only (`RESERVED_PIDS` of `kernel/pid.c`).
const RESERVED: u64 = 300;
/// The last one told of each kind.
pub(super) type ToldForks = Recent<LikeFork, Arc<ForkReport>>;

/// `EAGAIN`, as errno(3) has it.
pub(crate) fn error_name(error: i32) -> &'static str {
    if error == ENOMEM {
        "ENOMEM"
    } else {
        "EAGAIN"
    }
}

/// `a process`, `a thread`.
pub(crate) fn what(thread: Option<bool>) -> &'static str {
    match thread {
        Some(false) => "a process",
        Some(true) => "a thread",
        None => "a process or a thread",
    }
}

impl Engine {
    pub(super) fn fork_rejected(&mut self, id: u64, time: BootTime, fork: Box<ForkRejected>) {
        let like = LikeFork::of(&fork);
        let filter = &self.coverage.filter;
        let named = filter.names(&fork.current);
        let into = fork.ns.is_some_and(|ns| filter.names_pidns(ns));
        if !named && !into {
            return self.told_forks.put(like, None);
        }
        if named {
            self.history.see(&fork.current, true);
        }
        let (verdict, limit) = verdict(self.view(), time, &fork);
        let report = ForkReport {
            id,
            time,
            pidns: if named { fork.current.pidns() } else { fork.ns },
            ancestry: runtime::forebears(&self.history, &fork.current, &fork.ancestry),
            task: fork.current,
            thread: fork.thread,
            error: fork.error,
            reason: verdict.reason.unwrap_or("unknown"),
            limit,
            explanation: verdict.explanation,
            count: 1,
        };
        self.summary.forks_rejected += 1;
        self.told_forks.put(like, Some(Arc::new(report.clone())));
        self.outbox
            .push(time, id, Report::ForkRejected(Box::new(report)));
    }

    pub(super) fn forks_counted(
        &mut self,
        id: u64,
        time: BootTime,
        like: &LikeFork,
        count: u64,
        last: BootTime,
    ) {
        let told = match self.told_forks.get(like) {
            Some(Some(told)) => Arc::clone(told),
            Some(None) => return,
            // The first of them were lost, so that nobody knows who they are.
            None => return self.lost(id, time, ("fork_rejected", count), false),
        };
        self.summary.forks_rejected += count;
        let report = ForkReport {
            id,
            time: last,
            count,
            ..(*told).clone()
        };
        self.outbox
            .push(last, id, Report::ForkRejected(Box::new(report)));
    }
}

fn rejected(reason: &'static str) -> Verdict {
    Verdict::proven(Fate::Rejected).because(reason)
}

/// Why, and at which limit.
fn verdict(view: View<'_>, time: BootTime, fork: &ForkRejected) -> (Verdict, Option<ForkLimit>) {
    let by = format!(
        "{} could not make {}",
        words::who(&fork.current),
        what(fork.thread)
    );
    let (reason, missing) = decide(fork);
    let v = rejected(reason);
    let (v, limit) = match reason {
        "pids-limit" => pids_limit(view, fork, v, &by),
        "nproc-limit" => nproc_limit(view, fork, v, &by),
        "pid-max" => pid_max(view, fork, v, &by),
        "pidns-dead" => (pidns_dead(view, time, fork, v, &by), None),
        "no-memory" => (no_memory(v, &by), None),
        "deadline-task" => (deadline(v, &by), None),
        _ => {
            let v = Verdict::unknown(missing.unwrap_or("which of the kernel's limits said no"));
            return (v.say(format!("{by}: {}.", error_name(fork.error))), None);
        }
    };
    let v = match missing {
        Some(missing) => v.but(missing),
        None => v,
    };
    (v, limit)
}

/// The reason, and what is missing to be sure.
fn decide(fork: &ForkRejected) -> (&'static str, Option<&'static str>) {
    const BY_CALL: &str = "which check of copy_process failed (it is not hooked): the numbers \
                           just after it allow this alone, unless a seccomp filter answered";
    let by_call = (fork.stage == Stage::Unknown).then_some(BY_CALL);
    match (fork.error, fork.stage) {
        (ENOMEM, _) if fork.ns_dead => ("pidns-dead", by_call),
        (ENOMEM, _) => ("no-memory", by_call),
        (_, Stage::Pids) => ("pids-limit", None),
        (_, Stage::AllocPid) => ("pid-max", None),
        (EAGAIN, stage) => {
            let unseen =
                |seen: bool, what| by_call.or((stage == Stage::Other && !seen).then_some(what));
            let both = fork.sees_alloc_pid && fork.sees_pids;
            if full_user(fork) {
                let what = "whether alloc_pid or pids_can_fork failed (not hooked): the user's \
                            limit is reached";
                ("nproc-limit", unseen(both, what))
            } else if fork.deadline {
                ("deadline-task", by_call)
            } else if full_machine(fork) {
                let what = "how many threads there were at that moment: they were counted just \
                            after it";
                ("pid-max", Some(what))
            } else if !fork.sees_alloc_pid && full_ns(fork) {
                let what = "whether alloc_pid failed (not hooked): the pids are used up";
                ("pid-max", unseen(false, what))
            } else if !fork.sees_pids && fork.group.is_some() {
                let what = "whether pids_can_fork failed (not hooked): the limit of its control \
                            group is reached";
                ("pids-limit", unseen(false, what))
            } else {
                let what = "which check of copy_process failed: no limit that was looked at is \
                            reached any more";
                ("unknown", Some(what))
            }
        }
        _ => ("unknown", Some("what this error means here")),
    }
}

fn full_user(fork: &ForkRejected) -> bool {
    !fork.nproc_exempt && fork.nproc.is_some_and(|(count, limit)| count >= limit)
}

fn full_machine(fork: &ForkRejected) -> bool {
    fork.machine.is_some_and(|m| m.threads >= m.threads_max)
}

/// Of one whose limit is not its own, the machine's counts.
fn full_ns(fork: &ForkRejected) -> bool {
    let max = |own: Option<u32>| match own {
        Some(own) => Some(u64::from(own)),
        None => fork.machine.map(|m| m.pid_max),
    };
    fork.full.is_some_and(|full| {
        max(full.max).is_some_and(|max| u64::from(full.count) + RESERVED >= max)
    })
}

fn pids_limit(
    view: View<'_>,
    fork: &ForkRejected,
    v: Verdict,
    by: &str,
) -> (Verdict, Option<ForkLimit>) {
    let v = v.field("pids_can_fork=-EAGAIN");
    let Some(group) = &fork.group else {
        let v = v.say(format!(
            "{by}: its control group or one around it had as many tasks as it may have (pids.max)."
        ));
        return (v.advise("raise pids.max (docker run --pids-limit)"), None);
    };
    let path = path(group);
    let whose = if group.depth == 0 {
        format!("its control group {path}")
    } else {
        format!("the control group {path}, which its own is part of,")
    };
    let v = v
        .field(format!("pids.current={}", group.count))
        .field(format!("pids.max={}", group.max))
        .say(format!(
            "{by}: {whose} may have no more than {} (pids.max), and has {}.",
            words::count(group.max, "task", "tasks"),
            group.count
        ));
    let dead = zombies(view, fork);
    let limit = ForkLimit {
        of: "pids.max",
        current: Some(group.count),
        max: Some(group.max),
        cgroup: Some(path),
        scope: Some(if group.depth == 0 { "own" } else { "parent" }),
        zombies: dead.clone(),
        ..ForkLimit::default()
    };
    let v = with_zombies(v, dead.as_ref(), "Those in this control group", group.max, "raise pids.max (docker run --pids-limit), or find what starts so many processes and threads");
    (v, Some(limit))
}

/// As the host sees it.
fn path(group: &FullGroup) -> String {
    let names: Vec<_> = group
        .names
        .iter()
        .rev()
        .map(|name| printable(name))
        .collect();
    let begin = if group.whole { "/" } else { "…/" };
    format!("{begin}{}", names.join("/"))
}

/// `which`: those of them that this limit is about, whom the history does not tell from
/// the others.
fn with_zombies(
    v: Verdict,
    dead: Option<&Zombies>,
    which: &str,
    max: u64,
    otherwise: &str,
) -> Verdict {
    let Some(dead) = dead else {
        return v.advise(otherwise);
    };
    let whose = match &dead.parent {
        Some(parent) if dead.of_parent == dead.count => {
            format!("{} has not waited for them", words::who(parent))
        }
        Some(parent) => format!(
            "{} has not waited for {} of them",
            words::who(parent),
            dead.of_parent
        ),
        None => "nobody has waited for them".to_owned(),
    };
    let v = v.say(format!(
        "{} in its PID namespace: {whose}. {which} still count.",
        words::count(
            dead.count,
            "process is dead and not reaped",
            "processes are dead and not reaped"
        )
    ));
    match &dead.parent {
        Some(parent) if dead.count.saturating_mul(2) >= max => v.advise(format!(
            "let {} wait() for its children, or have an init do it (docker run --init, tini); \
             a higher limit only fills up later",
            words::who(parent)
        )),
        _ => v.advise(otherwise),
    }
}

/// The dead in the PID namespace of who tried that nobody has reaped, as far as is
/// known; `None`: there are none, or that cannot be said.
fn zombies(view: View<'_>, fork: &ForkRejected) -> Option<Zombies> {
    zombies_of(view, fork, |_| true)
}

/// Those that are of it alone.
fn zombies_of(
    view: View<'_>,
    fork: &ForkRejected,
    counts: impl Fn(&Process) -> bool,
) -> Option<Zombies> {
    let history = view.history;
    if history.lost_since("reap", BootTime(0)) > 0 {
        return None;
    }
    let ns = fork.current.pidns()?;
    let is_dead = |process: &&Process| {
        let found = process.dispositions.is_some_and(|d| d.state == b'Z');
        !process.reaped && !process.missed && (process.exit.is_some() || found)
    };
    let mut of: Map<Option<_>, u64> = Map::default();
    for process in history.members(ns).filter(is_dead).filter(|p| counts(p)) {
        *of.entry(process.parent).or_default() += 1;
    }
    let count = of.values().sum();
    let (parent, of_parent) = of.into_iter().max_by_key(|&(key, count)| (count, key))?;
    let parent = parent.and_then(|key| history.process(key));
    Some(Zombies {
        count,
        parent: parent.map(|parent| parent.task.clone()),
        of_parent,
    })
}

fn nproc_limit(
    view: View<'_>,
    fork: &ForkRejected,
    v: Verdict,
    by: &str,
) -> (Verdict, Option<ForkLimit>) {
    let uid = fork.current.uid;
    let (count, max) = fork.nproc.unwrap_or_default();
    let v = v
        .field(format!("RLIMIT_NPROC={max}"))
        .field(format!("processes of uid {uid}: {count}"))
        .say(format!(
            "{by}: user {uid} may have {} (RLIMIT_NPROC of this process), and has {count}, on the \
             whole machine and in every container that uses the same uid.",
            words::count(max, "process or thread", "processes and threads")
        ));
    let dead = zombies_of(view, fork, |dead| dead.task.uid == uid);
    let limit = ForkLimit {
        of: "RLIMIT_NPROC",
        current: Some(count),
        max: Some(max),
        uid: Some(uid),
        zombies: dead.clone(),
        ..ForkLimit::default()
    };
    let v = with_zombies(v, dead.as_ref(), "Those of this user", max, "raise the limit (ulimit -u, docker run --ulimit nproc=…, LimitNPROC=), or run this as a user of its own");
    (v, Some(limit))
}

fn pid_max(
    view: View<'_>,
    fork: &ForkRejected,
    v: Verdict,
    by: &str,
) -> (Verdict, Option<ForkLimit>) {
    let dead = zombies(view, fork);
    if fork.stage != Stage::AllocPid && full_machine(fork) {
        let (threads, max) = fork.machine.map_or((0, 0), |m| (m.threads, m.threads_max));
        let v = v.field(format!("kernel.threads-max={max}")).say(format!(
            "{by}: this machine may have {} (kernel.threads-max), and has {threads}.",
            words::count(max, "thread", "threads")
        ));
        let limit = ForkLimit {
            of: "kernel.threads-max",
            current: Some(threads),
            max: Some(max),
            zombies: dead,
            ..ForkLimit::default()
        };
        return (
            v.advise("raise kernel.threads-max, or find what leaks processes"),
            Some(limit),
        );
    }
    let v = if fork.stage == Stage::AllocPid {
        v.field("alloc_pid=-EAGAIN")
    } else {
        v
    };
    let own = fork.full.and_then(|full| full.max).map(u64::from);
    let max = own.or(fork.machine.map(|m| m.pid_max));
    let count = fork.full.map(|full| u64::from(full.count));
    let place = match (fork.full, own) {
        (Some(full), Some(_)) if full.level > 0 => format!("PID namespace {}", full.ns),
        _ => "This machine".to_owned(),
    };
    let v = match (max, count) {
        (Some(max), Some(count)) => v.field(format!("kernel.pid_max={max}")).say(format!(
            "{by}: there is no free pid. {place} has pids below {max} (kernel.pid_max), {count} \
             are in use, and those below {RESERVED} are given once only."
        )),
        _ => v.say(format!("{by}: there is no free pid (kernel.pid_max).")),
    };
    let limit = ForkLimit {
        of: "kernel.pid_max",
        current: count,
        max,
        pidns: fork
            .full
            .filter(|full| full.level > 0 && full.max.is_some())
            .map(|full| full.ns),
        zombies: dead.clone(),
        ..ForkLimit::default()
    };
    let v = with_zombies(v, dead.as_ref(), "They", max.unwrap_or(u64::MAX), "raise kernel.pid_max (since Linux 6.14 each PID namespace has its own), or find what leaks processes");
    (v, Some(limit))
}

fn pidns_dead(
    view: View<'_>,
    time: BootTime,
    fork: &ForkRejected,
    v: Verdict,
    by: &str,
) -> Verdict {
    let ns = fork.ns.unwrap_or_default();
    let outside = fork.current.pidns() != fork.ns;
    let place = if outside {
        format!("PID namespace {ns}, which its children would be in,")
    } else {
        "its PID namespace".to_owned()
    };
    let v = v
        .field("pid_namespace.pid_allocated: PIDNS_ADDING is off")
        .say(format!(
            "{by}: PID 1 of {place} is gone, and a PID namespace without it takes no new process. \
             That there is \"not enough memory\" (ENOMEM) is only how the kernel says it."
        ));
    let v = how_it_ended(view, time, fork, v);
    v.advise("start a new container, or unshare a new PID namespace: the first process there has to stay as long as others shall start")
}

/// Of that PID 1, where it is known to be that one: an inode is given again.
fn how_it_ended(view: View<'_>, time: BootTime, fork: &ForkRejected, v: Verdict) -> Verdict {
    let Some(ns) = fork.ns else { return v };
    let inside = fork.current.pidns() == Some(ns);
    let own = |one: &&Process| {
        let first = one.task.is_pid1() && one.task.pidns() == Some(ns);
        first && (inside || one.parent == Some(fork.current.key))
    };
    let found = view.history.members(ns).filter(own);
    let Some(one) = found.max_by_key(|one| one.task.key.start_ns) else {
        return v;
    };
    let Some(end) = one.exit.or(one.exiting) else {
        return v;
    };
    let how = match end.status & 0x7f {
        0 => format!("exited with status {}", end.status >> 8 & 0xff),
        number => format!("was ended by {}", signals::name(number)),
    };
    v.event(end.event).say(format!(
        "It was {}, which {how} {} before.",
        words::who(&one.task),
        words::span(words::between(end.time, time))
    ))
}

fn no_memory(v: Verdict, by: &str) -> Verdict {
    v.field("copy_process=-ENOMEM").say(format!(
        "{by}: the kernel had no memory for it, or the memory that its copy could use may not be \
         promised (vm.overcommit_memory)."
    ))
    .advise("look for memory pressure at that time; with vm.overcommit_memory=2 compare Committed_AS and CommitLimit in /proc/meminfo, and start programs with posix_spawn or vfork, which promise nothing twice")
}

fn deadline(v: Verdict, by: &str) -> Verdict {
    v.field("policy=SCHED_DEADLINE").say(format!(
        "{by}: a thread with the policy SCHED_DEADLINE may make none, unless SCHED_FLAG_RESET_ON_FORK is set."
    ))
    .advise("set SCHED_FLAG_RESET_ON_FORK, or start others from a thread with another policy")
}
