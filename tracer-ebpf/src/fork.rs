//! Forks that the kernel rejects for want of something: a place among the tasks of a
//! control group or of a user, a pid, memory. No process comes of them, so
//! `sched_process_fork` never does.
//!
//! `copy_process` is looked at when it returns, with `alloc_pid` and `pids_can_fork`
//! inside it, which tell what was wanting: with fexit, whose programs have nothing to
//! do as long as all goes well, or with kprobes, which note how far it came. No other
//! system call is touched. Where functions cannot be hooked, and refused calls were
//! asked for, `sys_exit` (in `refused`) tells that a fork failed, and the numbers of
//! that moment why.

use core::ptr::null;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_probe_read_user},
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use sigtrace_common::{
    layout::ABSENT,
    record::{
        FoldKey, ForkRejected, Kind, ANCESTORS, CGROUP_NAME, NOT_COUNTED, NO_FLAGS, PIDS_LEVELS,
        SEES_FORKS, STAGE_ALLOC_PID, STAGE_OTHER, STAGE_PIDS, STAGE_UNKNOWN,
    },
};

use crate::{
    emit::{self, Share},
    filter, fold,
    globals::{global, FORKING},
    mem::{current, pointer, pointer_if_known, Addr, Mem, Probe},
    task, trace,
};

const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const RLIMIT_NPROC: u32 = 6;
const CAP_SYS_ADMIN: u64 = 21;
const CAP_SYS_RESOURCE: u64 = 24;
const CLONE_VM: u64 = 0x100;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
/// Bit in `pid_allocated`: the namespace takes new processes (`PIDNS_ADDING`).
const ADDING: u32 = 1 << 31;
/// Pids below are given once only (`RESERVED_PIDS`).
const RESERVED: u32 = 300;
/// So far up the trees of control groups and namespaces is looked.
const LEVELS: usize = 16;
/// `ERR_PTR` of the largest errno.
const ERRORS: u64 = -4095i64 as u64;
const CLONE: u64 = 56;
const FORK: u64 = 57;
const VFORK: u64 = 58;
const CLONE3: u64 = 435;

/// What is known of a fork before `copy_process` returns.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Forking {
    flags: u64,
    /// The `css_set` that `pids_can_fork` was asked about; 0: the current task's.
    set: u64,
    /// The `pid_namespace` that `alloc_pid` was asked for.
    ns: u64,
    pids: Level,
    full: Level,
    stage: u32,
    pad: u32,
}

/// A level of a tree whose limit is reached.
#[derive(Clone, Copy)]
#[repr(C)]
struct Level {
    /// Of its `cgroup_subsys_state` or `pid_namespace`; 0: there is none.
    at: u64,
    count: u64,
    max: u64,
    depth: u64,
}

const NONE: Level = Level {
    at: 0,
    count: 0,
    max: 0,
    depth: 0,
};

const NOTHING: Forking = Forking {
    flags: NO_FLAGS,
    set: 0,
    ns: 0,
    pids: NONE,
    full: NONE,
    stage: STAGE_OTHER,
    pad: 0,
};

#[fexit(function = "copy_process")]
pub fn fexit_copy_process(ctx: FExitContext) -> i32 {
    // copy_process(struct pid *pid, int trace, int node, struct kernel_clone_args *args)
    let returned: u64 = ctx.arg(4);
    if returned < ERRORS {
        return 0;
    }
    // SAFETY: the function's argument.
    let flags = unsafe { flags(ctx.arg::<u64>(3)) };
    failed(returned.wrapping_neg() as i32, flags, true)
}

#[fexit(function = "alloc_pid")]
pub fn fexit_alloc_pid(ctx: FExitContext) -> i32 {
    // alloc_pid(struct pid_namespace *ns, pid_t *set_tid, size_t set_tid_size)
    let returned: u64 = ctx.arg(3);
    if returned < ERRORS {
        return 0;
    }
    let ns = ctx.arg::<u64>(0);
    let full = full(ns as Addr);
    noted(Forking {
        ns,
        full,
        stage: STAGE_ALLOC_PID,
        ..NOTHING
    })
}

#[fexit(function = "pids_can_fork")]
pub fn fexit_pids_can_fork(ctx: FExitContext) -> i32 {
    // pids_can_fork(struct task_struct *task, struct css_set *cset)
    let returned: i32 = ctx.arg(2);
    if returned == 0 {
        return 0;
    }
    let set = ctx.arg::<u64>(1);
    let pids = reached(set);
    noted(Forking {
        set,
        pids,
        stage: STAGE_PIDS,
        ..NOTHING
    })
}

