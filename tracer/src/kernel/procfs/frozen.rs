//! Whether a process is held by the cgroup freezer, and which control group's
//! setting that is: its own or one's above it.

use std::{fs, path::Path, sync::Arc};

/// Where control groups are mounted.
pub(super) const CGROUPS: &str = "/sys/fs/cgroup";
/// The unified hierarchy is there, or below that beside those of version 1.
pub(super) const UNIFIED: [&str; 2] = ["", "unified"];

/// The frozen control group that holds the process with this folder in `/proc`;
/// and whether it is one of version 1.
pub(super) fn by(folder: &Path, cgroups: &Path) -> Option<(Arc<str>, bool)> {
    let lines = fs::read_to_string(folder.join("cgroup")).ok()?;
    lines.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        if controllers.is_empty() {
            return UNIFIED.iter().find_map(|root| {
                let frozen = |group: &Path| holds(&group.join("cgroup.freeze"), "1");
                first(&cgroups.join(root), path, frozen).map(|path| (path, false))
            });
        }
        let freezer = controllers.split(',').any(|name| name == "freezer");
        let frozen = |group: &Path| holds(&group.join("freezer.self_freezing"), "1");
        let found = freezer.then(|| first(&cgroups.join("freezer"), path, frozen));
        found?.map(|path| (path, true))
    })
}

/// From its own upwards.
fn first(root: &Path, path: &str, frozen: impl Fn(&Path) -> bool) -> Option<Arc<str>> {
    let mut levels = Path::new(path).ancestors();
    let level = levels.find(|level| {
        let relative = level.strip_prefix("/").unwrap_or(level);
        // A path that leads elsewhere is not one of a cgroup that is seen here.
        !path.contains("..") && frozen(&root.join(relative))
    })?;
    Some(level.to_string_lossy().into())
}

fn holds(file: &Path, value: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.trim() == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Under a folder of its own, which is removed.
    fn with_tree(name: &str, files: &[(&str, &str)], check: impl FnOnce(&Path)) {
        let root = std::env::temp_dir().join(format!("frozen-{name}-{}", std::process::id()));
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        check(&root);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_nearest_frozen_group_holds_it() {
        let files = [
            ("proc/cgroup", "1:name=systemd:/x\n0::/pod/app\n"),
            ("unified/pod/cgroup.freeze", "1\n"),
            ("unified/pod/app/cgroup.freeze", "0\n"),
        ];
        with_tree("v2", &files, |root| {
            let found = by(&root.join("proc"), root);
            assert_eq!(found, Some(("/pod".into(), false)));
        });
    }

    #[test]
    fn version_1_has_a_hierarchy_of_its_own() {
        let files = [
            ("proc/cgroup", "4:freezer:/app\n0::/elsewhere\n"),
            ("freezer/app/freezer.self_freezing", "1\n"),
        ];
        with_tree("v1", &files, |root| {
            let found = by(&root.join("proc"), root);
            assert_eq!(found, Some(("/app".into(), true)));
        });
    }

    #[test]
    fn what_runs_is_not_frozen() {
        let files = [
            ("proc/cgroup", "0::/../app\n0::/app\n"),
            ("app/cgroup.freeze", "0\n"),
        ];
        with_tree("none", &files, |root| {
            assert_eq!(by(&root.join("proc"), root), None);
            assert_eq!(by(&root.join("nothing"), root), None);
        });
    }
}
