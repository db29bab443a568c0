//! Which line and which rows a report becomes in text. Pure: a report in, a
//! [`Block`] out. When it is written, and whether, is [`super::text`]'s.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    crowd::{Held, Key},
    lines::{Block, Step, Tone},
    select, wording, Context,
};
use crate::{
    event::{BootTime, Task},
    explain::{
        forks,
        path::{KernelPath, Source, Stack},
        place,
        refused::{described, error_name},
        report::{
            Certainty, Evidence, ExitReport, Explanation, ForkReport, Link, RefusedReport, Report,
            SignalReport, Unreaped,
        },
        signals::exit_code,
        words,
    },
};

/// A signal.
pub(crate) fn signal(context: &Context, report: &SignalReport) -> Block {
    let number = wording::signal(context, report.number);
    let failed = select::failed(report);
    let tone = if failed { Tone::Warning } else { Tone::Plain };
    let result = wording::fate(report);
    let id = signal_id(report);
    let mut block = Block::new(
        report.time,
        &number,
        &ends(context, report),
        &result,
        &id,
        tone,
    );
    let alone = failed || alone(context, report);
    if alone {
        explain(&mut block, &report.explanation, String::new());
    }
    path(
        context,
        &mut block,
        &report.kernel_path,
        &report.explanation,
        report.fate,
    );
    if alone {
        more(&mut block, report.reason.or(report.cause));
    }
    block
}

/// Whether a signal needs words though it is no failure: a fatal one is explained
/// at the death, unless that was not seen; what waits for no reason that is known,
/// or is gone in a way that nobody saw, says what is missing.
fn alone(context: &Context, report: &SignalReport) -> bool {
    match report.fate {
        "cancelled" => true,
        "stopped" => !report.routine,
        "fatal" => !context.all_signals,
        "pending" | "accepted" => report.explanation.certainty != Certainty::Proven,
        _ => false,
    }
}

/// `[init-no-handler, proven]` where it matters how sure that is: of failures,
/// and of whatever is not proven. That a fate is unknown is said by its word.
pub(crate) fn signal_id(report: &SignalReport) -> String {
    let certainty = report.explanation.certainty;
    let matters = select::failed(report) || report.fate == "fatal";
    match (report.reason.or(report.cause), certainty) {
        (Some(id), Certainty::Proven) if !matters => format!("[{id}]"),
        (Some(id), _) => bracket(id, certainty),
        (None, Certainty::Inferred) => format!("[{}]", wording::certainty(certainty)),
        (None, _) => String::new(),
    }
}

fn ends(context: &Context, report: &SignalReport) -> String {
    let (from, to) = (&report.sender, &report.target);
    format!(
        "{} → {}",
        wording::sender(context, from),
        wording::task(context, to)
    )
}

/// A signal that was refused.
pub(crate) fn refused(context: &Context, report: &RefusedReport) -> Block {
    let number = wording::signal(context, report.number);
    let whom = match (&report.target, report.counts) {
        (Some(target), None) => wording::task(context, target),
        _ => described(report.call, report.pid, report.tid),
    };
    let subject = format!("{} → {whom}", wording::sender(context, &report.sender));
    let result = match report.counts {
        Some((refused, reached)) if reached > 0 => {
            format!(
                "refused by {refused} of {}",
                u64::from(refused) + u64::from(reached)
            )
        }
        _ if report.error == 0 => "refused".to_owned(),
        _ => format!("refused ({})", error_name(report.error)),
    };
    let id = refused_id(report);
    let mut block = Block::new(report.time, &number, &subject, &result, &id, Tone::Warning);
    explain(&mut block, &report.explanation, String::new());
    more(&mut block, Some(report.reason));
    block
}

/// `[no-permission, proven]`.
pub(crate) fn refused_id(report: &RefusedReport) -> String {
    bracket(report.reason, report.explanation.certainty)
}

/// A fork that was rejected.
pub(crate) fn fork_rejected(context: &Context, report: &ForkReport) -> Block {
    let subject = format!(
        "{} → {}",
        wording::task(context, &report.task),
        forks::what(report.thread)
    );
    let result = format!("rejected ({})", forks::error_name(report.error));
    let id = fork_id(report);
    let mut block = Block::new(report.time, "fork", &subject, &result, &id, Tone::Warning);
    explain(&mut block, &report.explanation, String::new());
    more(&mut block, Some(report.reason));
    block
}

