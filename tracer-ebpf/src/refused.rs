//! Signals that the kernel refuses to send: a system call of kill(2)'s family
//! fails, and `signal_generate` never comes.
//!
//! The calls themselves are looked at when they return: with fexit, or where that
//! cannot be had and it was asked for with kretprobes or at `sys_exit`, which every
//! system call passes. `check_kill_permission` tells who may not be signalled, and
//! `security_task_kill` in it whether a security module says so. Each of these
//! programs has nothing to do as long as all goes well. Signal 0 asks whether a
//! process is there, and is no signal.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_probe_read_kernel, bpf_probe_read_user},
    },
    macros::{fentry, fexit, kprobe, kretprobe, raw_tracepoint},
    programs::{FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext},
};
use core::arch::asm;
use sigtrace_common::record::{Creds, Denial, Kind, Refused, SystemCall, ANCESTORS};

use crate::{
    emit::{self, Share},
    filter, fork,
    globals::{global, ASKED, BROADCASTING, BROADCASTS, BY_MODULE, CALLS, DENIALS},
    mem::{current, pointer, Addr, Direct, Mem, Probe},
    place, task, trace,
};

/// A real-time queue is full: `signal_generate` has told that.
const EAGAIN: i32 = 11;
const CAP_KILL: u32 = 5;
/// `si_code` in what user space hands in as siginfo.
const SI_CODE_AT: u64 = 8;
/// Code segment of 64-bit programs (`__USER_CS`); numbers of 32-bit calls are others.
const USER_CS: u64 = 0x33;

/// Of x86-64.
#[inline(always)]
fn call_of(number: u64) -> u32 {
    let call = match number {
        62 => SystemCall::Kill,
        200 => SystemCall::Tkill,
        234 => SystemCall::Tgkill,
        129 => SystemCall::RtSigqueueinfo,
        297 => SystemCall::RtTgsigqueueinfo,
        424 => SystemCall::PidfdSendSignal,
        _ => return 0,
    };
    call as u32
}

/// Only for kill(2) to many: from here on they are counted.
#[fentry]
pub fn fentry_sys_kill(ctx: FEntryContext) -> i32 {
    // SAFETY: __x64_sys_kill(const struct pt_regs *regs).
    unsafe { begin::<Direct>(ctx.arg::<u64>(0) as Addr) };
    0
}

#[fexit]
pub fn fexit_sys_kill(ctx: FExitContext) -> i32 {
    let returned: i64 = ctx.arg(1);
    let regs = ctx.arg::<u64>(0);
    // SAFETY: __x64_sys_kill(const struct pt_regs *regs).
    if returned >= 0 && unsafe { argument::<Direct>(regs as Addr, global!(LAYOUT.regs_first)) } > 0
    {
        return 0;
    }
    done(SystemCall::Kill as u32, regs, returned as i32)
}

macro_rules! at_return {
    ($($program:ident: $call:ident,)+) => {$(
        #[fexit]
        pub fn $program(ctx: FExitContext) -> i32 {
            let returned: i64 = ctx.arg(1);
            if returned >= 0 {
                return 0;
            }
            done(SystemCall::$call as u32, ctx.arg::<u64>(0), returned as i32)
        }
    )+};
}

at_return! {
    fexit_sys_tkill: Tkill,
    fexit_sys_tgkill: Tgkill,
    fexit_sys_rt_sigqueueinfo: RtSigqueueinfo,
    fexit_sys_rt_tgsigqueueinfo: RtTgsigqueueinfo,
    fexit_sys_pidfd_send_signal: PidfdSendSignal,
}

/// At the entry of all six.
#[kprobe]
pub fn kprobe_sys_refusing(ctx: ProbeContext) -> i32 {
    let regs = ctx.arg::<u64>(0).unwrap_or(0);
    let _ = CALLS.insert(bpf_get_current_pid_tgid(), regs, 0);
    // SAFETY: __x64_sys_…(const struct pt_regs *regs).
    unsafe {
        let number = Probe::get::<u64>(regs as Addr, global!(LAYOUT.regs_number));
        if call_of(number) == SystemCall::Kill as u32 {
            begin::<Probe>(regs as Addr);
        }
    }
    0
}

