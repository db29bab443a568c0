//! What every program inside a namespace uses: its name, its voice, its ears.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};

use anyhow::{Context, Result};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd;

/// The namespace shall not outlive the play, however that ends.
pub(crate) fn die_with_parent() -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("prctl PR_SET_PDEATHSIG")
}

/// The name that the kernel shows (`comm`).
pub(crate) fn set_name(name: &[u8]) -> Result<()> {
    prctl::set_name(&CString::new(name)?).context("prctl PR_SET_NAME")
}

/// One line in one write, so that several programs can share the pipe.
pub(crate) fn say(line: &str) -> Result<()> {
    let mut out = io::stdout();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush().context("writing to the play")
}

/// Who this is: `ROLE HOSTPID PID`. /proc is the host's, so `/proc/self` names
/// this process as the host does.
pub(crate) fn introduce(role: &str) -> Result<()> {
    let own = fs::read_link("/proc/self").context("readlink /proc/self")?;
    say(&format!("{role} {} {}", own.display(), unistd::getpid()))
}

/// A line from the play; `None` once it is gone. Byte by byte, because nothing
/// may be read that a fork would then have in its buffer.
pub(crate) fn hear() -> Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        if io::stdin().lock().read(&mut byte)? == 0 {
            return Ok(None);
        }
        if byte[0] == b'\n' {
            return Ok(Some(String::from_utf8(line)?));
        }
        line.push(byte[0]);
    }
}

/// Only a signal ends this.
pub(crate) fn sleep_for_ever() -> ! {
    loop {
        unistd::pause();
    }
}

/// `TERM` → SIGTERM.
pub(crate) fn signal(name: &str) -> Result<Signal> {
    format!("SIG{name}")
        .parse()
        .with_context(|| format!("no signal {name}"))
}
