//! In which cgroups the sender and the target of a signal are, and what those are
//! called: that names containers, pods, units and sessions. What the names mean the
//! user side decides (`container::origin`).
//!
//! The names are told once for each cgroup, so that a signal brings ids alone.

use sigtrace_common::{
    filter::CGROUP_V1,
    record::{Kind, Place, PLACE_NAME, PLACE_NAMES},
};

use crate::{
    emit,
    globals::{global, TOLD_PLACES},
    mem::{pointer_if_known, Addr, Probe},
    task,
};

/// The cgroups that a task is in, of cgroup v2 and of the `pids` hierarchy of cgroup
/// v1; 0: none. What they are called is told before this returns, so that it comes
/// before the record that this is for: call it before that is reserved.
///
/// # Safety
/// `task` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn of(task: Addr) -> [u64; 2] {
    // SAFETY: the caller's duty.
    unsafe {
        let unified = told(task::cgroup::<Probe>(task) as u64, 0);
        if global!(CONFIG.pids_on_v1) == 0 {
            return [unified, 0];
        }
        [
            unified,
            told(task::cgroup_v1::<Probe>(task) as u64, CGROUP_V1),
        ]
    }
}

/// Tells of a cgroup unless that was done already; its id.
#[inline(never)]
fn told(cgroup: u64, hierarchy: u64) -> u64 {
    let mut at = cgroup as Addr;
    if at.is_null() {
        return 0;
    }
    // SAFETY: addresses are only read by the helper; the value of the map is not read.
    unsafe {
        let id = task::cgroup_id(at) | hierarchy;
        if TOLD_PLACES.get(id).is_some() {
            return id;
        }
        let Some(mut entry) = emit::reserve::<Place>(Kind::Place) else {
            // It is told with the next signal; this one says less.
            return 0;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::Place);
        (*out).id = id;
        let names = (&raw mut (*out).names).cast::<[u8; PLACE_NAME]>();
        let mut i = 0;
        while i < PLACE_NAMES {
            task::cgroup_name(names.add(i), at);
            // `self` is the first member: a css's address is its cgroup's.
            at = pointer_if_known::<Probe>(at, global!(LAYOUT.cgroup_parent));
            i += 1;
        }
        entry.submit(0);
        // Only now: whoever finds it here comes later in the buffer.
        let _ = TOLD_PLACES.insert(id, 1, 0);
        id
    }
}
