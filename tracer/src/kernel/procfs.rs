//! What `/proc` knows: the processes that were there before the trace, the
//! PID namespaces they live in, and a second look at one process.
//!
//! Reads under a given root, so that tests bring their own.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::io::unix::AsyncFd;

pub use self::quota::Groups;
use self::{frozen::CGROUPS, quota::cpu_time, status::Status};
use super::sys;
use crate::event::{Dispositions, Levels, Machine, PidNs, ProcessKey, Sight, Task, TICK_NS};

mod frozen;
mod quota;
mod status;
mod threads;

/// A `/proc`.
pub struct Proc {
    root: PathBuf,
    /// Parent of each PID namespace that was asked for; `None`: the host's, or
    /// not allowed to know.
    parents: HashMap<PidNs, Option<PidNs>>,
}

/// A process as `/proc` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Who it is.
    pub task: Task,
    /// What it does with signals.
    pub dispositions: Dispositions,
}

impl Proc {
    /// Of the given folder, usually `/proc`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            parents: HashMap::new(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is a process of this pid, dead ones that nobody has reaped among
    /// them.
    pub fn is_there(&self, pid: u32) -> bool {
        self.root.join(pid.to_string()).exists()
    }

    /// Whether this process is there, dead or not.
    pub fn is_still(&self, key: ProcessKey) -> bool {
        let stat = self.root.join(key.pid.to_string()).join("stat");
        let start = fs::read(stat).ok().and_then(|stat| start_ns(&stat));
        start.is_some_and(|start| start / TICK_NS == key.start_ns / TICK_NS)
    }

    /// Every process id.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids: Vec<u32> = fs::read_dir(&self.root)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// Inode of the PID namespace that a process lives in.
    pub fn pidns(&self, pid: u32) -> Option<PidNs> {
        self.pidns_of(&pid.to_string())
    }

    /// Whether that may not be known: its link is there, and not for us to read.
    pub fn hides_pidns(&self, pid: u32) -> bool {
        let link = self.root.join(pid.to_string()).join("ns/pid");
        fs::read_link(link).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Inode of our own. By `self`: our pid is that of our namespace, and /proc
    /// may be another's, where it is somebody else's.
    pub fn own_pidns(&self) -> Option<PidNs> {
        self.pidns_of("self")
    }

    fn pidns_of(&self, name: &str) -> Option<PidNs> {
        let link = fs::read_link(self.root.join(name).join("ns/pid")).ok()?;
        namespace_inode(link.to_str()?)
    }

    /// The process that a thread belongs to.
    pub fn leader_of(&self, tid: u32) -> Option<u32> {
        let status = fs::read(self.root.join(format!("{tid}/status"))).ok()?;
        Some(Status::parse(&status).tgid).filter(|&tgid| tgid != 0)
    }

    /// Everything about a process; `None` if it is gone.
    pub fn process(&mut self, pid: u32) -> Option<Process> {
        let folder = self.root.join(pid.to_string());
        let status = fs::read(folder.join("status")).ok()?;
        let start_ns = start_ns(&fs::read(folder.join("stat")).ok()?)?;
        let status = Status::parse(&status);
        let namespaces = self.namespaces(&folder, status.ns_pids.len()).into();
        // A zombie's namespace link is gone, its pids are not.
        let ns_pids = Levels::from_slice(status.ns_pids.get(1..).unwrap_or_default());
        let task = Task {
            key: ProcessKey { pid, start_ns },
            tid: pid,
            ppid: status.ppid,
            uid: status.uid,
            flags: 0,
            comm: status.comm,
            ns_pids,
            namespaces,
            cgroup: None,
        };
        Some(Process {
            task,
            dispositions: status.dispositions,
        })
    }

    /// A descriptor that becomes readable at the end of a process (`pidfd_open(2)`, Linux
    /// 5.3); `None` also where pids are not those of this `/proc`. Must be called within
    /// tokio's runtime.
    pub fn end_of(&self, key: ProcessKey) -> Option<AsyncFd<OwnedFd>> {
        let fd = sys::pidfd(key.pid)?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        let own = self.root == Path::new("/proc") && pid.trim().parse() == Ok(key.pid);
        // By now it would be another process, if it were one.
        let it_is = own && self.observe(key).is_some();
        it_is.then(|| sys::wait_for_end(fd).ok())?
    }

    /// A second look at a process, and what keeps it: `None` if it is gone, or its
    /// pid is another's by now.
    pub fn observe(&self, key: ProcessKey) -> Option<(Dispositions, Sight)> {
        let folder = self.root.join(key.pid.to_string());
        let start = start_ns(&fs::read(folder.join("stat")).ok()?)?;
        if start / TICK_NS != key.start_ns / TICK_NS {
            return None;
        }
        let status = Status::parse(&fs::read(folder.join("status")).ok()?);
        let tracer = (status.tracer != 0).then(|| {
            let comm = fs::read(self.root.join(format!("{}/comm", status.tracer)));
            (status.tracer, status::comm(&comm.unwrap_or_default()))
        });
        let sight = Sight {
            comm: Some(status.comm),
            function: function(&folder),
            tracer,
            frozen: frozen::by(&folder, Path::new(CGROUPS)),
            quotas: Groups::of(&folder, Path::new(CGROUPS)).map(|groups| groups.read(super::now())),
            cpu: cpu_time(&folder),
            threads: match status.threads {
                0 | 1 => Vec::new(),
                _ => threads::of(&folder),
            },
        };
        Some((status.dispositions, sight))
    }

    /// The control groups that a process is in, by which its CPU time is limited; `None`
    /// if they cannot be found, it is gone, or its pid is another's by now.
    pub fn cpu_groups(&self, key: ProcessKey) -> Option<Groups> {
        let groups = Groups::of(&self.root.join(key.pid.to_string()), Path::new(CGROUPS))?;
        // Asked after it: a pid that is in use again has another start.
        self.is_still(key).then_some(groups)
    }

    /// The file that a process runs; `None` if it is gone, is a kernel thread's,
    /// or its pid is another's by now.
    pub fn program(&self, key: ProcessKey) -> Option<String> {
        let folder = self.root.join(key.pid.to_string());
        let file = fs::read_link(folder.join("exe")).ok()?;
        // Asked after it: a pid that is in use again has another start.
        let start = start_ns(&fs::read(folder.join("stat")).ok()?)?;
        (start / TICK_NS == key.start_ns / TICK_NS).then(|| file.to_string_lossy().into_owned())
    }

    /// What a security module calls a process; empty where none does, or its pid is
    /// another's by now.
    pub fn profile(&self, key: ProcessKey) -> String {
        let folder = self.root.join(key.pid.to_string());
        let name = fs::read(folder.join("attr/current")).unwrap_or_default();
        let start = fs::read(folder.join("stat")).ok();
        let start = start.and_then(|stat| start_ns(&stat));
        if start.is_none_or(|start| start / TICK_NS != key.start_ns / TICK_NS) {
            return String::new();
        }
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).trim().to_owned()
    }

