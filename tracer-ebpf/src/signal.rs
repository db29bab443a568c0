//! Signals that are generated (`signal_generate`, fires under siglock after
//! `complete_signal`); what becomes of them is `deliver`'s.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    helpers::generated::bpf_probe_read_kernel,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
    EbpfContext,
};
use aya_log_ebpf::debug;
use sigtrace_common::{
    layout::ABSENT,
    record::{Kind, Signal, SignalTraced, TargetState, ANCESTORS, NOT_COUNTED, THREADS},
};

use crate::{
    emit::{self, Share},
    fault,
    filter::{self, Because},
    first_look::{self, Clearly},
    fold,
    globals::global,
    mem::{current, pointer, pointer_if_known, typed_current, Addr, Direct, Mem, Probe},
    oom, place, queue,
    siginfo::{Action, Call, Info, BY_KERNEL, WHOLE},
    task::{self, Links},
    trace, verifier,
};

/// `TRACE_SIGNAL_IGNORED`.
const IGNORED: i32 = 1;
const RLIMIT_CPU: u32 = 0;
const RLIMIT_RTTIME: u32 = 15;
const SIGHUP: i32 = 1;
const SIGQUIT: i32 = 3;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGURG: i32 = 23;
const SIGXCPU: i32 = 24;
const SIGWINCH: i32 = 28;
const SIGSYS: i32 = 31;
const PF_EXITING: u32 = 0x4;
/// PF_IO_WORKER and PF_USER_WORKER: threads that never take a signal.
const PF_WORKERS: u32 = 0x10 | 0x4000;

/// Reads the `n`th argument as a number. In BTF-typed programs a plain load
/// would give a typed pointer; `info` may be 0 or 1 and must never be loaded
/// through (newer kernels trust it and would not handle the fault).
#[inline(always)]
pub(crate) unsafe fn scalar_arg(ctx: *mut c_void, n: usize) -> u64 {
    let mut value = 0u64;
    // SAFETY: the context has at least the tracepoint's arguments.
    unsafe {
        bpf_probe_read_kernel((&raw mut value).cast(), 8, ctx.cast::<u64>().add(n).cast());
    }
    value
}

#[raw_tracepoint(tracepoint = "signal_generate")]
pub fn raw_signal_generate(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the arguments of signal_generate.
    match unsafe { at_first::<Probe>(ctx.arg(0), ctx.arg::<u64>(2) as Addr) } {
        Clearly::Unwanted => 0,
        clearly => {
            verifier::meet();
            raw_generate(ctx.as_ptr(), clearly)
        }
    }
}

#[btf_tracepoint(function = "signal_generate")]
pub fn btf_signal_generate(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the arguments of signal_generate.
    match unsafe { at_first::<Direct>(ctx.arg(0), ctx.arg::<u64>(2) as Addr) } {
        Clearly::Unwanted => 0,
        clearly => {
            verifier::meet();
            btf_generate(ctx.as_ptr(), clearly)
        }
    }
}

/// Most signals are not wanted: they pay for what is asked here, and not for the frame of
/// what follows.
#[inline(always)]
unsafe fn at_first<M: Mem>(number: u64, target: Addr) -> Clearly {
    if !filter::signal_number(number) {
        return Clearly::Unwanted;
    }
    // SAFETY: the caller's duty.
    unsafe { first_look::at_first::<M>(target) }
}

#[inline(never)]
fn raw_generate(ctx: *mut c_void, clearly: Clearly) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    debug!(
        &ctx,
        "signal_generate {} info {:x} result {}",
        ctx.arg::<i32>(0),
        ctx.arg::<u64>(1),
        ctx.arg::<i32>(4)
    );
    let call = Call {
        number: ctx.arg(0),
        group: ctx.arg(3),
        result: ctx.arg(4),
    };
    // SAFETY: the arguments of signal_generate.
    unsafe { generate::<Probe>(ctx.as_ptr(), call, ctx.arg::<u64>(2) as Addr, clearly) }
}

#[inline(never)]
fn btf_generate(ctx: *mut c_void, clearly: Clearly) -> i32 {
    let ctx = BtfTracePointContext::new(ctx);
    debug!(
        &ctx,
        "signal_generate {} result {}",
        ctx.arg::<i32>(0),
        ctx.arg::<i32>(4)
    );
    let call = Call {
        number: ctx.arg(0),
        group: ctx.arg(3),
        result: ctx.arg(4),
    };
    // SAFETY: the arguments of signal_generate.
    unsafe { generate::<Direct>(ctx.as_ptr(), call, ctx.arg::<u64>(2) as Addr, clearly) }
}

