//! Ancestry and kernel stack of the current task: too dear for routine
//! signals, indispensable for those that kill, since a sender such as runc is
//! gone before user space could look.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_stack;
use sigtrace_common::record::{Trace, FRAMES};

use crate::{
    globals::global,
    mem::{current, pointer, typed_current, Addr, Mem, Probe},
    task, verifier,
};

/// Fills `out` for the current task, with so many of its ancestors: what is
/// not filled is left as it is, and the counts say what counts.
///
/// # Safety
/// `out` must point into a reserved record, `ctx` be the program's context, or
/// `None` for no stack.
#[inline(always)]
pub(crate) unsafe fn fill<M: Mem, const LEVELS: usize>(out: *mut Trace, ctx: Option<*mut c_void>) {
    // SAFETY: the caller's duty.
    unsafe {
        let typed = M::TYPED && global!(CONFIG.typed_current) != 0;
        // Who has a tracer among its ancestors, or is traced itself, is rare.
        let by_tracer =
            typed && ancestry::<M, LEVELS>(out, typed_current(), global!(LAYOUT.task_parent)) != 0;
        if !typed || by_tracer {
            ancestry::<Probe, LEVELS>(out, current(), global!(LAYOUT.task_real_parent));
        }
        (*out).frame_count = match ctx {
            Some(ctx) => stack((&raw mut (*out).stack).cast(), FRAMES as u32, ctx),
            None => 0,
        };
    }
}

/// Up to `frames` return addresses; the rest of `out` is left as it is, so
/// that the count alone says what counts.
///
/// # Safety
/// `out` must have room for `frames` addresses.
#[inline(always)]
pub(crate) unsafe fn stack(out: *mut u64, frames: u32, ctx: *mut c_void) -> u32 {
    // SAFETY: the caller's duty.
    let bytes = unsafe { bpf_get_stack(ctx, out.cast(), frames * 8, 0) };
    if bytes < 0 {
        0
    } else {
        bytes as u32 / 8
    }
}

/// Ancestors by `parent`, the offset of one of the two there are. Whether one of those whose
/// it was is traced: then `task_struct.parent` is its tracer, and `real_parent` its parent.
/// Typed programs take the former, since of the latter the verifier asks each time whether
/// it may be trusted: see [`task::Links`].
#[inline(always)]
unsafe fn ancestry<M: Mem, const LEVELS: usize>(out: *mut Trace, task: Addr, parent: u32) -> u32 {
    // SAFETY: the caller's duty.
    unsafe {
        (*out).beyond = 0;
        (*out).pad = 0;
        let mut at = task;
        let (mut traced, mut count) = (0u32, 0u32);
        let mut i = 0;
        while i < LEVELS {
            let above = pointer::<M>(at, parent);
            // It is never null, but some kernels want to be told.
            if M::TYPED && above.is_null() {
                (*out).ancestor_count = count;
                return traced;
            }
            traced |= M::load::<u32>(at, global!(LAYOUT.task_ptrace));
            at = pointer::<M>(above, global!(LAYOUT.task_group_leader));
            let tgid: u32 = M::load(at, global!(LAYOUT.task_tgid));
            let slot = (&raw mut (*out).ancestors)
                .cast::<sigtrace_common::record::Ancestor>()
                .add(i);
            (*slot).tgid = tgid;
            (*slot).pad = 0;
            (*slot).start_ns = M::load(at, global!(LAYOUT.task_start));
            task::comm::<M>(&raw mut (*slot).comm, at);
            // The swapper, pid 0, is the parent of PID 1 and its own.
            if tgid != 0 {
                count = i as u32 + 1;
            }
            verifier::meet();
            i += 1;
        }
        (*out).ancestor_count = count;
        // Whether somebody is behind the last one.
        let above = pointer::<M>(at, parent);
        if M::TYPED && above.is_null() {
            return traced;
        }
        traced |= M::load::<u32>(at, global!(LAYOUT.task_ptrace));
        (*out).beyond = M::load(above, global!(LAYOUT.task_tgid));
        traced
    }
}
