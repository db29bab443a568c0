//! A shell that ends with 128 + n because a child of it was ended by signal n: the chain
//! goes on with the end of that child.

use crate::event::BootTime;
use crate::explain::report::Certainty;
use crate::history::process::LostChild;

use super::death::{self, Death};
use super::signals;
use super::verdict::View;

/// Goes on with it, where the chain has not got anywhere else yet.
pub(super) fn behind(view: View<'_>, lost: &LostChild, at: BootTime, d: &mut Death) {
    if d.chain.len() > 1 {
        return;
    }
    if !lost.waited_for {
        d.missing(
            "that it had waited for that child (release_task is not hooked)",
            Certainty::Inferred,
        );
    }
    d.link(
        Some(lost.event),
        format!(
            "its child {} {} ended by {}",
            lost.comm,
            lost.key.pid,
            signals::name(lost.number)
        ),
    );
    if let Some(child) = view.history.process(lost.key) {
        death::follow(view, child, at, d);
    }
}
