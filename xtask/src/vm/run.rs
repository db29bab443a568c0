//! One boot: starts qemu, passes the guest's output on while it comes, and ends
//! with the command's exit status or with why there is none. The guest's end of
//! the conversation is in `guest`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::guest::Word;
use super::qemu::{self, Machine};
use crate::cmd;
use crate::kernel::Kernel;

/// Where the guest's output goes.
pub(crate) type Sink = Box<dyn Write + Send>;

/// Collects a stream that another thread writes.
#[derive(Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    pub(crate) fn sink(&self) -> Sink {
        Box::new(self.clone())
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a boot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The command ran to its end, with this status as a shell tells it.
    Exit(i32),
    /// There is no status; the text says why and shows the kernel's last words.
    Lost(String),
    /// The same, because the time limit was over.
    Late(String),
}

/// What the kernel said in a boot, and how it ended.
#[derive(Debug)]
pub(crate) struct Boot {
    pub(crate) ending: Ending,
    pub(crate) console: String,
    /// From start to the command's first instruction, if it came to that.
    pub(crate) ready_after: Option<Duration>,
}

impl Boot {
    /// The kernel met a breakpoint of its own that was gone already. It puts one wherever
    /// it changes its text (`text_poke_bp`), and takes it away when all CPUs know of it;
    /// QEMU before 8.1 translates without a lock on the page, and what it translated
    /// while another CPU wrote may stay. No program, and no eBPF program, can do that.
    pub(crate) fn stale_breakpoint(&self) -> bool {
        self.console.contains("int3: 0000 [#")
    }
}

/// Begins the names of boots' folders; the process that made it follows.
const SCRATCH: &str = "sigtrace-vm-";

/// A folder for one boot, gone at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        remove_leftovers();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, because a socket's path may have 107 bytes.
        let dir = std::env::temp_dir().join(format!("{SCRATCH}{}-{number}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Folders of boots that were killed with their xtask.
fn remove_leftovers() {
    let entries = fs::read_dir(std::env::temp_dir());
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// The process that a boot's folder belongs to.
fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(SCRATCH)?.split_once('-')?;
    pid.parse().ok()
}

/// qemu, never left behind.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

enum Event {
    Said(Word),
    Over,
}

/// Boots `kernel` with this initramfs.
pub(crate) fn boot(
    kernel: &Kernel,
    machine: &Machine,
    initramfs: &[u8],
    timeout: Duration,
    out: Sink,
    err: Sink,
) -> Result<Boot> {
    let scratch = Scratch::new()?;
    let dir = &scratch.0;
    fs::write(dir.join("initramfs"), initramfs).with_context(|| {
        format!(
            "cannot write the guest's files to {}; TMPDIR may name a bigger place",
            dir.display()
        )
    })?;
    let begin = Instant::now();
    let out = listen(dir, "out", |stream| pass_on(stream, out))?;
    let err = listen(dir, "err", |stream| pass_on(stream, err))?;
    let (sender, events) = mpsc::channel();
    let words = listen(dir, "words", move |stream| {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(word) = Word::parse(&line) {
                sender.send(Event::Said(word)).ok();
            }
        }
        sender.send(Event::Over).ok();
    })?;
    let mut command = qemu::command(kernel, machine, dir);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.join("qemu"))?)
        .spawn()
        .context("cannot start qemu-system-x86_64; `cargo xtask setup` installs it")?;
    let mut qemu = Qemu(child);

    let mut ready_after = None;
    let deadline = begin + timeout;
    let status = loop {
        // qemu connects before anything else; if it has died, nobody will.
        let wait = deadline
            .saturating_duration_since(Instant::now())
            .min(Duration::from_millis(500));
        match events.recv_timeout(wait) {
            Ok(Event::Said(Word::Ready)) => ready_after = Some(begin.elapsed()),
            Ok(Event::Said(Word::Exit(status))) => break Ok(status),
            Ok(Event::Over) => break Err(End::Died),
            Err(_) if Instant::now() >= deadline => break Err(End::Timeout),
            Err(RecvTimeoutError::Timeout) if qemu.0.try_wait()?.is_some() => break Err(End::Died),
            Err(_) => {}
        }
    };
    drop(qemu);
    // Whoever still waits for qemu to connect is let go.
    for name in ["out", "err", "words"] {
        UnixStream::connect(dir.join(name)).ok();
    }
    for thread in [out, err, words] {
        thread.join().ok();
    }
    let read = |name: &str| {
        String::from_utf8_lossy(&fs::read(dir.join(name)).unwrap_or_default()).into_owned()
    };
    let console = read("console");
    let ending = match status {
        Ok(status) => Ending::Exit(status),
        Err(end) => {
            let ready = ready_after.is_some();
            let why = explain(&end, ready, timeout, &console, &read("qemu"));
            match end {
                End::Died => Ending::Lost(why),
                End::Timeout => Ending::Late(why),
            }
        }
    };
    Ok(Boot {
        ending,
        console,
        ready_after,
    })
}

