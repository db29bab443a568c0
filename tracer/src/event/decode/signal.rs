//! What a signal's records say in numbers.

use sigtrace_common::record;

use super::task;
use crate::event::{Detail, Fact, Handler, Info, Outcome, TargetState};

pub(super) fn deliver(r: &record::Deliver) -> Fact {
    Fact::Deliver {
        task: task(&r.task),
        number: r.number,
        code: code(r.info, r.code),
        info: info(r.info),
        handler: handler(r.handler),
        signal_flags: r.signal_flags,
        group_exit_code: r.group_exit_code,
        traced: r.ptrace != 0,
        orphaned: match r.orphaned {
            record::ORPHANED => Some(true),
            record::NOT_ORPHANED => Some(false),
            _ => None,
        },
        fault_at: (r.ip != 0).then_some(r.ip),
    }
}

pub(super) fn info(kind: u32) -> Info {
    match kind {
        0 => Info::None,
        1 => Info::Kernel,
        _ => Info::Full,
    }
}

const SIGSYS: i32 = 31;
/// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV.
const FAULTS: [i32; 5] = [4, 5, 7, 8, 11];

/// The union behind `si_code`. Only the kernel may use positive codes, but a
/// process may towards itself, so this tells what is said, not who says it. With
/// SI_KERNEL (0x80) there is nothing in it: a general protection fault has no
/// address (`force_sig`).
pub(super) fn detail(r: &record::Signal) -> Detail {
    if r.info == 1 && (r.si_pid, r.si_uid) != (0, 0) {
        let limit = |value: u32| (value != u32::MAX).then_some(value);
        return Detail::Limits {
            cpu_s: limit(r.si_pid),
            rt_us: limit(r.si_uid),
        };
    }
    if r.info != 2 || !(1..0x80).contains(&r.code) {
        return Detail::None;
    }
    match r.number {
        SIGSYS => Detail::SystemCall {
            number: r.si_pid,
            arch: r.si_uid,
        },
        number if FAULTS.contains(&number) => {
            Detail::Address(u64::from(r.si_uid) << 32 | u64::from(r.si_pid))
        }
        _ => Detail::None,
    }
}

/// What the target will find in `si_code` when there is no siginfo to read:
/// `SEND_SIG_PRIV` becomes SI_KERNEL, `SEND_SIG_NOINFO` SI_USER
/// (`__send_signal_locked`).
pub(super) fn code(info: u32, code: i32) -> i32 {
    const SI_KERNEL: i32 = 0x80;
    match info {
        0 => 0,
        1 => SI_KERNEL,
        _ => code,
    }
}

pub(super) fn outcome(result: u32) -> Outcome {
    match result {
        0 => Outcome::Delivered,
        1 => Outcome::Ignored,
        2 => Outcome::AlreadyPending,
        3 => Outcome::OverflowFail,
        record::SHARES_ITS_BIT => Outcome::SharesItsBit,
        record::BIT_ALONE => Outcome::BitAlone,
        _ => Outcome::LoseInfo,
    }
}

pub(super) fn handler(address: u64) -> Handler {
    match address {
        0 => Handler::Default,
        1 => Handler::Ignore,
        2 => Handler::KernelThread,
        3 => Handler::KernelThreadKernel,
        user => Handler::User(user),
    }
}

/// Priorities below that are those of real time and deadlines, to which the quota of
/// fair scheduling does not apply (`include/linux/sched/prio.h`).
const MAX_RT_PRIO: i32 = 100;

pub(super) fn state(r: &record::TargetState) -> TargetState {
    TargetState {
        handler: handler(r.handler),
        sa_flags: r.sa_flags,
        blocked: r.blocked,
        real_blocked: r.real_blocked,
        pending: r.pending,
        shared_pending: r.shared_pending,
        signal_flags: r.signal_flags,
        group_exit_code: r.group_exit_code,
        traced: r.ptrace != 0,
        state: r.state,
        exit_state: r.exit_state,
        threads: r.threads,
        threads_seen: r.threads_seen,
        threads_blocking: r.threads_blocking,
        threads_unable: r.threads_unable,
        dumping: r.dumping != 0,
        throttled: r.throttle_count != 0 && r.prio >= MAX_RT_PRIO,
    }
}
