//! `cargo xtask docs`: everything that is written out of the code, so far the
//! code's own documentation, with dead links as errors.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::places::Places;
use crate::{cmd, ui};

/// The subcommand.
pub(crate) fn command(places: &Places) -> Result<()> {
    ui::step(
        "writing the code's documentation",
        "cargo doc, with every warning an error",
        || {
            cmd::run(
                Command::new("cargo")
                    .args(["doc", "--quiet", "--no-deps", "--document-private-items"])
                    .current_dir(&places.root)
                    .env("RUSTDOCFLAGS", "-D warnings"),
            )
        },
    )?;
    let index = places.target.join("doc/sigtrace/index.html");
    if fs::exists(&index)? {
        ui::say(&format!("open {}", index.display()));
    }
    Ok(())
}
