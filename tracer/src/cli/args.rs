//! The one definition of the command line: parsing, `--help` and completions
//! come from it, and a test walks it. What a flag's value looks like is parsed
//! in the file named after it ([`super::signals`], [`super::size`], …).

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::{
    completions::CompletionsArgs,
    doctor::DoctorArgs,
    duration,
    explain::ExplainArgs,
    scope::PidNsArg,
    show::Show,
    signals::{self, SignalNumber},
    size::BufferSize,
    symbolize::SymbolizeArgs,
};
use crate::{
    explain,
    output::{Clock, Context, Scope},
};

/// Says why a process or container was killed, and why a signal did nothing
///
/// Without a subcommand it traces live: every signal with who sent it, what
/// became of it and why, every death with its cause, the proof and the fix.
/// Needs root, or the capabilities that `sigtrace doctor` names.
///
/// What to trace adds up: whatever one of --container, --pidns, --cgroup, --pid,
/// --from-pid and --to-pid names is traced, and everything if none is given.
/// --signal and --exclude-signal leave the other signals out of that.
#[derive(Parser, Clone, Debug)]
#[command(name = "sigtrace", version, after_long_help = EXAMPLES, args_conflicts_with_subcommands = true,
    subcommand_help_heading = "Other commands", max_term_width = 100,
    group = ArgGroup::new("namespaces").args(["containers", "pidns"]).multiple(true))]
pub struct Args {
    /// Another command than the live trace.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The live trace.
    #[command(flatten)]
    pub trace: TraceArgs,
}

/// The other commands.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// What an id, a signal, an exit code or a function of --path means: init-no-handler, SIGTERM, 137
    Explain(ExplainArgs),
    /// What this kernel allows, hook by hook, and what is lost otherwise
    Doctor(DoctorArgs),
    /// Completions for a shell, on standard output
    Completions(CompletionsArgs),
    /// The function at a place of the program at standard input
    #[command(hide = true)]
    Symbolize(SymbolizeArgs),
}

/// Flags of the live trace.
#[derive(ClapArgs, Clone, Debug, Default)]
pub struct TraceArgs {
    /// Trace this container: its name (Docker and Podman), its id, or 4 or more
    /// of the id's first characters. Repeatable. Both ends count: signals into it
    /// and out of it. One that shares its PID namespace is traced by its cgroup
    #[arg(
        short,
        long = "container",
        value_name = "NAME|ID",
        help_heading = "What to trace"
    )]
    pub containers: Vec<String>,
    /// Trace this PID namespace and those inside it: its inode, or a path
    /// (/proc/PID/ns/pid). Repeatable
    #[arg(long, value_name = "INODE|PATH", help_heading = "What to trace")]
    pub pidns: Vec<PidNsArg>,
    /// Trace processes of this cgroup and those below it (cgroup v2, or the pids
    /// hierarchy of v1), as senders and as targets: a folder under /sys/fs/cgroup, or the path that
    /// /proc/PID/cgroup has. Repeatable
    #[arg(long = "cgroup", value_name = "PATH", help_heading = "What to trace")]
    pub cgroups: Vec<PathBuf>,
    /// Trace signals sent by or to this process (its pid on the host). Repeatable
    #[arg(short, long = "pid", value_name = "PID", help_heading = "What to trace",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,
    /// Trace signals sent by this process. Repeatable
    #[arg(long = "from-pid", value_name = "PID", help_heading = "What to trace",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub from_pids: Vec<u32>,
    /// Trace signals sent to this process. Repeatable
    #[arg(long = "to-pid", value_name = "PID", help_heading = "What to trace",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub to_pids: Vec<u32>,
    /// Only these signals: names with or without SIG, numbers, RTMIN+n.
    /// Repeatable, or a list with commas. Explanations know only what is traced:
    /// without SIGTERM nobody can say that it came
    #[arg(
        short,
        long = "signal",
        value_name = "SIGNAL",
        value_delimiter = ',',
        help_heading = "What to trace"
    )]
    pub signals: Vec<SignalNumber>,
    /// Not these signals
    #[arg(
        long = "exclude-signal",
        value_name = "SIGNAL",
        value_delimiter = ',',
        help_heading = "What to trace"
    )]
    pub excluded_signals: Vec<SignalNumber>,

    /// Show only what went wrong: signals that were dropped, rejected, refused
    /// or stay blocked, processes that were killed by force or by a fault
    #[arg(short = 'x', long = "failed", help_heading = "Output")]
    pub failed: bool,
    /// Show the way of each signal through the kernel: every function with what it
    /// decides, and the one where its fate was decided. Outermost first; a + is
    /// before what is not on the stack. (JSON always has the names)
    #[arg(long, help_heading = "Output")]
    pub path: bool,
    /// Show routine signals too (SIGCHLD, SIGURG, SIGWINCH, timers …), and in
    /// text forks, execs and reapings; without it they are counted
    #[arg(long, help_heading = "Output")]
    pub all_signals: bool,
    /// Show signals by number in text
    #[arg(long, help_heading = "Output")]
    pub numeric: bool,
    /// Show times in UTC in text (JSON always does)
    #[arg(long, help_heading = "Output")]
    pub utc: bool,
    /// Format and color.
    #[command(flatten)]
    pub show: Show,

    /// Wait for a container that does not run yet (with --container). What happens
    /// in every container that starts is kept until its name is known: nothing of
    /// the one that is waited for is missed, however short it runs
    #[arg(long, help_heading = "When to begin and end", requires = "containers")]
    pub wait: bool,
    /// End when every container and PID namespace that is traced has ended. Without
    /// it a container's next start is waited for, and traced too
    #[arg(long, help_heading = "When to begin and end", requires = "namespaces")]
    pub once: bool,
    /// End after this time: seconds, or with a unit (500ms, 30s, 5m, 2h)
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse,
        help_heading = "When to begin and end")]
    pub duration: Option<Duration>,
    /// Size of the buffer between kernel and sigtrace in bytes, or with K, M or G:
    /// 4K to 1G, rounded up to a power of two. Larger: fewer losses in a storm. It counts
    /// twice in what tools call this process's memory, being mapped twice
    #[arg(
        long,
        value_name = "SIZE",
        allow_negative_numbers = true,
        default_value = "4M",
        help_heading = "Tuning"
    )]
    pub buffer: Option<BufferSize>,

    /// Report signals that the kernel refuses (no permission, no such process) even
    /// where that makes system calls slower. By default they are reported where it
    /// costs other system calls nothing, which takes fexit. Without it kill() and its
    /// kin take about 1 µs longer (kprobes) or, where there are no kprobes either, every
    /// system call of the machine about 0.1 µs (sys_exit); then forks that the kernel
    /// rejects are reported, too. sigtrace doctor says what this kernel has;
    /// --refused=never looks for no refused signals
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "auto",
        default_missing_value = "always",
        help_heading = "Tuning"
    )]
    pub refused: Refused,

    /// Attach every hook at this level only.
    #[arg(long, value_enum, default_value = "auto", hide = true)]
    pub hooks: Hooks,
    /// What to call the namespaces of --pidns, in the same order, with a note:
    /// NAME or NAME=NOTE.
    #[arg(
        long = "label",
        value_name = "NAME[=NOTE]",
        requires = "pidns",
        hide = true
    )]
    pub labels: Vec<String>,
}

