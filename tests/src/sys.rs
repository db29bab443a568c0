//! The system calls that have no safe wrapper: fork, a handler that rings a
//! bell, clone3 with a chosen pid, the end of one thread. With [`rare`],
//! [`rarest`] and [`terminal`] the only file of the tests with `unsafe`; everything else goes through `nix`.

pub(crate) mod crashing;
pub(crate) mod rare;
pub(crate) mod rarest;
pub(crate) mod terminal;

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{bail, Context, Result};
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::unistd::{self, ForkResult, Pid};

/// Which side of a fork this is.
pub(crate) enum Side {
    Parent(Pid),
    Child,
}

/// fork(2). The programs inside the namespaces call it before they start any
/// thread, so that the child has no lock that nobody will open.
pub(crate) fn fork() -> Result<Side> {
    // SAFETY: only single-threaded programs come here, so the child may go on
    // with anything.
    match unsafe { unistd::fork() }.context("fork")? {
        ForkResult::Parent { child } => Ok(Side::Parent(child)),
        ForkResult::Child => Ok(Side::Child),
    }
}

/// A fork whose pids are chosen, innermost namespace first (clone3 with
/// `set_tid`, Linux 5.5): pids are reused on purpose, without touching a sysctl.
pub(crate) fn fork_as(pids: &[i32]) -> Result<Side> {
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
        set_tid: u64,
        set_tid_size: u64,
    }
    let args = CloneArgs {
        exit_signal: libc::SIGCHLD as u64,
        set_tid: pids.as_ptr() as u64,
        set_tid_size: pids.len() as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is a fork; args and the pids it points to
    // live until the call returns, and the caller is single-threaded.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<CloneArgs>()) };
    match pid {
        0 => Ok(Side::Child),
        -1 => Err(io::Error::last_os_error()).with_context(|| format!("clone3 as {pids:?}")),
        pid => Ok(Side::Parent(Pid::from_raw(pid.try_into()?))),
    }
}

/// Write end of the bell's pipe.
static BELL: AtomicI32 = AtomicI32::new(-1);

extern "C" fn ring(number: libc::c_int) {
    // SAFETY: __errno_location gives this thread's errno, which the code that
    // was interrupted may be about to read.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let byte = [u8::try_from(number).unwrap_or(0)];
    // SAFETY: write(2) is async-signal-safe, and the byte lives on this stack.
    unsafe { libc::write(BELL.load(Ordering::Relaxed), byte.as_ptr().cast(), 1) };
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Signals with a handler that does nothing but tell the main program.
pub(crate) struct Bell(File);

impl Bell {
    /// Handlers for these signals. Blocked system calls start again, as they
    /// do in most programs (SA_RESTART).
    pub(crate) fn for_signals(signals: &[Signal]) -> Result<Self> {
        let (read, write) = unistd::pipe().context("pipe")?;
        BELL.store(write.into_raw_fd(), Ordering::Relaxed);
        let action = SigAction::new(
            SigHandler::Handler(ring),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        for &signal in signals {
            act(signal, &action)?;
        }
        Ok(Self(File::from(read)))
    }

    /// Waits until a handler has run; the signal's number.
    pub(crate) fn wait(&mut self) -> Result<i32> {
        let mut byte = [0];
        self.0
            .read_exact(&mut byte)
            .context("reading from the bell")?;
        Ok(byte[0].into())
    }
}

/// A timer of the process (ITIMER_REAL), which sends it SIGALRM: once after so
/// many microseconds, or again and again.
pub(crate) fn alarm(after_us: i64, every_us: i64) -> Result<()> {
    let time = |us| libc::timeval {
        tv_sec: 0,
        tv_usec: us,
    };
    let timer = libc::itimerval {
        it_interval: time(every_us),
        it_value: time(after_us),
    };
    // SAFETY: setitimer reads one itimerval, and writes none.
    if unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error()).context("setitimer");
    }
    Ok(())
}

/// SIG_DFL.
pub(crate) fn default_action(signal: Signal) -> Result<()> {
    act(
        signal,
        &SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty()),
    )
}

fn act(signal: Signal, action: &SigAction) -> Result<()> {
    // SAFETY: the handlers are SIG_IGN, SIG_DFL and `ring`, which is
    // async-signal-safe.
    unsafe { sigaction(signal, action) }
        .map(drop)
        .with_context(|| format!("sigaction {signal}"))
}

/// SIG_IGN.
pub(crate) fn ignore(signal: Signal) -> Result<()> {
    act(
        signal,
        &SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty()),
    )
}

