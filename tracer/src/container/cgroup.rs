//! Container ids in cgroup paths. Each engine and each cgroup driver has its
//! own way to write them; the innermost one counts, because containers run
//! inside containers. Pure: `host` reads the files.

use std::path::PathBuf;

/// What the name of a cgroup says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The full id.
    pub id: String,
    /// The engine, where the name tells.
    pub engine: Option<&'static str>,
    /// The cgroup, from the root of its hierarchy.
    pub cgroup: PathBuf,
    /// Which hierarchy that is.
    pub hierarchy: Hierarchy,
}

/// A hierarchy of cgroups, as far as processes can be told by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// The unified one, cgroup v2.
    Unified,
    /// That of cgroup v1 with the `pids` controller.
    Pids,
    /// Another one of cgroup v1.
    Other,
}

/// What stands before the id: `docker-ID.scope` with systemd's driver,
/// `libpod-ID` without, `….slice:cri-containerd:ID` where a runtime without
/// that driver got a path that was meant for it.
const PREFIXES: [(&str, &str); 6] = [
    ("docker", "docker"),
    ("libpod", "podman"),
    ("libpod-payload", "podman"),
    ("cri-containerd", "containerd"),
    ("crio", "cri-o"),
    ("nerdctl", "containerd"),
];

/// The container that `/proc/PID/cgroup` names; the unified hierarchy's line
/// first, since in mixed set-ups v1 controllers may lie elsewhere.
pub fn container_of(text: &str) -> Option<Named> {
    let of = |wanted| {
        let mut lines = text.lines().filter_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let hierarchy = match controllers {
                "" => Hierarchy::Unified,
                some if some.split(',').any(|one| one == "pids") => Hierarchy::Pids,
                _ => Hierarchy::Other,
            };
            (hierarchy == wanted).then_some(path)
        });
        lines.find_map(|path| in_path(path, wanted))
    };
    let all = [Hierarchy::Unified, Hierarchy::Pids, Hierarchy::Other];
    all.into_iter().find_map(of)
}

/// The container that the names of a cgroup and of its parent tell. Where it lies
/// is not known from that.
pub fn container_in(cgroups: &[String; 2]) -> Option<(String, Option<&'static str>)> {
    let [own, parent] = cgroups;
    let named = in_path(&format!("/{parent}/{own}"), Hierarchy::Unified)?;
    Some((named.id, named.engine))
}

pub(super) fn in_path(path: &str, hierarchy: Hierarchy) -> Option<Named> {
    let parts: Vec<_> = path.split('/').collect();
    (0..parts.len()).rev().find_map(|i| {
        let parent = i.checked_sub(1).map(|above| parts[above]);
        let (id, engine) = in_name(parts[i], parent)?;
        Some(Named {
            id: id.to_owned(),
            engine,
            cgroup: parts[..=i].join("/").into(),
            hierarchy,
        })
    })
}

fn in_name<'a>(name: &'a str, parent: Option<&str>) -> Option<(&'a str, Option<&'static str>)> {
    let bare = name.strip_suffix(".scope").unwrap_or(name);
    if let Some((before, id)) = bare.rsplit_once(['-', ':']).filter(|&(_, id)| is_id(id)) {
        // The monitor of a container has its id in its name and is outside.
        if before.ends_with("conmon") {
            return None;
        }
        let driver = before.rsplit(':').next().unwrap_or(before);
        let known = PREFIXES.iter().find(|&&(prefix, _)| prefix == driver);
        // Another engine with systemd's driver: anything, a dash, the id.
        return match known {
            Some(&(_, engine)) => Some((id, Some(engine))),
            None => (bare != name || before.contains(':')).then_some((id, None)),
        };
    }
    let engine = match parent {
        Some("docker") => Some("docker"),
        Some("libpod" | "libpod_parent") => Some("podman"),
        _ => None,
    };
    is_id(name).then_some((name, engine))
}

/// Container ids are SHA-256 sums or random numbers of that size. A pod's id
/// (a UUID) is not one.
fn is_id(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
