//! Reading kernel memory, in the two ways there are.
//!
//! [`Direct`] is for BTF-typed programs: the pointer is loaded through, the
//! verifier checks the offset against the kernel's own BTF. [`Probe`] goes
//! through `bpf_probe_read_kernel` and works in every program type and for any
//! address; a read that fails gives zero. Variable offsets (array elements) and
//! the current task are read by [`Probe`], since the verifier allows nothing else
//! on the oldest kernels; but who is current may be asked on the others too.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::{
    bpf_get_current_task,
    generated::{bpf_get_current_task_btf, bpf_probe_read_kernel},
};
use sigtrace_common::layout::ABSENT;

/// An address in the kernel.
pub(crate) type Addr = *const u8;

/// One of the two ways.
pub(crate) trait Mem {
    /// The `T` at `base + offset`; zero if the field is absent or unreadable.
    ///
    /// # Safety
    /// `T` must be an integer or a pointer, and `base` what the way demands.
    unsafe fn get<T: Copy + Default>(base: Addr, offset: u32) -> T;

    /// The same for a field that every kernel has, which is not asked each time (sigtrace
    /// does not start where one of them is missing: `kernel::types`), or that is known to be
    /// there.
    ///
    /// # Safety
    /// As for [`get`](Self::get).
    unsafe fn load<T: Copy + Default>(base: Addr, offset: u32) -> T;

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
        // SAFETY: the caller's duty.
        unsafe { Self::load(base, offset) }
    }

    #[inline(always)]
    unsafe fn load<T: Copy + Default>(base: Addr, offset: u32) -> T {
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
        unsafe { Self::load(base, offset) }
    }

    #[inline(always)]
    unsafe fn load<T: Copy + Default>(base: Addr, offset: u32) -> T {
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
        // Not cleared, which would go through `memset`: see [`crate::verifier::clear`].
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

/// A pointer field that every kernel has, or that is known to be there.
///
/// # Safety
/// As for [`Mem::get`].
#[inline(always)]
pub(crate) unsafe fn pointer<M: Mem>(base: Addr, offset: u32) -> Addr {
    // SAFETY: the caller's duty.
    unsafe { M::load::<u64>(base, offset) as Addr }
}

/// Another; null if the field is absent.
///
/// # Safety
/// As for [`Mem::get`].
#[inline(always)]
pub(crate) unsafe fn pointer_if_known<M: Mem>(base: Addr, offset: u32) -> Addr {
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
