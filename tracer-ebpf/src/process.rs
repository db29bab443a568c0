//! Processes: made (`sched_process_fork`), another program
//! (`sched_process_exec`), reaped (`release_task`, else the later
//! `sched_process_free`).

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext},
};
use sigtrace_common::record::{Exec, Fork, Kind, Placed, Reap};

use crate::{
    emit::{self, turn, First, Only, Second, Share, Third, Turn},
    filter,
    globals::{global, DEAD},
    mem::{current, pointer, pointer_if_known, Addr, Direct, Mem, Probe},
    task,
};

#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn raw_sched_process_fork(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Probe, Only>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn raw1_sched_process_fork(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Probe, First>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn raw2_sched_process_fork(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Probe, Second>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn raw3_sched_process_fork(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Probe, Third>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[btf_tracepoint(function = "sched_process_fork")]
pub fn btf_sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Direct, Only>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[btf_tracepoint(function = "sched_process_fork")]
pub fn btf1_sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Direct, First>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[btf_tracepoint(function = "sched_process_fork")]
pub fn btf2_sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Direct, Second>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[btf_tracepoint(function = "sched_process_fork")]
pub fn btf3_sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_fork.
    unsafe { fork::<Direct, Third>(ctx.arg::<u64>(0) as Addr, ctx.arg::<u64>(1) as Addr) }
}

#[inline(always)]
unsafe fn is_leader<M: Mem>(task: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        M::load::<u32>(task, global!(LAYOUT.task_pid))
            == M::load::<u32>(task, global!(LAYOUT.task_tgid))
    }
}

