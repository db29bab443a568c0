//! Everything that the compiler cannot check: the system calls and library
//! calls that have no safe form in the libraries used. The only file of
//! `tracer` with `unsafe`.

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
};

use aya::maps::{MapData, RingBuf};
use tokio::io::{unix::AsyncFd, Interest};

/// Numbers in memory that the kernel shares: a map with BPF_F_MMAPABLE, or the positions
/// of a ring buffer.
pub(super) struct Shared {
    first: *const AtomicU64,
    len: usize,
}

// SAFETY: atomics, mapped until this is dropped.
unsafe impl Send for Shared {}

impl Shared {
    /// `len`: how many there are, from that page of the map on. They are only read.
    pub(super) fn new(map: BorrowedFd<'_>, page: usize, len: usize) -> io::Result<Self> {
        Self::with(map, page, len, libc::PROT_READ)
    }

    /// The first `len` of the map, which may be [cleared](Self::clear).
    pub(super) fn writable(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Self::with(map, 0, len, libc::PROT_READ | libc::PROT_WRITE)
    }

    fn with(map: BorrowedFd<'_>, page: usize, len: usize, access: i32) -> io::Result<Self> {
        // SAFETY: a new mapping of numbers that anybody may change at any time.
        let first = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len * size_of::<AtomicU64>(),
                access,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                (page * page_size()) as libc::off_t,
            )
        };
        if first == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            first: first.cast(),
            len,
        })
    }

    /// The one at that place.
    pub(super) fn get(&self, at: usize) -> u64 {
        assert!(at < self.len, "{at} of {}", self.len);
        // SAFETY: within the mapping, and aligned: the kernel maps whole pages.
        unsafe { (*self.first.add(at)).load(Ordering::Acquire) }
    }

    /// Makes that one 0, of those that are [writable](Self::writable).
    pub(super) fn clear(&self, at: usize) {
        assert!(at < self.len, "{at} of {}", self.len);
        // SAFETY: as above.
        unsafe { (*self.first.add(at)).store(0, Ordering::Release) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which nothing refers to any more.
        unsafe {
            libc::munmap(
                self.first.cast_mut().cast(),
                self.len * size_of::<AtomicU64>(),
            )
        };
    }
}

/// Bytes of a page.
fn page_size() -> usize {
    // SAFETY: takes and gives numbers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// A descriptor of a process, whose end makes it readable (`pidfd_open(2)`).
pub(super) fn pidfd(pid: u32) -> Option<OwnedFd> {
    // SAFETY: takes numbers, and gives a descriptor that nobody else has.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0);
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        Some(OwnedFd::from_raw_fd(fd))
    }
}

/// Sets the nice value of the calling thread, and of those that it will make; lower goes
/// first, which takes CAP_SYS_NICE. Who may not goes on as before.
pub(super) fn nice(value: libc::c_int) {
    // SAFETY: setpriority takes no pointers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) };
}

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

/// Whether this process ignores a signal.
pub(super) fn ignores(signal: i32) -> bool {
    // SAFETY: a struct of plain integers, which is only written to.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// While `blocked` is set one of these signals ends this process at once, if it comes so long
/// after another; `asked` is set by the first. Whoever sends one through a shell and sudo may
/// send two in a moment.
pub(super) fn end_at_second(
    signals: &[i32],
    after_ns: u64,
    blocked: &Arc<AtomicBool>,
    asked: &Arc<AtomicBool>,
) -> io::Result<()> {
    /// When the first came, `CLOCK_MONOTONIC`; 0: none has.
    static FIRST: AtomicU64 = AtomicU64::new(0);
    const WORDS: &[u8] = b"sigtrace: ended at once, as it was asked to once more: what nobody \
        has read of its output is lost\n";
    for &signal in signals {
        let (blocked, asked) = (Arc::clone(blocked), Arc::clone(asked));
        let came = move || {
            let now = clock(libc::CLOCK_MONOTONIC);
            let first = FIRST.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
            asked.store(true, Ordering::Relaxed);
            let again = first.is_err_and(|first| now.saturating_sub(first) >= after_ns);
            if !again || !blocked.load(Ordering::Relaxed) {
                return;
            }
            // Perhaps nobody reads that either.
            let mut stderr = libc::pollfd {
                fd: libc::STDERR_FILENO,
                events: libc::POLLOUT,
                revents: 0,
            };
            // SAFETY: all of these may be called in a signal's handler (signal-safety(7)).
            unsafe {
                libc::alarm(1);
                if libc::poll(&raw mut stderr, 1, 0) == 1 {
                    libc::write(libc::STDERR_FILENO, WORDS.as_ptr().cast(), WORDS.len());
                }
                libc::_exit(1);
            }
        };
        // SAFETY: as above; nothing is allocated, freed or locked (clock_gettime(2) is safe).
        unsafe { signal_hook_registry::register(signal, came) }?;
    }
    Ok(())
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

/// Runs `act` while this process can open no file; nothing else may run
/// meanwhile.
pub(super) fn opening_nothing<T>(act: impl FnOnce() -> T) -> T {
    struct Restore(libc::rlimit);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: a valid struct, and no memory is kept.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.0) };
        }
    }
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a valid struct to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return act();
    }
    let _restore = Restore(limit);
    limit.rlim_cur = 0;
    // SAFETY: a valid struct, and no memory is kept.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    act()
}