#[kprobe(function = "copy_process")]
pub fn kprobe_copy_process(ctx: ProbeContext) -> i32 {
    // SAFETY: the function's argument.
    let flags = unsafe { flags(ctx.arg::<u64>(3).unwrap_or(0)) };
    noted(Forking { flags, ..NOTHING })
}

/// Beyond here nothing but `pids_can_fork` fails with EAGAIN.
#[kprobe(function = "alloc_pid")]
pub fn kprobe_alloc_pid(ctx: ProbeContext) -> i32 {
    if let Some(forking) = FORKING.get_ptr_mut(bpf_get_current_pid_tgid()) {
        // SAFETY: this thread's own.
        unsafe {
            (*forking).ns = ctx.arg::<u64>(0).unwrap_or(0);
            (*forking).stage = STAGE_ALLOC_PID;
        }
    }
    0
}

#[kprobe(function = "pids_can_fork")]
pub fn kprobe_pids_can_fork(ctx: ProbeContext) -> i32 {
    if let Some(forking) = FORKING.get_ptr_mut(bpf_get_current_pid_tgid()) {
        // SAFETY: this thread's own.
        unsafe {
            (*forking).set = ctx.arg::<u64>(1).unwrap_or(0);
            (*forking).stage = STAGE_PIDS;
        }
    }
    0
}

#[kretprobe(function = "copy_process")]
pub fn kretprobe_copy_process(ctx: RetProbeContext) -> i32 {
    let returned: u64 = ctx.ret();
    if returned < ERRORS {
        let _ = FORKING.remove(bpf_get_current_pid_tgid());
        return 0;
    }
    failed(returned.wrapping_neg() as i32, NO_FLAGS, true)
}

/// The system calls that make processes and threads, of x86-64.
#[inline(always)]
pub(crate) fn is_call(number: u64) -> bool {
    (CLONE..=VFORK).contains(&number) || number == CLONE3
}

/// One of them has failed.
///
/// # Safety
/// `regs` must point to its registers.
#[inline(always)]
pub(crate) unsafe fn failed_call(number: u64, regs: Addr, returned: i32) -> i32 {
    if global!(CONFIG.fork_sees) & SEES_FORKS != 0 {
        return 0;
    }
    // SAFETY: the caller's duty; addresses of user space are only read by the helper.
    let flags = unsafe {
        let first: u64 = Probe::get(regs, global!(LAYOUT.regs_first));
        if number == CLONE {
            first
        } else if number == CLONE3 {
            let mut flags = 0u64;
            if bpf_probe_read_user((&raw mut flags).cast(), 8, first as *const _) == 0 {
                flags
            } else {
                NO_FLAGS
            }
        } else if number == FORK {
            0
        } else {
            CLONE_VM | CLONE_VFORK
        }
    };
    failed(-returned, flags, false)
}

#[inline(always)]
unsafe fn flags(args: u64) -> u64 {
    if global!(LAYOUT.clone_flags) == ABSENT {
        return NO_FLAGS;
    }
    // SAFETY: the caller's duty.
    unsafe { Probe::get(args as Addr, global!(LAYOUT.clone_flags)) }
}

#[inline(always)]
fn noted(forking: Forking) -> i32 {
    let _ = FORKING.insert(bpf_get_current_pid_tgid(), forking, 0);
    0
}

/// The nearest control group of a `css_set` whose limit of tasks is reached, as
/// `pids_try_charge` goes up: not to the root, which has none.
#[inline(never)]
fn reached(set: u64) -> Level {
    let mut found = NONE;
    if global!(CONFIG.css_set_pids) == 0
        || global!(LAYOUT.pids_counter) == ABSENT
        || global!(LAYOUT.pids_limit) == ABSENT
        || global!(LAYOUT.css_parent) == ABSENT
    {
        return found;
    }
    // SAFETY: addresses are only read by the helper.
    unsafe {
        let set = if set == 0 {
            pointer_if_known::<Probe>(current(), global!(LAYOUT.task_cgroups))
        } else {
            set as Addr
        };
        let mut css = pointer::<Probe>(set, global!(CONFIG.css_set_pids));
        let mut depth = 0;
        while depth < LEVELS as u64 {
            let pids = css.wrapping_sub(global!(LAYOUT.pids_css) as usize);
            let parent = pointer_if_known::<Probe>(css, global!(LAYOUT.css_parent));
            let count: u64 = Probe::get(pids, global!(LAYOUT.pids_counter));
            let max: u64 = Probe::get(pids, global!(LAYOUT.pids_limit));
            if parent.is_null() {
                break;
            }
            if count >= max {
                found = Level {
                    at: css as u64,
                    count,
                    max,
                    depth,
                };
                break;
            }
            css = parent;
            depth += 1;
        }
    }
    found
}

