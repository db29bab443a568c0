//! Writers of reports, over any `std::io::Write`: [`text`] for people, [`json`]
//! for machines. They format what [`explain`](crate::explain) decided and
//! decide nothing about signals themselves; what is left out unless asked for
//! (routine signals, `-x`) is chosen in `select`, for both alike.
//!
//! A writer gets [`Tracing`] once every hook is in place, then the reports in
//! order, now and then a [`tick`](Output::tick), and at the end the summary.

use std::io;

use crate::{
    event::{BootTime, PidNs},
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
    /// Routine signals too.
    pub all_signals: bool,
    /// Text: with the kernel path. (JSON always has it.)
    pub path: bool,
    /// The namespaces that are traced; empty: not limited to any.
    pub scopes: Vec<Scope>,
}

impl Context {
    /// The traced namespace that a task of these namespaces belongs to.
    pub(crate) fn scope_of(&self, namespaces: &[PidNs]) -> Option<&Scope> {
        self.scopes
            .iter()
            .find(|scope| namespaces.contains(&scope.pidns))
    }
}

/// A PID namespace that is traced, and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Its inode.
    pub pidns: PidNs,
    /// What people call it: `fwd_sig`.
    pub label: Option<String>,
    /// Said beside it: `made by the demo`.
    pub note: Option<String>,
    /// Name of its PID 1.
    pub pid1: Option<String>,
    /// The container it belongs to, where one is known.
    pub container: Option<ContainerName>,
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
