//! Why a name leads to no container, in words: what was looked for, what there
//! is instead, and what to do. Names come from outside and may hold anything;
//! here each becomes a part of one line. Which problem it is decides
//! [`super::resolve`], which exit code that means `cli::scope`.

use std::{error::Error, fmt, sync::Arc};

use super::engine::EngineError;
use crate::event::printable;

/// A name that leads to no container.
#[derive(Debug)]
pub struct ResolveError {
    /// The name, as it was given.
    pub wanted: String,
    /// What is wrong with it.
    pub problem: Problem,
    /// Engines that might have known it and could not be asked.
    pub failed: Vec<Arc<EngineError>>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing is called so.
    Unknown {
        /// What may have been meant.
        nearest: Vec<String>,
        /// All that run.
        running: Vec<Row>,
        /// No engine answered; where they were looked for.
        no_engine: Option<Vec<String>>,
    },
    /// Several are called so.
    Ambiguous(Vec<Row>),
    /// It does not run.
    NotRunning {
        /// Which.
        row: Row,
        /// It never ran.
        created: bool,
        /// The status it ended with.
        exit_code: Option<i64>,
    },
    /// It has no PID namespace of its own, and cannot be told by its cgroup.
    Shares {
        /// Which.
        row: Row,
        /// Whose it has.
        with: Shared,
        /// Its cgroup, which it cannot be told by.
        cgroup: Option<String>,
    },
    /// Its engine says that it runs, with this first process; this host has no
    /// such process.
    Elsewhere(Row, Option<u32>),
    /// It runs, and its PID namespace is not to be seen.
    Unreadable(Row),
}

impl Problem {
    /// There may be such a container later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::NotRunning { .. })
    }
}

/// Whose PID namespace a container has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The host's.
    Host,
    /// This container's.
    Container(String),
}

/// A container in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Name.
    pub name: Option<String>,
    /// Full id.
    pub id: String,
    /// Engine.
    pub engine: Option<String>,
    /// It runs.
    pub runs: bool,
}

impl fmt::Display for Row {
    /// `fwd_sig (docker 1dcad40f27d5)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id: String = self.id.chars().take(12).collect();
        let engine = self.engine.as_deref().map(printable);
        match (&self.name, engine) {
            (Some(name), Some(engine)) => write!(f, "{} ({engine} {id})", printable(name)),
            (Some(name), None) => write!(f, "{} ({id})", printable(name)),
            (None, Some(engine)) => write!(f, "{id} ({engine})"),
            (None, None) => write!(f, "{id}"),
        }
    }
}

/// A table of them.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Row], with_state: bool) -> fmt::Result {
    let name = |row: &Row| row.name.as_deref().map_or("-".to_owned(), printable);
    let engine = |row: &Row| row.engine.as_deref().map_or("-".to_owned(), printable);
    let widest = |of: &dyn Fn(&Row) -> String| {
        let widths = rows.iter().map(|row| of(row).chars().count());
        widths.max().unwrap_or(0).min(64)
    };
    let (names, engines) = (widest(&name), widest(&engine));
    for row in rows {
        // Short ids that are told apart by what comes later are no help.
        let short = |id: &str| id.chars().take(12).collect::<String>();
        let twins = rows
            .iter()
            .filter(|other| short(&other.id) == short(&row.id));
        let id = if twins.count() > 1 {
            row.id.clone()
        } else {
            short(&row.id)
        };
        write!(
            f,
            "\n  {:names$}  {:engines$}  {id}",
            name(row),
            engine(row)
        )?;
        if with_state {
            f.write_str(if row.runs { "  runs" } else { "  does not run" })?;
        }
    }
    Ok(())
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.say(f, self)?;
        if !self.failed.is_empty() && !matches!(self.problem, Problem::Shares { .. }) {
            f.write_str("\nengines that could not be asked, and may know more:")?;
            for error in &self.failed {
                write!(f, "\n  {}", chain(error.as_ref()))?;
            }
        }
        Ok(())
    }
}

impl Error for ResolveError {}

