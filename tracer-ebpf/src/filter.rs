//! Which events count: the signal's number first, then whether a filter by PID
//! namespace, cgroup or process names the target or the current task, before
//! anything is copied. Whether the current task really is the sender is known
//! only when siginfo and frames are, so more passes here than is wanted; the user
//! side decides exactly (`history::filter`).

use sigtrace_common::{
    filter::{near, CGROUP_V1, PID_SENDER, PID_TARGET, PLACED, SEVERAL},
    record::NS_LEVELS,
};

use crate::{
    globals::{global, CGROUPS, NEAR, NEW_CGROUPS, NEW_PIDNS, PIDS, TOUCHED},
    inside::{wanted, Inside},
    mem::{current, pointer, pointer_if_known, typed_current, Addr, Mem, Probe},
    task, verifier,
};

/// cgroups nest deeper than this nowhere that was seen.
const CGROUP_LEVELS: usize = 16;

/// Whether a signal's number is wanted; as a program gets it, which need not be cut then.
#[inline(always)]
pub(crate) fn signal_number(number: u64) -> bool {
    let bit = number.wrapping_sub(1);
    bit < 64 && global!(CONFIG.signals) >> bit & 1 == 1
}

/// The same for what a caller gave, which may be no signal at all: then it is only
/// if all are wanted.
#[inline(always)]
pub(crate) fn any_number(number: i32) -> bool {
    signal_number(number as u64) || global!(CONFIG.signals) == u64::MAX
}

/// Whether what the current task sends is wanted, whoever gets it.
#[inline(always)]
pub(crate) fn sender() -> bool {
    // SAFETY: the current task.
    !limited() || unsafe { named::<Probe>(current(), PID_SENDER) }
}

/// Why a signal is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// Whatever happens to its target is.
    OfTarget,
    /// Whatever its sender does is.
    OfSender,
}

/// Whether a signal from the current task to `target` is wanted.
///
/// # Safety
/// `target` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn signal<M: Mem>(target: Addr) -> Option<Because> {
    // SAFETY: the caller's duty.
    unsafe {
        if !limited() {
            return Some(Because::OfTarget);
        }
        if M::TYPED && global!(CONFIG.typed_current) != 0 {
            between::<M, M>(target, typed_current())
        } else {
            between::<M, Probe>(target, current())
        }
    }
}

#[inline(always)]
unsafe fn between<M: Mem, S: Mem>(target: Addr, sender: Addr) -> Option<Because> {
    // SAFETY: the caller's duty.
    unsafe {
        if by_pidns() {
            let (of_target, of_sender) = (Inside::pid::<M>(target), Inside::pid::<S>(sender));
            let to = Inside::by::<M>(target, of_target);
            if to.is_wanted::<M>() {
                return Some(Because::OfTarget);
            }
            let from = Inside::by::<S>(sender, of_sender);
            if from.namespace != to.namespace && from.is_wanted::<S>() {
                return Some(Because::OfSender);
            }
        }
        if besides::<M>(target, PID_TARGET) {
            Some(Because::OfTarget)
        } else if besides::<S>(sender, PID_SENDER) {
            Some(Because::OfSender)
        } else {
            None
        }
    }
}

/// From now on what happens to `target` is wanted too, if the filter alone
/// would leave it out.
///
/// # Safety
/// `target` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn follow(target: Addr) {
    // SAFETY: the caller's duty. Seldom, so in the way that the verifier has done with sooner.
    unsafe {
        if limited() && !chosen::<Probe>(target) {
            let tgid: u32 = Probe::load(target, global!(LAYOUT.task_tgid));
            let _ = TOUCHED.insert(tgid, 1, 0);
        }
    }
}

/// Whether what happens to `task` itself is wanted.
///
/// # Safety
/// `task` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn process<M: Mem>(task: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        if chosen::<M>(task) {
            return true;
        }
        let tgid: u32 = M::load(task, global!(LAYOUT.task_tgid));
        TOUCHED.get(tgid).is_some()
    }
}

/// Whether a PID namespace is filtered by.
pub(crate) fn namespace(inum: u32) -> bool {
    by_pidns() && inum != 0 && wanted(inum)
}

/// There is a filter by namespace, cgroup or process.
#[inline(always)]
fn limited() -> bool {
    by_pidns()
        || global!(CONFIG.by_cgroup) != 0
        || global!(CONFIG.by_new_cgroup) != 0
        || global!(CONFIG.by_pid) != 0
}

#[inline(always)]
fn by_pidns() -> bool {
    global!(CONFIG.by_pidns) != 0 || global!(CONFIG.by_new_pidns) != 0
}

/// `child` is about to run for the first time: if it is the first process of a
/// PID namespace, that is a new one.
///
/// # Safety
/// `child` must point to the `task_struct` of a leader.
#[inline(always)]
pub(crate) unsafe fn born<M: Mem>(child: Addr) {
    if global!(CONFIG.by_new_pidns) == 0 {
        return;
    }
    // SAFETY: the caller's duty.
    unsafe {
        if let Some(inum) = first_of::<M>(child) {
            if let Some(some) = NEAR.get_ptr_mut(near(inum)) {
                *some = SEVERAL;
            }
            let _ = NEW_PIDNS.insert(inum, 1, 0);
        }
    }
}

