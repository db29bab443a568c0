//! What allows a thread to signal a process, as `check_kill_permission` asks it. After
//! that only a security module can say no.

use sigtrace_common::{layout::ABSENT, record::Right};

use crate::{
    globals::global,
    mem::{pointer, pointer_if_known, Addr, Mem, Probe},
    pgrp,
};

const SIGCONT: i32 = 18;
const CAP_KILL: u32 = 5;
/// So many user namespaces are in each other at most: levels 0 to 33 (`create_user_ns`).
const LEVELS: u32 = 34;

/// Whether CAP_KILL is effective in these credentials.
///
/// # Safety
/// `cred` is only read by the helper.
#[inline(always)]
pub(crate) unsafe fn cap_kill(cred: Addr) -> u32 {
    // SAFETY: the caller's duty.
    let effective: u64 = unsafe { Probe::get(cred, global!(LAYOUT.cred_cap_effective)) };
    (effective >> CAP_KILL) as u32 & 1
}

/// The first that there is, for this signal.
///
/// # Safety
/// `sender` and `target` must point to tasks.
#[inline(always)]
pub(crate) unsafe fn of(sender: Addr, target: Addr, number: i32) -> Right {
    // SAFETY: the caller's duty; what is read is read by the helper alone.
    unsafe {
        let signal = global!(LAYOUT.task_signal);
        if pointer::<Probe>(sender, signal) == pointer::<Probe>(target, signal) {
            return Right::Own;
        }
        let cred = pointer_if_known::<Probe>(sender, global!(LAYOUT.task_cred));
        let theirs = pointer::<Probe>(target, global!(LAYOUT.task_real_cred));
        let (uid, euid) = (
            Probe::load::<u32>(cred, global!(LAYOUT.cred_uid)),
            Probe::get::<u32>(cred, global!(LAYOUT.cred_euid)),
        );
        let (to, saved) = (
            Probe::load::<u32>(theirs, global!(LAYOUT.cred_uid)),
            Probe::get::<u32>(theirs, global!(LAYOUT.cred_suid)),
        );
        // `kill_ok_by_cred`.
        if euid == saved || euid == to || uid == saved || uid == to {
            return Right::User;
        }
        let own = pointer_if_known::<Probe>(cred, global!(LAYOUT.cred_user_ns));
        let right = capable(
            cap_kill(cred) != 0,
            euid,
            own,
            pointer_if_known::<Probe>(theirs, global!(LAYOUT.cred_user_ns)),
        );
        if right as u32 != Right::None as u32 {
            return right;
        }
        if number == SIGCONT && global!(LAYOUT.signal_pids) != ABSENT {
            let session = pgrp::id(target, pgrp::SESSION);
            if session.is_null() || session == pgrp::id(sender, pgrp::SESSION) {
                return Right::Session;
            }
        }
        Right::None
    }
}

/// `cap_capable`, asked for CAP_KILL in `user_ns` of one who is `euid` in `own`.
#[inline(always)]
unsafe fn capable(cap_kill: bool, euid: u32, own: Addr, mut user_ns: Addr) -> Right {
    // SAFETY: the caller's duty.
    unsafe {
        let mut level = 0;
        while level < LEVELS {
            if user_ns == own {
                return if cap_kill {
                    Right::Capable
                } else {
                    Right::None
                };
            }
            if user_ns.is_null() {
                return Right::None;
            }
            let parent = pointer_if_known::<Probe>(user_ns, global!(LAYOUT.userns_parent));
            let owner: u32 = Probe::get(user_ns, global!(LAYOUT.userns_owner));
            if parent == own && owner == euid {
                return Right::Owner;
            }
            user_ns = parent;
            level += 1;
        }
        Right::None
    }
}
