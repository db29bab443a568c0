//! `cargo xtask lint`: formatting, and every warning an error, on both sides of
//! the kernel's border.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{bail, Result};

use crate::build;
use crate::places::Places;
use crate::test::tally::Tally;
use crate::toolchain::Toolchain;
use crate::{cmd, ui};

/// The subcommand.
pub(crate) fn command(places: &Places) -> Result<bool> {
    let tally = checks(places)?;
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Runs each check, and says how each went; `test` counts them among its own.
pub(crate) fn checks(places: &Places) -> Result<Tally> {
    let mut tally = Tally::default();
    let fmt = ["fmt", "--all", "--", "--check", "--color", "never"];
    tally.add(&user_side(
        places,
        "formatting (cargo fmt repairs it)",
        "rustfmt",
        &fmt,
    )?);
    let clippy = ["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"];
    tally.add(&user_side(places, "clippy", "cargo-clippy", &clippy)?);
    let doc = ["doc", "--quiet", "--no-deps"];
    tally.add(&user_side(places, "documentation", "rustdoc", &doc)?);
    tally.add(&kernel_side(places)?);
    Ok(tally)
}

fn user_side(places: &Places, what: &str, tool: &str, arguments: &[&str]) -> Result<Tally> {
    if cmd::on_path(tool).is_none() {
        // Minimal Rusts come without; CI has them.
        println!("{what}: skipped, this Rust has no `{tool}`");
        return Ok(Tally::one_skipped());
    }
    let begin = Instant::now();
    let output = Command::new("cargo")
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(&places.root)
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(tell(
        what,
        output.status.success(),
        &String::from_utf8_lossy(&said),
        begin,
    ))
}

/// Clippy where the toolchain has it, else the compiler's own warnings. cargo
/// repeats those of an earlier build, so nothing is compiled anew.
fn kernel_side(places: &Places) -> Result<Tally> {
    let Some(toolchain) = Toolchain::find(places) else {
        bail!("the compiler for the kernel side is missing; run `cargo xtask setup`");
    };
    let begin = Instant::now();
    let clippy = matches!(toolchain, Toolchain::Rustup { .. });
    let mut cargo = build::bpf_cargo(&toolchain, places, if clippy { "clippy" } else { "build" });
    cargo.args(["--release", "--quiet"]);
    if clippy {
        cargo.args(["--", "-D", "warnings"]);
    }
    let output = cargo.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let clean = output.status.success() && !said.lines().any(|line| line.starts_with("warning"));
    let what = if clippy {
        "kernel side, clippy"
    } else {
        "kernel side, compiler's warnings"
    };
    Ok(tell(what, clean, &said, begin))
}

fn tell(what: &str, passed: bool, said: &str, begin: Instant) -> Tally {
    let word = if passed { "passed" } else { "failed" };
    println!("{what}: {word} ({})", ui::took(begin.elapsed()));
    if !passed {
        print!("{}", cmd::tail(said, 60));
    }
    Tally::one(what, passed)
}