/// Whom a signal is about.
struct Tasks {
    current: Links,
    target: Links,
    /// The target's `signal_struct`.
    signal: Addr,
}

#[inline(always)]
unsafe fn generate<M: Mem>(ctx: *mut c_void, call: Call, target: Addr, clearly: Clearly) -> i32 {
    // SAFETY: the caller's duty.
    unsafe {
        let because = if clearly == Clearly::Wanted {
            Because::OfTarget
        } else if let Some(because) = filter::signal::<M>(target) {
            because
        } else {
            return 0;
        };
        // A signal that was dropped has no future. Before anything is read: from here on it is one
        // way, whyever it is wanted. The argument itself, of which nothing is remembered.
        if because == Because::OfSender
            && core::ptr::read_volatile(ctx.cast::<u64>().add(4)) as i32 != IGNORED
        {
            filter::follow(target);
        }
        verifier::meet();
        let mut room = MaybeUninit::uninit();
        let info = Info::read(&mut room, ctx, 1, call);
        if info.result() == queue::LOSE_INFO {
            let result = queue::without_entry(target, info.number(), info.group());
            info.set_result(result);
        }
        let signal = pointer::<M>(target, global!(LAYOUT.task_signal));
        let sighand = pointer::<M>(target, global!(LAYOUT.task_sighand));
        let action = sighand.wrapping_add(
            (global!(LAYOUT.sighand_action)
                + (info.number() as u32).wrapping_sub(1) % 64 * global!(LAYOUT.sigaction_size))
                as usize,
        );
        let mut room = MaybeUninit::uninit();
        let action = Action::read(&mut room, action);
        if global!(CONFIG.sees_oom) == 0 && info.number() == SIGKILL {
            oom::before_sigkill(target, info.kind());
        }
        let Some(kind) = fold::fold::<M>(target, signal, info, action) else {
            return 0;
        };
        let kind = verifier::unknown(kind);
        verifier::meet();
        let tasks = Tasks {
            current: if M::TYPED && global!(CONFIG.typed_current) != 0 {
                Links::of::<M>(typed_current())
            } else {
                Links::of::<Probe>(current())
            },
            target: Links::of::<M>(target),
            signal,
        };
        fault::before_signal(target, info, action, ctx);
        verifier::meet();
        let whole = global!(CONFIG.all_stacks) != 0
            || !routine(info, action)
            || (fault::is_fault(info.number(), info.code())
                && target == current()
                && fault::is_seldom(M::load(target, global!(LAYOUT.task_tgid))));
        // Here, where it is one way for both records: it is most of what the verifier has
        // to follow.
        let cgroups = [
            verifier::unknown(filter::cgroup::<Probe>(current())),
            verifier::unknown(filter::cgroup::<M>(target)),
        ];
        verifier::meet();
        if !whole {
            if let Some(mut entry) = emit::reserve_within::<Signal>(Kind::Signal, Share::Noise) {
                let out = entry.as_mut_ptr();
                (*out).header = emit::header(Kind::Signal);
                fill::<M>(out, target, &tasks, info, action, cgroups);
                entry.submit(0);
                return 0;
            }
            return fold::had_no_room(kind);
        }
        let (current_at, target_at) = (place::of(current()), place::of(target));
        let share = share(info.number(), info.result(), action.handler());
        if let Some(mut entry) = emit::reserve_within::<SignalTraced>(Kind::SignalTraced, share) {
            let out = entry.as_mut_ptr();
            (*out).current_at = current_at;
            (*out).target_at = target_at;
            (*out).signal.header = emit::header(Kind::SignalTraced);
            let signal = &raw mut (*out).signal;
            fill::<M>(signal, target, &tasks, info, action, cgroups);
            trace::fill::<M, ANCESTORS>(&raw mut (*out).trace, Some(ctx));
            entry.submit(0);
            return 0;
        }
        fold::had_no_room(kind)
    }
}