/// `[pids-limit, proven]`.
pub(crate) fn fork_id(report: &ForkReport) -> String {
    bracket(report.reason, report.explanation.certainty)
}

/// News of a signal that was shown before.
pub(crate) fn signal_again(context: &Context, time: BootTime, now: &SignalReport) -> Block {
    let number = wording::signal(context, now.number);
    let subject = format!("{number} {}", ends(context, now));
    let mut result = wording::fate(now);
    let waited = time.0.saturating_sub(now.time.0);
    let told = now.latency_ns.or(now.within_ns).is_some();
    if !told && waited >= 1_000_000_000 {
        result.push_str(&format!(", {} after it was sent", words::span(waited)));
    }
    let failed = select::failed(now);
    let tone = if failed { Tone::Warning } else { Tone::Plain };
    let mut block = Block::new(time, "now", &subject, &result, &signal_id(now), tone);
    if failed || alone(context, now) {
        explain(&mut block, &now.explanation, String::new());
        more(&mut block, now.reason.or(now.cause));
    }
    block
}

/// A death.
pub(crate) fn exit(context: &Context, report: &ExitReport) -> Block {
    let subject = wording::task(context, &report.task);
    death(context, report, report.time, kind(report), &subject)
}

/// A death that is understood better.
pub(crate) fn exit_again(context: &Context, time: BootTime, now: &ExitReport) -> Block {
    let subject = format!("{} {}", kind(now), wording::task(context, &now.task));
    death(context, now, time, "now", &subject)
}

/// Who asked for what ended in a death, which is all that is new.
pub(crate) fn asked(context: &Context, time: BootTime, now: &ExitReport, link: &Link) -> Block {
    let subject = format!("{} {}", kind(now), wording::task(context, &now.task));
    let by = wording::link(context, link);
    // Its word may prove what was only likely.
    let proves = |event| now.explanation.evidence.contains(&Evidence::Event(event));
    let id = match link.event.is_some_and(proves) {
        true => exit_id(now),
        false => String::new(),
    };
    Block::new(time, "asked", &subject, &by, &id, Tone::Plain)
}

/// In which function a fault was, which is all that is new.
pub(crate) fn named(context: &Context, time: BootTime, now: &ExitReport) -> Block {
    let subject = format!("{} {}", kind(now), wording::task(context, &now.task));
    let place = now
        .fault
        .as_deref()
        .map(place::in_short)
        .unwrap_or_default();
    Block::new(time, "place", &subject, &place, "", Tone::Plain)
}

fn death(
    context: &Context,
    report: &ExitReport,
    time: BootTime,
    kind: &str,
    subject: &str,
) -> Block {
    let result = wording::end(context, report);
    let tone = if report.ended_badly() {
        Tone::Alarm
    } else {
        Tone::Plain
    };
    let mut block = Block::new(time, kind, subject, &result, &exit_id(report), tone);
    if worth_explaining(report) {
        let links = report.chain.iter();
        let links: Vec<_> = links.map(|link| wording::link(context, link)).collect();
        let chain = wording::joined(links.iter().map(String::as_str), " ← ");
        explain(&mut block, &report.explanation, chain);
        path(
            context,
            &mut block,
            &report.kernel_path,
            &report.explanation,
            "fatal",
        );
        more(
            &mut block,
            Some(report.cause).filter(|&cause| cause != "exit"),
        );
    }
    block
}

/// `KILLED` by force, `killed` by another signal, `exit`.
pub(crate) fn kind(report: &ExitReport) -> &'static str {
    match report.signal {
        Some(_) if report.forced => "KILLED",
        Some(_) => "killed",
        None => "exit",
    }
}

/// `[pid1-exited, proven]`; an exit that is known to be one needs none.
pub(crate) fn exit_id(report: &ExitReport) -> String {
    match (report.cause, report.explanation.certainty) {
        ("exit", Certainty::Proven) => String::new(),
        (cause, certainty) => bracket(cause, certainty),
    }
}

