//! From the kernel side's records to facts. Total: any bytes give a fact or
//! `None`, never a panic.
//!
//! Names of kernel functions come from the caller, so that this file needs no
//! kernel.

use std::sync::Arc;

use sigtrace_common::record::{self, Kind};
use zerocopy::FromBytes;

use super::{
    fork, Ancestor, BootTime, Call, Comm, Creds, Denial, Detail, Fact, Fault, Frame, Handed,
    Handler, Info, Like, MappedFile, Mapping, MemoryLevel, Oom, Outcome, Places, ProcessKey,
    Refused, Resumed, Signal, TargetState, Task, Whereabouts,
};

/// Names the function that an address of the kernel lies in.
pub trait Functions {
    /// `None` where symbols are hidden or the address is unknown.
    fn name(&mut self, address: u64) -> Option<Arc<str>>;
}

/// Turns records into facts.
pub struct Decoder<F> {
    /// Names kernel functions.
    pub functions: F,
}

impl<F: Functions> Decoder<F> {
    /// One record; `None` if it is none of ours.
    pub fn decode(&mut self, bytes: &[u8]) -> Option<(BootTime, Fact)> {
        let header = prefix::<record::Header>(bytes)?;
        let kind = |kind: Kind| kind as u32;
        let fact = match header.kind {
            k if k == kind(Kind::Signal) => self.signal(&prefix(bytes)?, None),
            k if k == kind(Kind::SignalTraced) => {
                let traced: record::SignalTraced = prefix(bytes)?;
                let mut fact = self.signal(&traced.signal, Some(&traced.trace));
                if let Fact::Signal(signal) = &mut fact {
                    signal.places.current.cgroups = traced.current_at;
                    signal.places.target.cgroups = traced.target_at;
                }
                fact
            }
            k if k == kind(Kind::Deliver) => deliver(&prefix(bytes)?),
            k if k == kind(Kind::Dequeue) => {
                let r: record::Dequeue = prefix(bytes)?;
                Fact::Dequeue {
                    task: task(&r.task),
                    number: r.number,
                    stack: self.stack(&r.stack, r.frame_count),
                }
            }
            k if k == kind(Kind::Fork) => {
                let r: record::Fork = prefix(bytes)?;
                Fact::Fork {
                    parent: task(&r.parent),
                    child: task(&r.child),
                }
            }
            k if k == kind(Kind::Exec) => {
                let r: record::Exec = prefix(bytes)?;
                Fact::Exec {
                    task: task(&r.task),
                    old_tid: r.old_pid,
                }
            }
            k if k == kind(Kind::Placed) => {
                let r: record::Placed = prefix(bytes)?;
                Fact::Placed {
                    task: task(&r.task),
                    cgroups: r.cgroups.map(|name| text(&name)),
                }
            }
            k if k == kind(Kind::Place) => {
                let r: record::Place = prefix(bytes)?;
                Fact::Place {
                    id: r.id,
                    names: names(&r),
                }
            }
            k if k == kind(Kind::Fault) => {
                let record: record::Fault = prefix(bytes)?;
                let place = Box::new(fault(&record));
                match record.handler {
                    0 => Fact::Fault(place),
                    _ => Fact::HandlerFound(place),
                }
            }
            k if k == kind(Kind::Oom) => Fact::Oom(Box::new(oom(&prefix(bytes)?))),
            k if k == kind(Kind::Refused) => Fact::Refused(Box::new(refused(&prefix(bytes)?)?)),
            k if k == kind(Kind::ForkRejected) => {
                Fact::ForkRejected(Box::new(fork_rejected(&prefix(bytes)?)))
            }
            k if k == kind(Kind::Ptrace) => Fact::Resumed(Box::new(resumed(&prefix(bytes)?))),
            k if k == kind(Kind::Exit) => self.exit(&prefix(bytes)?),
            k if k == kind(Kind::DoExit) => {
                let r: record::Call = prefix(bytes)?;
                Fact::DoExit {
                    task: task(&r.task),
                    status: status(r.argument),
                }
            }
            k if k == kind(Kind::GroupExit) => {
                let r: record::Call = prefix(bytes)?;
                Fact::GroupExit {
                    task: task(&r.task),
                    status: status(r.argument),
                }
            }
            k if k == kind(Kind::ZapPidNs) => {
                let r: record::Call = prefix(bytes)?;
                Fact::ZapPidNs {
                    task: task(&r.task),
                    pidns: u32::try_from(r.argument).ok()?,
                }
            }
            k if k == kind(Kind::Release) || k == kind(Kind::Free) => {
                let r: record::Reap = prefix(bytes)?;
                let by = (k == kind(Kind::Release)).then_some(r.by);
                Fact::Reap {
                    key: key(r.tgid, r.start_ns),
                    by,
                }
            }
            _ => return None,
        };
        Some((BootTime(header.time_ns), fact))
    }

