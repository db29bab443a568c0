//! What is done to terminals, as far as it has no safe wrapper.

use std::io;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

/// `_IOW('T', 0x36, int)`: a signal at the other end (`uapi/asm-generic/ioctls.h`).
const TIOCSIG: libc::c_ulong = 0x4004_5436;

/// Asks for a signal to the foreground of a pseudo terminal, at its master.
pub(crate) fn ask_for(master: &impl AsRawFd, signal: Signal) -> Result<()> {
    // SAFETY: TIOCSIG takes a number.
    let done = unsafe { libc::ioctl(master.as_raw_fd(), TIOCSIG as _, signal as libc::c_long) };
    worked(done).context("TIOCSIG")
}

/// Puts a character into a terminal's input, as if it had been typed.
pub(crate) fn put_in(terminal: &impl AsRawFd, character: u8) -> Result<()> {
    // SAFETY: TIOCSTI reads one byte, which lives until the call returns.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const character) };
    worked(done).context("TIOCSTI")
}

/// The leader of a session gives its terminal up.
pub(crate) fn give_up(terminal: &impl AsRawFd) -> Result<()> {
    // SAFETY: TIOCNOTTY takes nothing.
    worked(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) }).context("TIOCNOTTY")
}

/// vhangup(2) of one's own terminal.
pub(crate) fn vhangup() -> Result<()> {
    // SAFETY: vhangup takes nothing.
    worked(unsafe { libc::syscall(libc::SYS_vhangup) } as libc::c_int).context("vhangup")
}

fn worked(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
