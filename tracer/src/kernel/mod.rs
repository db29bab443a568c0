//! The kernel side as the user side sees it: what this kernel allows
//! ([`facts`]), which hook is attached how ([`hooks`]), doing it ([`attach`]),
//! taking the records out ([`ring`]), and what `/proc` adds ([`procfs`],
//! [`symbols`]). What records mean is decided in `event` and after it.

pub mod attach;
pub mod btf;
mod diagnose;
pub mod diagnosis;
pub mod error;
pub mod facts;
pub mod hooks;
pub mod log;
pub mod procfs;
pub mod ring;
pub mod symbols;

pub use diagnose::{diagnose, hook_names, notes};

use crate::event::BootTime;

/// `CLOCK_BOOTTIME`, the clock of every record.
pub fn now() -> BootTime {
    BootTime(clock(libc::CLOCK_BOOTTIME))
}

/// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME`, nanoseconds.
pub fn wall_clock_offset_ns() -> i64 {
    let (wall, boot) = (clock(libc::CLOCK_REALTIME), clock(libc::CLOCK_BOOTTIME));
    wall as i64 - boot as i64
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid struct to write to; both clocks exist on every Linux.
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
