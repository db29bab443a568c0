//! The guests that have container engines: which Debian, kernel and control
//! groups each has, and the files that a boot puts on its disk. `disk` makes
//! the disk itself, which holds packages and nothing of ours.

use std::fmt;
use std::str::FromStr;

/// Which guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Debian 12 without systemd: Docker 20.10 and Podman 4 with the cgroupfs
    /// driver.
    Bookworm,
    /// Debian 13 as servers have it: systemd is PID 1 and makes the control
    /// groups, Docker 26, Podman 5, a user with Podman of his own.
    Trixie,
    /// The first one with control groups of version 1.
    V1,
}

/// All of them.
pub(crate) const ENGINES: [Engine; 3] = [Engine::Bookworm, Engine::Trixie, Engine::V1];

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let engine = ENGINES.iter().find(|engine| engine.to_string() == text);
        engine
            .copied()
            .ok_or_else(|| format!("`{text}` is none of bookworm, trixie, v1"))
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::V1 => "v1",
        })
    }
}

impl Engine {
    /// The Debian on its disk.
    pub(crate) fn suite(self) -> &'static str {
        match self {
            Self::Bookworm | Self::V1 => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// What `sigtrace-play engines --with` plays there. Podman comes with crun;
    /// with runc it is played once.
    pub(crate) fn played(self) -> &'static [&'static str] {
        match self {
            Self::Bookworm => &["docker", "podman", "podman-runc"],
            Self::Trixie => &["docker", "podman", "podman-user"],
            Self::V1 => &["docker", "podman"],
        }
    }

    /// Those that need images of their own: a runtime more is none.
    pub(crate) fn images(self) -> Vec<&'static str> {
        let all = self.played().iter().copied();
        all.filter(|name| *name != "podman-runc").collect()
    }

    /// The kernel series that this Debian has.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Self::Bookworm | Self::V1 => "6.1",
            Self::Trixie => "6.12",
        }
    }

    /// What two engines, their images and a tracer need.
    pub(crate) fn memory_mib(self) -> u32 {
        2048
    }

    /// Words for the kernel's command line.
    pub(crate) fn append(self) -> &'static str {
        match self {
            Self::Bookworm => "",
            Self::Trixie => "systemd.unit=guest.target systemd.show_status=0",
            Self::V1 => "cgroups=v1",
        }
    }

    /// What the first program hands over to.
    pub(crate) fn first_program(self) -> &'static str {
        match self {
            Self::Bookworm | Self::V1 => "/usr/local/sbin/guest-init",
            Self::Trixie => "/usr/lib/systemd/systemd",
        }
    }

    /// Files of ours on its disk: place, permissions, content.
    pub(crate) fn files(self) -> Vec<(&'static str, u32, String)> {
        let driver = match self {
            Self::Bookworm | Self::V1 => "cgroupfs",
            Self::Trixie => "systemd",
        };
        let with_driver = |text: &str| text.replace("DRIVER", driver);
        let mut files = vec![
            (
                "etc/docker/daemon.json",
                0o644,
                with_driver(include_str!("../../guest/daemon.json")),
            ),
            (
                "etc/containers/containers.conf",
                0o644,
                with_driver(include_str!("../../guest/containers.conf")),
            ),
            (
                "usr/local/sbin/guest-engines",
                0o755,
                include_str!("../../guest/engines.sh").to_owned(),
            ),
        ];
        let session = include_str!("../../guest/session.sh");
        match self {
            Self::Bookworm | Self::V1 => {
                let init = include_str!("../../guest/engine.sh");
                files.push((
                    "usr/local/sbin/guest-init",
                    0o755,
                    format!("{init}{session}"),
                ));
            }
            Self::Trixie => {
                files.push((
                    "usr/local/sbin/guest-session",
                    0o755,
                    format!("#!/bin/busybox sh\n{session}"),
                ));
                files.push((
                    "etc/systemd/system/guest.service",
                    0o644,
                    include_str!("../../guest/guest.service").to_owned(),
                ));
                files.push((
                    "etc/systemd/system/podman.service.d/guest.conf",
                    0o644,
                    include_str!("../../guest/podman.conf").to_owned(),
                ));
                files.push((
                    "etc/systemd/system/guest.target",
                    0o644,
                    include_str!("../../guest/guest.target").to_owned(),
                ));
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_called_by_its_name() {
        for engine in ENGINES {
            assert_eq!(engine.to_string().parse(), Ok(engine));
        }
        assert!("docker".parse::<Engine>().is_err());
    }

    #[test]
    fn no_place_is_left_open_in_the_files() {
        for engine in ENGINES {
            for (place, _, content) in engine.files() {
                assert!(!content.contains("DRIVER"), "{place}");
                assert!(!place.starts_with('/'), "{place}");
            }
        }
    }
}
