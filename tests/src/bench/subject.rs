//! Who is measured: nothing, a program that does nothing, sigtrace, and tools
//! that others use for the same. Each is started for one round, known to be
//! attached, and ended again.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use nix::mount::{self, MsFlags};
use nix::sched::{self, CloneFlags};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::load::Load;
use crate::inside::load::{stay_anywhere, stay_on};
use crate::stage::host::Host;
use crate::stage::sigtrace::Sigtrace;
use crate::stage::until;
use crate::sys;

/// Where everything runs but the load.
const TOOL_CPU: usize = 1;

/// What refused signals cost is measured by itself.
const NEVER: &str = "--refused=never";

/// A tool that takes no time for so long sleeps: a few of the kernel's ticks.
const STILL: Duration = Duration::from_millis(40);

/// One who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Nobody: the load alone.
    Bare,
    /// A raw tracepoint program that does nothing.
    Empty,
    /// sigtrace without refused signals, traces the load's namespace, another signal.
    Number,
    /// The same, traces another namespace.
    Elsewhere,
    /// And a container that is to come.
    Follows,
    /// That with refused signals, which is the default where functions can be hooked.
    Refused,
    /// sigtrace without refused signals, traces the load.
    Traced,
    /// A tool of others.
    Rival(Rival),
}

/// A tool of others, filtered on the load's pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    Sigsnoop,
    SigsnoopKill,
    Bpftrace,
    Strace,
}

impl Rival {
    pub(crate) const ALL: [Self; 4] = [
        Self::Sigsnoop,
        Self::SigsnoopKill,
        Self::Bpftrace,
        Self::Strace,
    ];

    /// Its program, and where Debian's package puts that.
    fn file(self) -> &'static str {
        match self {
            Self::Sigsnoop | Self::SigsnoopKill => "usr/sbin/sigsnoop",
            Self::Bpftrace => "usr/bin/bpftrace",
            Self::Strace => "usr/bin/strace",
        }
    }

    /// As one would type it, for the load's pid.
    pub(crate) fn arguments(self, pid: u32) -> Vec<String> {
        let pid = pid.to_string();
        let script = format!(
            "tracepoint:signal:signal_generate /pid == {pid}/ {{ printf(\"sent %d to %d\\n\", args->sig, args->pid); }}"
        );
        let words: &[&str] = match self {
            Self::Sigsnoop => &["-p", &pid],
            Self::SigsnoopKill => &["-k", "-p", &pid],
            Self::Bpftrace => &["-e", &script],
            Self::Strace => &["-e", "trace=kill", "-p", &pid],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// What stands in a line of it about the load.
    fn shows(self) -> &'static str {
        match self {
            Self::Sigsnoop | Self::SigsnoopKill => " load ",
            Self::Bpftrace => "sent ",
            Self::Strace => "kill(",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sigsnoop => "sigsnoop",
            Self::SigsnoopKill => "sigsnoop -k (killsnoop)",
            Self::Bpftrace => "bpftrace",
            Self::Strace => "strace",
        }
    }
}

/// What there is to measure with.
pub(crate) struct Bench<'a> {
    pub(crate) host: &'a Host,
    /// A folder of unpacked packages with the rivals.
    pub(crate) rivals: Option<&'a Path>,
    /// A namespace in which nothing happens.
    pub(crate) elsewhere: u32,
}

/// What could be hooked.
pub(crate) struct Level {
    pub(crate) generate: String,
    pub(crate) every_call: bool,
    /// The `pids` controller is in a hierarchy of cgroup v1, which is looked at, too.
    pub(crate) pids_on_v1: bool,
}

/// One that is attached.
pub(crate) struct Attached {
    _nothing: Option<OwnedFd>,
    tool: Option<Tool>,
}

