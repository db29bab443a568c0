//! Deaths by signals that the kernel itself sent: their causes, by the rules of
//! [`super::kernel_rules`], or by what else the signal tells. What each says
//! about itself stands in [`super::kernel_words`].

use crate::event::{Detail, Info, Signal};
use crate::explain::report::{Certainty, Evidence};
use crate::history::process::Fatal;

use super::death::Death;
use super::kernel_rules::{exiting, own_doing, RULES};
use super::path::KernelPath;
use super::sender::{self, Origin};
use super::verdict::View;
use super::{kernel_words, oom, place, signals, stack, terminal};

/// How a cause was found.
enum Found {
    /// By a function on the stack.
    Frame(&'static str, &'static str),
    /// Without names on the stack, by what else the signal tells; and what is
    /// missing.
    Guess(&'static str, &'static str),
}

fn find(s: &Signal) -> Option<Found> {
    let by_frame = RULES.iter().find_map(|rule| {
        let frame = stack::find(&s.stack, rule.frames)?;
        (rule.holds)(s).then_some(Found::Frame(rule.cause, frame))
    });
    if by_frame.is_some() || stack::named(&s.stack) {
        return by_frame;
    }
    by_code(s).map(|(cause, missing)| Found::Guess(cause, missing))
}

/// Without kernel symbols.
fn by_code(s: &Signal) -> Option<(&'static str, &'static str)> {
    const SYMBOLS: &str = "kernel symbols, which would prove it";
    let own = own_doing(s);
    let fault = [
        signals::SEGV,
        signals::BUS,
        signals::ILL,
        signals::FPE,
        signals::TRAP,
    ];
    let full = s.info == Info::Full;
    Some(match sender::origin(s) {
        Origin::Timer => ("timer", SYMBOLS),
        Origin::Terminal => ("tty-interrupt", SYMBOLS),
        _ if exiting(s) && s.pdeath_signal == s.number => ("parent-death-signal", SYMBOLS),
        _ if exiting(s) && s.state.traced && s.number == signals::KILL => {
            ("ptrace-exitkill", SYMBOLS)
        }
        _ if own && s.number == signals::PIPE => ("broken-pipe", SYMBOLS),
        _ if own && s.number == signals::XFSZ => ("file-size-limit", SYMBOLS),
        _ if own && full && s.number == signals::SYS && s.code == 1 => ("seccomp", SYMBOLS),
        _ if own && full && s.code > 0 && fault.contains(&s.number) => ("fault", SYMBOLS),
        _ => return None,
    })
}

/// A process that a signal of the kernel ended.
pub(super) fn of(view: View<'_>, fatal: &Fatal, s: &Signal) -> Death {
    let Some(found) = find(s) else {
        return unknown(fatal, s);
    };
    let cause = match found {
        // The same frames: it is killed beside the chosen one.
        Found::Frame("oom-memcg" | "oom-global", _) if oom::shares_memory(view, fatal, s) => {
            "oom-shared-mm"
        }
        Found::Frame(cause, _) | Found::Guess(cause, _) => cause,
    };
    let mut d = Death::new(cause, Some("kernel-signal"));
    d.kernel_path = KernelPath::fatal(s);
    match found {
        Found::Frame(_, frame) => d.evidence(Evidence::Stack(frame.to_owned())),
        Found::Guess(_, missing) => d.missing(missing, Certainty::Inferred),
    }
    d.evidence(Evidence::Field(format!("si_code={}", s.code)));
    d.evidence(Evidence::Event(fatal.event));
    if let (true, Detail::Limits { cpu_s, rt_us }) = (cause.ends_with("-limit"), s.detail) {
        let limits = [("RLIMIT_CPU", "s", cpu_s), ("RLIMIT_RTTIME", "us", rt_us)];
        for (name, unit, limit) in limits {
            if let Some(limit) = limit {
                d.evidence(Evidence::Field(format!("{name}={limit} {unit}")));
            }
        }
    }
    if cause == "parent-death-signal" {
        d.evidence(Evidence::Field(format!(
            "pdeath_signal={}",
            s.pdeath_signal
        )));
    }
    if cause == "cpu-limit"
        && matches!(
            s.detail,
            Detail::Limits {
                cpu_s: Some(_),
                rt_us: Some(_)
            }
        )
    {
        d.missing(
            "which of its limits it was: RLIMIT_CPU and RLIMIT_RTTIME are both set",
            Certainty::Inferred,
        );
    }
    let name = signals::name(s.number);
    let by = match sender::origin(s) {
        Origin::Terminal => "its terminal",
        Origin::Timer => "a timer",
        _ => "the kernel",
    };
    d.link(Some(fatal.event), format!("{name} by {by}"));
    if cause.starts_with("oom-") {
        oom::explain(view, fatal, s, cause, &mut d);
    } else if matches!(cause, "tty-hangup" | "tty-interrupt") {
        terminal::explain(view, fatal, s, cause, &mut d);
    } else {
        kernel_words::explain(cause, s, &mut d);
    }
    if cause == "fault" {
        place::explain(view, s, &mut d);
    }
    d
}

/// No rule fits: the path is the evidence.
fn unknown(fatal: &Fatal, s: &Signal) -> Death {
    let name = signals::name(s.number);
    let mut d = Death::new("unknown", Some("kernel-signal"));
    d.kernel_path = KernelPath::fatal(s);
    for function in d.kernel_path.functions.clone() {
        d.evidence(Evidence::Stack(function));
    }
    d.evidence(Evidence::Event(fatal.event));
    d.evidence(Evidence::Field(format!("si_code={}", s.code)));
    let missing = if d.kernel_path.functions.is_empty() {
        "the kernel path that sent it (kernel symbols, or the stack itself)"
    } else {
        "a rule that names the cause of this kernel path"
    };
    d.missing(missing, Certainty::Unknown);
    let (origin, by) = match sender::origin(s) {
        Origin::Terminal => ("Its terminal", "its terminal"),
        Origin::Timer => ("A timer", "a timer"),
        _ => ("The kernel itself", "the kernel"),
    };
    d.say(if d.kernel_path.functions.is_empty() {
        format!("{origin} sent {name}; on whose behalf is not known.")
    } else {
        format!(
            "{origin} sent {name}, by way of {}.",
            d.kernel_path
                .functions
                .iter()
                .take(4)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" < ")
        )
    });
    d.link(Some(fatal.event), format!("{name} by {by}"));
    d
}
