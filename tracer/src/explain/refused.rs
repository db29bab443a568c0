//! Signals that the kernel refused to send: which of its checks said no, and what
//! would have to be otherwise. No signal was generated, so nothing of this is in
//! any process's history; which pids there are (`nobody`) is read from it. Who may
//! signal whom stands in `denied`.

use std::borrow::Cow;

use crate::event::{BootTime, Call, Denial, Handed, Refused, Task, EINVAL, EPERM};
use crate::explain::report::{RefusedReport, Report, Sender};
use crate::history::note::{Fate, NotedSender};

use super::denied::{by_someone, denied};
use super::engine::Engine;
use super::verdict::{Verdict, View};
use super::{nobody, runtime, sender, signals, words};

const ESRCH: i32 = 3;
const E2BIG: i32 = 7;
const EBADF: i32 = 9;
const ENOMEM: i32 = 12;
pub(crate) const EACCES: i32 = 13;
const EFAULT: i32 = 14;
/// PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP; one at
/// most.
const PIDFD_FLAGS: u32 = 7;

/// `EPERM`, as errno(3) has it.
pub(crate) fn error_name(error: i32) -> Cow<'static, str> {
    Cow::Borrowed(match error {
        EPERM => "EPERM",
        ESRCH => "ESRCH",
        E2BIG => "E2BIG",
        EBADF => "EBADF",
        ENOMEM => "ENOMEM",
        EACCES => "EACCES",
        EFAULT => "EFAULT",
        EINVAL => "EINVAL",
        other => return Cow::Owned(format!("errno {other}")),
    })
}

impl Engine {
    pub(super) fn refused(&mut self, id: u64, time: BootTime, r: &Refused) {
        let filter = &self.coverage.filter;
        let denied = r.denial.as_ref().map(|denial| &denial.target);
        let at_target = denied.is_some_and(|target| filter.target(target));
        if !at_target && !filter.sender(&r.current) {
            return;
        }
        if filter.names(&r.current) {
            self.history.see(&r.current, true);
        }
        if let Some(target) = denied {
            self.history.called_now(target.key, target.comm);
        }
        let target = denied.cloned().or_else(|| meant(self.view(), r));
        let verdict = verdict(self.view(), time, r, target.as_ref());
        let noise = matches!(r.number, signals::CHLD | signals::URG | signals::WINCH);
        self.summary.refused += u64::from(!noise);
        self.summary.routine += u64::from(noise);
        let pidns = match &target {
            Some(target) if at_target => target.pidns(),
            _ => r.current.pidns(),
        };
        let report = RefusedReport {
            id,
            time,
            pidns,
            number: r.number,
            code: code(r),
            call: r.call,
            pid: r.pid,
            tid: (r.tid != 0).then_some(r.tid),
            error: r.error,
            sender: self.refused_sender(r, target.as_ref()),
            target,
            counts: r.counts,
            reason: verdict.reason.unwrap_or("unknown"),
            routine: noise,
            explanation: verdict.explanation,
            count: 1,
        };
        self.outbox
            .push(time, id, Report::Refused(Box::new(report)));
    }

    fn refused_sender(&self, r: &Refused, target: Option<&Task>) -> Sender {
        let by = NotedSender {
            key: r.current.key,
            comm: r.current.comm,
            ppid: r.current.ppid,
            namespaces: r.current.namespaces.clone(),
            cgroup: r.current.cgroup,
            ancestry: r.ancestry.clone(),
            more_ancestors: r.more_ancestors,
            origin: r.at.origin.clone(),
            into: None,
        };
        let target = target.and_then(|target| self.history.process(target.key));
        Sender::Process {
            task: r.current.clone(),
            ancestry: runtime::forebears(&self.history, &r.current, &r.ancestry),
            more_ancestors: r.more_ancestors,
            runtime: target.and_then(|target| runtime::sender(&self.history, &by, target)),
            elsewhere: by.origin.is_some(),
            origin: by.origin,
        }
    }
}

/// The `si_code` that it would have had.
fn code(r: &Refused) -> i32 {
    match (r.handed, r.call) {
        (Handed::Code(code), _) => code,
        (_, Call::Tkill | Call::Tgkill) => sender::SI_TKILL,
        _ => sender::SI_USER,
    }
}

