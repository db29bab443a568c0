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

/// So many packages are tried before a series is given up.
const CANDIDATES: usize = 12;

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

/// A kernel package's place in the order of versions; the fields' order is it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    major: u32,
    minor: u32,
    rest: Vec<u32>,
    /// Where a version has a `linux-binary`, its `linux-image` is an empty
    /// package that only depends on it.
    binary: bool,
    package: String,
}

impl Release {
    /// From a package's name: `linux-image-6.1.0-50-cloud-amd64-unsigned`,
    /// `linux-binary-7.3.2+deb13-cloud-amd64`.
    fn parse(package: &str) -> Option<Self> {
        let binary = package.strip_prefix("linux-binary-");
        let rest = binary.or_else(|| package.strip_prefix("linux-image-"))?;
        let rest = rest.strip_suffix("-unsigned").unwrap_or(rest);
        let version = rest.strip_suffix("-cloud-amd64")?;
        if !version.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let mut numbers = version
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map_while(|part| part.parse().ok());
        let (major, minor) = (numbers.next()?, numbers.next()?);
        Some(Self {
            major,
            minor,
            rest: numbers.collect(),
            binary: binary.is_some(),
            package: package.to_owned(),
        })
    }
}

/// The packages of a series, the newest first.
fn newest(series: Series, packages: &[String]) -> Vec<Release> {
    let mut found: Vec<Release> = packages
        .iter()
        .filter_map(|package| Release::parse(package))
        .filter(|release| series.holds(release))
        .collect();
    found.sort_by_key(|release| Reverse(release.clone()));
    found
}

/// All packages, those of the nearest series first, and of these the newest.
fn nearest(series: Series, packages: &[String]) -> Vec<Release> {
    let mut found: Vec<Release> = packages
        .iter()
        .filter_map(|package| Release::parse(package))
        .collect();
    found.sort_by_key(|release| (series.distance(release), Reverse(release.clone())));
    found
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

    fn series(text: &str) -> Series {
        text.parse().unwrap()
    }

    fn first(releases: Vec<Release>) -> Option<String> {
        releases.into_iter().next().map(|release| release.package)
    }

    fn packages() -> Vec<String> {
        [
            "linux-image-6.1.0-9-cloud-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64-dbg",
            "linux-image-6.12.8+deb13-cloud-amd64",
            "linux-image-6.12.57+deb13-cloud-amd64",
            "linux-binary-7.3.2+deb13-cloud-amd64",
            "linux-image-7.3.2+deb13-cloud-amd64",
            "linux-binary-unsigned-7.3.2+deb13-cloud-amd64",
            "linux-binary-7.1.9+deb13-cloud-amd64",
            "linux-image-cloud-amd64",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn newest_by_number_not_by_letter() {
        let pick = |text| first(newest(series(text), &packages()));
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
        let pick = |text| first(nearest(series(text), &packages())).unwrap();
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
    fn results_are_expected_of_the_kernel_that_runs() {
        let mut kernel = Kernel {
            image: PathBuf::new(),
            release: "6.12.117+deb13-cloud-amd64".to_owned(),
            stands_in: false,
        };
        assert_eq!(kernel.series(series("7.x")), "7.x");
        kernel.stands_in = true;
        assert_eq!(kernel.series(series("6.18")), "6.12");
    }

    #[test]
    fn all_tested_series_are_series() {
        for text in SERIES {
            assert_eq!(series(text).to_string(), text);
        }
        assert!("latest".parse::<Series>().is_err());
    }
}
