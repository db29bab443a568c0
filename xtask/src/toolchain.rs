//! The compiler for the kernel side: a rustc with the sources of `core`, and
//! bpf-linker with the LLVM of that rustc. Finds one, or makes one in the cache.
//!
//! Two ways, because neither exists everywhere: a rustup nightly with rust-src
//! where somebody has it, else Debian's rustc-web and LLVM. What is compiled
//! with it is `build`'s business.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd;
use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::ui;

/// Debian's compiler and LLVM. They conflict with rustc, cargo and rustup
/// packages, so they are unpacked and never installed.
const PACKAGES: [&str; 6] = [
    "rustc-web",
    "rust-web-src",
    "libstd-rust-web-dev",
    "libllvm22",
    "llvm-22",
    "llvm-22-dev",
];

/// Its feature `llvm-22` is what fits the packages above.
const BPF_LINKER: &str = "0.13.0";

/// The cache's entries, made one after the other: the second takes a minute of
/// compiling and should not be lost with the first's download.
const COMPILER_ENTRY: &str = "toolchain";
const LINKER_ENTRY: &str = "bpf-linker";

/// A compiler that can build the kernel side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// `rustup`'s nightly and a bpf-linker that is on the PATH.
    Rustup {
        /// The folder that bpf-linker is in.
        linker: PathBuf,
    },
    /// The cache's own: wrappers for rustc and bpf-linker.
    Debian {
        /// The folder of the rustc wrapper.
        compiler: PathBuf,
        /// The folder of the bpf-linker wrapper.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// The one that is there, if any.
    pub(crate) fn find(places: &Places) -> Option<Self> {
        if let (true, Some(linker)) = (nightly_has_sources(), on_path_or_cargo("bpf-linker")) {
            return Some(Self::Rustup {
                linker: linker.parent()?.to_owned(),
            });
        }
        let compiler = places.cached(COMPILER_ENTRY, &compiler_version())?;
        let linker = places.cached(LINKER_ENTRY, BPF_LINKER)?;
        Some(Self::Debian {
            compiler: compiler.join("bin"),
            linker: linker.join("bin"),
        })
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Rustup { linker } => {
                format!(
                    "rustup's nightly with rust-src, bpf-linker in {}",
                    linker.display()
                )
            }
            Self::Debian { compiler, .. } => {
                format!(
                    "Debian's rustc-web and LLVM 22 with bpf-linker {BPF_LINKER}, in {}",
                    compiler.display()
                )
            }
        }
    }

    /// LLVM's objcopy, where there is one: Debian's comes with the compiler.
    pub(crate) fn objcopy(&self) -> Option<Command> {
        match self {
            Self::Rustup { .. } => Some(Command::new(cmd::on_path("llvm-objcopy")?)),
            Self::Debian { compiler, .. } => {
                let usr = compiler.parent()?.join("usr/lib");
                let mut command = Command::new(usr.join("llvm-22/bin/llvm-objcopy"));
                command.env("LD_LIBRARY_PATH", usr.join("x86_64-linux-gnu"));
                Some(command)
            }
        }
    }

    /// A cargo that compiles with this toolchain.
    pub(crate) fn cargo(&self) -> Command {
        match self {
            Self::Rustup { linker } => {
                let mut command = Command::new("cargo");
                command
                    .env("RUSTUP_TOOLCHAIN", "nightly")
                    .env("PATH", path_with(linker));
                command
            }
            Self::Debian { compiler, linker } => {
                let mut command = Command::new("cargo");
                command
                    .env("RUSTC", compiler.join("rustc"))
                    // build-std is unstable; Debian's compiler is a release.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("PATH", path_with(linker));
                command
            }
        }
    }
}

/// Makes the toolchain where none is.
pub(crate) fn ensure(places: &Places) -> Result<Toolchain> {
    if let Some(found) = Toolchain::find(places) {
        return Ok(found);
    }
    let compiler = places.ensure(COMPILER_ENTRY, &compiler_version(), |fresh, end| {
        unpack_compiler(places, fresh, end)
    })?;
    places.ensure(LINKER_ENTRY, BPF_LINKER, |fresh, _| {
        build_linker(places, &compiler, fresh)
    })?;
    Toolchain::find(places)
        .context("the toolchain was made but cannot be found; this is a bug in xtask")
}

fn compiler_version() -> String {
    PACKAGES.join(" ")
}

