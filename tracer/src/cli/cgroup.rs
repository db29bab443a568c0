//! cgroups that are traced: from a path to the folder of one, its id in the kernel,
//! and who is in it when the trace begins. Who comes later, the kernel side
//! says with each event.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{anyhow, Context as _};

use sigtrace_common::filter::CGROUP_V1;

use super::{Code, Failure};
use crate::{container::Hierarchy, event::CgroupId, kernel::attach::New};

/// Where the hierarchies are: that of cgroup v2, alone or beside those of cgroup v1,
/// and the one of cgroup v1 that the kernel side can tell processes by.
const ROOTS: [(&str, Hierarchy); 3] = [
    ("/sys/fs/cgroup", Hierarchy::Unified),
    ("/sys/fs/cgroup/unified", Hierarchy::Unified),
    ("/sys/fs/cgroup/pids", Hierarchy::Pids),
];

/// A cgroup that is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    folder: PathBuf,
    /// As the kernel side has it.
    pub id: CgroupId,
}

impl Cgroup {
    /// As the command line names it.
    pub fn named(path: &Path) -> Result<Self, Failure> {
        Self::below(path, &ROOTS.map(|(root, of)| (Path::new(root), of)))
    }

    /// A container's, by the path that `/proc/PID/cgroup` has for this hierarchy.
    pub fn of_container(path: &Path, hierarchy: Hierarchy) -> Result<Self, Failure> {
        let roots = ROOTS.map(|(root, of)| (Path::new(root), of));
        let roots: Vec<_> = roots
            .into_iter()
            .filter(|&(_, of)| of == hierarchy)
            .collect();
        Self::below(path.strip_prefix("/").unwrap_or(path), &roots)
    }

    /// A path as `/proc/PID/cgroup` has it counts from the root of the hierarchy.
    fn below(path: &Path, roots: &[(&Path, Hierarchy)]) -> Result<Self, Failure> {
        let below = path.strip_prefix("/").unwrap_or(path);
        let whole = (roots.iter().rev()).find(|(root, _)| path.starts_with(root));
        let mut places: Vec<_> = match whole {
            Some(&(_, of)) => vec![(path.to_owned(), of)],
            None => (roots.iter())
                .map(|&(root, of)| (root.join(below), of))
                .collect(),
        };
        // What begins with the first root may be in another one's, mounted there.
        if whole.is_some_and(|&(_, of)| of == Hierarchy::Unified)
            && is(&places[0].0, Hierarchy::Pids)
        {
            places[0].1 = Hierarchy::Pids;
        }
        let usage = |error: anyhow::Error| Failure::new(Code::Usage, error);
        let found = places.iter().find(|(folder, of)| is(folder, *of));
        let (folder, hierarchy) = found.unwrap_or(&places[0]);
        let metadata = fs::metadata(folder)
            .with_context(|| format!("there is no cgroup {}", folder.display()))
            .map_err(|error| Failure::new(Code::NotFound, error))?;
        if !is(folder, *hierarchy) {
            return Err(usage(anyhow!(
                "{} is no folder of the cgroup v2 hierarchy, nor of the one of cgroup v1 that has \
                 the pids controller (cgroup v1 has one tree per controller; filter by that one, \
                 or by --pidns)",
                folder.display()
            )));
        }
        Ok(Self {
            folder: folder.to_owned(),
            id: match hierarchy {
                Hierarchy::Unified => metadata.ino(),
                _ => metadata.ino() | CGROUP_V1,
            },
        })
    }

    /// Nobody is in it, or it is gone.
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// How far down it is.
    pub fn depth(&self) -> usize {
        self.folder.components().count()
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

/// From where on cgroups are new: the highest ids that there are. The kernel counts
/// them upwards (`kernfs_new_node`), of files and folders alike.
pub fn newest() -> New {
    let highest = |of: Hierarchy| {
        let mut roots = ROOTS.iter().filter(|&&(_, hierarchy)| hierarchy == of);
        roots.find_map(|(root, of)| highest_below(Path::new(root), *of))
    };
    New {
        // None can be made where there is none.
        unified: highest(Hierarchy::Unified).unwrap_or(u64::MAX),
        v1: highest(Hierarchy::Pids),
    }
}

fn highest_below(root: &Path, hierarchy: Hierarchy) -> Option<u64> {
    let marks = match hierarchy {
        Hierarchy::Unified => "cgroup.controllers",
        _ => "tasks",
    };
    if !root.join(marks).exists() {
        return None;
    }
    let mut highest = fs::metadata(root).ok()?.ino();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                highest = highest.max(entry.ino());
                folders.push(entry.path());
            }
        }
    }
    Some(highest)
}

