//! The CPU quotas that hold for a process: its control group's and those around it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::frozen::UNIFIED;
use crate::event::Quota;

/// Where the hierarchy of the `cpu` controller of version 1 is.
const CPU: [&str; 2] = ["cpu,cpuacct", "cpu"];

/// Of the process with this folder in `/proc`, the nearest group's first; `None`: not
/// to be read.
pub(super) fn of(folder: &Path, cgroups: &Path) -> Option<Vec<Quota>> {
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
        return Some(levels(&root, path, v1));
    }
    let path = unified?;
    let there = |root: &PathBuf| root.join("cgroup.controllers").is_file();
    let root = UNIFIED.iter().map(|name| cgroups.join(name)).find(there)?;
    Some(levels(&root, path, v2))
}

/// From its own upwards, where the root has none.
fn levels(root: &Path, path: &str, read: impl Fn(&Path, &str) -> Option<Quota>) -> Vec<Quota> {
    let levels = Path::new(path).ancestors();
    let quota = |level: &Path| {
        let relative = level.strip_prefix("/").unwrap_or(level);
        read(&root.join(relative), &level.to_string_lossy())
    };
    levels.filter_map(quota).collect()
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
            let found = of(&root.join("proc"), root).unwrap();
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
            let found = of(&root.join("proc"), root).unwrap();
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
            assert_eq!(of(&root.join("proc"), root), Some(vec![]));
            assert_eq!(of(&root.join("other"), root), None);
            assert_eq!(of(&root.join("nothing"), root), None);
        });
    }
}
