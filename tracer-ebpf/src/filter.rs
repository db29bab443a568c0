//! Which events count: the signal's number first, then whether a filter by PID
//! namespace, cgroup or process names the target or the current task, before
//! anything is copied. Whether the current task really is the sender is known
//! only when siginfo and frames are, so more passes here than is wanted; the user
//! side decides exactly (`history::filter`).

use sigtrace_common::{
    filter::{near, ALONE, ALONE_WITH_NEW, CGROUP_V1, PID_SENDER, PID_TARGET, PLACED, SEVERAL},
    record::NS_LEVELS,
};

use crate::{
    globals::{global, CGROUPS, NEAR, NEW_CGROUPS, NEW_PIDNS, PIDNS, PIDS, TOUCHED},
    mem::{current, pointer, typed_current, Addr, Mem, Probe},
    task,
};

/// cgroups nest deeper than this nowhere that was seen.
const CGROUP_LEVELS: usize = 16;

/// Whether a signal's number is wanted.
#[inline(always)]
pub(crate) fn signal_number(number: i32) -> bool {
    let bit = (number as u32).wrapping_sub(1);
    bit < 64 && global!(CONFIG.signals) >> bit & 1 == 1
}

/// The same for what a caller gave, which may be no signal at all: then it is only
/// if all are wanted.
#[inline(always)]
pub(crate) fn any_number(number: i32) -> bool {
    signal_number(number) || global!(CONFIG.signals) == u64::MAX
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

/// What is clear of a signal at the first look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clearly {
    /// It is of others.
    Unwanted,
    /// Whatever happens to its target is wanted.
    Wanted,
    /// Nothing: [`signal`] knows.
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
            first_look::<M, M>(target, typed_current())
        } else {
            first_look::<M, Probe>(target, current())
        }
    }
}

#[inline(always)]
unsafe fn first_look<M: Mem, S: Mem>(target: Addr, sender: Addr) -> Clearly {
    // SAFETY: the caller's duty.
    unsafe {
        let Some(to) = shallow::<M>(target) else {
            return Clearly::Nothing;
        };
        let of_target = clearly::<M>(to);
        if of_target != Clearly::Unwanted {
            return of_target;
        }
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

/// Whether the cgroup (v2) of a `css_set` is an old one.
#[inline(always)]
unsafe fn is_old<M: Mem>(set: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let cgroup = M::load::<u64>(set, global!(LAYOUT.css_set_dfl_cgrp)) as Addr;
        let kn = M::load::<u64>(cgroup, global!(LAYOUT.cgroup_kn)) as Addr;
        let id: u64 = M::load(kn, global!(LAYOUT.kernfs_id));
        id <= global!(CONFIG.new_cgroup_above)
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
            let to = Inside::of::<M>(target);
            if to.is_wanted::<M>() {
                return Some(Because::OfTarget);
            }
            let from = Inside::of::<S>(sender);
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
pub(crate) unsafe fn follow<M: Mem>(target: Addr) {
    // SAFETY: the caller's duty.
    unsafe {
        if limited() && !chosen::<M>(target) {
            let tgid: u32 = M::get(target, global!(LAYOUT.task_tgid));
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
        let tgid: u32 = M::get(task, global!(LAYOUT.task_tgid));
        TOUCHED.get(tgid).is_some()
    }
}

/// Whether a PID namespace is filtered by.
pub(crate) fn namespace(inum: u32) -> bool {
    // SAFETY: map values are not read.
    by_pidns() && inum != 0 && unsafe { wanted(inum) }
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
        let level: u32 = Probe::get(pid, global!(LAYOUT.pid_level));
        if level == 0 || level > NS_LEVELS as u32 {
            return None;
        }
        let upid = task::upid(pid, level);
        let nr: u32 = Probe::get(upid, global!(LAYOUT.upid_nr));
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
        let tgid: u32 = M::get(task, global!(LAYOUT.task_tgid));
        PIDS.get(tgid).copied().unwrap_or(0)
    }
}

/// Which PID namespaces a task is in.
struct Inside {
    /// Its `struct pid`, for [`Probe`].
    pid: Addr,
    /// How many there are below the host's.
    level: u32,
    /// The innermost; null: the host's.
    namespace: Addr,
    /// Whether that may be loaded through.
    direct: bool,
}

impl Inside {
    #[inline(always)]
    unsafe fn of<M: Mem>(task: Addr) -> Self {
        // SAFETY: the caller's duty.
        unsafe {
            let leader = pointer::<M>(task, global!(LAYOUT.task_group_leader));
            let pid = pointer::<M>(leader, global!(LAYOUT.task_thread_pid));
            let level: u32 = M::get(pid, global!(LAYOUT.pid_level));
            if level == 0 {
                return Self {
                    pid: core::ptr::null(),
                    level,
                    namespace: core::ptr::null(),
                    direct: false,
                };
            }
            // The verifier knows where the first of an array of no fixed length is.
            if M::TYPED && level == 1 && global!(LAYOUT.pid_size) == global!(LAYOUT.pid_numbers) {
                let namespace = pointer::<M>(task::upid(pid, 1), global!(LAYOUT.upid_ns));
                return Self {
                    pid: core::ptr::null(),
                    level,
                    namespace,
                    direct: true,
                };
            }
            // To its array with an address that is not typed.
            let pid = if M::TYPED {
                pointer::<Probe>(leader, global!(LAYOUT.task_thread_pid))
            } else {
                pid
            };
            let innermost = task::upid(pid, level & 63);
            let namespace = pointer::<Probe>(innermost, global!(LAYOUT.upid_ns));
            Self {
                pid,
                level,
                namespace,
                direct: false,
            }
        }
    }

    /// In a wanted namespace or below one.
    #[inline(always)]
    unsafe fn is_wanted<M: Mem>(&self) -> bool {
        if self.level == 0 {
            return false;
        }
        // SAFETY: addresses of the kernel.
        unsafe {
            let inum = if self.direct {
                M::get(self.namespace, global!(LAYOUT.pidns_inum))
            } else {
                Probe::get(self.namespace, global!(LAYOUT.pidns_inum))
            };
            if wanted(inum) {
                return true;
            }
            let mut i = 1;
            while i <= NS_LEVELS as u32 {
                if i >= self.level {
                    break;
                }
                if wanted(task::ns_inum::<Probe>(task::upid(self.pid, i))) {
                    return true;
                }
                i += 1;
            }
            false
        }
    }
}

#[inline(always)]
unsafe fn wanted(inum: u32) -> bool {
    // SAFETY: map values are not read, but for a number.
    unsafe {
        match NEAR.get_ptr(near(inum)).map(|some| *some) {
            None | Some(0) => return false,
            // With new ones wanted nobody is alone for long, and the programs are the largest.
            Some(only) if global!(CONFIG.by_new_pidns) == 0 && only == u64::from(inum) => {
                return true;
            }
            Some(_) => {}
        }
        PIDNS.get(inum).is_some()
            || (global!(CONFIG.by_new_pidns) != 0 && NEW_PIDNS.get(inum).is_some())
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
            }
            // `self` is the first member: a css's address is its cgroup's.
            at = pointer::<Probe>(at, global!(LAYOUT.cgroup_parent));
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