    /// Everybody who has this pid in one of the PID namespaces that it is in.
    pub fn called(&mut self, pid: u32) -> io::Result<Vec<Task>> {
        let mut called = Vec::new();
        for host in self.pids()? {
            let Ok(status) = fs::read(self.root.join(host.to_string()).join("status")) else {
                continue;
            };
            let inside = Status::parse(&status).ns_pids;
            if host == pid || inside.get(1..).unwrap_or_default().contains(&pid) {
                called.extend(self.process(host).map(|process| process.task));
            }
        }
        Ok(called)
    }

    /// The nested PID namespaces of a process, outermost first. `levels`
    /// counts the host's too.
    fn namespaces(&mut self, folder: &Path, levels: usize) -> Vec<PidNs> {
        if levels <= 1 {
            return Vec::new();
        }
        let link = folder.join("ns/pid");
        let Ok(file) = File::open(&link) else {
            return Vec::new();
        };
        let Ok(own) = file.metadata() else {
            return Vec::new();
        };
        let mut chain = vec![own.ino() as PidNs];
        let mut file = Some(file);
        while chain.len() + 1 < levels {
            let child = *chain.last().unwrap_or(&0);
            let parent = match self.parents.get(&child) {
                Some(&parent) => parent,
                None => {
                    file = file.and_then(|f| sys::parent_namespace(&f));
                    let parent = file
                        .as_ref()
                        .and_then(|f| f.metadata().ok())
                        .map(|m| m.ino() as PidNs);
                    self.parents.insert(child, parent);
                    parent
                }
            };
            let Some(parent) = parent else { break };
            chain.push(parent);
        }
        chain.reverse();
        chain
    }

