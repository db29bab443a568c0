//! Where in the kernel a signal's fate was decided, and by which condition. The
//! tracepoint lies above most of these functions, or the target comes to them
//! later: they are on no stack, and follow from the facts of the signal.

use std::fmt;

use crate::event::{flag, Handler, Outcome, Signal};
use crate::explain::report::{Certainty, Evidence};
use crate::history::note::Fate;

use super::super::dropped;
use super::super::signals;
use super::super::stack;
use super::super::verdict::Verdict;

/// What decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A core dump is being written.
    Dumping,
    /// The target was dying, and nothing else would have dropped it.
    Dying,
    /// The same, or else it would have been ignored: it depends on the kernel.
    DyingOrIgnored,
    /// The same, and this kernel queues it.
    QueuedForTheDying,
    /// `is_global_init`.
    GlobalInit,
    /// `SIGNAL_UNKILLABLE` and SIG_DFL.
    Unkillable {
        /// SIGKILL or SIGSTOP, which `force` would have let through.
        kernel_only: bool,
    },
    /// `SIG_KTHREAD_KERNEL` without force.
    KernelThread,
    /// SIG_IGN.
    Ignored,
    /// SIG_DFL of a signal that does nothing then.
    DefaultIgnored,
    /// `prepare_signal` said so, for a reason that is not known.
    Refused,
    /// Pending already.
    AlreadyPending {
        /// In the process's queue, not the thread's.
        of_process: bool,
    },
    /// A timer's own entry is still in the queue.
    Overrun(&'static str),
    /// No room in the queue.
    NoRoom {
        /// Signals queued for the target's user, and its limit.
        queues: Option<(u64, u64)>,
    },
    /// `sig_fatal`: SIGNAL_GROUP_EXIT at once.
    Fatal,
    /// Its default action, once the target takes it.
    FatalAtDelivery,
    /// A handler, once the target takes it.
    Handled,
    /// It stops the target, once that takes it.
    Stopped,
    /// Thrown away, once the target takes it.
    ThrownAway {
        /// `SIGNAL_UNKILLABLE`.
        unkillable: bool,
    },
    /// It does not stop the target, once that takes it.
    Orphaned,
    /// SIGCONT.
    Continued,
    /// Taken from the queue on purpose, by this function.
    Accepted(&'static str),
    /// Nobody can take it.
    Blocked,
}

const PREPARE: &[&str] = &["prepare_signal"];
const TASK_IGNORED: &[&str] = &["prepare_signal", "sig_ignored", "sig_task_ignored"];
const HANDLER_IGNORED: &[&str] = &[
    "prepare_signal",
    "sig_ignored",
    "sig_task_ignored",
    "sig_handler_ignored",
];

impl Decision {
    /// That of a signal with this verdict; `None` where it is not known.
    pub(crate) fn of(s: &Signal, verdict: &Verdict) -> Option<Self> {
        let sure = verdict.explanation.certainty == Certainty::Proven;
        Some(match (verdict.fate, verdict.reason) {
            (Fate::Dropped, reason) => dropped_by(s, reason?)?,
            (Fate::Coalesced, Some("timer-overrun")) => {
                const SENDS: [&str; 2] = ["posixtimer_send_sigqueue", "send_sigqueue"];
                Self::Overrun(stack::find(&s.stack, &SENDS)?)
            }
            // Not decided in `legacy_queue`, which real-time signals pass.
            (Fate::Coalesced, _) if s.outcome != Outcome::AlreadyPending => return None,
            (Fate::Coalesced, _) => Self::AlreadyPending {
                of_process: s.to_process,
            },
            (Fate::Rejected, _) => Self::NoRoom { queues: s.queues },
            (Fate::Fatal, _) => Self::fatal(s),
            (Fate::Handled, _) => Self::Handled,
            (Fate::Stopped, _) => Self::Stopped,
            (Fate::Continued, _) => Self::Continued,
            (Fate::Blocked, Some("blocked-mask")) => Self::Blocked,
            (Fate::Discarded, Some("orphaned-pgrp-stop")) => Self::Orphaned,
            (Fate::Discarded, Some(reason)) if sure => Self::ThrownAway {
                unkillable: reason == "init-no-handler",
            },
            (Fate::Accepted, _) => {
                let of = |function: &str| stack::ACCEPTS.iter().find(|&&name| name == function);
                let evidence = verdict.explanation.evidence.iter();
                let function = evidence.filter_map(|evidence| match evidence {
                    Evidence::Stack(function) => of(function),
                    _ => None,
                });
                Self::Accepted(function.copied().next()?)
            }
            _ => return None,
        })
    }

    /// That of a signal which ends its target.
    pub(crate) fn fatal(s: &Signal) -> Self {
        let exits = s.state.signal_flags & flag::GROUP_EXIT != 0;
        if exits && s.state.group_exit_code & 0x7f == s.number {
            Self::Fatal
        } else {
            Self::FatalAtDelivery
        }
    }

    /// The functions that are on no stack, outermost first. The last one decides,
    /// unless it is one that [`at`](Self::at) names.
    pub(super) fn below(self) -> &'static [&'static str] {
        match self {
            Self::Dumping | Self::Dying | Self::DyingOrIgnored | Self::Refused => PREPARE,
            Self::Continued => PREPARE,
            Self::GlobalInit | Self::Unkillable { .. } | Self::KernelThread => TASK_IGNORED,
            Self::Ignored | Self::DefaultIgnored => HANDLER_IGNORED,
            Self::AlreadyPending { .. } => &["legacy_queue"],
            Self::NoRoom { .. } => &["__sigqueue_alloc"],
            Self::Fatal | Self::QueuedForTheDying => &["complete_signal"],
            Self::Blocked => &["complete_signal", "wants_signal"],
            Self::FatalAtDelivery | Self::Handled | Self::Stopped | Self::ThrownAway { .. } => {
                &["get_signal"]
            }
            Self::Orphaned => &["get_signal", "is_current_pgrp_orphaned"],
            Self::Overrun(_) | Self::Accepted(_) => &[],
        }
    }

    /// The function that decided.
    pub fn at(self) -> &'static str {
        match self {
            Self::Overrun(function) | Self::Accepted(function) => function,
            _ => self.below().last().copied().unwrap_or("prepare_signal"),
        }
    }

    /// Whether the target came to it only later.
    pub(super) fn is_later(self) -> bool {
        use Decision::{Accepted, FatalAtDelivery, Handled, Orphaned, Stopped, ThrownAway};
        matches!(
            self,
            FatalAtDelivery | Handled | Stopped | Orphaned | ThrownAway { .. } | Accepted(_)
        )
    }
}

