//! System calls by which the kernel is made to send its rarer signals, each for the
//! role of that name.

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;

use anyhow::{bail, Context, Result};
use nix::sys::signal::Signal;

use super::Side;

fn done(result: libc::c_int, what: &'static str) -> Result<()> {
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error()).context(what)
}

/// tgkill(2).
pub(crate) fn kill_thread(pid: i32, tid: i32, number: i32) -> Result<()> {
    // SAFETY: takes numbers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, number) };
    done(result.try_into()?, "tgkill")
}

/// A real-time thread (SCHED_FIFO) from here on.
pub(crate) fn be_real_time() -> Result<()> {
    make_real_time(0)
}

/// The same for another, by its pid.
pub(crate) fn make_real_time(pid: i32) -> Result<()> {
    let param = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads one sched_param, and this is one.
    done(
        unsafe { libc::sched_setscheduler(pid, libc::SCHED_FIFO, &param) },
        "sched_setscheduler",
    )
}

/// How long a real-time thread may run without a pause, in microseconds.
pub(crate) fn limit_real_time(us: u64) -> Result<()> {
    let limit = libc::rlimit {
        rlim_cur: us,
        rlim_max: 100 * us,
    };
    // SAFETY: the kernel reads one rlimit, and this is one.
    done(
        unsafe { libc::setrlimit(libc::RLIMIT_RTTIME, &limit) },
        "setrlimit RLIMIT_RTTIME",
    )
}

/// SIGIO whenever there is something to read.
pub(crate) fn tell_of_input(file: &impl AsRawFd) -> Result<()> {
    let fd = file.as_raw_fd();
    // SAFETY: these commands take numbers.
    unsafe {
        let own = libc::fcntl(fd, libc::F_SETOWN, libc::getpid());
        done(own, "fcntl F_SETOWN")?;
        let flags = libc::fcntl(fd, libc::F_GETFL);
        done(
            libc::fcntl(fd, libc::F_SETFL, flags | libc::O_ASYNC),
            "fcntl O_ASYNC",
        )
    }
}

/// SIGIO when somebody opens the file for writing.
pub(crate) fn lease(file: &impl AsRawFd) -> Result<()> {
    // SAFETY: takes numbers.
    done(
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) },
        "fcntl F_SETLEASE",
    )
}

/// Opens a file for writing without waiting for a lease on it to be given up; that
/// fails with EAGAIN, or the signal has come first.
pub(crate) fn open_leased(path: &std::path::Path) -> Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: the path lives through the call.
    unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK) };
    Ok(())
}

/// A message queue that tells of its first message by SIGUSR1, and that message.
pub(crate) fn be_notified() -> Result<()> {
    // SAFETY: zeroes are valid for both structs.
    let (mut attr, mut event): (libc::mq_attr, libc::sigevent) = unsafe { std::mem::zeroed() };
    attr.mq_maxmsg = 1;
    attr.mq_msgsize = 8;
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGUSR1;
    let name = CString::new(format!("/sigtrace-{}", std::process::id()))?;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    // SAFETY: the name and the structs live through the calls.
    unsafe {
        let queue = libc::mq_open(name.as_ptr(), flags, 0o600, &attr);
        if queue < 0 {
            return Err(io::Error::last_os_error()).context("mq_open");
        }
        done(libc::mq_unlink(name.as_ptr()), "mq_unlink")?;
        done(libc::mq_notify(queue, &event), "mq_notify")?;
        done(libc::mq_send(queue, c"?".as_ptr(), 1, 0), "mq_send")
    }
}

/// fork(2), where the child's end is told by another signal than SIGCHLD.
pub(crate) fn fork_told_by(signal: Signal) -> Result<Side> {
    #[repr(C)]
    #[derive(Default)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
    }
    let args = CloneArgs {
        exit_signal: signal as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is a fork; args live until the call returns, and
    // the caller is single-threaded.
    match unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<CloneArgs>()) } {
        0 => Ok(Side::Child),
        -1 => Err(io::Error::last_os_error()).context("clone3"),
        pid => Ok(Side::Parent(nix::unistd::Pid::from_raw(pid.try_into()?))),
    }
}

