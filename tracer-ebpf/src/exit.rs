//! Deaths: `sched_process_exit` says that one is dead and with which status;
//! the entries of `do_exit`, `do_group_exit` and `zap_pid_ns_processes` say
//! how it began.

use core::ffi::c_void;

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext},
    EbpfContext,
};
use sigtrace_common::record::{Call, Exit, Kind};

use crate::{
    emit, filter,
    globals::{global, DEAD},
    mem::{current, pointer, Addr, Direct, Mem, Probe},
    task, trace,
};

const SIGNAL_GROUP_EXIT: u32 = 0x4;

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn raw_sched_process_exit(ctx: RawTracePointContext) -> i32 {
    // Older kernels have no second argument, and a program that reads beyond
    // the arguments cannot be attached: the verifier drops this branch there.
    let group_dead = if global!(CONFIG.exit_group_dead) != 0 {
        ctx.arg::<u64>(1) as u32 & 1
    } else {
        u32::MAX
    };
    // SAFETY: the arguments of sched_process_exit.
    unsafe { exit::<Probe>(ctx.as_ptr(), ctx.arg::<u64>(0) as Addr, group_dead) }
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn btf_sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let group_dead = if global!(CONFIG.exit_group_dead) != 0 {
        ctx.arg::<u64>(1) as u32 & 1
    } else {
        u32::MAX
    };
    // SAFETY: the arguments of sched_process_exit.
    unsafe { exit::<Direct>(ctx.as_ptr(), ctx.arg::<u64>(0) as Addr, group_dead) }
}

#[inline(always)]
unsafe fn exit<M: Mem>(ctx: *mut c_void, task: Addr, group_dead: u32) -> i32 {
    // SAFETY: the caller's duty.
    unsafe {
        if !filter::process::<M>(task) {
            return 0;
        }
        let signal = pointer::<M>(task, global!(LAYOUT.task_signal));
        let dead = if group_dead == u32::MAX {
            // `live` is counted down before the tracepoint: 0 for the last
            // thread, and for two that race; user space counts the first.
            u32::from(M::get::<i32>(signal, global!(LAYOUT.signal_live)) == 0)
        } else {
            group_dead
        };
        let tgid: u32 = M::get(task, global!(LAYOUT.task_tgid));
        if dead == 0 && tgid != M::get::<u32>(task, global!(LAYOUT.task_pid)) {
            return 0;
        }
        let leader = pointer::<M>(task, global!(LAYOUT.task_group_leader));
        if dead != 0 && global!(CONFIG.sees_release) == 0 {
            let start: u64 = M::get(leader, global!(LAYOUT.task_start));
            let _ = DEAD.insert(tgid, start, 0);
        }
        let Some(mut entry) = emit::reserve::<Exit>(Kind::Exit) else {
            return 0;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::Exit, emit::now());
        task::fill::<M>(&raw mut (*out).task, task);
        (*out).pending = M::get(task, global!(LAYOUT.task_pending));
        (*out).shared_pending = M::get(signal, global!(LAYOUT.signal_shared_pending));
        (*out).group_dead = dead;
        let flags: u32 = M::get(signal, global!(LAYOUT.signal_flags));
        (*out).signal_flags = flags;
        (*out).thread_status = M::get(task, global!(LAYOUT.task_exit_code));
        (*out).status = if flags & SIGNAL_GROUP_EXIT != 0 {
            M::get(signal, global!(LAYOUT.signal_group_exit_code))
        } else {
            M::get(leader, global!(LAYOUT.task_exit_code))
        };
        (*out).pdeath_signal = M::get(task, global!(LAYOUT.task_pdeath_signal));
        (*out).exit_signal = M::get(leader, global!(LAYOUT.task_exit_signal));
        trace::fill(&raw mut (*out).trace, ctx);
        entry.submit(0);
        0
    }
}

#[fentry(function = "do_exit")]
pub fn fentry_do_exit(ctx: FEntryContext) -> i32 {
    do_exit(ctx.arg(0))
}

#[kprobe(function = "do_exit")]
pub fn kprobe_do_exit(ctx: ProbeContext) -> i32 {
    do_exit(ctx.arg(0).unwrap_or(0))
}

fn do_exit(status: u64) -> i32 {
    let task = current();
    // SAFETY: the current task.
    unsafe {
        let leader = Probe::get::<u32>(task, global!(LAYOUT.task_pid))
            == Probe::get::<u32>(task, global!(LAYOUT.task_tgid));
        if leader && filter::process::<Probe>(task) {
            call(Kind::DoExit, task, status);
        }
    }
    0
}

#[fentry(function = "do_group_exit")]
pub fn fentry_do_group_exit(ctx: FEntryContext) -> i32 {
    do_group_exit(ctx.arg(0))
}

#[kprobe(function = "do_group_exit")]
pub fn kprobe_do_group_exit(ctx: ProbeContext) -> i32 {
    do_group_exit(ctx.arg(0).unwrap_or(0))
}

/// Only the thread that decides: once GROUP_EXIT is set, the others merely
/// follow.
fn do_group_exit(status: u64) -> i32 {
    let task = current();
    // SAFETY: the current task.
    unsafe {
        let signal = pointer::<Probe>(task, global!(LAYOUT.task_signal));
        let flags: u32 = Probe::get(signal, global!(LAYOUT.signal_flags));
        if flags & SIGNAL_GROUP_EXIT == 0 && filter::process::<Probe>(task) {
            call(Kind::GroupExit, task, status);
        }
    }
    0
}

#[fentry(function = "zap_pid_ns_processes")]
pub fn fentry_zap_pid_ns_processes(ctx: FEntryContext) -> i32 {
    zap(ctx.arg::<u64>(0) as Addr)
}

#[kprobe(function = "zap_pid_ns_processes")]
pub fn kprobe_zap_pid_ns_processes(ctx: ProbeContext) -> i32 {
    zap(ctx.arg::<u64>(0).unwrap_or(0) as Addr)
}

fn zap(pidns: Addr) -> i32 {
    let task = current();
    // SAFETY: the current task, and the argument of zap_pid_ns_processes.
    unsafe {
        if filter::process::<Probe>(task) {
            let inum: u32 = Probe::get(pidns, global!(LAYOUT.pidns_inum));
            call(Kind::ZapPidNs, task, u64::from(inum));
        }
    }
    0
}

#[inline(always)]
unsafe fn call(kind: Kind, task: Addr, argument: u64) {
    let Some(mut entry) = emit::reserve::<Call>(kind) else {
        return;
    };
    // SAFETY: a reserved record, and the current task.
    unsafe {
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(kind, emit::now());
        task::fill::<Probe>(&raw mut (*out).task, task);
        (*out).argument = argument;
    }
    entry.submit(0);
}
