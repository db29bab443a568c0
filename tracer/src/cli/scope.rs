//! What `--pidns`, `--label` and `--container` name, resolved to PID
//! namespaces. Containers are found by [`container`]; which exit code it means
//! that one is not found is decided here.

use std::{
    fmt::Debug,
    future::Future,
    io::{self, Write},
    path::{Path, PathBuf},
    pin::pin,
    str::FromStr,
};

use anyhow::anyhow;
use tokio::time::timeout;

use super::{
    args::TraceArgs,
    cgroup::{self, Cgroup},
    Code, Failure,
};
use crate::{
    container::{
        self, engine::PATIENCE, error::Problem, socket::Sockets, Container, ResolveError, Shared,
    },
    event::PidNs,
    kernel::{attach::New, procfs},
    output::{self, ContainerName, Scope},
};

/// A PID namespace on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PidNsArg {
    /// `4026532281`, or `pid:[4026532281]` as `readlink` and `lsns` have it.
    Inode(PidNs),
    /// `/proc/PID/ns/pid`.
    Path(PathBuf),
}

impl FromStr for PidNsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self::Path(text.into()));
        }
        let number = text.strip_prefix("pid:").unwrap_or(text);
        let number = number
            .strip_prefix('[')
            .and_then(|n| n.strip_suffix(']'))
            .unwrap_or(number);
        let wrong = || {
            "give the inode of a PID namespace (lsns -t pid), or a path such as /proc/PID/ns/pid"
                .to_owned()
        };
        match number.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(inode) => Ok(Self::Inode(inode)),
        }
    }
}

impl PidNsArg {
    fn inode(&self) -> Result<PidNs, Failure> {
        let path = match self {
            Self::Inode(inode) => return Ok(*inode),
            Self::Path(path) => path,
        };
        let said = || format!("cannot read the PID namespace {}", path.display());
        match procfs::pid_namespace(path) {
            Ok(Some(inode)) => Ok(inode),
            Ok(None) => Err(Failure::new(
                Code::Usage,
                anyhow!(
                    "{} is no PID namespace: give /proc/PID/ns/pid of a process in it, or its \
                     inode (lsns -t pid)",
                    path.display()
                ),
            )),
            // A zombie still has a folder, and no namespace any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound && process(path).is_some() => {
                Err(Failure::new(
                    Code::NotFound,
                    anyhow!(
                        "process {} has ended, or never was: it has no PID namespace ({})",
                        process(path).unwrap_or_default(),
                        path.display()
                    ),
                ))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Failure::new(
                Code::CannotTrace,
                anyhow::Error::new(error)
                    .context(said() + ", which takes CAP_SYS_PTRACE for another's process"),
            )),
            Err(error) => {
                let gone = error.kind() == io::ErrorKind::NotFound;
                let code = if gone { Code::NotFound } else { Code::Failed };
                Err(Failure::new(
                    code,
                    anyhow::Error::new(error).context(said()),
                ))
            }
        }
    }
}

/// The process of `/proc/PID/ns/pid`.
fn process(path: &Path) -> Option<&str> {
    let rest = path.to_str()?.strip_prefix("/proc/")?;
    let (pid, ns) = rest.split_once('/')?;
    let digits = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    (digits && matches!(ns, "ns/pid" | "ns/pid_for_children")).then_some(pid)
}

/// What the flags name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The namespaces.
    pub scopes: Vec<Scope>,
    /// The containers among them.
    pub containers: Vec<Container>,
    /// The cgroups of those that share their PID namespace.
    pub cgroups: Vec<Cgroup>,
    /// Which cgroups there were before containers were looked for.
    pub newest: New,
    /// Names of containers that are waited for.
    pub waiting: Vec<String>,
    /// What could not be found out, a sentence each.
    pub notes: Vec<String>,
}

/// The namespaces that the flags name, in their order, and what could not be
/// found out. They exist when this returns, or a moment before; names of their
/// first processes are looked up in `proc`, names of containers by asking the
/// engines at `sockets`, which takes a second; half a minute at most, where one is slow.
pub async fn resolve(
    args: &TraceArgs,
    proc: &Path,
    sockets: impl FnOnce() -> Sockets,
) -> Result<Found, Failure> {
    let mut scopes = Vec::new();
    for (i, pidns) in args.pidns.iter().enumerate() {
        let pidns = pidns.inode()?;
        let (label, note) = match args.labels.get(i).map(|label| label.split_once('=')) {
            Some(Some((label, note))) => (Some(label), Some(note)),
            Some(None) => (args.labels.get(i).map(String::as_str), None),
            None => (None, None),
        };
        scopes.push(Scope {
            pidns,
            label: label.map(str::to_owned),
            note: note.map(str::to_owned),
            pid1: container::pid1_of(proc, pidns),
            ..Scope::default()
        });
    }
    if args.containers.is_empty() {
        return Ok(Found {
            scopes,
            ..Found::default()
        });
    }
    let newest = cgroup::newest();
    let finding = container::find(proc, sockets(), &args.containers, args.wait, PATIENCE);
    let mut found = saying_so(finding, &mut io::stderr()).await?;
    let mut cgroups = Vec::new();
    for container in &mut found.containers {
        cgroups.extend(place(container, proc)?);
        let scope = of(container, container::pid1_of(proc, container.pidns));
        found.notes.extend(output::sharing(&scope));
        scopes.push(scope);
    }
    Ok(Found {
        scopes,
        containers: found.containers,
        cgroups,
        newest,
        waiting: found.waiting,
        notes: found.notes,
    })
}