    fn signal(&mut self, r: &record::Signal, trace: Option<&record::Trace>) -> Fact {
        Fact::Signal(Box::new(Signal {
            number: r.number,
            code: code(r.info, r.code),
            info: info(r.info),
            detail: detail(r),
            pdeath_signal: r.pdeath_signal as i32,
            queues: (r.queued != record::NOT_COUNTED).then_some((r.queued, r.queue_limit)),
            to_process: r.group != 0,
            outcome: outcome(r.result),
            current: task(&r.current),
            target: task(&r.target),
            state: state(&r.state),
            ancestry: trace.map(ancestry).unwrap_or_default(),
            more_ancestors: trace.is_some_and(more_ancestors),
            places: Places::default(),
            stack: trace
                .map(|t| self.stack(&t.stack, t.frame_count))
                .unwrap_or_default(),
        }))
    }

    fn exit(&mut self, r: &record::Exit) -> Fact {
        Fact::Exit {
            task: task(&r.task),
            group_dead: r.group_dead != 0,
            status: r.status,
            signal_flags: r.signal_flags,
            pending: r.pending | r.shared_pending,
            pdeath_signal: r.pdeath_signal,
            ancestry: ancestry(&r.trace),
            stack: self.stack(&r.trace.stack, r.trace.frame_count),
        }
    }

    /// Named frames, without those of the programs that took the stack.
    fn stack(&mut self, addresses: &[u64], count: u32) -> Vec<Frame> {
        let count = (count as usize).min(addresses.len());
        let frames = addresses[..count].iter().map(|&address| Frame {
            address,
            function: self.functions.name(address),
        });
        let frames = frames.skip_while(|frame| frame.function.as_deref().is_some_and(is_ours));
        without_trampolines(frames)
    }
}

/// A function that is hooked at its return is called by the hook's trampoline, which it
/// calls itself at its entry: it stands on the stack twice, around that.
fn without_trampolines(frames: impl Iterator<Item = Frame>) -> Vec<Frame> {
    let mut stack: Vec<Frame> = Vec::new();
    for frame in frames {
        if let Some(function) = &frame.function {
            if function.starts_with("bpf_trampoline_") {
                continue;
            }
            let same = |other: &Frame| other.function.as_ref() == Some(function);
            match &stack[..] {
                [.., last] if same(last) => continue,
                // One that came after the names were read has none.
                [.., before, between] if between.function.is_none() && same(before) => {
                    stack.pop();
                    continue;
                }
                _ => {}
            }
        }
        stack.push(frame);
    }
    stack
}

/// What counted signals have in common.
pub fn like(key: &record::FoldKey) -> Like {
    Like {
        current: key.sender,
        target: key.target,
        thread: (key.thread != 0).then_some(key.thread),
        number: i32::from(key.number),
        code: code(u32::from(key.info), key.code),
        info: info(u32::from(key.info)),
        outcome: outcome(u32::from(key.result)),
        handler: match handler(u64::from(key.handler)) {
            Handler::User(_) => Handler::User(0),
            other => other,
        },
        signal_flags: key.signal_flags,
    }
}

