//! What the machine itself must have: installed packages, free disk, free
//! memory. Tells first what would be installed and why, then installs with one
//! `apt-get install`, the only thing in xtask that needs root for the machine.
//!
//! What goes into the cache instead is left to `toolchain`, `kernel` and `guest_tools`.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::cmd;
use crate::ui;

const GIB: u64 = 1 << 30;

/// Unpacked toolchain (1.5), kernels, target folder, and some air.
const NEED_DISK: u64 = 5 * GIB;
/// bpf-linker's link step, or a guest beside a compiler.
const NEED_MEMORY: u64 = 2 * GIB;

/// How a need is recognised as met.
enum Sign {
    /// A program on the PATH.
    Program(&'static str),
    /// A file of a development package; the second place is for other layouts.
    File(&'static str, &'static str),
}

/// A Debian package that has to be installed, and for what.
pub(crate) struct Need {
    package: &'static str,
    sign: Sign,
    why: &'static str,
}

/// For compiling anything.
pub(crate) const TO_BUILD: &[Need] = &[
    Need {
        package: "gcc",
        sign: Sign::Program("cc"),
        why: "rustc links with it",
    },
    Need {
        package: "libc6-dev",
        sign: Sign::File("/usr/lib/x86_64-linux-gnu/libc.a", "/usr/lib64/libc.a"),
        why: "the C library that static binaries take in",
    },
    Need {
        package: "g++",
        sign: Sign::Program("c++"),
        why: "bpf-linker links LLVM, which is C++",
    },
    Need {
        package: "zlib1g-dev",
        sign: Sign::File("/usr/include/zlib.h", "/usr/local/include/zlib.h"),
        why: "bpf-linker's LLVM needs it",
    },
    Need {
        package: "libzstd-dev",
        sign: Sign::File("/usr/include/zstd.h", "/usr/local/include/zstd.h"),
        why: "bpf-linker's LLVM needs it",
    },
];

/// For booting kernels.
pub(crate) const FOR_VM: &[Need] = &[Need {
    package: "qemu-system-x86",
    sign: Sign::Program("qemu-system-x86_64"),
    why: "boots the kernels that sigtrace is tested on",
}];

/// For the scenarios whose programs nobody here has written.
pub(crate) const FOR_LOADS: &[Need] = &[Need {
    package: "stress-ng",
    sign: Sign::Program("stress-ng"),
    why: "makes processes signal, fork and die in every way there is, under sigtrace",
}];

/// For the disks of guests with container engines.
pub(crate) const FOR_DISKS: &[Need] = &[
    Need {
        package: "mmdebstrap",
        sign: Sign::Program("mmdebstrap"),
        why: "makes the Debian of guests that have container engines",
    },
    Need {
        package: "e2fsprogs",
        sign: Sign::Program("mke2fs"),
        why: "makes their disks",
    },
];

/// For the longer tests of `cargo xtask test --all`.
pub(crate) const FOR_LONG_TESTS: &[Need] = &[Need {
    package: "mmdebstrap",
    sign: Sign::Program("mmdebstrap"),
    why: "makes the minimal Debian that setup is tested in",
}];

impl Need {
    fn is_met(&self) -> bool {
        match self.sign {
            Sign::Program(name) => cmd::on_path(name).is_some(),
            Sign::File(path, other) => Path::new(path).exists() || Path::new(other).exists(),
        }
    }
}

/// Installs what is missing of `needs`; silent if nothing is.
pub(crate) fn install(needs: &[&[Need]]) -> Result<()> {
    let missing: Vec<&Need> = needs
        .iter()
        .copied()
        .flatten()
        .filter(|need| !need.is_met())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    ui::say("these Debian packages are missing on this machine and will be installed:");
    for need in &missing {
        ui::note(&format!("{}: {}", need.package, need.why));
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if cmd::on_path("apt-get").is_none() {
        bail!(
            "this machine has no apt-get; install the equivalents of {} and run this again",
            packages.join(", ")
        );
    }
    let root = rustix::process::geteuid().is_root();
    if !root && cmd::on_path("sudo").is_none() {
        bail!("installing needs root, and there is no sudo; run as root: {by_hand}");
    }
    let apt = |arguments: &[&str]| {
        let mut command = if root {
            Command::new("apt-get")
        } else {
            Command::new("sudo")
        };
        if !root {
            command.arg("apt-get");
        }
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let log = env::temp_dir().join(format!("sigtrace-apt-{}.log", std::process::id()));
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&packages);
    let why = if root {
        "needs root, which you are"
    } else {
        "needs root, through sudo"
    };
    ui::step(
        &format!("apt-get install {}", packages.join(" ")),
        why,
        || {
            if cmd::logged(&mut apt(&arguments), &log).is_err() {
                // Fresh containers have no package lists, old ones name files that are gone.
                ui::note("it failed; reading the package lists anew and trying once more");
                cmd::logged(&mut apt(&["-q", "update"]), &log)?;
                cmd::logged(&mut apt(&arguments), &log).with_context(|| {
                    format!("cannot install the packages; try by hand, as root: {by_hand}")
                })?;
            }
            fs::remove_file(&log).ok();
            Ok(())
        },
    )
}

/// Refuses to begin what would fail half way for want of room.
pub(crate) fn check_room(dir: &Path) -> Result<()> {
    let free_disk = rustix::fs::statvfs(dir)
        .map(|stat| stat.f_bavail * stat.f_frsize)
        .with_context(|| format!("cannot ask for the free space below {}", dir.display()))?;
    let free_memory = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text));
    let memory = free_memory.map_or_else(|| "unknown".to_owned(), ui::size);
    ui::say(&format!(
        "free: disk {} below {} (needs {}), memory {memory} (needs {})",
        ui::size(free_disk),
        dir.display(),
        ui::size(NEED_DISK),
        ui::size(NEED_MEMORY)
    ));
    if let Some(short) = shortage(free_disk, free_memory) {
        bail!("{short}");
    }
    Ok(())
}

fn shortage(disk: u64, memory: Option<u64>) -> Option<String> {
    if disk < NEED_DISK {
        Some(format!(
            "too little disk: {} free, {} needed. Free some, or set SIGTRACE_CACHE to a folder on a bigger disk",
            ui::size(disk),
            ui::size(NEED_DISK)
        ))
    } else if memory.is_some_and(|memory| memory < NEED_MEMORY) {
        Some(format!(
            "too little memory: {} available, {} needed by linker and virtual machine; close something and run this again",
            ui::size(memory.unwrap_or_default()),
            ui::size(NEED_MEMORY)
        ))
    } else {
        None
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_available_memory() {
        assert_eq!(
            available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"),
            Some(2048 * 1024)
        );
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }

    #[test]
    fn says_what_is_short() {
        assert_eq!(shortage(20 * GIB, Some(8 * GIB)), None);
        assert_eq!(shortage(20 * GIB, None), None, "an unknown is no shortage");
        assert!(shortage(GIB, Some(8 * GIB)).unwrap().contains("disk"));
        assert!(shortage(20 * GIB, Some(GIB)).unwrap().contains("memory"));
    }
}
