//! Signals that did nothing at once: why the kernel dropped them, in the
//! kernel's own order (`prepare_signal`, `sig_ignored`, `sig_task_ignored`).

use std::fmt;

use crate::event::{flag, BootTime, Handler, Outcome, Signal};
use crate::history::note::Fate;
use crate::history::process::{Exited, Process};

use super::engine::TAKEN_NS;
use super::signals::DefaultAction;
use super::verdict::{Verdict, View};
use super::{abort, eligible, kernel_rules, sender, signals, stack, words};

/// Bits of `exit_state` (`include/linux/sched.h`).
const EXIT_DEAD: u32 = 16;
const EXIT_ZOMBIE: u32 = 32;

/// The target was dying before this signal.
pub(crate) enum Dying {
    /// Nothing says so.
    No,
    /// It is exiting.
    Exiting,
    /// It is dead and waits for its parent.
    Zombie,
    /// The thread alone is that the signal is for.
    Thread,
}

/// Whether the target was dying before this signal came. The tracepoint fires
/// after `complete_signal`, so a GROUP_EXIT with this signal's own number is
/// this signal's doing, unless an earlier event says otherwise.
pub(crate) fn dying(view: View<'_>, time: BootTime, s: &Signal) -> Dying {
    let known = view.history.process(s.target.key);
    let st = &s.state;
    if known.is_some_and(|one| died_of(one, time, s)) {
        return Dying::No;
    }
    let exited = known.is_some_and(|p| p.exit.is_some());
    let dead = st.exit_state & (EXIT_DEAD | EXIT_ZOMBIE) != 0;
    if dead && (exited || st.threads <= 1) {
        return Dying::Zombie;
    }
    // A PID 1 that has exited waits for everybody in its namespace before it is dead.
    if exited {
        return Dying::Exiting;
    }
    let own = s.outcome != Outcome::Ignored && st.group_exit_code & 0x7f == s.number;
    let exits = st.signal_flags & flag::GROUP_EXIT != 0 && !own;
    let last_thread = st.threads <= 1 && s.target.flags & flag::PF_EXITING != 0;
    if exits || last_thread || known.is_some_and(|p| p.fatal.is_some()) {
        return Dying::Exiting;
    }
    if eligible::to_dead_thread(s) {
        return Dying::Thread;
    }
    Dying::No
}

/// Whether a process that has just ended did so of this signal, although it ended first
/// (see [`super::exit_report`]).
fn died_of(victim: &Process, time: BootTime, s: &Signal) -> bool {
    let own = s.outcome != Outcome::Ignored && s.state.group_exit_code & 0x7f == s.number;
    let marked = s.state.signal_flags & flag::GROUP_EXIT != 0 && own;
    let of_it =
        |end: Exited| end.status & 0x7f == s.number && words::between(end.time, time) <= TAKEN_NS;
    marked && victim.awaits_kill && victim.exit.is_some_and(of_it)
}

/// Whether the target writes a core dump.
pub(crate) fn dumping(s: &Signal) -> bool {
    s.state.dumping || s.state.signal_flags & flag::GROUP_COREDUMP_5_10 != 0
}

/// A signal to a process that was dying before.
pub(crate) fn to_the_dying(view: View<'_>, s: &Signal, dying: &Dying) -> Verdict {
    if matches!(dying, Dying::Thread) {
        return eligible::dead_thread(s);
    }
    let name = signals::name(s.number);
    let mut v = match dying {
        Dying::Zombie => Verdict::proven(Fate::Dropped).because("zombie").say(format!(
            "The process was dead already and only waits to be reaped; {name} has nothing left to act on, though kill reports success."
        )).advise("its parent has to wait() for it; no signal removes a zombie"),
        _ => Verdict::proven(Fate::Dropped)
            .because("target-exiting")
            .say(ending_already(view, s)),
    };
    if matches!(dying, Dying::Exiting) && waits_for_others(view, s) {
        v = v.say("A PID 1 that has exited is there until every other process of its PID namespace is gone and reaped.");
    }
    if sent_again(view, s) {
        v = v.routine();
    }
    v = match view.history.process(s.target.key) {
        Some(p) if p.exit.is_some() => v.event(p.exit.map_or(0, |e| e.event)),
        Some(p) if p.fatal.is_some() => v.event(p.fatal.as_ref().map_or(0, |f| f.event)),
        _ if s.state.exit_state != 0 => v.field(format!("exit_state={}", s.state.exit_state)),
        _ if s.state.signal_flags & flag::GROUP_EXIT != 0 => v.field(format!(
            "signal->flags has SIGNAL_GROUP_EXIT, group_exit_code={:#x}",
            s.state.group_exit_code
        )),
        _ => v.field("flags has PF_EXITING"),
    };
    if s.outcome != Outcome::Ignored {
        // Before 6.0 prepare_signal lets it through into the queue.
        v = v.field(match s.outcome {
            Outcome::AlreadyPending => "result=2: one is queued already, and nobody takes it",
            _ => "result=0: this kernel queues it all the same, and nobody takes it",
        });
    }
    v
}

