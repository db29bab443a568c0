//! The few modules that a guest with a disk needs, from the package of its
//! kernel: which others each of them wants is read from the modules
//! themselves, because `modules.dep` is only made where a kernel is installed.
//!
//! In the cache they lie as they come into the guest, uncompressed, with
//! `order` to load them in. Plain guests need none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use super::{Kernel, Series};
use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::{cmd, ui};

/// The disk and how it is reached, and what container engines mount. Those that
/// are built in need no file.
const WANTED: [&str; 5] = [
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "overlay",
    "crc32c-intel",
];

/// Changes when a cached entry's layout does.
const LAYOUT: &str = "1";

/// Modules to be loaded in this order.
#[derive(Debug, Clone)]
pub(crate) struct Modules {
    pub(crate) files: Vec<PathBuf>,
}

/// The modules for this kernel, from the cache or else from the mirror.
pub(crate) fn get(places: &Places, series: Series, kernel: &Kernel) -> Result<Modules> {
    let release = &kernel.release;
    let version = format!("{LAYOUT} {}", WANTED.join(" "));
    let dir = places
        .ensure(&format!("modules/{release}"), &version, |fresh, _| {
            fetch(places, series, release, fresh)
        })
        .with_context(|| format!("no modules for kernel {release}"))?;
    let order = fs::read_to_string(dir.join("order"))
        .with_context(|| format!("cannot read {}/order", dir.display()))?;
    Ok(Modules {
        files: order.lines().map(|name| dir.join(name)).collect(),
    })
}

fn fetch(places: &Places, series: Series, release: &str, into: &Path) -> Result<()> {
    let mirrors = Mirrors::find()?;
    let names = [
        format!("linux-modules-{release}"),
        format!("linux-image-{release}-unsigned"),
        format!("linux-image-{release}"),
    ];
    let mut reasons = Vec::new();
    for suite in series.suites() {
        let found = Area::open(places, &mirrors, suite).and_then(|area| {
            let there = area.names(&format!("^linux-(modules|image)-{}", pattern(release)))?;
            let name = names.iter().find(|name| there.contains(name));
            let name = name.with_context(|| format!("{suite} has none of {}", names.join(", ")))?;
            let tree = into.join("tree");
            ui::step(
                &format!("downloading the modules of {name}"),
                "a disk and overlay file systems need some; unpacked, not installed",
                || area.unpack(&[name], &tree),
            )?;
            take(&tree, release, into)?;
            fs::remove_dir_all(&tree)?;
            Ok(())
        });
        match found {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("{suite}: {error:#}")),
        }
    }
    bail!(
        "the mirror does not have them any more; remove the cache's folder `kernels/{series}` to take a newer kernel:\n{}",
        reasons.join("\n")
    )
}

/// A release within a regular expression: `+` and `.` are not special in it.
fn pattern(release: &str) -> String {
    let mut text = String::new();
    for c in release.chars() {
        if !c.is_ascii_alphanumeric() && c != '-' {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Takes what is wanted out of an unpacked package.
fn take(tree: &Path, release: &str, into: &Path) -> Result<()> {
    let places = [tree.join("usr/lib/modules"), tree.join("lib/modules")];
    let folder = places
        .iter()
        .map(|place| place.join(release))
        .find(|folder| folder.join("kernel").is_dir())
        .context("the package holds no modules where they are expected")?;
    let mut files = BTreeMap::new();
    collect(&folder.join("kernel"), &mut files)?;
    let order = closure(&WANTED, |name| {
        files.get(&plain(name)).map_or(Ok(None), |file| {
            let bytes = uncompressed(file)?;
            let needs = needs(&bytes);
            fs::write(into.join(format!("{}.ko", plain(name))), bytes)?;
            Ok(Some(needs))
        })
    })?;
    let lines: Vec<String> = order.iter().map(|name| format!("{name}.ko\n")).collect();
    fs::write(into.join("order"), lines.concat())?;
    Ok(())
}

/// All modules of a tree by name.
fn collect(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(plain(name), path.clone());
        }
    }
    Ok(())
}

/// modprobe takes `-` and `_` for the same.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// The wanted ones and what they need, each behind all that it needs. `load`
/// says what a module needs, or `None` for one that is built in.
fn closure(
    wanted: &[&str],
    mut load: impl FnMut(&str) -> Result<Option<Vec<String>>>,
) -> Result<Vec<String>> {
    fn visit(
        name: &str,
        order: &mut Vec<String>,
        load: &mut impl FnMut(&str) -> Result<Option<Vec<String>>>,
    ) -> Result<()> {
        let name = plain(name);
        if order.contains(&name) {
            return Ok(());
        }
        let Some(needs) = load(&name)? else {
            return Ok(());
        };
        for need in needs {
            visit(&need, order, load)?;
        }
        order.push(name);
        Ok(())
    }
    let mut order = Vec::new();
    for name in wanted {
        visit(name, &mut order, &mut load)?;
    }
    Ok(order)
}

/// `depends=a,b` of the section .modinfo, a list of texts that end with a NUL.
fn needs(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|part| part == key) else {
        return Vec::new();
    };
    let rest = &module[at + key.len()..];
    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&rest[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Debian compresses modules since trixie.
fn uncompressed(file: &Path) -> Result<Vec<u8>> {
    let program = match file.extension().and_then(|end| end.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(file).with_context(|| format!("cannot read {}", file.display())),
    };
    let mut command = Command::new(program);
    let output = command
        .args(["--decompress", "--stdout"])
        .arg(file)
        .output()
        .with_context(|| format!("cannot start `{program}`; install the package of that name"))?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}",
            cmd::show(&command),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_behind_what_it_needs() {
        let table = [
            ("virtio_blk", "virtio_ring,virtio"),
            ("virtio_ring", "virtio"),
            ("virtio", ""),
            ("overlay", ""),
        ];
        let load = |name: &str| -> Result<Option<Vec<String>>> {
            let row = table.iter().find(|(module, _)| *module == name);
            Ok(row.map(|(_, needs)| needs.split(',').map(str::to_owned).collect()))
        };
        // ext4 is built in here.
        let order = closure(&["virtio-blk", "ext4", "overlay", "virtio"], load).unwrap();
        assert_eq!(order, ["virtio", "virtio_ring", "virtio_blk", "overlay"]);
    }

    #[test]
    fn reads_what_a_module_needs() {
        assert_eq!(
            needs(b"\x7fELF\0license=GPL\0depends=virtio,virtio_ring\0name=x\0"),
            ["virtio", "virtio_ring"]
        );
        assert_eq!(needs(b"\0depends=\0"), Vec::<String>::new());
        assert_eq!(needs(b"nothing"), Vec::<String>::new());
    }

    #[test]
    fn a_release_is_not_a_pattern() {
        assert_eq!(pattern("6.12.8+deb13-cloud"), r"6\.12\.8\+deb13-cloud");
    }
}
