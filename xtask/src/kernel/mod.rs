//! Debian's cloud kernels: their images in the cache, from the mirror. Which
//! package is taken for a series is decided in `choice`; how it is booted is
//! left to `vm`.
//!
//! Series come and go on the mirrors (backports drop old ones, old suites move
//! away), so what exists is looked up at run time, and the nearest series
//! stands in for one that is gone; both names are always told.

mod choice;
pub(crate) mod modules;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::ui;
pub(crate) use choice::Series;
use choice::{nearest, newest, Release};

/// The series that everything is tested on.
pub(crate) const SERIES: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.x"];

/// apt-cache's pattern for images; 7.x split the image from the modules and
/// calls it `linux-binary`.
const PATTERN: &str = "^linux-(image|binary)-.*-cloud-amd64(-unsigned)?$";

/// So many packages are tried before a series is given up.
const CANDIDATES: usize = 12;

/// Changes when a cached kernel's layout does.
const LAYOUT: &str = "1";

/// A kernel that is ready to boot.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// The compressed image.
    pub(crate) image: PathBuf,
    /// What `uname -r` will say.
    pub(crate) release: String,
    /// Told when it is not of the wanted series.
    pub(crate) stands_in: bool,
}

impl Kernel {
    /// The series to expect results of: the wanted one, or that of the kernel
    /// that stands in for it.
    pub(crate) fn series(&self, wanted: Series) -> String {
        if !self.stands_in {
            return wanted.to_string();
        }
        let mut numbers = self.release.splitn(3, '.');
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => format!("{major}.{minor}"),
            _ => self.release.clone(),
        }
    }
}

/// The kernel of a series, from the cache or else from the mirror.
pub(crate) fn get(places: &Places, series: Series) -> Result<Kernel> {
    let dir = places
        .ensure(&format!("kernels/{series}"), LAYOUT, |fresh, _| {
            fetch(places, series, fresh)
        })
        .with_context(|| format!("no kernel {series} to boot"))?;
    let read = |name: &str| -> Result<String> {
        let path = dir.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(Kernel {
        image: dir.join("vmlinuz"),
        release: read("release")?,
        stands_in: read("stands-in")? == "yes",
    })
}

fn fetch(places: &Places, series: Series, into: &Path) -> Result<()> {
    let mirrors = Mirrors::find()?;
    let mut areas: Vec<(Area, Vec<String>)> = Vec::new();
    let mut reasons = Vec::new();
    for suite in series.suites() {
        let found = Area::open(places, &mirrors, suite).and_then(|area| {
            let names = area.names(PATTERN)?;
            Ok((area, names))
        });
        match found {
            Ok((area, names)) => {
                if let Some(release) = unpack_first(&newest(series, &names), |_| Some(&area), into)
                {
                    return describe(into, &release, false);
                }
                reasons.push(format!("{suite} has none of series {series}"));
                areas.push((area, names));
            }
            Err(error) => reasons.push(format!("{suite}: {error}")),
        }
    }
    let everywhere: Vec<String> = areas.iter().flat_map(|(_, names)| names.clone()).collect();
    let area_of = |package: &str| {
        let mut with = areas
            .iter()
            .filter(|(_, names)| names.iter().any(|name| name == package));
        with.next().map(|(area, _)| area)
    };
    let Some(release) = unpack_first(&nearest(series, &everywhere), area_of, into) else {
        bail!(
            "no cloud kernel could be downloaded from this machine's mirror:\n{}",
            reasons.join("\n")
        );
    };
    ui::note(&format!(
        "the mirror has no kernel {series} any more ({}); taking the nearest, {release}",
        reasons.join("; "),
    ));
    describe(into, &release, true)
}

/// Unpacks the first of these packages that can be had, and returns what
/// `uname -r` will say. Lists of old suites name files that the mirror has
/// already moved away, so the newest may not be the one.
fn unpack_first<'a>(
    candidates: &[Release],
    area_of: impl Fn(&str) -> Option<&'a Area>,
    into: &Path,
) -> Option<String> {
    candidates.iter().take(CANDIDATES).find_map(|candidate| {
        let package = &candidate.package;
        let area = area_of(package)?;
        let what = format!("downloading {package}");
        match ui::step(&what, "unpacked into the cache, not installed", || {
            unpack(area, package, into)
        }) {
            Ok(release) => Some(release),
            Err(error) => {
                ui::note(&format!(
                    "{package} cannot be had, trying the next: {error}"
                ));
                None
            }
        }
    })
}

fn unpack(area: &Area, package: &str, into: &Path) -> Result<String> {
    let tree = into.join("tree");
    area.unpack(&[package], &tree)?;
    let (image, release) = find_image(&tree)
        .with_context(|| format!("{package} holds no kernel image where one is expected"))?;
    fs::rename(image, into.join("vmlinuz"))?;
    // The modules are far bigger than the image; all that our guests need is built in.
    fs::remove_dir_all(&tree)?;
    Ok(release)
}

fn describe(into: &Path, release: &str, stands_in: bool) -> Result<()> {
    fs::write(into.join("release"), release)?;
    fs::write(into.join("stands-in"), if stands_in { "yes" } else { "no" })?;
    Ok(())
}

/// `boot/vmlinuz-RELEASE`, or `usr/lib/modules/RELEASE/vmlinuz` since 7.x.
fn find_image(tree: &Path) -> Option<(PathBuf, String)> {
    let list = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let in_boot = list(tree.join("boot")).find_map(|entry| {
        let release = name(&entry).strip_prefix("vmlinuz-")?.to_owned();
        Some((entry.path(), release))
    });
    in_boot.or_else(|| {
        list(tree.join("usr/lib/modules"))
            .map(|entry| (entry.path().join("vmlinuz"), name(&entry)))
            .find(|(image, _)| image.is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_expected_of_the_kernel_that_runs() {
        let mut kernel = Kernel {
            image: PathBuf::new(),
            release: "6.12.117+deb13-cloud-amd64".to_owned(),
            stands_in: false,
        };
        assert_eq!(kernel.series("7.x".parse().unwrap()), "7.x");
        kernel.stands_in = true;
        assert_eq!(kernel.series("6.18".parse().unwrap()), "6.12");
    }
}
