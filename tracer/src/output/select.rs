//! What is shown: routine signals only with `--all-signals`, with `-x` only
//! what went wrong. The same for text and JSON; what text condenses further it
//! does itself ([`super::crowd`], [`super::text`]).

use super::Context;
use crate::explain::report::{ExitReport, RefusedReport, Report, SignalReport, Update};

/// The signal did not do what its sender wanted. Routine ones are dropped all
/// day: a SIGCHLD that nobody asked for is no failure.
pub(crate) fn failed(signal: &SignalReport) -> bool {
    match signal.fate {
        _ if signal.routine => false,
        "dropped" | "rejected" | "blocked" | "discarded" | "swallowed" | "died_first" => true,
        "pending" => signal.reason.is_some(),
        _ => false,
    }
}

/// Whether a signal is shown.
pub(crate) fn signal(context: &Context, signal: &SignalReport) -> bool {
    let wanted = context.all_signals || context.named_signals;
    (wanted || !signal.routine) && (!context.failed_only || failed(signal))
}

/// Whether a signal that was refused is shown: it always is a failure.
pub(crate) fn refused(context: &Context, refused: &RefusedReport) -> bool {
    let wanted = context.all_signals || context.named_signals;
    wanted || !refused.routine
}

/// Whether a death is shown.
pub(crate) fn exit(context: &Context, exit: &ExitReport) -> bool {
    !context.failed_only || exit.ended_badly()
}

/// Whether a report is shown; an update counts as what it says now.
pub(crate) fn report(context: &Context, report: &Report) -> bool {
    match report {
        Report::Signal(report) => signal(context, report),
        Report::Exit(report) => exit(context, report),
        Report::Refused(report) => refused(context, report),
        Report::Update {
            now: Update::Signal(now),
            ..
        } => signal(context, now),
        Report::Update {
            now: Update::Exit(now) | Update::Asked(now) | Update::Named(now),
            ..
        } => exit(context, now),
        Report::Lost { .. } | Report::ForkRejected(_) => true,
        Report::Fork { .. }
        | Report::Exec { .. }
        | Report::Zombie { .. }
        | Report::Waits { .. }
        | Report::Reap { .. } => !context.failed_only,
    }
}