/// Whether a folder is a cgroup of this hierarchy, by the files that it has.
fn is(folder: &Path, of: Hierarchy) -> bool {
    let has = |file| folder.join(file).exists();
    match of {
        Hierarchy::Unified => has("cgroup.procs") && has("cgroup.controllers"),
        // The root has no limits.
        Hierarchy::Pids => has("cgroup.procs") && has("tasks") && has("pids.max"),
        Hierarchy::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn a_cgroup_is_found_alone_and_beside_those_of_version_1() {
        let root = env::temp_dir().join(format!("sigtrace-cgroups-{}", std::process::id()));
        let (v1, v2) = (root.join("memory/docker/x"), root.join("unified/docker/x"));
        let pids = root.join("pids/docker/x");
        let v2_files = &["cgroup.procs", "cgroup.controllers"][..];
        let v1_files = &["cgroup.procs", "tasks"][..];
        let pids_files = &["cgroup.procs", "tasks", "pids.max"][..];
        for (folder, files) in [(&v1, v1_files), (&v2, v2_files), (&pids, pids_files)] {
            fs::create_dir_all(folder).unwrap();
            for file in files {
                fs::write(folder.join(file), "").unwrap();
            }
        }
        let (unified, of_pids) = (root.join("unified"), root.join("pids"));
        let roots = [
            (root.as_path(), Hierarchy::Unified),
            (&unified, Hierarchy::Unified),
            (&of_pids, Hierarchy::Pids),
        ];
        let named = |path: &Path| Cgroup::below(path, &roots);
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        let wanted = inode(&v2);
        assert_eq!(named(Path::new("/docker/x")).unwrap().id, wanted);
        assert_eq!(named(&v2).unwrap().id, wanted);
        // The ids of each hierarchy are its own.
        assert_eq!(named(&pids).unwrap().id, inode(&pids) | CGROUP_V1);
        assert_eq!(
            Cgroup::below(Path::new("docker/x"), &roots[2..])
                .unwrap()
                .id,
            inode(&pids) | CGROUP_V1
        );
        // Said so, not taken for another.
        assert_eq!(named(&v1).unwrap_err().code, Code::Usage);
        assert_eq!(
            named(Path::new("/docker/y")).unwrap_err().code,
            Code::NotFound
        );
        let alone = root.join("docker/x");
        fs::create_dir_all(&alone).unwrap();
        for file in v2_files {
            fs::write(alone.join(file), "").unwrap();
        }
        assert_eq!(named(Path::new("docker/x")).unwrap().id, inode(&alone));
        // Made later, it is above all that there were.
        let before = highest_below(&of_pids, Hierarchy::Pids);
        assert_eq!(before, None, "no root of such a hierarchy");
        fs::write(of_pids.join("tasks"), "").unwrap();
        let highest = highest_below(&of_pids, Hierarchy::Pids).unwrap();
        let all = [&of_pids, &of_pids.join("docker"), &pids].map(|folder| inode(folder));
        assert_eq!(Some(highest), all.into_iter().max());
        // Members are those of all that is below, too.
        fs::create_dir_all(v2.join("a/b")).unwrap();
        for (folder, list) in [("", "7\n8\n"), ("a/b", "9\n")] {
            fs::write(v2.join(folder).join("cgroup.procs"), list).unwrap();
        }
        assert_eq!(named(&v2).unwrap().members(), HashSet::from([7, 8, 9]));
        fs::write(v2.join("a/b/cgroup.procs"), "").unwrap();
        fs::write(v2.join("cgroup.procs"), "").unwrap();
        assert!(named(&v2).unwrap().is_empty());
        fs::remove_dir_all(&root).unwrap();
        assert!(Cgroup { folder: v2, id: 1 }.is_empty());
    }
}