fn unpack_compiler(places: &Places, fresh: &Path, end: &Path) -> Result<()> {
    let mirrors = Mirrors::find()?;
    let area = Area::open(places, &mirrors, &mirrors.codename)?;
    let version = area.version("rustc-web").context(
        "Debian's rustc-web is what builds the kernel side here. Elsewhere: \
         `rustup toolchain install nightly --component rust-src`, install bpf-linker, and run this again",
    )?;
    let what = format!("downloading and unpacking rustc-web {version} and LLVM 22");
    let why = "the compiler for the kernel side, about 200 MiB; into the cache, not installed";
    ui::step(&what, why, || {
        let mut packages: Vec<String> = PACKAGES.map(str::to_owned).to_vec();
        packages.extend(libraries(&area.missing_for(&PACKAGES)?));
        let names: Vec<&str> = packages.iter().map(String::as_str).collect();
        area.unpack(&names, fresh)
    })?;
    // The unpacked rustc takes /usr for its sysroot, and would find no
    // libraries of its own.
    let (root, lib) = (end.display(), end.join("usr/lib/x86_64-linux-gnu"));
    let script = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH={lib}\nexec {root}/usr/bin/rustc --sysroot {root}/usr \"$@\"\n",
        lib = lib.display()
    );
    write_script(&fresh.join("bin/rustc"), &script)
}

/// Of all that apt would install for the compiler, the shared libraries: those
/// that this machine has not. Headers and tools around them are not needed.
fn libraries(missing: &[String]) -> Vec<String> {
    missing
        .iter()
        .filter(|name| {
            name.starts_with("lib") && !name.ends_with("-dev") && !name.starts_with("libclang")
        })
        .filter(|name| !PACKAGES.contains(&name.as_str()))
        .cloned()
        .collect()
}

fn build_linker(places: &Places, compiler: &Path, fresh: &Path) -> Result<()> {
    let what = format!("compiling bpf-linker {BPF_LINKER}");
    let why = "it makes one BPF object of what rustc compiled; about a minute";
    let lib = compiler.join("usr/lib/x86_64-linux-gnu");
    ui::step(&what, why, || {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked"])
            .args(["--no-default-features", "--features", "llvm-22", "--root"])
            .arg(fresh)
            .env("CARGO_TARGET_DIR", fresh.join("target"))
            .env("RUSTC", compiler.join("bin/rustc"))
            // Without it: "unable to find library -lLLVM".
            .env("LLVM_PREFIX", compiler.join("usr/lib/llvm-22"))
            // The workspace's settings are not for this.
            .current_dir(fresh)
            .env_remove("RUSTFLAGS");
        cmd::logged(&mut cargo, &places.cache.join("bpf-linker.log"))?;
        fs::remove_dir_all(fresh.join("target"))?;
        let real = fresh.join("libexec/bpf-linker");
        fs::create_dir_all(fresh.join("libexec"))?;
        fs::rename(fresh.join("bin/bpf-linker"), &real)?;
        let script = format!(
            "#!/bin/sh\nexport LD_LIBRARY_PATH={}\nexec {} \"$@\"\n",
            lib.display(),
            places
                .cache
                .join(LINKER_ENTRY)
                .join("libexec/bpf-linker")
                .display()
        );
        write_script(&fresh.join("bin/bpf-linker"), &script)
    })
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Whether rustup has a nightly that can build `core`.
fn nightly_has_sources() -> bool {
    // Asked without starting a download: a proxy would install what is missing.
    let sysroot = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .env("RUSTUP_AUTO_INSTALL", "0")
        .output();
    sysroot.is_ok_and(|output| {
        let root = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        output.status.success() && root.join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

fn on_path_or_cargo(name: &str) -> Option<PathBuf> {
    cmd::on_path(name).or_else(|| {
        let home = PathBuf::from(env::var_os("HOME")?);
        Some(home.join(".cargo/bin").join(name)).filter(|file| file.is_file())
    })
}

fn path_with(first: &Path) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_libraries_are_added() {
        let missing = [
            "libstd-rust-web-1.96",
            "libclang-cpp22",
            "libllvm22",
            "gcc",
            "libgit2-dev",
            "libz3-4",
        ]
        .map(str::to_owned);
        assert_eq!(libraries(&missing), ["libstd-rust-web-1.96", "libz3-4"]);
    }
}
