//! Writing records, and counting those that found no room.

use core::arch::asm;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE, BPF_RINGBUF_HDR_SZ},
    helpers::{bpf_ktime_get_boot_ns, generated::bpf_get_smp_processor_id},
    maps::ring_buf::RingBufEntry,
};
use sigtrace_common::record::{Header, Kind, CROWDED};

use crate::{
    globals::{global, EVENTS, LOST, RUNNING, SEEN},
    mem::{Addr, Mem},
};

/// How much of the buffer may be in use when a record still finds room. What explains a
/// death comes through while a flood of other signals, or of forks, fills all the rest:
/// else anyone inside could hide an end by making noise.
#[derive(Clone, Copy)]
pub(crate) enum Share {
    /// A signal that ends nobody, and what becomes of it.
    Noise,
    /// The life of processes.
    Life,
    /// What ends processes, and their ends.
    Death,
}

/// Room for a record, or `None` with the loss counted.
#[inline(always)]
pub(crate) fn reserve_within<T: 'static>(kind: Kind, share: Share) -> Option<RingBufEntry<T>> {
    let size = u64::from(global!(CONFIG.buffer));
    let most = match share {
        Share::Noise => size / 2,
        Share::Life => size / 8 * 7,
        Share::Death => size,
    };
    if most < size && EVENTS.query(BPF_RB_AVAIL_DATA.into()) > most {
        count(LOST.get_ptr_mut(kind as u32), 1);
        return None;
    }
    reserve(kind)
}

/// The same for what may use all of it.
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
        count(LOST.get_ptr_mut(kind as u32), 1);
    }
    entry
}

/// Adds to a counter, if there is one. Atomic, because an interrupt, or whoever
/// preempts this program, may count in the middle of it.
#[inline(always)]
fn count(counter: Option<*mut u64>, more: i64) {
    if let Some(counter) = counter {
        // SAFETY: an entry of a map of numbers.
        unsafe {
            asm!("lock *(u64 *)({at} + 0) += {more}", at = in(reg) counter, more = in(reg) more)
        };
    }
}

/// Whether so many bytes and a record's header fit in.
#[inline(always)]
fn has_room(bytes: u64) -> bool {
    let used = EVENTS.query(BPF_RB_AVAIL_DATA.into());
    let size = EVENTS.query(BPF_RB_RING_SIZE.into());
    used + bytes + u64::from(BPF_RINGBUF_HDR_SZ) < size
}

/// The header of a record of that kind, with the time as of now. The record must have
/// been reserved: then all of an earlier time lie in front of what is reserved later,
/// and the user side knows until when it has seen everything.
#[inline(always)]
pub(crate) fn header(kind: Kind) -> Header {
    Header {
        time_ns: now(),
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
/// before it have not. An event is missed only where all of them are running on its
/// CPU already, each for another task: that is counted (`CROWDED`).
pub(crate) trait Turn {
    /// How many programs take turns.
    const COPIES: u64 = COPIES;

    /// Whether this program is to report the event.
    fn mine(kind: Kind, tid: u32, start_ns: u64) -> bool;
}

const COPIES: u64 = 3;

/// Does what a program is there for. The first and the last thing that a copy does.
#[inline(always)]
pub(crate) fn in_turn<T: Turn>(kind: Kind, act: impl FnOnce() -> i32) -> i32 {
    if T::COPIES == 1 {
        return act();
    }
    // A program stays on its CPU, even where it is preempted.
    let running = RUNNING.get_ptr_mut(kind as u32);
    count(running, 1);
    // SAFETY: as above.
    if running.is_some_and(|running| unsafe { *running } >= T::COPIES) {
        count(LOST.get_ptr_mut(CROWDED as u32), 1);
    }
    let result = act();
    count(running, -1);
    result
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
    const COPIES: u64 = 1;

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
        let tid = M::load(task, global!(LAYOUT.task_pid));
        T::mine(kind, tid, M::load(task, global!(LAYOUT.task_start)))
    }
}

#[inline(always)]
fn key(kind: Kind, tid: u32) -> u64 {
    (kind as u64) << 32 | u64::from(tid)
}
