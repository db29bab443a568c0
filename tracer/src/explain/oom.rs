//! Deaths for lack of memory: whose limit it was (`oom_kill_process`), who asked
//! for memory, who was chosen, and who dies because of that: its group, and those
//! who share its memory. That it is one is decided in [`super::kernel_cause`].

use crate::event::{printable, MemoryLevel, Oom, Signal, Task};
use crate::explain::report::{Certainty, Evidence, OomKill};
use crate::history::process::Fatal;
use crate::history::NotedOom;

use super::death::Death;
use super::verdict::View;
use super::{kernel_rules, stack, words};

/// A SIGKILL belongs to a lack of memory that is no older: the group of the
/// chosen one may be large.
const SPAN_NS: u64 = 60_000_000_000;
/// What a charge that fails may have been short of: memory is charged in
/// batches (`MEMCG_CHARGE_BATCH`, 64 pages).
const BATCH: u64 = 64 * 4096;

/// The lack of memory that a SIGKILL belongs to.
struct Lack<'a> {
    noted: &'a NotedOom,
    /// Whom the OOM killer chose, where that was another.
    chosen: Option<&'a Task>,
    /// The chosen one has the same memory.
    shared: bool,
}

/// It shares its memory with the chosen one, who is another; the frames are those
/// of the chosen one's own SIGKILL.
pub(super) fn shares_memory(view: View<'_>, fatal: &Fatal, s: &Signal) -> bool {
    find(view, fatal, s).is_some_and(|lack| lack.shared)
}

fn find<'a>(view: View<'a>, fatal: &Fatal, s: &Signal) -> Option<Lack<'a>> {
    let same_task = |n: &&NotedOom| {
        (n.time, n.event) < (fatal.time, fatal.event)
            && words::between(n.time, fatal.time) < SPAN_NS
            && n.oom.trigger.key == s.current.key
            && n.oom.trigger.tid == s.current.tid
    };
    let mine = |n: &&NotedOom| n.oom.choice.is_some() || n.oom.victim.key == s.target.key;
    let noted = view.history.ooms().filter(same_task).find(mine)?;
    let grouped = stack::has(&s.stack, kernel_rules::OOM_GROUP);
    if noted.oom.choice.is_some() {
        let other = noted.oom.victim.key != s.target.key;
        return Some(Lack {
            noted,
            chosen: other.then_some(&noted.oom.victim),
            shared: other && !grouped,
        });
    }
    // Each SIGKILL tells of its own target alone: who came first is found among
    // those before.
    let alone = |n: &&NotedOom| {
        let first = view.history.process(n.oom.victim.key);
        let first = first.and_then(|p| p.fatal.as_ref()?.signal.as_deref());
        first.is_some_and(|s| {
            stack::find(&s.stack, kernel_rules::OOM).is_some()
                && !stack::has(&s.stack, kernel_rules::OOM_GROUP)
        })
    };
    let before = || {
        let all = view.history.ooms().filter(same_task);
        all.filter(|n| n.event < noted.event && n.oom.victim.key != s.target.key)
    };
    // Of those who share memory the chosen one came first.
    let same_memory = |mm| before().rfind(move |n| mm != 0 && n.oom.mm == mm);
    let first = if grouped {
        let member = before().find(alone);
        member.and_then(|n| same_memory(n.oom.mm)).or(member)
    } else {
        same_memory(noted.oom.mm)
    };
    let shared = first.is_some() && !grouped;
    Some(Lack {
        noted,
        chosen: first.map(|n| &n.oom.victim),
        shared,
    })
}

/// Whose limit it was.
enum Limit<'a> {
    /// A control group's: at which level above the victim's own.
    Group(usize, &'a MemoryLevel),
    /// The machine's, or of the part of it that may be used.
    Machine,
    NotKnown,
}

/// With what is missing to be sure.
fn limit<'a>(oom: &'a Oom, of_group: bool) -> (Limit<'a>, Option<&'static str>) {
    if !of_group {
        return (Limit::Machine, None);
    }
    let levels = || oom.levels.iter().enumerate();
    if let Some(choice) = oom.choice {
        let found = choice
            .limited
            .and_then(|id| levels().find(|(_, l)| l.id == id));
        return (
            found.map_or(Limit::NotKnown, |(i, l)| Limit::Group(i, l)),
            None,
        );
    }
    let limited: Vec<_> = levels().filter(|(_, l)| l.limit.is_some()).collect();
    if let (&[(i, l)], true) = (&*limited, oom.whole) {
        return (Limit::Group(i, l), None);
    }
    let reached = |l: &MemoryLevel| {
        l.limit
            .is_some_and(|max| l.usage.saturating_add(BATCH) >= max)
    };
    let mut at_limit = limited.into_iter().filter(|(_, l)| reached(l));
    match (at_limit.next(), at_limit.next()) {
        (Some((i, l)), None) => (
            Limit::Group(i, l),
            Some("the OOM killer's own word whose limit it was (oom_kill_process is not hooked): this one was reached"),
        ),
        _ => (Limit::NotKnown, None),
    }
}