/// SIG_IGN for a signal by its number, real-time ones included, which `nix`
/// has no names for.
pub(crate) fn ignore_number(number: i32) -> Result<()> {
    // SAFETY: SIG_IGN installs no code of ours.
    let before = unsafe { libc::signal(number, libc::SIG_IGN) };
    if before == libc::SIG_ERR {
        bail!("signal {number}: {}", io::Error::last_os_error());
    }
    Ok(())
}

/// How often [`count`] ran.
static COUNTED: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(_: libc::c_int) {
    COUNTED.fetch_add(1, Ordering::SeqCst);
}

/// A handler for a signal by its number, which only counts how often it runs: all of
/// them together, in the end.
pub(crate) fn count_number(number: i32) -> Result<impl Fn() -> i32> {
    let handler = count as extern "C" fn(libc::c_int);
    // SAFETY: the handler does nothing but to add to a number.
    let before = unsafe { libc::signal(number, handler as libc::sighandler_t) };
    if before == libc::SIG_ERR {
        bail!("signal {number}: {}", io::Error::last_os_error());
    }
    Ok(|| COUNTED.load(Ordering::SeqCst))
}

/// The calling thread blocks these, by number, or no longer.
pub(crate) fn block_numbers(numbers: impl IntoIterator<Item = i32>, block: bool) -> Result<()> {
    let how = if block {
        libc::SIG_BLOCK
    } else {
        libc::SIG_UNBLOCK
    };
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is made empty before it is used, and no old one is asked for.
    let failed = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for number in numbers {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut())
    };
    match failed {
        0 => Ok(()),
        error => bail!("blocking signals: {}", io::Error::from_raw_os_error(error)),
    }
}

/// kill(2) by number; false: there is no such process.
pub(crate) fn kill_number(pid: i32, number: i32) -> Result<bool> {
    // SAFETY: kill takes no pointers.
    if unsafe { libc::kill(pid, number) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        error => Err(error).with_context(|| format!("kill -{number} {pid}")),
    }
}

/// A system call that does next to nothing: `getppid()`, which no library answers itself.
pub(crate) fn call_nothing() {
    // SAFETY: takes nothing.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// `rt_sigqueueinfo()` with this `si_code`.
pub(crate) fn queue_as(pid: i32, number: i32, code: i32) -> Result<()> {
    // SAFETY: all zeros are a siginfo.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    info.si_signo = number;
    info.si_code = code;
    // SAFETY: the siginfo lives as long.
    if unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, number, &raw const info) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error()).with_context(|| format!("rt_sigqueueinfo {number} {pid}"))
}

/// A process that stays the same one though its pid may be given to another.
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    pub(crate) fn open(pid: i32) -> Result<Self> {
        // SAFETY: pidfd_open takes no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error()).with_context(|| format!("pidfd_open {pid}"));
        }
        // SAFETY: fd was just opened and is owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) }))
    }

    /// Sends a signal, with a siginfo that has this `si_code` or with the kernel's
    /// own; false: the process is gone.
    pub(crate) fn send(&self, number: i32, code: Option<i32>) -> Result<bool> {
        // SAFETY: all zeros are a siginfo.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        info.si_signo = number;
        info.si_code = code.unwrap_or_default();
        let info = match code {
            Some(_) => &raw const info,
            None => std::ptr::null(),
        };
        let fd = self.0.as_raw_fd();
        // SAFETY: the descriptor is ours; a siginfo that lives as long, or null.
        if unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, info, 0) } == 0 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            error => Err(error).with_context(|| format!("pidfd_send_signal {number}")),
        }
    }
}

/// What the kernel keeps lists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BpfObject {
    Program,
    Map,
    Link,
}

/// Whether the kernel still has a BPF object of this id. Ids are not given again
/// before all others were.
pub(crate) fn bpf_object_exists(kind: BpfObject, id: u32) -> Result<bool> {
    /// `union bpf_attr` of BPF_*_GET_NEXT_ID (linux/bpf.h).
    #[repr(C)]
    #[derive(Default)]
    struct GetNextId {
        start_id: u32,
        next_id: u32,
        open_flags: u32,
    }
    let command: libc::c_long = match kind {
        BpfObject::Program => 11,
        BpfObject::Map => 12,
        BpfObject::Link => 31,
    };
    let mut next = GetNextId {
        start_id: id.saturating_sub(1),
        ..GetNextId::default()
    };
    let size = size_of::<GetNextId>();
    // SAFETY: the kernel reads and writes one such struct, and this is one.
    if unsafe { libc::syscall(libc::SYS_bpf, command, &mut next, size) } == 0 {
        return Ok(next.next_id == id);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        error => Err(error).with_context(|| format!("asking for {kind:?} {id}")),
    }
}

