//! Programs that the guests use, from Debian packages unpacked into the cache:
//! the static busybox that is the guest's whole user space, and the inits that
//! scenarios put in as PID 1 of a namespace (`go_init` builds one of them).
//!
//! Where they go in the guest is decided by `vm::initramfs`.

use std::path::PathBuf;

use anyhow::Result;

use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::{go_init, ui};

/// The packages; a changed list makes the cache's entry be filled again.
const PACKAGES: [&str; 4] = ["busybox-static", "tini", "dumb-init", "libc6"];

/// Statically linked programs for the guest.
#[derive(Debug, Clone)]
pub(crate) struct GuestTools {
    dir: PathBuf,
    /// `None`: it could not be built, and its scenario will be skipped.
    go_init: Option<PathBuf>,
}

impl GuestTools {
    /// The shell and all its applets.
    pub(crate) fn busybox(&self) -> PathBuf {
        self.dir.join("bin/busybox")
    }

    /// What dumb-init is linked with, which Debian has no static build of:
    /// place there, file here.
    pub(crate) fn libraries(&self) -> Vec<(&'static str, PathBuf)> {
        let folder = "lib/x86_64-linux-gnu";
        [
            ("lib64/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2"),
            ("lib/x86_64-linux-gnu/libc.so.6", "libc.so.6"),
        ]
        .into_iter()
        .filter_map(|(place, name)| {
            // Newer Debians ship them below /usr.
            let folders = [self.dir.join(folder), self.dir.join("usr").join(folder)];
            let mut files = folders.into_iter().map(|folder| folder.join(name));
            Some((place, files.find(|file| file.is_file())?))
        })
        .collect()
    }

    /// What else goes on the guest's PATH: name there, file here.
    pub(crate) fn programs(&self) -> Vec<(&'static str, PathBuf)> {
        let mut programs = vec![
            ("tini", self.dir.join("usr/bin/tini-static")),
            ("tini-static", self.dir.join("usr/bin/tini-static")),
            ("dumb-init", self.dir.join("usr/bin/dumb-init")),
        ];
        programs.extend(self.go_init.clone().map(|file| ("go-init", file)));
        programs
    }
}

/// From the cache, or else from this machine's mirror.
pub(crate) fn get(places: &Places) -> Result<GuestTools> {
    let dir = places.ensure("guest", &PACKAGES.join(" "), |fresh, _| {
        let mirrors = Mirrors::find()?;
        let area = Area::open(places, &mirrors, &mirrors.codename)?;
        let what = format!("downloading {}", PACKAGES.join(", "));
        ui::step(
            &what,
            "the virtual machines' programs; unpacked, not installed",
            || area.unpack(&PACKAGES, fresh),
        )
    })?;
    let usr_merged = dir.join("usr/bin/busybox");
    if usr_merged.is_file() && !dir.join("bin").exists() {
        // Newer Debians ship it below /usr.
        std::os::unix::fs::symlink("usr/bin", dir.join("bin"))?;
    }
    let go_init = go_init::get(places).map_or_else(
        |error| {
            ui::note(&format!(
                "go-init cannot be had, its scenario will be skipped: {error:#}"
            ));
            None
        },
        Some,
    );
    Ok(GuestTools { dir, go_init })
}
