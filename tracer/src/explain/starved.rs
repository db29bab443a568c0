//! Whether a process that is runnable gets no CPU: from two looks at how much it has run.

use crate::event::{CpuTime, Sight, Signal};
use crate::history::note::Fate;

use super::verdict::Verdict;
use super::{signals, words};

/// The clock tick counts a running thread's time up at least so often: on a CPU that does
/// without most of its ticks (`nohz_full`) once a second (`sched_tick_remote`).
const LONG_ENOUGH_NS: u64 = 1_000_000_000;

/// For how long it has not run; `None`: it has, or that is not known.
fn still(first: Option<&CpuTime>, last: Option<&CpuTime>) -> Option<u64> {
    let (first, last) = (first?, last?);
    let ran = (first.ran_ns, first.turns) != (last.ran_ns, last.turns);
    let span = words::between(first.at, last.at);
    (!ran && span >= LONG_ENOUGH_NS).then_some(span)
}

/// Why a signal waits whose target is runnable (state R) while its control group's
/// quota is not used up; `first` and `last`: the first and the last look at it.
pub(super) fn waits(
    s: &Signal,
    waited: words::Span,
    first: Option<&Sight>,
    last: Option<&Sight>,
) -> Verdict {
    let name = signals::name(s.number);
    let cpu = |sight: Option<&Sight>| sight.and_then(|sight| sight.cpu);
    let quotas_known = last.is_some_and(|sight| sight.quotas.is_some());
    let v = match still(cpu(first).as_ref(), cpu(last).as_ref()) {
        Some(span) => {
            let v = Verdict::proven(Fate::Pending)
                .field("schedstat: no time on a CPU between two looks at it")
                .say(format!(
                    "{name} has waited for {waited}: the process is runnable and gets no CPU (state R). In {} between two looks at it, it did not run at all.",
                    words::span(span)
                ));
            let v = match quotas_known {
                true => v,
                false => v.but("whether its control group is throttled"),
            };
            match s.state.threads {
                0 | 1 => v,
                n => v.but(format!("whether {} further threads run", n - 1)),
            }
        }
        None => {
            let missing = match quotas_known {
                true => "whether it waits for a CPU or runs in the kernel all the time",
                false => "whether it waits for a CPU, its control group is throttled, or it runs in the kernel all the time",
            };
            Verdict::inferred(Fate::Pending, missing).say(format!(
                "{name} has waited for {waited}: it is queued and not blocked, and the process is runnable but has not come to it (state R)."
            ))
        }
    };
    v.because("not-scheduled")
        .field(format!("__state={:#x}", s.state.state))
        .field("state R, by a look at it")
        .advise("look at what else runs on its CPUs, real-time processes first (ps -eo psr,cls,rtprio,comm; taskset, cpuset), and at the CPU weight of its control group")
}
