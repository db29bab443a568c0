//! `--cgroup`: from a path to the folder of a cgroup v2, its id in the kernel,
//! and who is in it when the trace begins. Who comes later, the kernel side
//! says with each event.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{anyhow, Context as _};

use super::{Code, Failure};

/// Where the cgroup v2 hierarchy is: alone, or beside those of cgroup v1.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// A cgroup that is filtered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    folder: PathBuf,
    /// The inode of its folder, which is its id in the kernel.
    pub id: u64,
}

impl Cgroup {
    /// As the command line names it.
    pub fn named(path: &Path) -> Result<Self, Failure> {
        Self::below(path, ROOTS.map(Path::new))
    }

    /// A path as `/proc/PID/cgroup` has it counts from the root of the hierarchy.
    fn below(path: &Path, roots: [&Path; 2]) -> Result<Self, Failure> {
        let below = path.strip_prefix("/").unwrap_or(path);
        let below = roots.map(|root| root.join(below));
        let whole = path.starts_with(roots[0]);
        let is_v2 = |folder: &&PathBuf| folder.join("cgroup.controllers").exists();
        let folder = match below.iter().find(is_v2) {
            _ if whole => path,
            Some(folder) => folder,
            None => &below[0],
        };
        let usage = |error: anyhow::Error| Failure::new(Code::Usage, error);
        let metadata = fs::metadata(folder)
            .with_context(|| format!("there is no cgroup {}", folder.display()))
            .map_err(usage)?;
        if !folder.join("cgroup.procs").exists() || !folder.join("cgroup.controllers").exists() {
            return Err(usage(anyhow!(
                "{} is no folder of the cgroup v2 hierarchy (cgroup v1 has one tree per controller; \
                 filter by --pidns there)",
                folder.display()
            )));
        }
        Ok(Self {
            folder: folder.to_owned(),
            id: metadata.ino(),
        })
    }

    /// The pids of those in it and in cgroups below it.
    pub fn members(&self) -> HashSet<u32> {
        let mut members = HashSet::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            // A threaded cgroup has no list of processes, and one that goes
            // away has none any more.
            let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            members.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()));
            let below = fs::read_dir(&folder).into_iter().flatten().flatten();
            let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(below.map(|entry| entry.path()));
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn a_cgroup_is_found_alone_and_beside_those_of_version_1() {
        let root = env::temp_dir().join(format!("sigtrace-cgroups-{}", std::process::id()));
        let (v1, v2) = (root.join("docker/x"), root.join("unified/docker/x"));
        for (folder, files) in [(&v1, 1), (&v2, 2)] {
            fs::create_dir_all(folder).unwrap();
            for file in ["cgroup.procs", "cgroup.controllers"].iter().take(files) {
                fs::write(folder.join(file), "").unwrap();
            }
        }
        let unified = root.join("unified");
        let named = |path: &Path| Cgroup::below(path, [&root, &unified]);
        let wanted = fs::metadata(&v2).unwrap().ino();
        assert_eq!(named(Path::new("/docker/x")).unwrap().id, wanted);
        assert_eq!(named(&v2).unwrap().id, wanted);
        // Said so, not taken for another.
        assert_eq!(named(&v1).unwrap_err().code, Code::Usage);
        assert_eq!(named(Path::new("/docker/y")).unwrap_err().code, Code::Usage);
        fs::write(v1.join("cgroup.controllers"), "").unwrap();
        let alone = fs::metadata(&v1).unwrap().ino();
        assert_eq!(named(Path::new("docker/x")).unwrap().id, alone);
        // Members are those of all that is below, too.
        fs::create_dir_all(v2.join("a/b")).unwrap();
        for (folder, list) in [("", "7\n8\n"), ("a/b", "9\n")] {
            fs::write(v2.join(folder).join("cgroup.procs"), list).unwrap();
        }
        assert_eq!(named(&v2).unwrap().members(), HashSet::from([7, 8, 9]));
        fs::remove_dir_all(&root).unwrap();
    }
}