/// What the process that gets a signal is ending of, where that was seen.
fn ended_by<'a>(view: View<'a>, s: &Signal) -> Option<&'a Signal> {
    let process = view.history.process(s.target.key)?;
    process.fatal.as_ref()?.signal.as_deref()
}

/// A signal of whoever ended it: the same once more, as to its process
/// group, or a SIGCONT, so that the end comes even if the target is stopped.
fn sent_again(view: View<'_>, s: &Signal) -> bool {
    ended_by(view, s).is_some_and(|first| {
        let by_same = [first, s].map(sender::origin) == [sender::Origin::Process; 2]
            && first.current.key == s.current.key;
        // The OOM killer kills a group whole, the chosen one with it.
        let by_oom = stack::has(&s.stack, kernel_rules::OOM_GROUP)
            && stack::find(&first.stack, kernel_rules::OOM).is_some()
            && first.current.key == s.current.key;
        by_oom || by_same && [first.number, signals::CONT].contains(&s.number)
    })
}

fn ending_already(view: View<'_>, s: &Signal) -> String {
    let name = signals::name(s.number);
    match ended_by(view, s) {
        Some(first) => {
            let number = signals::name(first.number);
            let by = match sender::origin(first) {
                sender::Origin::Process if first.current.key == s.target.key => {
                    " that it had sent to itself".to_owned()
                }
                sender::Origin::Process => format!(" of {}", words::who(&first.current)),
                _ => String::new(),
            };
            format!("The process was ending already, of the {number}{by}, when {name} came, so it changed nothing.")
        }
        None => format!("The process was exiting already when {name} came, so it changed nothing."),
    }
}

/// A PID 1 that has exited and is no zombie yet (`zap_pid_ns_processes`).
fn waits_for_others(view: View<'_>, s: &Signal) -> bool {
    let exited = (view.history.process(s.target.key)).is_some_and(|one| one.exit.is_some());
    exited && s.target.is_pid1() && !s.target.namespaces.is_empty()
}

/// A signal that the kernel dropped (`TRACE_SIGNAL_IGNORED`).
pub(crate) fn dropped(view: View<'_>, time: BootTime, s: &Signal, dying: &Dying) -> Verdict {
    let name = signals::name(s.number);
    if dumping(s) && s.number != signals::KILL {
        return Verdict::proven(Fate::Dropped)
            .because("target-dumping")
            .field("core_state is set")
            .say(format!("The process is writing a core dump; {name} was dropped, only SIGKILL gets through now."));
    }
    if !matches!(dying, Dying::No) {
        return to_the_dying(view, s, dying);
    }
    let v =
        Verdict::proven(Fate::Dropped).field(format!("sa_handler={}", SaHandler(s.state.handler)));
    let host_init = s.target.key.pid == 1 && s.target.namespaces.is_empty();
    if host_init && signals::kernel_only(s.number) {
        return v.because("global-init").say(format!(
            "The host's PID 1 never gets {name}, whoever sends it (sig_task_ignored)."
        ));
    }
    let by_default = s.state.handler == Handler::Default;
    let forced_through = lets_through(s);
    if s.target.is_pid1() && by_default && !signals::default_ignored(s.number) && !forced_through {
        return no_handler(view, time, s, v);
    }
    if s.target.flags & flag::PF_KTHREAD != 0 {
        return v
            .because("kernel-thread")
            .field("flags has PF_KTHREAD")
            .say(format!(
                "{} is a kernel thread that takes no {name}: signals cannot end kernel threads.",
                words::who(&s.target)
            ));
    }
    if s.state.handler == Handler::Ignore && own(s) {
        let v = v.because("sig-ign");
        // kill(0) and kill(-pgrp): the only calls that mean others as well.
        return match stack::has(&s.stack, "__kill_pgrp_info") {
            true => v.routine().frame("__kill_pgrp_info").say(format!(
                "The process sent {name} to its whole process group and ignores it (SIG_IGN), as programs do that mean the others in the group (timeout(1))."
            )),
            false => v.say(format!("The process sent {name} itself and ignores it (SIG_IGN)."))
                .advise(format!("look why it ignores {name}: it asked for that, or inherited it through exec; reset it to SIG_DFL where it is to act on it")),
        };
    }
    if s.state.handler == Handler::Ignore {
        return v
            .because("sig-ign")
            .say(format!(
                "The process ignores {name} (SIG_IGN). It asked for that itself, or inherited it through exec, as from nohup or a shell's background job."
            ))
            .advise(format!("install a handler for {name}, or reset it to SIG_DFL before exec"));
    }
    if by_default && signals::default_ignored(s.number) {
        let what = if s.number == signals::CONT {
            "The process was not stopped, so SIGCONT had nothing to continue.".to_owned()
        } else {
            format!("{name} is ignored unless a handler is installed, and there is none.")
        };
        return v.because("default-ignore").say(what);
    }
    let mut v = Verdict::unknown(
        "the condition under which the kernel dropped it: none that is known holds",
    )
    .field(format!("sa_handler={}", SaHandler(s.state.handler)))
    .say(format!(
        "The kernel dropped {name}, and nothing that is known of the target says why."
    ));
    v.fate = Fate::Dropped;
    v
}

