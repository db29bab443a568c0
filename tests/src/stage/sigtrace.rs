//! sigtrace as it is tested: started with flags, known to be attached, ended by
//! Ctrl-C or on its own, its output in lines.

use std::cell::RefCell;
use std::process::{Child, Command, Stdio};

use anyhow::{bail, Context, Result};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::engine::Engine;
use super::host::Host;
use super::lines::Lines;
use super::until;

/// A running sigtrace.
pub(crate) struct Sigtrace {
    child: RefCell<Child>,
    said: String,
    pub(crate) out: Lines,
    err: Lines,
}

/// What one run came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) lines: Vec<String>,
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) errors: String,
    /// Exit status; `None`: a signal ended it.
    pub(crate) status: Option<i32>,
}

impl Ended {
    /// What it said, for whoever has to find out why.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut lines = self.lines.clone();
        lines.push(format!("status {:?}, stderr:", self.status));
        lines.push(self.errors.clone());
        lines
    }

    /// It exited with 0 and did not panic.
    pub(crate) fn well(self) -> Result<Self> {
        if self.status != Some(0) {
            bail!(
                "sigtrace ended with status {:?}; stderr:\n{}",
                self.status,
                self.errors
            );
        }
        Ok(self)
    }
}

impl Sigtrace {
    /// Starts it with `--hooks` as the play was told.
    pub(crate) fn start(host: &Host, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(&host.sigtrace);
        command.args(["--hooks", &host.hooks]).args(flags);
        Self::spawn(&mut command)
    }

    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let said = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {said}"))?;
        let out = Lines::collect(child.stdout.take().context("its stdout")?, None);
        let err = Lines::collect(child.stderr.take().context("its stderr")?, None);
        Ok(Self {
            child: RefCell::new(child),
            said,
            out,
            err,
        })
    }

    /// Starts it and waits until every hook is attached.
    pub(crate) fn attached(host: &Host, flags: &[&str]) -> Result<Self> {
        let sigtrace = Self::start(host, flags)?;
        sigtrace.wait_attached()?;
        Ok(sigtrace)
    }

    /// Traces these containers until all have ended, in JSON; waits until every
    /// hook is attached.
    pub(crate) fn of_containers(
        host: &Host,
        engine: &Engine,
        names: &[&str],
        more: &[&str],
    ) -> Result<Self> {
        let mut command = Command::new(&host.sigtrace);
        engine.for_sigtrace(&mut command);
        command.args(["--hooks", &host.hooks, "--once", "-o", "json"]);
        command.args(more);
        for name in names {
            command.args(["--container", name]);
        }
        let sigtrace = Self::spawn(&mut command)?;
        sigtrace.wait_attached()?;
        Ok(sigtrace)
    }

    /// Waits for its first line.
    pub(crate) fn wait_attached(&self) -> Result<()> {
        let begins =
            |line: &str| line.starts_with("tracing") || line.contains(r#""event":"tracing""#);
        match self.out.wait("the line `tracing`", 0, begins) {
            Ok(_) => Ok(()),
            Err(error) => {
                // Its stderr says why, once it is all there.
                let _ = self.err.wait_for_end();
                bail!(
                    "{error:#}: {} said:\n{}",
                    self.said,
                    self.err.so_far().join("\n")
                )
            }
        }
    }

    /// Waits for a JSON line with all of these words.
    pub(crate) fn wait_for(&self, words: &[&str]) -> Result<()> {
        self.out
            .wait(&format!("a line with {words:?}"), 0, |line| {
                words.iter().all(|word| line.contains(word))
            })
            .map(drop)
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Ctrl-C, and what it had said.
    pub(crate) fn interrupt(self) -> Result<Ended> {
        self.end_by(Signal::SIGINT)
    }

    /// A signal, and what it had said.
    pub(crate) fn end_by(self, signal: Signal) -> Result<Ended> {
        let pid = Pid::from_raw(self.pid().try_into()?);
        signal::kill(pid, signal).with_context(|| format!("sending {signal} to sigtrace"))?;
        self.ended()
    }

    /// Waits until it ends on its own.
    pub(crate) fn ended(self) -> Result<Ended> {
        let status = until(&format!("the end of {}", self.said), || {
            Ok(self.child.borrow_mut().try_wait()?)
        })?;
        self.out.wait_for_end()?;
        self.err.wait_for_end()?;
        let errors = self.err.so_far().join("\n");
        if errors.contains("panicked at") {
            bail!("{} panicked:\n{errors}", self.said);
        }
        Ok(Ended {
            lines: self.out.so_far(),
            bytes: self.out.bytes(),
            errors,
            status: status.code(),
        })
    }
}

impl Drop for Sigtrace {
    fn drop(&mut self) {
        let mut child = self.child.borrow_mut();
        if let Ok(None) = child.try_wait() {
            // On the way out after an error; that error is the one to be told.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