/// Whoever was ended by a signal, be it gently, is told by whom; an exit needs
/// words only where they say more than its status, which stands on the line.
fn worth_explaining(report: &ExitReport) -> bool {
    let explanation = &report.explanation;
    let failed = report.signal.is_none() && report.exit_code != 0;
    let more = report.pid1 || report.chain.len() > 1 || exit_code(report.exit_code).is_some();
    let said = failed && more && !explanation.sentences.is_empty();
    let unknown = explanation.certainty == Certainty::Unknown;
    report.ended_badly()
        || report.signal.is_some()
        || said
        || unknown
        || !explanation.advice.is_empty()
}

/// So many senders of a crowd are named.
const SENDERS: usize = 8;

/// To whom how many of a crowd are owed, who most is first.
fn senders(by: &BTreeMap<String, u64>) -> Vec<String> {
    let mut most: Vec<_> = by.iter().collect();
    most.sort_by_key(|&(_, &count)| Reverse(count));
    let others = most.len().saturating_sub(SENDERS);
    let named = most.iter().take(SENDERS).map(|&(who, &count)| match count {
        1 => who.clone(),
        _ => format!("{who} ({count})"),
    });
    let rest = (others > 0).then(|| words::count(others as u64, "other sender", "other senders"));
    named.chain(rest).collect()
}

/// Those of a crowd that were not written whole.
pub(crate) fn crowd(key: &Key, held: &Held) -> Block {
    let mut names: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (name, pid) in &held.who {
        names.entry(name).or_default().push(*pid);
    }
    let subject = format!("{} more like that", held.count);
    let tone = match (key.kind.as_str(), key.result.as_str()) {
        ("KILLED", _) => Tone::Alarm,
        // No failure, however many.
        (_, "coalesced") => Tone::Plain,
        _ => Tone::Warning,
    };
    let mut block = Block::new(held.last, &key.kind, &subject, &key.result, &key.id, tone);
    let pids =
        |(name, pids): (&str, Vec<u32>)| format!("{name} {}", wording::runs(&pids).join(", "));
    block.row("pids", &names.into_iter().map(pids).collect::<Vec<_>>());
    if held.by_others {
        block.row("by", &senders(&held.by));
    }
    block
}

/// The other kinds; `None` for those that text leaves out.
pub(crate) fn other(context: &Context, report: &Report) -> Option<Block> {
    let of = |it: &Task| wording::task(context, it);
    let plain = |time: &BootTime, kind, subject: &str, result: &str| {
        Block::new(*time, kind, subject, result, "", Tone::Plain)
    };
    Some(match report {
        Report::Fork {
            time,
            parent,
            child,
            ..
        } if context.all_signals => {
            plain(time, "fork", &format!("{} → {}", of(parent), of(child)), "")
        }
        Report::Exec { time, task, .. } if context.all_signals => {
            plain(time, "exec", &of(task), "")
        }
        Report::Reap { time, task, by, .. } if context.all_signals => {
            let by = by.map(|by| format!("by {by}")).unwrap_or_default();
            plain(time, "reap", &of(task), &by)
        }
        Report::Zombie {
            time, task, parent, ..
        } => {
            let whose = parent
                .as_ref()
                .map(|parent| format!(": {} must wait for it", of(parent)));
            let result = format!("not reaped{}", whose.unwrap_or_default());
            Block::new(*time, "zombie", &of(task), &result, "", Tone::Warning)
        }
        Report::Waits {
            time,
            task,
            waits_for,
            ..
        } => {
            let one = |it: &Unreaped| match (&it.parent, it.dead) {
                (None, _) if it.kept.is_some() => {
                    let why = it.kept.as_ref().map_or("", |kept| &kept.why);
                    format!("{} ({why})", of(&it.task))
                }
                (Some(parent), _) => {
                    format!("{} (dead, not reaped by {})", of(&it.task), of(parent))
                }
                (None, true) => format!("{} (dead, not reaped)", of(&it.task)),
                (None, false) => format!("{} (still alive)", of(&it.task)),
            };
            let whom: Vec<_> = waits_for.iter().map(one).collect();
            let whom = wording::joined(whom.iter().map(String::as_str), ", ");
            let result = match whom.as_str() {
                "" => "in zap_pid_ns_processes until the rest of its namespace is reaped".into(),
                whom => format!("in zap_pid_ns_processes for {whom}"),
            };
            Block::new(*time, "waits", &of(task), &result, "", Tone::Warning)
        }
        _ => return None,
    })
}