/// Whether a PID 1 gets it without a handler: SIGKILL or SIGSTOP with `force`.
pub(crate) fn lets_through(s: &Signal) -> bool {
    signals::kernel_only(s.number) && sender::forced(s)
}

/// A process sent it to itself.
fn own(s: &Signal) -> bool {
    s.current.key == s.target.key && sender::origin(s) == sender::Origin::Process
}

/// PID 1 of a namespace gets only what it handles, waits for or blocks.
fn no_handler(view: View<'_>, time: BootTime, s: &Signal, v: Verdict) -> Verdict {
    let name = signals::name(s.number);
    let v = v
        .because("init-no-handler")
        .field("pid 1 of its PID namespace (SIGNAL_UNKILLABLE)");
    let pid = s.target.key.pid;
    if signals::kernel_only(s.number) && own(s) {
        return v
            .say(format!(
                "PID 1 sent {name} to itself, and sent from inside its PID namespace it never reaches a PID 1: the kernel dropped it (sig_task_ignored)."
            ))
            .advise("end with exit: a PID 1 cannot kill or stop itself");
    }
    if signals::kernel_only(s.number) && sender::origin(s) == sender::Origin::Timer {
        return v
            .say(format!(
                "A timer of PID 1 had run out (timer_create) that sends {name}; for a PID 1 that counts as sent from inside its PID namespace, and from there it never reaches it: the kernel dropped it (sig_task_ignored)."
            ))
            .advise("have the timer send a signal that PID 1 handles");
    }
    if signals::kernel_only(s.number) {
        let (short, engines) = match s.number {
            signals::STOP => ("STOP", "docker pause"),
            _ => ("9", "docker kill"),
        };
        return v
            .say(format!(
                "{name} cannot be handled, and sent {} it never reaches a PID 1: the kernel dropped it (sig_task_ignored).",
                sender::direction(s)
            ))
            .advise(format!(
                "send it from outside the PID namespace: kill -{short} {pid} on the host, or through the container engine ({engines})"
            ));
    }
    let own = own(s);
    if abort::raised(s) {
        return v.say("PID 1 sent SIGABRT to itself, as abort(3) does, and has no handler for it: the kernel drops every such signal to the PID 1 of a namespace.")
            .say("abort(3) tries it twice and then ends the program by a fault, so that its status names SIGSEGV.");
    }
    let handled = view.history.process(s.target.key).and_then(|p| {
        p.notes
            .iter()
            .rev()
            .find(|n| n.number == s.number && n.fate == Fate::Handled && n.time < time)
            .cloned()
    });
    if let (true, Some(handled)) = (own, handled) {
        return v
            .event(handled.event)
            .say(format!(
                "PID 1 sent {name} to itself {} after it had got one, with its handler reset to the default; a PID 1 without a handler never gets it, so the kernel dropped it.",
                words::span(words::between(handled.time, time))
            ))
            .say(format!(
                "Programs do so to die of the signal that they got, once they have cleaned up. If this is a Go program, Go's runtime does it on a {name} that the program has not asked for with signal.Notify, and as PID 1 it then exits with status 2."
            ))
            .advise(format!("let PID 1 end by exit where it is asked to with {name} (in Go: handle it with signal.Notify), or run it below an init (docker run --init, tini)"));
    }
    let otherwise = match signals::default_action(s.number) {
        DefaultAction::Stop => "Any other process it would have stopped",
        _ => "For any other process it would have been fatal",
    };
    if let Some((why, advice)) = told_by_kernel(s, &name) {
        return v
            .say(format!(
                "PID 1 has no handler for {name}, and the kernel drops every such signal to the PID 1 of a namespace. {why}"
            ))
            .say(format!("{otherwise}; PID 1 goes on."))
            .advise(advice);
    }
    let v = v.say(format!(
        "PID 1 has no handler for {name}, and the kernel drops every such signal to the PID 1 of a namespace; this one came {}.",
        sender::direction(s)
    ))
    .say(format!("{otherwise}; a PID 1 gets only the signals that it handles, waits for or blocks."));
    if signals::default_action(s.number) == DefaultAction::Stop {
        return v.advise(format!(
            "install a handler for {name} in PID 1 if it is to act on it; SIGSTOP from outside stops it: kill -STOP {pid} on the host, or docker pause for the whole container"
        ));
    }
    // Nobody should write a handler for a fault only to be killed by it.
    let remedy = if signals::is_fault(s.number) || s.number == signals::ABRT {
        format!("{name} is how a program's own fault ends it; ask PID 1 to end by a signal that it handles, or")
    } else {
        format!("install a handler for {name} in PID 1, or use an init that has one (docker run --init, tini);")
    };
    v.advise(format!(
        "{remedy} SIGKILL from outside ends it: kill -9 {pid} on the host"
    ))
}

