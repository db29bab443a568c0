//! The facts, one kind each: what the kernel side reports, what `/proc` shows and
//! what an engine says. What they are made of stands in [`super`].

use std::sync::Arc;

use super::{
    Ancestor, BootTime, CgroupId, Comm, CpuTime, Detail, Fault, ForkRejected, Frame, Handler, Home,
    Info, LikeFork, Oom, Outcome, PidNs, ProcessKey, Quotas, Refused, Signal, Task,
};

/// What sort of signals a process does what with, from `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Dispositions {
    /// SigPnd of the leader.
    pub pending: u64,
    /// ShdPnd.
    pub shared_pending: u64,
    /// SigBlk of the leader.
    pub blocked: u64,
    /// SigIgn.
    pub ignored: u64,
    /// SigCgt.
    pub caught: u64,
    /// State letter: `R S D T t Z X I`.
    pub state: u8,
}

/// What keeps a process from running, as far as a look at it shows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sight {
    /// What it is called by now; `None`: not known.
    pub comm: Option<Comm>,
    /// The kernel function that it sleeps in (`/proc/PID/wchan`).
    pub function: Option<Arc<str>>,
    /// Who traces it.
    pub tracer: Option<(u32, Comm)>,
    /// The control group that is frozen and holds it, as the host sees it: any
    /// text; and whether that is cgroup v1, where not even SIGKILL acts.
    pub frozen: Option<(Arc<str>, bool)>,
    /// The CPU quotas that hold for it; `None`: not known.
    pub quotas: Option<Quotas>,
    /// How much its first thread has run; `None`: not known.
    pub cpu: Option<CpuTime>,
    /// Its threads, the first among them, if it has several; not all of very many.
    pub threads: Vec<Thread>,
}

/// What a look at one thread shows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Thread {
    /// Which.
    pub tid: u32,
    /// State letter.
    pub state: u8,
    /// SigPnd.
    pub pending: u64,
    /// SigBlk.
    pub blocked: u64,
    /// The kernel function that it sleeps in.
    pub function: Option<Arc<str>>,
}

/// A container, as far as its engine tells what a stop of it would be.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Container {
    /// What holds it.
    pub home: Home,
    /// Its PID namespace, if it shares that with others.
    pub shared: Option<Shared>,
    /// Its full id.
    pub id: String,
    /// Its engine: `docker`, `podman`.
    pub engine: Option<String>,
    /// The signal that a stop begins with; `None`: not known.
    pub stop_signal: Option<i32>,
    /// How long a stop waits before it kills, nanoseconds; `None`: not known.
    /// Whoever asks for a stop can ask for another time.
    pub grace_ns: Option<u64>,
    /// Its engine is listened to.
    pub told: bool,
}

/// A PID namespace that a container shares, and what that means for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Which; `None`: the host's, whose PID 1 never ends.
    pub pidns: Option<PidNs>,
    /// What the container is called whose process is PID 1 there; `None`: not known.
    pub owner: Option<Arc<str>>,
    /// The container's own first process.
    pub first: Option<ProcessKey>,
}

/// What signals have in common that are counted together: those of one sender to
/// one target that came to nothing in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Like {
    /// Process id of the task that ran.
    pub current: u32,
    /// Process id of the target.
    pub target: u32,
    /// Its thread, if they were for that.
    pub thread: Option<u32>,
    /// Signal number.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// Which siginfo.
    pub info: Info,
    /// What the kernel did with them.
    pub outcome: Outcome,
    /// What the target would have done; of a function not which.
    pub handler: Handler,
    /// `SIGNAL_*` flags of the target.
    pub signal_flags: u32,
}

impl Like {
    /// What this one would have been counted as.
    pub fn of(signal: &Signal) -> Self {
        Self {
            current: signal.current.key.pid,
            target: signal.target.key.pid,
            thread: (!signal.to_process).then_some(signal.target.tid),
            number: signal.number,
            code: signal.code,
            info: signal.info,
            outcome: signal.outcome,
            handler: match signal.state.handler {
                Handler::User(_) => Handler::User(0),
                other => other,
            },
            signal_flags: signal.state.signal_flags,
        }
    }
}

