//! Which container a process belongs to, told from the names of its cgroups.
//! That works for every engine without asking it, and gives ids, not names.
//! Reads `/proc` under a root that the caller names; what to trace is decided
//! in `cli::scope`.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::event::PidNs;

mod cgroup;
#[cfg(test)]
mod tests;

pub use cgroup::{container_of, Named};

/// Fewest characters of an id that are taken for one.
const PREFIX: usize = 4;

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Its engine, where the cgroup's name tells.
    pub engine: Option<&'static str>,
    /// Its PID namespace.
    pub pidns: PidNs,
}

/// Why a name leads to no container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Not an id or the beginning of one.
    NotAnId(String),
    /// No process is in a container with such an id.
    NoSuchId(String),
    /// Several ids begin so.
    Ambiguous(String, Vec<String>),
    /// It has no PID namespace of its own.
    SharesPidNs(String, PathBuf),
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HOW: &str = "give its id (docker inspect -f '{{.Id}}' NAME, podman inspect -f \
            '{{.Id}}' NAME, crictl ps), or the PID namespace of one of its processes: \
            --pidns $(stat -Lc %i /proc/PID/ns/pid)";
        match self {
            Self::NotAnId(name) => write!(
                f,
                "cannot look up the container {name:?}: this version does not ask container \
                 engines for names; {HOW}"
            ),
            Self::NoSuchId(name) => {
                write!(
                    f,
                    "no running container has an id that begins with {name:?}; {HOW}"
                )
            }
            Self::Ambiguous(name, ids) => {
                write!(
                    f,
                    "several containers have an id that begins with {name:?}:"
                )?;
                ids.iter().try_for_each(|id| write!(f, "\n  {id}"))
            }
            Self::SharesPidNs(id, cgroup) => write!(
                f,
                "the container {id} has no PID namespace of its own (it shares the host's); \
                 trace its cgroup instead: --cgroup /sys/fs/cgroup{}",
                cgroup.display()
            ),
        }
    }
}

impl std::error::Error for NotFound {}

/// The running container whose id is `name` or, alone among all, begins so.
pub fn find(proc: &Path, name: &str) -> Result<Container, NotFound> {
    let wanted = name.to_ascii_lowercase();
    let hex = wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    if wanted.len() < PREFIX || wanted.len() > 64 || !hex {
        return Err(NotFound::NotAnId(name.to_owned()));
    }
    let mut found: BTreeMap<String, (Named, Vec<u32>)> = BTreeMap::new();
    for pid in pids(proc) {
        let named = fs::read_to_string(proc.join(format!("{pid}/cgroup")))
            .ok()
            .and_then(|text| container_of(&text));
        if let Some(named) = named.filter(|named| named.id.starts_with(&wanted)) {
            found
                .entry(named.id.clone())
                .or_insert((named, Vec::new()))
                .1
                .push(pid);
        }
    }
    // A whole id wins over longer ones that begin with it.
    let exact = found.remove(&wanted);
    let (named, pids) = match (exact, found.len()) {
        (Some(exact), _) => exact,
        (None, 0) => return Err(NotFound::NoSuchId(name.to_owned())),
        (None, 1) => match found.pop_first() {
            Some((_, one)) => one,
            None => return Err(NotFound::NoSuchId(name.to_owned())),
        },
        (None, _) => {
            return Err(NotFound::Ambiguous(
                name.to_owned(),
                found.into_keys().collect(),
            ));
        }
    };
    match own_namespace(proc, &pids) {
        Some(pidns) => Ok(Container {
            id: named.id,
            engine: named.engine,
            pidns,
        }),
        None => Err(NotFound::SharesPidNs(named.id, named.cgroup)),
    }
}

/// The outermost PID namespace of these processes that is not the host's: a
/// container may hold further ones.
fn own_namespace(proc: &Path, pids: &[u32]) -> Option<PidNs> {
    let nested = pids.iter().filter_map(|&pid| {
        let depth = ns_pids(proc, pid)?.len();
        (depth > 1).then_some((depth, pid))
    });
    let (_, pid) = nested.min()?;
    namespace(proc, pid)
}

/// The name of the PID 1 of a namespace, where it still has one.
pub fn pid1_of(proc: &Path, pidns: PidNs) -> Option<String> {
    pids(proc)
        .filter(|&pid| namespace(proc, pid) == Some(pidns))
        .find(|&pid| ns_pids(proc, pid).is_some_and(|pids| pids.last() == Some(&1)))
        .and_then(|pid| fs::read(proc.join(format!("{pid}/comm"))).ok())
        .map(|comm| {
            String::from_utf8_lossy(&comm)
                .trim_end_matches('\n')
                .to_owned()
        })
}

/// All processes, ascending.
fn pids(proc: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<u32> = pids.collect();
    pids.sort_unstable();
    pids.into_iter()
}

/// `NSpid:` of a process: on the host, then in each nested namespace.
fn ns_pids(proc: &Path, pid: u32) -> Option<Vec<u32>> {
    let status = fs::read(proc.join(format!("{pid}/status"))).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace()
        .map(|pid| pid.parse().ok())
        .collect()
}

/// The inode in `pid:[4026532281]`.
fn namespace(proc: &Path, pid: u32) -> Option<PidNs> {
    let link = fs::read_link(proc.join(format!("{pid}/ns/pid"))).ok()?;
    link.to_str()?
        .strip_prefix("pid:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}
