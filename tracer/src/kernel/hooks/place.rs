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
    /// Function, at its return: whether one process may signal another.
    CheckKillPermission,
    /// Function, at its return: kill(2).
    SysKill,
    /// Function, at its return: tkill(2).
    SysTkill,
    /// Function, at its return: tgkill(2).
    SysTgkill,
    /// Function, at its return: rt_sigqueueinfo(2).
    SysRtSigqueueinfo,
    /// Function, at its return: rt_tgsigqueueinfo(2).
    SysRtTgsigqueueinfo,
    /// Function, at its return: pidfd_send_signal(2).
    SysPidfdSendSignal,
    /// Function, at its return: a process or a thread is made.
    CopyProcess,
    /// Function, at its return: that gets a pid.
    AllocPid,
    /// Function, at its return: whether a control group may have one more.
    PidsCanFork,
    /// Tracepoint: any system call returns. Where the functions of those that are refused
    /// cannot be hooked.
    SysExit,
}

/// How this architecture calls the function of a system call.
macro_rules! system_call {
    ($name:literal) => {
        if cfg!(target_arch = "aarch64") {
            concat!("__arm64_sys_", $name)
        } else {
            concat!("__x64_sys_", $name)
        }
    };
}

impl Hook {
    /// All of them, in the order in which they are attached: what ends
    /// processes before what begins them, so that no beginning is seen
    /// without its end.
    pub const ALL: [Self; 24] = [
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
        Self::CheckKillPermission,
        Self::SysKill,
        Self::SysTkill,
        Self::SysTgkill,
        Self::SysRtSigqueueinfo,
        Self::SysRtTgsigqueueinfo,
        Self::SysPidfdSendSignal,
        Self::PidsCanFork,
        Self::AllocPid,
        Self::CopyProcess,
        Self::SysExit,
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
            Self::CheckKillPermission => "check_kill_permission",
            Self::SysKill => system_call!("kill"),
            Self::SysTkill => system_call!("tkill"),
            Self::SysTgkill => system_call!("tgkill"),
            Self::SysRtSigqueueinfo => system_call!("rt_sigqueueinfo"),
            Self::SysRtTgsigqueueinfo => system_call!("rt_tgsigqueueinfo"),
            Self::SysPidfdSendSignal => system_call!("pidfd_send_signal"),
            Self::CopyProcess => "copy_process",
            Self::AllocPid => "alloc_pid",
            Self::PidsCanFork => "pids_can_fork",
            Self::SysExit => "sys_exit",
            Self::PtraceRequest => "ptrace_request",
        }
    }

    /// The function of a system call that sends signals.
    pub fn is_system_call(self) -> bool {
        matches!(
            self,
            Self::SysKill
                | Self::SysTkill
                | Self::SysTgkill
                | Self::SysRtSigqueueinfo
                | Self::SysRtTgsigqueueinfo
                | Self::SysPidfdSendSignal
        )
    }

    /// Serves refused signals alone. Such a hook costs others nothing only where a
    /// function's return can be hooked by fexit; elsewhere it has to be asked for.
    pub fn is_of_refusals(self) -> bool {
        self.is_system_call() || matches!(self, Self::CheckKillPermission | Self::SysExit)
    }

    /// Serves rejected forks alone, which none but those pay for who fork.
    pub fn is_of_forks(self) -> bool {
        matches!(self, Self::CopyProcess | Self::AllocPid | Self::PidsCanFork)
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
                | Self::SysExit
        )
    }

    /// Whether the kernel can preempt a program there; the others are called
    /// under a lock (siglock; `oom_lock`, which lets one in at a time), or in a
    /// softirq. Programs for refused signals and rejected
    /// forks can be, and have no copies: what they
    /// cost every kill(2) would be three times as much, for calls that are missed
    /// only while another one is preempted in the few instructions before it is
    /// seen to have gone well. They are counted (`Ring::losses`).
    pub(super) fn is_preemptible(self) -> bool {
        !self.is_of_refusals()
            && !self.is_of_forks()
            && !matches!(
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
            Self::CheckKillPermission => {
                "who may not be signalled is known only as far as its pid tells, and what some of \
                 many refused not at all"
            }
            Self::SysKill => "signals that kill(2) refuses are not reported",
            Self::SysTkill => "signals that tkill(2) refuses are not reported",
            Self::SysTgkill => "signals that tgkill(2) refuses are not reported",
            Self::SysRtSigqueueinfo => "signals that rt_sigqueueinfo(2) refuses are not reported",
            Self::SysRtTgsigqueueinfo => {
                "signals that rt_tgsigqueueinfo(2) refuses are not reported"
            }
            Self::SysPidfdSendSignal => {
                "signals that pidfd_send_signal(2) refuses are not reported"
            }
            Self::CopyProcess => "forks that the kernel rejects are not reported",
            Self::AllocPid => {
                "whether a fork failed for want of a pid is told from the other numbers"
            }
            Self::PidsCanFork => {
                "whether a fork failed at a limit of its control groups is told from the numbers \
                 just after it"
            }
            Self::SysExit => "nothing, where the functions of the system calls are hooked",
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
            (Self::Btf, hook) if hook.is_of_refusals() || hook.is_of_forks() => "fexit",
            (Self::Btf, hook) if hook.is_tracepoint() => "tp_btf",
            (Self::Btf, _) => "fentry",
            (Self::Raw, _) => "raw_tracepoint",
            (Self::Tracepoint, _) => "tracepoint",
            (Self::Kprobe, Hook::DequeueSignal) => "kretprobe",
            (Self::Kprobe, Hook::CopyProcess) => "kretprobe",
            (Self::Kprobe, hook) if hook.is_of_refusals() => "kretprobe",
            (Self::Kprobe, _) => "kprobe",
        }
    }

    /// Names of its programs in the object file: one, or three copies where
    /// the kernel can preempt a program (`emit::Turn` in tracer-ebpf).
    pub fn programs(self, hook: Hook, preemptible: bool) -> Vec<String> {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        match (self, hook) {
            (Self::Btf, hook) if hook.is_system_call() => {
                let name = hook.name();
                let call = name.find("sys_").map_or(name, |at| &name[at..]);
                return vec![format!("fexit_{call}")];
            }
            (Self::Kprobe, hook) if hook.is_system_call() => {
                return names(&["kprobe_sys_refusing", "kretprobe_sys_refusing"]);
            }
            (Self::Kprobe, Hook::CopyProcess) => {
                return names(&["kprobe_copy_process", "kretprobe_copy_process"]);
            }
            (Self::Kprobe, Hook::CheckKillPermission) => {
                return names(&[
                    "kprobe_check_kill_permission",
                    "kretprobe_check_kill_permission",
                ]);
            }
            _ => {}
        }
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
