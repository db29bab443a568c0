//! Signals that the kernel refuses to send: a system call of kill(2)'s family
//! fails, and `signal_generate` never comes.
//!
//! The calls themselves are looked at when they return: with fexit, or where that
//! cannot be had and it was asked for with kretprobes or at `sys_exit`, which every
//! system call passes. `check_kill_permission` tells who may not be signalled; whether
//! that was for a security module to say follows from what else would allow it
//! ([`rights`]). A program on the way of every kill(2) costs it some 200 instructions,
//! hence two, and as long as all goes well both do no more than to ask whether the call is to
//! many. Signal 0 asks whether a process is there, and is no signal.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_probe_read_kernel, bpf_probe_read_user, bpf_task_pt_regs},
    },
    macros::{fexit, kprobe, kretprobe, raw_tracepoint},
    programs::{FExitContext, ProbeContext, RawTracePointContext, RetProbeContext},
};
use sigtrace_common::record::{Creds, Denial, Kind, Refused, SystemCall, ANCESTORS};

use crate::{
    emit::{self, Share},
    filter, fork,
    globals::{global, ASKED, BROADCASTS, CALLS, DENIALS},
    mem::{current, pointer, pointer_if_known, typed_current, Addr, Direct, Mem, Probe},
    place, rights, syscall, task, trace,
};

/// A real-time queue is full: `signal_generate` has told that.
const EAGAIN: i32 = 11;
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

#[fexit]
pub fn fexit_sys_kill(ctx: FExitContext) -> i32 {
    let returned: i64 = ctx.arg(1);
    let regs = ctx.arg::<u64>(0);
    // SAFETY: __x64_sys_kill(const struct pt_regs *regs).
    if returned >= 0 && unsafe { argument::<Direct>(regs as Addr, global!(LAYOUT.regs_first)) } > 0
    {
        return 0;
    }
    done(SystemCall::Kill as u32, regs, returned as i32, 1)
}

