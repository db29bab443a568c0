//! The places in the kernel that sigtrace looks at, the ways to attach there, and
//! what each place is worth.

/// A place in the kernel that sigtrace looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Tracepoint: a signal was sent.
    SignalGenerate,
    /// Tracepoint: a thread acts on a signal.
    SignalDeliver,
    /// Tracepoint: a process was made.
    ProcessFork,
    /// Tracepoint: a process runs another program.
    ProcessExec,
    /// Tracepoint: a thread exits.
    ProcessExit,
    /// Tracepoint: a task is freed, some time after it was reaped.
    ProcessFree,
    /// Function: an exit begins.
    DoExit,
    /// Function: a whole process's exit begins.
    DoGroupExit,
    /// Function: a dying PID 1 kills its namespace.
    ZapPidNsProcesses,
    /// Function: a dead process is reaped.
    ReleaseTask,
    /// Function, at its return: a signal is taken from a queue.
    DequeueSignal,
    /// Function: the OOM killer has chosen a process.
    OomKillProcess,
    /// Function: a debugger wants something of a thread that it holds.
    PtraceRequest,
}

impl Hook {
    /// All of them, in the order in which they are attached: what ends
    /// processes before what begins them, so that no beginning is seen
    /// without its end.
    pub const ALL: [Self; 13] = [
        Self::ReleaseTask,
        Self::ProcessFree,
        Self::ProcessExit,
        Self::DoExit,
        Self::DoGroupExit,
        Self::ZapPidNsProcesses,
        Self::DequeueSignal,
        Self::SignalDeliver,
        Self::OomKillProcess,
        Self::PtraceRequest,
        Self::SignalGenerate,
        Self::ProcessExec,
        Self::ProcessFork,
    ];

    /// The kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignalGenerate => "signal_generate",
            Self::SignalDeliver => "signal_deliver",
            Self::ProcessFork => "sched_process_fork",
            Self::ProcessExec => "sched_process_exec",
            Self::ProcessExit => "sched_process_exit",
            Self::ProcessFree => "sched_process_free",
            Self::DoExit => "do_exit",
            Self::DoGroupExit => "do_group_exit",
            Self::ZapPidNsProcesses => "zap_pid_ns_processes",
            Self::ReleaseTask => "release_task",
            Self::DequeueSignal => "dequeue_signal",
            Self::OomKillProcess => "oom_kill_process",
            Self::PtraceRequest => "ptrace_request",
        }
    }

    /// The name of the type by which BTF-typed programs are attached there: the
    /// function, or the tracepoint's typedef.
    pub fn type_name(self) -> String {
        if self.is_tracepoint() {
            format!("btf_trace_{}", self.name())
        } else {
            self.name().to_owned()
        }
    }

    /// A tracepoint, not a function.
    pub fn is_tracepoint(self) -> bool {
        matches!(
            self,
            Self::SignalGenerate
                | Self::SignalDeliver
                | Self::ProcessFork
                | Self::ProcessExec
                | Self::ProcessExit
                | Self::ProcessFree
        )
    }

    /// Whether the kernel can preempt a program there; the others are called
    /// under a lock (siglock; `oom_lock`, which lets one in at a time), or in a
    /// softirq.
    pub(super) fn is_preemptible(self) -> bool {
        !matches!(
            self,
            Self::SignalGenerate
                | Self::SignalDeliver
                | Self::DequeueSignal
                | Self::ProcessFree
                | Self::OomKillProcess
        )
    }

    /// Without it the main job cannot be done.
    pub fn is_needed(self) -> bool {
        matches!(self, Self::SignalGenerate | Self::ProcessExit)
    }

    /// Whether its absence is to be said of a whole trace. What the others show is
    /// told from the kernel stack just as well, or the event that it concerns says
    /// itself that it is inferred.
    pub fn is_missed(self, symbols: bool) -> bool {
        match self {
            Self::SignalDeliver | Self::ProcessFork | Self::ProcessExec => true,
            Self::DoExit | Self::DoGroupExit | Self::ZapPidNsProcesses => !symbols,
            _ => false,
        }
    }

    /// What is lost without it, where kernel functions have names or have none.
    pub fn lost_without(self, symbols: bool) -> &'static str {
        match self {
            Self::SignalGenerate => "no signal is seen at all",
            Self::SignalDeliver => "`handled` cannot be told from `pending`",
            Self::ProcessFork => "new processes are known only from their first signal or exit",
            Self::ProcessExec => "a process keeps the name it had before exec",
            Self::ProcessExit => "no death is seen at all",
            Self::ProcessFree => "nothing, while release_task is hooked",
            Self::DoExit => "the moment an exit begins is known only from sched_process_exit",
            Self::DoGroupExit if symbols => {
                "an exit_group is told from a fatal signal by flags and stack"
            }
            Self::DoGroupExit => "an exit_group is told from a fatal signal by flags alone",
            Self::ZapPidNsProcesses if symbols => {
                "the end of a PID namespace is proven by the kernel stack of its SIGKILLs"
            }
            Self::ZapPidNsProcesses => {
                "the end of a PID namespace is told from the siginfo of its SIGKILLs and from \
                 whose exit they come with"
            }
            Self::ReleaseTask => "the time of reaping is inferred from sched_process_free",
            Self::DequeueSignal => "`accepted` (sigwait, signalfd) is inferred, not proven",
            Self::OomKillProcess => {
                "whose memory limit was reached is told from what the control groups use"
            }
            Self::PtraceRequest => {
                "what a debugger did with a signal is inferred from what came of it"
            }
        }
    }
}

/// How a hook is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// tp_btf, fentry or fexit.
    Btf,
    /// Raw tracepoint.
    Raw,
    /// Ordinary tracepoint, by perf_event_open(2).
    Tracepoint,
    /// kprobe or kretprobe.
    Kprobe,
}

impl Level {
    /// The kernel's word for that program at that hook.
    pub fn name(self, hook: Hook) -> &'static str {
        match (self, hook) {
            (Self::Btf, Hook::DequeueSignal) => "fexit",
            (Self::Btf, hook) if hook.is_tracepoint() => "tp_btf",
            (Self::Btf, _) => "fentry",
            (Self::Raw, _) => "raw_tracepoint",
            (Self::Tracepoint, _) => "tracepoint",
            (Self::Kprobe, Hook::DequeueSignal) => "kretprobe",
            (Self::Kprobe, _) => "kprobe",
        }
    }

    /// Names of its programs in the object file: one, or three copies where
    /// the kernel can preempt a program (`emit::Turn` in tracer-ebpf).
    pub fn programs(self, hook: Hook, preemptible: bool) -> Vec<String> {
        let prefix = match (self, hook) {
            (Self::Btf, hook) if hook.is_tracepoint() => "btf",
            (Self::Raw, _) => "raw",
            (Self::Tracepoint, _) => "tp",
            (level, hook) => level.name(hook),
        };
        let runs_preempted = matches!(self, Self::Btf | Self::Raw);
        let copies: &[&str] = if preemptible && hook.is_preemptible() && runs_preempted {
            &["1", "2", "3"]
        } else {
            &[""]
        };
        let name = hook.name();
        copies
            .iter()
            .map(|copy| format!("{prefix}{copy}_{name}"))
            .collect()
    }
}
