//! Deaths: `sched_process_exit` says that one is dead and with which status;
//! the entries of `do_exit`, `do_group_exit` and `zap_pid_ns_processes` say
//! how it began.

use core::ffi::c_void;

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint, tracepoint},
    programs::{
        BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext, TracePointContext,
    },
    EbpfContext,
};
use sigtrace_common::record::{Call, Exit, Kind};

use crate::{
    emit::{self, turn, First, Only, Second, Share, Third, Turn},
    filter,
    globals::{global, DEAD},
    mem::{current, pointer, Addr, Direct, Mem, Probe},
    syscall, task, trace,
};

const SIGNAL_GROUP_EXIT: u32 = 0x4;
const SIGKILL: i32 = 9;
const PF_SIGNALED: u32 = 0x400;

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn raw_sched_process_exit(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Probe, Only>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            raw_group_dead(&ctx),
        )
    }
}

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn raw1_sched_process_exit(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Probe, First>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            raw_group_dead(&ctx),
        )
    }
}

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn raw2_sched_process_exit(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Probe, Second>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            raw_group_dead(&ctx),
        )
    }
}

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn raw3_sched_process_exit(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Probe, Third>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            raw_group_dead(&ctx),
        )
    }
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn btf_sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Direct, Only>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            btf_group_dead(&ctx),
        )
    }
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn btf1_sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Direct, First>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            btf_group_dead(&ctx),
        )
    }
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn btf2_sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Direct, Second>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            btf_group_dead(&ctx),
        )
    }
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn btf3_sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exit.
    unsafe {
        exit::<Direct, Third>(
            ctx.as_ptr(),
            ctx.arg::<u64>(0) as Addr,
            btf_group_dead(&ctx),
        )
    }
}

/// As an ordinary tracepoint's program, which runs with preemption off.
#[tracepoint(category = "sched", name = "sched_process_exit")]
pub fn tp_sched_process_exit(ctx: TracePointContext) -> i32 {
    // SAFETY: it is the current task that exits.
    unsafe { exit::<Probe, Only>(ctx.as_ptr(), current(), NO_ARGUMENT) }
}

/// The tracepoint has no such argument here.
const NO_ARGUMENT: u32 = u32::MAX;

/// Older kernels have no second argument, and a program that reads beyond the
/// arguments cannot be attached: the verifier drops the branch there.
#[inline(always)]
fn raw_group_dead(ctx: &RawTracePointContext) -> u32 {
    if global!(CONFIG.exit_group_dead) != 0 {
        ctx.arg::<u64>(1) as u32 & 1
    } else {
        NO_ARGUMENT
    }
}

/// The same for the other sort of program.
#[inline(always)]
fn btf_group_dead(ctx: &BtfTracePointContext) -> u32 {
    if global!(CONFIG.exit_group_dead) != 0 {
        ctx.arg::<u64>(1) as u32 & 1
    } else {
        NO_ARGUMENT
    }
}