    /// Every process that lives in one of the namespaces or below one, and some
    /// by their pids, or all.
    pub fn members(
        &mut self,
        namespaces: &[PidNs],
        also: &HashSet<u32>,
        all: bool,
    ) -> io::Result<Vec<Process>> {
        let own = self.own_pidns();
        let mut members = Vec::new();
        for pid in self.pids()? {
            // A look at one link spares the rest for the host's processes; a
            // zombie has no link any more.
            let named = all || also.contains(&pid);
            if !named && own.is_some() && self.pidns(pid) == own {
                continue;
            }
            let Some(process) = self.process(pid) else {
                continue;
            };
            let mut of = process.task.namespaces.iter();
            if named || of.any(|ns| namespaces.contains(ns)) {
                members.push(process);
            }
        }
        Ok(members)
    }
}

/// The kernel function that a process sleeps in; `0` stands for none.
fn function(folder: &Path) -> Option<Arc<str>> {
    let text = fs::read_to_string(folder.join("wchan")).ok()?;
    let name = text.trim();
    (!name.is_empty() && name != "0").then(|| name.into())
}

/// The inode of the PID namespace that a path leads to, such as
/// `/proc/PID/ns/pid` or what is mounted from there; `None`: it is no such one.
pub fn pid_namespace(path: &Path) -> io::Result<Option<PidNs>> {
    let metadata = fs::metadata(path)?;
    // Of a pipe or a device the opening alone can take for ever, or do something.
    if !metadata.is_file() || !sys::is_pid_namespace(&File::open(path)?) {
        return Ok(None);
    }
    Ok(PidNs::try_from(metadata.ino()).ok())
}

/// `pid:[4026532281]`.
fn namespace_inode(link: &str) -> Option<PidNs> {
    link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// Field 22 of `/proc/PID/stat`. The name in field 2 may hold anything, also
/// parentheses and line feeds, so fields count from the last `)`.
fn start_ns(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    let ticks: u64 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    ticks.checked_mul(TICK_NS)
}

/// How many threads the machine has and may have, and how many pids.
pub fn machine(root: &Path) -> Option<Machine> {
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(root.join("sys/kernel").join(name)).ok()?;
        text.trim().parse().ok()
    };
    let load = fs::read_to_string(root.join("loadavg")).ok()?;
    // `0.00 0.01 0.05 1/123 4567`: running and all.
    let threads = load.split_once('/')?.1.split(' ').next()?;
    Some(Machine {
        threads: threads.parse().ok()?,
        threads_max: number("threads-max")?,
        pid_max: number("pid_max")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_is_found_behind_a_hostile_name() {
        let stat = b"42 (a) R 1 (x\n) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 12345 0";
        assert_eq!(start_ns(stat), Some(12345 * TICK_NS));
        assert_eq!(start_ns(b"42 (a) S 1"), None);
        assert_eq!(start_ns(b""), None);
    }

    #[test]
    fn a_namespace_link_is_parsed_or_refused() {
        assert_eq!(namespace_inode("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(namespace_inode("net:[1]"), None);
    }

    #[test]
    fn a_pid_is_looked_for_in_every_namespace() {
        let root = std::env::temp_dir().join(format!("sigtrace-called-{}", std::process::id()));
        let stat = "(x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 50 0";
        for (pid, inside) in [(7, "7"), (300, "300\t7"), (301, "301\t8")] {
            let folder = root.join(pid.to_string());
            fs::create_dir_all(folder.join("attr")).unwrap();
            fs::write(folder.join("stat"), format!("{pid} {stat}")).unwrap();
            fs::write(
                folder.join("status"),
                format!("Name:\tx\nNSpid:\t{inside}\n"),
            )
            .unwrap();
            fs::write(folder.join("attr/current"), "docker-default (enforce)\n").unwrap();
        }
        let mut proc = Proc::new(&root);
        let found: Vec<_> = proc.called(7).unwrap().iter().map(|t| t.key.pid).collect();
        assert_eq!(found, [7, 300]);
        let key = |pid, start_ns| ProcessKey { pid, start_ns };
        assert_eq!(
            proc.profile(key(7, 500_000_000)),
            "docker-default (enforce)"
        );
        assert_eq!(proc.profile(key(7, 900_000_000)), "", "another's by now");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_missing_root_is_an_error_and_a_missing_process_none() {
        let mut proc = Proc::new("/nonexistent");
        assert!(proc.pids().is_err());
        assert!(proc.process(1).is_none());
        assert!(proc
            .program(ProcessKey {
                pid: 1,
                start_ns: 0
            })
            .is_none());
        assert!(proc
            .observe(ProcessKey {
                pid: 1,
                start_ns: 0
            })
            .is_none());
    }
}
