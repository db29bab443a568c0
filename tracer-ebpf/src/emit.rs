//! Writing records, and counting those that found no room.

use aya_ebpf::{
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    maps::ring_buf::RingBufEntry,
};
use sigtrace_common::record::{Header, Kind};

use crate::globals::{EVENTS, LOST};

/// Room for a record, or `None` with the loss counted.
#[inline(always)]
pub fn reserve<T: 'static>(kind: Kind) -> Option<RingBufEntry<T>> {
    let entry = EVENTS.reserve::<T>(0);
    if entry.is_none() {
        if let Some(count) = LOST.get_ptr_mut(kind as u32) {
            // SAFETY: this CPU's own counter; a nested interrupt may cost one
            // count, so the add is atomic.
            unsafe { core::sync::atomic::AtomicU64::from_ptr(count) }
                .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        }
    }
    entry
}

/// The header of a record of that kind, with the time as of now.
#[inline(always)]
pub fn header(kind: Kind, time_ns: u64) -> Header {
    Header {
        time_ns,
        kind: kind as u32,
        cpu: bpf_get_smp_processor_id(),
    }
}

/// `CLOCK_BOOTTIME`.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}
