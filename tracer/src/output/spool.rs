//! Output that is written by a thread of its own. A disk or a reader that is slow for a
//! moment holds nothing up: meanwhile events are read, so that none is lost for it.
//! Whoever is slow for longer has us wait, when 16 MiB are not written yet.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// So much is handed over at once, in bytes.
const PIECE: usize = 1 << 16;
/// So much may wait to be written, in bytes: some seconds of a storm.
const MOST: usize = 16 << 20;
/// Whoever asks for an end is told after so much time why there is none.
const PATIENCE: Duration = Duration::from_secs(2);
const WAITS: &str = "sigtrace: its output is read slowly, or by nobody, and it waits \
    for that; asked to end once more it ends without";

/// The end that is written to.
#[derive(Debug)]
pub struct Spool {
    piece: Vec<u8>,
    shared: Arc<Shared>,
}

/// The end that knows when all is written.
#[derive(Clone, Debug)]
pub struct Drained(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Somebody waits for the writer.
    blocked: Arc<AtomicBool>,
    /// Somebody has asked for an end.
    asked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes of those, and of the one that is being written.
    waiting: usize,
    failed: Option<io::Error>,
    /// What has been written: memory for the next piece.
    spare: Vec<u8>,
    /// When there was last too much of it, and somebody waited.
    waited: Option<Instant>,
    /// Nothing more will come.
    closed: bool,
    /// The writer, until it is started.
    start: Option<Start>,
}

/// Starts the thread that writes.
struct Start(Box<dyn FnOnce(Arc<Shared>) -> io::Result<()> + Send>);

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Start")
    }
}

impl State {
    fn has_no_room(&self, bytes: usize) -> bool {
        self.waiting > 0 && self.waiting + bytes > MOST
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it; and if so, what there is can still be written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let state = self.changed.wait(state);
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the writer. Whoever has asked for an end is told what for.
    fn until(&self, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut told = false;
        let mut state = self.lock();
        while !done(&state) && state.failed.is_none() {
            self.blocked.store(true, Ordering::Relaxed);
            let waited = self.changed.wait_timeout(state, PATIENCE);
            let (now, result) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if result.timed_out() && !told && self.asked.load(Ordering::Relaxed) {
                told = true;
                drop(state);
                let _ = writeln!(io::stderr(), "{WAITS}");
                state = self.lock();
            }
        }
        self.blocked.store(false, Ordering::Relaxed);
        state
    }

    /// What the thread does until there is nothing more to come.
    fn write_all(&self, mut out: impl Write) {
        let mut state = self.lock();
        loop {
            while state.pieces.is_empty() && !state.closed {
                state = self.wait(state);
            }
            let Some(mut piece) = state.pieces.pop_front() else {
                return;
            };
            drop(state);
            let done = out.write_all(&piece).and_then(|()| out.flush());
            state = self.lock();
            state.waiting -= piece.len();
            if let Err(error) = done {
                state.failed = Some(error);
                state.pieces.clear();
                state.waiting = 0;
                self.changed.notify_all();
                return;
            }
            piece.clear();
            state.spare = piece;
            self.changed.notify_all();
        }
    }
}

/// The first error is told once; whoever goes on after it is told that it was there.
fn failure(state: &mut State) -> Option<io::Error> {
    let error = state.failed.take()?;
    state.failed = Some(io::Error::from(error.kind()));
    Some(error)
}

impl Spool {
    /// Writes to `out` in a thread that starts with the first piece: it has the
    /// privileges that its maker has then.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        let start = Start(Box::new(move |shared| {
            let thread = thread::Builder::new().name("sigtrace-out".to_owned());
            thread.spawn(move || shared.write_all(out)).map(drop)
        }));
        let shared = Arc::new(Shared::default());
        shared.lock().start = Some(start);
        Self {
            piece: Vec::new(),
            shared,
        }
    }

    /// To be asked whether all is written.
    pub fn drained(&self) -> Drained {
        Drained(Arc::clone(&self.shared))
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        let mut state = self.shared.lock();
        if let Some(start) = state.start.take() {
            (start.0)(Arc::clone(&self.shared))?;
        }
        if state.has_no_room(piece.len()) {
            state.waited = Some(Instant::now());
            drop(state);
            state = self.shared.until(|state| !state.has_no_room(piece.len()));
            state.waited = Some(Instant::now());
        }
        if let Some(error) = failure(&mut state) {
            return Err(error);
        }
        state.waiting += piece.len();
        state.pieces.push_back(piece);
        self.piece = std::mem::take(&mut state.spare);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() + bytes.len() > PIECE {
            self.hand_over()?;
        }
        self.piece.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Hands over what there is; it is written a moment later.
    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()?;
        failure(&mut self.shared.lock()).map_or(Ok(()), Err)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // An error was told, or is by whoever asks whether all is written.
        let _ = self.hand_over();
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let _ = self.drained().wait();
    }
}

