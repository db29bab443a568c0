//! A PID namespace of our own with a program as its PID 1, and who is in it.
//! Only what was started here is ever signalled; the end of the play is the end
//! of every namespace (`inside` asks for that).

use std::cell::{Cell, RefCell};
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use nix::sched::{self, CloneFlags};

use super::lines::Lines;
use super::until;
use crate::sys;

/// A process inside: its pid on the host and in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) host: u32,
    pub(crate) inside: u32,
}

/// A program of ours with pipes to it.
pub(crate) struct Program {
    child: RefCell<Child>,
    stdin: RefCell<Option<ChildStdin>>,
    lines: Lines,
    heard: Cell<usize>,
    ended: Cell<Option<ExitStatus>>,
    /// Its pid on the host.
    pub(crate) pid: u32,
}

impl Program {
    fn new(mut child: Child) -> Result<Self> {
        let stdin = RefCell::new(child.stdin.take());
        let stdout = child.stdout.take().context("its stdout")?;
        Ok(Self {
            pid: child.id(),
            child: RefCell::new(child),
            stdin,
            lines: Lines::collect(stdout, None),
            heard: Cell::new(0),
            ended: Cell::new(None),
        })
    }

    /// `sigtrace-play inside WORDS` in the namespaces we are in ourselves.
    pub(crate) fn outside(words: &[&str]) -> Result<Self> {
        Self::new(start(words)?)
    }

    /// Tells it a line.
    pub(crate) fn tell(&self, line: &str) -> Result<()> {
        let mut stdin = self.stdin.borrow_mut();
        let stdin = stdin.as_mut().context("its stdin is closed")?;
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .with_context(|| format!("telling {} to {line}", self.pid))
    }

    /// Waits for a line that begins with this word.
    pub(crate) fn hear(&self, word: &str) -> Result<String> {
        let begins = |line: &str| line.split(' ').next() == Some(word);
        let (number, line) = self.lines.wait(
            &format!("`{word}` from {}", self.pid),
            self.heard.get(),
            begins,
        )?;
        self.heard.set(number + 1);
        Ok(line)
    }

    /// Whether it has said a line that begins with this word.
    pub(crate) fn has_said(&self, word: &str) -> bool {
        let lines = self.lines.so_far();
        lines
            .iter()
            .any(|line| line.split(' ').next() == Some(word))
    }

    /// Waits until a process of this role has said who it is.
    pub(crate) fn meet(&self, role: &str) -> Result<Person> {
        person(&self.hear(role)?)
    }

    /// Waits until so many processes of this role have said who they are.
    pub(crate) fn everybody(&self, role: &str, count: usize) -> Result<Vec<Person>> {
        until(&format!("{count} of role {role}"), || {
            let lines = self.lines.so_far();
            let of_role = |line: &&String| line.split(' ').next() == Some(role);
            let people: Vec<_> = lines
                .iter()
                .filter(of_role)
                .map(|line| person(line))
                .collect::<Result<_>>()?;
            Ok((people.len() >= count).then_some(people))
        })
    }

    /// All that it wrote, once it has ended.
    pub(crate) fn all_said(&self) -> Result<Vec<String>> {
        self.lines.wait_for_end()?;
        Ok(self.lines.so_far())
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> Result<ExitStatus> {
        if let Some(status) = self.ended.get() {
            return Ok(status);
        }
        let status = until(&format!("the end of {}", self.pid), || {
            Ok(self.child.borrow_mut().try_wait()?)
        })?;
        self.ended.set(Some(status));
        Ok(status)
    }

    /// Ends it by SIGKILL if it still lives.
    pub(crate) fn end(&self) -> Result<()> {
        if self.ended.get().is_none() {
            self.child.borrow_mut().kill().context("killing it")?;
            self.wait()?;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // On the way out after an error; that error is the one to be told.
        let _ = self.end();
    }
}

/// A PID namespace and its PID 1.
pub(crate) struct Ns {
    pub(crate) pid1: Program,
    /// Its inode.
    pub(crate) ino: u32,
}

impl Ns {
    /// A new namespace with one of our programs, which has said `ready`.
    pub(crate) fn new(words: &[&str]) -> Result<Self> {
        let ns = Self::with(words)?;
        ns.pid1.hear("ready")?;
        Ok(ns)
    }

    /// A new namespace with one of our programs, as soon as it runs.
    pub(crate) fn with(words: &[&str]) -> Result<Self> {
        let pid1 = elsewhere(words, || {
            sched::unshare(CloneFlags::CLONE_NEWPID).context("a PID namespace of our own")
        })?;
        let ino = inode(pid1.pid)?;
        Ok(Self { pid1, ino })
    }

    /// Another of our programs inside, as by `docker exec`.
    pub(crate) fn enter(&self, words: &[&str]) -> Result<Program> {
        elsewhere(words, || {
            let inner = File::open(format!("/proc/{}/ns/pid", self.pid1.pid))?;
            sched::setns(inner, CloneFlags::CLONE_NEWPID).context("entering a PID namespace")
        })
    }

    /// Has the keeper start a role, and waits until it is set up.
    pub(crate) fn spawn(&self, role: &str, words: &str) -> Result<Person> {
        self.pid1.tell(format!("spawn {role} {words}").trim_end())?;
        self.pid1.meet(role)
    }
}

/// A signal from outside, by the play itself.
pub(crate) fn kill(pid: u32, signal: nix::sys::signal::Signal) -> Result<()> {
    sys::kill_number(pid.try_into()?, signal as i32).map(drop)
}

/// The inode of a process's PID namespace.
pub(crate) fn inode(pid: u32) -> Result<u32> {
    let path = format!("/proc/{pid}/ns/pid");
    let ino = fs::metadata(&path).with_context(|| path.clone())?.ino();
    Ok(ino.try_into()?)
}

/// The state letter of a process.
pub(crate) fn state(pid: u32) -> Result<Option<char>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).context("its state")?;
    // Behind the last parenthesis, because the name may hold any.
    let behind = stat.rsplit(|&b| b == b')').next().unwrap_or_default();
    Ok(behind.get(1).map(|&b| char::from(b)))
}

/// Starts a program in the namespace that `go` chooses for our children, and
/// comes back before anything else: threads, as `Program` needs one, cannot be
/// started in between (kernel/fork.c, CLONE_THREAD).
fn elsewhere(words: &[&str], go: impl FnOnce() -> Result<()>) -> Result<Program> {
    let own = File::open("/proc/self/ns/pid").context("opening our PID namespace")?;
    go()?;
    let child = start(words);
    sched::setns(own, CloneFlags::CLONE_NEWPID).context("back to our PID namespace")?;
    Program::new(child?)
}

fn start(words: &[&str]) -> Result<Child> {
    Command::new(env::current_exe().context("the name of this program")?)
        .arg("inside")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {words:?}"))
}

fn person(line: &str) -> Result<Person> {
    let mut numbers = line.split(' ').skip(1);
    let mut next = || {
        let number = numbers.next().context("too short")?;
        number.parse().context("no pid")
    };
    let read = || -> Result<Person> {
        Ok(Person {
            host: next()?,
            inside: next()?,
        })
    };
    let mut read = read;
    read().with_context(|| format!("who is {line:?}?"))
}