/// Signals that no explanation needs ancestry or stack for: those that do
/// nothing by default, and those that go to a handler, unless they ask for an
/// end (HUP INT QUIT TERM: chains go through them).
#[inline(always)]
fn routine(info: &Info, action: &Action) -> bool {
    let number = info.number();
    if number == SIGCHLD || number == SIGURG || number == SIGWINCH {
        return true;
    }
    info.result() == 0 && action.handler() > 3 && !asks_to_end(number)
}

#[inline(always)]
pub(crate) fn asks_to_end(number: i32) -> bool {
    (SIGHUP..=SIGQUIT).contains(&number) || number == SIGTERM
}

/// Most signals of a storm come to nothing, or go to a handler.
#[inline(always)]
pub(crate) fn share(number: i32, result: i32, handler: u64) -> Share {
    match (number, result) {
        (SIGKILL, _) => Share::Death,
        // SIG_DFL: nearly all of these end the process.
        (_, 0) if handler == 0 => Share::Death,
        _ if asks_to_end(number) => Share::Life,
        _ => Share::Noise,
    }
}

#[inline(always)]
unsafe fn fill<M: Mem>(
    out: *mut Signal,
    target: Addr,
    tasks: &Tasks,
    info: &Info,
    action: &Action,
    [of_current, of_target]: [u64; 2],
) {
    // SAFETY: the caller's duty.
    unsafe {
        (*out).number = info.number();
        (*out).group = info.group();
        (*out).result = info.result() as u32;
        let (number, code) = (info.number(), info.code());
        let (mut pid, mut uid) = (0, 0);
        if info.kind() == WHOLE {
            // SI_USER, SI_QUEUE, SI_TKILL, and CLD_* of SIGCHLD name a process.
            if code == 0 || code == -1 || code == -6 || number == SIGCHLD {
                pid = info.word(global!(LAYOUT.siginfo_pid));
                uid = info.word(global!(LAYOUT.siginfo_uid));
            } else if code > 0 {
                // A union: `si_addr` of a fault lies where `si_pid` and `si_uid`
                // do, SIGSYS has its call's number and architecture behind.
                let value = global!(LAYOUT.siginfo_pid) + if number == SIGSYS { 8 } else { 0 };
                pid = info.word(value);
                uid = info.word(value + 4);
            }
        } else if info.kind() == BY_KERNEL
            && (number == SIGXCPU || number == SIGKILL)
            && global!(LAYOUT.signal_rlim) != ABSENT
        {
            // No siginfo: room for the limits that may be reached.
            pid = limit(tasks.signal, RLIMIT_CPU, number);
            uid = limit(tasks.signal, RLIMIT_RTTIME, number);
        }
        verifier::meet();
        (*out).info = info.kind();
        (*out).code = code;
        (*out).si_pid = pid;
        (*out).si_uid = uid;
        if M::TYPED && global!(CONFIG.typed_current) != 0 {
            let current = typed_current();
            task::fill_with::<M>(&raw mut (*out).current, current, &tasks.current, of_current);
        } else {
            let current = current();
            task::fill_with::<Probe>(&raw mut (*out).current, current, &tasks.current, of_current);
        }
        verifier::meet();
        task::fill_with::<M>(&raw mut (*out).target, target, &tasks.target, of_target);
        verifier::meet();
        (*out).pdeath_signal = if (*out).current.flags & PF_EXITING == 0 {
            0
        } else {
            M::get(target, global!(LAYOUT.task_pdeath_signal))
        };
        (*out).queued = NOT_COUNTED;
        (*out).queue_limit = 0;
        if queue::was_full(info.result()) {
            queue::fill(out, target);
        }
        verifier::meet();
        state::<M>(&raw mut (*out).state, target, tasks.signal, info, action);
        verifier::meet();
        throttled::<M>(&raw mut (*out).state, target, info.result());
    }
}

/// The soft limit, for SIGKILL the hard one.
#[inline(always)]
unsafe fn limit(signal: Addr, which: u32, number: i32) -> u32 {
    // SAFETY: the caller's duty.
    unsafe {
        let hard = if number == SIGKILL { 8 } else { 0 };
        let value: u64 = Probe::get(signal, global!(LAYOUT.signal_rlim) + which * 16 + hard);
        if value > u64::from(u32::MAX) {
            u32::MAX
        } else {
            value as u32
        }
    }
}

