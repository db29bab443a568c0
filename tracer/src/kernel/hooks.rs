//! Which hook is attached how: facts in, choice out. Pure, so that every
//! kernel's choice is tested without that kernel.
//!
//! Each hook degrades alone: BTF-typed program, raw tracepoint, kprobe,
//! nothing. What is lost then stands here, for `doctor` and for the first line
//! of a trace.

use std::fmt;

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
}

impl Hook {
    /// All of them, in the order in which they are attached: what ends
    /// processes before what begins them, so that no beginning is seen
    /// without its end.
    pub const ALL: [Self; 11] = [
        Self::ReleaseTask,
        Self::ProcessFree,
        Self::ProcessExit,
        Self::DoExit,
        Self::DoGroupExit,
        Self::ZapPidNsProcesses,
        Self::DequeueSignal,
        Self::SignalDeliver,
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
    /// under a lock (siglock), or in a softirq.
    fn is_preemptible(self) -> bool {
        !matches!(
            self,
            Self::SignalGenerate | Self::SignalDeliver | Self::DequeueSignal | Self::ProcessFree
        )
    }

    /// Without it the main job cannot be done.
    pub fn is_needed(self) -> bool {
        matches!(self, Self::SignalGenerate | Self::ProcessExit)
    }

    /// What is lost without it.
    pub fn lost_without(self) -> &'static str {
        match self {
            Self::SignalGenerate => "no signal is seen at all",
            Self::SignalDeliver => "`handled` cannot be told from `pending`",
            Self::ProcessFork => "new processes are known only from their first signal or exit",
            Self::ProcessExec => "a process keeps the name it had before exec",
            Self::ProcessExit => "no death is seen at all",
            Self::ProcessFree => "nothing, while release_task is hooked",
            Self::DoExit => "the moment an exit begins is known only from sched_process_exit",
            Self::DoGroupExit => "an exit_group is told from a fatal signal by flags and stack",
            Self::ZapPidNsProcesses => {
                "the end of a PID namespace is proven by the kernel stack of its SIGKILLs"
            }
            Self::ReleaseTask => "the time of reaping is inferred from sched_process_free",
            Self::DequeueSignal => "`accepted` (sigwait, signalfd) is inferred, not proven",
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

/// `--hooks`: the best level that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Forced {
    /// Whatever is best.
    #[default]
    Auto,
    /// BTF-typed programs or nothing.
    Btf,
    /// Raw tracepoints only.
    Raw,
    /// Raw tracepoints and kprobes.
    Kprobe,
}

impl fmt::Display for Forced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Btf => "btf",
            Self::Raw => "raw",
            Self::Kprobe => "kprobe",
        })
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It works.
    Yes,
    /// It does not, and why.
    No(String),
}

/// What the choice needs to know of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// tp_btf programs load.
    pub tp_btf: Support,
    /// fentry and fexit programs load and attach.
    pub fentry: Support,
    /// kprobes exist and may be made.
    pub kprobe: Support,
    /// Functions of [`Hook`] that the kernel's BTF names, with the number of
    /// their arguments.
    pub functions: Vec<(Hook, u32)>,
    /// Programs at tracepoints can be preempted by tasks that come to the
    /// same one (Linux 7).
    pub preempts_tracepoints: bool,
    /// So can those at functions.
    pub preempts_functions: bool,
    /// What the kernel turned down when it was tried, and why.
    pub refused: Vec<(Hook, Level, String)>,
}

/// How one hook will be attached, or why it will not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub hook: Hook,
    /// How; `None`: not at all.
    pub level: Option<Level>,
    /// Why not better than that, if it could be better.
    pub because: Option<String>,
    /// Names of the programs, for [`level`](Self::level).
    pub programs: Vec<String>,
}

/// Chooses for every hook.
pub fn choose(facts: &Facts, forced: Forced) -> Vec<Choice> {
    let choices = Hook::ALL.map(|hook| choose_one(facts, forced, hook));
    // What sched_process_free tells is told better and earlier by release_task.
    let sees_release = choices
        .iter()
        .any(|c| c.hook == Hook::ReleaseTask && c.level.is_some());
    choices
        .into_iter()
        .map(|choice| match choice.hook {
            Hook::ProcessFree if sees_release => Choice {
                level: None,
                programs: Vec::new(),
                because: Some("not needed beside release_task".into()),
                ..choice
            },
            _ => choice,
        })
        .collect()
}

fn choose_one(facts: &Facts, forced: Forced, hook: Hook) -> Choice {
    let mut because = None;
    let mut level = None;
    for candidate in candidates(facts, hook) {
        match refused(facts, forced, hook, candidate) {
            None => {
                level = Some(candidate);
                break;
            }
            Some(why) => because = because.or(Some(why)),
        }
    }
    let preemptible = preempts(facts, hook);
    let programs = level.map(|level: Level| level.programs(hook, preemptible));
    Choice {
        hook,
        level,
        because,
        programs: programs.unwrap_or_default(),
    }
}

fn preempts(facts: &Facts, hook: Hook) -> bool {
    hook.is_preemptible()
        && if hook.is_tracepoint() {
            facts.preempts_tracepoints
        } else {
            facts.preempts_functions
        }
}

/// Best first. While a program is preempted, other tasks' events pass it by;
/// so where that can happen, those come first that run with preemption off.
fn candidates(facts: &Facts, hook: Hook) -> Vec<Level> {
    let preempts = preempts(facts, hook);
    match hook {
        // Has no BTF-typed twin: it is itself the fallback of release_task.
        Hook::ProcessFree => vec![Level::Raw],
        Hook::ProcessExit if preempts => vec![Level::Tracepoint, Level::Btf, Level::Raw],
        hook if hook.is_tracepoint() => vec![Level::Btf, Level::Raw],
        _ if preempts => vec![Level::Kprobe, Level::Btf],
        _ => vec![Level::Btf, Level::Kprobe],
    }
}

fn refused(facts: &Facts, forced: Forced, hook: Hook, level: Level) -> Option<String> {
    let allowed = match forced {
        Forced::Auto => true,
        Forced::Btf => level == Level::Btf,
        Forced::Raw => matches!(level, Level::Raw | Level::Tracepoint),
        Forced::Kprobe => level != Level::Btf,
    };
    if !allowed {
        return Some(format!("--hooks {forced}"));
    }
    if let Some((.., why)) = facts
        .refused
        .iter()
        .find(|(h, l, _)| (*h, *l) == (hook, level))
    {
        return Some(why.clone());
    }
    let support = match level {
        Level::Btf if hook.is_tracepoint() => &facts.tp_btf,
        Level::Btf => &facts.fentry,
        Level::Kprobe => &facts.kprobe,
        Level::Raw | Level::Tracepoint => &Support::Yes,
    };
    if let Support::No(why) = support {
        return Some(why.clone());
    }
    let Some(&(_, arguments)) = facts.functions.iter().find(|(of, _)| *of == hook) else {
        return (!hook.is_tracepoint())
            .then(|| format!("this kernel has no function {}", hook.name()));
    };
    // Where the returned value lies depends on the number of arguments.
    (hook == Hook::DequeueSignal && level == Level::Btf && !matches!(arguments, 3 | 4))
        .then(|| format!("dequeue_signal has {arguments} arguments, which is not known"))
}

#[cfg(test)]
mod tests;
