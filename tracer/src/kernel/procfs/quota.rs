//! How much CPU time a process has had, and the quotas that hold for it: its control
//! group's and those around it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::frozen::UNIFIED;
use crate::event::{BootTime, CpuTime, Quota, Quotas};

/// Where the hierarchy of the `cpu` controller of version 1 is.
const CPU: [&str; 2] = ["cpu,cpuacct", "cpu"];

/// The control groups that limit a process's CPU time, its own first: known once, they
/// can be read when the process is gone.
#[derive(Clone, Debug)]
pub struct Groups {
    v1: bool,
    levels: Vec<Level>,
}

#[derive(Clone, Debug)]
struct Level {
    /// As the host sees it.
    path: String,
    folder: PathBuf,
    /// Another group of that name has another.
    inode: u64,
}

impl Groups {
    /// Of the process with this folder in `/proc`; `None`: not to be found.
    pub(super) fn of(folder: &Path, cgroups: &Path) -> Option<Self> {
        let lines = fs::read_to_string(folder.join("cgroup")).ok()?;
        let (mut unified, mut own) = (None, None);
        for line in lines.lines() {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            // A path that leads elsewhere is not one of a cgroup that is seen here.
            if path.contains("..") {
                continue;
            }
            if controllers.is_empty() {
                unified = Some(path);
            } else if controllers.split(',').any(|name| name == "cpu") {
                own = Some(path);
            }
        }
        // The controller is in one hierarchy only.
        if let Some(path) = own {
            let root = CPU.iter().map(|name| cgroups.join(name));
            let root = root.into_iter().find(|root| root.is_dir())?;
            let levels = levels(&root, path);
            return Some(Self { v1: true, levels });
        }
        let path = unified?;
        let there = |root: &PathBuf| root.join("cgroup.controllers").is_file();
        let root = UNIFIED.iter().map(|name| cgroups.join(name)).find(there)?;
        let levels = levels(&root, path);
        Some(Self { v1: false, levels })
    }

    /// Those that have a quota, if they are still there.
    pub fn read(&self, at: BootTime) -> Quotas {
        let read = if self.v1 { v1 } else { v2 };
        let there = |level: &&Level| inode(&level.folder) == Some(level.inode);
        let levels = self.levels.iter().filter(there);
        let groups = levels.filter_map(|level| read(&level.folder, &level.path));
        Quotas {
            at,
            groups: groups.collect(),
        }
    }
}

/// From its own upwards, where the root has no quota.
fn levels(root: &Path, path: &str) -> Vec<Level> {
    let levels = Path::new(path).ancestors().filter_map(|level| {
        let folder = root.join(level.strip_prefix("/").unwrap_or(level));
        Some(Level {
            path: level.to_string_lossy().into_owned(),
            inode: inode(&folder)?,
            folder,
        })
    });
    levels.collect()
}

fn inode(folder: &Path) -> Option<u64> {
    fs::metadata(folder).ok().map(|folder| folder.ino())
}

/// How much the first thread of the process with this folder in `/proc` has run:
/// `schedstat` has nanoseconds on a CPU, those of waiting for one, and turns.
pub(super) fn cpu_time(folder: &Path) -> Option<CpuTime> {
    let at = crate::kernel::now();
    let text = fs::read_to_string(folder.join("schedstat")).ok()?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    let (ran_ns, _, turns) = (
        numbers.next()?.ok()?,
        numbers.next()?,
        numbers.next()?.ok()?,
    );
    // All are 0 where the kernel does not count: whoever is there has run.
    (turns > 0).then_some(CpuTime { at, ran_ns, turns })
}

/// `cpu.max`: `10000 100000`, or `max 100000`.
fn v2(folder: &Path, path: &str) -> Option<Quota> {
    let max = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = max.trim().split_once(' ')?;
    let count = counts(folder)?;
    Some(Quota {
        group: path.into(),
        v1: false,
        quota_us: quota.parse().ok()?,
        period_us: period.parse().ok()?,
        periods: count("nr_periods")?,
        throttled_periods: count("nr_throttled")?,
        throttled_us: count("throttled_usec")?,
    })
}

fn v1(folder: &Path, path: &str) -> Option<Quota> {
    let number = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        // -1: none.
        text.trim().parse().ok()
    };
    let count = counts(folder)?;
    Some(Quota {
        group: path.into(),
        v1: true,
        quota_us: number("cpu.cfs_quota_us")?,
        period_us: number("cpu.cfs_period_us")?,
        periods: count("nr_periods")?,
        throttled_periods: count("nr_throttled")?,
        throttled_us: count("throttled_time")? / 1_000,
    })
}