/// The path of a control group, as the host sees it.
fn path(oom: &Oom, from: usize) -> String {
    let names = oom.levels[from..].iter().rev();
    let names: Vec<_> = names
        .map(|l| printable(&l.name))
        .filter(|name| !name.is_empty())
        .collect();
    let begin = if oom.whole { "/" } else { "…/" };
    format!("{begin}{}", names.join("/"))
}

/// Sentences, the chain's root and advice, for the causes of this file.
pub(super) fn explain(view: View<'_>, fatal: &Fatal, s: &Signal, cause: &str, d: &mut Death) {
    let other = words::who(&s.current);
    let of_group = stack::has(&s.stack, "mem_cgroup_out_of_memory");
    let lack = find(view, fatal, s);
    let oom = lack.as_ref().map(|l| &l.noted.oom);
    let (limit, missing) = oom.map_or((Limit::NotKnown, None), |oom| limit(oom, of_group));
    if let Some(lack) = &lack {
        d.evidence(Evidence::Event(lack.noted.event));
    }
    if let Some(missing) = missing {
        d.missing(missing, Certainty::Inferred);
    }
    let (what, root) = ran_out(oom, &limit, of_group, &other);
    let chosen = lack.as_ref().and_then(|l| l.chosen);
    let who = chosen.map_or_else(|| "another process".to_owned(), words::who);
    let asking = if s.current.key == s.target.key {
        "It was asking for memory itself at that moment.".to_owned()
    } else {
        format!("{other} was asking for memory at that moment.")
    };
    d.say(match cause {
        "oom-group" => format!("{what}, and nothing could be reclaimed. The kernel's OOM killer chose {who}, and memory.oom.group asks that the whole control group die with it."),
        "oom-shared-mm" => format!("{what}, and nothing could be reclaimed. The kernel's OOM killer chose {who}, and as long as this process holds the same memory, nothing is freed: so it was killed too."),
        _ => format!("{what} and nothing could be reclaimed, so the kernel's OOM killer chose this process."),
    });
    d.say(asking);
    of_pid1(view, s, d);
    d.link(None, root);
    d.advise(if of_group {
        "raise the memory limit (docker run --memory, memory.max), or find what uses the memory; the kernel log has the table of candidates (dmesg)"
    } else {
        "limit what uses the memory, or add some; oom_score_adj decides who is chosen"
    });
    d.oom = oom.map(|oom| {
        let (scope, cgroup, max, usage) = match limit {
            Limit::Group(0, l) => (Some("own"), Some(path(oom, 0)), l.limit, Some(l.usage)),
            Limit::Group(i, l) => (Some("parent"), Some(path(oom, i)), l.limit, Some(l.usage)),
            Limit::Machine => (Some("global"), None, oom.choice.map(|c| c.total), None),
            Limit::NotKnown => (None, None, None, None),
        };
        Box::new(OomKill {
            scope,
            cgroup,
            limit: max,
            usage,
            trigger: s.current.clone(),
            chosen: chosen.cloned(),
        })
    });
}

/// What ran out, as the beginning of a sentence and as a link of the chain.
fn ran_out(oom: Option<&Oom>, limit: &Limit<'_>, of_group: bool, other: &str) -> (String, String) {
    match (oom, limit) {
        (Some(oom), &Limit::Group(at, level)) => {
            let max = words::bytes(level.limit.unwrap_or(level.usage));
            let own = path(oom, 0);
            let whole = path(oom, at);
            let whose = if at == 0 {
                format!("Its control group {own}")
            } else {
                format!("The control group {whole}, which its own ({own}) is part of,")
            };
            (
                format!(
                    "{whose} reached its memory limit of {max} ({} in use)",
                    words::bytes(level.usage)
                ),
                format!("memory limit of {max} of control group {whole} reached by {other}"),
            )
        }
        (Some(oom), Limit::Machine) => {
            let choice = oom.choice;
            let total = choice.map_or_else(String::new, |c| {
                format!(" (of {} with swap)", words::bytes(c.total))
            });
            let what = match choice.map(|c| c.constraint) {
                Some(1) => format!("The memory nodes that {other} may use (cpuset) had no memory left{total}"),
                Some(2) => format!("The memory nodes that {other} is bound to (memory policy) had no memory left{total}"),
                _ => format!("The machine ran out of memory{total}"),
            };
            (what, format!("no memory left for {other}"))
        }
        _ if of_group => (
            "Its control group or one around it reached its memory limit".to_owned(),
            format!("memory limit of its control group reached by {other}"),
        ),
        _ => (
            "The machine ran out of memory".to_owned(),
            format!("no memory left for {other}"),
        ),
    }
}

/// What that means for its PID namespace.
fn of_pid1(view: View<'_>, s: &Signal, d: &mut Death) {
    let Some(ns) = s.target.pidns() else { return };
    if s.target.is_pid1() {
        return d.say("It was PID 1, so everything in its PID namespace ends with it.");
    }
    let alive = view
        .history
        .pid1(ns)
        .filter(|one| one.exit.or(one.exiting).is_none() && one.fatal.is_none());
    if alive.is_some() {
        d.say("PID 1 of its namespace was still alive then.");
    }
}