/// Attaches a program that does nothing to a raw tracepoint, until the descriptor
/// is closed: the least that any tracer costs there.
pub(crate) fn attach_nothing(tracepoint: &std::ffi::CStr) -> Result<OwnedFd> {
    // r0 = 0; exit
    let program = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    attach(tracepoint, &program).context("a program that does nothing")
}

/// Attaches a program of these instructions to a raw tracepoint, until the descriptor
/// is closed.
fn attach(tracepoint: &std::ffi::CStr, program: &[[u8; 8]]) -> Result<OwnedFd> {
    /// `union bpf_attr` of BPF_PROG_LOAD (linux/bpf.h), its first fields.
    #[repr(C)]
    struct ProgLoad {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
    }
    /// Of BPF_RAW_TRACEPOINT_OPEN.
    #[repr(C)]
    struct RawTracepoint {
        name: u64,
        prog_fd: u32,
        pad: u32,
    }
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;
    const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
    let load = ProgLoad {
        prog_type: BPF_PROG_TYPE_RAW_TRACEPOINT,
        insn_cnt: program.len().try_into()?,
        insns: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
    };
    let size = size_of::<ProgLoad>();
    // SAFETY: the kernel only reads the struct and what it points to, which live
    // until the call returns.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &load, size) };
    if loaded < 0 {
        return Err(io::Error::last_os_error()).context("loading it");
    }
    // SAFETY: it was just opened and is owned by nobody else.
    let loaded = unsafe { OwnedFd::from_raw_fd(i32::try_from(loaded)?) };
    let attach = RawTracepoint {
        name: tracepoint.as_ptr() as u64,
        prog_fd: u32::try_from(loaded.as_raw_fd())?,
        pad: 0,
    };
    let size = size_of::<RawTracepoint>();
    // SAFETY: as above.
    let link = unsafe { libc::syscall(libc::SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attach, size) };
    if link < 0 {
        return Err(io::Error::last_os_error()).context("attaching it");
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(link)?) })
}

/// Columns of a terminal; `None` where this is none.
pub(crate) fn columns(terminal: &impl AsRawFd) -> Option<u16> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the kernel writes one winsize, and this is one.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (done == 0 && size.ws_col > 0).then_some(size.ws_col)
}

/// Where in the file of this program a function of it begins.
pub(crate) fn own_offset(function: *const ()) -> Result<u64> {
    let address = function as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").context("/proc/self/maps")?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let offset = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let begins = hex(words.nth(1)?)?;
        let inside = (hex(start)?..hex(end)?).contains(&address);
        inside.then_some(begins + address - hex(start)?)
    };
    let found = maps.lines().find_map(offset);
    found.context("the function is in no mapping")
}

/// Reads where nothing is mapped: SIGSEGV.
#[inline(never)]
pub(crate) fn read_near_zero() {
    // SAFETY: none, and that is the purpose; the first page is never mapped, so
    // nothing is read and the process ends.
    unsafe { std::ptr::read_volatile(0x10 as *const u8) };
}

/// A seccomp filter that kills the process at getppid(2).
pub(crate) fn forbid_getppid() -> Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let number = u32::try_from(libc::SYS_getppid)?;
    let program = [
        // The number of the call is the first field of seccomp_data.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_KILL_PROCESS,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len().try_into()?,
        filter: program.as_ptr().cast_mut(),
    };
    nix::sys::prctl::set_no_new_privs().context("prctl PR_SET_NO_NEW_PRIVS")?;
    // SAFETY: the kernel reads the program, which lives through the call.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) };
    if done != 0 {
        return Err(io::Error::last_os_error()).context("prctl PR_SET_SECCOMP");
    }
    Ok(())
}

/// Another process with this one's memory, that does nothing; its pid. As by
/// vfork(2), this one goes on only once that has ended.
pub(crate) fn clone_with_memory(vfork: bool) -> Result<i32> {
    extern "C" fn rest(_: *mut libc::c_void) -> libc::c_int {
        loop {
            // SAFETY: needs nothing.
            unsafe { libc::pause() };
        }
    }
    const STACK: usize = 64 << 10;
    let stack = Vec::leak(vec![0_u8; STACK]);
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: the stack is its own and stays; all that it does there is to wait.
    let pid = unsafe {
        libc::clone(
            rest,
            top.cast(),
            libc::CLONE_VM | libc::SIGCHLD | if vfork { libc::CLONE_VFORK } else { 0 },
            std::ptr::null_mut(),
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error()).context("clone with CLONE_VM");
    }
    Ok(pid)
}

/// A signal by sigqueue(3); false: there is no place for it (EAGAIN).
pub(crate) fn queue(pid: i32, number: i32) -> Result<bool> {
    let value = libc::sigval {
        sival_ptr: std::ptr::null_mut(),
    };
    // SAFETY: sigqueue takes numbers, and a value that nobody looks at.
    if unsafe { libc::sigqueue(pid, number, value) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EAGAIN) => Ok(false),
        error => Err(error).with_context(|| format!("sigqueue {number} to {pid}")),
    }
}

