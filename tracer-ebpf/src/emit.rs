//! Writing records, and counting those that found no room.

use core::arch::asm;

use aya_ebpf::{
    helpers::{bpf_ktime_get_boot_ns, generated::bpf_get_smp_processor_id},
    maps::ring_buf::RingBufEntry,
};
use sigtrace_common::record::{Header, Kind};

use crate::globals::{EVENTS, LOST};

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
