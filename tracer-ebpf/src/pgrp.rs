//! Whether a process group is orphaned: what `is_current_pgrp_orphaned` asks right
//! after `signal_deliver`, of the same fields (`will_become_orphaned_pgrp`).

use sigtrace_common::{
    layout::ABSENT,
    record::{MEMBERS, NOT_ASKED, NOT_ORPHANED, ORPHANED},
};

use crate::{
    globals::global,
    mem::{pointer, pointer_if_known, Addr, Mem, Probe},
};

/// `PIDTYPE_PGID`.
const GROUP: u32 = 2;
/// `PIDTYPE_SID`.
pub(crate) const SESSION: u32 = 3;
const POINTER: u32 = 8;
/// Of a `struct hlist_node`.
const NODE: u32 = 16;

/// Of the group of this task, as far as its members are asked.
#[inline(always)]
pub(crate) unsafe fn orphaned(task: Addr) -> u32 {
    // SAFETY: the addresses are only read by the helper.
    unsafe {
        if global!(LAYOUT.signal_pids) == ABSENT
            || global!(LAYOUT.pid_tasks) == ABSENT
            || global!(LAYOUT.task_pid_links) == ABSENT
        {
            return NOT_ASKED;
        }
        let group = id(task, GROUP);
        if group.is_null() {
            return NOT_ASKED;
        }
        let mut node =
            pointer_if_known::<Probe>(group, global!(LAYOUT.pid_tasks) + GROUP * POINTER);
        let mut i = 0;
        while i < MEMBERS {
            if node.is_null() {
                return ORPHANED;
            }
            let links = global!(LAYOUT.task_pid_links) + GROUP * NODE;
            if keeps(node.wrapping_sub(links as usize), group) {
                return NOT_ORPHANED;
            }
            // `next` is the first of two.
            node = pointer::<Probe>(node, 0);
            i += 1;
        }
        NOT_ASKED
    }
}

/// Whether this member's parent could continue the group: it is in another one, of
/// the same session.
#[inline(always)]
unsafe fn keeps(member: Addr, group: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let exit_state: u32 = Probe::load(member, global!(LAYOUT.task_exit_state));
        let signal = pointer::<Probe>(member, global!(LAYOUT.task_signal));
        let threads: u32 = Probe::load(signal, global!(LAYOUT.signal_nr_threads));
        // Only a group's leaders are in its list (`thread_group_empty`).
        if exit_state != 0 && threads <= 1 {
            return false;
        }
        let parent = pointer::<Probe>(member, global!(LAYOUT.task_real_parent));
        let tgid: u32 = Probe::load(parent, global!(LAYOUT.task_tgid));
        // `is_global_init`.
        if tgid == 1 {
            return false;
        }
        id(parent, GROUP) != group && id(parent, SESSION) == id(member, SESSION)
    }
}

/// The `struct pid` of a task's group or session.
#[inline(always)]
pub(crate) unsafe fn id(task: Addr, kind: u32) -> Addr {
    // SAFETY: the caller's duty.
    unsafe {
        let signal = pointer::<Probe>(task, global!(LAYOUT.task_signal));
        pointer_if_known::<Probe>(signal, global!(LAYOUT.signal_pids) + kind * POINTER)
    }
}