/// What `finding` finds; if it takes long, whoever looks at the terminal is told what is
/// waited for.
async fn saying_so<T>(finding: impl Future<Output = T>, out: &mut impl Write) -> T {
    let mut finding = pin!(finding);
    if let Ok(found) = timeout(PATIENCE * 2, &mut finding).await {
        return found;
    }
    // Without stderr nobody is there to be told.
    let _ = writeln!(
        out,
        "sigtrace: a container engine is slow to answer; it has up to half a minute (by its id \
         a container is found without it)"
    );
    finding.await
}

/// Looks up what a container is told by that shares its PID namespace.
fn place(container: &mut Container, proc: &Path) -> Result<Option<Cgroup>, Failure> {
    let Some(shares) = &mut container.shares else {
        return Ok(None);
    };
    let cgroup = Cgroup::of_container(&shares.cgroup, shares.hierarchy)?;
    shares.id = cgroup.id;
    let first = |pid| Some(procfs::Proc::new(proc).process(pid)?.task);
    if let Some(task) = container.pid.and_then(first) {
        shares.first = Some((task.key, task.comm.to_string()));
    }
    Ok(Some(cgroup))
}

/// How a container's namespace is called, with the name of its PID 1.
pub(super) fn of(container: &Container, pid1: Option<String>) -> Scope {
    Scope {
        pidns: container.pidns,
        label: container.name.clone(),
        pid1,
        container: Some(ContainerName {
            name: container.name.clone(),
            id: container.id.clone(),
            engine: container.engine.clone(),
        }),
        shares: container.shares.as_ref().map(|shares| output::Shares {
            cgroup: shares.id,
            path: shares.cgroup.display().to_string(),
            owner: match &shares.with {
                Shared::Host => None,
                Shared::Container(name) => Some(name.clone()),
            },
            first: shares.first.as_ref().map(|(_, name)| name.clone()),
        }),
        ..Scope::default()
    }
}

impl From<Box<ResolveError>> for Failure {
    fn from(error: Box<ResolveError>) -> Self {
        let code = match error.problem {
            Problem::Ambiguous(_) | Problem::Shares { .. } => Code::Usage,
            Problem::Unknown { .. } | Problem::NotRunning { .. } | Problem::Elsewhere(..) => {
                Code::NotFound
            }
            Problem::Unreadable(_) => Code::CannotTrace,
        };
        Self::new(code, *error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        assert_eq!("4026532281".parse(), Ok(PidNsArg::Inode(4_026_532_281)));
        assert_eq!(
            "pid:[4026532281]".parse(),
            Ok(PidNsArg::Inode(4_026_532_281))
        );
        assert_eq!("pid:4026532281".parse(), Ok(PidNsArg::Inode(4_026_532_281)));
        assert_eq!(
            "/proc/1/ns/pid".parse(),
            Ok(PidNsArg::Path("/proc/1/ns/pid".into()))
        );
        for wrong in ["", "0", "fwd_sig", "mnt:[4026532281]", "99999999999"] {
            assert!(wrong.parse::<PidNsArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn exit_codes_of_containers() {
        let row = container::error::Row::default();
        for (problem, code) in [
            (Problem::Ambiguous(vec![]), Code::Usage),
            (
                Problem::Unknown {
                    nearest: vec![],
                    running: vec![],
                    no_engine: None,
                },
                Code::NotFound,
            ),
            (
                Problem::NotRunning {
                    row: row.clone(),
                    created: false,
                    exit_code: None,
                },
                Code::NotFound,
            ),
            (Problem::Elsewhere(row.clone(), None), Code::NotFound),
            (Problem::Unreadable(row), Code::CannotTrace),
        ] {
            let error = ResolveError {
                wanted: "x".into(),
                problem,
                failed: vec![],
            };
            assert_eq!(Failure::from(Box::new(error)).code, code);
        }
    }

    #[tokio::test]
    async fn without_containers_no_engine_is_asked() {
        let args = TraceArgs::default();
        let never = || unreachable!("nobody asked for a container");
        let resolved = resolve(&args, Path::new("/nonexistent"), never).await;
        assert_eq!(resolved.unwrap(), Found::default());
    }

    #[test]
    fn a_path_that_is_not_there_is_nothing_found() {
        let failure = PidNsArg::Path("/nonexistent/ns/pid".into())
            .inode()
            .unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        // No process can have this pid (PID_MAX_LIMIT).
        let gone = PidNsArg::Path("/proc/4194305/ns/pid".into()).inode();
        let failure = gone.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        let said = failure.error.unwrap().to_string();
        assert!(said.starts_with("process 4194305 has ended"), "{said}");
    }

    #[test]
    fn a_path_to_something_else_is_said_to_be_no_pid_namespace() {
        for path in ["/proc/self/ns/mnt", "/proc/self/status", "/dev/null", "/"] {
            let failure = PidNsArg::Path(path.into()).inode().unwrap_err();
            let said = failure.error.unwrap().to_string();
            assert_eq!(failure.code, Code::Usage, "{said}");
            assert!(
                said.starts_with(&format!("{path} is no PID namespace")),
                "{said}"
            );
        }
        assert!(PidNsArg::Path("/proc/self/ns/pid".into()).inode().is_ok());
    }
}