impl Bench<'_> {
    /// Whether this rival is there.
    pub(crate) fn has(&self, rival: Rival) -> bool {
        self.file(rival).is_some()
    }

    fn file(&self, rival: Rival) -> Option<PathBuf> {
        let file = self.rivals?.join(rival.file());
        file.is_file().then_some(file)
    }

    /// Starts it and waits until it is attached.
    /// `buffer` is the size of the one of who traces the load, bytes.
    pub(crate) fn attach(&self, subject: Subject, load: &Load, buffer: &str) -> Result<Attached> {
        let mut attached = Attached {
            _nothing: None,
            tool: None,
        };
        let own = load.ns.ino.to_string();
        let elsewhere = self.elsewhere.to_string();
        match subject {
            Subject::Bare => {}
            Subject::Empty => attached._nothing = Some(sys::attach_nothing(c"signal_generate")?),
            Subject::Number => {
                attached.tool = Some(self.sigtrace(&[NEVER, "--signal", "KILL", "--pidns", &own])?);
            }
            Subject::Elsewhere => {
                attached.tool = Some(self.sigtrace(&[NEVER, "--pidns", &elsewhere])?);
            }
            Subject::Follows => {
                let flags = [
                    NEVER,
                    "--pidns",
                    &elsewhere,
                    "--container",
                    "nobody",
                    "--wait",
                ];
                attached.tool = Some(self.sigtrace(&flags)?);
            }
            Subject::Refused => {
                attached.tool = Some(self.sigtrace(&["--refused", "--pidns", &elsewhere])?);
            }
            Subject::Traced => {
                let flags = [NEVER, "--pidns", &own, "--buffer", buffer];
                attached.tool = Some(self.sigtrace(&flags)?);
            }
            Subject::Rival(rival) => attached.tool = Some(self.rival(rival, load)?),
        }
        Ok(attached)
    }

    /// How signal_generate is hooked here, as sigtrace says, and whether system calls
    /// themselves are for refused signals (`sys_exit`: where functions cannot be).
    pub(crate) fn level(&self) -> Result<Level> {
        let inode = self.elsewhere.to_string();
        let flags = ["-o", "json", "--refused", "--pidns", &inode];
        let sigtrace = Sigtrace::attached(self.host, &flags)?;
        let said = sigtrace.interrupt()?.well()?.lines;
        let first = said.first().context("it said nothing")?;
        let line: serde_json::Value = serde_json::from_str(first).context("its first line")?;
        let hooks = line["hooks"].as_array().context("no hooks")?;
        let level = |name: &str| {
            let hook = hooks.iter().find(|hook| hook["hook"] == name)?;
            hook["level"].as_str()
        };
        Ok(Level {
            generate: level("signal_generate").unwrap_or("not hooked").to_owned(),
            every_call: level("sys_exit").is_some(),
            pids_on_v1: fs::read_to_string("/proc/self/cgroup")
                .context("/proc/self/cgroup")?
                .lines()
                .filter_map(|line| line.split(':').nth(1))
                .any(|all| all.split(',').any(|one| one == "pids")),
        })
    }

    fn sigtrace(&self, flags: &[&str]) -> Result<Tool> {
        let mut command = Command::new(&self.host.sigtrace);
        command
            .args(["--hooks", &self.host.hooks, "-o", "json"])
            .args(flags);
        let tool = Tool::start(&mut command, r#""event":"tracing""#)?;
        until("sigtrace to be attached", || tool.has_shown())?;
        Ok(tool)
    }

    /// Most tools do not say when they are attached: it is seen from what they
    /// show of the load.
    fn rival(&self, rival: Rival, load: &Load) -> Result<Tool> {
        let file = self.file(rival).context("no such rival here")?;
        let libraries = self
            .rivals
            .unwrap_or(Path::new("/"))
            .join("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(file);
        command
            .env("LD_LIBRARY_PATH", libraries)
            .args(rival.arguments(load.program.pid));
        let mut tool = Tool::start(&mut command, rival.shows())?;
        tool.may_hang = true;
        until("the rival to show the load", || {
            load.round(Duration::from_millis(1))?;
            tool.has_shown()
        })
        .with_context(|| format!("{}: {}", rival.name(), tool.said()))?;
        Ok(tool)
    }
}

impl Attached {
    /// Memory that it holds at most up to now, kB (VmHWM), for the tools.
    pub(crate) fn peak_kb(&self) -> Option<u64> {
        let pid = self.tool.as_ref()?.child.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Waits until it sleeps: what it has left to do after its start would slow down a load
    /// whose CPU shares a core with its own.
    pub(crate) fn settle(&self) -> Result<()> {
        let Some(tool) = &self.tool else {
            return Ok(());
        };
        let file = format!("/proc/{}/stat", tool.child.id());
        let mut before = String::new();
        until("it to sleep", || {
            thread::sleep(STILL);
            let stat = fs::read_to_string(&file)?;
            // utime and stime, in ticks (proc_pid_stat(5)).
            let times = stat.split(' ').skip(13).take(2).collect();
            let now = std::mem::replace(&mut before, times);
            Ok((now == before).then_some(()))
        })
    }

    /// Ends it, and waits for that.
    pub(crate) fn end(mut self) -> Result<()> {
        match self.tool.take() {
            Some(tool) => tool.end(),
            None => Ok(()),
        }
    }
}

/// A program whose output is taken and forgotten.
struct Tool {
    name: String,
    /// One of others, which we cannot mend.
    may_hang: bool,
    child: Child,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    first: Vec<u8>,
    shown: bool,
}

/// How long a tool of others may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// So much of the output is kept, to look at and for error messages.
const KEPT: usize = 1 << 16;

impl Tool {
    fn start(command: &mut Command, shows: &'static str) -> Result<Self> {
        let (mut read, write) = io::pipe().context("a pipe")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(write.try_clone()?)
            .stderr(write)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        // The command holds the pipe's other end open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listener = heard.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n @ 1..) = read.read(&mut buffer) {
                let mut heard = listener.lock().unwrap_or_else(PoisonError::into_inner);
                if heard.shown || heard.first.len() >= KEPT {
                    continue;
                }
                heard.first.extend(&buffer[..n]);
                heard.shown = String::from_utf8_lossy(&heard.first).contains(shows);
            }
        });
        let name = command.get_program().display().to_string();
        Ok(Self {
            name,
            may_hang: false,
            child,
            heard,
        })
    }

    fn has_shown(&self) -> Result<Option<()>> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(heard.shown.then_some(()))
    }

    fn said(&self) -> String {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&heard.first).into_owned();
        said.chars().take(500).collect()
    }

    fn end(mut self) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?);
        signal::kill(pid, Signal::SIGINT).context("ending it")?;
        let begin = Instant::now();
        let what = format!("the end of {}", self.name);
        until(&what, || {
            // bpftrace does not always hear it; what it cost has been measured by then.
            if self.may_hang && begin.elapsed() > PATIENCE {
                eprintln!("{} did not end on SIGINT and is killed", self.name);
                self.child.kill()?;
            }
            Ok(self.child.try_wait()?)
        })
        .map(drop)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // On the way out after an error; that error is the one to be told.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

/// What rivals read of the tracing file system, where nobody has mounted it: in
/// a mount namespace of our own, so that nobody else sees it.
pub(crate) fn with_tracefs() -> Result<()> {
    let folder = "/sys/kernel/tracing";
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    let none = None::<&str>;
    sched::unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace of our own")?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount::mount(none, "/", none, private, none).context("keeping mounts to ourselves")?;
    mount::mount(none, folder, Some("tracefs"), MsFlags::empty(), none)
        .with_context(|| format!("mounting tracefs on {folder}"))
}

/// Two CPUs at least, and this process with all tools away from the load.
pub(crate) fn keep_apart() -> Result<()> {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        bail!("measuring needs two CPUs: one for the load and one for the tools");
    }
    stay_on(TOOL_CPU)
}

/// What is done meanwhile, and who is started by it, runs on any CPU.
pub(crate) fn anywhere<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    stay_anywhere()?;
    let done = act();
    keep_apart()?;
    done
}