#[inline(always)]
unsafe fn exit<M: Mem, T: Turn>(ctx: *mut c_void, task: Addr, group_dead: u32) -> i32 {
    emit::in_turn::<T>(Kind::Exit, || {
        // SAFETY: the caller's duty.
        unsafe {
            if !filter::process::<M>(task) {
                return 0;
            }
            let signal = pointer::<M>(task, global!(LAYOUT.task_signal));
            let dead = if group_dead == NO_ARGUMENT {
                // `live` is counted down before the tracepoint: 0 for the last
                // thread, and for two that race; user space counts the first.
                u32::from(M::load::<i32>(signal, global!(LAYOUT.signal_live)) == 0)
            } else {
                group_dead
            };
            let tgid: u32 = M::load(task, global!(LAYOUT.task_tgid));
            if dead == 0 && tgid != M::load::<u32>(task, global!(LAYOUT.task_pid)) {
                return 0;
            }
            if !turn::<M, T>(Kind::Exit, task) {
                return 0;
            }
            let leader = pointer::<M>(task, global!(LAYOUT.task_group_leader));
            if dead != 0 && global!(CONFIG.sees_release) == 0 {
                let start: u64 = M::load(leader, global!(LAYOUT.task_start));
                let _ = DEAD.insert(tgid, start, 0);
            }
            let Some(mut entry) = emit::reserve::<Exit>(Kind::Exit) else {
                return 0;
            };
            let out = entry.as_mut_ptr();
            (*out).header = emit::header(Kind::Exit);
            task::fill::<M>(&raw mut (*out).task, task);
            (*out).pending = M::load(task, global!(LAYOUT.task_pending));
            (*out).shared_pending = M::load(signal, global!(LAYOUT.signal_shared_pending));
            (*out).group_dead = dead;
            let flags: u32 = M::load(signal, global!(LAYOUT.signal_flags));
            (*out).signal_flags = flags;
            (*out).thread_status = M::load(task, global!(LAYOUT.task_exit_code));
            (*out).status = if flags & SIGNAL_GROUP_EXIT != 0 {
                M::load(signal, global!(LAYOUT.signal_group_exit_code))
            } else {
                M::load(leader, global!(LAYOUT.task_exit_code))
            };
            (*out).pdeath_signal = M::get(task, global!(LAYOUT.task_pdeath_signal));
            (*out).exit_signal = M::get(leader, global!(LAYOUT.task_exit_signal));
            // Of its ancestors only the parent, who has to reap it. A thread that
            // a signal ends (`get_signal` marks it) got here by that signal, which
            // has brought its own stack: when hundreds are killed at once, less work
            // here is fewer misses. Without the mark the kernel ended it on the spot.
            let signalled = (*out).task.flags & PF_SIGNALED != 0;
            let killed =
                flags & SIGNAL_GROUP_EXIT != 0 && (*out).status & 0x7f == SIGKILL && signalled;
            ((*out).call_number, (*out).call_arch) = if (*out).status & 0x7f != 0 && !signalled {
                syscall::of(task)
            } else {
                (0, 0)
            };
            if killed {
                trace::fill::<Probe, 1>(&raw mut (*out).trace, None);
            } else {
                trace::fill::<Probe, 1>(&raw mut (*out).trace, Some(ctx));
            }
            entry.submit(0);
            0
        }
    })
}

#[fentry(function = "do_exit")]
pub fn fentry_do_exit(ctx: FEntryContext) -> i32 {
    do_exit::<Only>(ctx.arg(0))
}

#[fentry(function = "do_exit")]
pub fn fentry1_do_exit(ctx: FEntryContext) -> i32 {
    do_exit::<First>(ctx.arg(0))
}

#[fentry(function = "do_exit")]
pub fn fentry2_do_exit(ctx: FEntryContext) -> i32 {
    do_exit::<Second>(ctx.arg(0))
}

#[fentry(function = "do_exit")]
pub fn fentry3_do_exit(ctx: FEntryContext) -> i32 {
    do_exit::<Third>(ctx.arg(0))
}

#[kprobe(function = "do_exit")]
pub fn kprobe_do_exit(ctx: ProbeContext) -> i32 {
    do_exit::<Only>(ctx.arg(0).unwrap_or(0))
}

#[inline(always)]
fn do_exit<T: Turn>(status: u64) -> i32 {
    emit::in_turn::<T>(Kind::DoExit, || {
        let task = current();
        // SAFETY: the current task.
        unsafe {
            let leader = Probe::load::<u32>(task, global!(LAYOUT.task_pid))
                == Probe::load::<u32>(task, global!(LAYOUT.task_tgid));
            if leader && filter::process::<Probe>(task) {
                call::<T>(Kind::DoExit, task, status);
            }
        }
        0
    })
}

#[fentry(function = "do_group_exit")]
pub fn fentry_do_group_exit(ctx: FEntryContext) -> i32 {
    do_group_exit::<Only>(ctx.arg(0))
}

