//! Facts of a task: who it is, in every PID namespace that it can be seen from.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};
use sigtrace_common::{
    filter::ID_LEN,
    record::{Task, COMM_LEN, NS_LEVELS},
};

use crate::{
    filter,
    globals::global,
    mem::{pointer, pointer_if_known, Addr, Mem, Probe},
    verifier,
};

/// What a task points to, each loaded once: for every pointer that it sees loaded
/// from a trusted task the verifier looks for four names among all of the kernel's types,
/// which takes a millisecond.
pub(crate) struct Links {
    leader: Addr,
    parent: Addr,
    cred: Addr,
    pid: Addr,
}

/// The verifier knows the elements of an array of no fixed length, others not.
#[inline(always)]
fn typed_pid<M: Mem>() -> bool {
    M::TYPED && global!(LAYOUT.pid_size) == global!(LAYOUT.pid_numbers)
}

impl Links {
    /// # Safety
    /// `task` must point to a `task_struct`.
    #[inline(always)]
    pub(crate) unsafe fn of<M: Mem>(task: Addr) -> Self {
        // SAFETY: the caller's duty.
        unsafe {
            let leader = pointer::<M>(task, global!(LAYOUT.task_group_leader));
            Self {
                leader,
                parent: pointer::<M>(task, global!(LAYOUT.task_real_parent)),
                cred: pointer::<M>(task, global!(LAYOUT.task_real_cred)),
                pid: if typed_pid::<M>() {
                    pointer::<M>(leader, global!(LAYOUT.task_thread_pid))
                } else {
                    pointer::<Probe>(leader, global!(LAYOUT.task_thread_pid))
                },
            }
        }
    }
}

/// Fills `out` with the identity of `task`.
///
/// # Safety
/// `out` must point to a [`Task`] in a reserved record, `task` to a
/// `task_struct`.
#[inline(always)]
pub(crate) unsafe fn fill<M: Mem>(out: *mut Task, task: Addr) {
    // SAFETY: the caller's duty.
    unsafe { fill_with::<M>(out, task, &Links::of::<M>(task), filter::cgroup::<M>(task)) }
}

/// The same of a task whose links and [`filter::cgroup`] are known.
///
/// # Safety
/// As for [`fill`]; the links must have been loaded in the same way.
#[inline(always)]
pub(crate) unsafe fn fill_with<M: Mem>(out: *mut Task, task: Addr, links: &Links, cgroup: u64) {
    // SAFETY: the caller's duty; reads are checked as `Mem` says.
    unsafe {
        (*out).tgid = M::load(task, global!(LAYOUT.task_tgid));
        (*out).tid = M::load(task, global!(LAYOUT.task_pid));
        (*out).flags = M::load(task, global!(LAYOUT.task_flags));
        (*out).start_ns = M::load(links.leader, global!(LAYOUT.task_start));
        (*out).ppid = M::load(links.parent, global!(LAYOUT.task_tgid));
        (*out).uid = M::load(links.cred, global!(LAYOUT.cred_uid));
        // Here and not on the user side, which knows the way up of no cgroup
        // that is made later.
        (*out).cgroup = cgroup;
        (*out).pad = 0;
        comm::<M>(&raw mut (*out).comm, links.leader);
        if typed_pid::<M>() {
            namespaces::<M>(out, links.pid);
        } else {
            namespaces::<Probe>(out, links.pid);
        }
    }
}

/// Name of a task.
///
/// # Safety
/// `out` must be aligned to 8 bytes, and `task` point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn comm<M: Mem>(out: *mut [u8; COMM_LEN], task: Addr) {
    // SAFETY: the caller's duty; the helper clears `out` if it fails.
    unsafe {
        if M::TYPED {
            let (words, name) = (out.cast::<u64>(), comm_of(task));
            let mut i = 0;
            while i < COMM_LEN / size_of::<u64>() {
                *words.add(i) = M::load(name, (i * size_of::<u64>()) as u32);
                i += 1;
            }
            return;
        }
        bpf_probe_read_kernel(out.cast(), COMM_LEN as u32, comm_of(task).cast());
    }
}

/// `&task->comm`.
#[inline(always)]
fn comm_of(task: Addr) -> Addr {
    task.wrapping_add(global!(LAYOUT.task_comm) as usize)
}

