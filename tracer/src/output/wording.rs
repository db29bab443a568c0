//! How text names things: processes, senders, results, the verdict. Words for a
//! single value; [`super::text`] puts them on lines. Spans of time and counts
//! are worded as in sentences ([`words`]).

use super::{clock, wrap::HARD_SPACE, Context, Scope};
use crate::{
    event::Task,
    explain::{
        report::{Asked, Certainty, ExitReport, Link, Sender, SignalReport, Summary},
        signals, words,
    },
};

/// The id of a certainty, in text and JSON alike.
pub(crate) fn certainty(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Unknown => "unknown",
        Certainty::Inferred => "inferred",
        Certainty::Proven => "proven",
    }
}

/// The word for a scope as a whole: what is shown as an alarm makes it unclean.
pub(crate) fn verdict(summary: &Summary) -> &'static str {
    if summary.ended_badly > 0 || summary.killed_unseen > 0 {
        "unclean"
    } else {
        "clean"
    }
}

/// `SIGTERM`, or `15`.
pub(crate) fn signal(context: &Context, number: i32) -> String {
    if context.numeric {
        number.to_string()
    } else {
        signals::name(number).into_owned()
    }
}

/// What people call a namespace: its label, its container, its number.
pub(crate) fn scope(scope: &Scope) -> String {
    let container = scope.container.as_ref();
    let container = container.map(|c| c.name.clone().unwrap_or_else(|| short(&c.id)));
    let number = || format!("pid namespace {}", scope.pidns);
    scope.label.clone().or(container).unwrap_or_else(number)
}

/// The beginning of a container's id, as engines show it.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// What stands beside a scope's name to say which container it is: `docker
/// 1dcad40f27d5`, without what the name says already.
pub(crate) fn container_beside(scope: &Scope, name: &str) -> Option<String> {
    let container = scope.container.as_ref()?;
    let id = Some(short(&container.id)).filter(|id| id != name);
    let parts: Vec<_> = container.engine.iter().cloned().chain(id).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// `c-init-sig 16341 (2 inside)`, `PID 1 c-init-sig 16301`. The namespace is
/// named only where there is more than one to confuse it with.
pub(crate) fn task(context: &Context, task: &Task) -> String {
    let name = format!("{} {}", task.comm, task.key.pid);
    let Some(inside) = task.ns_pids.last() else {
        return name;
    };
    let of = match context.scope_of(task) {
        Some(of) if context.several() => Some(scope(of)),
        _ => None,
    };
    match (*inside, of) {
        (1, None) => format!("PID 1 {name}"),
        (1, Some(of)) => format!("PID 1 of {of}: {name}"),
        (_, None) => format!("{name} ({inside} inside)"),
        (_, Some(of)) => format!("{name} ({inside} inside {of})"),
    }
}

/// `sh 16350`, `kernel for PID 1 c-init-sig 16301`.
pub(crate) fn sender(context: &Context, sender: &Sender) -> String {
    match sender {
        Sender::Process {
            task: by,
            runtime,
            origin,
            elsewhere,
            ..
        } => {
            let name = task(context, by);
            let role = runtime.map(|found| found.role.words());
            let origin = origin.as_deref().filter(|_| *elsewhere);
            match (words::beside(role, origin), name.strip_suffix(')')) {
                (None, _) => name,
                (Some(beside), Some(open)) => format!("{open}, {beside})"),
                (Some(beside), None) => format!("{name} ({beside})"),
            }
        }
        Sender::Kernel {
            on_behalf_of: Some(by),
        } => format!("kernel for {}", task(context, by)),
        Sender::Kernel { on_behalf_of: None } => "kernel".to_owned(),
        Sender::Terminal {
            on_behalf_of: Some(by),
        } => format!("terminal for {}", task(context, by)),
        Sender::Terminal { on_behalf_of: None } => "terminal".to_owned(),
        Sender::Timer => "timer".to_owned(),
    }
}

/// What became of a signal: of a crowd all say the same.
pub(crate) fn fate_of_crowd(signal: &SignalReport) -> String {
    match (signal.fate, signal.settled) {
        ("unknown", _) => "fate unknown".to_owned(),
        (fate, true) => fate.replace('_', " "),
        (fate, false) => fate.replace('_', " ") + " so far",
    }
}

/// What became of a signal, for the result column.
pub(crate) fn fate(signal: &SignalReport) -> String {
    let mut said = fate_of_crowd(signal);
    if let Some(latency) = signal.latency_ns.filter(|&ns| ns >= 100_000_000) {
        said.push_str(&format!(" after {}", words::span(latency)));
    }
    if let Some(most) = signal.within_ns.filter(|&ns| ns >= 100_000_000) {
        said.push_str(&format!(" within {}", words::span(most)));
    }
    if signal.count > 1 {
        said.push_str(&format!(", {} times", signal.count));
    }
    said
}

/// How a process ended, for the result column.
pub(crate) fn end(context: &Context, exit: &ExitReport) -> String {
    let core = if exit.core_dumped {
        ", core dumped"
    } else {
        ""
    };
    match exit.signal {
        Some(number) => format!("{} ({}){core}", signal(context, number), exit.exit_code),
        None => format!("status {}{core}", exit.exit_code),
    }
}

/// A step of a chain; what an engine was asked for with its time:
/// `docker stop (API, told 02:38:07.40)`: an engine tells when it has done it.
pub(crate) fn link(context: &Context, link: &Link) -> String {
    let Some(asked) = link.asked else {
        return link.what.clone();
    };
    let zone = clock::zone(context.utc);
    let at = context
        .clock
        .zoned(asked.at, &zone)
        .strftime("%H:%M:%S%.2f");
    // As when it is shut down, and stops its containers for that.
    let way = match way(asked) {
        "event" if link.what.starts_with("docker") => "dockerd took no requests then",
        way => way,
    };
    format!("{} ({way}, told {at})", link.what)
}

/// How an engine was asked, as far as it tells.
pub(crate) fn way(asked: Asked) -> &'static str {
    if asked.by_api {
        "API"
    } else {
        "event"
    }
}