/// At their return.
#[kretprobe]
pub fn kretprobe_sys_refusing(ctx: RetProbeContext) -> i32 {
    let key = bpf_get_current_pid_tgid();
    // SAFETY: the value is copied at once.
    let Some(regs) = (unsafe { CALLS.get(key).copied() }) else {
        return 0;
    };
    let _ = CALLS.remove(key);
    let returned: i64 = ctx.ret();
    // SAFETY: the registers of this very call.
    let (call, first) = unsafe {
        (
            call_of(Probe::get(regs as Addr, global!(LAYOUT.regs_number))),
            argument::<Probe>(regs as Addr, global!(LAYOUT.regs_first)),
        )
    };
    if call == 0 || (returned >= 0 && (call != SystemCall::Kill as u32 || first > 0)) {
        return 0;
    }
    done(call, regs, returned as i32)
}

/// Where functions cannot be hooked. Of whom it was not allowed for nothing is
/// known, and nothing of what some of many refused.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn raw_sys_exit(ctx: RawTracePointContext) -> i32 {
    let returned: i64 = ctx.arg(1);
    if returned >= 0 {
        return 0;
    }
    let regs = ctx.arg::<u64>(0);
    // SAFETY: sys_exit(struct pt_regs *regs, long ret).
    let (number, call) = unsafe {
        if Probe::get::<u64>(regs as Addr, global!(LAYOUT.regs_segment)) != USER_CS {
            return 0;
        }
        let number: u64 = Probe::get(regs as Addr, global!(LAYOUT.regs_number));
        (number, call_of(number))
    };
    if fork::is_call(number) {
        // SAFETY: the registers of a system call.
        return unsafe { fork::failed_call(number, regs as Addr, returned as i32) };
    }
    if call == 0 {
        return 0;
    }
    done(call, regs, returned as i32)
}

#[fexit(function = "check_kill_permission")]
pub fn fexit_check_kill_permission(ctx: FExitContext) -> i32 {
    // check_kill_permission(int sig, struct kernel_siginfo *info, struct task_struct *t)
    let returned: i32 = ctx.arg(3);
    if returned == 0 {
        return allowed();
    }
    denied(ctx.arg(0), ctx.arg::<u64>(2), returned)
}

#[kprobe(function = "check_kill_permission")]
pub fn kprobe_check_kill_permission(ctx: ProbeContext) -> i32 {
    let target = ctx.arg::<u64>(2).unwrap_or(0);
    // The number first: 0 is no signal.
    let asked = if ctx.arg::<i32>(0).unwrap_or(0) == 0 {
        0
    } else {
        target
    };
    let _ = ASKED.insert(bpf_get_current_pid_tgid(), asked, 0);
    0
}

#[kretprobe(function = "check_kill_permission")]
pub fn kretprobe_check_kill_permission(ctx: RetProbeContext) -> i32 {
    let key = bpf_get_current_pid_tgid();
    // SAFETY: the value is copied at once.
    let Some(target) = (unsafe { ASKED.get(key).copied() }) else {
        return 0;
    };
    let _ = ASKED.remove(key);
    let returned: i32 = ctx.ret();
    if returned == 0 {
        return allowed();
    }
    // Its number is that of the system call, which is looked at when that returns.
    denied(i32::from(target != 0), target, returned)
}

#[fexit(function = "security_task_kill")]
pub fn fexit_security_task_kill(ctx: FExitContext) -> i32 {
    // security_task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig,
    // const struct cred *cred)
    forbidden(ctx.arg(4))
}

#[kretprobe(function = "security_task_kill")]
pub fn kretprobe_security_task_kill(ctx: RetProbeContext) -> i32 {
    forbidden(ctx.ret())
}

