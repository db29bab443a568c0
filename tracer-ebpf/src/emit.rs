//! Writing records, and counting those that found no room.

use core::arch::asm;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE, BPF_RINGBUF_HDR_SZ},
    helpers::{bpf_ktime_get_boot_ns, generated::bpf_get_smp_processor_id},
    maps::ring_buf::RingBufEntry,
};
use sigtrace_common::record::{Header, Kind};

use crate::{
    globals::{global, EVENTS, LOST, SEEN},
    mem::{Addr, Mem},
};

/// Room for a record, or `None` with the loss counted.
///
/// Since Linux 6.15 the buffer's lock gives up after a quarter of a second
/// (`rqspinlock`), which happens where a virtual CPU stood still while it held
/// it. Then there is room, and a second try gets it.
#[inline(always)]
pub(crate) fn reserve<T: 'static>(kind: Kind) -> Option<RingBufEntry<T>> {
    let mut entry = EVENTS.reserve::<T>(0);
    if entry.is_none() && has_room(size_of::<T>() as u64) {
        entry = EVENTS.reserve::<T>(0);
    }
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

/// Whether so many bytes and a record's header fit in.
#[inline(always)]
fn has_room(bytes: u64) -> bool {
    let used = EVENTS.query(BPF_RB_AVAIL_DATA.into());
    let size = EVENTS.query(BPF_RB_RING_SIZE.into());
    used + bytes + u64::from(BPF_RINGBUF_HDR_SZ) < size
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

/// Which of three equal programs at one hook this is.
///
/// Where a program can be preempted (at tracepoints since Linux 7) and the next
/// task on that CPU comes to the same hook, the kernel does not run the program
/// again but counts a miss. Its copies are other programs, and run. So hooks
/// outside of locks have three on such kernels, and each reports what those
/// before it have not.
pub(crate) trait Turn {
    /// Whether this program is to report the event.
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool;
}

/// Reports, and says so to the others.
pub(crate) struct First;

impl Turn for First {
    #[inline(always)]
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool {
        // If it cannot be said, another reports.
        SEEN.insert(key(kind, tid), start_ns, 0).is_ok()
    }
}

/// Reports what the first has not, and says so.
pub(crate) struct Second;

impl Turn for Second {
    #[inline(always)]
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool {
        !seen(kind, tid, start_ns) && First::mine(kind, tid, start_ns)
    }
}

/// Reports what no other has.
pub(crate) struct Third;

impl Turn for Third {
    #[inline(always)]
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool {
        let seen = seen(kind, tid, start_ns);
        if seen {
            let _ = SEEN.remove(key(kind, tid));
        }
        !seen
    }
}

#[inline(always)]
fn seen(kind: Kind, tid: u32, start_ns: u64) -> bool {
    // SAFETY: the value is copied at once.
    unsafe { SEEN.get(key(kind, tid)).copied() == Some(start_ns) }
}

/// The only one there is: of kprobes, which run with preemption off, and of
/// everything on kernels that do not preempt programs.
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
