//! The disks of guests with container engines: a Debian with Docker and Podman
//! in a file with an ext4 in it, made once by mmdebstrap and kept in the cache.
//! Boots never change it. Nothing of ours is on it but what depends on its
//! packages alone; `engine` has the rest.
//!
//! All packages are downloaded first, so that a run that was interrupted goes
//! on with what it has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use super::engine::Engine;
use crate::debian::{area, Area, Mirrors};
use crate::places::Places;
use crate::{cmd, system, ui};

/// Both engines with each runtime, and what the scenarios use.
const PACKAGES: [&str; 23] = [
    "bash-static",
    "busybox-static",
    "catatonit",
    "conmon",
    "containerd",
    "crun",
    "dbus-user-session",
    "docker.io",
    "fuse-overlayfs",
    "iproute2",
    "kmod",
    "libpam-systemd",
    "make",
    "netavark",
    "podman",
    "procps",
    "runc",
    "slirp4netns",
    "systemd-sysv",
    "tini",
    "uidmap",
    "util-linux",
    "dbus",
];

/// Packages that only some Debians have.
const MORE_IN_TRIXIE: [&str; 2] = ["docker-cli", "passt"];

/// The file in the cache's entry.
const FILE: &str = "disk.img";

/// Its size, most of which is never written.
const SIZE: &str = "6G";

/// Changes when a cached disk's layout does.
const LAYOUT: &str = "1";

/// What scenarios find on each disk: a base image for containers (busybox, and
/// bash for init.sh), and a user with a Podman of his own. `$1` is the root.
const CUSTOMIZE: &str = r#"set -e
base=$(mktemp -d)
mkdir -p "$base/bin" "$base/etc" "$base/tmp" "$base/root" "$base/proc" "$base/sys" "$base/dev"
cp "$1/bin/busybox" "$base/bin/busybox"
cp "$1/bin/bash-static" "$base/bin/bash"
for applet in $("$1/bin/busybox" --list); do
    [ -e "$base/bin/$applet" ] || ln -s busybox "$base/bin/$applet"
done
echo root:x:0:0:root:/root:/bin/sh >"$base/etc/passwd"
tar -C "$base" -cf "$1/opt/base.tar" .
rm -r "$base"
chroot "$1" useradd --create-home --shell /bin/bash --uid 1000 user
echo "user:100000:65536" >"$1/etc/subuid"
echo "user:100000:65536" >"$1/etc/subgid"
mkdir -p "$1/work" "$1/var/lib/systemd/linger"
touch "$1/var/lib/systemd/linger/user"
"#;

/// The disk of this guest, from the cache or made.
pub(crate) fn get(places: &Places, engine: Engine) -> Result<PathBuf> {
    let suite = engine.suite();
    let packages = packages(suite);
    let version = format!("{LAYOUT} {SIZE} {}\n{CUSTOMIZE}", packages.join(" "));
    let dir = places.ensure(&format!("disks/{suite}"), &version, |fresh, _| {
        if !rustix::process::geteuid().is_root() {
            bail!("a disk with container engines can only be made as root: its files belong to many users");
        }
        system::install(&[system::FOR_DISKS])?;
        make(places, suite, &packages, fresh)
    })?;
    Ok(dir.join(FILE))
}

fn packages(suite: &str) -> Vec<&'static str> {
    let mut packages = PACKAGES.to_vec();
    if suite == "trixie" {
        packages.extend(MORE_IN_TRIXIE);
    }
    packages
}

fn make(places: &Places, suite: &str, packages: &[&str], into: &Path) -> Result<()> {
    let mirrors = Mirrors::find()?;
    let area = Area::open(places, &mirrors, suite)?;
    let debs = places.cache_folder(&format!("debs/{suite}"))?;
    let what = format!("downloading Debian {suite} with Docker and Podman");
    ui::step(&what, "for the disk of a virtual machine", || {
        area.download_system(packages, &debs)
    })?;
    let root = into.join("root");
    let what = format!("making a disk of it with mmdebstrap, {SIZE} as the guest sees it");
    ui::step(&what, "once; it stays in the cache", || {
        let log = places.cache.join(format!("disk-{suite}.log"));
        bootstrap(&area, suite, packages, &debs, &root, &log)?;
        let image = into.join(FILE);
        cmd::capture(
            Command::new(cmd::on_path("mke2fs").unwrap_or_else(|| "mke2fs".into()))
                .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d"])
                .arg(&root)
                .arg(&image)
                .arg(SIZE),
        )?;
        fs::remove_dir_all(&root).context("cannot remove the unpacked system")
    })?;
    // Only an interrupted run needs them again.
    fs::remove_dir_all(&debs).ok();
    Ok(())
}

fn bootstrap(
    area: &Area,
    suite: &str,
    packages: &[&str],
    debs: &Path,
    root: &Path,
    log: &Path,
) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=apt", "--format=directory"])
        .arg(format!("--include={}", packages.join(",")));
    for folder in ["doc", "man", "locale", "info"] {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{folder}/*"));
    }
    for setting in area::network_settings()? {
        command.arg(format!("--aptopt={setting}"));
    }
    command
        .arg("--setup-hook=mkdir -p \"$1/var/cache/apt/archives\"")
        .arg(format!(
            "--setup-hook=cp {}/*.deb \"$1/var/cache/apt/archives/\"",
            cmd::quote(&debs.to_string_lossy())
        ))
        .arg(format!("--customize-hook={CUSTOMIZE}"))
        .arg(suite)
        .arg(root)
        .arg(area.sources_list());
    cmd::logged(&mut command, log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_client_is_a_package_of_its_own_since_trixie() {
        assert!(packages("trixie").contains(&"docker-cli"));
        assert!(!packages("bookworm").contains(&"docker-cli"));
    }
}