#[inline(always)]
fn forbidden(returned: i32) -> i32 {
    if returned != 0 {
        let _ = BY_MODULE.insert(bpf_get_current_pid_tgid(), returned, 0);
    }
    0
}

/// A system call's argument of type `int`.
#[inline(always)]
unsafe fn argument<M: Mem>(regs: Addr, at: u32) -> i32 {
    // SAFETY: the caller's duty.
    unsafe { M::get::<u64>(regs, at) as i32 }
}

/// kill(2) begins.
#[inline(always)]
unsafe fn begin<M: Mem>(regs: Addr) {
    // SAFETY: the caller's duty.
    unsafe {
        if argument::<M>(regs, global!(LAYOUT.regs_first)) > 0
            || argument::<M>(regs, global!(LAYOUT.regs_second)) == 0
        {
            return;
        }
        let key = bpf_get_current_pid_tgid();
        let _ = DENIALS.remove(key);
        if let Some(counts) = BROADCASTS.get_ptr_mut(key) {
            *counts = [0, 0];
        } else if BROADCASTS.insert(key, [0, 0], 0).is_ok() {
            broadcasting(1);
        }
    }
}

/// One more, or one less, signals many.
#[inline(always)]
fn broadcasting(more: i64) {
    if let Some(count) = BROADCASTING.get_ptr_mut(0) {
        // SAFETY: a counter that all CPUs share, hence atomic.
        unsafe {
            asm!("lock *(u64 *)({count} + 0) += {more}", count = in(reg) count, more = in(reg) more)
        };
    }
}

/// A target may be signalled.
#[inline(always)]
fn allowed() -> i32 {
    match BROADCASTING.get(0) {
        None | Some(0) => 0,
        Some(_) => {
            if let Some(counts) = BROADCASTS.get_ptr_mut(bpf_get_current_pid_tgid()) {
                // SAFETY: this thread's own.
                unsafe { (*counts)[0] += 1 };
            }
            0
        }
    }
}

/// A target may not be signalled.
#[inline(never)]
fn denied(number: i32, target: u64, error: i32) -> i32 {
    let (key, target) = (bpf_get_current_pid_tgid(), target as Addr);
    // SAFETY: map values are this thread's own, and copied at once; the argument of
    // check_kill_permission.
    unsafe {
        let by_module = BY_MODULE.get(key).copied().unwrap_or(0);
        if by_module != 0 {
            let _ = BY_MODULE.remove(key);
        }
        if number == 0 {
            return 0;
        }
        if let Some(counts) = BROADCASTS.get_ptr_mut(key) {
            (*counts)[1] += 1;
            if DENIALS.get_ptr(key).is_some() {
                return 0;
            }
        }
        if filter::signal::<Probe>(target).is_none() {
            return 0;
        }
        let mut denial = MaybeUninit::<Denial>::uninit();
        let out = denial.as_mut_ptr();
        task::fill::<Probe>(&raw mut (*out).target, target);
        creds(
            &raw mut (*out).creds,
            pointer::<Probe>(target, global!(LAYOUT.task_real_cred)),
        );
        (*out).error = error;
        (*out).by_module = if by_module == error { by_module } else { 0 };
        let _ = DENIALS.insert(key, denial.assume_init_ref(), 0);
        0
    }
}

#[inline(always)]
unsafe fn creds(out: *mut Creds, cred: Addr) {
    // SAFETY: the caller's duty; reads are checked as `Mem` says.
    unsafe {
        (*out).uid = Probe::get(cred, global!(LAYOUT.cred_uid));
        (*out).euid = Probe::get(cred, global!(LAYOUT.cred_euid));
        (*out).suid = Probe::get(cred, global!(LAYOUT.cred_suid));
        let effective: u64 = Probe::get(cred, global!(LAYOUT.cred_cap_effective));
        (*out).cap_kill = (effective >> CAP_KILL) as u32 & 1;
        let user_ns = pointer::<Probe>(cred, global!(LAYOUT.cred_user_ns));
        (*out).user_ns = Probe::get(user_ns, global!(LAYOUT.userns_inum));
        (*out).user_ns_level = Probe::get(user_ns, global!(LAYOUT.userns_level));
    }
}

