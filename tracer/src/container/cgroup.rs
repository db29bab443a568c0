//! Container ids in cgroup paths. Each engine and each cgroup driver has its
//! own way to write them; the innermost one counts, because containers run
//! inside containers.

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
}

/// Scopes of systemd's driver: `docker-ID.scope`.
const SCOPES: [(&str, &str); 5] = [
    ("docker-", "docker"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("crio-", "cri-o"),
    ("nerdctl-", "containerd"),
];

/// The container that `/proc/PID/cgroup` names; the unified hierarchy's line
/// first, since in mixed set-ups v1 controllers may lie elsewhere.
pub fn container_of(text: &str) -> Option<Named> {
    let path = |line: &str| line.splitn(3, ':').nth(2).map(str::to_owned);
    let unified = text.lines().filter(|line| line.starts_with("0::"));
    let others = text.lines().filter(|line| !line.starts_with("0::"));
    unified
        .chain(others)
        .filter_map(path)
        .find_map(|path| in_path(&path))
}

fn in_path(path: &str) -> Option<Named> {
    let parts: Vec<_> = path.split('/').collect();
    (0..parts.len()).rev().find_map(|i| {
        let parent = i.checked_sub(1).map(|above| parts[above]);
        let (id, engine) = in_name(parts[i], parent)?;
        Some(Named {
            id: id.to_owned(),
            engine,
            cgroup: parts[..=i].join("/").into(),
        })
    })
}

fn in_name<'a>(name: &'a str, parent: Option<&str>) -> Option<(&'a str, Option<&'static str>)> {
    if let Some(scope) = name.strip_suffix(".scope") {
        let known = SCOPES.iter().find_map(|&(prefix, engine)| {
            let id = scope.strip_prefix(prefix)?;
            is_id(id).then_some((id, Some(engine)))
        });
        // Other engines with systemd's driver: anything, a dash, the id.
        return known.or_else(|| {
            let (_, id) = scope.rsplit_once('-')?;
            is_id(id).then_some((id, None))
        });
    }
    if let Some(id) = SCOPES.iter().find_map(|&(prefix, engine)| {
        let id = name.strip_prefix(prefix)?;
        is_id(id).then_some((id, Some(engine)))
    }) {
        return Some(id);
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
