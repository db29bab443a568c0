//! Writing records, and counting those that found no room.

use core::arch::asm;

use aya_ebpf::{
    helpers::{bpf_ktime_get_boot_ns, generated::bpf_get_smp_processor_id},
    maps::ring_buf::RingBufEntry,
};
use sigtrace_common::record::{Header, Kind};

use crate::{
    globals::{global, EVENTS, LOST, SEEN},
    mem::{Addr, Mem},
};

/// Room for a record, or `None` with the loss counted.
#[inline(always)]
pub(crate) fn reserve<T: 'static>(kind: Kind) -> Option<RingBufEntry<T>> {
    let entry = EVENTS.reserve::<T>(0);
    if entry.is_none() {
        if let Some(count) = LOST.get_ptr_mut(kind as u32) {
            // SAFETY: this CPU's own counter. Atomic, because a signal from an
            // interrupt may be lost in the middle of counting another.
            unsafe {
                asm!("lock *(u64 *)({count} + 0) += {one}", count = in(reg) count, one = in(reg) 1u64)
            };
        }
    }
    entry
}

/// The header of a record of that kind, with the time as of now.
#[inline(always)]
pub(crate) fn header(kind: Kind, time_ns: u64) -> Header {
    Header {
        time_ns,
        kind: kind as u32,
        // SAFETY: a helper without arguments.
        cpu: unsafe { bpf_get_smp_processor_id() },
    }
}

/// `CLOCK_BOOTTIME`.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Which of two equal programs at one hook this is.
///
/// Where a program can be preempted (fentry on preemptible kernels, tracepoints
/// since Linux 7) and the next task on that CPU comes to the same hook, the
/// kernel does not run the program again but counts a miss. Its twin is another
/// program, and runs. So hooks outside of locks have two, and the second
/// reports what the first has not.
pub(crate) trait Turn {
    /// Whether this program is to report the event.
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool;
}

/// Reports, and says so to the second.
pub(crate) struct First;

impl Turn for First {
    #[inline(always)]
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool {
        // If it cannot be said, the second reports.
        SEEN.insert(key(kind, tid), start_ns, 0).is_ok()
    }
}

/// Reports what the first has not.
pub(crate) struct Second;

impl Turn for Second {
    #[inline(always)]
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool {
        let key = key(kind, tid);
        // SAFETY: the value is copied at once.
        let seen = unsafe { SEEN.get(key).copied() } == Some(start_ns);
        if seen {
            let _ = SEEN.remove(key);
        }
        !seen
    }
}

/// Has no twin: kprobes run with preemption off.
pub(crate) struct Only;

impl Turn for Only {
    #[inline(always)]
    fn mine(_: Kind, _: u32, _: u64) -> bool {
        true
    }
}

/// Whether this program is to report what happens to `task`.
///
/// # Safety
/// `task` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn turn<M: Mem, T: Turn>(kind: Kind, task: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let tid = M::get(task, global!(LAYOUT.task_pid));
        T::mine(kind, tid, M::get(task, global!(LAYOUT.task_start)))
    }
}

#[inline(always)]
fn key(kind: Kind, tid: u32) -> u64 {
    (kind as u64) << 32 | u64::from(tid)
}
