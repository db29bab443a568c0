//! The containers that run on this host, told from `/proc` alone: the ids in
//! the cgroups' names (`super::cgroup`) and the PID namespaces. It works for
//! every engine without asking it. Names of containers are [`super::engine`]'s; here they
//! are known only where a container has a monitor of its own that was told it
//! (`conmon`, of Podman and CRI-O). Reads under a root that tests choose.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::cgroup::{container_of, Hierarchy, Named};
use crate::event::PidNs;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Containers that have processes, by id.
    pub containers: BTreeMap<String, Found>,
    /// The processes that were asked for, where they exist.
    pub processes: BTreeMap<u32, Process>,
}

/// A container that has processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its engine, where the cgroup's name tells.
    pub engine: Option<&'static str>,
    /// Its name, as its monitor was told it.
    pub name: Option<String>,
    /// Its cgroup, from the root of the hierarchy.
    pub cgroup: PathBuf,
    /// Which hierarchy that is.
    pub hierarchy: Hierarchy,
    /// The oldest of its processes.
    pub oldest: u32,
    /// Where its processes have their pids.
    pub namespace: Namespace,
}

/// The PID namespace of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// Its own.
    Own(PidNs),
    /// One that has the process of another container as PID 1: that one's id.
    Of(String, PidNs),
    /// The host's.
    Host,
    /// Not to be seen.
    Unknown,
}

/// A process, as far as it tells where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its PID namespace, if that is not the host's.
    pub nested: Option<PidNs>,
    /// It is PID 1 there.
    pub first: bool,
    /// The container in whose cgroup it is.
    pub container: Option<String>,
}

impl Host {
    /// Looks at every process, and remembers those of `asked`.
    pub fn scan(proc: &Path, asked: &[u32]) -> Self {
        let mut named: BTreeMap<String, (Named, Vec<u32>)> = BTreeMap::new();
        let mut processes = BTreeMap::new();
        let mut names = BTreeMap::new();
        for pid in pids(proc) {
            names.extend(monitored(proc, pid));
            let cgroup = fs::read(proc.join(format!("{pid}/cgroup"))).unwrap_or_default();
            let found = container_of(&String::from_utf8_lossy(&cgroup));
            if asked.contains(&pid) {
                let container = found.as_ref().map(|named| named.id.clone());
                processes.extend(process(proc, pid, container).map(|process| (pid, process)));
            }
            if let Some(found) = found {
                let entry = named.entry(found.id.clone());
                entry.or_insert((found, Vec::new())).1.push(pid);
            }
        }
        Self {
            containers: containers(proc, named, &names),
            processes,
        }
    }
}

/// The id and the name of the container that this process monitors: `conmon` gets both as
/// arguments. Not from inside of a container, where anything may be called so.
fn monitored(proc: &Path, pid: u32) -> Option<(String, String)> {
    let folder = proc.join(pid.to_string());
    let comm = fs::read(folder.join("comm")).ok()?;
    if comm.trim_ascii_end() != b"conmon" || ns_pids(proc, pid)?.len() != 1 {
        return None;
    }
    let program = fs::read_link(folder.join("exe")).ok()?;
    if program.file_name()? != "conmon" {
        return None;
    }
    let words = fs::read(folder.join("cmdline")).ok()?;
    let words: Vec<&[u8]> = words.split(|&byte| byte == 0).collect();
    let after = |short: &[u8], long: &[u8]| {
        let at = words
            .iter()
            .position(|word| *word == short || *word == long)?;
        String::from_utf8(words.get(at + 1)?.to_vec()).ok()
    };
    Some((after(b"-c", b"--cid")?, after(b"-n", b"--name")?))
}