/// What the kernel tells a PID 1 of what it did or asked for itself, where nobody
/// wanted its end: what that was, and what to do about it.
fn told_by_kernel(s: &Signal, name: &str) -> Option<(&'static str, String)> {
    use sender::Origin;
    let own = s.current.key == s.target.key;
    Some(match (sender::origin(s), s.number) {
        (Origin::KernelForCurrent, signals::PIPE) if own => (
            "It had written to a pipe or socket that nobody reads any more.",
            "nothing is wrong where PID 1 handles the error of that write (EPIPE), which it got as well".to_owned(),
        ),
        (Origin::KernelForCurrent, signals::XFSZ) if own => (
            "It had written beyond the limit of its file size (RLIMIT_FSIZE).",
            "handle the error of that write (EFBIG), which PID 1 got as well, or raise the limit (ulimit -f)".to_owned(),
        ),
        (Origin::Timer, _) => (
            "A timer of its own had run out (alarm, setitimer or timer_create).",
            format!("install a handler for {name} in PID 1 before the timer is armed"),
        ),
        (Origin::Kernel | Origin::KernelForCurrent, signals::XCPU) => (
            "It had used up its soft limit of processor time (RLIMIT_CPU, or RLIMIT_RTTIME of a real-time thread).",
            "raise the limit (ulimit -t), or handle SIGXCPU: at the hard limit SIGKILL ends PID 1 all the same".to_owned(),
        ),
        (Origin::Kernel | Origin::KernelForCurrent, _)
            if stack::find(&s.stack, stack::NOTICES).is_some() || s.number == signals::IO =>
        {
            (
                "The kernel told it of a file or queue, as it had asked for (O_ASYNC, F_NOTIFY, F_SETLEASE, mq_notify).",
                format!("install a handler for {name} in PID 1 before it asks for that"),
            )
        }
        _ => return None,
    })
}

/// `SIG_DFL`, `SIG_IGN`, an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SaHandler(pub(crate) Handler);

impl fmt::Display for SaHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Handler::Default => f.write_str("SIG_DFL"),
            Handler::Ignore => f.write_str("SIG_IGN"),
            Handler::KernelThread => f.write_str("SIG_KTHREAD"),
            Handler::KernelThreadKernel => f.write_str("SIG_KTHREAD_KERNEL"),
            Handler::User(address) => write!(f, "{address:#x}"),
        }
    }
}