enum End {
    Died,
    Timeout,
}

/// Says why there is no exit status, with the lines that show it.
fn explain(end: &End, ready: bool, timeout: Duration, console: &str, qemu: &str) -> String {
    let stage = if ready {
        "while the command ran"
    } else {
        "before it came to the command"
    };
    let panic = ["Kernel panic", "Oops:", "BUG:"]
        .iter()
        .any(|sign| console.contains(sign));
    let what = match end {
        End::Timeout => format!(
            "the guest was stopped {stage}: the time limit of {} s was over (--timeout changes it)",
            timeout.as_secs()
        ),
        End::Died if panic => format!("the guest's kernel crashed {stage}"),
        End::Died if console.is_empty() => "qemu ended before the kernel said a word".to_owned(),
        End::Died => format!("the guest ended by itself {stage}"),
    };
    let mut text = format!("{what}.\n");
    if !qemu.trim().is_empty() {
        text.push_str("qemu said:\n");
        text.push_str(&cmd::tail(qemu, 10));
    }
    if !console.is_empty() {
        text.push_str("The kernel's last words:\n");
        text.push_str(&cmd::tail(console, if panic { 50 } else { 20 }));
    }
    text
}

fn listen(
    dir: &Path,
    name: &str,
    work: impl FnOnce(UnixStream) + Send + 'static,
) -> Result<JoinHandle<()>> {
    let path = dir.join(name);
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("cannot listen at {}", path.display()))?;
    Ok(thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            work(stream);
        }
    }))
}

/// Copies until the guest is gone, each piece at once. If nobody reads us any
/// more the guest still runs to its end.
fn pass_on(mut stream: UnixStream, mut sink: Sink) {
    let mut buffer = [0; 8192];
    let mut open = true;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if open => {
                open = sink
                    .write_all(&buffer[..count])
                    .and_then(|()| sink.flush())
                    .is_ok();
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_folders_have_an_owner() {
        assert_eq!(owner("sigtrace-vm-4711-0"), Some(4711));
        assert_eq!(owner("sigtrace-vm-x-0"), None);
        assert_eq!(owner("something-4711-0"), None);
    }

    #[test]
    fn a_stale_breakpoint_is_known_and_no_other_crash() {
        let stale = |console: &str| {
            let boot = Boot {
                ending: Ending::Lost(String::new()),
                console: console.to_owned(),
                ready_after: None,
            };
            boot.stale_breakpoint()
        };
        assert!(stale("[   40.7] Oops: int3: 0000 [#2] SMP NOPTI\n"));
        assert!(stale("[   40.7] int3: 0000 [#1] SMP\n"));
        assert!(!stale(
            "[   18.3] Oops: general protection fault: 0000 [#1]"
        ));
        assert!(!stale("[   18.3] traps: x trap int3 ip:401000"));
    }

    #[test]
    fn says_how_it_ended_and_where() {
        let limit = Duration::from_secs(60);
        let say = |end, ready, console| explain(&end, ready, limit, console, "");
        assert!(say(End::Died, true, "[1] Kernel panic - not syncing: x")
            .starts_with("the guest's kernel crashed while the command ran"));
        assert!(say(End::Timeout, true, "x").contains("60 s"));
        assert!(say(End::Died, false, "x").contains("before it came to the command"));
        assert!(explain(&End::Died, false, limit, "", "no such machine")
            .contains("  | no such machine"));
    }
}