macro_rules! at_return {
    ($($program:ident: $call:ident,)+) => {$(
        #[fexit]
        pub fn $program(ctx: FExitContext) -> i32 {
            let returned: i64 = ctx.arg(1);
            if returned >= 0 {
                return 0;
            }
            done(SystemCall::$call as u32, ctx.arg::<u64>(0), returned as i32, 1)
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
    done(call, regs, returned as i32, 1)
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
    done(call, regs, returned as i32, 0)
}

#[fexit(function = "check_kill_permission")]
pub fn fexit_check_kill_permission(ctx: FExitContext) -> i32 {
    // check_kill_permission(int sig, struct kernel_siginfo *info, struct task_struct *t)
    if is_by_kernel(ctx.arg(1)) {
        return 0;
    }
    let returned: i32 = ctx.arg(3);
    // SAFETY: registers of the current task.
    let many = unsafe {
        if global!(CONFIG.typed_registers) != 0 {
            many::<Direct>(bpf_task_pt_regs(typed_current() as *mut _) as Addr)
        } else {
            many::<Probe>(syscall::registers(current()))
        }
    };
    answered(ctx.arg(0), ctx.arg(2), returned, many)
}

#[kprobe(function = "check_kill_permission")]
pub fn kprobe_check_kill_permission(ctx: ProbeContext) -> i32 {
    if is_by_kernel(ctx.arg(1).unwrap_or(0)) {
        return 0;
    }
    let asked = (ctx.arg(2).unwrap_or(0), ctx.arg(0).unwrap_or(0));
    let _ = ASKED.insert(bpf_get_current_pid_tgid(), asked, 0);
    0
}

#[kretprobe(function = "check_kill_permission")]
pub fn kretprobe_check_kill_permission(ctx: RetProbeContext) -> i32 {
    let key = bpf_get_current_pid_tgid();
    // SAFETY: the values are copied at once; the registers of this very call.
    unsafe {
        let Some((target, number)) = ASKED.get(key).copied() else {
            return 0;
        };
        let _ = ASKED.remove(key);
        let many = CALLS
            .get(key)
            .is_some_and(|&regs| many::<Probe>(regs as Addr));
        answered(number as i32, target, ctx.ret(), many)
    }
}

/// A system call's argument of type `int`.
#[inline(always)]
unsafe fn argument<M: Mem>(regs: Addr, at: u32) -> i32 {
    // SAFETY: the caller's duty.
    unsafe { M::get::<u64>(regs, at) as i32 }
}

/// Whether the system call with these registers is kill(2), for many.
#[inline(always)]
unsafe fn many<M: Mem>(regs: Addr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        call_of(M::get(regs, global!(LAYOUT.regs_number))) == SystemCall::Kill as u32
            && argument::<M>(regs, global!(LAYOUT.regs_first)) <= 0
            && argument::<M>(regs, global!(LAYOUT.regs_second)) != 0
    }
}

/// Whether it is a signal of the kernel's own, for which the current task is a bystander,
/// in whatever system call: `SEND_SIG_PRIV`. `SEND_SIG_NOINFO` is what kill(2) itself hands
/// in since Linux 7.
#[inline(always)]
fn is_by_kernel(info: u64) -> bool {
    info == 1
}

/// Whether the current system call is known to be none of kill(2)'s family. Others send
/// with `SEND_SIG_NOINFO` (`TIOCNOTTY`), too, and tell nobody what became of it.
#[inline(always)]
fn by_another_call() -> bool {
    // SAFETY: the current task.
    let (number, arch) = unsafe { syscall::of(current()) };
    arch != 0 && call_of(u64::from(number)) == 0
}

/// Whether a target may be signalled; `many`: it is one of those of a kill(2).
#[inline(always)]
fn answered(number: i32, target: u64, returned: i32, many: bool) -> i32 {
    if many {
        count(returned != 0);
    }
    // Signal 0 is no signal.
    if returned == 0 || number == 0 {
        return 0;
    }
    denied(number, target as Addr, returned, many)
}

/// One more of many that may, or may not, be signalled.
#[inline(always)]
fn count(refused: bool) {
    let key = bpf_get_current_pid_tgid();
    if let Some(counts) = BROADCASTS.get_ptr_mut(key) {
        // SAFETY: this thread's own.
        unsafe { (*counts)[usize::from(refused)] += 1 };
    } else {
        // The first of them. Of a call whose end was missed there may be a denial; counts of
        // that would be added to, which takes that this was a call to many as well.
        let _ = DENIALS.remove(key);
        let counts = if refused { [0, 1] } else { [1, 0] };
        let _ = BROADCASTS.insert(key, counts, 0);
    }
}

/// A target may not be signalled. Of many the first one is kept.
#[inline(never)]
fn denied(number: i32, target: Addr, error: i32, many: bool) -> i32 {
    let key = bpf_get_current_pid_tgid();
    // SAFETY: map values are this thread's own, and copied at once; the argument of
    // check_kill_permission.
    unsafe {
        if many && DENIALS.get_ptr(key).is_some()
            || by_another_call()
            || filter::signal::<Probe>(target).is_none()
        {
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
        (*out).right = rights::of(current(), target, number) as u32;
        let _ = DENIALS.insert(key, denial.assume_init_ref(), 0);
        0
    }
}

#[inline(always)]
unsafe fn creds(out: *mut Creds, cred: Addr) {
    // SAFETY: the caller's duty; reads are checked as `Mem` says.
    unsafe {
        (*out).uid = Probe::load(cred, global!(LAYOUT.cred_uid));
        (*out).euid = Probe::get(cred, global!(LAYOUT.cred_euid));
        (*out).suid = Probe::get(cred, global!(LAYOUT.cred_suid));
        (*out).cap_kill = rights::cap_kill(cred);
        let user_ns = pointer_if_known::<Probe>(cred, global!(LAYOUT.cred_user_ns));
        (*out).user_ns = Probe::get(user_ns, global!(LAYOUT.userns_inum));
        (*out).user_ns_level = Probe::get(user_ns, global!(LAYOUT.userns_level));
    }
}

/// A call has failed, or was one to many; `counts_many`: those were counted.
#[inline(never)]
fn done(call: u32, regs: u64, returned: i32, counts_many: u32) -> i32 {
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
                let _ = BROADCASTS.remove(key);
            }
            counted = counts_many;
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
                    pointer_if_known::<Probe>(task, global!(LAYOUT.task_cred)),
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
