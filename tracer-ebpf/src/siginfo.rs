//! What a signal brings along (`struct kernel_siginfo`) and what its target does about it
//! (`struct k_sigaction`), each read at once, since a read costs more than what is read; and
//! the tracepoint's numbers beside them. All of it stays in memory, for the verifier's sake.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use crate::{globals::global, mem::Addr, signal::scalar_arg, verifier};

/// [`Info::kind`]: `SEND_SIG_PRIV`, which stands for a siginfo and is none.
pub(crate) const BY_KERNEL: u32 = 1;
/// [`Info::kind`]: there is a siginfo.
pub(crate) const WHOLE: u32 = 2;
/// The highest handler that is no address in user space.
const IN_KERNEL: u64 = 3;
/// Words of a siginfo that are read: up to `si_syscall` and `si_arch`.
const WORDS: usize = 8;

/// What a signal brings along. It stays in memory that a helper has written, and is loaded
/// anew each time: of a number that it has seen compared once the verifier would go both
/// ways to the end of the program.
#[repr(C)]
pub(crate) struct Info {
    words: [u32; WORDS],
    // Single bytes, and none where a word begins: of others the verifier remembers what was
    // stored.
    pad: u8,
    kind: u8,
    number: u8,
    result: u8,
    group: u8,
}

/// The other arguments of a tracepoint.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// Below 256.
    pub(crate) number: i32,
    pub(crate) group: i32,
    /// Below 256.
    pub(crate) result: i32,
}

impl Info {
    /// Reads what the `n`th argument of a tracepoint points to into `room`.
    ///
    /// # Safety
    /// `ctx` must be the context of a program that has it.
    #[inline(always)]
    pub(crate) unsafe fn read(
        room: &mut MaybeUninit<Self>,
        ctx: *mut c_void,
        n: usize,
        call: Call,
    ) -> &mut Self {
        let out = room.as_mut_ptr();
        // SAFETY: the context has that argument. Where that is no address the read fails
        // without a fault, and gives zeros.
        unsafe {
            let argument = core::ptr::read_volatile(ctx.cast::<u64>().add(n));
            let words = (&raw mut (*out).words).cast();
            bpf_probe_read_kernel(
                words,
                size_of::<[u32; WORDS]>() as u32,
                argument as *const _,
            );
            // Each siginfo has a `si_signo`. In typed programs the argument is no number, and
            // has to be read to become one.
            let kind = if core::ptr::read_volatile(words.cast::<u32>()) != 0 {
                WHOLE as u8
            } else {
                scalar_arg(ctx, n) as u8
            };
            core::ptr::write_volatile(&raw mut (*out).kind, kind);
            core::ptr::write_volatile(&raw mut (*out).number, call.number as u8);
            core::ptr::write_volatile(&raw mut (*out).result, call.result as u8);
            // A zero that it knows it remembers, too.
            let group = verifier::any(u64::from(call.group as u32)) as u8;
            core::ptr::write_volatile(&raw mut (*out).group, group);
            &mut *out
        }
    }

    /// As a record has it: 0 SEND_SIG_NOINFO, 1 SEND_SIG_PRIV, 2 a siginfo.
    #[inline(always)]
    pub(crate) fn kind(&self) -> u32 {
        u32::from(byte(&self.kind))
    }

    /// The signal.
    #[inline(always)]
    pub(crate) fn number(&self) -> i32 {
        i32::from(byte(&self.number))
    }

    /// `TRACE_SIGNAL_*`.
    #[inline(always)]
    pub(crate) fn result(&self) -> i32 {
        i32::from(byte(&self.result))
    }

    /// More is known of it than the tracepoint says.
    #[inline(always)]
    pub(crate) fn set_result(&mut self, result: i32) {
        // SAFETY: a reference to a plain integer.
        unsafe { core::ptr::write_volatile(&raw mut self.result, result as u8) };
    }

    /// No bit of a signal for the whole process, else all.
    #[inline(always)]
    pub(crate) fn unless_for_all(&self) -> u32 {
        u32::from(byte(&self.group)).wrapping_sub(1)
    }

    /// 1 if it is for the whole process, else 0; without a branch.
    #[inline(always)]
    pub(crate) fn group(&self) -> u32 {
        u32::from(byte(&self.group))
    }

    /// `si_code`; 0 without a siginfo.
    #[inline(always)]
    pub(crate) fn code(&self) -> i32 {
        self.word(global!(LAYOUT.siginfo_code)) as i32
    }

    /// The word at an offset that the loader knows.
    #[inline(always)]
    pub(crate) fn word(&self, offset: u32) -> u32 {
        let word = &self.words[(offset / 4) as usize % WORDS];
        // SAFETY: a reference to a plain integer.
        unsafe { core::ptr::read_volatile(word) }
    }
}

/// `sa_handler` and `sa_flags`, in memory for the same reason.
#[repr(C)]
pub(crate) struct Action {
    handler: u64,
    flags: u64,
    pad: u8,
    sort: u8,
}

impl Action {
    /// Reads it into `room`.
    ///
    /// # Safety
    /// `at` must point to a `struct k_sigaction`.
    #[inline(always)]
    pub(crate) unsafe fn read(room: &mut MaybeUninit<Self>, at: Addr) -> &Self {
        let (handler, flags) = (
            global!(LAYOUT.sigaction_handler),
            global!(LAYOUT.sigaction_flags),
        );
        let out = room.as_mut_ptr();
        let read = |out: *mut u64, size: usize, offset: u32| {
            let from = at.wrapping_add(offset as usize).cast();
            // SAFETY: the helper checks the address, and there is room for that much.
            unsafe { bpf_probe_read_kernel(out.cast(), size as u32, from) };
        };
        // SAFETY: both fields are written.
        unsafe {
            if flags == handler + 8 {
                read(out.cast(), 2 * size_of::<u64>(), handler);
            } else {
                read(&raw mut (*out).handler, size_of::<u64>(), handler);
                read(&raw mut (*out).flags, size_of::<u64>(), flags);
            }
            let sort = match core::ptr::read_volatile(&raw const (*out).handler) {
                known @ 0..=IN_KERNEL => known as u8,
                _ => IN_KERNEL as u8 + 1,
            };
            core::ptr::write_volatile(&raw mut (*out).sort, sort);
            &*out
        }
    }

    /// Which sort of handler: 0 SIG_DFL, 1 SIG_IGN, 2 and 3 kernel threads', 4 in user space.
    #[inline(always)]
    pub(crate) fn sort(&self) -> u8 {
        byte(&self.sort)
    }

    #[inline(always)]
    pub(crate) fn handler(&self) -> u64 {
        // SAFETY: a reference to a plain integer.
        unsafe { core::ptr::read_volatile(&raw const self.handler) }
    }

    #[inline(always)]
    pub(crate) fn flags(&self) -> u64 {
        // SAFETY: a reference to a plain integer.
        unsafe { core::ptr::read_volatile(&raw const self.flags) }
    }
}

#[inline(always)]
fn byte(at: &u8) -> u8 {
    // SAFETY: a reference to a plain integer.
    unsafe { core::ptr::read_volatile(at) }
}
