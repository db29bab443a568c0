//! Signals that are part of normal life: left out unless asked for, counted.

use crate::event::{flag, Handler, Signal};
use crate::history::note::Fate;

use super::sender::Origin;
use super::signals;

/// SIGCHLD, SIGURG and SIGWINCH that end nothing, timers to a handler, job
/// control that worked, and what a namespace's end sends to the dead. Who stops
/// another's process makes it hang: that is no job control.
pub(crate) fn is(s: &Signal, origin: Origin, fate: Fate) -> bool {
    if fate == Fate::Fatal {
        return false;
    }
    match s.number {
        signals::CHLD | signals::URG | signals::WINCH => true,
        _ if matches!(fate, Fate::Stopped | Fate::Continued) => job_control(s, origin),
        // The end of a namespace sends to zombies and to the dying as well.
        signals::KILL if origin == Origin::KernelForCurrent && s.current.is_pid1() => {
            fate == Fate::Dropped
        }
        // So do the end of a session's leader and of a terminal (disassociate_ctty).
        signals::HUP | signals::CONT if origin == Origin::Terminal => {
            let dying = s.state.signal_flags & flag::GROUP_EXIT != 0
                || s.target.flags & flag::PF_EXITING != 0;
            fate == Fate::Dropped && dying
        }
        _ if origin == Origin::Timer => {
            fate == Fate::Accepted
                || (matches!(
                    fate,
                    Fate::Handled | Fate::Coalesced | Fate::Blocked | Fate::Pending
                ) && matches!(s.state.handler, Handler::User(_)))
        }
        _ => false,
    }
}

/// A terminal's doing, a shell's with its own child, or a process that stops itself.
fn job_control(s: &Signal, origin: Origin) -> bool {
    let by = s.current.key;
    origin != Origin::Process || by == s.target.key || by.pid == s.target.ppid
}
