//! Storms: of equal signals that came to nothing (dropped, already pending, no
//! place in the queue) the first three of a second are told whole, the rest are
//! counted, exactly: each key has its place in `STORMS`, where one more costs no look into
//! a map, and those whose place is another's are counted in `FOLDS`. The user side reads
//! the counts.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_current_pid_tgid};
use sigtrace_common::record::{Fold, FoldKey, FoldNote, Kind, Storm, STORM_PLACES};

use crate::{
    emit,
    globals::{global, FIRST, FOLDS, RECENT, STORMS, TAKEN},
    mem::{pointer, Addr, Mem},
    siginfo::Info,
};

/// How many of a second are told whole.
const WHOLE: u32 = 3;
const SECOND_NS: u64 = 1_000_000_000;
const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
/// `TRACE_SIGNAL_IGNORED`, `_ALREADY_PENDING`, `_OVERFLOW_FAIL`: they have no
/// future, so that all that is to be known of them is known here.
const ENDED: core::ops::RangeInclusive<i32> = 1..=3;

/// What came first in its second, of all keys that share this place: nearly all signals
/// have nothing before them that is like them, and are told without a look into any
/// other map.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct First {
    since_ns: u64,
    /// Which key; others have the same with a probability of 2^-64.
    hash: u64,
}

/// Places for [`First`].
pub(crate) const FIRSTS: u32 = 4096;

/// How often the signals of a key came in the second that began then.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Recent {
    since_ns: u64,
    count: u32,
    pad: u32,
}

impl Recent {
    /// The first one of its second.
    #[inline(always)]
    pub(crate) fn first(now: u64) -> Self {
        Self {
            since_ns: now,
            count: 1,
            pad: 0,
        }
    }

    /// Counts another; whether it is one of the few that are told whole.
    #[inline(always)]
    pub(crate) fn once_more(&mut self, now: u64) -> bool {
        if !is_within(self.since_ns, now) {
            *self = Self::first(now);
            return true;
        }
        self.count += 1;
        self.count <= WHOLE
    }
}

/// Whether this signal is counted and not told. Signals to one target come one
/// after the other (siglock is held), so that nothing here is done twice at once.
///
/// # Safety
/// `target` must point to a `task_struct`.
#[inline(always)]
pub(crate) unsafe fn fold<M: Mem>(
    number: i32,
    target: Addr,
    group: i32,
    result: i32,
    info: &Info,
    handler: u64,
) -> bool {
    if !ENDED.contains(&result) || matches!(number, SIGKILL | SIGCONT | SIGSTOP) {
        return false;
    }
    // SAFETY: the caller's duty; map values are this key's own.
    unsafe {
        let signal = pointer::<M>(target, global!(LAYOUT.task_signal));
        let key = FoldKey {
            sender: (bpf_get_current_pid_tgid() >> 32) as u32,
            target: M::get(target, global!(LAYOUT.task_tgid)),
            thread: if group == 0 {
                M::get(target, global!(LAYOUT.task_pid))
            } else {
                0
            },
            code: info.code(),
            signal_flags: M::get(signal, global!(LAYOUT.signal_flags)),
            number: number as u8,
            result: result as u8,
            handler: if handler > 3 { 4 } else { handler as u8 },
            info: info.kind() as u8,
        };
        crowded(emit::now(), &key)
    }
}

