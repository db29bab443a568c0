//! Which package is a kernel series, and which stands in where there is none:
//! decided from names alone.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// Suites that carry kernels, oldest first.
const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "trixie-backports"];

/// The first kernel with all that sigtrace needs (the ring buffer).
const OLDEST: (u32, u32) = (5, 8);

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
        let series = Self {
            major: major.parse().map_err(|_| wrong())?,
            minor: match minor {
                "x" => None,
                number => Some(number.parse().map_err(|_| wrong())?),
            },
        };
        let oldest = (series.major, series.minor.unwrap_or(u32::MAX)) >= OLDEST;
        oldest.then_some(series).ok_or_else(|| {
            let (major, minor) = OLDEST;
            format!("sigtrace needs Linux {major}.{minor} or later: the oldest series that is tested is 5.10")
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
    pub(crate) fn suites(self) -> Vec<&'static str> {
        let home = match (self.major, self.minor) {
            (..=5, _) => "bullseye",
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
pub(crate) struct Release {
    major: u32,
    minor: u32,
    rest: Vec<u32>,
    /// Where a version has a `linux-binary`, its `linux-image` is an empty
    /// package that only depends on it.
    binary: bool,
    pub(crate) package: String,
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
pub(crate) fn newest(series: Series, packages: &[String]) -> Vec<Release> {
    let mut found: Vec<Release> = packages
        .iter()
        .filter_map(|package| Release::parse(package))
        .filter(|release| series.holds(release))
        .collect();
    found.sort_by_key(|release| Reverse(release.clone()));
    found
}

/// All packages, those of the nearest series first, and of these the newest.
pub(crate) fn nearest(series: Series, packages: &[String]) -> Vec<Release> {
    let mut found: Vec<Release> = packages
        .iter()
        .filter_map(|package| Release::parse(package))
        .collect();
    found.sort_by_key(|release| (series.distance(release), Reverse(release.clone())));
    found
}

#[cfg(test)]
mod tests {
    use super::super::SERIES;
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
    fn all_tested_series_are_series() {
        for text in SERIES {
            assert_eq!(series(text).to_string(), text);
        }
        assert!("latest".parse::<Series>().is_err());
        for old in ["4.4", "4.x", "5.7"] {
            assert!(old.parse::<Series>().unwrap_err().contains("5.8"));
        }
    }
}