fn explain(block: &mut Block, explanation: &Explanation, chain: String) {
    block.row("why", &explanation.sentences);
    if !chain.is_empty() {
        block.row("chain", &[chain]);
    }
    if explanation.certainty != Certainty::Proven {
        block.row("lacks", &explanation.missing);
    }
    block.row("fix", &explanation.advice);
}

/// The way through the kernel, a function a line.
fn path(
    context: &Context,
    block: &mut Block,
    path: &KernelPath,
    explanation: &Explanation,
    fate: &str,
) {
    if !context.path {
        return;
    }
    let steps = path.steps(&explanation.evidence);
    let fate = fate.replace('_', " ");
    let mut rows = Vec::new();
    if path.stack == Stack::Unnamed {
        rows.push(Step::note(UNNAMED));
    }
    let (mut below, mut later) = (false, false);
    for step in steps {
        below |= step.source == Source::Below;
        later |= step.source == Source::Later;
        let mark = match step.source {
            Source::Stack => ' ',
            Source::Below | Source::Later => '+',
        };
        let mut words = step.decides.unwrap_or_default().into_owned();
        if step.proves {
            words.push_str(if words.is_empty() { "" } else { "; " });
            words.push_str("proves the cause");
        }
        rows.push(Step::new(mark, &step.function, &words));
        if let Some(condition) = &step.decided {
            rows.push(Step::decided(&format!("{fate} here: {condition}")));
        }
    }
    match (below, later) {
        (_, true) => rows.push(Step::note(LATER)),
        (true, false) => rows.push(Step::note(BELOW)),
        (false, false) => {}
    }
    block.steps("path", rows);
}

const UNNAMED: &str = "the functions on the stack have no names: kernel symbols are hidden \
    (sysctl kernel.kptr_restrict=1, and CAP_SYSLOG)";
const BELOW: &str =
    "+ below the tracepoint, so not on the stack: it follows from the facts of the signal";
const LATER: &str = "+ on the target's own way, later: it follows from its delivery";

fn more(block: &mut Block, id: Option<&'static str>) {
    if let Some(id) = id.filter(|&id| id != "unknown") {
        block.more(&format!("sigtrace explain {id}"));
    }
}

fn bracket(id: &str, certainty: Certainty) -> String {
    match (id, certainty) {
        ("unknown", Certainty::Unknown) => "[unknown]".to_owned(),
        _ => format!("[{id}, {}]", wording::certainty(certainty)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::sigterm;
    use super::*;

    #[test]
    fn who_sent_most_is_named_first() {
        let by = |of: &[(&str, u64)]| of.iter().map(|&(who, n)| (who.to_owned(), n)).collect();
        assert_eq!(
            senders(&by(&[("a 1", 1), ("b 2", 900)])),
            ["b 2 (900)", "a 1"]
        );
        let many: Vec<String> = (0..=SENDERS).map(|n| format!("x {n}")).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|who| (&**who, 1)).collect();
        let said = senders(&by(&many));
        assert_eq!(said.len(), SENDERS + 1);
        assert_eq!(said.last().map(String::as_str), Some("1 other sender"));
    }

    #[test]
    fn what_is_not_proven_is_marked_and_what_is_not() {
        let shown = |fate, reason, certainty| {
            let mut report = sigterm();
            (report.fate, report.reason) = (fate, reason);
            report.explanation.certainty = certainty;
            signal_id(&report)
        };
        use Certainty::{Inferred, Proven, Unknown};
        assert_eq!(shown("accepted", None, Proven), "");
        assert_eq!(shown("accepted", None, Inferred), "[inferred]");
        assert_eq!(shown("unknown", None, Unknown), "");
        assert_eq!(
            shown("dropped", Some("sig-ign"), Proven),
            "[sig-ign, proven]"
        );
        let overrun = Some("timer-overrun");
        assert_eq!(shown("coalesced", overrun, Proven), "[timer-overrun]");
        assert_eq!(
            shown("coalesced", overrun, Inferred),
            "[timer-overrun, inferred]"
        );
    }
}
