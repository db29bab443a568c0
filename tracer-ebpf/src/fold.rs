//! Storms: of equal signals that came to nothing (dropped, already pending, no
//! place in the queue, nothing added to it) the first three of a second are told whole, the rest are
//! counted, exactly: each key has its place in `STORMS`, where one more costs no look into
//! a map, and those whose place is another's are counted in `FOLDS`. The user side reads
//! the counts.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_current_pid_tgid};
use sigtrace_common::record::{
    Fold, FoldKey, FoldNote, Kind, Storm, HASHED, SHARES_ITS_BIT, STORM_PLACES,
};

use crate::{
    emit,
    globals::{global, FOLDS, RECENT, STORMS, TAKEN},
    mem::{Addr, Mem},
    siginfo::{Action, Info},
};

/// How many of a second are told whole.
pub(crate) const WHOLE: u32 = 3;
/// A key that is new.
static NONE: Fold = Fold::NONE;
const SECOND_NS: u64 = 1_000_000_000;
const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
/// Results, as bits, of signals that have no future, so that all that is to be known of them
/// is known here: `TRACE_SIGNAL_IGNORED`, `_ALREADY_PENDING`, `_OVERFLOW_FAIL`, and real-time
/// signals that add nothing to what is pending.
const ENDED: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << SHARES_ITS_BIT;

/// Keys whose hashes end alike.
pub(crate) const RECENT_SETS: u32 = 2048;
const WAYS: usize = 4;

/// A value of [`RECENT`]. Others of them may be written at the same time on another CPU, so
/// that a storm may show one or two more of its first, or less; what is counted is not here.
pub(crate) type RecentKeys = [RecentKey; WAYS];

/// How often the signals of a key came in its second.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct RecentKey {
    /// [`FoldKey::hash`].
    hash: u64,
    since_ns: u64,
    count: u64,
}

/// What a signal's kind is called where it is told and not counted, for [`had_no_room`]
/// (of what is never counted that finds nothing);
/// `None`: it was counted. Signals to one target come one after the other (siglock is
/// held), so that nothing here is done twice at once.
///
/// # Safety
/// `target` must point to a `task_struct`, `signal` to its `signal_struct`.
#[inline(always)]
pub(crate) unsafe fn fold<M: Mem>(
    target: Addr,
    signal: Addr,
    info: &Info,
    action: &Action,
) -> Option<u64> {
    let (number, result) = (info.number(), info.result());
    let sender = bpf_get_current_pid_tgid();
    if ENDED >> (result as u32 & 31) & 1 == 0 || matches!(number, SIGKILL | SIGCONT | SIGSTOP) {
        // Hardly any key's hash, and to the verifier a number like those: it would follow
        // all that comes behind once more for one that it knows better, or less well.
        return Some(sender | HASHED);
    }
    // SAFETY: the caller's duty; map values are this key's own.
    unsafe {
        let key = FoldKey {
            sender: (sender >> 32) as u32,
            target: M::load(target, global!(LAYOUT.task_tgid)),
            // No branch: the verifier would follow the rest for each value.
            thread: M::load::<u32>(target, global!(LAYOUT.task_pid)) & info.unless_for_all(),
            code: info.code(),
            signal_flags: M::load(signal, global!(LAYOUT.signal_flags)),
            number: info.number() as u8,
            result: info.result() as u8,
            handler: action.sort(),
            info: info.kind() as u8,
        };
        let hash = key.hash();
        (!crowded(emit::now(), &key, hash)).then_some(hash)
    }
}

/// One that was to be told whole found no room in the ring buffer. Of a kind that is not
/// counted yet the next one is told instead: nobody could say what later counts are about.
#[inline(never)]
pub(crate) fn had_no_room(hash: u64) -> i32 {
    // SAFETY: as for `again`.
    unsafe {
        let (Some(storm), Some(keys)) = (
            STORMS.get_ptr_mut(hash as u32 % STORM_PLACES),
            RECENT.get_ptr_mut(hash as u32 % RECENT_SETS),
        ) else {
            return 0;
        };
        if read_volatile(&raw const (*storm).hash) == hash {
            return 0;
        }
        let first = keys.cast::<RecentKey>();
        let mut way = 0;
        while way < WAYS {
            let key = first.add(way);
            if (*key).hash == hash && (*key).count > 0 {
                (*key).count -= 1;
            }
            way += 1;
        }
        0
    }
}

/// Whether it is one of many equal ones, and was counted.
///
/// # Safety
/// Nobody else may use the key, whose hash is given, at that time.
#[inline(always)]
unsafe fn crowded(time_ns: u64, key: &FoldKey, hash: u64) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let Some(storm) = STORMS.get_ptr_mut(hash as u32 % STORM_PLACES) else {
            return false;
        };
        let own = read_volatile(&raw const (*storm).hash) == hash;
        if own && is_within((*storm).fold.since_ns, time_ns) {
            (*storm).fold.count += 1;
            (*storm).fold.last_ns = time_ns;
            return true;
        }
        again(key, hash, time_ns)
    }
}

/// The same of one whose storm does not blow now: whether that begins with it. A function of
/// its own, so that the verifier follows what comes behind it once, and not from each of its
/// ends.
#[inline(never)]
fn again(key: &FoldKey, hash: u64, time_ns: u64) -> bool {
    // SAFETY: as for `crowded`.
    unsafe {
        let (Some(storm), Some(keys)) = (
            STORMS.get_ptr_mut(hash as u32 % STORM_PLACES),
            RECENT.get_ptr_mut(hash as u32 % RECENT_SETS),
        ) else {
            return false;
        };
        let (since_ns, count) = come(keys, hash, time_ns);
        if count <= WHOLE {
            return false;
        }
        let begins = count == WHOLE + 1;
        if read_volatile(&raw const (*storm).hash) == hash {
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

/// One more of a key; when its second began, and how many there are in it.
///
/// # Safety
/// `keys` must be the value of [`RECENT`] for `hash`.
#[inline(always)]
unsafe fn come(keys: *mut RecentKeys, hash: u64, time_ns: u64) -> (u64, u32) {
    // SAFETY: the caller's duty.
    unsafe {
        let first = keys.cast::<RecentKey>();
        // Whose place a new one takes: of one that is over, else of who came least.
        let (mut least, mut least_count) = (first, u64::MAX);
        let mut way = 0;
        while way < WAYS {
            let key = first.add(way);
            let within = is_within((*key).since_ns, time_ns);
            if within && (*key).hash == hash {
                (*key).count += 1;
                return ((*key).since_ns, (*key).count as u32);
            }
            let count = if within { (*key).count } else { 0 };
            if count < least_count {
                (least, least_count) = (key, count);
            }
            way += 1;
        }
        (*least).count = 1;
        (*least).since_ns = time_ns;
        write_volatile(&raw mut (*least).hash, hash);
        (time_ns, 1)
    }
}

#[inline(always)]
pub(crate) fn is_within(since_ns: u64, time_ns: u64) -> bool {
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
    unsafe { crowded(time_ns, key, key.hash()) }
}

/// Counts one where another has its place; false: there is no room for its key.
#[inline(always)]
unsafe fn add(key: &FoldKey, time_ns: u64, since_ns: u64) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let mut fold = FOLDS.get_ptr_mut(key);
        if fold.is_none() {
            // From there it need not be made on the stack, which is full.
            let _ = FOLDS.insert(key, &NONE, 0);
            fold = FOLDS.get_ptr_mut(key);
        }
        let Some(fold) = fold else {
            return false;
        };
        (*fold).count += 1;
        (*fold).last_ns = time_ns;
        (*fold).since_ns = since_ns;
        true
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
