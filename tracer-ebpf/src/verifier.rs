//! What is written for the verifier, and says nothing of signals. It follows each way through
//! a program, and what is known exactly on one way makes another of it: numbers are kept where
//! it forgets them, ways meet, and the compiler is kept from making branches and calls of what
//! has none. Which instructions that takes was read from the verifier's log, on Linux 5.10,
//! 6.1, 6.12 and 6.18; `largest-programs` (tests) says what they come to.

use core::arch::asm;

use crate::{
    globals::global,
    mem::{Addr, Mem, Probe},
};

/// Zeros for an array, word by word and volatile: the compiler makes a call of `memset` of
/// any other way, which goes byte by byte and takes five instructions for each.
///
/// # Safety
/// `out` must be aligned to 8 bytes, and `T` be an array of integers.
#[inline(always)]
pub(crate) unsafe fn clear<T>(out: *mut T) {
    const { assert!(size_of::<T>() % size_of::<u64>() == 0) };
    let mut i = 0;
    while i < size_of::<T>() / size_of::<u64>() {
        // SAFETY: the caller's duty.
        unsafe { core::ptr::write_volatile(out.cast::<u64>().add(i), 0) };
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
/// before, and goes on only if that differs. It does so where ways part or meet alone, and what
/// comes behind several ways to one place would be followed for each. Two jumps to what comes
/// next, because it remembers what it knows only after two of them; it takes them out once
/// it is done, so that they cost nothing.
#[inline(always)]
pub(crate) fn meet() {
    // SAFETY: does nothing.
    unsafe {
        asm!(
            "goto +0",
            "goto +0",
            options(nomem, nostack, preserves_flags)
        )
    };
}

/// The value, of which the compiler knows nothing: it would make a branch of it.
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    // SAFETY: moves a register to itself.
    unsafe { asm!("{value} = {value}", value = inout(reg) value, options(pure, nomem, nostack)) };
    value
}

/// A pointer as a mere address, which the verifier does not tell from others.
#[inline(always)]
pub(crate) fn untyped(pointer: Addr) -> Addr {
    // SAFETY: what is read is the pointer itself.
    unsafe { Probe::at((&raw const pointer).cast()) }
}

/// The value, of which the verifier knows nothing any more: old ones follow all that comes
/// behind again for each number that they know exactly. Only where there is a filter by
/// cgroup, whose programs are the largest: elsewhere no read is paid for.
#[inline(always)]
pub(crate) fn unknown(value: u64) -> u64 {
    if global!(CONFIG.by_cgroup) == 0 && global!(CONFIG.by_new_cgroup) == 0 {
        return value;
    }
    // SAFETY: an address of the kernel, as all are that a program has.
    unsafe { Probe::get((&raw const value).cast(), 0) }
}
