//! A real container engine, by its command line, and the containers that it
//! runs for us. Everything is waited for, nothing longer than [`PATIENCE`] for each few
//! containers.

use std::fs;
use std::process::{Command, Output, Stdio};

use anyhow::{bail, Context, Result};
use nix::sys::signal::Signal;

use super::lines::Lines;
use super::{ns, until, until_within, PATIENCE};

/// An engine and how it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Engine {
    /// What it is called here.
    pub(crate) name: &'static str,
    /// What sigtrace calls it.
    pub(crate) kind: &'static str,
    /// What to type before its own words.
    prefix: &'static [&'static str],
    /// Who sends its signals.
    pub(crate) runtime: &'static str,
    /// Who is behind that.
    pub(crate) asks: &'static str,
    /// How the end of a chain says that it was asked for a stop. Podman says it when
    /// all is over, which may be too late, and stands in the lineage anyway.
    pub(crate) stop: Option<&'static str>,
    /// And for a restart.
    pub(crate) restart: &'static str,
    /// Removes a running container by SIGKILL and nothing else.
    pub(crate) rm: &'static [&'static str],
    /// Whose it is, if not root's.
    pub(crate) user: Option<u32>,
    /// It differs from another one only in part, and plays only that.
    pub(crate) in_part: bool,
}

/// Docker, with runc behind containerd's shim.
pub(crate) const DOCKER: Engine = Engine {
    name: "docker",
    kind: "docker",
    prefix: &["docker"],
    runtime: "runc",
    asks: "containerd-shim",
    stop: Some("docker stop (API)"),
    restart: "docker restart (API)",
    rm: &["rm", "-f"],
    user: None,
    in_part: false,
};

/// Podman with crun, which it takes if nobody says otherwise.
pub(crate) const PODMAN: Engine = Engine {
    name: "podman",
    kind: "podman",
    prefix: &["podman"],
    runtime: "crun",
    asks: "podman",
    stop: None,
    restart: "podman restart (event)",
    // Its `rm -f` alone is a stop with the usual grace period.
    rm: &["rm", "-f", "-t", "0"],
    user: None,
    in_part: false,
};

/// The ones that a machine may have.
pub(crate) const ALL: [Engine; 4] = [
    DOCKER,
    PODMAN,
    Engine {
        name: "podman-runc",
        prefix: &["podman", "--runtime", "runc"],
        runtime: "runc",
        in_part: true,
        ..PODMAN
    },
    Engine {
        name: "podman-user",
        prefix: &["guest-engines", "as-user", "podman"],
        user: Some(1000),
        in_part: true,
        ..PODMAN
    },
];

/// A running container.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) id: String,
    /// The pid of its PID 1 on the host.
    pub(crate) pid1: u32,
    /// Its PID namespace.
    pub(crate) ino: u32,
}

impl Engine {
    /// Its command line with these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.prefix[0]);
        command.args(&self.prefix[1..]).args(words);
        command
    }

    /// As if its user had started sigtrace, through sudo.
    pub(crate) fn for_sigtrace(&self, command: &mut Command) {
        if let Some(user) = self.user {
            command.env("SUDO_UID", user.to_string());
        }
    }

    /// Runs it; what it said on stdout.
    pub(crate) fn say(&self, words: &[&str]) -> Result<String> {
        let output = self.try_say(words)?;
        if !output.status.success() {
            bail!(
                "{} {}: {}: {}",
                self.prefix.join(" "),
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The same where its status matters.
    pub(crate) fn try_say(&self, words: &[&str]) -> Result<Output> {
        let said = || format!("{} {}", self.prefix.join(" "), words.join(" "));
        let mut child = self
            .command(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", said()))?;
        let out = Lines::collect(child.stdout.take().context("its stdout")?, None);
        let err = Lines::collect(child.stderr.take().context("its stderr")?, None);
        // Each word may name a container.
        let patience = PATIENCE * (1 + words.len() as u32 / 8);
        let ended = until_within(patience, &format!("the end of {}", said()), || {
            Ok(child.try_wait()?)
        });
        if ended.is_err() {
            child.kill().and_then(|()| child.wait())?;
        }
        let status = ended?;
        // What it leaves behind (a monitor) may hold the pipes.
        out.wait_for_end()?;
        err.wait_for_end()?;
        let joined = |lines: &Lines| lines.so_far().join("\n").into_bytes();
        Ok(Output {
            status,
            stdout: joined(&out),
            stderr: joined(&err),
        })
    }

    /// `run -d --name NAME OPTIONS IMAGE WORDS`, and who it is then. Without a
    /// network namespace of its own, because older Dockers start themselves anew
    /// to set one up, which takes an emulated machine longer than all the rest.
    pub(crate) fn start(&self, name: &str, options: &[&str], words: &[&str]) -> Result<Container> {
        let head = ["run", "-d", "--name", name, "--network", "host"];
        self.say(&[&head, options, words].concat())?;
        self.find(name)
    }

    /// Removes all containers whose names begin so.
    pub(crate) fn clear(&self, name: &str) -> Result<()> {
        let filter = format!("name=^{name}");
        let ids = self.say(&["ps", "-a", "-q", "--filter", &filter])?;
        let ids: Vec<&str> = ids.lines().collect();
        if !ids.is_empty() {
            self.say(&[self.rm, &ids].concat())?;
        }
        Ok(())
    }

    /// A container of ours that runs.
    pub(crate) fn find(&self, name: &str) -> Result<Container> {
        let said = self.say(&["inspect", "-f", "{{.Id}} {{.State.Pid}}", name])?;
        let (id, pid) = said.split_once(' ').context("no id and pid")?;
        let pid1 = pid.parse().with_context(|| format!("no pid: {said}"))?;
        Ok(Container {
            name: name.to_owned(),
            id: id.to_owned(),
            pid1,
            ino: ns::inode(pid1)?,
        })
    }
}

impl Container {
    /// Waits until a process has a handler for this signal.
    pub(crate) fn wait_handler(pid: u32, signal: Signal) -> Result<()> {
        until(&format!("a handler of {signal} in {pid}"), || {
            let caught = status_field(pid, "SigCgt:")?;
            let mask = u64::from_str_radix(&caught, 16).context("SigCgt")?;
            Ok((mask & (1 << (signal as i32 - 1)) != 0).then_some(()))
        })
    }

    /// Waits until a process has so many children; their pids on the host.
    pub(crate) fn wait_children(parent: u32, count: usize) -> Result<Vec<u32>> {
        until(&format!("{count} children of {parent}"), || {
            let children = children(parent)?;
            Ok((children.len() >= count).then_some(children))
        })
    }
}

/// A line of `/proc/PID/status`.
fn status_field(pid: u32, field: &str) -> Result<String> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    Ok(line
        .with_context(|| format!("no {field}"))?
        .trim()
        .to_owned())
}

/// Who has this parent, by pid.
fn children(parent: u32) -> Result<Vec<u32>> {
    let wanted = parent.to_string();
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        // It may be gone by now.
        if status_field(pid, "PPid:").is_ok_and(|ppid| ppid == wanted) {
            children.push(pid);
        }
    }
    children.sort_unstable();
    Ok(children)
}
