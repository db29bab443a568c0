//! `cargo xtask demo`: from a fresh clone to the first picture. Natively where
//! this machine lets us trace, else in a virtual machine.

use std::process::Command;

use anyhow::Result;

use crate::kernel::Series;
use crate::places::Places;
use crate::test::boots;
use crate::{build, cmd, setup, ui, vm};

/// The kernel that most machines of today run.
const KERNEL: &str = "6.1";

/// The subcommand; its exit status is the demo's.
pub(crate) fn command(places: &Places) -> Result<i32> {
    setup::to_build(places)?;
    build::all(places)?;
    let Some(reason) = boots::not_natively(places) else {
        let binaries = places.static_binaries();
        ui::say("a process in a PID namespace is about to be killed by force; sigtrace says why");
        cmd::run(
            Command::new(binaries.join("sigtrace-play"))
                .args(["demo", "--sigtrace"])
                .arg(binaries.join("sigtrace")),
        )?;
        return Ok(0);
    };
    ui::say(&format!(
        "not on this machine's own kernel ({reason}), so in a virtual machine"
    ));
    let series: Series = KERNEL.parse().map_err(anyhow::Error::msg)?;
    let command = ["sigtrace-play", "demo", "--sigtrace", "/usr/bin/sigtrace"].map(str::to_owned);
    vm::command(places, series, &vm::Options::default(), &command)
}