#[inline(always)]
unsafe fn state<M: Mem>(
    out: *mut TargetState,
    target: Addr,
    signal: Addr,
    info: &Info,
    action: &Action,
) {
    // SAFETY: the caller's duty.
    unsafe {
        let blocked: u64 = M::load(target, global!(LAYOUT.task_blocked));
        (*out).handler = action.handler();
        (*out).sa_flags = action.flags();
        (*out).blocked = blocked;
        (*out).real_blocked = M::get(target, global!(LAYOUT.task_real_blocked));
        (*out).pending = M::load(target, global!(LAYOUT.task_pending));
        (*out).shared_pending = M::load(signal, global!(LAYOUT.signal_shared_pending));
        (*out).signal_flags = M::load(signal, global!(LAYOUT.signal_flags));
        (*out).group_exit_code = M::load(signal, global!(LAYOUT.signal_group_exit_code));
        (*out).ptrace = M::load(target, global!(LAYOUT.task_ptrace));
        // `long` before 5.14, `unsigned int` since: the low half is the state
        // in both, on this byte order.
        (*out).state = M::load(target, global!(LAYOUT.task_state));
        (*out).exit_state = M::load(target, global!(LAYOUT.task_exit_state));
        let threads: u32 = M::load(signal, global!(LAYOUT.signal_nr_threads));
        (*out).threads = threads;
        (*out).dumping = dumping::<M>(signal, target);
        (*out).threads_seen = 0;
        (*out).threads_blocking = 0;
        (*out).threads_unable = 0;
        let bit = (info.number() as u32).wrapping_sub(1) & 63;
        if info.group() != 0 && threads > 1 && blocked >> bit & 1 == 1 {
            ask_threads(out, signal, bit);
        }
    }
}

/// Whether its group has no CPU time left: whoever is woken then does not run.
#[inline(always)]
unsafe fn throttled<M: Mem>(out: *mut TargetState, target: Addr, result: i32) {
    // SAFETY: the caller's duty.
    unsafe {
        (*out).throttle_count = 0;
        (*out).prio = 0;
        if result != 0
            || global!(LAYOUT.task_cfs_rq) == ABSENT
            || global!(LAYOUT.cfs_rq_throttle_count) == ABSENT
            || global!(LAYOUT.task_prio) == ABSENT
        {
            return;
        }
        let queue = pointer::<M>(target, global!(LAYOUT.task_cfs_rq));
        let count: u32 = M::load(queue, global!(LAYOUT.cfs_rq_throttle_count));
        if count != 0 {
            (*out).throttle_count = count;
            (*out).prio = M::load(target, global!(LAYOUT.task_prio));
        }
    }
}

#[inline(always)]
unsafe fn dumping<M: Mem>(signal: Addr, target: Addr) -> u32 {
    // SAFETY: the caller's duty.
    unsafe {
        let core_state = if global!(LAYOUT.signal_core_state) == ABSENT {
            let mm = pointer_if_known::<Probe>(target, global!(LAYOUT.task_mm));
            pointer_if_known::<Probe>(mm, global!(LAYOUT.mm_core_state))
        } else {
            pointer::<M>(signal, global!(LAYOUT.signal_core_state))
        };
        u32::from(!core_state.is_null())
    }
}

/// A signal for the process is blocked only if every thread blocks it.
#[inline(always)]
unsafe fn ask_threads(out: *mut TargetState, signal: Addr, bit: u32) {
    // SAFETY: the caller's duty; siglock is held, so the list is stable.
    unsafe {
        let head = signal.wrapping_add(global!(LAYOUT.signal_thread_head) as usize);
        let mut node = pointer::<Probe>(head, 0);
        let mut i = 0;
        while i < THREADS {
            if node == head || node.is_null() {
                break;
            }
            let thread = node.wrapping_sub(global!(LAYOUT.task_thread_node) as usize);
            let flags: u32 = Probe::load(thread, global!(LAYOUT.task_flags));
            let blocked: u64 = Probe::load(thread, global!(LAYOUT.task_blocked));
            let unable = verifier::any(u64::from(flags & (PF_EXITING | PF_WORKERS)));
            let blocking = (blocked >> bit & 1) * (1 - unable);
            verifier::add(&raw mut (*out).threads_seen, 1);
            verifier::add(&raw mut (*out).threads_unable, unable);
            verifier::add(&raw mut (*out).threads_blocking, blocking);
            node = pointer::<Probe>(node, 0);
            i += 1;
        }
    }
}
