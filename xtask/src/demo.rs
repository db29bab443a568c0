//! `cargo xtask demo`: from a fresh clone to the first picture. Natively where
//! this machine lets us trace, else in a virtual machine; with --docker always in
//! one, which has a Docker.

use std::process::Command;

use anyhow::Result;

use crate::kernel::Series;
use crate::places::Places;
use crate::test::boots;
use crate::vm::Engine;
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
    let guest = vm::Which {
        kernel: Some(series),
        engine: None,
    };
    vm::command(places, guest, &vm::Options::default(), &command)
}

/// With a container of Docker.
pub(crate) fn with_docker(places: &Places) -> Result<i32> {
    setup::to_build(places)?;
    build::all(places)?;
    let guest = vm::Which {
        kernel: None,
        engine: Some(Engine::Bookworm),
    };
    let script = "guest-engines images docker && exec sigtrace-play demo --docker \
                  --sigtrace /usr/local/bin/sigtrace";
    let command = ["sh", "-c", script].map(str::to_owned);
    ui::say("a container of Docker is about to be stopped; sigtrace says why its child is killed by force");
    vm::command(places, guest, &vm::Options::default(), &command)
}
