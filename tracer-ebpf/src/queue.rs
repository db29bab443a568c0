//! The queues of a target (`struct sigpending`), of signals that found no place there for
//! their siginfo: whether they add anything to what is in them, and how full they are.
//! [`crate::fold`] counts those that do not; what is said of them is `explain/queued.rs`'s.

use sigtrace_common::{
    layout::ABSENT,
    record::{Signal, BIT_ALONE, SHARES_ITS_BIT},
};

use crate::{
    globals::global,
    mem::{pointer, pointer_if_known, Addr, Mem, Probe},
    verifier,
};

/// `TRACE_SIGNAL_OVERFLOW_FAIL`.
const OVERFLOW_FAIL: i32 = 3;
/// `TRACE_SIGNAL_LOSE_INFO`.
pub(crate) const LOSE_INFO: i32 = 4;
const RLIMIT_SIGPENDING: u32 = 11;
/// The first real-time signal, to the kernel.
const SIGRTMIN: i32 = 32;

/// Entries that are looked at, from the latest: two of each real-time signal that the C
/// library leaves to programs.
const ENTRIES: usize = 64;

/// Whether there was no place for an entry.
#[inline(always)]
pub(crate) fn was_full(result: i32) -> bool {
    result >= OVERFLOW_FAIL
}

/// The result of a signal that got no entry: [`SHARES_ITS_BIT`] if one of its number is seen in
/// its queue, [`BIT_ALONE`] if there is none. Of one below SIGRTMIN nobody has to look: it
/// would have been "already pending" (`legacy_queue`). A function of its own, for its frame and
/// for the verifier.
#[inline(never)]
pub(crate) fn without_entry(target: Addr, number: i32, group: u32) -> i32 {
    let (list, info) = (global!(LAYOUT.sigqueue_list), global!(LAYOUT.sigqueue_info));
    let (own, shared) = (
        global!(LAYOUT.task_queue),
        global!(LAYOUT.signal_shared_queue),
    );
    let signo = global!(LAYOUT.siginfo_signo);
    if number < SIGRTMIN || [list, info, own, shared, signo].contains(&ABSENT) {
        return LOSE_INFO;
    }
    // From an entry's place in the list to its number.
    let number_at = info.wrapping_add(signo).wrapping_sub(list) as usize;
    // SAFETY: addresses are only read by the helper; siglock is held, so the list is stable.
    unsafe {
        // Both addresses without a type: the verifier follows the loop once.
        let signal = pointer::<Probe>(target, global!(LAYOUT.task_signal)) as u64;
        let target = verifier::untyped(target) as u64;
        let for_all = 0u64.wrapping_sub(u64::from(group));
        let head =
            ((signal + u64::from(shared)) & for_all) | ((target + u64::from(own)) & !for_all);
        let head = head as Addr;
        let mut shares = 0;
        let mut node = before(head);
        let mut i = 0;
        while i < ENTRIES {
            if node == head || node.is_null() || shares != 0 {
                break;
            }
            let of: u32 = Probe::at(node.wrapping_add(number_at));
            shares = 1 - verifier::any(u64::from(of ^ number as u32));
            node = before(node);
            i += 1;
        }
        if shares != 0 {
            SHARES_ITS_BIT as i32
        } else if node == head {
            BIT_ALONE as i32
        } else {
            LOSE_INFO
        }
    }
}

/// `list_head.prev`.
#[inline(always)]
unsafe fn before(node: Addr) -> Addr {
    // SAFETY: the helper checks the address.
    unsafe { Probe::at::<u64>(node.wrapping_add(size_of::<u64>())) as Addr }
}

/// How full the queues of the target's user are, which share one limit.
#[inline(always)]
pub(crate) unsafe fn fill(out: *mut Signal, target: Addr) {
    // SAFETY: the caller's duty; addresses are only read by the helper.
    unsafe {
        if global!(LAYOUT.signal_rlim) == ABSENT {
            return;
        }
        let signal = pointer::<Probe>(target, global!(LAYOUT.task_signal));
        let cred = pointer::<Probe>(target, global!(LAYOUT.task_real_cred));
        // `rlim_cur` is the first of two.
        let limit = global!(LAYOUT.signal_rlim) + RLIMIT_SIGPENDING * 16;
        (*out).queue_limit = Probe::get(signal, limit);
        let which = global!(LAYOUT.ucounts_sigpending);
        if which != ABSENT && global!(LAYOUT.cred_ucounts) != ABSENT {
            let counts = pointer_if_known::<Probe>(cred, global!(LAYOUT.cred_ucounts));
            (*out).queued = Probe::get(counts, global!(LAYOUT.ucounts_rlimit) + 8 * which);
        } else if global!(LAYOUT.user_sigpending) != ABSENT {
            let user = pointer_if_known::<Probe>(cred, global!(LAYOUT.cred_user));
            (*out).queued = u64::from(Probe::get::<u32>(user, global!(LAYOUT.user_sigpending)));
        }
    }
}