/// Whose pid the sender gave, where nothing else tells whom it may not signal.
fn meant(view: View<'_>, r: &Refused) -> Option<Task> {
    let asked = matches!(r.error, EPERM | EACCES);
    let pid = r.wanted_pid().filter(|_| asked && r.call != Call::Tkill)?;
    let found = match r.current.pidns() {
        None => view.history.with_pid(pid),
        Some(ns) => view.history.members(ns).find(|process| {
            process.task.pid_in(ns) == Some(pid) && !process.reaped && !process.missed
        }),
    };
    found.map(|process| process.task.clone())
}

fn verdict(view: View<'_>, time: BootTime, r: &Refused, target: Option<&Task>) -> Verdict {
    match (r.counts, &r.denial) {
        (Some((refused, reached)), denial) if refused > 0 && reached > 0 => {
            return partial(r, denial.as_ref(), refused, reached);
        }
        (Some((refused, _)), Some(denial)) if refused > 0 => {
            let v = denied(r, denial);
            let v = match refused {
                1 => v,
                n => v.say(format!("So it was with all {n} processes that it was for.")),
            };
            // The loop over everybody forgets EPERM (kill_something_info).
            return match r.error {
                0 => v.say("kill(-1) reports success all the same."),
                _ => v,
            };
        }
        _ => {}
    }
    let v = match r.error {
        EPERM if forged(r) => {
            return forged_siginfo(r);
        }
        EPERM | EACCES => match (&r.denial, target) {
            (Some(denial), _) => denied(r, denial),
            (None, target) => by_someone(view, r, target),
        },
        ESRCH => nobody::verdict(view, time, r),
        EINVAL => invalid(view, r),
        EBADF => bad_argument(r, &format!("{} is no descriptor of a process", r.pid)),
        EFAULT | E2BIG => bad_argument(
            r,
            "the siginfo that was handed in could not be read, or is none",
        ),
        _ => Verdict::unknown(format!(
            "what {} means here: none of the kernel's checks that are known returns it",
            error_name(r.error)
        )),
    };
    Verdict {
        fate: Fate::Refused,
        ..v
    }
    .field(format!("{}={}", r.call.name(), returned(r.error)))
}

fn returned(error: i32) -> String {
    match error {
        0 => "0".to_owned(),
        error => format!("-{}", error_name(error)),
    }
}

/// A verdict on one that was refused.
pub(crate) fn refused() -> Verdict {
    Verdict::proven(Fate::Refused)
}

/// Some of many.
fn partial(r: &Refused, denial: Option<&Denial>, refused: u32, reached: u32) -> Verdict {
    let of_first = denial.map(|denial| denied(r, denial));
    let whom = match r.pid {
        -1 => "every process that it can see",
        0 => "its own process group",
        _ => "a process group",
    };
    let mut v = self::refused().because("partial-broadcast").field(format!(
        "check_kill_permission: {refused} refused, {reached} allowed"
    ));
    v = v.say(format!(
        "{} sent {} to {whom}: {} may get it from there, {} may not, and the call reports success.",
        words::who(&r.current),
        signals::name(r.number),
        words::count(reached.into(), "process", "processes"),
        refused
    ));
    let Some(first) = of_first else {
        return v;
    };
    if refused > 1 {
        v = v.say("The first of those:");
    }
    let what = first.explanation;
    v.explanation.sentences.extend(what.sentences);
    v.explanation.advice.extend(what.advice);
    v.explanation.evidence.extend(what.evidence);
    v
}

/// Whether the siginfo that was handed in may not be sent to others
/// (`do_rt_sigqueueinfo`).
fn forged(r: &Refused) -> bool {
    let from_kernel =
        matches!(r.handed, Handed::Code(code) if code >= 0 || code == sender::SI_TKILL);
    from_kernel && r.denial.is_none()
}

fn forged_siginfo(r: &Refused) -> Verdict {
    let code = code(r);
    refused()
        .because("forged-siginfo")
        .field(format!("si_code={code}"))
        .field(format!("{}=-EPERM", r.call.name()))
        .say(format!(
            "{} handed in a siginfo with the si_code {code}, by which signals of the kernel and of kill(2) are known; to others than itself a process may send only negative ones, and not SI_TKILL.",
            words::who(&r.current)
        ))
        .advise("set si_code to SI_QUEUE (-1), as sigqueue(3) does")
}