/// Whether it is one of many equal ones, and was counted.
///
/// # Safety
/// Nobody else may use the key at that time.
#[inline(always)]
unsafe fn crowded(time_ns: u64, key: &FoldKey) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let hash = key.hash();
        let Some(storm) = STORMS.get_ptr_mut(hash as u32 % STORM_PLACES) else {
            return false;
        };
        let own = read_volatile(&raw const (*storm).hash) == hash;
        if own && is_within((*storm).fold.since_ns, time_ns) {
            (*storm).fold.count += 1;
            (*storm).fold.last_ns = time_ns;
            return true;
        }
        let Some(first) = FIRST.get_ptr_mut(hash as u32 % FIRSTS) else {
            return false;
        };
        // Others may write here at the same time; then one more is told.
        if !is_within((*first).since_ns, time_ns) {
            (*first).since_ns = time_ns;
            (*first).hash = hash;
            return false;
        }
        if !own {
            if let Some(fold) = FOLDS.get_ptr_mut(key) {
                if is_within((*fold).since_ns, time_ns) {
                    (*fold).count += 1;
                    (*fold).last_ns = time_ns;
                    return true;
                }
            }
        }
        // This one is the second, unless it is another key's second that has begun.
        let so_far = if (*first).hash == hash {
            Recent {
                since_ns: (*first).since_ns,
                count: 2,
                pad: 0,
            }
        } else {
            Recent::first(time_ns)
        };
        let Some(recent) = RECENT.get_ptr_mut(key) else {
            let _ = RECENT.insert(key, so_far, 0);
            return false;
        };
        if !is_within((*recent).since_ns, time_ns) {
            *recent = so_far;
            return false;
        }
        (*recent).count += 1;
        let count = (*recent).count;
        if count <= WHOLE {
            return false;
        }
        let begins = count == WHOLE + 1;
        let since_ns = (*recent).since_ns;
        if own {
            (*storm).fold.count += 1;
            (*storm).fold.last_ns = time_ns;
            (*storm).fold.since_ns = since_ns;
        } else if !(begins && take(storm, hash, key, time_ns, since_ns))
            && !add(key, time_ns, since_ns)
        {
            return false;
        }
        if begins {
            note();
        }
        true
    }
}

#[inline(always)]
fn is_within(since_ns: u64, time_ns: u64) -> bool {
    time_ns.wrapping_sub(since_ns) < SECOND_NS
}

/// Takes a place for a key and counts its first there; false: it is another's.
///
/// # Safety
/// `storm` must be the place of `hash`, which must be the key's.
#[inline(always)]
unsafe fn take(storm: *mut Storm, hash: u64, key: &FoldKey, time_ns: u64, since_ns: u64) -> bool {
    const NEW: u64 = BPF_NOEXIST as u64;
    let place = hash as u32 % STORM_PLACES;
    // SAFETY: the caller's duty; whoever has put it into the map has the place alone.
    unsafe {
        if read_volatile(&raw const (*storm).hash) != 0 || TAKEN.insert(place, 1, NEW).is_err() {
            return false;
        }
        (*storm).key = *key;
        (*storm).fold = Fold {
            count: 1,
            last_ns: time_ns,
            since_ns,
        };
        write_volatile(&raw mut (*storm).hash, hash);
    }
    true
}

/// Whether a rejected fork is counted and not told. Its key is of one thread, so that
/// nothing here is done twice at once.
pub(crate) fn fold_fork(time_ns: u64, key: &FoldKey) -> bool {
    // SAFETY: map values are this key's own.
    unsafe { crowded(time_ns, key) }
}

/// Counts one where another has its place; false: there is no room for its key.
#[inline(always)]
unsafe fn add(key: &FoldKey, time_ns: u64, since_ns: u64) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        if let Some(fold) = FOLDS.get_ptr_mut(key) {
            (*fold).count += 1;
            (*fold).last_ns = time_ns;
            (*fold).since_ns = since_ns;
            return true;
        }
        let fold = Fold {
            count: 1,
            last_ns: time_ns,
            since_ns,
        };
        FOLDS.insert(key, fold, 0).is_ok()
    }
}

/// Tells the user side that there is something to be read. If there is no room, it
/// looks because of the loss.
#[inline(always)]
fn note() {
    if let Some(mut entry) = emit::reserve::<FoldNote>(Kind::Folded) {
        let out = entry.as_mut_ptr();
        // SAFETY: room for a whole record.
        unsafe {
            (*out).header = emit::header(Kind::Folded);
        }
        entry.submit(0);
    }
}
