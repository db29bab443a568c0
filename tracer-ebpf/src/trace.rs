//! Ancestry and kernel stack of the current task: too dear for routine
//! signals, indispensable for those that kill, since a sender such as runc is
//! gone before user space could look.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_stack;
use sigtrace_common::record::{Trace, FRAMES};

use crate::{
    globals::global,
    mem::{current, pointer, typed_current, Addr, Mem, Probe},
    task,
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
        if M::TYPED && global!(CONFIG.typed_current) != 0 {
            ancestry::<M, LEVELS>(out, typed_current());
        } else {
            ancestry::<Probe, LEVELS>(out, current());
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

#[inline(always)]
unsafe fn ancestry<M: Mem, const LEVELS: usize>(out: *mut Trace, task: Addr) {
    // SAFETY: the caller's duty.
    unsafe {
        let mut at = task;
        let mut count = 0u32;
        let mut i = 0;
        while i < LEVELS {
            let parent = pointer::<M>(at, global!(LAYOUT.task_real_parent));
            at = pointer::<M>(parent, global!(LAYOUT.task_group_leader));
            let tgid: u32 = M::get(at, global!(LAYOUT.task_tgid));
            let slot = (&raw mut (*out).ancestors)
                .cast::<sigtrace_common::record::Ancestor>()
                .add(i);
            (*slot).tgid = tgid;
            (*slot).pad = 0;
            (*slot).start_ns = M::get(at, global!(LAYOUT.task_start));
            task::comm::<M>(&raw mut (*slot).comm, at);
            // The swapper, pid 0, is the parent of PID 1 and its own.
            if tgid != 0 {
                count = i as u32 + 1;
            }
            i += 1;
        }
        (*out).ancestor_count = count;
        // Whether somebody is behind the last one.
        let parent = pointer::<M>(at, global!(LAYOUT.task_real_parent));
        (*out).beyond = M::get(parent, global!(LAYOUT.task_tgid));
        (*out).pad = 0;
    }
}
