//! The kernel side: hooks turn kernel state into facts.
#![no_std]
#![no_main]

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// "Dual MIT/GPL" gives access to the GPL-only helpers (probe_read_kernel, get_stack).
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
