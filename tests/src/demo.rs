//! The demo: a namespace of its own, or a container of Docker, whose PID 1 exits
//! at SIGTERM, and sigtrace beside it that says why the child was killed.
//!
//! sigtrace writes to a terminal of ours (a pty), so that people get the picture
//! and not the form for pipes, and we see when it is attached.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{bail, Context, Result};
use nix::pty::{self, Winsize};
use nix::sys::signal::{self, Signal};
use nix::sys::termios::{self, OutputFlags, SetArg};
use nix::unistd::Pid;

use crate::stage::engine::{Container, DOCKER};
use crate::stage::host;
use crate::stage::lines::Lines;
use crate::stage::ns::Ns;
use crate::stage::until;
use crate::sys;

/// Columns of the picture where nobody says how many there are.
const WIDTH: u16 = 110;

/// A sigtrace that writes to a terminal of ours.
struct Watched {
    running: Child,
    out: Lines,
}

impl Watched {
    fn start(command: &mut Command, copy: Option<Box<dyn Write + Send>>) -> Result<Self> {
        let terminal = pty::openpty(&window(), None).context("a terminal for sigtrace")?;
        let mut settings = termios::tcgetattr(&terminal.slave)?;
        // Line ends as they are written.
        settings.output_flags.remove(OutputFlags::OPOST);
        termios::tcsetattr(&terminal.slave, SetArg::TCSANOW, &settings)?;
        let running = command
            .stdin(Stdio::null())
            .stdout(terminal.slave)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        // The command holds the terminal's other end open.
        command.stdout(Stdio::null());
        Ok(Self {
            running,
            out: Lines::collect(File::from(terminal.master), copy),
        })
    }

    /// Acts once it is attached, and waits for its end; its exit status and
    /// what it wrote.
    fn play(mut self, act: impl FnOnce(&Self) -> Result<()>) -> Result<(i32, Vec<String>)> {
        let attached =
            |line: &str| line.starts_with("tracing") || line.contains(r#""event":"tracing""#);
        let done = self
            .out
            .wait("the line `tracing`", 0, attached)
            .and_then(|_| act(&self))
            .and_then(|()| until("the end of sigtrace", || Ok(self.running.try_wait()?)));
        let status = match done {
            Ok(status) => status,
            Err(error) => {
                // One that has said on stderr why it cannot trace has ended by itself.
                if let Ok(Some(status)) = self.running.try_wait() {
                    self.out.wait_for_end()?;
                    return Ok((status.code().unwrap_or(1), self.out.so_far()));
                }
                self.running.kill().and_then(|()| self.running.wait())?;
                bail!("{error:#}");
            }
        };
        self.out.wait_for_end()?;
        Ok((status.code().unwrap_or(1), self.out.so_far()))
    }

    /// Ctrl-C.
    fn interrupt(&self) -> Result<()> {
        let pid = Pid::from_raw(self.running.id().try_into()?);
        signal::kill(pid, Signal::SIGINT).context("interrupting sigtrace")
    }
}

/// Plays it; sigtrace's exit status and what it wrote.
pub(crate) fn play(
    sigtrace: &Path,
    more: &[&str],
    copy: Option<Box<dyn Write + Send>>,
) -> Result<(i32, Vec<String>)> {
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let mut command = Command::new(sigtrace);
    command
        .args(["--pidns", &ns.ino.to_string(), "--once"])
        .args(["--label", "fwd_sig=made by the demo"])
        .args(more);
    Watched::start(&mut command, copy)?.play(|_| send_sigterm(&ns))
}

/// The same in a real container, typed as a person would: the lines that are
/// typed stand before what they say.
fn with_docker(sigtrace: &Path, more: &[&str], copy: Box<dyn Write + Send>) -> Result<i32> {
    let typed = |line: &str| {
        let mut out = io::stdout();
        writeln!(out, "$ {line}").and_then(|()| out.flush())
    };
    typed("docker run -d --name fwd_sig registry/fwd_sig:v1 /c-init-sig")?;
    let image = ["registry/fwd_sig:v1", "/c-init-sig"];
    let run = [&["run", "-d", "--name", "fwd_sig"], &image[..]].concat();
    writeln!(io::stdout(), "{}", DOCKER.say(&run)?)?;
    let container = DOCKER.find("fwd_sig")?;
    Container::wait_children(container.pid1, 1)?;
    Container::wait_handler(container.pid1, Signal::SIGTERM)?;
    typed("sigtrace --container fwd_sig &")?;
    let mut command = Command::new(sigtrace);
    command.args(["--container", "fwd_sig"]).args(more);
    let (status, _) = Watched::start(&mut command, Some(copy))?.play(|watched| {
        typed("docker stop fwd_sig")?;
        DOCKER.say(&["stop", "fwd_sig"])?;
        let ended = |line: &str| line.contains("fwd_sig ended") || line.contains("more:");
        watched.out.wait("the verdict", 0, ended)?;
        watched.interrupt()
    })?;
    DOCKER.say(&["rm", "fwd_sig"])?;
    Ok(status)
}

/// The subcommand.
pub(crate) fn command(sigtrace: &Path, json: bool, docker: bool) -> Result<i32> {
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
    let copy = Box::new(io::stdout());
    if docker {
        return with_docker(sigtrace, &more, copy);
    }
    play(sigtrace, &more, Some(copy)).map(|(status, _)| status)
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
