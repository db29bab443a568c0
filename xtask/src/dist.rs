//! `cargo xtask dist`: the one file that is handed out, and the proof that it
//! needs nothing else: it is the only file of a guest.

use std::fs;
use std::time::Duration;

use anyhow::{bail, Context, Result};

use crate::kernel::Series;
use crate::places::Places;
use crate::vm::{initramfs, Guest, Options};
use crate::{build, setup, ui};

/// What somebody may have to copy over a slow link at three in the morning.
const LIMIT: u64 = 15 << 20;

/// The oldest kernel that is supported is the strictest proof.
const KERNEL: &str = "5.10";

/// The subcommand.
pub(crate) fn command(places: &Places) -> Result<()> {
    setup::to_build(places)?;
    build::all(places)?;
    let dist = places.target.join("dist");
    fs::create_dir_all(&dist)?;
    let file = dist.join("sigtrace");
    let built = places.static_binaries().join("sigtrace");
    fs::copy(&built, &file).with_context(|| format!("cannot copy {}", built.display()))?;
    let size = fs::metadata(&file)?.len();
    if size > LIMIT {
        bail!(
            "{} has {}, and may have {}; `cargo bloat --release` shows what takes the room",
            file.display(),
            ui::size(size),
            ui::size(LIMIT)
        );
    }
    let series: Series = KERNEL.parse().map_err(anyhow::Error::msg)?;
    let guest = Guest::prepare(places, series)?;
    let what = format!("booting {} with this one file", guest.kernel.release);
    ui::step(&what, "it must run where nothing else is", || {
        let options = Options {
            // What follows -- goes to the first program.
            append: "-- --version".to_owned(),
            timeout: Duration::from_secs(60),
            ..Options::default()
        };
        let boot = guest.run_alone(&initramfs::program_alone(&file)?, &options)?;
        judge(&boot.console)
    })?;
    println!("{} {} ({size} bytes)", file.display(), ui::size(size));
    Ok(())
}

/// The kernel panics when its first program ends, and tells its exit code.
fn judge(console: &str) -> Result<()> {
    let said = console
        .lines()
        .find(|line| line.contains(concat!("sigtrace ", env!("CARGO_PKG_VERSION"))));
    let ended_well = console.contains("Attempted to kill init! exitcode=0x00000000");
    match (said, ended_well) {
        (Some(_), true) => Ok(()),
        _ => bail!(
            "`sigtrace --version` did not run as the only program of a machine. The kernel's last words:\n{}",
            crate::cmd::tail(console, 25)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_must_speak_and_end_well() {
        let version = concat!("sigtrace ", env!("CARGO_PKG_VERSION"), "\r\n");
        let well = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000\n";
        let badly = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n";
        judge(&format!("{version}{well}")).unwrap();
        judge(&format!("{version}{badly}")).unwrap_err();
        judge(well).unwrap_err();
    }
}
