//! Everything that the compiler cannot check: the system calls and library
//! calls that have no safe form in the libraries used. The only file of
//! `tracer` with `unsafe`.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd},
};

use aya::maps::{MapData, RingBuf};
use tokio::io::{unix::AsyncFd, Interest};

/// `NS_GET_PARENT` of `ioctl_nsfs(2)`.
const NS_GET_PARENT: libc::c_ulong = 0xb702;

/// `NS_GET_NSTYPE`, since Linux 4.11.
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;

/// Nanoseconds of a clock that every Linux has (`CLOCK_BOOTTIME`,
/// `CLOCK_REALTIME`).
pub(super) fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid struct to write to.
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Before 5.11 maps count against RLIMIT_MEMLOCK. Later kernels do not care,
/// so a refusal says nothing.
pub(super) fn raise_memlock() {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: a valid struct, and no memory is kept.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) };
}

/// Hands free memory back to the system, which the allocator would keep.
pub(super) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: frees only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The namespace around one; `None` around the outermost that may be seen.
pub(super) fn parent_namespace(namespace: &File) -> Option<File> {
    // SAFETY: NS_GET_PARENT takes no argument and returns a new descriptor,
    // which is owned from here on.
    unsafe {
        let fd = libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT);
        (fd >= 0).then(|| File::from_raw_fd(fd))
    }
}

/// Whether a file is a PID namespace; every other file turns the question down.
pub(super) fn is_pid_namespace(file: &File) -> bool {
    // SAFETY: NS_GET_NSTYPE takes no argument and returns a number.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    kind == libc::CLONE_NEWPID
}

/// The ring buffer, to be waited for within tokio's runtime.
pub(super) fn wait_for(ring: RingBuf<MapData>) -> io::Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the buffer's descriptor stays open and the same for as long as
    // the buffer lives.
    unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }.map_err(io::Error::from)
}
