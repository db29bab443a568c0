//! Debian's cloud kernels: which package of which suite is a series, and its
//! image in the cache. How it is booted is left to `vm`.
//!
//! Series come and go on the mirrors (backports drop old ones, old suites move
//! away), so what exists is looked up at run time, and the nearest series
//! stands in for one that is gone; both names are always told.

use std::cmp::Reverse;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{bail, Context, Result};

use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::ui;

/// The series that everything is tested on.
pub(crate) const SERIES: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.x"];

/// Suites that carry kernels, oldest first.
const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "trixie-backports"];

/// apt-cache's pattern for images; 7.x split the image from the modules and
/// calls it `linux-binary`.
const PATTERN: &str = "^linux-(image|binary)-.*-cloud-amd64(-unsigned)?$";

/// Changes when a cached kernel's layout does.
const LAYOUT: &str = "1";

/// A kernel series: `6.1`, or `7.x` for the newest of a major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Series {
    major: u32,
    minor: Option<u32>,
}

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no kernel series; write it like 6.12, or 7.x for the newest 7");
        let (major, minor) = text.split_once('.').unwrap_or((text, "x"));
        Ok(Self {
            major: major.parse().map_err(|_| wrong())?,
            minor: match minor {
                "x" => None,
                number => Some(number.parse().map_err(|_| wrong())?),
            },
        })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            Some(minor) => write!(f, "{}.{minor}", self.major),
            None => write!(f, "{}.x", self.major),
        }
    }
}

impl Series {
    fn holds(self, release: &Release) -> bool {
        release.major == self.major && self.minor.is_none_or(|minor| release.minor == minor)
    }

    /// How far a release is from the wanted series; a major version weighs more
    /// than any minor one.
    fn distance(self, release: &Release) -> u32 {
        let place = |major: u32, minor: u32| major * 20 + minor;
        place(release.major, release.minor).abs_diff(place(self.major, self.minor.unwrap_or(0)))
    }

    /// The suites to ask, the likely one first.
    fn suites(self) -> Vec<&'static str> {
        let home = match (self.major, self.minor) {
            (..=4, _) | (5, _) => "bullseye",
            (6, Some(..=1)) => "bookworm",
            (6, Some(..=12)) => "trixie",
            _ => "trixie-backports",
        };
        let mut suites = vec![home];
        suites.extend(SUITES.iter().rev().filter(|suite| **suite != home));
        suites
    }
}

/// A kernel package's place in the order of versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    major: u32,
    minor: u32,
    rest: Vec<u32>,
    package: String,
}

impl Release {
    /// From a package's name: `linux-image-6.1.0-50-cloud-amd64-unsigned`,
    /// `linux-binary-7.3.2+deb13-cloud-amd64`.
    fn parse(package: &str) -> Option<Self> {
        let rest = package
            .strip_prefix("linux-image-")
            .or_else(|| package.strip_prefix("linux-binary-"))?;
        let rest = rest.strip_suffix("-unsigned").unwrap_or(rest);
        let version = rest.strip_suffix("-cloud-amd64")?;
        let mut numbers = version
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map_while(|part| part.parse().ok());
        let (major, minor) = (numbers.next()?, numbers.next()?);
        Some(Self {
            major,
            minor,
            rest: numbers.collect(),
            package: package.to_owned(),
        })
    }
}

/// The newest package of a series, if these packages have one.
fn newest(series: Series, packages: &[String]) -> Option<Release> {
    packages
        .iter()
        .filter_map(|package| Release::parse(package))
        .filter(|release| series.holds(release))
        .max()
}

/// The package whose series is nearest; the newest among equals.
fn nearest(series: Series, packages: &[String]) -> Option<Release> {
    packages
        .iter()
        .filter_map(|package| Release::parse(package))
        .min_by_key(|release| (series.distance(release), Reverse(release.clone())))
}

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