/// A handler for SIGUSR1 that has no stack to run on.
pub(crate) fn handle_without_stack() -> Result<()> {
    extern "C" fn never(_: libc::c_int) {}
    // SAFETY: the signal stack lies where nothing is mapped any more, and that is
    // the purpose; `never` does nothing.
    unsafe {
        let size = libc::SIGSTKSZ.max(64 << 10);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let none = std::ptr::null_mut();
        let stack = libc::mmap(none, size, libc::PROT_NONE, flags, -1, 0);
        if stack == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("mmap");
        }
        let stack = libc::stack_t {
            ss_sp: stack,
            ss_flags: 0,
            ss_size: size,
        };
        done(
            libc::sigaltstack(&stack, std::ptr::null_mut()),
            "sigaltstack",
        )?;
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = never as *const () as usize;
        action.sa_flags = libc::SA_ONSTACK;
        done(
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
            "sigaction",
        )
    }
}

/// SIGIO when somebody makes a file in the directory.
pub(crate) fn watch(directory: &impl AsRawFd) -> Result<()> {
    /// `uapi/linux/fcntl.h`.
    const DN_CREATE: libc::c_int = 4;
    // SAFETY: takes numbers.
    done(
        unsafe { libc::fcntl(directory.as_raw_fd(), libc::F_NOTIFY, DN_CREATE) },
        "fcntl F_NOTIFY",
    )
}

/// A timer (timer_create).
pub(crate) struct Timer(libc::timer_t);

impl Timer {
    pub(crate) fn new(signal: Signal) -> Result<Self> {
        // SAFETY: zeroes are valid for both; they live through the call.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = signal as libc::c_int;
            let mut timer: libc::timer_t = std::mem::zeroed();
            let made = libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer);
            done(made, "timer_create")?;
            Ok(Self(timer))
        }
    }

    /// Runs out every millisecond from now on.
    pub(crate) fn tick(&self) -> Result<()> {
        self.set(1_000_000)
    }

    /// Runs out in a millisecond.
    pub(crate) fn once(&self) -> Result<()> {
        self.set(0)
    }

    fn set(&self, interval_ns: libc::c_long) -> Result<()> {
        let span = |tv_nsec| libc::timespec { tv_sec: 0, tv_nsec };
        let time = libc::itimerspec {
            it_interval: span(interval_ns),
            it_value: span(1_000_000),
        };
        // SAFETY: the timer is ours and never deleted; the struct lives through the call.
        done(
            unsafe { libc::timer_settime(self.0, 0, &time, std::ptr::null_mut()) },
            "timer_settime",
        )
    }
}

/// reboot(2) as by `reboot`: inside of a PID namespace that ends its PID 1. Only in
/// one that is not the machine's own.
pub(crate) fn reboot_inside() -> Result<()> {
    if std::fs::read_link("/proc/self/ns/pid")? == std::fs::read_link("/proc/1/ns/pid")? {
        bail!("this is the machine's own PID namespace");
    }
    // SAFETY: takes a number.
    done(
        unsafe { libc::reboot(libc::LINUX_REBOOT_CMD_RESTART) },
        "reboot",
    )
}

/// A page of memory that is declared to be damaged, and used then; false: this kernel
/// has no such test.
pub(crate) fn damage_memory() -> Result<bool> {
    const MADV_HWPOISON: libc::c_int = 100;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
    let allowed = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the page is this function's own.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, allowed, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("mmap");
        }
        page.cast::<u8>().write_volatile(1);
        if libc::madvise(page, 4096, MADV_HWPOISON) != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() == Some(libc::EINVAL) {
                return Ok(false);
            }
            return Err(error).context("madvise MADV_HWPOISON");
        }
        page.cast::<u8>().read_volatile();
    }
    Ok(true)
}