/// By the kernel's own order, which is that of the reasons.
fn dropped_by(s: &Signal, reason: &str) -> Option<Decision> {
    Some(match reason {
        "target-dumping" => Decision::Dumping,
        "target-exiting" | "zombie" if s.outcome != Outcome::Ignored => Decision::QueuedForTheDying,
        "target-exiting" | "zombie" if ignores(s) => Decision::DyingOrIgnored,
        "target-exiting" | "zombie" => Decision::Dying,
        "global-init" => Decision::GlobalInit,
        "init-no-handler" => Decision::Unkillable {
            kernel_only: signals::kernel_only(s.number),
        },
        "kernel-thread" if s.state.handler == Handler::Ignore => Decision::Ignored,
        "kernel-thread" => Decision::KernelThread,
        "sig-ign" => Decision::Ignored,
        // For a PID 1 the flag is looked at first.
        "default-ignore" if s.target.is_pid1() && !dropped::lets_through(s) => {
            Decision::Unkillable { kernel_only: false }
        }
        "default-ignore" => Decision::DefaultIgnored,
        _ if s.outcome == Outcome::Ignored => Decision::Refused,
        _ => return None,
    })
}

/// Whether `sig_ignored` would have said so of a living target.
fn ignores(s: &Signal) -> bool {
    match s.state.handler {
        Handler::Ignore | Handler::KernelThreadKernel => true,
        Handler::Default => s.target.is_pid1() || signals::default_ignored(s.number),
        Handler::User(_) | Handler::KernelThread => false,
    }
}

/// The condition.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dumping => "a core dump is being written (core_state), and it is not SIGKILL",
            Self::Dying => "the target is ending already (SIGNAL_GROUP_EXIT)",
            Self::DyingOrIgnored => {
                "the target is ending already (SIGNAL_GROUP_EXIT); before 6.0 because sig_ignored says so"
            }
            Self::QueuedForTheDying => {
                "the target is ending already: it stays in the queue, and no thread takes it"
            }
            Self::GlobalInit => "the target is the host's PID 1 (is_global_init)",
            Self::Unkillable { kernel_only: true } => {
                "the target is a PID 1 (SIGNAL_UNKILLABLE), and force is not set: the sender has a pid in its PID namespace"
            }
            Self::Unkillable { kernel_only: false } => {
                "the target is a PID 1 (SIGNAL_UNKILLABLE), and its handler is SIG_DFL"
            }
            Self::KernelThread => {
                "the target is a kernel thread that takes signals of the kernel only (SIG_KTHREAD_KERNEL), and force is not set"
            }
            Self::Ignored => "its handler is SIG_IGN",
            Self::DefaultIgnored => "its handler is SIG_DFL, which does nothing for this signal",
            Self::Refused => "it returned false",
            Self::AlreadyPending { of_process: true } => {
                "it is pending in the process's queue (shared_pending) already"
            }
            Self::AlreadyPending { of_process: false } => {
                "it is pending in the thread's queue already"
            }
            Self::Overrun(_) => "the timer's last signal is still in the queue",
            Self::NoRoom {
                queues: Some((queued, limit)),
            } if queued >= limit => {
                return write!(f, "{queued} are queued for the target's user, and RLIMIT_SIGPENDING is {limit}");
            }
            Self::NoRoom { queues: Some(_) } => "no memory",
            Self::NoRoom { queues: None } => "RLIMIT_SIGPENDING is reached, or there was no memory",
            Self::Fatal => {
                "no handler, and the default action ends the process (sig_fatal): SIGNAL_GROUP_EXIT is set"
            }
            Self::FatalAtDelivery => "no handler, and the default action ends the process",
            Self::Handled => "there is a handler: it runs now",
            Self::Stopped => "no handler, and the default action stops the process",
            Self::ThrownAway { unkillable: true } => {
                "a PID 1 (SIGNAL_UNKILLABLE) without handler: thrown away"
            }
            Self::ThrownAway { unkillable: false } => "it is ignored by now: thrown away",
            Self::Orphaned => {
                "no handler, and nobody in its session could continue the process group: it is not stopped"
            }
            Self::Continued => {
                "SIGCONT: stop signals that are pending are removed, and stopped threads woken"
            }
            Self::Accepted(_) => "the process asked for it, and no handler runs",
            Self::Blocked => "every thread that could take it blocks it: nobody is woken",
        })
    }
}