/// `task` is reaped. With its PID 1 the last process of a PID namespace is.
///
/// # Safety
/// `task` must point to the `task_struct` of a leader.
#[inline(always)]
pub(crate) unsafe fn gone<M: Mem>(task: Addr) {
    if global!(CONFIG.by_new_pidns) == 0 {
        return;
    }
    // SAFETY: the caller's duty.
    unsafe {
        if let Some(inum) = first_of::<M>(task) {
            let _ = NEW_PIDNS.remove(inum);
        }
    }
}

/// The PID namespace that a process is the PID 1 of, other than the host's.
///
/// # Safety
/// `task` must point to the `task_struct` of a leader.
#[inline(always)]
pub(crate) unsafe fn first_of<M: Mem>(task: Addr) -> Option<u32> {
    // SAFETY: the caller's duty.
    unsafe {
        let pid = pointer::<M>(task, global!(LAYOUT.task_thread_pid));
        let level: u32 = Probe::load(pid, global!(LAYOUT.pid_level));
        if level == 0 || level > NS_LEVELS as u32 {
            return None;
        }
        let upid = task::upid(pid, level);
        let nr: u32 = Probe::load(upid, global!(LAYOUT.upid_nr));
        (nr == 1).then(|| task::ns_inum::<Probe>(upid))
    }
}

#[inline(always)]
unsafe fn chosen<M: Mem>(task: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe { !limited() || named::<M>(task, PID_TARGET | PID_SENDER) }
}

/// A filter by namespace or cgroup names the task, or one by process in one of
/// these roles.
#[inline(always)]
unsafe fn named<M: Mem>(task: Addr, roles: u32) -> bool {
    // SAFETY: the caller's duty.
    unsafe { (by_pidns() && Inside::of::<M>(task).is_wanted::<M>()) || besides::<M>(task, roles) }
}

/// The same without the filter by namespace.
#[inline(always)]
unsafe fn besides<M: Mem>(task: Addr, roles: u32) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        (global!(CONFIG.by_pid) != 0 && pid_bits::<M>(task) & roles != 0) || cgroup::<M>(task) != 0
    }
}

#[inline(always)]
unsafe fn pid_bits<M: Mem>(task: Addr) -> u32 {
    // SAFETY: the caller's duty; map values are only read.
    unsafe {
        let tgid: u32 = M::load(task, global!(LAYOUT.task_tgid));
        PIDS.get(tgid).copied().unwrap_or(0)
    }
}

/// The nearest wanted cgroup that a task is in or below, or else the nearest new one
/// that may be a container's; 0: none.
///
/// # Safety
/// `task` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn cgroup<M: Mem>(task: Addr) -> u64 {
    if global!(CONFIG.by_cgroup) == 0 && global!(CONFIG.by_new_cgroup) == 0 {
        return 0;
    }
    // SAFETY: the caller's duty.
    unsafe { cgroup_above::<M>(task).0 }
}

/// The same with where it lies.
///
/// # Safety
/// `task` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn cgroup_above<M: Mem>(task: Addr) -> (u64, Addr) {
    // SAFETY: the caller's duty.
    unsafe {
        let above = global!(CONFIG.new_cgroup_above);
        let found = wanted_above(task::cgroup::<M>(task), 0, above);
        let on_v1 = global!(CONFIG.by_cgroup) > 1 || global!(CONFIG.by_new_cgroup) > 1;
        if found.0 != 0 || !on_v1 {
            return found;
        }
        let above = global!(CONFIG.new_cgroup_v1_above);
        wanted_above(task::cgroup_v1::<M>(task), CGROUP_V1, above)
    }
}

/// Follows `self.parent`, the one way up that is the same on every kernel.
#[inline(always)]
unsafe fn wanted_above(mut at: Addr, hierarchy: u64, above: u64) -> (u64, Addr) {
    // SAFETY: the caller's duty; reads are checked as `Mem` says.
    unsafe {
        let mut new = (0, core::ptr::null());
        let mut i = 0;
        while i < CGROUP_LEVELS {
            verifier::meet();
            if at.is_null() {
                break;
            }
            let id = task::cgroup_id(at);
            if global!(CONFIG.by_cgroup) != 0 && CGROUPS.get(id | hierarchy).is_some() {
                return (id | hierarchy, at);
            }
            if global!(CONFIG.by_new_cgroup) != 0
                && id > above
                && new.0 == 0
                && may_hold_id(id | hierarchy, at)
            {
                new = (id | hierarchy, at);
                if global!(CONFIG.by_cgroup) == 0 {
                    break;
                }
            }
            // `self` is the first member: a css's address is its cgroup's.
            at = pointer_if_known::<Probe>(at, global!(LAYOUT.cgroup_parent));
            i += 1;
        }
        new
    }
}

/// Whether the name of a new cgroup is long enough for the id of a container.
#[inline(always)]
unsafe fn may_hold_id(id: u64, at: Addr) -> bool {
    // SAFETY: the caller's duty; map values are only read.
    unsafe {
        if let Some(known) = NEW_CGROUPS.get(id) {
            return *known != 0;
        }
        let long = task::cgroup_name_is_long(at);
        let _ = NEW_CGROUPS.insert(id, u32::from(long), 0);
        long
    }
}

/// Whether a program that is executed in this new cgroup is still to be told.
#[inline(always)]
pub(crate) fn to_be_placed(id: u64) -> bool {
    // SAFETY: the value is copied at once.
    let told = unsafe { NEW_CGROUPS.get(id).copied() };
    match told {
        Some(told @ 1..=PLACED) => NEW_CGROUPS.insert(id, told + 1, 0).is_ok(),
        _ => false,
    }
}
