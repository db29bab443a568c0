//! What frames a trace in text: the first line, which says what is traced and
//! since when, and the last, which is the verdict.

use std::collections::HashSet;

use super::{wording, Context, Ending, Scope, Shares, Tracing};
use crate::{
    event::printable,
    explain::{report::Summary, words},
};

/// `tracing fwd_sig (pid namespace 4026532281, made by the demo) since {since};
/// PID 1 is c-init-sig`, the moment to be filled in.
pub(crate) fn opening(context: &Context, tracing: &Tracing) -> String {
    let filters = &tracing.filters;
    let only = if filters.is_empty() {
        String::new()
    } else {
        format!(", {}", filters.join(", "))
    };
    let safe = |text: String| text.replace("{since}", "since");
    let waiting = tracing.waiting.join(", ");
    let waits = match tracing.waiting.as_slice() {
        [] => String::new(),
        _ => format!("; waiting for {}", safe(waiting.clone())),
    };
    match context.scopes.as_slice() {
        [] if filters.is_empty() && !waiting.is_empty() => {
            format!("waiting for {} since {{since}}", safe(waiting))
        }
        [] if filters.is_empty() => "tracing every process since {since}".to_owned(),
        [] => format!(
            "tracing {} since {{since}}{waits}",
            safe(filters.join(", "))
        ),
        [one] => {
            let only = safe(only);
            let first = first(one).map(|first| format!("; {first}"));
            let pid1 = safe(first.unwrap_or_default());
            format!(
                "tracing {}{only} since {{since}}{pid1}{waits}",
                safe(scope(one, &[]))
            )
        }
        many => {
            let of = |one: &Scope| scope(one, first(one).as_slice());
            let names: Vec<_> = many.iter().map(of).collect();
            format!(
                "tracing {}{} since {{since}}{waits}",
                safe(names.join(", ")),
                safe(only)
            )
        }
    }
}

/// Which process came first: `PID 1 is c-init-sig`.
pub(crate) fn first(scope: &Scope) -> Option<String> {
    match &scope.shares {
        Some(shares) => (shares.first.as_ref()).map(|name| format!("its first process is {name}")),
        None => scope.pid1.as_ref().map(|name| format!("PID 1 is {name}")),
    }
}

/// What it means that a container shares its PID namespace.
pub fn sharing(scope: &Scope) -> Option<String> {
    let Shares { path, owner, .. } = scope.shares.as_ref()?;
    let name = printable(&wording::scope(scope));
    let path = printable(path);
    Some(match owner {
        None => format!(
            "{name} shares the host's PID namespace and is traced by its cgroup {path}: its first \
             process is no PID 1, so its end makes the kernel kill nobody."
        ),
        Some(owner) => {
            let owner = printable(owner);
            let pid1 = match &scope.pid1 {
                Some(pid1) => format!("PID 1 ({}) is {owner}'s", printable(pid1)),
                None => format!("PID 1 is {owner}'s"),
            };
            format!(
                "{name} shares the PID namespace of {owner} and is traced by its cgroup {path}: the \
                 end of its own first process makes the kernel kill nobody. {pid1}; its end is that \
                 of every process of {name} too, so what it gets is shown."
            )
        }
    })
}

/// `fwd_sig (docker c3a6413681fe, pid namespace 4026532281, made by the demo)`.
pub(crate) fn scope(scope: &Scope, more: &[String]) -> String {
    let number = match &scope.shares {
        None => format!("pid namespace {}", scope.pidns),
        Some(Shares { owner: None, .. }) => "in the host's pid namespace".to_owned(),
        Some(Shares {
            owner: Some(owner), ..
        }) => format!("in the pid namespace {} of {owner}", scope.pidns),
    };
    let name = wording::scope(scope);
    let known = if name == number { None } else { Some(number) };
    let beside: Vec<_> = wording::container_beside(scope, &name)
        .into_iter()
        .chain(known)
        .chain(scope.note.clone())
        .chain(more.iter().cloned())
        .collect();
    if beside.is_empty() {
        name
    } else {
        format!("{name} ({})", beside.join(", "))
    }
}

