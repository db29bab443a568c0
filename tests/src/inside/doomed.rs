//! Roles that the kernel itself ends, each by another way. They introduce
//! themselves first, so that the play knows who dies.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::{env, fs, process};

use anyhow::{bail, Context, Result};
use nix::sys::resource::{self, Resource};
use nix::sys::signal::{self, Signal};
use nix::sys::{prctl, sendfile};
use nix::unistd;

use super::tools;
use crate::sys::{self, Bell, Side};

/// What is asked of memory where less is allowed.
const MUCH: usize = 64 << 20;

/// Plays one; false: there is no such role here.
pub(super) fn play(role: &str) -> Result<bool> {
    match role {
        "faults" => {
            // Rust's own handler reports overflows of the stack.
            sys::default_action(Signal::SIGSEGV)?;
            prepare(role)?;
            sys::read_near_zero();
        }
        "forbidden" => {
            prepare(role)?;
            sys::forbid_getppid()?;
            unistd::getppid();
        }
        "strict" => {
            prepare(role)?;
            sys::be_strict()?;
            unistd::getppid();
        }
        "no-reader" => {
            sys::default_action(Signal::SIGPIPE)?;
            let (read, write) = unistd::pipe()?;
            drop(read);
            prepare(role)?;
            File::from(write).write_all(b"?")?;
        }
        "sends-file" => {
            sys::default_action(Signal::SIGPIPE)?;
            let (read, write) = unistd::pipe()?;
            drop(read);
            let own = File::open(env::current_exe()?)?;
            prepare(role)?;
            sendfile::sendfile(write, own, None, 1).context("sendfile")?;
        }
        "too-large" => {
            let path = env::temp_dir().join(format!("too-large-{}", process::id()));
            let file = File::create(&path)?;
            fs::remove_file(&path)?;
            prepare(role)?;
            resource::setrlimit(Resource::RLIMIT_FSIZE, 4096, 4096)?;
            file.write_at(b"?", 8192)?;
        }
        "rings" => {
            prepare(role)?;
            sys::alarm(1_000, 0)?;
            tools::sleep_for_ever();
        }
        "spends" => {
            prepare(role)?;
            resource::setrlimit(Resource::RLIMIT_CPU, 1, 5)?;
            loop {
                std::hint::spin_loop();
            }
        }
        "cleans-up" => {
            let mut bell = Bell::for_signals(&[Signal::SIGTERM])?;
            prepare(role)?;
            bell.wait()?;
            sys::default_action(Signal::SIGTERM)?;
            signal::raise(Signal::SIGTERM)?;
        }
        "bereaves" => bereaves()?,
        "dumps-shared" => {
            sys::default_action(Signal::SIGSEGV)?;
            prepare(role)?;
            let inside = sys::clone_with_memory(false)?;
            let children = fs::read_to_string("/proc/thread-self/children")?;
            tools::say(&format!("shares {} {inside}", children.trim()))?;
            sys::read_near_zero();
        }
        "eats" | "eats-shared" => {
            let mut bell = Bell::for_signals(&[Signal::SIGUSR1])?;
            prepare(role)?;
            if role == "eats-shared" {
                let inside = sys::clone_with_memory(false)?;
                let children = fs::read_to_string("/proc/thread-self/children")?;
                tools::say(&format!("shares {} {inside}", children.trim()))?;
            }
            bell.wait()?;
            let eaten = vec![1_u8; MUCH];
            bail!("{} bytes were there", std::hint::black_box(eaten).len());
        }
        _ => return Ok(false),
    }
    bail!("{role} was to be killed")
}

pub(super) fn prepare(role: &str) -> Result<()> {
    resource::setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    tools::set_name(role.as_bytes())?;
    tools::introduce(role)
}

/// Its child asks for SIGTERM at its parent's death, which comes then.
fn bereaves() -> Result<()> {
    prepare("bereaves")?;
    let (mut read, write) = pipe()?;
    if let Side::Child = sys::fork()? {
        drop(read);
        prctl::set_pdeathsig(Signal::SIGTERM).context("prctl PR_SET_PDEATHSIG")?;
        prepare("bereaved")?;
        drop(write);
        tools::sleep_for_ever();
    }
    drop(write);
    read.read_to_end(&mut Vec::new())?;
    process::exit(0);
}

pub(super) fn pipe() -> Result<(File, File)> {
    let (read, write) = unistd::pipe().context("pipe")?;
    Ok((File::from(read), File::from(write)))
}