/// The pids of a `struct pid` in the nested namespaces, and these.
///
/// Not `nsproxy->pid_ns_for_children`: that one is about children, and gone
/// once a task exits.
#[inline(always)]
unsafe fn namespaces<M: Mem>(out: *mut Task, pid: Addr) {
    // SAFETY: the caller's duty.
    unsafe {
        let level: u32 = M::load(pid, global!(LAYOUT.pid_level));
        (*out).level = level as u16;
        verifier::clear(&raw mut (*out).ns_pids);
        verifier::clear(&raw mut (*out).ns_inums);
        let mut i = 0;
        while i < NS_LEVELS {
            if (i as u32) >= level {
                break;
            }
            let upid = upid(pid, i as u32 + 1);
            *(&raw mut (*out).ns_pids).cast::<u32>().add(i) =
                M::load(upid, global!(LAYOUT.upid_nr));
            *(&raw mut (*out).ns_inums).cast::<u32>().add(i) = ns_inum::<M>(upid);
            verifier::meet();
            i += 1;
        }
    }
}

/// `&pid->numbers[level]`.
#[inline(always)]
pub(crate) fn upid(pid: Addr, level: u32) -> Addr {
    let at = level as usize * global!(LAYOUT.upid_size) as usize;
    pid.wrapping_add(global!(LAYOUT.pid_numbers) as usize + at)
}

/// Inode of the namespace of a `struct upid`.
///
/// # Safety
/// `upid` must point to one.
#[inline(always)]
pub(crate) unsafe fn ns_inum<M: Mem>(upid: Addr) -> u32 {
    // SAFETY: the caller's duty.
    unsafe {
        let ns = pointer::<M>(upid, global!(LAYOUT.upid_ns));
        M::load(ns, global!(LAYOUT.pidns_inum))
    }
}

/// The task's cgroup in the v2 hierarchy. Read from the task itself, since
/// `bpf_get_current_cgroup_id` names another tree in hybrid set-ups.
///
/// # Safety
/// `task` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn cgroup<M: Mem>(task: Addr) -> Addr {
    // SAFETY: the caller's duty.
    unsafe {
        let set = pointer_if_known::<M>(task, global!(LAYOUT.task_cgroups));
        pointer_if_known::<Probe>(set, global!(LAYOUT.css_set_dfl_cgrp))
    }
}

/// The task's cgroup in the hierarchy of cgroup v1 that has the `pids` controller;
/// that of v2 where the controller is there.
///
/// # Safety
/// `task` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn cgroup_v1<M: Mem>(task: Addr) -> Addr {
    // SAFETY: the caller's duty.
    unsafe {
        let set = pointer_if_known::<M>(task, global!(LAYOUT.task_cgroups));
        let state = pointer::<Probe>(set, global!(CONFIG.css_set_pids));
        pointer_if_known::<Probe>(state, global!(LAYOUT.css_cgroup))
    }
}

/// Id of a `struct cgroup`: the inode of its folder.
///
/// # Safety
/// `cgroup` must point to one.
#[inline(always)]
pub(crate) unsafe fn cgroup_id(cgroup: Addr) -> u64 {
    // SAFETY: the caller's duty.
    unsafe {
        let kn = pointer_if_known::<Probe>(cgroup, global!(LAYOUT.cgroup_kn));
        Probe::load(kn, global!(LAYOUT.kernfs_id))
    }
}

/// Whether a cgroup's name is long enough for the id of a container.
///
/// # Safety
/// `cgroup` may be any address.
#[inline(always)]
pub(crate) unsafe fn cgroup_name_is_long(cgroup: Addr) -> bool {
    // Piece by piece: all at once would take more of the stack than there is.
    const PIECE: usize = 16;
    const { assert!(ID_LEN % PIECE == 0) };
    let mut piece = MaybeUninit::<[u8; PIECE + 1]>::uninit();
    // SAFETY: the helper checks the address; `piece` is as long as it is told.
    unsafe {
        let kn = pointer_if_known::<Probe>(cgroup, global!(LAYOUT.cgroup_kn));
        let name = pointer_if_known::<Probe>(kn, global!(LAYOUT.kernfs_name));
        let mut at = 0;
        while at < ID_LEN {
            let length = bpf_probe_read_kernel_str(
                piece.as_mut_ptr().cast(),
                size_of_val(&piece) as u32,
                name.wrapping_add(at).cast(),
            );
            // With the 0 that the helper puts behind it.
            if length != size_of_val(&piece) as i64 {
                return false;
            }
            at += PIECE;
        }
        true
    }
}

/// Name of a cgroup's folder, as far as there is room; empty where there is none.
///
/// # Safety
/// `out` must be memory of a reserved record; `cgroup` may be any address.
#[inline(always)]
pub(crate) unsafe fn cgroup_name<const ROOM: usize>(out: *mut [u8; ROOM], cgroup: Addr) {
    // SAFETY: the helper checks the address and clears `out` if it fails.
    unsafe {
        let kn = pointer_if_known::<Probe>(cgroup, global!(LAYOUT.cgroup_kn));
        let name = pointer_if_known::<Probe>(kn, global!(LAYOUT.kernfs_name));
        bpf_probe_read_kernel_str(out.cast(), ROOM as u32, name.cast());
    }
}