/// What an engine does or sees done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineAction {
    /// It had a signal sent: which, where it says so.
    Kill(Option<i32>),
    /// A stop is over.
    Stop,
    /// It is restarted: Docker says so at its end, Podman at its beginning.
    Restart,
    /// It was started.
    Start,
    /// Its first process ended.
    Die,
    /// The kernel killed for lack of memory in it.
    Oom,
    /// It was removed.
    Destroy,
}

/// An event of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineEvent {
    /// The container.
    pub home: Home,
    /// When, by the engine's clock.
    pub at: BootTime,
    /// The engine took requests then.
    pub answering: bool,
    /// What.
    pub action: EngineAction,
}

/// A debugger lets a thread go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The debugger.
    pub tracer: Task,
    /// The thread.
    pub task: Task,
    /// By which request: `PTRACE_*`.
    pub request: u32,
    /// The signal that it had stopped for; `None`: for something else.
    pub stopped: Option<i32>,
    /// The signal that it is to go on with.
    pub given: Option<i32>,
    /// Ancestry of the debugger, nearest first.
    pub ancestry: Vec<Ancestor>,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `signal_generate`.
    Signal(Arc<Signal>),
    /// `signal_deliver`: the thread acts on a signal.
    Deliver {
        /// Who.
        task: Task,
        /// Signal number.
        number: i32,
        /// `si_code`.
        code: i32,
        /// Which siginfo. SIGKILL without one is the end of a thread whose
        /// group exits, not a signal.
        info: Info,
        /// What it does.
        handler: Handler,
        /// `SIGNAL_*`.
        signal_flags: u32,
        /// Status, if GROUP_EXIT.
        group_exit_code: i32,
        /// Traced by a debugger.
        traced: bool,
        /// Of SIGTSTP, SIGTTIN and SIGTTOU without a handler: the process group is
        /// orphaned. `None`: not known.
        orphaned: Option<bool>,
        /// Of a fault that a handler takes: the instruction.
        fault_at: Option<u64>,
    },
    /// A signal was taken from a queue; by `get_signal` (a delivery follows at
    /// once), or on purpose (`sigtimedwait`, `signalfd`).
    Dequeue {
        /// Who.
        task: Task,
        /// Signal number.
        number: i32,
        /// Innermost kernel frames.
        stack: Vec<Frame>,
    },
    /// A process was made.
    Fork {
        /// By whom.
        parent: Task,
        /// The new one.
        child: Task,
    },
    /// A process runs another program.
    Exec {
        /// The process with its new name.
        task: Task,
        /// The thread that called execve, by its tid until then.
        old_tid: u32,
    },
    /// The PID 1 of a new PID namespace runs its program.
    Placed {
        /// Which.
        task: Task,
        /// Names of its cgroup (v2) and of that one's parent; empty: none.
        cgroups: [String; 2],
    },
    /// What a cgroup is called that a sender or a target is in.
    Place {
        /// Which.
        id: CgroupId,
        /// The names of its folder and of those around it, its own first.
        names: Vec<String>,
    },
    /// A container is traced from here on, besides those that the filter names: it
    /// is one that was waited for.
    Traced {
        /// Which.
        home: Home,
    },
    /// A leader exits (`group_dead` false: other threads go on) or a process
    /// is dead.
    Exit {
        /// The thread.
        task: Task,
        /// No thread is left.
        group_dead: bool,
        /// Status of the process in the format of wait(2).
        status: i32,
        /// `SIGNAL_*`.
        signal_flags: u32,
        /// Pending for the thread and for the process, never acted on.
        pending: u64,
        /// Signal it asked for at its parent's death (prctl), 0 for none.
        pdeath_signal: i32,
        /// The system call that it was in, if the kernel ended it on the spot.
        call: Detail,
        /// Its ancestry.
        ancestry: Vec<Ancestor>,
        /// By which path it got here.
        stack: Vec<Frame>,
    },
    /// `do_exit` was entered.
    DoExit {
        /// Who.
        task: Task,
        /// The status it was given.
        status: i32,
    },
    /// `do_group_exit` was entered: by exit_group(2), or for a fatal signal.
    GroupExit {
        /// Who.
        task: Task,
        /// The status it was given.
        status: i32,
    },
    /// A dying PID 1 kills everything left in its namespace
    /// (`zap_pid_ns_processes`).
    ZapPidNs {
        /// The dying PID 1.
        task: Task,
        /// The namespace.
        pidns: PidNs,
    },
    /// The kernel is about to kill for lack of memory.
    Oom(Box<Oom>),
    /// A process is about to be ended for what it did itself.
    Fault(Box<Fault>),
    /// The function that a fault was in, from the symbols of just that file.
    FaultNamed {
        /// The instruction.
        ip: u64,
        /// Whose fault.
        key: ProcessKey,
        /// The function's name; any text.
        name: Arc<str>,
        /// From its begin to the instruction, bytes.
        offset: u64,
        /// Source file and line; any text.
        source: Option<Arc<str>>,
    },
    /// Where a handler is, or the instruction whose fault it takes; the signal is about to
    /// be delivered.
    HandlerFound(Box<Fault>),
    /// Which function that is, or is in, from the symbols of just that file.
    HandlerNamed {
        /// Whose.
        key: ProcessKey,
        /// Where in its memory.
        address: u64,
        /// As in [`Fact::FaultNamed`].
        name: Arc<str>,
        /// Likewise.
        offset: u64,
        /// Likewise.
        source: Option<Arc<str>>,
    },
    /// A signal was refused: a system call failed before it was generated.
    Refused(Box<Refused>),
    /// So many system calls that send signals were not looked at: refused ones may
    /// be missing, and nothing else.
    NotLookedAt(u64),
    /// No process or thread could be made.
    ForkRejected(Box<ForkRejected>),
    /// Rejected forks that the kernel side counted instead of telling them one by one.
    ForksCounted {
        /// What they have in common.
        like: LikeFork,
        /// How many more than before.
        count: u64,
        /// When the last one came.
        last: BootTime,
    },
    /// So many forks were not looked at: rejected ones may be missing.
    ForksNotLookedAt(u64),
    /// A debugger lets a thread go on.
    Resumed(Box<Resumed>),
    /// A dead process was reaped.
    Reap {
        /// Which.
        key: ProcessKey,
        /// Who waited; `None` where only its end is known
        /// (`sched_process_free`, an RCU grace period late).
        by: Option<u32>,
    },
    /// A process that was there when tracing began (`/proc`).
    Snapshot {
        /// Which.
        task: Task,
        /// Its dispositions.
        dispositions: Dispositions,
    },
    /// A look at a process later on (`/proc`), because a signal stays without
    /// an end; `None`: it is gone.
    Observed {
        /// Which.
        key: ProcessKey,
        /// What was seen.
        dispositions: Option<Dispositions>,
        /// What keeps it.
        sight: Sight,
    },
    /// The CPU quotas of a container's first process, which is being asked to end or
    /// killed; read a little later.
    Quotas {
        /// Which.
        key: ProcessKey,
        /// What was read.
        quotas: Quotas,
    },
    /// Which file a process runs (`/proc/PID/exe`), looked up for those that sent
    /// a signal from outside of a container.
    Program {
        /// Which.
        key: ProcessKey,
        /// The file's path, as `/proc` has it.
        file: Arc<str>,
    },
    /// What an engine says of a container.
    Container(Box<Container>),
    /// An engine reports something; later than it happened.
    Engine(EngineEvent),
    /// An engine cannot be listened to, or not all the time: why.
    EngineSilent(Arc<str>),
    /// Signals that the kernel side counted instead of telling them one by one.
    Folded {
        /// What they have in common.
        like: Like,
        /// How many more than before.
        count: u64,
        /// When the last one came.
        last: BootTime,
    },
    /// Events were lost before this moment.
    Lost {
        /// Which sort: `signal`, `deliver`, `exit`, ….
        kind: &'static str,
        /// How many more than before.
        count: u64,
        /// Whoever reads the output had sigtrace wait meanwhile.
        slow_output: bool,
    },
    /// What is traced is gone: nothing in it is left.
    Gone {
        /// Which.
        home: Home,
    },
}

impl Fact {
    /// The signal that was generated, if it is about one.
    pub fn signal(&self) -> Option<&Signal> {
        match self {
            Self::Signal(signal) => Some(signal),
            _ => None,
        }
    }
}

/// A fact with its time and its number in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number, ascending in the order of arrival; referred to by evidence.
    pub id: u64,
    /// When.
    pub time: BootTime,
    /// What.
    pub fact: Fact,
}
