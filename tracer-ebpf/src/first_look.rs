//! The first look at a signal, in the program itself: most signals of a machine are of
//! others, and rejected here, before the call and the frame of all the rest ([`filter`]).
//! It answers for the filters of `--container` and `--pidns` where that is clear.
//!
//! [`filter`]: crate::filter

use sigtrace_common::filter::{near, ALONE, ALONE_WITH_NEW};

use crate::{
    globals::{global, NEAR},
    mem::{current, typed_current, Addr, Mem, Probe},
    task,
};

/// What is clear of a signal at the first look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clearly {
    /// It is of others.
    Unwanted,
    /// Whatever happens to its target is wanted.
    Wanted,
    /// Nothing: [`filter::signal`](crate::filter::signal) knows.
    Nothing,
}

/// The first look at a signal from the current task to `target`, for the filters of
/// `--container` and `--pidns`, and tasks that are in a PID namespace right below the
/// host's, or in that. Most signals of a machine are rejected here, so this takes the
/// fastest way there is.
///
/// # Safety
/// `target` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn at_first<M: Mem>(target: Addr) -> Clearly {
    // SAFETY: the caller's duty.
    unsafe {
        if global!(CONFIG.by_pidns) < ALONE {
            Clearly::Nothing
        } else if M::TYPED && global!(CONFIG.typed_current) != 0 {
            first_look::<M, M>(target, typed_current)
        } else {
            first_look::<M, Probe>(target, current)
        }
    }
}

#[inline(always)]
unsafe fn first_look<M: Mem, S: Mem>(target: Addr, sender: impl FnOnce() -> Addr) -> Clearly {
    // SAFETY: the caller's duty.
    unsafe {
        let Some(to) = shallow::<M>(target) else {
            return Clearly::Nothing;
        };
        let of_target = clearly::<M>(to);
        if of_target != Clearly::Unwanted {
            return of_target;
        }
        let sender = sender();
        let Some(from) = shallow::<S>(sender) else {
            return Clearly::Nothing;
        };
        // Nearly all signals stay within a namespace.
        if from != to && clearly::<S>(from) != Clearly::Unwanted
            || global!(CONFIG.by_pidns) == ALONE_WITH_NEW
                && !(if M::TYPED {
                    are_in_old::<M, S>(target, sender)
                } else {
                    are_in_old_untyped(target, sender)
                })
        {
            return Clearly::Nothing;
        }
        Clearly::Unwanted
    }
}

/// Whether both tasks are in cgroups that there were when the programs were attached. The
/// ids of cgroups only grow, so that what is around an old one is older.
#[inline(always)]
unsafe fn are_in_old<M: Mem, S: Mem>(target: Addr, sender: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let of_target = M::load::<u64>(target, global!(LAYOUT.task_cgroups)) as Addr;
        let of_sender = S::load::<u64>(sender, global!(LAYOUT.task_cgroups)) as Addr;
        is_old::<M>(of_target) && (of_sender == of_target || is_old::<S>(of_sender))
    }
}

/// The same in a frame of its own: that of the program is to be small.
#[inline(never)]
fn are_in_old_untyped(target: Addr, sender: Addr) -> bool {
    // SAFETY: tasks, as the caller got them.
    unsafe { are_in_old::<Probe, Probe>(target, sender) }
}

/// Whether the cgroup of a `css_set` is an old one, and that of cgroup v1 with the `pids`
/// controller, where a container may be told by that.
#[inline(always)]
unsafe fn is_old<M: Mem>(set: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let cgroup = M::load::<u64>(set, global!(LAYOUT.css_set_dfl_cgrp)) as Addr;
        if id::<M>(cgroup) > global!(CONFIG.new_cgroup_above) {
            return false;
        }
        if global!(CONFIG.by_new_cgroup) == 1 {
            return true;
        }
        let state = M::load::<u64>(set, global!(CONFIG.css_set_pids)) as Addr;
        let cgroup = M::load::<u64>(state, global!(LAYOUT.css_cgroup)) as Addr;
        id::<M>(cgroup) <= global!(CONFIG.new_cgroup_v1_above)
    }
}

#[inline(always)]
unsafe fn id<M: Mem>(cgroup: Addr) -> u64 {
    // SAFETY: the caller's duty.
    unsafe {
        let kn = M::load::<u64>(cgroup, global!(LAYOUT.cgroup_kn)) as Addr;
        M::load(kn, global!(LAYOUT.kernfs_id))
    }
}

/// The PID namespace of a task where it is right below the host's; null: it is that.
#[inline(always)]
unsafe fn shallow<M: Mem>(task: Addr) -> Option<Addr> {
    // SAFETY: the caller's duty.
    unsafe {
        let pid = M::load::<u64>(task, global!(LAYOUT.task_thread_pid)) as Addr;
        // A thread that is reaped already sends its leader's SIGCHLD (`release_task`).
        if pid.is_null() {
            return None;
        }
        let level: u32 = M::load(pid, global!(LAYOUT.pid_level));
        if level == 0 {
            return Some(core::ptr::null());
        }
        // The verifier knows where the first of an array of no fixed length is.
        if level > 1 || M::TYPED && global!(LAYOUT.pid_size) != global!(LAYOUT.pid_numbers) {
            return None;
        }
        Some(M::load::<u64>(task::upid(pid, 1), global!(LAYOUT.upid_ns)) as Addr)
    }
}

/// What is clear of what is in this PID namespace.
#[inline(always)]
unsafe fn clearly<M: Mem>(namespace: Addr) -> Clearly {
    if namespace.is_null() {
        return Clearly::Unwanted;
    }
    // SAFETY: the caller's duty.
    unsafe {
        let inum = M::load(namespace, global!(LAYOUT.pidns_inum));
        match NEAR.get_ptr(near(inum)).map(|some| *some) {
            None | Some(0) => Clearly::Unwanted,
            Some(only) if only == u64::from(inum) => Clearly::Wanted,
            Some(_) => Clearly::Nothing,
        }
    }
}
