//! Signals that are part of normal life: left out unless asked for, counted.

use crate::event::{Handler, Signal};
use crate::history::note::Fate;

use super::sender::Origin;
use super::signals;

/// SIGCHLD, SIGURG and SIGWINCH that end nothing, timers to a handler, and job
/// control that worked.
pub(crate) fn is(s: &Signal, origin: Origin, fate: Fate) -> bool {
    if fate == Fate::Fatal {
        return false;
    }
    match s.number {
        signals::CHLD | signals::URG | signals::WINCH => true,
        _ if matches!(fate, Fate::Stopped | Fate::Continued) => true,
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