/// The nearest PID namespace that is full, as far as that can be told: where each has
/// its own limit, or else the host's, which has all pids.
#[inline(never)]
fn full(ns: Addr) -> Level {
    let mut found = NONE;
    if global!(LAYOUT.pidns_allocated) == ABSENT || global!(LAYOUT.pidns_parent) == ABSENT {
        return found;
    }
    // SAFETY: addresses are only read by the helper.
    unsafe {
        let mut at = ns;
        let mut i = 0;
        while i < LEVELS {
            if at.is_null() {
                break;
            }
            let parent = pointer_if_known::<Probe>(at, global!(LAYOUT.pidns_parent));
            let count = Probe::get::<u32>(at, global!(LAYOUT.pidns_allocated)) & !ADDING;
            let max: u32 = Probe::get(at, global!(LAYOUT.pidns_max));
            let level: u32 = Probe::get(at, global!(LAYOUT.pidns_level));
            let last = max == 0 && parent.is_null();
            if last || max != 0 && count.wrapping_add(RESERVED) >= max {
                found = Level {
                    at: at as u64,
                    count: u64::from(count),
                    max: u64::from(max),
                    depth: u64::from(level),
                };
                break;
            }
            at = parent;
            i += 1;
        }
    }
    found
}

/// A fork has failed. `seen`: by `copy_process`, so that the functions inside it would
/// have been seen.
#[inline(never)]
fn failed(error: i32, flags: u64, seen: bool) -> i32 {
    let key = bpf_get_current_pid_tgid();
    // SAFETY: the value is copied at once.
    let noted = unsafe { FORKING.get(key).copied() };
    if noted.is_some() {
        let _ = FORKING.remove(key);
    }
    if error != EAGAIN && error != ENOMEM {
        return 0;
    }
    let noted = noted.unwrap_or(NOTHING);
    let stage = if seen { noted.stage } else { STAGE_UNKNOWN };
    let flags = if flags == NO_FLAGS {
        noted.flags
    } else {
        flags
    };
    // SAFETY: the current task; addresses are only read by the helper.
    unsafe {
        let task = current();
        let ns = for_children(task, flags);
        if !filter::process::<Probe>(task) && !filter::namespace(ns_inum(ns)) {
            return 0;
        }
        let kind = if flags == NO_FLAGS {
            2
        } else {
            u8::from(flags & CLONE_THREAD != 0)
        };
        let like = FoldKey {
            sender: (key >> 32) as u32,
            target: (key >> 32) as u32,
            thread: key as u32,
            code: error,
            signal_flags: 0,
            number: 0,
            result: stage as u8,
            handler: kind,
            info: 0,
        };
        if fold::fold_fork(emit::now(), &like) {
            return 0;
        }
        let Some(mut entry) = emit::reserve_within::<ForkRejected>(Kind::ForkRejected, Share::Life)
        else {
            return 0;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::ForkRejected);
        task::fill::<Probe>(&raw mut (*out).current, task);
        (*out).flags = flags;
        (*out).error = error;
        (*out).stage = stage;
        (*out).sees = if seen { global!(CONFIG.fork_sees) } else { 0 };
        (*out).policy = Probe::get(task, global!(LAYOUT.task_policy));
        let pids = if noted.pids.at == 0 {
            reached(noted.set)
        } else {
            noted.pids
        };
        groups(out, &pids);
        let full = if noted.full.at == 0 {
            full(ns)
        } else {
            noted.full
        };
        namespaces(out, ns, &full);
        processes(out, task);
        trace::fill::<Probe, ANCESTORS>(&raw mut (*out).trace, None);
        entry.submit(0);
        0
    }
}

