//! Writers of reports, over any `std::io::Write`: [`text`] for people, [`json`]
//! for machines. They format what [`explain`](crate::explain) decided and
//! decide nothing about signals themselves; what is left out unless asked for
//! (routine signals, `-x`) is chosen in `select`, for both alike.
//!
//! A writer gets [`Tracing`] once every hook is in place, then the reports in
//! order, now and then a [`tick`](Output::tick), and at the end the summary.

use std::io;

use crate::{
    event::{BootTime, CgroupId, Home, PidNs, Task},
    explain::report::{Report, Summary},
};

mod blocks;
mod clock;
mod codes;
mod crowd;
mod diff;
mod escape;
mod fill;
mod frame;
pub mod json;
mod lines;
mod select;
pub mod shapes;
mod shortfall;
pub mod spool;
mod steps;
pub mod text;
mod timeline;
mod waiting;
mod wording;
pub(crate) mod wrap;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use frame::sharing;

/// What the writers need besides the reports.
#[derive(Clone, Debug)]
pub struct Context {
    /// From the kernel's time to the wall clock.
    pub clock: Clock,
    /// Text: times in UTC, not in the local time zone. (JSON always is.)
    pub utc: bool,
    /// Text: signals by number.
    pub numeric: bool,
    /// Text: with colors.
    pub color: bool,
    /// Text: columns of the terminal; `None`: piped, one line per event.
    pub width: Option<usize>,
    /// Only what went wrong (`-x`).
    pub failed_only: bool,
    /// Routine signals too, and in text forks and the like.
    pub all_signals: bool,
    /// Signals were asked for by name: routine ones among them are shown too.
    pub named_signals: bool,
    /// With the kernel path, explained. (JSON always has the names.)
    pub path: bool,
    /// More than one container is traced or waited for.
    pub many: bool,
    /// The namespaces that are traced; empty: not limited to any.
    pub scopes: Vec<Scope>,
}

impl Context {
    /// The traced namespace that a task is in. The kernel gives an inode again, so
    /// when the task started tells which one it is.
    pub(crate) fn scope_of(&self, task: &Task) -> Option<&Scope> {
        let holds = |scope: &&Scope| task.is_in(scope.home()) && scope.born_ns <= task.key.start_ns;
        // Of equal ones the first that was asked for. A container in another one's
        // namespace is told by its cgroup.
        let all = self.scopes.iter().rev().filter(holds);
        all.max_by_key(|scope| (scope.shares.is_some(), scope.born_ns))
    }

    /// Whether more than one thing is traced, so that each is to be named.
    pub(crate) fn several(&self) -> bool {
        let mut names = self.scopes.iter().map(wording::scope);
        let first = names.next();
        self.many || names.any(|name| Some(&name) != first.as_ref())
    }

    /// A further namespace.
    pub(crate) fn add(&mut self, scope: &Scope) {
        self.scopes.push(scope.clone());
        if self.scopes.len() > SCOPES {
            // The oldest of those that came later.
            if let Some(old) = self.scopes.iter().position(|scope| scope.born_ns > 0) {
                self.scopes.remove(old);
            }
        }
    }
}

/// So many namespaces have a name at a time, if that many were not asked for.
const SCOPES: usize = 1024;

/// A PID namespace that is traced, and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Its inode.
    pub pidns: PidNs,
    /// When its first process started, nanoseconds since boot; 0: before the trace.
    pub born_ns: u64,
    /// What people call it: `fwd_sig`.
    pub label: Option<String>,
    /// Said beside it: `made by the demo`.
    pub note: Option<String>,
    /// Name of its PID 1.
    pub pid1: Option<String>,
    /// The container it belongs to, where one is known.
    pub container: Option<ContainerName>,
    /// The container is not alone in it.
    pub shares: Option<Shares>,
}

impl Scope {
    /// What holds all of it.
    pub fn home(&self) -> Home {
        match &self.shares {
            Some(shares) => Home::Cgroup(shares.cgroup),
            None => Home::PidNs(self.pidns),
        }
    }
}

/// A PID namespace that a container shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// The container's cgroup, which it is told by.
    pub cgroup: CgroupId,
    /// The path of that, as `/proc/PID/cgroup` has it.
    pub path: String,
    /// The container that PID 1 there belongs to; `None`: it is the host's.
    pub owner: Option<String>,
    /// Name of the container's own first process.
    pub first: Option<String>,
}

/// A container as events name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerName {
    /// Name; `None` where only the id is known.
    pub name: Option<String>,
    /// Full id.
    pub id: String,
    /// `docker`, `podman`, `containerd`, `cri-o`; `None` where the cgroup's
    /// name does not tell.
    pub engine: Option<String>,
}

/// Everything is attached: what is traced, and with what.
#[derive(Clone, Debug, Default)]
pub struct Tracing {
    /// Since when nothing is missed.
    pub since: BootTime,
    /// Release of the running kernel.
    pub kernel: String,
    /// Version of sigtrace.
    pub version: String,
    /// Filters besides namespaces, in words: `pid 4242 at either end`.
    pub filters: Vec<String>,
    /// Each hook with its level: (`signal_generate`, `tp_btf`). Hooks that
    /// could not be had are left out here and named in `notes`.
    pub hooks: Vec<(String, String)>,
    /// Containers that are waited for.
    pub waiting: Vec<String>,
    /// What is lost on this kernel, a sentence each.
    pub notes: Vec<String>,
}

/// Why a trace is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every traced namespace has ended (`--once`).
    Ended,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// `--duration` is over.
    TimeUp,
    /// It cannot go on.
    Failed,
}

/// A writer of reports.
pub trait Output {
    /// Everything is attached; comes first.
    fn tracing(&mut self, tracing: &Tracing) -> io::Result<()>;
    /// A container that was waited for has started: what follows names it.
    fn started(&mut self, scope: &Scope, at: BootTime) -> io::Result<()>;
    /// A container has ended; `waits`: its next start is waited for.
    fn ended(&mut self, scope: &Scope, at: BootTime, waits: bool) -> io::Result<()>;
    /// One report.
    fn report(&mut self, report: &Report) -> io::Result<()>;
    /// Time goes by. Text holds back the many equal deaths of one moment and
    /// says them in one line; call this a few times a second.
    fn tick(&mut self, now: BootTime) -> io::Result<()>;
    /// The end; comes last.
    fn summary(&mut self, summary: &Summary, ending: Ending, now: BootTime) -> io::Result<()>;
    /// Hands everything on to the system; at the latest when the reader of the
    /// ring buffer goes idle, or nobody sees it.
    fn flush(&mut self) -> io::Result<()>;
}

/// Which writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: a line per event, with why, chain and fix where something
    /// went wrong.
    #[default]
    Text,
    /// For programs: an object per line, described in docs/schema.json.
    Json,
}

/// The writer for `format` over `out`.
pub fn writer<'a>(
    format: Format,
    context: Context,
    out: impl io::Write + 'a,
) -> Box<dyn Output + 'a> {
    match format {
        Format::Text => Box::new(text::Text::new(context, out)),
        Format::Json => Box::new(json::Json::new(context, out)),
    }
}
