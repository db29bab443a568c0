//! Where the play takes place: the sigtrace that is tested, and what may be done
//! to this machine.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{bail, Context, Result};
use nix::sys::statfs;
use nix::unistd;

/// This machine and the sigtrace on it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) sigtrace: PathBuf,
    /// Value of `--hooks`.
    pub(crate) hooks: String,
    /// `6.1`: rows of the table of expectations.
    pub(crate) kernel: String,
    /// All of this machine is ours: system-wide settings may be changed.
    pub(crate) guest: bool,
}

impl Host {
    pub(crate) fn new(
        sigtrace: Option<PathBuf>,
        hooks: &str,
        kernel: Option<String>,
    ) -> Result<Self> {
        if !unistd::geteuid().is_root() {
            bail!("the play needs root: it makes PID namespaces and traces them");
        }
        let sigtrace = match sigtrace {
            Some(path) => path
                .canonicalize()
                .with_context(|| format!("no sigtrace at {}", path.display()))?,
            None => program("sigtrace").context("no sigtrace on the PATH; say --sigtrace PATH")?,
        };
        let kernel = match kernel {
            Some(kernel) => kernel,
            None => series(&fs::read_to_string("/proc/sys/kernel/osrelease")?),
        };
        // The guests run from their initramfs; a machine that others use never does.
        let root = statfs::statfs("/").context("the root file system")?;
        let guest = matches!(
            root.filesystem_type(),
            statfs::TMPFS_MAGIC | statfs::FsType(0x8584_58f6)
        );
        Ok(Self {
            sigtrace,
            hooks: hooks.to_owned(),
            kernel,
            guest,
        })
    }
}

impl Host {
    /// Its CPUs are QEMU's emulation (TCG), not a machine's.
    pub(crate) fn is_emulated() -> bool {
        fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("QEMU TCG"))
    }

    /// Its kernel is of this series or a later one.
    pub(crate) fn series_is_at_least(&self, major: u32, minor: u32) -> bool {
        is_at_least(&self.kernel, major, minor)
    }
}

/// `6.18` is at least 6, 14.
pub(crate) fn is_at_least(series: &str, major: u32, minor: u32) -> bool {
    let mut numbers = series.split('.').map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next()) >= (major, minor)
}

/// A program of this name on the PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&path).map(|folder| folder.join(name));
    candidates.find(|file| file.is_file())
}

/// `6.1.0-40-amd64` → `6.1`.
fn series(release: &str) -> String {
    let numbers: Vec<_> = release.trim().split(['.', '-']).take(2).collect();
    numbers.join(".")
}

#[cfg(test)]
mod tests {
    #[test]
    fn series_are_in_order() {
        for (series, is) in [
            ("5.10", false),
            ("6.9", false),
            ("6.14", true),
            ("6.18", true),
            ("7.0", true),
        ] {
            assert_eq!(super::is_at_least(series, 6, 14), is, "{series}");
        }
    }

    #[test]
    fn series_are_two_numbers() {
        assert_eq!(super::series("6.1.0-40-amd64\n"), "6.1");
        assert_eq!(super::series("7.0-rc1"), "7.0");
    }
}
