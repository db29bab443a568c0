//! `cargo xtask test`: everything that decides whether a change is good, in the
//! order of what fails soonest, with one last line that counts it all.
//!
//! `units` is cargo test, `boots` plays the scenarios, `play` reads what they
//! print, `proofs` holds the page of what is proven against it, `bare` sets everything up in a minimal Debian, `tally` counts.

mod bare;
pub(crate) mod boots;
mod play;
mod proofs;
pub(crate) mod tally;
mod units;

use std::env;
use std::time::Instant;

use anyhow::Result;

use crate::kernel::{self, Series};
use crate::places::Places;
use crate::{build, lint, setup, stress_ng, ui};
use tally::Tally;

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// The long tests too.
    pub(crate) all: bool,
    /// Only these kernels; all if empty.
    pub(crate) kernels: Vec<Series>,
    /// No virtual machines.
    pub(crate) no_vm: bool,
}

/// Runs all of it. Returns whether nothing failed.
pub(crate) fn command(places: &Places, options: &Options) -> Result<bool> {
    let begin = Instant::now();
    setup::to_build(places)?;
    build::all(places)?;
    stress_ng::install();
    let mut total = Tally::default();
    total.add(&lint::checks(places)?);
    total.add(&units::run(places)?);
    total.add(&boots::native(places)?);
    if options.no_vm {
        println!("kernels in virtual machines: left out, as --no-vm asks");
    } else {
        total.add(&in_guests(places, options)?);
    }
    if options.all {
        total.add(&bare::run(places)?);
    }
    ui::say(&format!("all of it took {}", ui::took(begin.elapsed())));
    for failure in &total.failures {
        println!("FAILED {failure}");
    }
    println!("{total}");
    Ok(total.failed == 0)
}

fn in_guests(places: &Places, options: &Options) -> Result<Tally> {
    let kernels = &options.kernels;
    let all: Vec<Series> = kernel::SERIES
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let wanted = if kernels.is_empty() { &all } else { kernels };
    // Who names kernels wants those and no more, and all that can be played there.
    let mut plan = boots::Plan::new(options.all || !kernels.is_empty());
    plan.kernels(places, wanted);
    if kernels.is_empty() {
        plan.engines(places, options.all);
    }
    let boots = plan.run()?;
    let mut tally = boots.tally;
    // The page is about what every change is tested with, no less and no more.
    if boots.complete && tally.failed == 0 && kernels.is_empty() && !options.all {
        tally.add(&proofs::check(places, &boots.columns)?);
    } else {
        println!(
            "docs/proofs.md: not compared; only a whole `cargo xtask test` without a failure is"
        );
    }
    let in_ci = kernels.is_empty() && env::var_os("CI").is_some();
    if let Some(complaint) = tally::too_few_kernels(in_ci, boots.kernels) {
        println!("kernels: {complaint}");
        tally.fail(&complaint);
    }
    Ok(tally)
}
