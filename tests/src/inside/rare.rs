//! Roles that the kernel ends by one of its rarer signals. They introduce themselves
//! first, so that the play knows who dies.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::{env, thread};

use anyhow::{bail, Context, Result};
use nix::sys::resource::{self, Resource};
use nix::sys::signal::{self, SigSet, Signal};
use nix::sys::wait::{self, WaitPidFlag};
use nix::unistd::{self, Pid};

use super::doomed::{pipe, prepare};
use super::tools;
use crate::sys::{self, rare, rarest, Bell, Side};

/// RLIMIT_RTTIME of the role that exceeds it, in microseconds.
const RT_US: u64 = 100_000;

/// Plays one; false: there is no such role here.
pub(super) fn play(role: &str) -> Result<bool> {
    match role {
        "hogs" => {
            prepare(role)?;
            rare::limit_real_time(RT_US)?;
            rare::be_real_time()?;
            loop {
                std::hint::spin_loop();
            }
        }
        "is-told" => {
            let (read, mut write) = pipe()?;
            prepare(role)?;
            rare::tell_of_input(&read)?;
            // Its end would be told by the same signal, were it the last writer.
            if let Side::Child = sys::fork()? {
                drop(read);
                prepare("tells")?;
                write.write_all(b"?")?;
                tools::sleep_for_ever();
            }
            tools::sleep_for_ever();
        }
        "watches" => {
            let path = scratch(role)?;
            fs::create_dir(&path)?;
            let directory = File::open(&path)?;
            prepare(role)?;
            rare::watch(&directory)?;
            if let Side::Child = sys::fork()? {
                prepare("creates")?;
                let file = path.join("file");
                File::create(&file)?;
                fs::remove_file(&file)?;
                tools::sleep_for_ever();
            }
            tools::sleep_for_ever();
        }
        "leases" => {
            let path = scratch(role)?;
            fs::write(&path, "?")?;
            let file = File::open(&path)?;
            prepare(role)?;
            rare::lease(&file)?;
            rare::open_leased(&path)?;
        }
        "is-notified" => {
            prepare(role)?;
            rare::be_notified()?;
        }
        "clones" => {
            prepare(role)?;
            if let Side::Child = rare::fork_told_by(Signal::SIGUSR1)? {
                prepare("cloned")?;
                process::exit(0);
            }
            tools::sleep_for_ever();
        }
        "execs-nothing" => {
            let program = scratch(role)?;
            unloadable(&program)?;
            prepare(role)?;
            let error = Command::new(&program).exec();
            return Err(error).context("exec of what cannot be loaded");
        }
        "no-stack" => {
            sys::default_action(Signal::SIGSEGV)?;
            rare::handle_without_stack()?;
            prepare(role)?;
            signal::raise(Signal::SIGUSR1)?;
        }
        "orphans" => orphans()?,
        "reboots" => {
            prepare(role)?;
            rare::reboot_inside()?;
        }
        "damaged" => {
            sys::default_action(Signal::SIGBUS)?;
            prepare(role)?;
            if !rare::damage_memory()? {
                tools::say("no-test")?;
                tools::sleep_for_ever();
            }
        }
        "ticks" => {
            let late: SigSet = [Signal::SIGALRM].into_iter().collect();
            late.thread_block()?;
            let mut bell = Bell::for_signals(&[Signal::SIGALRM, Signal::SIGUSR1])?;
            prepare(role)?;
            let timer = rare::Timer::new(Signal::SIGALRM)?;
            timer.tick()?;
            // The kernel does not set it again before its signal is taken; when the
            // program does, it runs out with one in the queue.
            rarest::wait_until_queued(Signal::SIGALRM)?;
            timer.tick()?;
            bell.wait()?;
            process::exit(0);
        }
        "changes-mind" => changes_mind()?,
        _ => return Ok(false),
    }
    bail!("{role} was to be killed")
}

/// A file of this process alone, by its pid on the host; the play removes it.
fn scratch(role: &str) -> Result<PathBuf> {
    let own = fs::read_link("/proc/self").context("readlink /proc/self")?;
    Ok(env::temp_dir().join(format!("{role}-{}", own.display())))
}

/// A program for x86-64 whose only segment lies where no program may: it is refused
/// when the old one is gone already.
fn unloadable(path: &Path) -> Result<()> {
    let mut elf = vec![0_u8; 64 + 56];
    let mut put = |at: usize, bytes: &[u8]| elf[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    // ET_EXEC, EM_X86_64, version 1, entry, program headers at 64.
    put(16, &[2, 0, 62, 0, 1, 0, 0, 0]);
    put(24, &0x1000_u64.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1, 0]);
    // PT_LOAD, readable and executable, beyond all user space.
    put(64, &[1, 0, 0, 0, 5, 0, 0, 0]);
    for at in [64 + 16, 64 + 24] {
        put(at, &0xffff_8000_0000_0000_u64.to_le_bytes());
    }
    for at in [64 + 32, 64 + 40, 64 + 48] {
        put(at, &0x1000_u64.to_le_bytes());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(&elf)?;
    Ok(())
}

/// Its child has a process group of its own and is stopped when it ends.
fn orphans() -> Result<()> {
    prepare("orphans")?;
    unistd::setsid().context("setsid")?;
    if let Side::Child = sys::fork()? {
        let own = Pid::from_raw(0);
        unistd::setpgid(own, own).context("setpgid")?;
        prepare("orphan")?;
        signal::raise(Signal::SIGSTOP)?;
        tools::sleep_for_ever();
    }
    wait::waitpid(None, Some(WaitPidFlag::WUNTRACED)).context("wait")?;
    process::exit(0);
}

/// Blocks SIGUSR1 that it has a handler for, and ignores it once it gets SIGUSR2.
fn changes_mind() -> Result<()> {
    let late: SigSet = [Signal::SIGUSR1].into_iter().collect();
    late.thread_block()?;
    let mut bell = Bell::for_signals(&[Signal::SIGUSR1, Signal::SIGUSR2])?;
    prepare("changes-mind")?;
    bell.wait()?;
    sys::ignore(Signal::SIGUSR1)?;
    tools::say("ignores")?;
    tools::sleep_for_ever();
}

/// Has a thread that blocks SIGUSR1, and at SIGHUP executes a program, exits or aborts
/// with a core dump.
pub(super) fn threaded(what: &str) -> Result<()> {
    let late: SigSet = [Signal::SIGUSR1].into_iter().collect();
    let mut bell = Bell::for_signals(&[Signal::SIGHUP, Signal::SIGUSR1])?;
    if what == "dump" {
        let hard = resource::getrlimit(Resource::RLIMIT_CORE)?.1;
        resource::setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
        tools::set_name(b"threaded")?;
        tools::introduce("threaded")?;
    } else {
        prepare("threaded")?;
    }
    thread::spawn(move || {
        let own = fs::read_link("/proc/thread-self");
        let tid = own
            .ok()
            .and_then(|own| own.file_name().map(ToOwned::to_owned));
        // Where this fails nobody hears of a thread, and the scenario says so.
        if let (Some(tid), Ok(())) = (tid, late.thread_block()) {
            let _ = tools::say(&format!("thread {}", tid.display()));
        }
        tools::sleep_for_ever();
    });
    bell.wait()?;
    match what {
        "exec" => {
            let program = env::current_exe().context("the name of this program")?;
            let error = Command::new(program)
                .args(["inside", "role", "execed"])
                .exec();
            Err(error).context("exec")
        }
        "exit" => process::exit(0),
        _ => process::abort(),
    }
}
