//! The lessons' programs, built as `labs/*/Makefile` would, but below the
//! target folder: so they come into guests, where there is no compiler. A
//! folder for each lesson, with its Dockerfile and Makefile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::places::Places;
use crate::{cmd, go_init};

/// The lessons that have an image.
const LABS: [&str; 2] = ["fwd_sig", "handle_sig"];

/// The lesson that has a Go program.
const WITH_GO: &str = "handle_sig";

/// Builds them; the folder that has a folder for each.
pub(crate) fn build(places: &Places) -> Result<PathBuf> {
    let all = places.target.join("labs");
    for lab in LABS {
        let (from, to) = (places.root.join("labs").join(lab), all.join(lab));
        // Nothing of an earlier build, whose sources may be gone.
        fs::remove_dir_all(&to).ok();
        fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
        one(&from, &to).with_context(|| format!("cannot build the programs of labs/{lab}"))?;
        if lab == WITH_GO {
            fs::copy(go_init::get(places)?, to.join("go-init"))?;
        }
    }
    Ok(all)
}

/// Sources and text are copied, C is compiled; programs that somebody made
/// there by hand are not taken.
fn one(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)?.flatten() {
        let (source, name) = (entry.path(), entry.file_name());
        let end = source.extension().and_then(|end| end.to_str());
        let is_text = matches!(end, Some("c" | "go" | "sh"))
            || matches!(name.to_str(), Some("Dockerfile" | "Makefile"));
        if !is_text {
            continue;
        }
        fs::copy(&source, to.join(&name))?;
        if end == Some("c") {
            let program = to.join(name).with_extension("");
            let mut cc = Command::new("cc");
            cc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o"])
                .arg(program)
                .arg(&source);
            cmd::capture(&mut cc)?;
        }
    }
    Ok(())
}
