//! What a child does. Each introduces itself (`ROLE HOSTPID PID`) once it is in
//! the state that its name says.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Command};
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{bail, Context, Result};
use nix::sched::{self, CpuSet};
use nix::sys::resource::{self, Resource};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

use super::tools;
use crate::sys::{self, Bell, Side};

/// A name made to break terminals and parsers: an escape sequence, a bell, a
/// newline, a byte that is no UTF-8, and what writes from right to left.
pub(crate) const NASTY: &[u8] = b"\x1b[31mX\x07\n\xff\"\xe2\x80\xae";

/// Plays one.
pub(crate) fn play(role: &str, words: &[&str]) -> Result<()> {
    match (role, words) {
        ("sleeper" | "execed", []) => asleep(role),
        ("handles", names) => handles(names),
        ("delegates", [signal, by]) => super::delegates::run(signal, by),
        ("relays", [name, pid]) => relays(name, pid.parse()?),
        ("own-session", []) => {
            nix::unistd::setsid().context("setsid")?;
            asleep(role)
        }
        ("own-group", []) => {
            nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).context("setpgid")?;
            asleep(role)
        }
        ("ignores", [name]) => {
            sys::ignore(tools::signal(name)?)?;
            asleep(role)
        }
        ("ignores-rt", []) => {
            for number in super::storm::SIGNALS {
                sys::ignore_number(number)?;
            }
            asleep(role)
        }
        ("blocks-rt", []) => {
            super::storm::block()?;
            asleep(role)
        }
        ("counts-rt", []) => super::storm::counts(),
        ("blocks", [name]) => {
            set([tools::signal(name)?]).thread_block()?;
            asleep(role)
        }
        ("threaded", [what]) => super::rare::threaded(what),
        ("late", [name]) => late(tools::signal(name)?),
        ("unblocks", [name]) => unblocks(tools::signal(name)?),
        ("exits", [status]) => {
            prepare(role)?;
            process::exit(status.parse()?);
        }
        ("aborts", when @ ([] | ["told"])) => {
            resource::setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
            prepare(role)?;
            if !when.is_empty() {
                tools::hear()?;
            }
            process::abort();
        }
        ("sigwait", [name]) => {
            let wanted = set([tools::signal(name)?]);
            wanted.thread_block()?;
            prepare(role)?;
            wanted.wait()?;
            process::exit(0);
        }
        ("signalfd", [name]) => {
            let wanted = set([tools::signal(name)?]);
            wanted.thread_block()?;
            prepare(role)?;
            sys::take_by_signalfd(&wanted)?;
            process::exit(0);
        }
        ("spins", []) => spins(),
        ("no-queue", []) => {
            resource::setrlimit(Resource::RLIMIT_SIGPENDING, 0, 0)?;
            asleep(role)
        }
        ("vforks", []) => vforks(),
        ("vforks-aside", []) => vforks_aside(),
        ("alarmed", []) => alarmed(),
        ("leaderless", []) => leaderless(role),
        ("execs", []) => execs(),
        ("nests", []) => nests(),
        ("nasty", []) => {
            tools::set_name(NASTY)?;
            tools::introduce(role)?;
            tools::sleep_for_ever();
        }
        (role, []) if super::doomed::play(role)? || super::rare::play(role)? => Ok(()),
        (role, []) if super::terminal::play(role)? => Ok(()),
        (role, rest) if super::rarest::play(role, rest)? => Ok(()),
        (role, rest) if super::crashing::play(role, rest)? => Ok(()),
        (role, rest) if super::refused::play(&[&[role], rest].concat())? => Ok(()),
        (role, rest) if super::forks::play(&[&[role], rest].concat())? => Ok(()),
        other => bail!("no such role: {other:?}"),
    }
}

/// Sleeps under the name of its parent.
pub(crate) fn asleep(role: &str) -> Result<()> {
    if role != "child" {
        tools::set_name(role.as_bytes())?;
    }
    tools::introduce(role)?;
    tools::sleep_for_ever();
}

fn prepare(role: &str) -> Result<()> {
    tools::set_name(role.as_bytes())?;
    tools::introduce(role)
}

fn set<const N: usize>(signals: [Signal; N]) -> SigSet {
    signals.into_iter().collect()
}

fn handles(names: &[&str]) -> Result<()> {
    let signals = names.iter().map(|name| tools::signal(name));
    let mut bell = Bell::for_signals(&signals.collect::<Result<Vec<_>>>()?)?;
    prepare("handles")?;
    loop {
        let number = bell.wait()?;
        tools::say(&format!("rang-{number}"))?;
    }
}

/// Sends a signal to another process whenever it gets SIGHUP.
fn relays(name: &str, pid: i32) -> Result<()> {
    let number = tools::signal(name)? as i32;
    let mut bell = Bell::for_signals(&[Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2])?;
    prepare("relays")?;
    loop {
        if bell.wait()? == Signal::SIGHUP as i32 {
            sys::kill_number(pid, number)?;
        }
    }
}

