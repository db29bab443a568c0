//! Reading kernel memory, in the two ways there are.
//!
//! [`Direct`] is for BTF-typed programs: the pointer is loaded through, the
//! verifier checks the offset against the kernel's own BTF. [`Probe`] goes
//! through `bpf_probe_read_kernel` and works in every program type and for any
//! address; a read that fails gives zero. Variable offsets (array elements) and
//! the current task are read by [`Probe`], since the verifier allows nothing else
//! on the oldest kernels; but who is current may be asked on the others too.

use core::{arch::asm, mem::MaybeUninit};

use aya_ebpf::helpers::{
    bpf_get_current_task,
    generated::{bpf_get_current_task_btf, bpf_probe_read_kernel},
};
use sigtrace_common::layout::ABSENT;

use crate::globals::global;

/// An address in the kernel.
pub(crate) type Addr = *const u8;

/// One of the two ways.
pub(crate) trait Mem {
    /// The `T` at `base + offset`; zero if the field is absent or unreadable.
    ///
    /// # Safety
    /// `T` must be an integer or a pointer, and `base` what the way demands.
    unsafe fn get<T: Copy + Default>(base: Addr, offset: u32) -> T;

    /// Whether pointers are typed.
    const TYPED: bool;
}

/// Loads through BTF-typed pointers.
pub(crate) struct Direct;

impl Mem for Direct {
    const TYPED: bool = true;

    #[inline(always)]
    unsafe fn get<T: Copy + Default>(base: Addr, offset: u32) -> T {
        if offset == ABSENT {
            return T::default();
        }
        // SAFETY: the verifier checks type and offset; a fault reads as zero.
        unsafe { core::ptr::read_volatile(base.add(offset as usize).cast()) }
    }
}

/// `bpf_probe_read_kernel`.
pub(crate) struct Probe;

impl Mem for Probe {
    const TYPED: bool = false;

    #[inline(always)]
    unsafe fn get<T: Copy + Default>(base: Addr, offset: u32) -> T {
        if offset == ABSENT {
            return T::default();
        }
        // SAFETY: the caller's duty.
        unsafe { Self::at(base.wrapping_add(offset as usize)) }
    }
}

impl Probe {
    /// The `T` at an address that is computed, with no branch that the verifier would
    /// follow each time; zero if it cannot be read.
    ///
    /// # Safety
    /// `T` must be an integer, a pointer, or an array of those.
    #[inline(always)]
    pub(crate) unsafe fn at<T: Copy>(address: Addr) -> T {
        // Not cleared, which would go through `memset`: see `clear`.
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the helper checks the address. It writes zeros if it fails, so
        // that its result need not be looked at: every branch less is a way less
        // for the verifier to follow.
        unsafe {
            bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                address.cast(),
            );
            value.assume_init()
        }
    }
}

/// Zeros for an array, word by word and volatile: the compiler makes a call of `memset` of
/// any other way, which goes byte by byte and takes five instructions for each.
///
/// # Safety
/// `out` must be aligned to 4 bytes, and `T` be made of plain words of that size.
#[inline(always)]
pub(crate) unsafe fn clear<T>(out: *mut T) {
    let mut i = 0;
    while i < size_of::<T>() / size_of::<u32>() {
        // SAFETY: the caller's duty.
        unsafe { core::ptr::write_volatile(out.cast::<u32>().add(i), 0) };
        i += 1;
    }
}

/// Adds to a number in memory of a record, of which the verifier does not know what is in
/// it: old ones follow all that comes behind for each sum.
///
/// # Safety
/// `out` must point into a reserved record.
#[inline(always)]
pub(crate) unsafe fn add(out: *mut u32, more: u64) {
    // SAFETY: the caller's duty.
    unsafe {
        let sum = core::ptr::read_volatile(out).wrapping_add(more as u32);
        core::ptr::write_volatile(out, sum);
    }
}

/// 1 if any of the lower 63 bits is set, else 0; without a branch.
#[inline(always)]
pub(crate) fn any(bits: u64) -> u64 {
    opaque(0u64.wrapping_sub(bits)) >> 63
}

/// A place where the verifier compares what it knows with what it knew when it came here
/// before, and goes on only if that differs. It does so where ways part alone, and what
/// comes behind several ways to one place would be followed for each. A branch that is never
/// taken, and that it takes out.
#[inline(always)]
pub(crate) fn meet() {
    // SAFETY: a register of its own. Not to the next instruction, which the verifier of old
    // kernels takes for a loop.
    unsafe {
        asm!(
            "if {zero} == 1 goto +1",
            "{zero} = 0",
            zero = inout(reg) 0u64 => _,
            options(nomem, nostack)
        );
    }
}

/// The value, of which the compiler knows nothing: it would make a branch of it.
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    // SAFETY: moves a register to itself.
    unsafe { asm!("{value} = {value}", value = inout(reg) value, options(pure, nomem, nostack)) };
    value
}

/// The value, of which the verifier knows nothing any more: old ones follow all that comes
/// behind again for each number that they know exactly.
#[inline(always)]
pub(crate) fn unknown(value: u64) -> u64 {
    if global!(CONFIG.by_cgroup) == 0 && global!(CONFIG.by_new_cgroup) == 0 {
        return value;
    }
    // SAFETY: an address of the kernel, as all are that a program has.
    unsafe { Probe::get((&raw const value).cast(), 0) }
}

/// A pointer field.
///
/// # Safety
/// As for [`Mem::get`].
#[inline(always)]
pub(crate) unsafe fn pointer<M: Mem>(base: Addr, offset: u32) -> Addr {
    // SAFETY: the caller's duty.
    unsafe { M::get::<u64>(base, offset) as Addr }
}

/// The current task for [`Direct`], where `CONFIG.typed_current` says that there is
/// the helper for that.
#[inline(always)]
pub(crate) fn typed_current() -> Addr {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_task_btf() as Addr }
}

/// The current task, for [`Probe`].
#[inline(always)]
pub(crate) fn current() -> Addr {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_task() as Addr }
}