impl Drained {
    /// One that is set while somebody waits here for the writer, and one to be set when
    /// somebody asks for an end.
    pub fn flags(&self) -> (&Arc<AtomicBool>, &Arc<AtomicBool>) {
        (&self.0.blocked, &self.0.asked)
    }

    /// Whether somebody had to wait since that much time ago, because too much was not
    /// written yet.
    pub fn has_waited(&self, within: Duration) -> bool {
        let waited = self.0.lock().waited;
        waited.is_some_and(|at| at.elapsed() < within)
    }

    /// Waits until all that was handed over is written.
    ///
    /// # Errors
    /// What writing it failed with.
    pub fn wait(&self) -> io::Result<()> {
        let mut state = self.0.until(|state| state.waiting == 0);
        failure(&mut state).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Lets a write through for every permit, and keeps what was written.
    struct Slow {
        permits: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
            self.permits.recv().map_err(|_| closed())?;
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Spool, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (permit, permits) = mpsc::channel();
        let written = Arc::default();
        let out = Slow {
            permits,
            written: Arc::clone(&written),
        };
        (Spool::new(out), permit, written)
    }

    #[test]
    fn whoever_is_slow_holds_nothing_up() {
        let (mut spool, permit, written) = slow();
        for line in 0..3 {
            writeln!(spool, "line {line}").unwrap();
            spool.flush().unwrap();
        }
        assert!(written.lock().unwrap().is_empty());
        for _ in 0..3 {
            permit.send(()).unwrap();
        }
        spool.drained().wait().unwrap();
        assert_eq!(*written.lock().unwrap(), b"line 0\nline 1\nline 2\n");
    }

    #[test]
    fn it_says_when_it_is_held_up() {
        let (mut spool, permit, _) = slow();
        spool.write_all(b"unread").unwrap();
        spool.flush().unwrap();
        let drained = spool.drained();
        let blocked = Arc::clone(drained.flags().0);
        assert!(!blocked.load(Ordering::Relaxed));
        let waits = thread::spawn(move || drained.wait().unwrap());
        while !blocked.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        permit.send(()).unwrap();
        waits.join().unwrap();
        assert!(!blocked.load(Ordering::Relaxed));
    }

    #[test]
    fn what_is_not_flushed_is_written_at_the_end() {
        let (mut spool, permit, written) = slow();
        write!(spool, "the last").unwrap();
        permit.send(()).unwrap();
        drop(spool);
        assert_eq!(*written.lock().unwrap(), b"the last");
    }

    #[test]
    fn there_is_an_end_to_patience() {
        let (mut spool, permit, written) = slow();
        let many = vec![b'x'; MOST];
        spool.write_all(&many).unwrap();
        spool.flush().unwrap();
        spool.write_all(b"more").unwrap();
        let drained = spool.drained();
        assert!(!drained.has_waited(Duration::MAX));
        let shared = Arc::clone(&spool.shared);
        let waits = thread::spawn(move || {
            spool.flush().unwrap();
            spool.drained().wait().unwrap();
        });
        // It waits then: nothing is written before it may be.
        while !drained.has_waited(Duration::MAX) {
            thread::yield_now();
        }
        assert_eq!(shared.lock().waiting, MOST);
        permit.send(()).unwrap();
        permit.send(()).unwrap();
        waits.join().unwrap();
        assert!(drained.has_waited(Duration::MAX));
        assert!(!drained.has_waited(Duration::ZERO));
        assert_eq!(written.lock().unwrap().len(), MOST + 4);
    }

    #[test]
    fn an_error_is_told_to_whoever_writes_next() {
        let (mut spool, permit, _) = slow();
        drop(permit);
        writeln!(spool, "nobody reads this").unwrap();
        spool.flush().ok();
        let waited = spool.drained().wait();
        assert_eq!(waited.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        writeln!(spool, "nor this").unwrap();
        assert_eq!(spool.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
