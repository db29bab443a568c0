//! The programs of container engines, recognized by what they are: by the file
//! that a process runs where that could be read, else by its name, and by who
//! stands behind it. Both a name and a place in a container are anyone's to
//! choose, so a runtime counts as one only if it has no pid in the target's PID
//! namespace and its parent is an engine or a monitor.
//!
//! Who is one is decided here; what follows from that in `super::stop_request`.

use crate::event::{Ancestor, Comm, ProcessKey, Task};
use crate::explain::report::Forebear;
use crate::history::{note::NotedSender, process::Process, History};

use super::{lead, words};

/// What a program does in an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes the orders: dockerd, containerd, podman.
    Engine,
    /// Stays with one container, and outlives the engine: containerd-shim,
    /// conmon.
    Monitor,
    /// Makes, kills and enters containers, and lives for milliseconds: runc.
    Runtime,
    /// Decides for a node which pods live: kubelet.
    Orchestrator,
}

impl Role {
    /// What text calls it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Engine => "container engine",
            Self::Monitor => "container monitor",
            Self::Runtime => "container runtime",
            Self::Orchestrator => "orchestrator",
        }
    }
}

/// A process of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognized {
    /// The program, its name in full.
    pub program: &'static str,
    /// What it does.
    pub role: Role,
    /// It is certain: the file that it or the engine behind it runs was seen, or
    /// its parent is that of the container's PID 1.
    pub sure: bool,
}

/// Names as the kernel has them (15 bytes), the program, and its role.
const PROGRAMS: [(&str, &str, Role); 20] = [
    ("dockerd", "dockerd", Role::Engine),
    ("containerd", "containerd", Role::Engine),
    ("podman", "podman", Role::Engine),
    ("crio", "cri-o", Role::Engine),
    ("buildkitd", "buildkitd", Role::Engine),
    ("buildah", "buildah", Role::Engine),
    ("containerd-shim", "containerd-shim", Role::Monitor),
    ("conmon", "conmon", Role::Monitor),
    ("conmonrs", "conmon-rs", Role::Monitor),
    ("runc", "runc", Role::Runtime),
    ("docker-runc", "runc", Role::Runtime),
    ("crun", "crun", Role::Runtime),
    ("youki", "youki", Role::Runtime),
    ("runsc", "runsc", Role::Runtime),
    ("kata-runtime", "kata-runtime", Role::Runtime),
    ("kubelet", "kubelet", Role::Orchestrator),
    ("kubelite", "kubelet", Role::Orchestrator),
    ("k3s-server", "k3s", Role::Orchestrator),
    ("k3s-agent", "k3s", Role::Orchestrator),
    ("nomad", "nomad", Role::Orchestrator),
];

/// Files that are several of these programs in one; the name tells which.
const SEVERAL: [&str; 2] = ["k3s", "rke2"];

fn by_name(name: &str) -> Option<(&'static str, Role)> {
    // runc and youki call their stages `runc:[2:INIT]`, `youki:[1:INTER]`.
    let name = match name.split_once(":[") {
        Some((name, stage)) if stage.ends_with(']') => name,
        _ => name,
    };
    let found = PROGRAMS.iter().find(|(known, ..)| *known == name);
    found.map(|&(_, program, role)| (program, role))
}

/// Whether a process runs a container runtime, by its name and the file that it runs:
/// it may run from a copy of itself, in memory or in a mount without a name.
pub fn is_runtime(comm: Comm, file: Option<&str>) -> bool {
    let comm = String::from_utf8_lossy(comm.bytes()).into_owned();
    let copy = file.is_some_and(|file| file == "/" || file.starts_with("/memfd:"));
    // From a descriptor its name is that one's number.
    let number = !comm.is_empty() && comm.bytes().all(|byte| byte.is_ascii_digit());
    let comm = comm.as_str();
    let known = Seen { comm, file }.program();
    copy || file.is_none() && number || matches!(known, Some((_, Role::Runtime, _)))
}

