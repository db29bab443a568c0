//! What becomes of a signal: a thread acts on it (`signal_deliver`), or takes it from a
//! queue (`dequeue_signal`).

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    macros::{btf_tracepoint, fexit, kretprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FExitContext, RawTracePointContext, RetProbeContext},
    EbpfContext,
};
use sigtrace_common::record::{Deliver, Dequeue, Kind, NOT_ASKED};

use crate::{
    emit, fault, filter,
    globals::global,
    mem::{current, pointer, typed_current, Addr, Direct, Mem, Probe},
    pgrp,
    siginfo::{Action, Call, Info},
    signal::{asks_to_end, scalar_arg, share},
    task, trace,
};

const SIGTSTP: i32 = 20;
const SIGTTOU: i32 = 22;
/// A handler, wherever it is.
const HANDLED: u64 = u64::MAX;

#[raw_tracepoint(tracepoint = "signal_deliver")]
pub fn raw_signal_deliver(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of signal_deliver.
    unsafe { deliver::<Probe>(ctx.as_ptr(), ctx.arg(0), current()) }
}

#[btf_tracepoint(function = "signal_deliver")]
pub fn btf_signal_deliver(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of signal_deliver.
    unsafe {
        if global!(CONFIG.typed_current) != 0 {
            deliver::<Direct>(ctx.as_ptr(), ctx.arg(0), typed_current())
        } else {
            deliver::<Probe>(ctx.as_ptr(), ctx.arg(0), current())
        }
    }
}

#[inline(always)]
unsafe fn deliver<M: Mem>(ctx: *mut c_void, number: i32, task: Addr) -> i32 {
    // SAFETY: the caller's duty.
    unsafe {
        if !filter::signal_number(number as u64) || !filter::process::<M>(task) {
            return 0;
        }
        let mut room = MaybeUninit::uninit();
        let action = Action::read(&mut room, scalar_arg(ctx, 2) as Addr);
        let handler = action.handler();
        let mut room = MaybeUninit::uninit();
        let call = Call {
            number,
            group: 0,
            result: 0,
        };
        let info = Info::read(&mut room, ctx, 1, call);
        let code = info.code();
        let mut ip = 0;
        if handler > 3 {
            let of_fault = fault::is_fault(info.number(), code);
            if of_fault {
                ip = fault::instruction(ctx);
            }
            if of_fault || asks_to_end(info.number()) {
                let address = if of_fault { ip } else { handler };
                fault::before_handler(current(), address, of_fault, ctx);
            }
        }
        // As for its generation, of which it is the end.
        let share = share(info.number(), 0, action.handler());
        let Some(mut entry) = emit::reserve_within::<Deliver>(Kind::Deliver, share) else {
            return 0;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::Deliver);
        task::fill::<M>(&raw mut (*out).task, task);
        (*out).info = info.kind();
        (*out).code = code;
        (*out).number = info.number();
        (*out).handler = action.handler();
        (*out).sa_flags = action.flags();
        let signal = pointer::<M>(task, global!(LAYOUT.task_signal));
        (*out).signal_flags = M::load(signal, global!(LAYOUT.signal_flags));
        (*out).group_exit_code = M::load(signal, global!(LAYOUT.signal_group_exit_code));
        (*out).ptrace = M::load(task, global!(LAYOUT.task_ptrace));
        let number = info.number();
        (*out).orphaned = if action.handler() == 0 && (SIGTSTP..=SIGTTOU).contains(&number) {
            pgrp::orphaned(current())
        } else {
            NOT_ASKED
        };
        (*out).reserved = 0;
        (*out).ip = ip;
        entry.submit(0);
        0
    }
}

#[fexit(function = "dequeue_signal")]
pub fn fexit_dequeue_signal(ctx: FExitContext) -> i32 {
    // The returned value follows the arguments, whose number changed in 5.17,
    // 6.1 and 6.12. Read as memory: the compiler would merge two loads into one
    // at a computed place in the context, which the verifier does not allow.
    let at = if global!(CONFIG.dequeue_args) == 4 {
        4
    } else {
        3
    };
    // SAFETY: the context of this program.
    unsafe {
        let number = scalar_arg(ctx.as_ptr(), at) as i32;
        if global!(CONFIG.typed_current) != 0 {
            dequeue::<Direct>(ctx.as_ptr(), number, typed_current())
        } else {
            dequeue::<Probe>(ctx.as_ptr(), number, current())
        }
    }
}

#[kretprobe(function = "dequeue_signal")]
pub fn kretprobe_dequeue_signal(ctx: RetProbeContext) -> i32 {
    let number: i32 = ctx.ret();
    // SAFETY: the context of this program.
    unsafe { dequeue::<Probe>(ctx.as_ptr(), number, current()) }
}

#[inline(always)]
unsafe fn dequeue<M: Mem>(ctx: *mut c_void, number: i32, task: Addr) -> i32 {
    // SAFETY: the caller's duty.
    unsafe {
        if number <= 0 || !filter::signal_number(number as u64) || !filter::process::<M>(task) {
            return 0;
        }
        // Whoever waits for SIGTERM as an init does is asked for an end by it.
        let share = share(number, 0, HANDLED);
        let Some(mut entry) = emit::reserve_within::<Dequeue>(Kind::Dequeue, share) else {
            return 0;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::Dequeue);
        task::fill::<M>(&raw mut (*out).task, task);
        (*out).number = number;
        (*out).frame_count = trace::stack((&raw mut (*out).stack).cast(), 8, ctx);
        entry.submit(0);
        0
    }
}
