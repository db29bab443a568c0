//! `cargo xtask build`: the kernel side first, because it is embedded by
//! tracer/build.rs, then the static binaries. The compiler for the kernel side
//! comes from `toolchain`.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::cmd;
use crate::elf;
use crate::places::Places;
use crate::toolchain::Toolchain;
use crate::ui;

/// Linked with the C library inside: runs on any Linux, and as the only file of a guest.
pub(crate) const HOST_TARGET: &str = "x86_64-unknown-linux-gnu";

const BPF_TARGET: &str = "bpfel-unknown-none";

/// Without them the kernel refuses the programs: no CO-RE and typed arguments
/// without BTF, no GPL-only helpers without a licence.
const NEEDED_SECTIONS: [&str; 2] = [".BTF", "license"];

/// Settings of the workspace's release profile that must not reach the kernel
/// side: stripping takes the BTF away, and bpf-linker does its own LTO. In one
/// piece and not incremental, whatever the environment says: cut into other
/// pieces, a program may be more than the verifier of an old kernel can follow.
const BPF_PROFILE: [&str; 4] = [
    "profile.release.strip=false",
    "profile.release.lto=\"off\"",
    "profile.release.debug=2",
    "profile.release.codegen-units=1",
];

/// Builds all of it.
pub(crate) fn all(places: &Places) -> Result<()> {
    kernel_side(places)?;
    user_side(places)
}

fn kernel_side(places: &Places) -> Result<()> {
    let Some(toolchain) = Toolchain::find(places) else {
        bail!("the compiler for the kernel side is missing; run `cargo xtask setup`");
    };
    ui::step(
        "building the kernel side",
        "tracer-ebpf, for the kernel's BPF machine",
        || {
            let mut cargo = bpf_cargo(&toolchain, places, "build");
            cmd::run(cargo.arg("--release").args(quiet()))?;
            let built = places
                .target
                .join("ebpf")
                .join(BPF_TARGET)
                .join("release/sigtrace-ebpf");
            let built = without_debug_info(&toolchain, &built)?;
            let object =
                fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
            check_sections(&elf::section_names(&object)?)
                .with_context(|| format!("{} is of no use to the kernel", built.display()))?;
            let place = places.ebpf_object();
            // A new time stamp alone would rebuild everything that embeds it.
            if fs::read(&place).ok().as_deref() != Some(object.as_slice()) {
                if let Some(dir) = place.parent() {
                    fs::create_dir_all(dir)?;
                }
                fs::write(&place, object)
                    .with_context(|| format!("cannot write {}", place.display()))?;
            }
            Ok(())
        },
    )
}

/// BTF is made from the debug information, which then only takes room: in the
/// binary, and in memory while it loads. So do the line numbers of `.BTF.ext`,
/// which nothing but a verifier's complaint would show. Without objcopy all stays.
fn without_debug_info(toolchain: &Toolchain, built: &Path) -> Result<PathBuf> {
    let stripped = built.with_extension("stripped");
    match toolchain.objcopy() {
        Some(mut objcopy) => {
            objcopy.args(["--strip-debug", "--remove-section=.BTF.ext"]);
            cmd::run(objcopy.arg(built).arg(&stripped))?;
            Ok(stripped)
        }
        None => Ok(built.to_owned()),
    }
}

/// A cargo command for the kernel side, with everything that it takes to compile for BPF.
pub(crate) fn bpf_cargo(toolchain: &Toolchain, places: &Places, subcommand: &str) -> Command {
    let flags = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
    ];
    let mut cargo = toolchain.cargo();
    cargo
        .arg(subcommand)
        .args(["-Z", "build-std=core", "--target", BPF_TARGET])
        .args(["--package", "sigtrace-ebpf", "--target-dir"])
        .arg(places.target.join("ebpf"))
        .current_dir(&places.root)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_INCREMENTAL", "0");
    for setting in BPF_PROFILE {
        cargo.args(["--config", setting]);
    }
    cargo
}

fn user_side(places: &Places) -> Result<()> {
    ui::step(
        "building sigtrace and the test program",
        "static binaries, so that they run anywhere",
        || {
            let mut cargo = static_cargo(places, "build");
            cargo.arg("--release").args(quiet());
            cmd::run(cargo.args(["--package", "sigtrace", "--package", "sigtrace-tests"]))
        },
    )
}

/// The bench of the explanation engine (`tracer/benches`), built like sigtrace.
pub(crate) fn engine_bench(places: &Places) -> Result<PathBuf> {
    ui::step("building the engine's bench", "it is measured, too", || {
        let mut cargo = static_cargo(places, "bench");
        cargo.args(["--no-run", "--package", "sigtrace", "--bench", "engine"]);
        // What it says is read.
        cargo
            .args(["--color", "never"])
            .env_remove("CARGO_TERM_QUIET");
        let output = cargo.output().context("cannot start cargo")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let built = executable(&said).filter(|_| output.status.success());
        let built = built.with_context(|| format!("`{}` failed:\n{said}", cmd::show(&cargo)))?;
        Ok(places.root.join(built))
    })
}

/// What cargo says that it has built: `Executable benches/engine.rs (target/…)`.
fn executable(said: &str) -> Option<&str> {
    let mut lines = said.lines();
    let line = lines.find_map(|line| line.trim_start().strip_prefix("Executable "))?;
    line.split_once('(')?.1.strip_suffix(')')
}

fn static_cargo(places: &Places, subcommand: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args([subcommand, "--target", HOST_TARGET])
        .current_dir(&places.root)
        .env("CARGO_TARGET_DIR", &places.target)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    cargo
}

/// cargo's progress is for people: a log would get a line for every package.
fn quiet() -> Option<&'static str> {
    (!io::stderr().is_terminal()).then_some("--quiet")
}

fn check_sections(names: &[String]) -> Result<()> {
    for needed in NEEDED_SECTIONS {
        if !names.iter().any(|name| name == needed) {
            bail!(
                "it has no section `{needed}`; this happens when it was stripped or linked without --btf \
                 (sections: {})",
                names.join(" ")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_has_built_is_found() {
        let said = "   Compiling sigtrace v0.1.0\n  Executable benches/engine.rs (target/x/release/deps/engine-0f)\n";
        assert_eq!(executable(said), Some("target/x/release/deps/engine-0f"));
        assert_eq!(executable("error: no such bench\n"), None);
    }

    #[test]
    fn an_object_without_btf_or_licence_is_refused() {
        let names = |list: &[&str]| {
            list.iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        check_sections(&names(&["", ".BTF", "license"])).unwrap();
        let error = check_sections(&names(&["", "license"])).unwrap_err();
        assert!(error.to_string().contains(".BTF"));
        check_sections(&names(&[".BTF"])).unwrap_err();
    }
}
