//! In which system call a task is: the registers with which it entered the kernel lie
//! at the top of its kernel stack (`task_pt_regs`). x86-64 alone.

use sigtrace_common::layout::ABSENT;

use crate::{
    globals::global,
    mem::{pointer_if_known, Addr, Mem, Probe},
};

/// `THREAD_SIZE`; with KASAN it is more, and then nothing is found.
const STACK: usize = 16 << 10;
/// `TOP_OF_KERNEL_STACK_PADDING` of kernels that can do FRED (since 6.9).
const PADDING: usize = 16;
/// `__USER_CS`, `__USER32_CS` and `__USER_DS`.
const CODE: u64 = 0x33;
const CODE_32: u64 = 0x23;
const DATA: u64 = 0x2b;
/// `TS_COMPAT`: the call is one of 32-bit programs.
const COMPAT: u32 = 2;
/// `AUDIT_ARCH_*`.
const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

/// Its number and architecture; zeros where it is not known.
///
/// # Safety
/// `task` must point to the current `task_struct`.
#[inline(always)]
pub(crate) unsafe fn of(task: Addr) -> (u32, u32) {
    // SAFETY: the caller's duty; the rest is read by the helper alone.
    unsafe {
        let regs = registers(task);
        if regs.is_null() || global!(LAYOUT.task_status) == ABSENT {
            return (0, 0);
        }
        let number: u64 = Probe::get(regs, global!(LAYOUT.regs_number));
        let status: u32 = Probe::get(task, global!(LAYOUT.task_status));
        let arch = if status & COMPAT != 0 { I386 } else { X86_64 };
        (number as u32, arch)
    }
}

/// Where its registers are; null where that is not known.
///
/// # Safety
/// As for [`of`].
#[inline(always)]
pub(crate) unsafe fn registers(task: Addr) -> Addr {
    if global!(LAYOUT.task_stack) == ABSENT
        || global!(LAYOUT.regs_number) == ABSENT
        || global!(LAYOUT.regs_stack_segment) == ABSENT
    {
        return core::ptr::null();
    }
    // SAFETY: the caller's duty; the rest is read by the helper alone.
    unsafe {
        let stack = pointer_if_known::<Probe>(task, global!(LAYOUT.task_stack));
        let top = stack.wrapping_add(STACK - global!(LAYOUT.regs_size) as usize);
        if from_user(top) {
            return top;
        }
        let padded = top.wrapping_sub(PADDING);
        if from_user(padded) {
            padded
        } else {
            core::ptr::null()
        }
    }
}

/// Whether these are registers that a program entered the kernel with.
#[inline(always)]
unsafe fn from_user(regs: Addr) -> bool {
    // SAFETY: read by the helper alone.
    unsafe {
        let code: u64 = Probe::get(regs, global!(LAYOUT.regs_segment));
        let data: u64 = Probe::get(regs, global!(LAYOUT.regs_stack_segment));
        data == DATA && (code == CODE || code == CODE_32)
    }
}