/// Whether `get` would need the network.
pub(crate) fn is_cached(places: &Places, series: Series) -> bool {
    places
        .cached(&format!("kernels/{series}"), LAYOUT)
        .is_some()
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
                if let Some(release) = newest(series, &names) {
                    return unpack(&area, &release.package, "no", into);
                }
                reasons.push(format!("{suite} has none of series {series}"));
                areas.push((area, names));
            }
            Err(error) => reasons.push(format!("{suite}: {error}")),
        }
    }
    let everywhere: Vec<String> = areas.iter().flat_map(|(_, names)| names.clone()).collect();
    let Some(release) = nearest(series, &everywhere) else {
        bail!(
            "no Debian suite on this machine's mirror has cloud kernels:\n{}",
            reasons.join("\n")
        );
    };
    ui::note(&format!(
        "the mirror has no kernel {series} any more ({}); taking the nearest, {}",
        reasons.join("; "),
        release.package
    ));
    let (area, _) = areas
        .iter()
        .find(|(_, names)| names.contains(&release.package))
        .context("the chosen package vanished from the lists")?;
    unpack(area, &release.package, "yes", into)
}

fn unpack(area: &Area, package: &str, stands_in: &str, into: &Path) -> Result<()> {
    let why = "unpacked into the cache, not installed";
    ui::step(&format!("downloading {package}"), why, || {
        let tree = into.join("tree");
        area.unpack(&[package], &tree)?;
        let (image, release) = find_image(&tree)
            .with_context(|| format!("{package} holds no kernel image where one is expected"))?;
        fs::rename(image, into.join("vmlinuz"))?;
        fs::write(into.join("release"), release)?;
        fs::write(into.join("stands-in"), stands_in)?;
        // The modules are far bigger than the image; all that our guests need is built in.
        fs::remove_dir_all(&tree)?;
        Ok(())
    })
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

    fn series(text: &str) -> Series {
        text.parse().unwrap()
    }

    fn packages() -> Vec<String> {
        [
            "linux-image-6.1.0-9-cloud-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64-dbg",
            "linux-image-6.12.8+deb13-cloud-amd64",
            "linux-image-6.12.57+deb13-cloud-amd64",
            "linux-binary-7.3.2+deb13-cloud-amd64",
            "linux-binary-7.1.9+deb13-cloud-amd64",
            "linux-image-cloud-amd64",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn newest_by_number_not_by_letter() {
        let pick = |text| newest(series(text), &packages()).map(|release| release.package);
        assert_eq!(
            pick("6.1").unwrap(),
            "linux-image-6.1.0-50-cloud-amd64-unsigned"
        );
        assert_eq!(
            pick("6.12").unwrap(),
            "linux-image-6.12.57+deb13-cloud-amd64"
        );
        assert_eq!(pick("7.x").unwrap(), "linux-binary-7.3.2+deb13-cloud-amd64");
        assert_eq!(pick("6.18"), None);
    }

    #[test]
    fn the_nearest_stands_in() {
        let pick = |text| nearest(series(text), &packages()).unwrap().package;
        assert_eq!(pick("5.10"), "linux-image-6.1.0-50-cloud-amd64-unsigned");
        assert_eq!(pick("6.18"), "linux-binary-7.1.9+deb13-cloud-amd64");
        assert_eq!(pick("6.14"), "linux-image-6.12.57+deb13-cloud-amd64");
    }

    #[test]
    fn a_series_is_asked_where_it_lives_first() {
        assert_eq!(series("5.10").suites()[0], "bullseye");
        assert_eq!(series("6.1").suites()[0], "bookworm");
        assert_eq!(series("6.12").suites()[0], "trixie");
        assert_eq!(series("7.x").suites()[0], "trixie-backports");
        assert_eq!(series("7").suites().len(), SUITES.len());
    }

    #[test]
    fn all_tested_series_are_series() {
        for text in SERIES {
            assert_eq!(series(text).to_string(), text);
        }
        assert!("latest".parse::<Series>().is_err());
    }
}