/// What a system call failed with; 0: it did not.
fn failed(returned: libc::c_long) -> i32 {
    if returned >= 0 {
        return 0;
    }
    io::Error::last_os_error().raw_os_error().unwrap_or(-1)
}

/// kill(2); what it failed with.
pub(crate) fn call_kill(pid: i32, number: i32) -> i32 {
    // SAFETY: kill takes numbers.
    failed(unsafe { libc::kill(pid, number) }.into())
}

/// tgkill(2); what it failed with.
pub(crate) fn call_tgkill(pid: i32, tid: i32, number: i32) -> i32 {
    // SAFETY: tgkill takes numbers.
    failed(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, number) })
}

/// tkill(2); what it failed with.
pub(crate) fn call_tkill(tid: i32, number: i32) -> i32 {
    // SAFETY: tkill takes numbers.
    failed(unsafe { libc::syscall(libc::SYS_tkill, tid, number) })
}

/// rt_sigqueueinfo(2) with this `si_code`; what it failed with.
pub(crate) fn call_sigqueueinfo(pid: i32, number: i32, code: i32) -> i32 {
    // SAFETY: a siginfo is numbers, for which 0 is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    info.si_signo = number;
    info.si_code = code;
    // SAFETY: the kernel reads one siginfo, which lives through the call.
    failed(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, number, &info) })
}

/// pidfd_send_signal(2) on the folder of a process in /proc; what it failed with.
pub(crate) fn call_pidfd_of_proc(pid: i32, number: i32) -> Result<i32> {
    let path = format!("/proc/{pid}");
    let folder = File::open(&path).context(path)?;
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is ours and a null siginfo is allowed.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            folder.as_raw_fd(),
            number,
            no_info,
            0,
        )
    };
    Ok(failed(returned))
}

/// Whether Landlock can keep signals inside a domain (version 6 of it, Linux 6.12).
pub(crate) fn can_scope_signals() -> bool {
    const VERSION: libc::c_int = 1;
    let none = std::ptr::null::<u64>();
    // SAFETY: asked for its version it reads nothing.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
    version >= 6
}

/// From here on signals go to processes of this Landlock domain alone.
pub(crate) fn scope_signals() -> Result<()> {
    /// `struct landlock_ruleset_attr`.
    #[repr(C)]
    struct Ruleset {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    const SCOPE_SIGNAL: u64 = 1 << 1;
    let ruleset = Ruleset {
        handled_access_fs: 0,
        handled_access_net: 0,
        scoped: SCOPE_SIGNAL,
    };
    nix::sys::prctl::set_no_new_privs().context("prctl PR_SET_NO_NEW_PRIVS")?;
    let size = size_of::<Ruleset>();
    // SAFETY: the kernel reads one such struct, which lives through the call.
    let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &ruleset, size, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context("landlock_create_ruleset");
    }
    // SAFETY: fd was just opened and is owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) };
    // SAFETY: takes numbers.
    if unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd.as_raw_fd(), 0) } != 0 {
        return Err(io::Error::last_os_error()).context("landlock_restrict_self");
    }
    Ok(())
}

/// From here on only read, write, exit and sigreturn are allowed.
pub(crate) fn be_strict() -> Result<()> {
    // SAFETY: SECCOMP_MODE_STRICT takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) } != 0 {
        return Err(io::Error::last_os_error()).context("prctl PR_SET_SECCOMP");
    }
    Ok(())
}

/// Makes it the controlling terminal of this session leader (TIOCSCTTY).
pub(crate) fn take_terminal(terminal: &impl AsRawFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    if unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } != 0 {
        return Err(io::Error::last_os_error()).context("TIOCSCTTY");
    }
    Ok(())
}

/// Ends the calling thread alone: for the main thread that is the end of the
/// leader while its process lives on.
pub(crate) fn end_this_thread() -> ! {
    // SAFETY: exit(2), unlike exit_group(2), ends only this thread; nothing of
    // its stack is used by the others.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("exit(2) does not return")
}

/// A signalfd for these signals, read once; the number that was taken.
pub(crate) fn take_by_signalfd(signals: &SigSet) -> Result<i32> {
    // SAFETY: the set lives through the call.
    let fd = unsafe { libc::signalfd(-1, signals.as_ref(), libc::SFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context("signalfd");
    }
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    // SAFETY: fd was just opened and is owned by nobody else.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.read_exact(&mut info)
        .with_context(|| format!("reading signalfd {}", file.as_raw_fd()))?;
    // ssi_signo is its first field.
    Ok(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
}
