//! The JSON shapes, and nothing else: what a line of `-o json` may hold.
//! docs/schema.json says the same for other languages, and a test holds them
//! together. Fields are added, never renamed; unknown is absent; times and
//! sizes carry their unit in the name. [`super::json`] fills them.

use serde::{Deserialize, Serialize};

/// The value of `v`.
pub const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// The first line: everything is attached.
    Tracing(Tracing),
    /// A container that was waited for has started.
    Started(Life),
    /// A container has ended; without `--once` its next start is waited for.
    Ended(Life),
    /// A signal.
    Signal(Box<Signal>),
    /// A signal that the kernel refused to send.
    Refused(Box<Refused>),
    /// No process or thread could be made.
    ForkRejected(Box<ForkRejected>),
    /// A process is dead.
    Exit(Exit),
    /// A PID 1 is dead.
    InitExit(Exit),
    /// More about an earlier line.
    Update(Box<Update>),
    /// A process was made.
    Fork(Fork),
    /// A process runs another program.
    Exec(Exec),
    /// A dead process is not reaped.
    Zombie(Zombie),
    /// A dead PID 1 cannot end.
    Waits(Waits),
    /// A dead process was reaped.
    Reap(Reap),
    /// Events were lost.
    Lost(Lost),
    /// The last line.
    Summary(Summary),
}

