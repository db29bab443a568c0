//! `go-init`: a real Go program as PID 1, since Go's runtime has ways of its
//! own with SIGTERM. Built once with Debian's Go, unpacked and not installed;
//! only the program stays in the cache.
//!
//! Its source is `labs/handle_sig/go-init.go`; the scenario is in `tests`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cmd;
use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::ui;

const SOURCE: &str = include_str!("../../labs/handle_sig/go-init.go");

/// The program, from the cache or built.
pub(crate) fn get(places: &Places) -> Result<PathBuf> {
    let dir = places.ensure("go-init", SOURCE, |fresh, _| {
        let mirrors = Mirrors::find()?;
        let area = Area::open(places, &mirrors, &mirrors.codename)?;
        let version = newest(&area.names("^golang-[0-9.]+-go$")?)
            .context("this Debian has no Go compiler (golang-…-go)")?;
        let root = fresh.join("go");
        fs::create_dir_all(&root)?;
        ui::step(
            &format!("building go-init with Go {version}"),
            "a scenario has a Go program as PID 1",
            || {
                let packages = [
                    format!("golang-{version}-go"),
                    format!("golang-{version}-src"),
                ];
                let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
                area.unpack(&packages, &root)?;
                compile(&root, &version, fresh)
            },
        )?;
        fs::remove_dir_all(&root).context("cannot remove the unpacked Go compiler")
    })?;
    Ok(dir.join("go-init"))
}

fn compile(root: &Path, version: &str, fresh: &Path) -> Result<()> {
    let source = root.join("go-init.go");
    fs::write(&source, SOURCE)?;
    let goroot = join_goroot(root, version)?;
    cmd::run(
        Command::new(goroot.join("bin/go"))
            .arg("build")
            .arg("-trimpath")
            .arg("-o")
            .arg(fresh.join("go-init"))
            .arg(&source)
            .env("GOROOT", &goroot)
            .env("GOCACHE", root.join("cache"))
            .env("GOPATH", root.join("path"))
            .env("CGO_ENABLED", "0")
            .env("GO111MODULE", "off"),
    )
}

/// Debian has the compiler in `usr/lib/go-X` and the sources it compiles
/// against in `usr/share/go-X`, joined by absolute links.
fn join_goroot(root: &Path, version: &str) -> Result<PathBuf> {
    let goroot = root.join(format!("usr/lib/go-{version}"));
    let share = root.join(format!("usr/share/go-{version}"));
    for name in ["src", "misc", "test", "api", "VERSION"] {
        let (link, there) = (goroot.join(name), share.join(name));
        if there.exists() && !link.exists() {
            // A dangling link is there, but leads out of this folder.
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&there, &link)
                .with_context(|| format!("cannot link {}", link.display()))?;
        }
    }
    Ok(goroot)
}

/// The highest of `golang-1.9-go`, `golang-1.19-go`.
fn newest(packages: &[String]) -> Option<String> {
    packages
        .iter()
        .filter_map(|name| name.strip_prefix("golang-")?.strip_suffix("-go"))
        .max_by_key(|version| {
            let numbers = version.split('.').map(|part| part.parse::<u32>().ok());
            numbers.collect::<Vec<_>>()
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let names = ["golang-1.9-go", "golang-1.19-go", "golang-1.15-go"].map(String::from);
        assert_eq!(newest(&names).as_deref(), Some("1.19"));
        assert_eq!(newest(&[]), None);
    }
}
