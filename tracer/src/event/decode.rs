//! From the kernel side's records to facts. Total: any bytes give a fact or
//! `None`, never a panic.
//!
//! Names of kernel functions come from the caller, so that this file needs no
//! kernel.

use std::sync::Arc;

use sigtrace_common::record::{self, Kind};
use zerocopy::FromBytes;

use self::{
    rare::{fault, fork_rejected, oom, refused, resumed, stage},
    signal::{code, deliver, detail, handler, info, outcome, state},
};
use super::{
    fork, Ancestor, BootTime, Comm, Detail, Fact, Frame, Handler, Levels, Like, Places, ProcessKey,
    Signal, Task,
};

/// Names the function that an address of the kernel lies in.
pub trait Functions {
    /// Without what the compiler puts behind it (`.part.0`, `.cold`); `None` where symbols
    /// are hidden or the address is unknown.
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
                    let signal = Arc::make_mut(signal);
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
        Fact::Signal(Arc::new(Signal {
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
            call: match r.call_arch {
                0 => Detail::None,
                arch => Detail::SystemCall {
                    number: r.call_number,
                    arch,
                },
            },
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

fn task(r: &record::Task) -> Task {
    let levels = (r.level as usize).min(record::NS_LEVELS);
    let mut ns_pids = Levels::from_slice(&r.ns_pids[..levels]);
    let mut namespaces = Levels::from_slice(&r.ns_inums[..levels]);
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

mod rare;
mod signal;
#[cfg(test)]
mod tests;
