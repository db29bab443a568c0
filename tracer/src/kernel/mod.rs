//! The kernel side as the user side sees it: what this kernel allows
//! ([`facts`]), which hook is attached how ([`hooks`]), doing it ([`attach`]),
//! giving up what only that needed ([`privileges`]), taking the records out
//! ([`ring`]), and what `/proc` adds ([`procfs`], [`symbols`]). What records mean is decided in `event` and after it.

pub mod attach;
pub mod attachments;
pub mod btf;
mod diagnose;
pub mod diagnosis;
pub mod error;
pub mod facts;
pub mod folds;
pub mod hooks;
mod load;
pub mod log;
mod losses;
pub mod privileges;
pub mod procfs;
mod refusal;
pub mod ring;
pub mod symbols;
mod sys;
pub mod types;

pub use diagnose::{diagnose, hook_names, notes};

use std::{
    ffi::CString,
    fs::File,
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{atomic::AtomicBool, Arc},
    time::Duration,
};

use crate::event::BootTime;
use sys::clock;

/// Whether this process ignores a signal, as nohup(1) has it ignore SIGHUP.
pub fn ignores(signal: i32) -> bool {
    sys::ignores(signal)
}

/// Ends this process at once when one of these signals comes so much later than another
/// while `blocked` is set; `asked` is set by the first.
///
/// # Errors
/// Where the kernel refuses to tell of one (sigaction(2)).
pub fn end_at_second(
    signals: &[i32],
    after: Duration,
    blocked: &Arc<AtomicBool>,
    asked: &Arc<AtomicBool>,
) -> io::Result<()> {
    sys::end_at_second(signals, after.as_nanos() as u64, blocked, asked)
}

/// `CLOCK_BOOTTIME`, the clock of every record.
pub fn now() -> BootTime {
    BootTime(clock(libc::CLOCK_BOOTTIME))
}

/// Hands memory back to the system that is free, and that the allocator would keep.
pub fn give_back_memory() {
    sys::give_back_memory();
}

/// A handle of what a path names below a folder taken as root: through no link, and
/// opening nothing that would notice.
pub fn beneath(root: &File, path: &Path) -> io::Result<File> {
    sys::beneath(root, &CString::new(path.as_os_str().as_bytes())?)
}

/// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME`, nanoseconds.
pub fn wall_clock_offset_ns() -> i64 {
    let (wall, boot) = (clock(libc::CLOCK_REALTIME), clock(libc::CLOCK_BOOTTIME));
    wall as i64 - boot as i64
}
