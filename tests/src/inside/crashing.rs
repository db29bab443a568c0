//! Roles with a handler for their own faults.

use std::process;

use anyhow::{bail, Result};

use super::doomed::prepare;
use crate::sys;
use crate::sys::crashing::{self, Then};

/// Plays one; false: there is no such role here.
pub(super) fn play(role: &str, words: &[&str]) -> Result<bool> {
    let then = match (role, words) {
        ("crash-exits", []) => Then::Exit,
        ("crash-aborts", []) => Then::Abort,
        ("crash-raises", []) => Then::Raise,
        ("crash-kills", []) => Then::Kill,
        // Many faults that its handler mends; then it ends.
        ("mends", [times, status]) => {
            prepare(role)?;
            crashing::fault_and_mend(times.parse()?)?;
            process::exit(status.parse()?);
        }
        _ => return Ok(false),
    };
    crashing::handle_faults(then)?;
    prepare(role)?;
    sys::read_near_zero();
    bail!("{role} was to end in its handler")
}
