//! `cargo xtask setup`: everything that building and testing need, in order,
//! each step only if its result is not there yet. The steps themselves are in
//! `system`, `toolchain`, `guest_tools` and `kernel`.

use std::time::Instant;

use anyhow::Result;

use crate::kernel::{self, Series};
use crate::places::Places;
use crate::system;
use crate::toolchain::{self, Toolchain};
use crate::{guest_tools, stress_ng, ui};

/// The whole setup.
pub(crate) fn all(places: &Places) -> Result<()> {
    let begin = Instant::now();
    let cache = places.cache_root()?;
    ui::say(&format!("downloads and tools go to {}", cache.display()));
    system::check_room(cache)?;
    system::install(&[system::TO_BUILD, system::FOR_VM])?;
    stress_ng::install();
    let toolchain = toolchain::ensure(places)?;
    ui::say(&format!(
        "compiler for the kernel side: {}",
        toolchain.describe()
    ));
    guest_tools::get(places)?;
    for text in kernel::SERIES {
        match text
            .parse::<Series>()
            .map(|series| kernel::get(places, series))
        {
            Ok(Ok(kernel)) => ui::say(&describe(text, &kernel)),
            // One missing kernel must not keep anybody from building.
            Ok(Err(error)) => ui::say(&format!(
                "kernel {text} cannot be had, its tests will be skipped: {error:#}"
            )),
            Err(error) => ui::say(&error),
        }
    }
    ui::say(&format!(
        "ready after {}; next: `cargo xtask demo`, or `cargo xtask test`",
        ui::took(begin.elapsed())
    ));
    Ok(())
}

fn describe(series: &str, kernel: &kernel::Kernel) -> String {
    let note = if kernel.stands_in {
        " (the nearest that the mirror has)"
    } else {
        ""
    };
    format!("kernel {series}: {}{note}", kernel.release)
}

/// What a build needs, if something of it is missing.
pub(crate) fn to_build(places: &Places) -> Result<()> {
    if Toolchain::find(places).is_none() {
        ui::say("the compiler for the kernel side is not here yet; making it as `cargo xtask setup` does");
        system::check_room(places.cache_root()?)?;
    }
    system::install(&[system::TO_BUILD])?;
    toolchain::ensure(places)?;
    Ok(())
}

/// What a virtual machine needs beside its kernel.
pub(crate) fn for_vm(places: &Places) -> Result<()> {
    system::install(&[system::FOR_VM])?;
    stress_ng::install();
    guest_tools::get(places)?;
    Ok(())
}