/// The lines of `cpu.stat`.
fn counts(folder: &Path) -> Option<impl Fn(&str) -> Option<u64>> {
    let text = fs::read_to_string(folder.join("cpu.stat")).ok()?;
    Some(move |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let (_, value) = lines.find(|(key, _)| *key == name)?;
        value.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Under a folder of its own, which is removed.
    fn with_tree(name: &str, files: &[(&str, &str)], check: impl FnOnce(&Path)) {
        let root = std::env::temp_dir().join(format!("quota-{name}-{}", std::process::id()));
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        check(&root);
        fs::remove_dir_all(&root).unwrap();
    }

    fn quotas(root: &Path, folder: &str) -> Option<Vec<Quota>> {
        let groups = Groups::of(&root.join(folder), root)?;
        Some(groups.read(BootTime(7)).groups)
    }

    const STAT: &str = "usage_usec 70\nnr_periods 30\nnr_throttled 27\nthrottled_usec 2700000\n";

    #[test]
    fn every_group_that_has_a_quota_counts() {
        let files = [
            ("proc/cgroup", "0::/pod/app\n"),
            ("cgroup.controllers", "cpu memory\n"),
            ("pod/cpu.max", "10000 100000\n"),
            ("pod/cpu.stat", STAT),
            ("pod/app/cpu.max", "max 100000\n"),
            ("pod/app/cpu.stat", STAT),
        ];
        with_tree("v2", &files, |root| {
            let found = quotas(root, "proc").unwrap();
            let [pod] = &found[..] else {
                panic!("{found:?}");
            };
            assert_eq!((&*pod.group, pod.v1), ("/pod", false));
            assert_eq!((pod.quota_us, pod.period_us), (10_000, 100_000));
            assert_eq!((pod.periods, pod.throttled_periods), (30, 27));
            assert_eq!(pod.throttled_us, 2_700_000);
        });
    }

    #[test]
    fn version_1_counts_nanoseconds() {
        let files = [
            (
                "proc/cgroup",
                "7:cpuset:/\n4:cpu,cpuacct:/app\n0::/elsewhere\n",
            ),
            ("cpu,cpuacct/app/cpu.cfs_quota_us", "20000\n"),
            ("cpu,cpuacct/app/cpu.cfs_period_us", "100000\n"),
            (
                "cpu,cpuacct/app/cpu.stat",
                "nr_periods 3\nnr_throttled 2\nthrottled_time 5000000\n",
            ),
            ("cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
        ];
        with_tree("v1", &files, |root| {
            let found = quotas(root, "proc").unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].v1, found[0].throttled_us), (true, 5_000));
        });
    }

    #[test]
    fn no_quota_is_known_and_nothing_to_read_is_not() {
        let files = [
            ("proc/cgroup", "0::/app\n"),
            ("unified/cgroup.controllers", "memory\n"),
            ("other/cgroup", "0::/../app\n"),
        ];
        with_tree("none", &files, |root| {
            assert_eq!(quotas(root, "proc"), Some(vec![]));
            assert_eq!(quotas(root, "other"), None);
            assert_eq!(quotas(root, "nothing"), None);
        });
    }

    #[test]
    fn a_group_is_read_when_its_process_is_gone_and_not_taken_for_another() {
        let files = [
            ("proc/cgroup", "0::/app\n"),
            ("cgroup.controllers", "cpu memory\n"),
            ("app/cpu.max", "10000 100000\n"),
            ("app/cpu.stat", STAT),
        ];
        with_tree("gone", &files, |root| {
            let groups = Groups::of(&root.join("proc"), root).unwrap();
            fs::remove_dir_all(root.join("proc")).unwrap();
            assert_eq!(groups.read(BootTime(7)).groups.len(), 1);
            // The same inode could be in use again at once.
            fs::rename(root.join("app"), root.join("old")).unwrap();
            for file in ["app/cpu.max", "app/cpu.stat"] {
                fs::create_dir_all(root.join("app")).unwrap();
                fs::copy(root.join(file.replace("app", "old")), root.join(file)).unwrap();
            }
            assert_eq!(groups.read(BootTime(7)).groups, []);
        });
    }

    #[test]
    fn what_is_not_counted_is_not_known() {
        let files = [
            ("ran/schedstat", "1200 3400 5\n"),
            ("off/schedstat", "0 0 0\n"),
            ("odd/schedstat", "1 2\n"),
        ];
        with_tree("schedstat", &files, |root| {
            let seen = cpu_time(&root.join("ran")).unwrap();
            assert_eq!((seen.ran_ns, seen.turns), (1200, 5));
            for name in ["off", "odd", "none"] {
                assert_eq!(cpu_time(&root.join(name)), None);
            }
        });
    }
}