#[inline(always)]
unsafe fn fork<M: Mem, T: Turn>(parent: Addr, child: Addr) -> i32 {
    emit::in_turn::<T>(Kind::Fork, || {
        // SAFETY: the caller's duty.
        unsafe {
            // Threads are not reported: a process's signals tell how many it has.
            if !is_leader::<M>(child) {
                return 0;
            }
            filter::born::<M>(child);
            if !(filter::process::<M>(child)
                || global!(CONFIG.by_pid) != 0 && filter::process::<M>(parent))
            {
                return 0;
            }
            if !turn::<M, T>(Kind::Fork, child) {
                return 0;
            }
            let Some(mut entry) = emit::reserve_within::<Fork>(Kind::Fork, Share::Life) else {
                return 0;
            };
            let out = entry.as_mut_ptr();
            (*out).header = emit::header(Kind::Fork);
            task::fill::<M>(&raw mut (*out).parent, parent);
            task::fill::<M>(&raw mut (*out).child, child);
            entry.submit(0);
            0
        }
    })
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn raw_sched_process_exec(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Probe, Only>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn raw1_sched_process_exec(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Probe, First>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn raw2_sched_process_exec(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Probe, Second>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn raw3_sched_process_exec(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Probe, Third>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn btf_sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Direct, Only>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn btf1_sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Direct, First>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn btf2_sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Direct, Second>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn btf3_sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_exec.
    unsafe { exec::<Direct, Third>(ctx.arg::<u64>(0) as Addr, ctx.arg(1)) }
}

#[inline(always)]
unsafe fn exec<M: Mem, T: Turn>(task: Addr, old_pid: u32) -> i32 {
    emit::in_turn::<T>(Kind::Exec, || {
        // SAFETY: the caller's duty.
        unsafe {
            if !filter::process::<M>(task) || !turn::<M, T>(Kind::Exec, task) {
                return 0;
            }
            let Some(mut entry) = emit::reserve_within::<Exec>(Kind::Exec, Share::Life) else {
                return 0;
            };
            let out = entry.as_mut_ptr();
            (*out).header = emit::header(Kind::Exec);
            task::fill::<M>(&raw mut (*out).task, task);
            (*out).old_pid = old_pid;
            (*out).pad = 0;
            entry.submit(0);
            if global!(CONFIG.by_new_pidns) != 0 {
                placed::<M>(task);
            }
            0
        }
    })
}

/// Where the first process of a PID namespace is, and where the first programs of a
/// new cgroup are: read here, because all of it may be gone before the user side can
/// look.
#[inline(always)]
unsafe fn placed<M: Mem>(task: Addr) {
    // SAFETY: the caller's duty.
    unsafe {
        let leader = pointer::<M>(task, global!(LAYOUT.task_group_leader));
        let (id, new) = filter::cgroup_above::<M>(task);
        let first = filter::first_of::<Probe>(leader).is_some();
        if !(first || id != 0 && filter::to_be_placed(id)) {
            return;
        }
        let mut own = if new.is_null() {
            task::cgroup::<M>(task)
        } else {
            new
        };
        // In the root of the v2 hierarchy, whose name says nothing: where containers are
        // held by cgroup v1, that of the pids controller says it.
        if pointer_if_known::<Probe>(own, global!(LAYOUT.cgroup_parent)).is_null()
            && global!(CONFIG.css_set_pids) != 0
        {
            own = task::cgroup_v1::<M>(task);
        }
        let Some(mut entry) = emit::reserve::<Placed>(Kind::Placed) else {
            return;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::Placed);
        task::fill::<M>(&raw mut (*out).task, task);
        // `self` is the first member: a css's address is its cgroup's.
        let parent = pointer_if_known::<Probe>(own, global!(LAYOUT.cgroup_parent));
        task::cgroup_name(&raw mut (*out).cgroups[0], own);
        task::cgroup_name(&raw mut (*out).cgroups[1], parent);
        entry.submit(0);
    }
}

#[fentry(function = "release_task")]
pub fn fentry_release_task(ctx: FEntryContext) -> i32 {
    // SAFETY: release_task(struct task_struct *p).
    unsafe { release::<Direct, Only>(ctx.arg::<u64>(0) as Addr) }
}

#[fentry(function = "release_task")]
pub fn fentry1_release_task(ctx: FEntryContext) -> i32 {
    // SAFETY: release_task(struct task_struct *p).
    unsafe { release::<Direct, First>(ctx.arg::<u64>(0) as Addr) }
}

#[fentry(function = "release_task")]
pub fn fentry2_release_task(ctx: FEntryContext) -> i32 {
    // SAFETY: release_task(struct task_struct *p).
    unsafe { release::<Direct, Second>(ctx.arg::<u64>(0) as Addr) }
}

#[fentry(function = "release_task")]
pub fn fentry3_release_task(ctx: FEntryContext) -> i32 {
    // SAFETY: release_task(struct task_struct *p).
    unsafe { release::<Direct, Third>(ctx.arg::<u64>(0) as Addr) }
}

#[kprobe(function = "release_task")]
pub fn kprobe_release_task(ctx: ProbeContext) -> i32 {
    // SAFETY: release_task(struct task_struct *p).
    unsafe { release::<Probe, Only>(ctx.arg::<u64>(0).unwrap_or(0) as Addr) }
}

#[inline(always)]
unsafe fn release<M: Mem, T: Turn>(task: Addr) -> i32 {
    emit::in_turn::<T>(Kind::Release, || {
        // SAFETY: the caller's duty.
        unsafe {
            // The old leader that an exec by another thread leaves behind has lost
            // its id by now and so is no leader here.
            if !is_leader::<M>(task)
                || !filter::process::<M>(task)
                || !turn::<M, T>(Kind::Release, task)
            {
                return 0;
            }
            let by = Probe::load(current(), global!(LAYOUT.task_tgid));
            reap(
                Kind::Release,
                M::load(task, global!(LAYOUT.task_tgid)),
                M::load(task, global!(LAYOUT.task_start)),
                by,
            );
            filter::gone::<M>(task);
            0
        }
    })
}

#[raw_tracepoint(tracepoint = "sched_process_free")]
pub fn raw_sched_process_free(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of sched_process_free.
    unsafe {
        let task = ctx.arg::<u64>(0) as Addr;
        let tgid: u32 = Probe::load(task, global!(LAYOUT.task_tgid));
        // The pids are detached by now: that it counts was decided at its exit.
        let Some(&start) = DEAD.get(tgid) else {
            return 0;
        };
        let leader = pointer::<Probe>(task, global!(LAYOUT.task_group_leader));
        if !is_leader::<Probe>(task)
            || Probe::load::<u64>(leader, global!(LAYOUT.task_start)) != start
        {
            return 0;
        }
        let _ = DEAD.remove(tgid);
        reap(Kind::Free, tgid, start, 0);
        0
    }
}

#[inline(always)]
unsafe fn reap(kind: Kind, tgid: u32, start_ns: u64, by: u32) {
    if let Some(mut entry) = emit::reserve_within::<Reap>(kind, Share::Life) {
        // SAFETY: a reserved record.
        unsafe {
            let out = entry.as_mut_ptr();
            (*out).header = emit::header(kind);
            (*out).tgid = tgid;
            (*out).start_ns = start_ns;
            (*out).by = by;
        }
        entry.submit(0);
    }
}