fn is_signal(number: i32) -> bool {
    (1..=signals::RTMAX).contains(&number)
}

pub(crate) fn no_such_signal(r: &Refused) -> Verdict {
    refused()
        .because("bad-signal")
        .field(format!("sig={}", r.number))
        .say(format!(
            "{} asked for signal {}, and signals are numbered 1 to {}.",
            words::who(&r.current),
            r.number,
            signals::RTMAX
        ))
        .advise("send one that there is: `kill -l` lists them")
}

fn bad_argument(r: &Refused, what: &str) -> Verdict {
    refused().because("bad-argument").say(format!(
        "{} of {} failed ({}): {what}.",
        r.call.name(),
        words::who(&r.current),
        error_name(r.error)
    ))
}

/// EINVAL, of which kinds there are several.
fn invalid(view: View<'_>, r: &Refused) -> Verdict {
    let checked = r.denial.as_ref().is_some_and(|d| d.error == EINVAL);
    if checked {
        return no_such_signal(r);
    }
    let ids = match r.call {
        Call::Kill | Call::Sigqueue => return no_such_signal_or(r),
        Call::Tkill => r.tid <= 0,
        Call::Tgkill | Call::ThreadSigqueue => r.tid <= 0 || r.pid <= 0,
        Call::Pidfd => return of_pidfd(view, r),
    };
    match ids {
        true => bad_argument(r, "pids of processes and threads are above 0"),
        false => no_such_signal_or(r),
    }
}

fn no_such_signal_or(r: &Refused) -> Verdict {
    match is_signal(r.number) {
        false => no_such_signal(r),
        true => {
            Verdict::unknown("why the kernel found an argument invalid: the signal is a valid one")
        }
    }
}

/// pidfd_send_signal(2) looks at its flags, at the PID namespace, at the siginfo,
/// and last at the signal.
fn of_pidfd(view: View<'_>, r: &Refused) -> Verdict {
    let by = words::who(&r.current);
    if r.flags & !PIDFD_FLAGS != 0 || r.flags.count_ones() > 1 {
        let what = format!("it knows no flags {:#x}", r.flags);
        return bad_argument(r, &what).field(format!("flags={:#x}", r.flags));
    }
    // The signal itself is checked by check_kill_permission.
    if !is_signal(r.number) && !view.coverage.sees_check {
        return no_such_signal(r).but(
            "which came first: that there is no such signal, or that the process is not visible (check_kill_permission is not hooked)",
        );
    }
    let invisible = format!(
        "The descriptor {} of {by} stands for a process that is neither in its PID namespace nor in one below: such a process cannot be signalled, whoever handed the descriptor over",
        r.pid
    );
    let v = refused().because("pidns-not-visible");
    let v = match r.handed {
        Handed::Nothing => v.field("info=NULL").say(format!("{invisible}.")),
        _ => v
            .but("whether the siginfo that was handed in names another signal")
            .say(format!(
                "{invisible}; or the siginfo that was handed in names another signal (si_signo) than the call."
            )),
    };
    let v = match r.flags {
        0 => v.field("flags=0"),
        flags => v
            .field(format!("flags={flags:#x}"))
            .but("whether this kernel knows these flags (since Linux 6.9)"),
    };
    v.advise("let a process of that PID namespace, or of one around it, send the signal")
}

/// Whom it was for, as the sender said it.
pub(crate) fn whom(r: &Refused) -> String {
    described(r.call, r.pid, (r.tid != 0).then_some(r.tid))
}

/// The same in words.
pub(crate) fn described(call: Call, pid: i32, tid: Option<i32>) -> String {
    match (call, pid, tid) {
        (Call::Pidfd, fd, _) => format!("pidfd {fd}"),
        (Call::Tkill, _, tid) => format!("thread {}", tid.unwrap_or(0)),
        (_, pid, Some(tid)) => format!("thread {tid} of pid {pid}"),
        (Call::Kill, -1, _) => "everybody".to_owned(),
        (Call::Kill, 0, _) => "its own process group".to_owned(),
        (Call::Kill, pid, _) if pid < 0 => format!("process group {}", pid.unsigned_abs()),
        (_, pid, _) => format!("pid {pid}"),
    }
}
