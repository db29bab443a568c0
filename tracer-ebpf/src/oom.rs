//! Lack of memory: whom the OOM killer has chosen, whose limit that was, and
//! what the control groups used at that moment. Where `oom_kill_process` cannot
//! be hooked, the SIGKILL that follows brings what of that can be known then.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use sigtrace_common::{
    layout::ABSENT,
    record::{Kind, MemoryLevel, Oom, NO_CONSTRAINT, OOM_LEVELS},
};

use crate::{
    emit,
    globals::global,
    mem::{current, pointer, pointer_if_known, Addr, Mem, Probe},
    siginfo::BY_KERNEL,
    task,
};

const PF_EXITING: u32 = 0x4;

#[fentry(function = "oom_kill_process")]
pub fn fentry_oom_kill_process(ctx: FEntryContext) -> i32 {
    // SAFETY: oom_kill_process(struct oom_control *oc, const char *message).
    unsafe { chosen(ctx.arg::<u64>(0) as Addr) }
}

#[kprobe(function = "oom_kill_process")]
pub fn kprobe_oom_kill_process(ctx: ProbeContext) -> i32 {
    // SAFETY: oom_kill_process(struct oom_control *oc, const char *message).
    unsafe { chosen(ctx.arg::<u64>(0).unwrap_or(0) as Addr) }
}

/// Not filtered: it is rare, and whom it ends beside the chosen one is not known
/// yet.
#[inline(always)]
unsafe fn chosen(oc: Addr) -> i32 {
    // SAFETY: the caller's duty.
    unsafe {
        let Some(mut entry) = emit::reserve::<Oom>(Kind::Oom) else {
            return 0;
        };
        let out = entry.as_mut_ptr();
        fill(
            out,
            pointer_if_known::<Probe>(oc, global!(LAYOUT.oom_chosen)),
        );
        let memcg = pointer_if_known::<Probe>(oc, global!(LAYOUT.oom_memcg));
        if !memcg.is_null() {
            let css = memcg.wrapping_add(global!(LAYOUT.memcg_css) as usize);
            let cgroup = pointer_if_known::<Probe>(css, global!(LAYOUT.css_cgroup));
            (*out).limited = task::cgroup_id(cgroup);
        }
        (*out).total = Probe::get(oc, global!(LAYOUT.oom_total));
        (*out).constraint = Probe::get(oc, global!(LAYOUT.oom_constraint));
        entry.submit(0);
        0
    }
}

/// A SIGKILL of the kernel itself may be the OOM killer's. Not that of a dying
/// PID 1, which kills many.
///
/// # Safety
/// `target` must point to a `task_struct`; `info` is [`Info::kind`](crate::siginfo::Info::kind).
#[inline(always)]
pub(crate) unsafe fn before_sigkill(target: Addr, info: u32) {
    // SAFETY: the caller's duty.
    unsafe {
        let flags: u32 = Probe::load(current(), global!(LAYOUT.task_flags));
        if info != BY_KERNEL || flags & PF_EXITING != 0 {
            return;
        }
        let Some(mut entry) = emit::reserve::<Oom>(Kind::Oom) else {
            return;
        };
        fill(entry.as_mut_ptr(), target);
        entry.submit(0);
    }
}

#[inline(always)]
unsafe fn fill(out: *mut Oom, victim: Addr) {
    // SAFETY: the caller's duty.
    unsafe {
        (*out).header = emit::header(Kind::Oom);
        task::fill::<Probe>(&raw mut (*out).current, current());
        task::fill::<Probe>(&raw mut (*out).victim, victim);
        (*out).mm = Probe::get(victim, global!(LAYOUT.task_mm));
        (*out).limited = 0;
        (*out).total = 0;
        (*out).constraint = NO_CONSTRAINT;
        (*out).pad = 0;
        levels((&raw mut (*out).levels).cast(), victim);
    }
}

/// The control groups whose limits hold for a task, its own first; zeros behind
/// the last. Without a way out in the middle, which the verifier of old kernels
/// would follow from every step to the end of the program.
#[inline(always)]
unsafe fn levels(out: *mut MemoryLevel, task: Addr) {
    // SAFETY: the caller's duty; addresses are only read by the helper.
    unsafe {
        let mut css = if global!(LAYOUT.memory_cgrp_id) == ABSENT
            || global!(LAYOUT.css_set_subsys) == ABSENT
        {
            core::ptr::null()
        } else {
            let set = pointer_if_known::<Probe>(task, global!(LAYOUT.task_cgroups));
            let at = global!(LAYOUT.css_set_subsys) + 8 * global!(LAYOUT.memory_cgrp_id);
            pointer::<Probe>(set, at)
        };
        let mut i = 0;
        while i < OOM_LEVELS {
            let level = out.add(i);
            let cgroup = pointer_if_known::<Probe>(css, global!(LAYOUT.css_cgroup));
            let memcg = css.wrapping_sub(global!(LAYOUT.memcg_css) as usize);
            (*level).id = task::cgroup_id(cgroup);
            (*level).usage = Probe::get(memcg, global!(LAYOUT.memcg_usage));
            (*level).max = Probe::get(memcg, global!(LAYOUT.memcg_max));
            task::cgroup_name(&raw mut (*level).name, cgroup);
            css = pointer_if_known::<Probe>(css, global!(LAYOUT.css_parent));
            i += 1;
        }
    }
}