/// A call has failed, or was one to many.
#[inline(never)]
fn done(call: u32, regs: u64, returned: i32) -> i32 {
    let regs = regs as Addr;
    // SAFETY: the registers of a system call; map values are this thread's own.
    unsafe {
        let first = argument::<Probe>(regs, global!(LAYOUT.regs_first));
        let second = argument::<Probe>(regs, global!(LAYOUT.regs_second));
        let third: u64 = Probe::get(regs, global!(LAYOUT.regs_third));
        let fourth: u64 = Probe::get(regs, global!(LAYOUT.regs_fourth));
        // (pid or descriptor, tid, number, siginfo, flags)
        let (pid, tid, number, info, flags) = if call == SystemCall::Tkill as u32 {
            (0, first, second, 0, 0)
        } else if call == SystemCall::Tgkill as u32 {
            (first, second, third as i32, 0, 0)
        } else if call == SystemCall::RtSigqueueinfo as u32 {
            (first, 0, second, third, 0)
        } else if call == SystemCall::RtTgsigqueueinfo as u32 {
            (first, second, third as i32, fourth, 0)
        } else if call == SystemCall::PidfdSendSignal as u32 {
            (first, 0, second, third, fourth as u32)
        } else {
            (first, 0, second, 0, 0)
        };
        let key = bpf_get_current_pid_tgid();
        let (mut reached, mut refused, mut counted) = (0, 0, 0);
        if call == SystemCall::Kill as u32 && pid <= 0 {
            if let Some(counts) = BROADCASTS.get_ptr(key) {
                [reached, refused] = *counts;
                counted = 1;
                if BROADCASTS.remove(key).is_ok() {
                    broadcasting(-1);
                }
            }
        }
        let told = returned >= 0 || returned == -EAGAIN;
        let denial = DENIALS.get_ptr(key);
        let known = denial.is_some();
        if number != 0
            && (!told || refused != 0)
            && filter::any_number(number)
            && (known || filter::sender())
        {
            let current_at = place::of(current());
            if let Some(mut entry) = emit::reserve_within::<Refused>(Kind::Refused, Share::Noise) {
                let out = entry.as_mut_ptr();
                (*out).current_at = current_at;
                (*out).header = emit::header(Kind::Refused);
                let task = current();
                task::fill::<Probe>(&raw mut (*out).current, task);
                creds(
                    &raw mut (*out).creds,
                    pointer::<Probe>(task, global!(LAYOUT.task_cred)),
                );
                // Without one it is cleared: the helper does that when it fails.
                let from = denial.map_or(core::ptr::null(), |denial| denial);
                bpf_probe_read_kernel(
                    (&raw mut (*out).denial).cast(),
                    size_of::<Denial>() as u32,
                    from.cast(),
                );
                (*out).call = call;
                (*out).returned = returned;
                (*out).number = number;
                (*out).pid = pid;
                (*out).tid = tid;
                (*out).flags = flags;
                let mut code = 0i32;
                (*out).has_info = 0;
                if info != 0 {
                    let failed = bpf_probe_read_user(
                        (&raw mut code).cast(),
                        4,
                        (info + SI_CODE_AT) as *const _,
                    );
                    (*out).has_info = if failed == 0 { 1 } else { 2 };
                }
                (*out).code = code;
                (*out).refused = refused;
                (*out).reached = reached;
                (*out).counted = counted;
                (*out).pad = 0;
                trace::fill::<Probe, ANCESTORS>(&raw mut (*out).trace, None);
                entry.submit(0);
            }
        }
        if known {
            let _ = DENIALS.remove(key);
        }
        0
    }
}
