//! Where things are: the workspace, its target folder, and the cache that is
//! shared by all clones on a machine, with the one way of putting something in it.
//!
//! What is put there is decided by `toolchain`, `kernel` and `guest_tools`.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::FlockOperation;

use crate::ui;

/// Written last into everything that is cached: its content says which version is there.
const STAMP: &str = ".stamp";

/// The folders that every subcommand needs.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Downloads and tools that outlive a `cargo clean`.
    pub(crate) cache: PathBuf,
}

impl Places {
    /// Reads the environment; creates nothing.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("xtask's manifest lies in no workspace")?
            .to_owned();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        let cache = cache_dir(|name| env::var_os(name).map(PathBuf::from))
            .context("cannot tell where to keep downloads: neither SIGTRACE_CACHE nor XDG_CACHE_HOME nor HOME is set. Set SIGTRACE_CACHE to a folder")?;
        Ok(Self {
            root,
            target,
            cache,
        })
    }

    /// Where tracer/build.rs looks for the kernel side.
    pub(crate) fn ebpf_object(&self) -> PathBuf {
        self.root.join("target").join("sigtrace-ebpf.o")
    }

    /// The folder of statically linked release binaries.
    pub(crate) fn static_binaries(&self) -> PathBuf {
        self.target.join(crate::build::HOST_TARGET).join("release")
    }

    /// The cache itself, created if it is missing.
    pub(crate) fn cache_root(&self) -> Result<&Path> {
        create(&self.cache)?;
        Ok(&self.cache)
    }

    /// A folder in the cache, created if it is missing.
    pub(crate) fn cache_folder(&self, name: &str) -> Result<PathBuf> {
        let dir = self.cache.join(name);
        create(&dir)?;
        Ok(dir)
    }

    /// The cache's entry `name` if it is complete and of version `version`.
    pub(crate) fn cached(&self, name: &str, version: &str) -> Option<PathBuf> {
        let dir = self.cache.join(name);
        let stamp = fs::read_to_string(dir.join(STAMP)).ok()?;
        (stamp == version).then_some(dir)
    }

    /// Returns the cache's entry `name` of version `version`, made by `fill` if
    /// it is not there. `fill` works in a folder of its own that gets the real
    /// name only when complete, so that an interrupted run leaves nothing that
    /// looks finished; it is told the final name too.
    pub(crate) fn ensure(
        &self,
        name: &str,
        version: &str,
        fill: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<PathBuf> {
        if let Some(dir) = self.cached(name, version) {
            return Ok(dir);
        }
        let _lock = self.lock()?;
        // Another xtask may have made it while we waited.
        if let Some(dir) = self.cached(name, version) {
            return Ok(dir);
        }
        let dir = self.cache.join(name);
        let unfinished = format!("{}.new-", file_name(&dir));
        remove_siblings(&dir, &unfinished);
        let fresh = dir.with_file_name(format!("{unfinished}{}", std::process::id()));
        fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
        fill(&fresh, &dir)?;
        fs::write(fresh.join(STAMP), version)?;
        remove_dir(&dir)?;
        fs::rename(&fresh, &dir)
            .with_context(|| format!("cannot move {} into place", fresh.display()))?;
        Ok(dir)
    }

    /// One xtask at a time changes the cache; readers need no lock because
    /// entries appear whole.
    fn lock(&self) -> Result<File> {
        let path = self.cache_root()?.join("lock");
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            ui::note("another xtask is filling the cache; waiting for it");
            rustix::fs::flock(&file, FlockOperation::LockExclusive)
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }
}

fn create(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| {
        format!(
            "cannot create {}; set SIGTRACE_CACHE to a folder you can write to",
            dir.display()
        )
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Removes what interrupted runs left; a program that one of them started may
/// still be writing there, so it is not insisted upon.
fn remove_siblings(dir: &Path, prefix: &str) {
    let entries = dir.parent().map(fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// The order of precedence, apart from the real environment so that it can be tested.
fn cache_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|path| path.is_absolute());
    set("SIGTRACE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("sigtrace")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("sigtrace")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Option<PathBuf> {
        cache_dir(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| PathBuf::from(value))
        })
    }

    #[test]
    fn our_own_variable_wins() {
        let all = [
            ("SIGTRACE_CACHE", "/a"),
            ("XDG_CACHE_HOME", "/b"),
            ("HOME", "/c"),
        ];
        assert_eq!(with(&all), Some("/a".into()));
        assert_eq!(with(&all[1..]), Some("/b/sigtrace".into()));
        assert_eq!(with(&all[2..]), Some("/c/.cache/sigtrace".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn an_entry_appears_whole_or_not_at_all() {
        let cache = env::temp_dir().join(format!("sigtrace-places-{}", std::process::id()));
        let places = Places {
            root: "/".into(),
            target: "/".into(),
            cache: cache.clone(),
        };
        let broken = places.ensure("thing", "1", |fresh, _| {
            fs::write(fresh.join("half"), "x")?;
            anyhow::bail!("interrupted")
        });
        assert!(broken.is_err());
        assert_eq!(places.cached("thing", "1"), None);

        let made = places.ensure("thing", "1", |fresh, end| {
            assert!(!fresh.join("half").exists(), "leftovers of the broken run");
            fs::write(fresh.join("whole"), end.to_string_lossy().as_bytes())?;
            Ok(())
        });
        assert_eq!(made.ok(), Some(cache.join("thing")));
        assert!(places.cached("thing", "1").is_some());
        assert_eq!(places.cached("thing", "2"), None);
        fs::remove_dir_all(cache).ok();
    }
}
