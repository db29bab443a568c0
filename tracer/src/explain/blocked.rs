//! Signals that wait: blocked by every thread that could take them, or queued
//! and not acted on. These fates are interim; each says what it waits for.

use std::sync::Arc;

use crate::event::{printable, Handler, Sight, Signal};
use crate::history::note::Fate;

use super::signals::{self, DefaultAction};
use super::verdict::Verdict;
use super::{eligible, quota, starved, words};

/// Bits of `__state` (`include/linux/sched.h`).
const UNINTERRUPTIBLE: u32 = 0x2;
const WAKEKILL: u32 = 0x100;
const STOPPED: u32 = 0x4;
const TRACED: u32 = 0x8;

/// Where a parent in vfork(2) sleeps: what of these is not inlined.
const VFORK: &[&str] = &["wait_for_vfork_done", "kernel_clone", "_do_fork"];

/// How it stands right after its generation.
pub(crate) fn standing(s: &Signal) -> Fate {
    if blocked(s) {
        Fate::Blocked
    } else {
        Fate::Pending
    }
}

/// Whether every thread that could take it blocks it.
pub(crate) fn blocked(s: &Signal) -> bool {
    let bit = signals::bit(s.number);
    let st = &s.state;
    if s.to_process && st.threads_seen > 0 {
        return st.threads_blocking > 0
            && st.threads_blocking + st.threads_unable >= st.threads_seen;
    }
    st.blocked & bit != 0
}

/// A thread took it, `waited_ns` after it was generated, and has not acted on it:
/// only a debugger comes in between (`ptrace_signal`).
pub(crate) fn held(s: &Signal, waited_ns: u64, event: u64) -> Verdict {
    let v = if s.state.traced {
        Verdict::proven(Fate::Pending).field("ptrace is set")
    } else {
        Verdict::inferred(Fate::Pending, "whether the process is traced by now")
    };
    v.because("traced").event(event).say(format!(
        "A thread has taken {} from the queue and not acted on it {} after it came: the process is traced, and its debugger decides.",
        signals::name(s.number),
        words::span(waited_ns)
    ))
}

/// What a look at a process says of why it does not run: the reason, the second
/// half of a sentence, and advice.
pub(crate) fn keeps(
    letter: u8,
    sight: &Sight,
    throttled: bool,
) -> (Option<&'static str>, String, Option<String>) {
    if let Some((group, v1)) = &sight.frozen {
        let (why, advice) = frozen(group, *v1);
        return (Some("frozen"), why, Some(words::sentence(advice)));
    }
    let place = sight.function.as_deref();
    match letter {
        b'D' => (
            Some("uninterruptible"),
            format!(
                "it sleeps in the kernel{}, where no signal wakes it (state D)",
                place.map_or_else(String::new, |f| format!(", in {f}"))
            ),
            Some("look at the device or the server that it waits for; nothing ends it before that answers.".to_owned()),
        ),
        b't' => (
            Some("traced"),
            format!("{} holds it", tracer(sight)),
            None,
        ),
        b'R' if throttled => (
            Some("throttled"),
            "it is runnable, and its control group had used up its CPU quota when the signal came (state R)".to_owned(),
            Some("give its control group more CPU (docker update --cpus, or cpu.max).".to_owned()),
        ),
        b'R' => (
            Some("not-scheduled"),
            "it is runnable but has not run to its end (state R)".to_owned(),
            None,
        ),
        other => (
            None,
            format!(
                "its first thread is in state {}{}, and why that does not end is not known",
                char::from(other),
                place.map_or_else(String::new, |f| format!(", in {f}"))
            ),
            None,
        ),
    }
}

fn frozen(group: &str, v1: bool) -> (String, String) {
    let group = printable(group);
    let (also, file) = if v1 {
        (
            ", where not even SIGKILL acts",
            "write THAWED to freezer.state",
        )
    } else {
        ("", "write 0 to cgroup.freeze")
    };
    (
        format!("it is frozen by the control group {group}{also}"),
        format!("thaw it: docker unpause, or {file} in {group}"),
    )
}

/// Who traces it.
fn tracer(sight: &Sight) -> String {
    match &sight.tracer {
        Some((pid, comm)) => format!("its debugger {comm} {pid}"),
        None => "its debugger".to_owned(),
    }
}