/// Parts that are not broken across lines themselves, except at arrows: their
/// spaces are hard ones, which [`super::wrap`] turns back.
pub(crate) fn joined<'a>(parts: impl Iterator<Item = &'a str>, between: &str) -> String {
    let arrow = format!("{HARD_SPACE}←{HARD_SPACE}");
    let hard = |part: &str| part.replace(' ', HARD_SPACE).replace(&arrow, " ← ");
    parts.map(hard).collect::<Vec<_>>().join(between)
}

/// Pids as runs: `16341, 16344–16350`.
pub(crate) fn runs(pids: &[u32]) -> Vec<String> {
    let mut pids = pids.to_vec();
    pids.sort_unstable();
    pids.dedup();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for pid in pids {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == pid => *last = pid,
            _ => runs.push((pid, pid)),
        }
    }
    let word = |(first, last): (u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}–{last}"),
    };
    runs.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_as_in_sentences() {
        let waited = 200_000_000_000;
        let late = SignalReport {
            latency_ns: Some(waited),
            ..super::super::samples::sigterm()
        };
        assert_eq!(fate(&late), "handled after 3 min");
        assert_eq!(words::span(waited).to_string(), "3 min");
    }

    #[test]
    fn runs_and_chains() {
        assert_eq!(runs(&[7, 3, 4, 5, 9, 10]).join(", "), "3–5, 7, 9, 10");
        let chain = joined(["PID 1", "sh 2 ← bash 3"].into_iter(), " ← ");
        assert_eq!(chain, "PID\u{a0}1 ← sh\u{a0}2 ← bash\u{a0}3");
        assert_eq!(runs(&[u32::MAX, u32::MAX]), ["4294967295"]);
    }
}