/// The verdict: the words that matter, and the rest of the line.
pub(crate) fn verdict(
    context: &Context,
    summary: &Summary,
    ending: Ending,
    clean_exits: u64,
) -> (String, String) {
    let mut names: Vec<_> = context.scopes.iter().map(wording::scope).collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let names = if names.is_empty() {
        "trace".to_owned()
    } else {
        names.join(", ")
    };
    let unsure = if summary.saw_all() {
        ""
    } else {
        " as far as seen"
    };
    let head = if summary.ended {
        // Nothing bad was seen, because nothing was: that is not clean.
        let nothing_seen = summary.exited == 0 && summary.unseen_ends > 0;
        let judged = match wording::verdict(summary) {
            "clean" if nothing_seen => "how is not known".to_owned(),
            judged => format!("{judged}{unsure}"),
        };
        format!("{names} ended: {judged}")
    } else {
        let how = match ending {
            Ending::Ended => "over",
            Ending::Interrupted => "interrupted",
            Ending::TimeUp => "over after its time",
            Ending::Failed => "broken off",
        };
        let of = if context.scopes.is_empty() {
            String::new()
        } else {
            format!(" of {names}")
        };
        format!("trace{of} {how}")
    };
    let mut parts = vec![deaths(summary), dropped(context, summary)];
    let coalesced = match all_routine(context) {
        true => summary.coalesced + summary.coalesced_routinely,
        false => summary.coalesced,
    };
    for (count, what) in [
        (summary.refused, "refused"),
        (summary.rejected, "rejected (EAGAIN)"),
        (coalesced, "merged with pending ones"),
    ] {
        if count > 0 {
            let count = words::count(count, "signal", "signals");
            parts.push(format!("{count} {what}"));
        }
    }
    if summary.forks_rejected > 0 {
        let count = words::count(summary.forks_rejected, "fork", "forks");
        parts.push(format!("{count} rejected"));
    }
    parts.push(format!(
        "{} lost",
        words::count(summary.lost, "event", "events")
    ));
    if summary.routine > 0 && !all_routine(context) {
        let count = words::count(summary.routine, "routine signal", "routine signals");
        parts.push(format!("{count} not shown"));
    }
    if clean_exits > 0 {
        let count = words::count(clean_exits, "clean exit", "clean exits");
        parts.push(format!("{count} not shown"));
    }
    let comma = if summary.ended { ", " } else { ": " };
    let parts = wording::joined(parts.iter().map(String::as_str), " · ");
    (head, format!("{comma}{parts}"))
}

/// Routine signals are shown.
fn all_routine(context: &Context) -> bool {
    context.all_signals || context.named_signals
}

fn dropped(context: &Context, summary: &Summary) -> String {
    let said = words::count(summary.dropped, "signal", "signals") + " dropped";
    match summary.dropped_routinely {
        0 => said,
        _ if !all_routine(context) => said,
        n => format!("{said}, and {n} routine"),
    }
}

fn deaths(summary: &Summary) -> String {
    let Summary {
        exited,
        forced,
        ended_badly,
        ..
    } = *summary;
    let all = words::count(exited, "process", "processes");
    let said = match (exited, ended_badly, forced) {
        (0, ..) if summary.unseen_ends > 0 => {
            return match summary.killed_unseen {
                0 => "no process was seen to end".to_owned(),
                n => format!(
                    "the end of {} was not seen, {n} of them after a fatal SIGKILL",
                    summary.unseen_ends
                ),
            };
        }
        (0, ..) => "no process ended".to_owned(),
        (_, 0, _) if summary.killed_unseen > 0 => format!("{all} seen to end, not by force"),
        (_, 0, _) => format!("{all} ended, none by force"),
        (_, _, 0) => format!("{ended_badly} of {all} ended badly, none by force"),
        _ if forced == ended_badly => format!("{forced} of {all} killed by force"),
        _ => format!("{ended_badly} of {all} ended badly, {forced} by force"),
    };
    match summary.unseen_ends {
        0 => said,
        n => match summary.killed_unseen {
            0 => format!("{said}, the end of {n} not seen"),
            killed => {
                format!("{said}, the end of {n} not seen, {killed} of them after a fatal SIGKILL")
            }
        },
    }
}