/// One struct per shape; an `Option` that is `None` is left out.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($field:tt)* })+) => {
        $(shapes!(@ [$(#[$doc])*] $name [] $($field)*);)+
    };
    (@ [$($doc:tt)*] $name:ident [$($done:tt)*]) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        $($doc)*
        pub struct $name { $($done)* }
    };
    (@ $doc:tt $name:ident [$($done:tt)*] $field:ident: Option<$type:ty> = $about:literal, $($rest:tt)*) => {
        shapes!(@ $doc $name [$($done)*
            #[doc = $about]
            #[serde(skip_serializing_if = "Option::is_none", default)]
            pub $field: Option<$type>,] $($rest)*);
    };
    (@ $doc:tt $name:ident [$($done:tt)*] $field:ident: $type:ty = $about:literal, $($rest:tt)*) => {
        shapes!(@ $doc $name [$($done)* #[doc = $about] pub $field: $type,] $($rest)*);
    };
}

shapes! {
    /// What is traced, with what.
    Tracing {
        v: u32 = "1.",
        time: String = "Since when nothing is missed.",
        boot_time: String = "The wall clock at boot: `start_ns` counts from here.",
        version: String = "Of sigtrace.",
        kernel: String = "Release of the kernel.",
        scopes: Vec<Scope> = "The namespaces; empty: no limit by namespace.",
        filters: Vec<String> = "Other filters, in words.",
        hooks: Vec<Hook> = "How each hook is attached.",
        notes: Vec<String> = "What is lost on this kernel.",
        waiting: Vec<String> = "Containers that are waited for.",
    }
    /// The start or the end of a container.
    Life {
        v: u32 = "1.",
        time: String = "When it started; when it was known to have ended.",
        scope: Scope = "Which.",
    }
    /// A traced namespace.
    Scope {
        pidns: u32 = "Its inode.",
        label: Option<String> = "What people call it.",
        note: Option<String> = "Said beside it.",
        pid1: Option<String> = "Name of its PID 1.",
        container: Option<Container> = "The container.",
        shares: Option<Shares> = "The container is not alone in it.",
    }
    /// A PID namespace that a container shares.
    Shares {
        with: String = "`host`; `container`: another one, whose process is its PID 1.",
        container: Option<String> = "What that other one is called.",
        cgroup: String = "The container's own cgroup, by which it is traced.",
        first: Option<String> = "Name of its own first process.",
    }
    /// A hook and how it is attached.
    Hook {
        hook: String = "`signal_generate`.",
        level: String = "`tp_btf`, `fentry`, `fexit`, `raw_tracepoint`, `tracepoint`, `kprobe`, `kretprobe`.",
    }
    /// A container.
    Container {
        name: Option<String> = "Its name.",
        id: String = "Its full id.",
        engine: Option<String> = "Its engine.",
    }
    /// A signal's number, name and code.
    SignalName {
        number: i32 = "Number.",
        name: String = "`SIGKILL`, `SIGRTMIN+3`.",
        code: Option<String> = "`SI_USER`; absent where the code has no name.",
        code_number: i32 = "`si_code` as a number.",
    }
    /// A thread and its process.
    Task {
        pid: u32 = "Process id on the host.",
        tid: u32 = "Thread id on the host.",
        comm: String = "Name; invalid UTF-8 is U+FFFD here.",
        comm_hex: Option<String> = "The bytes of such a name, in hexadecimal.",
        ns_pids: Vec<u32> = "Its pid on the host and in each nested namespace, outermost first.",
        start_ns: u64 = "When it started, nanoseconds since boot: with `pid` its identity.",
        uid: u32 = "Real user id.",
        container: Option<String> = "The container, by name or else by id.",
        origin: Option<Origin> = "Of a signal's target, except of routine signals: where it is.",
    }
    /// Where a process comes from, as its cgroup was called when the signal was sent.
    /// Absent where that says nothing. A name is for anyone to choose who may make
    /// cgroups.
    Origin {
        kind: String = "`container`; `pod`: outside of its containers; `session`: of a login; `unit`: of systemd.",
        container: Option<Container> = "The innermost container; its name where an engine that was asked has told it.",
        pod: Option<String> = "The pod's id.",
        unit: Option<String> = "The innermost unit as systemd writes it, `\\x2d` and all; in a container one of its own systemd.",
        session: Option<String> = "The login session, by logind's number.",
        uid: Option<u32> = "Whose session it is, or whose own systemd has the unit.",
    }
    /// A process that sent a signal: a task with its ancestry.
    ProcessSender {
        pid: u32 = "As in [`Task`].",
        tid: u32 = "As in [`Task`].",
        comm: String = "As in [`Task`].",
        comm_hex: Option<String> = "As in [`Task`].",
        ns_pids: Vec<u32> = "As in [`Task`].",
        start_ns: u64 = "As in [`Task`].",
        uid: u32 = "As in [`Task`].",
        container: Option<String> = "As in [`Task`].",
        ancestry: Option<Vec<Ancestor>> = "Its parents, nearest first; absent for routine signals.",
        ancestry_cut: Option<bool> = "There are more parents than are recorded.",
        origin: Option<Origin> = "Where it comes from; absent for routine signals.",
        runtime: Option<String> = "The program of a container engine that it is: `runc`.",
    }
    /// A step up the ancestry.
    Ancestor {
        pid: u32 = "Process id on the host.",
        comm: String = "As in [`Task`].",
        comm_hex: Option<String> = "As in [`Task`].",
        start_ns: u64 = "As in [`Task`].",
        runtime: Option<String> = "As in [`ProcessSender`].",
    }
    /// What came on behalf of a process, where there is one.
    KernelSender {
        on_behalf_of: Option<Task> = "The dying PID 1, the faulting process.",
    }
    /// What came from a terminal, and by whose doing.
    TerminalSender {
        on_behalf_of: Option<Task> = "Who closed, gave up or hung up the terminal, led its session and ended, or asked it for a signal; absent for keys.",
    }
    /// A step of a chain.
    Link {
        id: Option<u64> = "The event it stands for.",
        what: String = "In words.",
        runtime: Option<String> = "The program of a container engine that it names.",
        time: Option<String> = "Of what an engine says that it was asked for: the time of its own event, which comes when the signal has been sent, a moment after the asking.",
    }
    /// A function of the kernel.
    Step {
        function: String = "Its name.",
        source: String = "`stack`: it was on the stack. `below`: it lies below the tracepoint, and follows from the facts of the signal. `later`: the same, and the target comes to it only later.",
        decides: Option<String> = "What it decides.",
        decided: Option<String> = "The fate was decided here: by this condition.",
        proves: Option<bool> = "It proves the cause.",
    }
    /// How often a control group had used up its CPU quota.
    Throttled {
        cgroup: String = "Its path, as the host sees it.",
        cgroup_version: u32 = "1 or 2.",
        quota_us: u64 = "CPU time that all of it may use in a period.",
        period_us: u64 = "Length of a period.",
        measured_us: u64 = "Between the two readings that the rest is of: at the request to end, and at the end.",
        periods: u64 = "Periods in which it wanted to run.",
        throttled_periods: u64 = "Of those, the ones whose quota was used up.",
        throttled_us: u64 = "For how long it was kept from running, added up over the CPUs.",
    }

    /// How a stop went.
    Stop {
        signal: String = "The stop signal.",
        grace_ms: Option<u64> = "The grace period, where it is known of this stop.",
        used_ms: u64 = "From the stop signal to the end.",
    }
    /// Whose memory limit ended a process.
    Oom {
        scope: Option<String> = "`own`, `parent` or `global`.",
        cgroup: Option<String> = "Path of that control group, as the host sees it.",
        limit_bytes: Option<u64> = "The limit; `global`: all there is, with swap.",
        usage_bytes: Option<u64> = "In use at that moment.",
        trigger: Task = "Who asked for memory.",
        chosen: Option<Task> = "Whom the OOM killer chose, where that was another process.",
    }
    /// Where in its program a process faulted.
    Fault {
        instruction: String = "Its instruction pointer: `0x401136`.",
        object: Option<String> = "Name of the file that is mapped there.",
        path: Option<String> = "Its path within its file system.",
        object_offset: Option<u64> = "From the file's begin to the instruction, bytes.",
        build_id: Option<String> = "The file's build id.",
        function: Option<String> = "The function that the instruction is in.",
        function_offset: Option<u64> = "From the function's begin to it, bytes.",
        source: Option<String> = "Source file and line of it.",
    }
    /// A signal.
    Signal {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When it was generated.",
        container: Option<Container> = "The container that it concerns.",
        pidns: Option<u32> = "The namespace that it concerns.",
        signal: SignalName = "Which.",
        scope: String = "`process` or `thread`.",
        result: String = "The kernel's word: `delivered`, `ignored`, `already_pending`, `overflow_fail`, `lose_info`.",
        sender: Sender = "By whom.",
        target: Task = "To whom.",
        fate: String = "Its fate.",
        settled: bool = "Whether that is final.",
        reason: Option<String> = "Why.",
        cause: Option<String> = "Of death, for fatal signals; where a debugger is the cause of the signal, `ptrace-attach` or `tracer-injected`; of the end of the thread that a signal with the fate `died_first` was for.",
        mechanism: Option<String> = "How it was carried out.",
        certainty: String = "`unknown`, `inferred` or `proven`.",
        evidence: Vec<Evidence> = "What proves it.",
        missing: Vec<String> = "What would be needed to be sure.",
        kernel_path: Option<Vec<String>> = "Functions on the kernel stack, innermost first.",
        path: Option<Vec<Step>> = "With `--path`: the way through the kernel, outermost first.",
        latency_ns: Option<u64> = "From generation to the handler.",
        within_ns: Option<u64> = "Only a later look or event showed the fate: it came within so long of the generation, and the moment is not known.",
        handler: Option<Handler> = "What handled it.",
        fault: Option<Fault> = "Of a fault that was handled: where in its program the thread was.",
        routine: bool = "Part of normal life.",
        explanation: Option<String> = "In sentences; absent where there is nothing to explain.",
        advice: Option<String> = "What to change.",
        count: u64 = "How many equal signals this stands for.",
    }
    /// Where in its program a handler is.
    Handler {
        address: String = "Its address in the process, in hexadecimal digits after `0x`.",
        object: Option<String> = "Name of the file that is mapped there.",
        object_offset: Option<u64> = "From the file's begin to the handler, bytes.",
        function: Option<String> = "The function that it is, or is in.",
        function_offset: Option<u64> = "From the function's begin to it, bytes.",
        source: Option<String> = "Source file and line of it.",
    }
    /// A signal that the kernel refused to send.
    Refused {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When the system call returned.",
        container: Option<Container> = "As in [`Signal`].",
        pidns: Option<u32> = "As in [`Signal`].",
        signal: SignalName = "Which; there may be no such signal.",
        call: String = "The system call: `kill`, `tgkill`, `pidfd_send_signal`.",
        mechanism: String = "The same as an id.",
        to: Asked = "Whom it was for, as the sender gave it.",
        error: Option<String> = "What it failed with; absent: it reported success.",
        sender: Sender = "By whom.",
        target: Option<Task> = "Who may not be signalled, as far as is known; of many the first.",
        refused: Option<u32> = "Of many: how many may not be signalled.",
        reached: Option<u32> = "Of many: how many may.",
        fate: String = "`refused`.",
        reason: String = "Why.",
        certainty: String = "As in [`Signal`].",
        evidence: Vec<Evidence> = "As in [`Signal`].",
        missing: Vec<String> = "As in [`Signal`].",
        routine: bool = "As in [`Signal`].",
        explanation: Option<String> = "As in [`Signal`].",
        advice: Option<String> = "As in [`Signal`].",
        count: u64 = "How many equal ones this stands for.",
    }
    /// No process or thread could be made.
    ForkRejected {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When it failed; of several the last one.",
        container: Option<Container> = "As in [`Signal`].",
        pidns: Option<u32> = "The PID namespace that it concerns.",
        task: Task = "Who tried.",
        ancestry: Option<Vec<Ancestor>> = "Its parents, nearest first.",
        what: Option<String> = "`process` or `thread`; absent: not known.",
        error: String = "What it failed with: `EAGAIN`, `ENOMEM`.",
        reason: String = "Why.",
        limit: Option<ForkLimit> = "The limit that was reached.",
        certainty: String = "As in [`Signal`].",
        evidence: Vec<Evidence> = "As in [`Signal`].",
        missing: Vec<String> = "As in [`Signal`].",
        explanation: Option<String> = "As in [`Signal`].",
        advice: Option<String> = "As in [`Signal`].",
        count: u64 = "How many equal ones of that thread this stands for.",
    }
    /// A limit of processes, with its numbers.
    ForkLimit {
        name: String = "`pids.max`, `RLIMIT_NPROC`, `kernel.pid_max` or `kernel.threads-max`.",
        current: Option<u64> = "How many there were.",
        max: Option<u64> = "How many there may be; of `kernel.pid_max` the first pid that is not given.",
        cgroup: Option<String> = "Path of the control group, as the host sees it.",
        scope: Option<String> = "`own`: the limit of the task's own control group; `parent`: of one around that.",
        uid: Option<u32> = "Whose processes are counted.",
        pidns: Option<u32> = "The PID namespace whose pids are used up; absent: the machine's are.",
        zombies: Option<u64> = "Dead processes in the task's PID namespace that are not reaped and count too, as far as is known.",
        zombies_parent: Option<Task> = "Who must wait for most of them.",
    }
    /// Whom a signal was for, as its sender gave it.
    Asked {
        pid: Option<i32> = "Process id as the sender's PID namespace has it; 0 or less: many.",
        tid: Option<i32> = "Thread id, likewise.",
        pidfd: Option<i32> = "The descriptor.",
    }
    /// A death.
    Exit {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When.",
        container: Option<Container> = "The container it lived in.",
        pidns: Option<u32> = "The namespace it lived in.",
        task: Task = "Which.",
        signal: Option<String> = "The signal that ended it.",
        core_dumped: bool = "The core bit of its status.",
        exit_code: i32 = "Status, or 128 + signal.",
        cause: String = "Of death.",
        mechanism: Option<String> = "How it was carried out.",
        forced: bool = "Ended by force.",
        certainty: String = "As in [`Signal`].",
        evidence: Vec<Evidence> = "As in [`Signal`].",
        missing: Vec<String> = "As in [`Signal`].",
        chain: Vec<Link> = "From the death to its root.",
        contributing: Vec<String> = "Contributing reasons.",
        stop: Option<Stop> = "The stop this belongs to.",
        oom: Option<Oom> = "Whose memory limit it was, for the causes `oom-…`.",
        throttled: Option<Throttled> = "How much of the time that it had to end its control group had no CPU time left.",
        fault: Option<Fault> = "Where in its program it faulted, before that or its handler ended it.",
        kernel_path: Option<Vec<String>> = "As in [`Signal`].",
        path: Option<Vec<Step>> = "As in [`Signal`].",
        explanation: Option<String> = "As in [`Signal`].",
        advice: Option<String> = "As in [`Signal`].",
    }
    /// A process was made.
    Fork {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When.",
        pidns: Option<u32> = "The namespace of the new one.",
        parent: Task = "By whom.",
        child: Task = "The new one.",
    }
    /// A process runs another program.
    Exec {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When.",
        pidns: Option<u32> = "Its namespace.",
        task: Task = "Which, with its new name.",
    }
    /// A dead process that nobody has waited for.
    Zombie {
        v: u32 = "1.",
        id: u64 = "Number of the event of its exit.",
        time: String = "When it died.",
        pidns: Option<u32> = "Its namespace.",
        task: Task = "Which.",
        parent: Option<Task> = "Whose child it is.",
    }
    /// A dead PID 1 whose namespace is not empty: it sleeps in
    /// `zap_pid_ns_processes` until nothing else is left.
    Waits {
        v: u32 = "1.",
        id: u64 = "Number of the event of its exit.",
        time: String = "When it died.",
        pidns: Option<u32> = "Its namespace.",
        task: Task = "Which.",
        waits_for: Vec<Unreaped> = "What is known to be left, 16 at most.",
    }
    /// What a dead PID 1 waits for.
    Unreaped {
        task: Task = "Which.",
        dead: bool = "It is dead, and only has to be reaped.",
        parent: Option<Task> = "Who must wait for it.",
        state: Option<String> = "Its state, when it was looked at: `D` sleeps uninterruptibly.",
        reason: Option<String> = "What keeps it.",
        explanation: Option<String> = "The same in words, with the place in the kernel.",
    }
    /// A dead process was reaped.
    Reap {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When.",
        pidns: Option<u32> = "Its namespace.",
        task: Task = "Which.",
        by: Option<u32> = "By whom: process id on the host.",
        certainty: String = "How sure the time is.",
        missing: Option<Vec<String>> = "What would be needed to be sure.",
    }
    /// Events were lost.
    Lost {
        v: u32 = "1.",
        id: u64 = "Number of the event.",
        time: String = "When it was noticed.",
        kind: String = "Which sort; `not-run`: any, for which no program could run.",
        count: u64 = "How many; `not-run`: at most.",
        slow_output: Option<bool> = "True: whoever reads the output had sigtrace wait meanwhile.",
    }
    /// The end.
    Summary {
        v: u32 = "1.",
        time: String = "When.",
        ending: String = "`ended`, `interrupted`, `time_up` or `failed`.",
        ended: bool = "Every traced namespace has ended.",
        verdict: Option<String> = "Of namespaces that ended: `clean`, `unclean`, or `incomplete` where nothing bad was seen, but not all was seen.",
        processes_exited: u64 = "Processes that died.",
        processes_forced: u64 = "Of those, by force: those with `forced`.",
        processes_ended_badly: u64 = "Of those, by a signal other than SIGHUP, SIGINT, SIGTERM; by force too.",
        ends_unseen: u64 = "Processes whose end was not seen.",
        partial: bool = "A filter by process or cgroup was in force.",
        signals: u64 = "All signals, routine ones included.",
        signals_dropped: u64 = "Signals that were dropped.",
        forks_rejected: u64 = "Forks that the kernel rejected.",
        signals_rejected: u64 = "Signals with the fate `rejected`: the queue had no room for them.",
        signals_coalesced: u64 = "Signals with the fate `coalesced`, routine ones left out: they added nothing to what was pending.",
        signals_refused: u64 = "Signals that the kernel refused to send, routine ones left out; they are not among `signals`.",
        signals_routine: u64 = "Routine signals; those that the kernel refused to send included.",
        events_lost: u64 = "Events that were lost.",
        notes: Vec<String> = "What qualifies the whole.",
    }
    /// What changed about the line with id `of`: those fields of its kind that
    /// now have another value; `null`: it no longer has one.
    Update {
        v: u32 = "1.",
        of: u64 = "Which line.",
        time: String = "When it became known.",
        fate: Option<String> = "As in [`Signal`].",
        settled: Option<bool> = "As in [`Signal`].",
        reason: Option<String> = "As in [`Signal`].",
        result: Option<String> = "As in [`Signal`].",
        sender: Option<Sender> = "As in [`Signal`].",
        target: Option<Task> = "As in [`Signal`].",
        latency_ns: Option<u64> = "As in [`Signal`].",
        within_ns: Option<u64> = "As in [`Signal`].",
        handler: Option<Handler> = "As in [`Signal`].",
        routine: Option<bool> = "As in [`Signal`].",
        count: Option<u64> = "As in [`Signal`].",
        task: Option<Task> = "As in [`Exit`].",
        core_dumped: Option<bool> = "As in [`Exit`].",
        exit_code: Option<i32> = "As in [`Exit`].",
        forced: Option<bool> = "As in [`Exit`].",
        chain: Option<Vec<Link>> = "As in [`Exit`].",
        contributing: Option<Vec<String>> = "As in [`Exit`].",
        stop: Option<Stop> = "As in [`Exit`].",
        oom: Option<Oom> = "As in [`Exit`].",
        throttled: Option<Throttled> = "As in [`Exit`].",
        fault: Option<Fault> = "As in both.",
        container: Option<Container> = "As in both.",
        pidns: Option<u32> = "As in both.",
        signal: Option<serde_json::Value> = "As in [`Signal`] or [`Exit`].",
        scope: Option<String> = "As in [`Signal`].",
        cause: Option<String> = "As in both.",
        mechanism: Option<String> = "As in both.",
        certainty: Option<String> = "As in both.",
        evidence: Option<Vec<Evidence>> = "As in both.",
        missing: Option<Vec<String>> = "As in both.",
        kernel_path: Option<Vec<String>> = "As in both.",
        path: Option<Vec<Step>> = "As in both.",
        explanation: Option<String> = "As in both.",
        advice: Option<String> = "As in both.",
    }
}

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sender {
    /// A process.
    Process(ProcessSender),
    /// The kernel.
    Kernel(KernelSender),
    /// A terminal.
    Terminal(TerminalSender),
    /// A timer.
    Timer(Nothing),
}

impl Default for Sender {
    fn default() -> Self {
        Self::Kernel(KernelSender::default())
    }
}

/// No further fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What proves an explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// A function on the kernel stack.
    Stack {
        /// Its name.
        fact: String,
    },
    /// An earlier event.
    Event {
        /// Its id.
        fact: u64,
        /// Of one that is no line of its own: what it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<String>,
    },
    /// A kernel field and its value.
    Field {
        /// Both.
        fact: String,
    },
}
