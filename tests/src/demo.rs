//! The demo: a namespace of its own whose PID 1 exits at SIGTERM, and sigtrace
//! beside it that says why the child was killed.
//!
//! sigtrace writes to a terminal of ours (a pty), so that people get the picture
//! and not the form for pipes, and we see when it is attached.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};
use nix::pty::{self, Winsize};
use nix::sys::termios::{self, OutputFlags, SetArg};

use crate::stage::host;
use crate::stage::lines::Lines;
use crate::stage::ns::Ns;
use crate::stage::until;
use crate::sys;

/// Columns of the picture where nobody says how many there are.
const WIDTH: u16 = 110;

/// Plays it; sigtrace's exit status and what it wrote.
pub(crate) fn play(
    sigtrace: &Path,
    more: &[&str],
    copy: Option<Box<dyn Write + Send>>,
) -> Result<(i32, Vec<String>)> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let terminal = pty::openpty(&window(), None).context("a terminal for sigtrace")?;
    let mut settings = termios::tcgetattr(&terminal.slave)?;
    // Line ends as they are written.
    settings.output_flags.remove(OutputFlags::OPOST);
    termios::tcsetattr(&terminal.slave, SetArg::TCSANOW, &settings)?;
    let mut command = Command::new(sigtrace);
    command
        .args(["--pidns", &ns.ino.to_string(), "--once"])
        .args(["--label", "fwd_sig=made by the demo"])
        .args(more)
        .stdin(Stdio::null())
        .stdout(terminal.slave);
    let mut running = command
        .spawn()
        .with_context(|| format!("cannot start {}", sigtrace.display()))?;
    // The command holds the terminal's other end open until it is dropped.
    drop(command);
    let out = Lines::collect(File::from(terminal.master), copy);
    let attached =
        |line: &str| line.starts_with("tracing") || line.contains(r#""event":"tracing""#);
    let done = out
        .wait("the line `tracing`", 0, attached)
        .and_then(|_| send_sigterm(&ns))
        .and_then(|()| until("the end of sigtrace", || Ok(running.try_wait()?)));
    let status = match done {
        Ok(status) => status,
        Err(error) => {
            // One that has said on stderr why it cannot trace has ended by itself.
            if let Ok(Some(status)) = running.try_wait() {
                out.wait_for_end()?;
                return Ok((status.code().unwrap_or(1), out.so_far()));
            }
            running.kill().and_then(|()| running.wait())?;
            bail!("{error:#}");
        }
    };
    out.wait_for_end()?;
    Ok((status.code().unwrap_or(1), out.so_far()))
}

/// The subcommand.
pub(crate) fn command(sigtrace: &Path, json: bool) -> Result<i32> {
    let color = if io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none() {
        "always"
    } else {
        "never"
    };
    let more = if json {
        vec!["-o", "json"]
    } else {
        vec!["--color", color]
    };
    play(sigtrace, &more, Some(Box::new(io::stdout()))).map(|(status, _)| status)
}

/// SIGTERM from a shell, as people send it.
fn send_sigterm(ns: &Ns) -> Result<()> {
    let pid = ns.pid1.pid.to_string();
    let shell = host::program("sh").context("no sh on the PATH")?;
    let status = Command::new(shell)
        .args(["-c", &format!("kill -TERM {pid}")])
        .stdin(Stdio::null())
        .status()
        .context("cannot start sh")?;
    if !status.success() {
        bail!("sh could not send SIGTERM to {pid}");
    }
    ns.pid1.wait().map(drop)
}

/// As wide as our own terminal, if we have one.
fn window() -> Winsize {
    Winsize {
        ws_row: 24,
        ws_col: sys::columns(&io::stdout()).unwrap_or(WIDTH),
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