/// The CPU that those share who are to run in turn.
fn on_one_cpu() -> Result<()> {
    let own = Pid::from_raw(0);
    let allowed = sched::sched_getaffinity(own).context("sched_getaffinity")?;
    let first = (0..CpuSet::count()).find(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(first.context("no CPU at all")?)?;
    sched::sched_setaffinity(own, &one).context("sched_setaffinity")
}

/// Sleeps in the kernel until its child has ended, then acts on SIGUSR1.
fn vforks() -> Result<()> {
    let mut bell = Bell::for_signals(&[Signal::SIGUSR1])?;
    prepare("vforks")?;
    sys::clone_with_memory(true)?;
    bell.wait()?;
    tools::say("rang")?;
    tools::sleep_for_ever();
}

/// Its first thread blocks SIGUSR2; the other, which does not, sleeps in the kernel until
/// its child has ended, and then acts on it.
fn vforks_aside() -> Result<()> {
    let mut bell = Bell::for_signals(&[Signal::SIGUSR2])?;
    set([Signal::SIGUSR2]).thread_block()?;
    prepare("vforks-aside")?;
    let aside = thread::spawn(move || -> Result<()> {
        set([Signal::SIGUSR2]).thread_unblock()?;
        sys::clone_with_memory(true)?;
        bell.wait()?;
        tools::say("rang")
    });
    match aside.join() {
        Ok(done) => done?,
        Err(_) => bail!("the thread panicked"),
    }
    tools::sleep_for_ever();
}

/// Never sleeps.
fn spins() -> Result<()> {
    on_one_cpu()?;
    prepare("spins")?;
    loop {
        std::hint::spin_loop();
    }
}

/// Once it gets SIGUSR1 its timer runs out again and again; at last it has no
/// handler for that any more.
fn alarmed() -> Result<()> {
    on_one_cpu()?;
    let mut bell = Bell::for_signals(&[Signal::SIGUSR1, Signal::SIGALRM])?;
    prepare("alarmed")?;
    bell.wait()?;
    sys::alarm(2_000, 2_000)?;
    for _ in 0..100 {
        bell.wait()?;
    }
    sys::alarm(0, 0)?;
    tools::say("ticked")?;
    sys::default_action(Signal::SIGALRM)?;
    sys::alarm(2_000, 0)?;
    tools::sleep_for_ever();
}

/// Blocks a signal that it handles until it gets SIGUSR2.
fn unblocks(signal: Signal) -> Result<()> {
    let blocked = set([signal]);
    blocked.thread_block()?;
    let mut bell = Bell::for_signals(&[signal, Signal::SIGUSR2])?;
    prepare("unblocks")?;
    loop {
        if bell.wait()? == Signal::SIGUSR2 as i32 {
            blocked.thread_unblock()?;
        } else {
            tools::say("rang")?;
        }
    }
}

/// Has a handler only once it is told to, and ends by that.
fn late(signal: Signal) -> Result<()> {
    prepare("late")?;
    tools::hear()?;
    let mut bell = Bell::for_signals(&[signal])?;
    tools::say("installed")?;
    bell.wait()?;
    process::exit(0);
}

/// Begins to act on a signal, lets go of the pipe, and never comes to an end.
pub(crate) fn slow(names: &[&str], holds: OwnedFd) -> Result<()> {
    let [name] = names else { bail!("slow SIGNAL") };
    let mut bell = Bell::for_signals(&[tools::signal(name)?])?;
    prepare("slow")?;
    bell.wait()?;
    drop(holds);
    tools::sleep_for_ever();
}

/// Its leader exits, another thread goes on.
fn leaderless(role: &str) -> Result<()> {
    tools::set_name(role.as_bytes())?;
    let role = role.to_owned();
    thread::spawn(move || {
        // Third field of the leader's stat, behind the name.
        let leader_is_gone = || {
            fs::read_to_string("/proc/self/stat").is_ok_and(|stat| {
                stat.rsplit(')')
                    .next()
                    .is_some_and(|rest| rest.starts_with(" Z"))
            })
        };
        while !leader_is_gone() {
            thread::sleep(Duration::from_millis(1));
        }
        if tools::introduce(&role).is_err() {
            process::exit(1);
        }
        tools::sleep_for_ever();
    });
    sys::end_this_thread();
}

/// A child of its own in a PID namespace inside, of which that is PID 1, and lives
/// as long as it.
fn nests() -> Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID).context("unshare")?;
    if let Side::Child = sys::fork()? {
        return asleep("nests");
    }
    nix::sys::wait::wait().context("wait")?;
    process::exit(0);
}

/// A thread that is not the leader starts another program.
fn execs() -> Result<()> {
    let program = env::current_exe().context("the name of this program")?;
    prepare("execs")?;
    let thread = thread::spawn(move || {
        Command::new(program)
            .args(["inside", "role", "execed"])
            .exec()
    });
    match thread.join() {
        Ok(error) => Err(error).context("exec by a thread"),
        Err(_) => bail!("the thread panicked"),
    }
}