/// One process of a lineage: its name, and the file that it runs where that was
/// seen.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    comm: &'a str,
    file: Option<&'a str>,
}

impl Seen<'_> {
    /// Which program it is, and whether the file says so.
    fn program(self) -> Option<(&'static str, Role, bool)> {
        let named = || by_name(self.comm).map(|(program, role)| (program, role, false));
        let Some(file) = self.file.filter(|file| !file.starts_with("/memfd:")) else {
            // Not seen, or a copy in memory, which runtimes run themselves from.
            return named();
        };
        // Replaced by an upgrade while it runs.
        let file = file.strip_suffix(" (deleted)").unwrap_or(file);
        let base = file.rsplit('/').next().unwrap_or(file);
        if SEVERAL.contains(&base) {
            return by_name(self.comm).map(|(program, role)| (program, role, true));
        }
        // `containerd-shim-runc-v2`, `containerd-shim-kata-v2`.
        let base = match base.strip_prefix("containerd-shim-") {
            Some(_) => "containerd-shim",
            None => base,
        };
        by_name(base).map(|(program, role)| (program, role, true))
    }
}

/// Which program of an engine a process outside of the container is, by its
/// lineage: itself first, then its parents. `of_pid1`: its parent, or itself, is
/// the parent of the container's PID 1.
fn recognize(lineage: &[Seen<'_>], of_pid1: bool) -> Option<Recognized> {
    let first = lineage.first()?;
    // crun runs from a copy of itself in a mount that has no name any more: a
    // runtime's own file proves less than whose child it is.
    let copy = || by_name(first.comm).filter(|(_, role)| *role == Role::Runtime);
    let (program, role, seen, copied) = match first.program() {
        Some((program, role, seen)) => (program, role, seen, false),
        None => copy().map(|(program, role)| (program, role, false, true))?,
    };
    let mut behind = lineage[1..].iter().map(|one| one.program());
    let (fits, sure) = match role {
        Role::Runtime => {
            // It may have forked: `runc` below `runc`.
            let parent = behind.find(|one| !matches!(one, Some((_, Role::Runtime, _))));
            match parent {
                Some(Some((.., sure))) => (sure || !copied, sure || of_pid1),
                // Somebody else's child, or nothing is known of its parents.
                Some(None) => (false, false),
                None => (of_pid1 && !copied, false),
            }
        }
        // Below a monitor it runs in a container, and is somebody's own or a
        // lie; a podman there is conmon's clean-up.
        _ => {
            let monitored = behind.any(|one| matches!(one, Some((_, Role::Monitor, _))));
            let fits = !monitored || program == "podman";
            (fits, seen || (role == Role::Monitor && of_pid1))
        }
    };
    fits.then_some(Recognized {
        program,
        role,
        sure,
    })
}

/// Whether a process with these parents is a program of an engine; `target` is
/// whom it sent something to.
pub(crate) fn sender(history: &History, by: &NotedSender, target: &Process) -> Option<Recognized> {
    let of_pid1 = parent_of_pid1(history, target).is_some_and(|parent| {
        // Without ancestry (routine signals) the kernel still names the parent.
        let above = by.ancestry.first().map_or(by.ppid, |a| a.key.pid);
        parent > 1 && (above == parent || by.key.pid == parent)
    });
    let own = target.task.pidns();
    let beside = by.cgroup.is_some() && by.cgroup == target.task.cgroup;
    if beside || own.is_some_and(|ns| by.namespaces.contains(&ns)) {
        return None;
    }
    lineage(history, by.key, by.comm, &by.ancestry, of_pid1)
}

/// `sh 16350`, `runc 16350 (container runtime)`.
pub(crate) fn called(history: &History, by: &NotedSender, to: &Process) -> String {
    let role = sender(history, by, to).map(|found| found.role.words());
    words::lineage(by, role, &[])
}

/// The process that a sender acts for, by its pid on the host: the monitor or
/// engine that it is, or else its parent.
pub(crate) fn behind(by: &NotedSender) -> u32 {
    let role = |comm: Comm| by_name(&String::from_utf8_lossy(comm.bytes())).map(|(_, role)| role);
    match role(by.comm) {
        Some(Role::Engine | Role::Monitor | Role::Orchestrator) => by.key.pid,
        _ => by
            .ancestry
            .iter()
            .find(|a| role(a.comm) != Some(Role::Runtime))
            .map_or(by.ppid, |a| a.key.pid),
    }
}

/// The pid of the parent of the first process of the container that a process is
/// in.
fn parent_of_pid1(history: &History, target: &Process) -> Option<u32> {
    Some(lead::of(history, &target.task)?.one.task.ppid)
}

fn lineage(
    history: &History,
    key: ProcessKey,
    comm: Comm,
    ancestry: &[Ancestor],
    of_pid1: bool,
) -> Option<Recognized> {
    let names: Vec<String> = std::iter::once(comm)
        .chain(ancestry.iter().map(|a| a.comm))
        .map(|comm| String::from_utf8_lossy(comm.bytes()).into_owned())
        .collect();
    let keys = std::iter::once(key).chain(ancestry.iter().map(|a| a.key));
    let seen: Vec<Seen> = keys
        .zip(&names)
        .map(|(key, comm)| Seen {
            comm,
            file: history.looked_up.program_of(key),
        })
        .collect();
    recognize(&seen, of_pid1)
}

/// The parents of a sender, each with what it is. `inside`: they are those of a
/// process in a container, whose own lineage proves nothing.
pub(crate) fn forebears(history: &History, by: &Task, ancestry: &[Ancestor]) -> Vec<Forebear> {
    let of = |(at, ancestor): (usize, &Ancestor)| {
        // Those around a container are outside of it, wherever it begins.
        let outside = by.namespaces.is_empty();
        let found = outside.then(|| {
            let behind = ancestry.get(at + 1..).unwrap_or_default();
            lineage(history, ancestor.key, ancestor.comm, behind, false)
        });
        Forebear {
            key: ancestor.key,
            comm: ancestor.comm,
            runtime: found.flatten().map(|found| found.program),
        }
    };
    ancestry.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(lineage: &[(&'a str, &'a str)]) -> Vec<Seen<'a>> {
        let one = |&(comm, file): &(&'a str, &'a str)| Seen {
            comm,
            file: (!file.is_empty()).then_some(file),
        };
        lineage.iter().map(one).collect()
    }

    /// Program, role and whether that is certain.
    fn is(lineage: &[(&str, &str)]) -> Option<(&'static str, Role, bool)> {
        recognize(&seen(lineage), false).map(|r| (r.program, r.role, r.sure))
    }

    const SHIM: (&str, &str) = ("containerd-shim", "/usr/bin/containerd-shim-runc-v2");
    const SYSTEMD: (&str, &str) = ("systemd", "/usr/lib/systemd/systemd");

    #[test]
    fn the_chain_of_a_stop() {
        let runc = Some(("runc", Role::Runtime, true));
        assert_eq!(is(&[("runc", ""), SHIM, SYSTEMD]), runc);
        assert_eq!(is(&[("runc:[2:INIT]", ""), ("runc", ""), SHIM]), runc);
        assert_eq!(
            is(&[SHIM, SYSTEMD]),
            Some(("containerd-shim", Role::Monitor, true))
        );
        assert_eq!(
            is(&[("dockerd", "/usr/bin/dockerd (deleted)"), SYSTEMD]),
            Some(("dockerd", Role::Engine, true))
        );
        let podman = ("podman", "/usr/bin/podman");
        let conmon = ("conmon", "/usr/bin/conmon");
        assert_eq!(
            is(&[("crun", ""), conmon]),
            Some(("crun", Role::Runtime, true))
        );
        assert_eq!(
            is(&[("crun", ""), podman, ("bash", "/bin/bash")]),
            Some(("crun", Role::Runtime, true))
        );
        assert_eq!(is(&[podman, conmon]), Some(("podman", Role::Engine, true)));
        assert_eq!(
            is(&[("containerd", "/var/lib/rancher/k3s/data/x/bin/k3s")]),
            Some(("containerd", Role::Engine, true))
        );
        // From a copy of itself, in memory or in a mount without a name.
        for copy in ["/memfd:crun-cloned (deleted)", "/"] {
            assert_eq!(
                is(&[("crun", copy), podman]),
                Some(("crun", Role::Runtime, true))
            );
            assert_eq!(is(&[("conmon", copy), podman]).is_some(), copy != "/");
        }
    }

    #[test]
    fn names_without_files_are_less_certain() {
        assert_eq!(
            is(&[("runc", ""), ("containerd-shim", ""), ("systemd", "")]),
            Some(("runc", Role::Runtime, false))
        );
        assert_eq!(
            is(&[("dockerd", "")]),
            Some(("dockerd", Role::Engine, false))
        );
        // Its parent is that of PID 1: it needs no more.
        let lineage = seen(&[("runc", ""), ("containerd-shim", "")]);
        assert!(recognize(&lineage, true).is_some_and(|r| r.sure));
        let alone = seen(&[("runc", "")]);
        assert!(recognize(&alone, true).is_some_and(|r| !r.sure));
        assert_eq!(recognize(&alone, false), None);
    }

    #[test]
    fn a_name_alone_proves_nothing() {
        assert_eq!(is(&[("runc", ""), ("bash", ""), ("sshd", "")]), None);
        assert_eq!(
            is(&[("runc", "/usr/bin/runc"), ("bash", "/bin/bash")]),
            None
        );
        // In a container of its own: not the monitor's own child.
        assert_eq!(is(&[("runc", ""), ("sh", ""), SHIM, SYSTEMD]), None);
        assert_eq!(is(&[("dockerd", ""), ("sh", ""), SHIM, SYSTEMD]), None);
        // The file says otherwise, of itself and of the parent.
        assert_eq!(is(&[("runc", "/tmp/evil"), ("containerd-shim", "")]), None);
        assert_eq!(is(&[("containerd-shim", "/tmp/evil")]), None);
        assert_eq!(is(&[("runc", ""), ("containerd-shim", "/tmp/evil")]), None);
        assert_eq!(is(&[("dockerd", "/usr/bin/python3.11")]), None);
    }

    #[test]
    fn a_runtime_on_its_way_into_a_container() {
        let is = |comm: &str, file| is_runtime(Comm::from(comm), file);
        for (comm, file) in [
            ("runc", None),
            ("runc:[0:PARENT]", Some("/usr/sbin/runc")),
            ("6", None),
            ("6", Some("/memfd:runc_cloned:/proc/self/exe (deleted)")),
            ("exe", Some("/usr/bin/runc")),
            ("crun", Some("/")),
        ] {
            assert!(is(comm, file), "{comm} {file:?}");
        }
        for (comm, file) in [
            ("sh", None),
            ("exe", Some("/bin/busybox")),
            ("6", Some("/bin/6")),
        ] {
            assert!(!is(comm, file), "{comm} {file:?}");
        }
    }

    #[test]
    fn strangers() {
        for comm in [
            "",
            "runc2",
            "runc:[",
            "runc:[2:INIT",
            "Runc",
            "bash",
            "runcx:[2:INIT]",
        ] {
            assert_eq!(is(&[(comm, ""), SHIM]), None, "{comm}");
        }
    }

    #[test]
    fn the_kernel_could_have_every_name() {
        for (comm, ..) in PROGRAMS {
            assert!(comm.len() <= 15, "{comm}");
            let same = PROGRAMS.iter().filter(|(other, ..)| *other == comm);
            assert_eq!(same.count(), 1, "{comm}");
        }
    }
}
