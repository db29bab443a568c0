//! System calls for the causes that most machines never see: a program in the kernel
//! that kills, a performance counter that traps, all memory used up.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::sys::resource::{self, Resource};
use nix::sys::signal::Signal;

/// While the descriptor is open, a process gets this signal from a program in the
/// kernel whenever it makes a system call (`bpf_send_signal`).
pub(crate) fn kill_by_program(pid: u32, signal: Signal) -> Result<OwnedFd> {
    let at = |bytes: [u8; 4], number: u32| {
        let n = number.to_le_bytes();
        [
            bytes[0], bytes[1], bytes[2], bytes[3], n[0], n[1], n[2], n[3],
        ]
    };
    let program = [
        // r0 = bpf_get_current_pid_tgid() >> 32
        at([0x85, 0, 0, 0], 14),
        at([0x77, 0, 0, 0], 32),
        // if r0 != pid goto the end
        at([0x55, 0, 2, 0], pid),
        // bpf_send_signal(r1)
        at([0xb7, 1, 0, 0], signal as u32),
        at([0x85, 0, 0, 0], 109),
        // return 0
        at([0xb7, 0, 0, 0], 0),
        at([0x95, 0, 0, 0], 0),
    ];
    // Before 5.11 programs count as locked memory.
    let none = libc::RLIM_INFINITY;
    resource::setrlimit(Resource::RLIMIT_MEMLOCK, none, none).context("RLIMIT_MEMLOCK")?;
    super::attach(c"sys_enter", &program).context("a program that sends a signal")
}

/// iretq to where nobody can return to. A real processor refuses that to the program;
/// an emulated one changes its state first, so that the kernel's own handler faults.
pub(crate) fn return_to_nowhere() {
    // SAFETY: the process does not go on behind it.
    unsafe {
        std::arch::asm!(
            "push 0x2b",
            "push 0x7f00",
            "push 0x202",
            "push 0x13",
            "push 0",
            "iretq",
            options(noreturn)
        );
    }
}

/// A counter of this thread's page faults that traps at the first one (SIGTRAP, 5.13).
pub(crate) fn trap_at_page_fault() -> Result<OwnedFd> {
    /// `struct perf_event_attr` of linux/perf_event.h, up to `sig_data`.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        kind: u32,
        size: u32,
        config: u64,
        sample_period: u64,
        unused: [u64; 2],
        flags: u64,
        unused_too: [u64; 10],
    }
    const SOFTWARE: u32 = 1;
    const PAGE_FAULTS: u64 = 2;
    const EXCLUDE_KERNEL: u64 = 1 << 5;
    const EXCLUDE_HV: u64 = 1 << 6;
    const REMOVE_ON_EXEC: u64 = 1 << 36;
    const SIGTRAP: u64 = 1 << 37;
    let attributes = Attributes {
        kind: SOFTWARE,
        size: size_of::<Attributes>().try_into()?,
        config: PAGE_FAULTS,
        sample_period: 1,
        flags: EXCLUDE_KERNEL | EXCLUDE_HV | REMOVE_ON_EXEC | SIGTRAP,
        ..Attributes::default()
    };
    // SAFETY: the kernel reads the struct, whose size it is told.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &attributes, 0, -1, -1, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context("perf_event_open");
    }
    // SAFETY: fd was just opened and is owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) })
}

/// Takes more memory, and uses it, until there is none.
pub(crate) fn use_up_memory() -> Result<()> {
    const CHUNK: usize = 16 << 20;
    // A page fault for each page would take a second or two.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
    let allowed = libc::PROT_READ | libc::PROT_WRITE;
    loop {
        // SAFETY: the mapping is new, and nobody uses it.
        let chunk = unsafe { libc::mmap(std::ptr::null_mut(), CHUNK, allowed, flags, -1, 0) };
        if chunk == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("mmap");
        }
    }
}

/// Waits until this signal, which is blocked, is in the queue.
pub(crate) fn wait_until_queued(signal: Signal) -> Result<()> {
    loop {
        // SAFETY: zeroes are a set, which the kernel fills.
        let queued = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            if libc::sigpending(&mut set) != 0 {
                return Err(io::Error::last_os_error()).context("sigpending");
            }
            libc::sigismember(&set, signal as libc::c_int) == 1
        };
        if queued {
            return Ok(());
        }
        std::thread::yield_now();
    }
}