impl Problem {
    fn say(&self, f: &mut fmt::Formatter<'_>, error: &ResolveError) -> fmt::Result {
        let wanted = &error.wanted;
        match self {
            Self::Unknown {
                nearest,
                running,
                no_engine,
            } => unknown(f, error, nearest, running, no_engine.as_deref()),
            Self::Ambiguous(rows) => {
                write!(f, "several containers are called {wanted:?}, or have an id that begins so; say which by its id:")?;
                table(f, rows, true)
            }
            Self::NotRunning {
                row,
                created,
                exit_code,
            } => {
                write!(f, "the container {row} does not run: ")?;
                match exit_code {
                    _ if *created => f.write_str("it was created and never started")?,
                    Some(code) => write!(f, "it ended with status {code} (sigtrace explain {code})")?,
                    None => f.write_str("it has ended")?,
                }
                f.write_str(". Start it, or have its next start waited for with --wait")
            }
            Self::Shares { row, with, cgroup } => shares(f, row, with, cgroup.as_ref()),
            Self::Elsewhere(row, pid) => {
                write!(f, "the container {row} runs, but not where sigtrace looks: ")?;
                match pid {
                    Some(pid) => write!(f, "its engine says that its first process is {pid}, and here that is none of it")?,
                    None => f.write_str("no process here is in a cgroup with its id")?,
                }
                f.write_str(". Run sigtrace on the machine of the engine (not outside its virtual machine), in the host's PID namespace")
            }
            Self::Unreadable(row) => write!(
                f,
                "the container {row} runs, but its PID namespace cannot be read from /proc: run sigtrace as root"
            ),
        }
    }
}

fn unknown(
    f: &mut fmt::Formatter<'_>,
    ResolveError { wanted, failed, .. }: &ResolveError,
    nearest: &[String],
    running: &[Row],
    no_engine: Option<&[String]>,
) -> fmt::Result {
    write!(f, "no container is called {wanted:?}, and no id begins so")?;
    if wanted.len() < super::resolve::PREFIX && wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
        f.write_str(" (4 characters of an id are needed)")?;
    }
    if !nearest.is_empty() {
        let names: Vec<_> = nearest.iter().map(|name| printable(name)).collect();
        write!(f, "; did you mean {}?", names.join(", "))?;
    }
    if running.is_empty() {
        f.write_str("\nno container was found running")?;
    } else {
        f.write_str("\nrunning:")?;
        table(f, running, false)?;
    }
    if let Some(places) = no_engine {
        write!(
            f,
            "\nno engine could be asked for names (sockets looked for: {}); give the id, or the PID \
             namespace of one of the processes: --pidns /proc/PID/ns/pid",
            places
                .iter()
                .map(|place| printable(place))
                .collect::<Vec<_>>()
                .join(", ")
        )?;
    } else if failed.is_empty() && running.iter().any(|row| row.name.is_none()) {
        f.write_str(
            "\nthose without a name are known by id alone (crictl ps, nerdctl ps show both)",
        )?;
    }
    Ok(())
}

fn shares(
    f: &mut fmt::Formatter<'_>,
    row: &Row,
    with: &Shared,
    cgroup: Option<&String>,
) -> fmt::Result {
    let whose = match with {
        Shared::Host => "the host's".to_owned(),
        Shared::Container(other) => format!("that of {}", printable(other)),
    };
    write!(f, "the container {row} has no PID namespace of its own, it shares {whose}, and cannot be told by its cgroup either: ")?;
    match cgroup {
        Some(path) => write!(
            f,
            "{} is of cgroup v1, without the pids controller",
            printable(path)
        ),
        None => f.write_str("no process is in one with its id"),
    }?;
    f.write_str(". Trace its processes by their ids: -p PID")?;
    if let Shared::Container(other) = with {
        write!(f, "; or trace {}, which shows both", printable(other))?;
    }
    Ok(())
}

/// An error with its causes, made printable: they hold others' words.
pub fn chain(error: &dyn Error) -> String {
    let mut text = printable(&error.to_string());
    let mut next = error.source();
    while let Some(cause) = next {
        let words = printable(&cause.to_string());
        // Many say their cause's words themselves.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}