/// A sort of BTF-typed program.
#[derive(Clone, Copy, Debug)]
pub(super) enum Typed {
    /// tp_btf.
    Tracepoint,
    /// fentry, which stands for fexit too.
    Function,
}

/// Has the kernel check a program that does nothing, for the place with this id,
/// and drops it again. Nothing is attached.
pub(super) fn load_nothing(kind: Typed, attach_btf_id: u32) -> io::Result<()> {
    /// `union bpf_attr` of BPF_PROG_LOAD (linux/bpf.h), as Linux 5.8 has it.
    #[repr(C)]
    #[derive(Default)]
    struct ProgLoad {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log: [u64; 2],
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
        infos: [u64; 4],
        line_info_cnt: u32,
        attach_btf_id: u32,
        attach_prog_fd: u64,
    }
    const _: () = assert!(std::mem::offset_of!(ProgLoad, attach_btf_id) == 108);
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_PROG_TYPE_TRACING: u32 = 26;
    const BPF_TRACE_RAW_TP: u32 = 23;
    const BPF_TRACE_FENTRY: u32 = 24;
    // r0 = 0; exit
    let program: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    let attributes = ProgLoad {
        prog_type: BPF_PROG_TYPE_TRACING,
        insn_cnt: 2,
        insns: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: match kind {
            Typed::Tracepoint => BPF_TRACE_RAW_TP,
            Typed::Function => BPF_TRACE_FENTRY,
        },
        attach_btf_id,
        ..ProgLoad::default()
    };
    let size = std::mem::size_of::<ProgLoad>();
    // SAFETY: attributes, the program and its licence live until the call returns,
    // and the kernel only reads them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &attributes, size) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor, which nobody else owns.
    drop(unsafe { File::from_raw_fd(fd as i32) });
    Ok(())
}

/// `PR_SET_NO_NEW_PRIVS`: no program that this process might run gains any.
pub(super) fn no_new_privileges() -> io::Result<()> {
    // SAFETY: takes no pointers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A handle (`O_PATH`) of what a path names below a folder taken as root: through no
/// link, and opening nothing that would notice.
pub(super) fn beneath(root: &File, path: &CStr) -> io::Result<File> {
    // SAFETY: a struct of plain integers.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS;
    let size = size_of::<libc::open_how>();
    // SAFETY: a path that ends with a zero and a struct of that size, both only read.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &how,
            size,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor, which nobody else owns.
    Ok(unsafe { File::from_raw_fd(fd as i32) })
}

/// Limits of this process for good: a resource (`RLIMIT_…`), and how much.
pub(super) fn limit(resource: u32, most: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: a valid struct, and no memory is kept.
    match unsafe { libc::setrlimit(resource as _, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the allocator take blocks of this size and more from the system one by
/// one. Left to itself it stops that with the first one that is freed, and then
/// holds twice the memory while a large block grows. And has all threads share one heap:
/// each of their own would keep what is free in it.
pub(super) fn large_blocks_apart(from_bytes: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, from_bytes);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = from_bytes;
}

/// Memory in pages of the usual size, never huge ones, of which a block that grows would
/// take up to two megabytes more than it needs (`PR_SET_THP_DISABLE`, prctl(2)).
pub(super) fn small_pages() {
    // SAFETY: sets a flag of this process.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Hands free memory back to the system, which the allocator would keep.
pub(super) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: frees only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Hands back the pages of the program itself that only its start needs: most of the
/// code, and `object`, which lies in it. Whatever is needed again comes from the file.
pub(super) fn give_back_pages(object: &[u8]) {
    const PAGE: usize = 4096;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let here = give_back_pages as *const () as usize;
    // Code is never written to; what lies behind it, the loader has changed.
    let code = maps.lines().find_map(|line| code_around(line, here));
    let inside = object.as_ptr_range();
    let object = (inside.start as usize).next_multiple_of(PAGE)..inside.end as usize & !(PAGE - 1);
    for range in code.into_iter().chain([object]) {
        if range.start < range.end {
            // SAFETY: private pages of a file that nothing has written to: the next
            // access finds the same in them.
            unsafe {
                let start = range.start as *mut libc::c_void;
                libc::madvise(start, range.end - range.start, libc::MADV_DONTNEED);
            }
        }
    }
}

/// The range of a line of `/proc/PID/maps`, if that is code and `address` lies in it.
fn code_around(line: &str, address: usize) -> Option<std::ops::Range<usize>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = number(start)?..number(end)?;
    (rest.starts_with("r-xp ") && range.contains(&address)).then_some(range)
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

/// The same of a process; must be called within tokio's runtime.
pub(super) fn wait_for_end(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open and the same for as long as it lives.
    unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_handed_back() {
        let code = "7f00-8f00 r-xp 002ce000 fd:00 12 /usr/bin/sigtrace (deleted)";
        assert_eq!(code_around(code, 0x8000), Some(0x7f00..0x8f00));
        assert_eq!(code_around(code, 0x8f00), None);
        // Written to by the loader before it was made read-only.
        assert_eq!(code_around(&code.replace("r-xp", "r--p"), 0x8000), None);
        assert_eq!(code_around("7f00 r-xp", 0x7f00), None);
        assert_eq!(code_around("", 0), None);
    }
}