#[fentry(function = "do_group_exit")]
pub fn fentry1_do_group_exit(ctx: FEntryContext) -> i32 {
    do_group_exit::<First>(ctx.arg(0))
}

#[fentry(function = "do_group_exit")]
pub fn fentry2_do_group_exit(ctx: FEntryContext) -> i32 {
    do_group_exit::<Second>(ctx.arg(0))
}

#[fentry(function = "do_group_exit")]
pub fn fentry3_do_group_exit(ctx: FEntryContext) -> i32 {
    do_group_exit::<Third>(ctx.arg(0))
}

#[kprobe(function = "do_group_exit")]
pub fn kprobe_do_group_exit(ctx: ProbeContext) -> i32 {
    do_group_exit::<Only>(ctx.arg(0).unwrap_or(0))
}

/// Only the thread that decides: once GROUP_EXIT is set, the others merely
/// follow.
#[inline(always)]
fn do_group_exit<T: Turn>(status: u64) -> i32 {
    emit::in_turn::<T>(Kind::GroupExit, || {
        let task = current();
        // SAFETY: the current task.
        unsafe {
            let signal = pointer::<Probe>(task, global!(LAYOUT.task_signal));
            let flags: u32 = Probe::load(signal, global!(LAYOUT.signal_flags));
            if flags & SIGNAL_GROUP_EXIT == 0 && filter::process::<Probe>(task) {
                call::<T>(Kind::GroupExit, task, status);
            }
        }
        0
    })
}

#[fentry(function = "zap_pid_ns_processes")]
pub fn fentry_zap_pid_ns_processes(ctx: FEntryContext) -> i32 {
    zap::<Only>(ctx.arg::<u64>(0) as Addr)
}

#[fentry(function = "zap_pid_ns_processes")]
pub fn fentry1_zap_pid_ns_processes(ctx: FEntryContext) -> i32 {
    zap::<First>(ctx.arg::<u64>(0) as Addr)
}

#[fentry(function = "zap_pid_ns_processes")]
pub fn fentry2_zap_pid_ns_processes(ctx: FEntryContext) -> i32 {
    zap::<Second>(ctx.arg::<u64>(0) as Addr)
}

#[fentry(function = "zap_pid_ns_processes")]
pub fn fentry3_zap_pid_ns_processes(ctx: FEntryContext) -> i32 {
    zap::<Third>(ctx.arg::<u64>(0) as Addr)
}

#[kprobe(function = "zap_pid_ns_processes")]
pub fn kprobe_zap_pid_ns_processes(ctx: ProbeContext) -> i32 {
    zap::<Only>(ctx.arg::<u64>(0).unwrap_or(0) as Addr)
}

#[inline(always)]
fn zap<T: Turn>(pidns: Addr) -> i32 {
    emit::in_turn::<T>(Kind::ZapPidNs, || {
        let task = current();
        // SAFETY: the current task, and the argument of zap_pid_ns_processes.
        unsafe {
            if filter::process::<Probe>(task) {
                let inum: u32 = Probe::load(pidns, global!(LAYOUT.pidns_inum));
                call::<T>(Kind::ZapPidNs, task, u64::from(inum));
            }
        }
        0
    })
}

#[inline(always)]
unsafe fn call<T: Turn>(kind: Kind, task: Addr, argument: u64) {
    // SAFETY: the current task.
    if unsafe { !turn::<Probe, T>(kind, task) } {
        return;
    }
    let share = match kind {
        Kind::ZapPidNs => Share::Death,
        _ => Share::Life,
    };
    let Some(mut entry) = emit::reserve_within::<Call>(kind, share) else {
        return;
    };
    // SAFETY: a reserved record, and the current task.
    unsafe {
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(kind);
        task::fill::<Probe>(&raw mut (*out).task, task);
        (*out).argument = argument;
    }
    entry.submit(0);
}
