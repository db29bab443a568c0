//! The test of setup itself: a minimal Debian with Rust and nothing else, in
//! which `cargo xtask setup` and `cargo xtask build` must do.
//!
//! It gets from this machine only what a person would bring along: the
//! sources, and the way to the network.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{bail, Context, Result};

use super::tally::Tally;
use crate::debian::{area, Mirrors};
use crate::places::Places;
use crate::{cmd, system, ui};

/// Rust as Debian has it, and the certificates without which cargo cannot
/// download. Rust comes with the C linker that it needs itself: without one,
/// not even xtask could be compiled.
const PACKAGES: &str = "cargo-web,ca-certificates";

/// Where the sources are inside.
const SOURCES: &str = "src";

/// Variables that lead to the network; their files come along.
const CERTIFICATES: [&str; 4] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "GIT_SSL_CAINFO",
];
const PROXIES: [&str; 6] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// The minimal Debian, removed at the end.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Runs the test; without root it is skipped.
pub(crate) fn run(places: &Places) -> Result<Tally> {
    if !rustix::process::geteuid().is_root() {
        println!("setup in a minimal Debian: skipped, entering it needs root");
        return Ok(Tally::one_skipped());
    }
    system::install(&[system::FOR_LONG_TESTS])?;
    let begin = Instant::now();
    let result = try_it(places);
    if let Err(error) = &result {
        println!("  FAIL setup in a minimal Debian: {error:#}");
    }
    let tally = Tally::one("a minimal Debian", result.is_ok());
    println!(
        "setup and build in a minimal Debian: {tally} ({})",
        ui::took(begin.elapsed())
    );
    Ok(tally)
}

fn try_it(places: &Places) -> Result<()> {
    let root = Root(places.target.join("minimal-debian"));
    make(places, &root.0)?;
    bring_sources(places, &root.0)?;
    bring_network(&root.0)?;
    let log = places.target.join("minimal-debian.log");
    for task in ["setup", "build"] {
        let what = format!("cargo xtask {task} in the minimal Debian");
        ui::step(
            &what,
            "as on a machine that has Rust and nothing else",
            || cmd::logged(&mut inside(&root.0, &format!("cargo xtask {task}")), &log),
        )?;
    }
    let built = root.0.join(SOURCES).join("target/sigtrace-ebpf.o");
    if fs::metadata(&built).map_or(0, |data| data.len()) == 0 {
        bail!(
            "build ended well, but there is no kernel side at {}",
            built.display()
        );
    }
    Ok(())
}

fn make(places: &Places, root: &Path) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    let mirrors = Mirrors::find()?;
    let sources = places.target.join("minimal-debian.list");
    fs::write(&sources, mirrors.sources_file(&mirrors.codename, true))?;
    let what = format!("making a minimal Debian {}", mirrors.codename);
    ui::step(&what, "mmdebstrap, from this machine's mirror", || {
        let log = places.target.join("minimal-debian.log");
        let mut command = Command::new("mmdebstrap");
        command
            .arg("--variant=apt")
            .arg(format!("--include={PACKAGES}"));
        for setting in area::network_settings()? {
            command.arg(format!("--aptopt={setting}"));
        }
        command.arg(&mirrors.codename).arg(root).arg(&sources);
        cmd::logged(&mut command, &log)
    })
}

/// All that git knows or would add, without what is built.
fn bring_sources(places: &Places, root: &Path) -> Result<()> {
    let list = cmd::capture(
        Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(&places.root),
    )?;
    for name in list.lines() {
        let (from, to) = (places.root.join(name), root.join(SOURCES).join(name));
        if !from.is_file() {
            continue; // deleted and not committed
        }
        if let Some(dir) = to.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::copy(&from, &to).with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}

fn bring_network(root: &Path) -> Result<()> {
    fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf")).ok();
    fs::copy("/etc/hosts", root.join("etc/hosts")).ok();
    let settings = area::network_settings()?.join("\n");
    fs::write(
        root.join("etc/apt/apt.conf.d/95network"),
        format!("{settings}\n"),
    )?;
    let certificates = CERTIFICATES
        .iter()
        .filter_map(env::var_os)
        .map(PathBuf::from);
    let usual = PathBuf::from("/etc/ssl/certs/ca-certificates.crt");
    for file in certificates.chain([usual]).filter(|file| file.is_file()) {
        let Ok(relative) = file.strip_prefix("/") else {
            continue;
        };
        let to = root.join(relative);
        if let Some(dir) = to.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::copy(&file, to)?;
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let to = root.join("root/.cargo");
    fs::create_dir_all(&to)?;
    for name in ["config.toml", "config"] {
        if let Some(file) = home
            .as_ref()
            .map(|home| home.join(name))
            .filter(|file| file.is_file())
        {
            copy(&file, &to)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, into: &Path) -> Result<()> {
    cmd::capture(
        Command::new("cp")
            .args(["--archive", "--dereference"])
            .arg(from)
            .arg(into),
    )
    .map(|_| ())
}

/// A command inside, with mounts of its own that end with it.
fn inside(root: &Path, line: &str) -> Command {
    let script = format!(
        "set -e\nmount --rbind /dev {root}/dev\nmount -t proc proc {root}/proc\nmount -t sysfs sys {root}/sys\n\
         exec chroot {root} /bin/sh -c {line}\n",
        root = cmd::quote(&root.to_string_lossy()),
        line = cmd::quote(&format!("cd /{SOURCES} && {line}"))
    );
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            &script,
        ])
        .stdin(Stdio::null())
        .env_clear()
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    for name in CERTIFICATES.iter().chain(&PROXIES) {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}
