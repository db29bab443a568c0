//! From what the kernel had mapped to an open file: below the root of a process that
//! sees the same files, or on the host.
//!
//! The path is that within its file system, which is mounted anywhere. It may also be that within a layer of a container's file system and not the
//! container's own, so its ends are tried too. Links are not followed and what is
//! no plain file is not opened: a container could have put a device or a pipe there.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{event::MappedFile, kernel::beneath};

/// Larger files are not read.
const LARGEST: u64 = 1 << 30;
/// So much of a list of mounts is read.
const MOUNTS: u64 = 1 << 20;
/// A file system that is mounted more often is looked for at the first.
const PLACES: usize = 16;
/// So many that may be it are looked into for their build id.
const LOOKS: usize = 3;

/// A file that is the one, or may be.
#[derive(Debug)]
pub struct Found {
    /// Open for reading.
    pub file: File,
    /// It is the one by device and inode, and has not changed since; otherwise its
    /// build id has to tell.
    pub same: bool,
    /// Device and inode, as this process has them.
    id: (u64, u64),
}

/// The files that may be it, the surest first. `pids`: processes that may see it.
pub fn find(wanted: &MappedFile, pids: &[u32], until: SystemTime) -> Vec<Found> {
    let views = pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}")));
    let mut found: Vec<Found> = Vec::new();
    for view in views.chain(["/proc/self".into()]) {
        let Ok(root) = File::open(view.join("root")) else {
            continue;
        };
        let mut mounts = Vec::new();
        let mountinfo = File::open(view.join("mountinfo"));
        // As far as it can be read: a part of it serves as well.
        let _ = mountinfo.map(|file| file.take(MOUNTS).read_to_end(&mut mounts));
        let ends = (0..wanted.names.len()).map(|from| end_of(wanted, from));
        for path in mounted(&mounts, wanted).into_iter().chain(ends) {
            let Some(one) = open(&root, &path, wanted, until) else {
                continue;
            };
            if one.same {
                return vec![one];
            }
            let known = found.iter().any(|other| other.id == one.id);
            if wanted.build_id.is_some() && !known && found.len() < LOOKS {
                found.push(one);
            }
        }
    }
    found
}

/// Where it is below the mounts of its file system (proc_pid_mountinfo(5)).
fn mounted(mountinfo: &[u8], wanted: &MappedFile) -> Vec<PathBuf> {
    let device = format!("{}:{}", wanted.device >> 20, wanted.device & 0xf_ffff);
    let whole = wanted.path();
    let place = |line: &[u8]| {
        let mut words = line.split(|&byte| byte == b' ').skip(2);
        if !wanted.whole || words.next()? != device.as_bytes() {
            return None;
        }
        let (root, point) = (plain(words.next()?), plain(words.next()?));
        let rest = match root.as_slice() {
            b"/" => whole.as_slice(),
            root => whole.strip_prefix(root)?,
        };
        let path = [point.as_slice(), rest].concat();
        rest.starts_with(b"/")
            .then(|| PathBuf::from(OsStr::from_bytes(&path)))
    };
    let lines = mountinfo.split(|&byte| byte == b'\n');
    lines.filter_map(place).take(PLACES).collect()
}

/// Spaces and the like stand there as `\040`.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, more @ ..] = rest {
        let digits = more
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if *byte == b'\\' => {
                plain.push(code);
                rest = &more[3..];
            }
            _ => {
                plain.push(*byte);
                rest = more;
            }
        }
    }
    plain
}

/// Its path without so many of the first folders.
fn end_of(wanted: &MappedFile, without: usize) -> PathBuf {
    let names = wanted.names.iter().rev().skip(without);
    names
        .map(|name| Path::new(OsStr::from_bytes(name)))
        .collect()
}

fn open(root: &File, path: &Path, wanted: &MappedFile, until: SystemTime) -> Option<Found> {
    let handle = beneath(root, path).ok()?;
    let seen = handle.metadata().ok()?;
    if !seen.is_file() || seen.len() > LARGEST {
        return None;
    }
    // The kernel's own `dev_t` has 20 bits for the minor number.
    let device = (libc::major(seen.dev()) << 20) | libc::minor(seen.dev());
    let changed = SystemTime::UNIX_EPOCH
        + Duration::new(
            seen.ctime().try_into().ok()?,
            seen.ctime_nsec().try_into().ok()?,
        );
    let same = seen.ino() == wanted.inode && device == wanted.device && changed <= until;
    // A handle without a right to read, opened again with one.
    let file = File::open(fd_path(&handle)).ok()?;
    let id = (seen.dev(), seen.ino());
    Some(Found { file, same, id })
}

fn fd_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn mapped(path: &Path) -> MappedFile {
        let seen = fs::metadata(path).unwrap();
        let names = path.components().rev().filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name.as_bytes().to_vec()),
            _ => None,
        });
        MappedFile {
            names: names.collect(),
            whole: true,
            offset: 0,
            inode: seen.ino(),
            device: (libc::major(seen.dev()) << 20) | libc::minor(seen.dev()),
            build_id: None,
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sigtrace-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder.canonicalize().unwrap()
    }

    #[test]
    fn the_very_file_is_found_and_no_other() {
        let folder = folder("find");
        let path = folder.join("app");
        fs::write(&path, "it").unwrap();
        let wanted = mapped(&path);
        let later = SystemTime::now() + Duration::from_secs(60);
        let found = find(&wanted, &[std::process::id()], later);
        assert!(found.len() == 1 && found[0].same);
        // Changed since.
        assert!(find(&wanted, &[], SystemTime::UNIX_EPOCH).is_empty());
        // Another one in its place.
        fs::rename(&path, folder.join("old")).unwrap();
        fs::write(&path, "another").unwrap();
        assert!(find(&wanted, &[], later).is_empty());
        // Its build id could tell.
        let with_id = MappedFile {
            build_id: Some(vec![1; 20]),
            ..wanted
        };
        let found = find(&with_id, &[], later);
        assert!(found.len() == 1 && !found[0].same);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_system_is_mounted_anywhere() {
        let wanted = MappedFile {
            names: ["app", "bin", "a b"].map(Vec::from).into(),
            whole: true,
            offset: 0,
            inode: 1,
            device: 8 << 20 | 1,
            build_id: None,
        };
        let at = |line: &str| mounted(line.as_bytes(), &wanted);
        let path = |path: &str| vec![PathBuf::from(path)];
        assert_eq!(at("36 35 8:1 / / rw - ext4"), path("//a b/bin/app"));
        assert_eq!(
            at(r"36 35 8:1 /a\040b /mnt\0401 rw - ext4"),
            path("/mnt 1/bin/app")
        );
        for other in [
            "36 35 8:2 / / rw",
            "36 35 8:1 /a /mnt rw",
            "36 35",
            "",
            "36 35 8:1 /a\\",
        ] {
            assert!(at(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn links_and_pipes_are_not_opened() {
        let folder = folder("link");
        let (file, link) = (folder.join("app"), folder.join("link"));
        fs::write(&file, "it").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut wanted = mapped(&file);
        wanted.names[0] = b"link".to_vec();
        wanted.build_id = Some(vec![1; 20]);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert!(find(&wanted, &[], later).is_empty());
        wanted.names = vec![b"null".to_vec(), b"dev".to_vec()];
        assert!(find(&wanted, &[], later).is_empty());
        wanted.names = vec![b"app".to_vec(), b"..".to_vec()];
        assert!(find(&wanted, &[], later).is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