/// A key of the counts that is about forks; `None`: it is about signals.
pub fn like_fork(key: &record::FoldKey) -> Option<fork::LikeFork> {
    (key.number == 0).then(|| fork::LikeFork {
        pid: key.sender,
        tid: key.thread,
        error: key.code,
        stage: stage(u32::from(key.result)),
        thread: match key.handler {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    })
}

fn stage(stage: u32) -> fork::Stage {
    match stage {
        record::STAGE_OTHER => fork::Stage::Other,
        record::STAGE_ALLOC_PID => fork::Stage::AllocPid,
        record::STAGE_PIDS => fork::Stage::Pids,
        _ => fork::Stage::Unknown,
    }
}

fn fork_rejected(r: &record::ForkRejected) -> fork::ForkRejected {
    /// `SCHED_DEADLINE`.
    const DEADLINE: u32 = 6;
    let known = r.nproc != record::NOT_COUNTED && r.nproc_limit != record::NOT_COUNTED;
    let names = r.groups.iter().map(|name| text(name));
    let names: Vec<String> = names.take_while(|name| !name.is_empty()).collect();
    fork::ForkRejected {
        current: task(&r.current),
        ancestry: ancestry(&r.trace),
        thread: (r.flags != record::NO_FLAGS).then_some(r.flags & CLONE_THREAD != 0),
        error: r.error,
        stage: stage(r.stage),
        sees_alloc_pid: r.sees & record::SEES_ALLOC_PID != 0,
        sees_pids: r.sees & record::SEES_PIDS != 0,
        nproc: known.then_some((r.nproc, r.nproc_limit)),
        nproc_exempt: r.nproc_exempt != 0,
        deadline: r.policy == DEADLINE,
        group: (r.pids_id != 0).then_some(fork::FullGroup {
            id: r.pids_id,
            whole: names.len() < record::PIDS_LEVELS,
            names,
            depth: r.pids_depth,
            count: r.pids_count,
            max: r.pids_max,
        }),
        ns: (r.ns_inum != 0).then_some(r.ns_inum),
        ns_dead: r.ns_dead != 0,
        full: (r.full_inum != 0).then_some(fork::FullNs {
            ns: r.full_inum,
            level: r.full_level,
            count: r.full_count,
            max: (r.full_max != 0).then_some(r.full_max),
        }),
        machine: None,
    }
}

/// `struct bpf_stack_build_id`: a status, the id, the offset.
fn build_id(bytes: &[u8; 32]) -> Option<Vec<u8>> {
    const VALID: [u8; 4] = 1i32.to_ne_bytes();
    let (status, rest) = bytes.split_at(4);
    let id = &rest[..20];
    // Shorter ones are filled up with zeros (`BUILD_ID_SIZE_MAX`).
    let end = id
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    (status == VALID && end > 0).then(|| id[..end.max(8)].to_vec())
}

fn fault(r: &record::Fault) -> Fault {
    let name = |bytes: &[u8; record::PATH_NAME]| {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        bytes[..end].to_vec()
    };
    let all: Vec<_> = r.names.iter().map(name).collect();
    // One that fills its place may be longer.
    let fits = |name: &&Vec<u8>| (1..record::PATH_NAME - 1).contains(&name.len());
    let known = all.iter().take_while(|name| fits(name) && *name != b"/");
    let names: Vec<_> = known.cloned().collect();
    let whole = all.get(names.len()).is_some_and(|name| name == b"/");
    let file = (r.inode != 0).then(|| MappedFile {
        whole,
        offset: MappedFile::offset_of(r.ip, r.start, r.page_offset),
        inode: r.inode,
        device: r.device,
        build_id: build_id(&r.build_id),
        names,
    });
    Fault {
        task: task(&r.task),
        ip: r.ip,
        mapping: (r.start != 0).then_some(Mapping {
            start: r.start,
            end: r.end,
            file,
        }),
    }
}

fn oom(r: &record::Oom) -> Oom {
    let end = r.levels.iter().position(|l| l.id == 0);
    let level =
        |l: &record::MemoryLevel| MemoryLevel::of_pages(l.id, text(&l.name), l.usage, l.max);
    Oom {
        trigger: task(&r.current),
        victim: task(&r.victim),
        mm: r.mm,
        choice: (r.constraint != record::NO_CONSTRAINT)
            .then(|| Oom::choice(r.limited, r.total, r.constraint)),
        whole: end.is_some(),
        levels: r.levels[..end.unwrap_or(record::OOM_LEVELS)]
            .iter()
            .map(level)
            .collect(),
    }
}

fn refused(r: &record::Refused) -> Option<Refused> {
    let call = [
        (record::SystemCall::Kill, Call::Kill),
        (record::SystemCall::Tkill, Call::Tkill),
        (record::SystemCall::Tgkill, Call::Tgkill),
        (record::SystemCall::RtSigqueueinfo, Call::Sigqueue),
        (record::SystemCall::RtTgsigqueueinfo, Call::ThreadSigqueue),
        (record::SystemCall::PidfdSendSignal, Call::Pidfd),
    ];
    let error = |returned: i32| returned.min(0).saturating_neg();
    let denial = &r.denial;
    Some(Refused {
        call: call.into_iter().find(|(of, _)| *of as u32 == r.call)?.1,
        error: error(r.returned),
        number: r.number,
        pid: r.pid,
        tid: r.tid,
        flags: r.flags,
        handed: match r.has_info {
            0 => Handed::Nothing,
            1 => Handed::Code(r.code),
            _ => Handed::Unreadable,
        },
        current: task(&r.current),
        creds: creds(&r.creds),
        ancestry: ancestry(&r.trace),
        more_ancestors: more_ancestors(&r.trace),
        at: Whereabouts {
            cgroups: r.current_at,
            origin: None,
        },
        denial: (denial.target.tgid != 0).then(|| Denial {
            target: task(&denial.target),
            creds: creds(&denial.creds),
            error: error(denial.error),
            by_module: denial.by_module != 0,
        }),
        counts: (r.counted != 0).then_some((r.refused, r.reached)),
        namesakes: None,
        profiles: None,
    })
}

fn creds(r: &record::Creds) -> Creds {
    Creds {
        uid: r.uid,
        euid: r.euid,
        suid: r.suid,
        cap_kill: r.cap_kill != 0,
        user_ns: r.user_ns,
        user_ns_level: r.user_ns_level,
    }
}

fn deliver(r: &record::Deliver) -> Fact {
    Fact::Deliver {
        task: task(&r.task),
        number: r.number,
        code: code(r.info, r.code),
        info: info(r.info),
        handler: handler(r.handler),
        signal_flags: r.signal_flags,
        group_exit_code: r.group_exit_code,
        traced: r.ptrace != 0,
        orphaned: match r.orphaned {
            record::ORPHANED => Some(true),
            record::NOT_ORPHANED => Some(false),
            _ => None,
        },
    }
}

fn resumed(r: &record::Ptrace) -> Resumed {
    let signal = |number: i64| {
        let number = i32::try_from(number).ok();
        number.filter(|number| (1..=64).contains(number))
    };
    // Before 5.19 that is a way of going on with SIGKILL, whatever else is given.
    let given = match r.request {
        PTRACE_KILL => Some(SIGKILL),
        _ => i64::try_from(r.data).ok().and_then(signal),
    };
    Resumed {
        tracer: task(&r.tracer),
        task: task(&r.task),
        request: r.request,
        stopped: signal(r.stopped.into()),
        given,
        ancestry: ancestry(&r.trace),
    }
}

fn task(r: &record::Task) -> Task {
    let levels = (r.level as usize).min(record::NS_LEVELS);
    let mut ns_pids = r.ns_pids[..levels].to_vec();
    let mut namespaces = r.ns_inums[..levels].to_vec();
    if r.level as usize > levels {
        // Its own namespace is one of those left out: what is said of the
        // last one known must not be said of it.
        ns_pids.push(0);
        namespaces.push(0);
    }
    Task {
        key: key(r.tgid, r.start_ns),
        tid: r.tid,
        ppid: r.ppid,
        uid: r.uid,
        flags: r.flags,
        comm: Comm(r.comm),
        ns_pids,
        namespaces,
        cgroup: (r.cgroup != 0).then_some(r.cgroup),
    }
}

fn ancestry(trace: &record::Trace) -> Vec<Ancestor> {
    let count = (trace.ancestor_count as usize).min(record::ANCESTORS);
    trace.ancestors[..count]
        .iter()
        .map(|a| Ancestor {
            key: key(a.tgid, a.start_ns),
            comm: Comm(a.comm),
        })
        .collect()
}

/// Somebody is behind the last ancestor that there was room for; the host's PID 1 and
/// kthreadd are behind everybody.
fn more_ancestors(trace: &record::Trace) -> bool {
    trace.ancestor_count as usize == record::ANCESTORS && trace.beyond > 2
}

/// Of a cgroup's folders. One that fills its room may be longer: what it says is not
/// known.
fn names(r: &record::Place) -> Vec<String> {
    let names = r.names.iter().map(|name| text(name));
    let whole = |name: String| match name.len() + 1 < record::PLACE_NAME {
        true => name,
        false => "…".to_owned(),
    };
    // The root has none.
    names
        .take_while(|name| !name.is_empty() && name != "/")
        .map(whole)
        .collect()
}

fn key(pid: u32, start_ns: u64) -> ProcessKey {
    ProcessKey { pid, start_ns }
}

/// The first bytes as a record. Copied, since a ring buffer's records are
/// aligned but a batch of them need not be.
fn prefix<T: FromBytes>(bytes: &[u8]) -> Option<T> {
    T::read_from_prefix(bytes).ok().map(|(record, _)| record)
}

/// Frames between the hook and the program that it runs.
fn is_ours(function: &str) -> bool {
    [
        "bpf_prog_",
        "bpf_trace_run",
        "__traceiter_",
        "__bpf_trace_",
        "bpf_trampoline_",
        "bpf_get_stack",
        "__bpf_prog_",
        "__bpf_tramp",
        "trace_call_bpf",
        "kprobe_",
        "kretprobe_",
        "__do_trace_",
        "ftrace_",
        "arch_rethook",
    ]
    .iter()
    .any(|prefix| function.starts_with(prefix))
}

/// What stands before the terminating zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// `long code` of do_exit: the status is its low half.
fn status(argument: u64) -> i32 {
    argument as u32 as i32
}

fn info(kind: u32) -> Info {
    match kind {
        0 => Info::None,
        1 => Info::Kernel,
        _ => Info::Full,
    }
}

const CLONE_THREAD: u64 = 0x1_0000;
const PTRACE_KILL: u32 = 8;
const SIGKILL: i32 = 9;
const SIGSYS: i32 = 31;
/// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV.
const FAULTS: [i32; 5] = [4, 5, 7, 8, 11];

/// The union behind `si_code`. Only the kernel may use positive codes, but a
/// process may towards itself, so this tells what is said, not who says it. With
/// SI_KERNEL (0x80) there is nothing in it: a general protection fault has no
/// address (`force_sig`).
fn detail(r: &record::Signal) -> Detail {
    if r.info == 1 && (r.si_pid, r.si_uid) != (0, 0) {
        let limit = |value: u32| (value != u32::MAX).then_some(value);
        return Detail::Limits {
            cpu_s: limit(r.si_pid),
            rt_us: limit(r.si_uid),
        };
    }
    if r.info != 2 || !(1..0x80).contains(&r.code) {
        return Detail::None;
    }
    match r.number {
        SIGSYS => Detail::SystemCall {
            number: r.si_pid,
            arch: r.si_uid,
        },
        number if FAULTS.contains(&number) => {
            Detail::Address(u64::from(r.si_uid) << 32 | u64::from(r.si_pid))
        }
        _ => Detail::None,
    }
}

/// What the target will find in `si_code` when there is no siginfo to read:
/// `SEND_SIG_PRIV` becomes SI_KERNEL, `SEND_SIG_NOINFO` SI_USER
/// (`__send_signal_locked`).
fn code(info: u32, code: i32) -> i32 {
    const SI_KERNEL: i32 = 0x80;
    match info {
        0 => 0,
        1 => SI_KERNEL,
        _ => code,
    }
}

fn outcome(result: u32) -> Outcome {
    match result {
        0 => Outcome::Delivered,
        1 => Outcome::Ignored,
        2 => Outcome::AlreadyPending,
        3 => Outcome::OverflowFail,
        _ => Outcome::LoseInfo,
    }
}

fn handler(address: u64) -> Handler {
    match address {
        0 => Handler::Default,
        1 => Handler::Ignore,
        2 => Handler::KernelThread,
        3 => Handler::KernelThreadKernel,
        user => Handler::User(user),
    }
}

/// Priorities below that are those of real time and deadlines, to which the quota of
/// fair scheduling does not apply (`include/linux/sched/prio.h`).
const MAX_RT_PRIO: i32 = 100;

fn state(r: &record::TargetState) -> TargetState {
    TargetState {
        handler: handler(r.handler),
        sa_flags: r.sa_flags,
        blocked: r.blocked,
        real_blocked: r.real_blocked,
        pending: r.pending,
        shared_pending: r.shared_pending,
        signal_flags: r.signal_flags,
        group_exit_code: r.group_exit_code,
        traced: r.ptrace != 0,
        state: r.state,
        exit_state: r.exit_state,
        threads: r.threads,
        threads_seen: r.threads_seen,
        threads_blocking: r.threads_blocking,
        threads_unable: r.threads_unable,
        dumping: r.dumping != 0,
        throttled: r.throttle_count != 0 && r.prio >= MAX_RT_PRIO,
    }
}

#[cfg(test)]
mod tests;
