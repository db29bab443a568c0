//! The kernel side of sigtrace: hooks turn kernel state into facts, as the
//! records of `sigtrace_common::record`. It reports and never judges.
//!
//! One file per subject ([`signal`], [`deliver`], [`refused`], [`fork`], [`process`], [`exit`], [`oom`],
//! [`ptrace`]) holds the logic once
//! and thin entry points per program type. [`task`] reads facts of a task, [`siginfo`] what a
//! signal brings along, [`queue`] where it should have gone, [`trace`] ancestry and stack, [`fault`] where a program was,
//! [`filter`] (with [`first_look`] and [`inside`]) decides what counts, [`fold`] counts
//! storms, [`emit`] writes and counts what was lost, [`mem`] hides how kernel memory is read, [`verifier`] what is written for its sake.
#![no_std]
#![no_main]
#![allow(
    unreachable_pub,
    reason = "a program must be `pub`: the loader finds it by its symbol"
)]
#![feature(asm_experimental_arch)]

mod deliver;
mod emit;
mod exit;
mod fault;
mod filter;
mod first_look;
mod fold;
mod fork;
mod globals;
mod inside;
mod mem;
mod oom;
mod pgrp;
mod place;
mod process;
mod ptrace;
mod queue;
mod refused;
mod rights;
mod siginfo;
mod signal;
mod syscall;
mod task;
mod trace;
mod verifier;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Gives access to the GPL-only helpers (`bpf_probe_read_kernel`,
/// `bpf_get_stack`).
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
