//! What a signal brings along (`struct kernel_siginfo`) and what its target does about it
//! (`struct k_sigaction`), each read at once: a read costs more than what is read.

use sigtrace_common::layout::ABSENT;

use crate::{
    globals::global,
    mem::{Addr, Mem, Probe},
};

/// `SEND_SIG_PRIV`, the highest that stands for a siginfo and is none.
pub(crate) const BY_KERNEL: u64 = 1;
/// As a record has it: there is a siginfo.
const WHOLE: u32 = 2;
/// Words of a siginfo that are read: up to `si_syscall` and `si_arch`.
const WORDS: usize = 8;

/// The argument of a tracepoint, and what it points to.
#[derive(Clone, Copy)]
pub(crate) struct Info {
    /// The argument: [`BY_KERNEL`] or less, or an address.
    pub(crate) argument: u64,
    words: [u32; WORDS],
}

impl Info {
    /// # Safety
    /// `argument` must be the tracepoint's.
    #[inline(always)]
    pub(crate) unsafe fn of(argument: u64) -> Self {
        let words = if argument > BY_KERNEL {
            // SAFETY: the helper checks the address.
            unsafe { Probe::get(argument as Addr, 0) }
        } else {
            [0; WORDS]
        };
        Self { argument, words }
    }

    /// As a record has it: 0 SEND_SIG_NOINFO, 1 SEND_SIG_PRIV, 2 a siginfo.
    #[inline(always)]
    pub(crate) fn kind(&self) -> u32 {
        if self.argument > BY_KERNEL {
            WHOLE
        } else {
            self.argument as u32
        }
    }

    /// `si_code`; 0 without a siginfo.
    #[inline(always)]
    pub(crate) fn code(&self) -> i32 {
        self.word(global!(LAYOUT.siginfo_code)) as i32
    }

    /// The word at an offset that the loader knows; 0 where there is none.
    #[inline(always)]
    pub(crate) fn word(&self, offset: u32) -> u32 {
        if offset == ABSENT {
            return 0;
        }
        self.words[(offset / 4) as usize % WORDS]
    }
}

/// `sa_handler` and `sa_flags`.
#[derive(Clone, Copy)]
pub(crate) struct Action {
    pub(crate) handler: u64,
    pub(crate) flags: u64,
}

impl Action {
    /// # Safety
    /// `at` must point to a `struct k_sigaction`.
    #[inline(always)]
    pub(crate) unsafe fn at(at: Addr) -> Self {
        let (handler, flags) = (
            global!(LAYOUT.sigaction_handler),
            global!(LAYOUT.sigaction_flags),
        );
        // SAFETY: the helper checks the address.
        unsafe {
            if handler != ABSENT && flags == handler + 8 {
                let [handler, flags]: [u64; 2] = Probe::get(at, handler);
                Self { handler, flags }
            } else {
                Self {
                    handler: Probe::get(at, handler),
                    flags: Probe::get(at, flags),
                }
            }
        }
    }
}
