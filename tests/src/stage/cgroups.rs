//! cgroups of our own, with names as engines and systemd give them: everything below
//! one folder, which nobody else looks at.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{self, MntFlags, MsFlags};

use super::until;

/// Where a guest gets the hierarchy that it lacks.
const V1: &str = "/run/sigtrace-pids";

/// A hierarchy in which cgroups can be made.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    root: PathBuf,
    ours: bool,
}

impl Hierarchy {
    /// That of cgroup v2; `None`: there is none.
    pub(crate) fn unified() -> Result<Option<Self>> {
        let is_it = |kind: &str, _: &str| kind == "cgroup2";
        Ok(mounted(is_it)?.map(|root| Self { root, ours: false }))
    }

    /// That of cgroup v1 with the `pids` controller, where there is one.
    pub(crate) fn pids() -> Result<Option<Self>> {
        let is_it =
            |kind: &str, flags: &str| kind == "cgroup" && flags.split(',').any(|f| f == "pids");
        Ok(mounted(is_it)?.map(|root| Self { root, ours: false }))
    }

    /// Makes that one, until it is dropped; the kernel may not let us.
    pub(crate) fn mount_pids() -> Result<Result<Self, nix::Error>> {
        fs::create_dir_all(V1).context("a place for it")?;
        let flags = MsFlags::empty();
        let made = mount::mount(Some("cgroup"), V1, Some("cgroup"), flags, Some("pids"));
        Ok(made.map(|()| Self {
            root: V1.into(),
            ours: true,
        }))
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        if self.ours {
            // Those in it end a moment later. If it stays, the next one to mount it
            // gets the same.
            let gone = until("the end of that hierarchy", || {
                Ok(mount::umount2(V1, MntFlags::empty()).ok())
            });
            drop(gone);
        }
    }
}

/// The first mount of a whole file system of this type with these options.
fn mounted(is_it: impl Fn(&str, &str) -> bool) -> Result<Option<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo").context("our mounts")?;
    let root = |line: &str| -> Option<PathBuf> {
        let (mount, of) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (inside, at) = (words.next()?, words.next()?);
        let mut of = of.split(' ');
        let (kind, flags) = (of.next()?, of.nth(1)?);
        (inside == "/" && is_it(kind, flags)).then(|| at.into())
    };
    Ok(text.lines().find_map(root))
}

/// The cgroup that we are in ourselves: of cgroup v2, or of the `pids` hierarchy of
/// cgroup v1; `None`: in none.
pub(crate) fn own(v1: bool) -> Result<Option<String>> {
    let text = fs::read_to_string("/proc/self/cgroup").context("our cgroups")?;
    let path = |line: &str| -> Option<String> {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let is_it = match v1 {
            true => controllers.split(',').any(|one| one == "pids"),
            false => controllers.is_empty(),
        };
        is_it.then(|| path.to_owned())
    };
    Ok(text.lines().find_map(path))
}

/// A cgroup, with the folders around it that had to be made.
pub(crate) struct Cgroup {
    folders: Vec<PathBuf>,
    last: PathBuf,
}

impl Cgroup {
    /// Below a folder of ours.
    pub(crate) fn new(hierarchy: &Hierarchy, path: &str) -> Result<Self> {
        let mut made = Self {
            folders: Vec::new(),
            last: hierarchy
                .root
                .join(format!("sigtrace-play-{}", std::process::id())),
        };
        made.make()?;
        for name in path.split('/') {
            made.last.push(name);
            made.make()?;
        }
        Ok(made)
    }

    fn make(&mut self) -> Result<()> {
        if !self.last.exists() {
            fs::create_dir(&self.last)
                .with_context(|| format!("making {}", self.last.display()))?;
            self.folders.push(self.last.clone());
        }
        Ok(())
    }

    /// Moves a process into it.
    pub(crate) fn take(&self, pid: u32) -> Result<()> {
        fs::write(self.last.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("moving {pid} to {}", self.last.display()))
    }

    /// Removes it, which those in it have left, or are about to.
    pub(crate) fn remove(mut self) -> Result<()> {
        while let Some(folder) = self.folders.pop() {
            remove(&folder)?;
        }
        Ok(())
    }
}

fn remove(folder: &Path) -> Result<()> {
    until(&format!("the end of {}", folder.display()), || {
        Ok(fs::remove_dir(folder).ok())
    })
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // On the way out after an error; that error is the one to be told.
        while let Some(folder) = self.folders.pop() {
            let _ = fs::remove_dir(folder);
        }
    }
}
