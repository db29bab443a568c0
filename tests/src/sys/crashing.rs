//! Handlers for SIGSEGV: those that end the process in each of the ways that crash
//! handlers do, and one that mends what was wrong, as the barriers of garbage
//! collectors do.

use std::io;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use anyhow::{bail, Context, Result};

/// Bytes of a page.
const PAGE: usize = 4096;

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Then {
    /// `_exit(3)`.
    Exit = 1,
    /// abort(3), by the signal that it sends.
    Abort,
    /// The same signal again, with the default action.
    Raise,
    /// SIGKILL to its own process.
    Kill,
    /// The page can be read from then on.
    Mend,
}

static THEN: AtomicI32 = AtomicI32::new(0);
static GUARDED: AtomicPtr<libc::c_void> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn handle(number: libc::c_int) {
    let then = THEN.load(Ordering::Relaxed);
    // SAFETY: all of these are async-signal-safe; the page is this program's own.
    unsafe {
        let own = libc::getpid();
        let raise = |number| {
            libc::signal(number, libc::SIG_DFL);
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&raw mut set, number);
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
            libc::syscall(libc::SYS_tgkill, own, libc::gettid(), number);
        };
        match then {
            n if n == Then::Exit as i32 => libc::_exit(3),
            n if n == Then::Abort as i32 => raise(libc::SIGABRT),
            n if n == Then::Raise as i32 => raise(number),
            n if n == Then::Kill as i32 => drop(libc::kill(own, libc::SIGKILL)),
            _ => {
                let page = GUARDED.load(Ordering::Relaxed);
                libc::mprotect(page, PAGE, libc::PROT_READ);
            }
        }
    }
}

/// Sets the handler for SIGSEGV.
pub(crate) fn handle_faults(then: Then) -> Result<()> {
    THEN.store(then as i32, Ordering::Relaxed);
    let handler = handle as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: `handle` calls nothing but async-signal-safe functions.
    if unsafe { libc::signal(libc::SIGSEGV, handler) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error()).context("signal SIGSEGV");
    }
    Ok(())
}

/// Faults so many times, each of which the handler mends.
pub(crate) fn fault_and_mend(times: usize) -> Result<()> {
    // SAFETY: new memory that nobody else knows of; while it cannot be read, the
    // handler makes it so that it can.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_NONE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("mmap");
        }
        GUARDED.store(page, Ordering::Relaxed);
        handle_faults(Then::Mend)?;
        for _ in 0..times {
            if libc::mprotect(page, PAGE, libc::PROT_NONE) != 0 {
                bail!("mprotect: {}", io::Error::last_os_error());
            }
            std::ptr::read_volatile(page.cast::<u8>());
        }
    }
    Ok(())
}