impl TraceArgs {
    /// The signals to report, bit n-1 for signal n.
    pub fn signal_mask(&self) -> u64 {
        signals::mask(&self.signals, &self.excluded_signals)
    }

    /// What the writers need to know.
    pub fn context(&self, clock: Clock, scopes: Vec<Scope>) -> Context {
        Context {
            clock,
            utc: self.utc,
            numeric: self.numeric,
            color: self.show.use_color(),
            width: self.show.width(),
            failed_only: self.failed,
            all_signals: self.all_signals,
            named_signals: !self.signals.is_empty(),
            path: self.path,
            many: self.containers.len() > 1,
            scopes,
        }
    }

    /// The filters besides namespaces, in words for the first line. `everybody`:
    /// whom they name makes no difference, because everybody is traced.
    pub fn filters(&self, everybody: bool) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |what: &str, values: Vec<String>| {
            if !values.is_empty() {
                words.push(format!("{what} {}", values.join(" ")));
            }
        };
        let named = |all: Vec<String>| if everybody { Vec::new() } else { all };
        let pids = |pids: &[u32]| named(pids.iter().map(ToString::to_string).collect());
        let names = |numbers: &[SignalNumber]| {
            numbers
                .iter()
                .map(|n| explain::signals::name(n.0).into_owned())
                .collect()
        };
        add(
            "cgroup",
            named(
                self.cgroups
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect(),
            ),
        );
        add("process", pids(&self.pids));
        add("sender", pids(&self.from_pids));
        add("target", pids(&self.to_pids));
        add("only", names(&self.signals));
        add("without", names(&self.excluded_signals));
        words
    }

    /// Size of the ring buffer in bytes: a power of two.
    pub fn buffer_bytes(&self) -> u32 {
        self.buffer.map_or(4 << 20, |size| size.bytes)
    }
}

/// Whether to look for refused signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Refused {
    /// Where that costs other system calls nothing.
    #[default]
    Auto,
    /// Even where it makes them slower.
    Always,
    /// Nowhere.
    Never,
}

/// At which level to attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Hooks {
    /// The best that this kernel has, hook by hook.
    #[default]
    Auto,
    /// BTF programs: tp_btf, fentry, fexit.
    Btf,
    /// Raw tracepoints.
    Raw,
    /// Kprobes where there is no tracepoint.
    Kprobe,
}

const EXAMPLES: &str = "\
Examples:
  It is killed now and then (exit code 137) and nobody knows by whom. Wait for it:
    sigtrace --container fwd_sig -x
  The same without a container engine: name the PID namespace of any process in it:
    sigtrace --pidns /proc/16301/ns/pid
  It dies as soon as it starts. Wait for its start, and miss nothing of it:
    sigtrace --container fwd_sig --wait
  I stop it and it takes ten seconds. Trace until it has ended, then read the verdict:
    sigtrace --container fwd_sig --once
  I send a signal and nothing happens. What does the kernel do with it?
    sigtrace --to-pid 16301 --signal TERM,INT,HUP --path
  Who keeps killing things on this host? For five minutes, for a script:
    sigtrace --signal KILL --duration 5m -o json
  What does it mean that it ended with 137, or that a signal was dropped?
    sigtrace explain 137
    sigtrace explain init-no-handler
  Does it work here at all?
    sigtrace doctor

Exit codes: 0 ok, 1 failed, 2 usage, 3 cannot trace here, 4 cannot tell or nothing found.
";