/// What it waits for, `waited_ns` after it was generated; `first` and `seen` are what
/// the first and the last look at the process have shown.
pub(crate) fn waiting(
    s: &Signal,
    waited_ns: u64,
    first: Option<&Sight>,
    seen: Option<&(u8, Arc<Sight>)>,
) -> Verdict {
    let sight = seen.map(|(_, sight)| &**sight);
    let seen = seen.map(|&(letter, _)| letter);
    let name = signals::name(s.number);
    let waited = words::span(waited_ns);
    if blocked(s) {
        return by_mask(s, &name, waited, sight);
    }
    let st = &s.state;
    let v = Verdict::proven(Fate::Pending).field(format!("__state={:#x}", st.state));
    if st.traced {
        return v.because("traced").field("ptrace is set").say(format!(
            "{name} has waited for {waited}: the process is traced, and {} decides when it goes on.",
            sight.map_or_else(|| "its debugger".to_owned(), tracer)
        ));
    }
    if let Some((group, v1)) = sight.and_then(|sight| sight.frozen.as_ref()) {
        let (why, advice) = frozen(group, *v1);
        return v
            .because("frozen")
            .field("the control group's own setting, read by a look at it")
            .say(format!("{name} has waited for {waited}: {why}."))
            .advise(advice);
    }
    let stopped = seen.map_or(st.state & (STOPPED | TRACED) != 0, |l| l == b'T');
    if stopped {
        return v
            .because("stopped")
            .say(format!("{name} has waited for {waited}: the process is stopped, and acts on it once it is continued."))
            .advise("continue it (kill -CONT); SIGKILL alone would act on a stopped process");
    }
    let asleep = seen.map_or(st.state & UNINTERRUPTIBLE != 0, |l| l == b'D');
    if asleep {
        let killable = st.state & WAKEKILL != 0;
        let place = sight.and_then(|sight| sight.function.as_deref());
        let vfork = killable && place.is_some_and(|function| VFORK.contains(&function));
        // The state may have changed since.
        let v = match (seen, eligible::unseen(s, sight)) {
            (Some(_), 0) => v,
            (Some(_), n) => v.but(format!("the states of {n} further threads")),
            (None, _) => v.but(
                "a later look at its state: this is the one in which it was when the signal came",
            ),
        };
        let v = v.because("uninterruptible");
        let awake = if killable {
            wakes(s, &name)
        } else {
            String::new()
        };
        if let Some(function) = place.filter(|_| vfork) {
            return v.say(format!(
                "{name} has waited for {waited}: the process called vfork(2) and sleeps (in {function}) until its child runs another program (execve) or ends.{awake}"
            )).advise("look at the child of that vfork: as long as it does neither, its parent cannot go on");
        }
        let place = place.map_or_else(String::new, |function| format!(", in {function}"));
        let what = match killable {
            true => "usually for a network file system or a disk, or as the parent in vfork(2) for its child",
            false => "usually for a disk or a network file system",
        };
        return v.say(format!(
            "{name} has waited for {waited}: the process sleeps in the kernel{place}, where no signal wakes it (state D), {what}.{awake}"
        ));
    }
    // Who slept when it came was woken by it.
    if matches!(seen, None | Some(b'R')) {
        if let Some(throttled) = quota::waits(s, waited, first, sight) {
            return throttled;
        }
    }
    if seen == Some(b'R') {
        return starved::waits(s, waited, first, sight);
    }
    Verdict::inferred(
        Fate::Pending,
        "why the process has not run: whether it is frozen, throttled or starved of CPU time",
    )
    .field(format!("__state={:#x}", st.state))
    .say(format!(
        "{name} is queued and not blocked, and the process has not acted on it for {waited}."
    ))
}

/// What wakes a killable sleep: a signal that ends the process at once, for which
/// `complete_signal` needs a thread that has no other one waiting (`wants_signal`), and
/// which is not one that dumps core first.
fn wakes(s: &Signal, name: &str) -> String {
    let st = &s.state;
    let others = (st.pending | st.shared_pending) & !st.blocked & !signals::bit(s.number);
    let ends = st.handler == Handler::Default
        && signals::default_action(s.number) == DefaultAction::Term
        && !s.target.is_pid1();
    if ends && others != 0 {
        return format!(" {name} would end it at once, had not another signal been waiting already: the kernel wakes nobody then but for SIGKILL, which ends it now.");
    }
    " Only a signal that ends it at once wakes it: SIGKILL, or one like SIGTERM that it has no handler for.".to_owned()
}

fn by_mask(s: &Signal, name: &str, waited: words::Span, sight: Option<&Sight>) -> Verdict {
    let st = &s.state;
    let v = Verdict::proven(Fate::Blocked).because("blocked-mask");
    let (v, who) = if s.to_process && st.threads_seen > 0 {
        let v = v.field(format!(
            "{} of {} threads block it",
            st.threads_blocking, st.threads_seen
        ));
        let v = if st.threads > st.threads_seen {
            v.but(format!(
                "the masks of {} further threads",
                st.threads - st.threads_seen
            ))
        } else {
            v
        };
        (
            v,
            if st.threads_seen == 1 {
                "The process blocks"
            } else {
                "Every thread that could take it blocks"
            },
        )
    } else {
        (
            v.field(format!("blocked={:#x}", st.blocked)),
            if s.to_process {
                "The process blocks"
            } else {
                "The thread blocks"
            },
        )
    };
    let which = match s.to_process {
        true => sight.and_then(|sight| eligible::blocking(s, sight)),
        false if st.threads > 1 => Some(format!("thread {}", s.target.tid)),
        false => None,
    };
    let which = which.map_or_else(String::new, |which| format!("; {which}"));
    let v = if s.to_process && st.threads_seen == 0 && st.threads > 1 {
        v.but(format!("the masks of {} further threads", st.threads - 1))
    } else {
        v
    };
    let advice = match st.handler {
        Handler::User(_) => format!("see whether a handler runs for long, or unblock {name}"),
        _ => format!("unblock {name}, or take it with sigwait or signalfd"),
    };
    // While a handler runs its own signal and those of its sa_mask are blocked.
    v.say(format!("{who} {name} (sigprocmask, or a handler that runs{which}); it has waited for {waited} and acts once it is unblocked or waited for."))
        .advise(advice)
}
