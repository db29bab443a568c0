//! stress-ng, whose stressors some scenarios run under sigtrace: this machine's own
//! package, and what it is linked with, for the guests.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{cmd, system, ui};

const PROGRAM: &str = "/usr/bin/stress-ng";

/// Installs it. A machine that cannot have it skips its scenarios.
pub(crate) fn install() {
    if let Err(error) = system::install(&[system::FOR_LOADS]) {
        ui::note(&format!(
            "stress-ng cannot be had, its scenarios will be skipped: {error:#}"
        ));
    }
}

/// The program and its libraries: place in a guest, file here. Empty where it is not
/// installed.
pub(crate) fn files() -> Result<Vec<(String, PathBuf)>> {
    if !PathBuf::from(PROGRAM).is_file() {
        return Ok(Vec::new());
    }
    let linked = cmd::capture(Command::new("ldd").arg(PROGRAM))?;
    let mut files = vec![(PROGRAM.trim_start_matches('/').to_owned(), PROGRAM.into())];
    files.extend(libraries(&linked));
    Ok(files)
}

/// What ldd(1) says, with all but the loader in the one folder that guests have.
fn libraries(linked: &str) -> Vec<(String, PathBuf)> {
    let file = |line: &str| {
        let mut words = line.split_whitespace();
        let path = words.find(|word| word.starts_with('/'))?;
        let name = path.rsplit('/').next()?;
        let place = if line.contains("=>") {
            format!("lib/x86_64-linux-gnu/{name}")
        } else {
            path.trim_start_matches('/').to_owned()
        };
        Some((place, PathBuf::from(path)))
    };
    linked.lines().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_stays_where_programs_look_for_it() {
        let linked = "\tlinux-vdso.so.1 (0x7ffd)\n\
             \tlibbsd.so.0 => /usr/lib/x86_64-linux-gnu/libbsd.so.0 (0x7f1)\n\
             \t/lib64/ld-linux-x86-64.so.2 (0x7f2)\n";
        let places: Vec<String> = libraries(linked).into_iter().map(|(p, _)| p).collect();
        assert_eq!(
            places,
            [
                "lib/x86_64-linux-gnu/libbsd.so.0",
                "lib64/ld-linux-x86-64.so.2"
            ]
        );
    }
}
