//! Whether an engine takes requests at its socket, told without a connection to
//! it. systemd holds the sockets of engines too and starts the engine for whoever
//! connects: a trace must not bring back an engine that was stopped. So it is
//! looked up who holds the listening end.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Of sockets in `/proc/net/unix`: somebody listens (`__SO_ACCEPTCON`).
const LISTENS: u32 = 0x10000;
/// Holds sockets for others.
const ACTIVATES: &str = "systemd";

/// What is known of a socket's listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// An engine takes requests.
    Engine,
    /// Nobody does; at most it would be started.
    Nobody,
    /// Not to be seen from here.
    Unknown,
}

/// Finds out who listens at one socket, again and again.
#[derive(Debug)]
pub struct Listeners {
    proc: PathBuf,
    socket: PathBuf,
    /// The process that was found last, with what it held.
    last: Option<(u32, String)>,
}

impl Listeners {
    /// At this socket.
    pub fn of(proc: &Path, socket: &Path) -> Self {
        Self {
            proc: proc.into(),
            socket: socket.into(),
            last: None,
        }
    }

    /// Who listens now. It looks at the open files of every process, but for the
    /// one that was found before.
    pub fn now(&mut self) -> Listener {
        let Ok(wanted) = fs::metadata(&self.socket) else {
            return Listener::Nobody;
        };
        let table = fs::read_to_string(self.proc.join("net/unix")).unwrap_or_default();
        let is_wanted = |path: &Path| {
            fs::metadata(path).is_ok_and(|it| (it.dev(), it.ino()) == (wanted.dev(), wanted.ino()))
        };
        let links: Vec<String> = listening(&table)
            .filter(|(_, path)| is_wanted(Path::new(path)))
            .map(|(inode, _)| format!("socket:[{inode}]"))
            .collect();
        if links.is_empty() {
            // It listens in another network namespace, or in another's mounts.
            return Listener::Unknown;
        }
        if let Some((pid, link)) = &self.last {
            if links.contains(link) && self.holds(*pid, std::slice::from_ref(link)).is_some() {
                return Listener::Engine;
            }
        }
        self.last = None;
        self.search(&links)
    }

    fn search(&mut self, links: &[String]) -> Listener {
        let mut found = Listener::Unknown;
        let entries = fs::read_dir(&self.proc).into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            let Some(link) = self.holds(pid, links) else {
                continue;
            };
            let comm = fs::read_to_string(self.proc.join(format!("{pid}/comm")));
            if comm.is_ok_and(|comm| comm.trim_end() == ACTIVATES) {
                found = Listener::Nobody;
                continue;
            }
            self.last = Some((pid, link));
            return Listener::Engine;
        }
        found
    }

    /// Which of these a process has open.
    fn holds(&self, pid: u32, links: &[String]) -> Option<String> {
        let open = fs::read_dir(self.proc.join(format!("{pid}/fd"))).ok()?;
        open.flatten().find_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            links
                .iter()
                .find(|wanted| link.as_os_str() == wanted.as_str())
                .cloned()
        })
    }
}

/// Inode and path of each listening socket with a path.
fn listening(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table.lines().filter_map(|line| {
        // `Num: RefCount Protocol Flags Type St Inode Path`, with several blanks
        // before the inode.
        let mut rest = line;
        let mut fields = [""; 7];
        for field in &mut fields {
            let (this, after) = rest.trim_start().split_once(' ')?;
            (*field, rest) = (this, after);
        }
        let flags = u32::from_str_radix(fields[3], 16).ok()?;
        (flags & LISTENS != 0 && rest.starts_with('/')).then_some((fields[6], rest))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
    };

    use super::*;

    const TABLE: &str = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 17285 /run/docker.sock
0000000000000000: 00000003 00000000 00000000 0001 03 17286 /run/docker.sock
0000000000000000: 00000002 00000000 00010000 0001 01   412 /run/with a blank
0000000000000000: 00000002 00000000 00010000 0001 01 99 @abstract
0000000000000000: 00000003 00000000 00000000 0002 01 98
nonsense
";

    #[test]
    fn those_that_listen() {
        let all: Vec<_> = listening(TABLE).collect();
        let expected = [("17285", "/run/docker.sock"), ("412", "/run/with a blank")];
        assert_eq!(all, expected);
    }

    /// A `/proc` in which this socket is held by these.
    fn proc(root: &Path, socket: &Path, held_by: &[(u32, &str)]) -> Listeners {
        let unix = format!(
            "head\n0: 2 0 00010000 0001 01 77 {}\n",
            socket.to_string_lossy()
        );
        fs::remove_dir_all(root.join("proc")).ok();
        fs::create_dir_all(root.join("proc/net")).unwrap();
        fs::write(root.join("proc/net/unix"), unix).unwrap();
        for (pid, comm) in held_by {
            let dir = root.join(format!("proc/{pid}"));
            fs::create_dir_all(dir.join("fd")).unwrap();
            fs::write(dir.join("comm"), format!("{comm}\n")).unwrap();
            symlink("socket:[77]", dir.join("fd/5")).unwrap();
            symlink("/dev/null", dir.join("fd/1")).unwrap();
        }
        Listeners::of(&root.join("proc"), socket)
    }

    #[test]
    fn an_engine_behind_its_own_socket_and_behind_systemds() {
        let root = std::env::temp_dir().join(format!("sigtrace-listener-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let socket = root.join("docker.sock");
        let listens = UnixListener::bind(&socket).unwrap();
        let held_by = |by: &[(u32, &str)]| proc(&root, &socket, by);

        assert_eq!(held_by(&[(7, "dockerd")]).now(), Listener::Engine);
        let both = [(1, "systemd"), (7, "dockerd")];
        let mut listeners = held_by(&both);
        assert_eq!(listeners.now(), Listener::Engine);
        // It is being shut down.
        fs::remove_file(root.join("proc/7/fd/5")).unwrap();
        assert_eq!(listeners.now(), Listener::Nobody);
        assert_eq!(held_by(&[]).now(), Listener::Unknown);
        fs::write(root.join("proc/net/unix"), "").unwrap();
        assert_eq!(listeners.now(), Listener::Unknown);
        drop(listens);
        fs::remove_file(&socket).unwrap();
        assert_eq!(listeners.now(), Listener::Nobody);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_real_socket_of_our_own() {
        let socket = std::env::temp_dir().join(format!("sigtrace-own-{}.sock", std::process::id()));
        let listens = UnixListener::bind(&socket).unwrap();
        let connected = UnixStream::connect(&socket).unwrap();
        let mut listeners = Listeners::of(Path::new("/proc"), &socket);
        assert_eq!(listeners.now(), Listener::Engine);
        assert_eq!(
            listeners.last.as_ref().map(|(pid, _)| *pid),
            Some(std::process::id())
        );
        drop(listens);
        assert_ne!(listeners.now(), Listener::Engine);
        drop(connected);
        fs::remove_file(&socket).unwrap();
    }
}