/// The PID namespace that a new process would be in; null: one of its own.
#[inline(always)]
unsafe fn for_children(task: Addr, flags: u64) -> Addr {
    if global!(LAYOUT.nsproxy_children) == ABSENT || flags != NO_FLAGS && flags & CLONE_NEWPID != 0
    {
        return null();
    }
    // SAFETY: the caller's duty.
    unsafe {
        let proxy = pointer_if_known::<Probe>(task, global!(LAYOUT.task_nsproxy));
        pointer_if_known::<Probe>(proxy, global!(LAYOUT.nsproxy_children))
    }
}

#[inline(always)]
unsafe fn ns_inum(ns: Addr) -> u32 {
    // SAFETY: the caller's duty.
    unsafe { Probe::load(ns, global!(LAYOUT.pidns_inum)) }
}

#[inline(always)]
unsafe fn groups(out: *mut ForkRejected, pids: &Level) {
    // SAFETY: the caller's duty; addresses are only read by the helper.
    unsafe {
        let mut css = pids.at as Addr;
        let cgroup = pointer_if_known::<Probe>(css, global!(LAYOUT.css_cgroup));
        (*out).pids_id = task::cgroup_id(cgroup);
        (*out).pids_count = pids.count;
        (*out).pids_max = pids.max;
        (*out).pids_depth = pids.depth as u32;
        let names = (&raw mut (*out).groups).cast::<[u8; CGROUP_NAME]>();
        let mut i = 0;
        while i < PIDS_LEVELS {
            let cgroup = pointer_if_known::<Probe>(css, global!(LAYOUT.css_cgroup));
            task::cgroup_name(names.add(i), cgroup);
            css = pointer_if_known::<Probe>(css, global!(LAYOUT.css_parent));
            i += 1;
        }
    }
}

#[inline(always)]
unsafe fn namespaces(out: *mut ForkRejected, ns: Addr, full: &Level) {
    // SAFETY: the caller's duty; addresses are only read by the helper.
    unsafe {
        let allocated: u32 = Probe::get(ns, global!(LAYOUT.pidns_allocated));
        (*out).ns_inum = ns_inum(ns);
        (*out).ns_dead = u32::from(!ns.is_null() && allocated & ADDING == 0);
        (*out).full_inum = ns_inum(full.at as Addr);
        (*out).full_level = full.depth as u32;
        (*out).full_count = full.count as u32;
        (*out).full_max = full.max as u32;
    }
}

/// How many processes its user has.
#[inline(always)]
unsafe fn processes(out: *mut ForkRejected, task: Addr) {
    // SAFETY: the caller's duty; addresses are only read by the helper.
    unsafe {
        (*out).nproc = NOT_COUNTED;
        (*out).nproc_limit = NOT_COUNTED;
        (*out).nproc_exempt = 0;
        if global!(LAYOUT.signal_rlim) == ABSENT {
            return;
        }
        let signal = pointer::<Probe>(task, global!(LAYOUT.task_signal));
        let real = pointer::<Probe>(task, global!(LAYOUT.task_real_cred));
        // `rlim_cur` is the first of two.
        let limit = global!(LAYOUT.signal_rlim) + RLIMIT_NPROC * 16;
        (*out).nproc_limit = Probe::get(signal, limit);
        let which = global!(LAYOUT.ucounts_nproc);
        if which != ABSENT && global!(LAYOUT.cred_ucounts) != ABSENT {
            let counts = pointer_if_known::<Probe>(real, global!(LAYOUT.cred_ucounts));
            (*out).nproc = Probe::get(counts, global!(LAYOUT.ucounts_rlimit) + 8 * which);
        } else if global!(LAYOUT.user_processes) != ABSENT {
            let user = pointer_if_known::<Probe>(real, global!(LAYOUT.cred_user));
            (*out).nproc = u64::from(Probe::get::<u32>(user, global!(LAYOUT.user_processes)));
        }
        let cred = pointer_if_known::<Probe>(task, global!(LAYOUT.task_cred));
        let able: u64 = Probe::get(cred, global!(LAYOUT.cred_cap_effective));
        let user_ns = pointer_if_known::<Probe>(cred, global!(LAYOUT.cred_user_ns));
        let nested: u32 = Probe::get(user_ns, global!(LAYOUT.userns_level));
        let able = nested == 0 && able & (1 << CAP_SYS_ADMIN | 1 << CAP_SYS_RESOURCE) != 0;
        let uid: u32 = Probe::load(real, global!(LAYOUT.cred_uid));
        (*out).nproc_exempt = u32::from(uid == 0 || able);
    }
}