fn containers(
    proc: &Path,
    named: BTreeMap<String, (Named, Vec<u32>)>,
    names: &BTreeMap<String, String>,
) -> BTreeMap<String, Found> {
    let mut first_of: BTreeMap<PidNs, String> = BTreeMap::new();
    let mut spaces = BTreeMap::new();
    for (id, (_, pids)) in &named {
        let mut outermost: Option<(usize, u32)> = None;
        let age = |&pid: &u32| (start_ticks(proc, pid), pid);
        let oldest = pids.iter().copied().min_by_key(age).unwrap_or_default();
        for &pid in pids {
            let Some(inside) = ns_pids(proc, pid) else {
                continue;
            };
            if inside.len() > 1 && inside.last() == Some(&1) {
                first_of.extend(namespace(proc, pid).map(|ns| (ns, id.clone())));
            }
            // A container may hold further namespaces: the outermost is its. A
            // runtime on its way into one comes from the host's, and is no sign
            // unless it was there first.
            if inside.len() > 1 || pid == oldest {
                let this = (inside.len(), pid);
                outermost = Some(outermost.map_or(this, |other| other.min(this)));
            }
        }
        spaces.insert(id.clone(), (oldest, outermost));
    }
    let found = |(id, (named, _)): (String, (Named, Vec<u32>))| {
        let (oldest, outermost) = spaces.remove(&id).unwrap_or_default();
        let namespace = match outermost {
            Some((1, _)) => Namespace::Host,
            Some((_, pid)) => match namespace(proc, pid) {
                Some(ns) => match first_of.get(&ns) {
                    Some(holder) if *holder != id => Namespace::Of(holder.clone(), ns),
                    _ => Namespace::Own(ns),
                },
                None => Namespace::Unknown,
            },
            None => Namespace::Unknown,
        };
        let Named {
            engine,
            cgroup,
            hierarchy,
            ..
        } = named;
        let found = Found {
            engine,
            name: names.get(&id).cloned(),
            cgroup,
            hierarchy,
            oldest,
            namespace,
        };
        (id, found)
    };
    named.into_iter().map(found).collect()
}

/// When a process started, in clock ticks since boot; behind the last parenthesis,
/// because the name may hold any. The last of all where that is not to be seen.
fn start_ticks(proc: &Path, pid: u32) -> u64 {
    let stat = fs::read(proc.join(format!("{pid}/stat"))).unwrap_or_default();
    let behind = stat.rsplit(|&byte| byte == b')').next().unwrap_or_default();
    let ticks = std::str::from_utf8(behind).ok().and_then(|text| {
        let ticks = text.split_ascii_whitespace().nth(19)?;
        ticks.parse().ok()
    });
    ticks.unwrap_or(u64::MAX)
}

fn process(proc: &Path, pid: u32, container: Option<String>) -> Option<Process> {
    let inside = ns_pids(proc, pid)?;
    let nested = inside.len() > 1;
    Some(Process {
        nested: namespace(proc, pid).filter(|_| nested),
        first: nested && inside.last() == Some(&1),
        container,
    })
}

/// Whether the `pids` controller is in a hierarchy of cgroup v1, as `/proc` has it of
/// every process there.
pub fn pids_on_v1(proc: &Path) -> bool {
    let own = fs::read(proc.join("self/cgroup")).unwrap_or_default();
    let text = String::from_utf8_lossy(&own);
    let mut controllers = text.lines().filter_map(|line| line.split(':').nth(1));
    controllers.any(|all| all.split(',').any(|one| one == "pids"))
}

/// The name of the PID 1 of a namespace, where it still has one.
pub fn pid1_of(proc: &Path, pidns: PidNs) -> Option<String> {
    name_of(proc, first_in(proc, pidns)?)
}

/// The PID 1 of a namespace, by its pid on the host.
pub fn first_in(proc: &Path, pidns: PidNs) -> Option<u32> {
    pids(proc)
        .filter(|&pid| namespace(proc, pid) == Some(pidns))
        .find(|&pid| ns_pids(proc, pid).is_some_and(|pids| pids.last() == Some(&1)))
}

/// The name of a process.
pub fn name_of(proc: &Path, pid: u32) -> Option<String> {
    let comm = fs::read(proc.join(format!("{pid}/comm"))).ok()?;
    let comm = String::from_utf8_lossy(&comm);
    Some(comm.trim_end_matches('\n').to_owned())
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
