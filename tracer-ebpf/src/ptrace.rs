//! Debuggers: what one lets a thread go on with that had stopped for a signal. Not
//! every request that a debugger makes, and nothing where nobody is traced.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use sigtrace_common::{
    layout::ABSENT,
    record::{Kind, Ptrace, ANCESTORS},
};

use crate::{
    emit::{self, turn, First, Only, Second, Third, Turn},
    filter,
    globals::global,
    mem::{current, pointer_if_known, Addr, Mem, Probe},
    task, trace,
};

/// Numbers of signals end here.
const SIGNALS: i32 = 64;
const SIGTRAP: i32 = 5;
const PTRACE_CONT: u64 = 7;
const PTRACE_SINGLESTEP: u64 = 9;
const PTRACE_DETACH: u64 = 17;
const PTRACE_SYSCALL: u64 = 24;
const PTRACE_SYSEMU: u64 = 31;
const PTRACE_SINGLEBLOCK: u64 = 33;

#[fentry(function = "ptrace_request")]
pub fn fentry_ptrace_request(ctx: FEntryContext) -> i32 {
    // SAFETY: ptrace_request(child, request, addr, data).
    unsafe { resumed::<Only>(ctx.arg::<u64>(0) as Addr, ctx.arg(1), ctx.arg(3)) }
}

#[fentry(function = "ptrace_request")]
pub fn fentry1_ptrace_request(ctx: FEntryContext) -> i32 {
    // SAFETY: as above.
    unsafe { resumed::<First>(ctx.arg::<u64>(0) as Addr, ctx.arg(1), ctx.arg(3)) }
}

#[fentry(function = "ptrace_request")]
pub fn fentry2_ptrace_request(ctx: FEntryContext) -> i32 {
    // SAFETY: as above.
    unsafe { resumed::<Second>(ctx.arg::<u64>(0) as Addr, ctx.arg(1), ctx.arg(3)) }
}

#[fentry(function = "ptrace_request")]
pub fn fentry3_ptrace_request(ctx: FEntryContext) -> i32 {
    // SAFETY: as above.
    unsafe { resumed::<Third>(ctx.arg::<u64>(0) as Addr, ctx.arg(1), ctx.arg(3)) }
}

#[kprobe(function = "ptrace_request")]
pub fn kprobe_ptrace_request(ctx: ProbeContext) -> i32 {
    // SAFETY: as above.
    unsafe {
        resumed::<Only>(
            ctx.arg::<u64>(0).unwrap_or(0) as Addr,
            ctx.arg(1).unwrap_or(0),
            ctx.arg(3).unwrap_or(0),
        )
    }
}

/// The requests that let a thread go on.
#[inline(always)]
fn goes_on(request: u64) -> bool {
    (PTRACE_CONT..=PTRACE_SINGLESTEP).contains(&request)
        || request == PTRACE_DETACH
        || request == PTRACE_SYSCALL
        || (PTRACE_SYSEMU..=PTRACE_SINGLEBLOCK).contains(&request)
}

/// The signal that a thread has stopped for; 0: it stopped for something else. Not
/// its `exit_code`, which is cleared once the debugger has waited for it.
#[inline(always)]
unsafe fn stopped_for(child: Addr) -> i32 {
    if global!(LAYOUT.task_last_siginfo) == ABSENT || global!(LAYOUT.siginfo_signo) == ABSENT {
        return 0;
    }
    // SAFETY: the caller's duty; addresses are only read by the helper.
    unsafe {
        let info = pointer_if_known::<Probe>(child, global!(LAYOUT.task_last_siginfo));
        if info.is_null() {
            return 0;
        }
        let number: i32 = Probe::get(info, global!(LAYOUT.siginfo_signo));
        let code: i32 = Probe::load(info, global!(LAYOUT.siginfo_code));
        // Made up by `ptrace_do_notify`: SIGTRAP, with 0x80 at a system call, with
        // the event above that.
        let made_up = number == SIGTRAP && (code & 0x7f == SIGTRAP || code > 0xff);
        if made_up || !(number > 0 && number <= SIGNALS) {
            0
        } else {
            number
        }
    }
}

#[inline(always)]
unsafe fn resumed<T: Turn>(child: Addr, request: u64, data: u64) -> i32 {
    emit::in_turn::<T>(Kind::Ptrace, || {
        // SAFETY: the caller's duty; the child stands still (ptrace_check_attach).
        unsafe {
            if !goes_on(request) {
                return 0;
            }
            let stopped = stopped_for(child);
            // At a system call or an event, and nothing given: so goes strace on.
            if stopped == 0 && data == 0 || !filter::process::<Probe>(child) {
                return 0;
            }
            if !turn::<Probe, T>(Kind::Ptrace, child) {
                return 0;
            }
            let Some(mut entry) = emit::reserve::<Ptrace>(Kind::Ptrace) else {
                return 0;
            };
            let out = entry.as_mut_ptr();
            (*out).header = emit::header(Kind::Ptrace);
            task::fill::<Probe>(&raw mut (*out).tracer, current());
            task::fill::<Probe>(&raw mut (*out).task, child);
            (*out).data = data;
            (*out).stopped = stopped;
            (*out).request = request as u32;
            trace::fill::<Probe, ANCESTORS>(&raw mut (*out).trace, None);
            entry.submit(0);
            0
        }
    })
}
