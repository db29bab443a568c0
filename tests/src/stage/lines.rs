//! Lines that another program writes, collected by a thread, so that it never
//! waits for us and we can wait for a line.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{bail, Result};

use super::PATIENCE;

/// Lines that are shown of a program that ended too soon.
const SHOWN: usize = 10;

#[derive(Default)]
struct State {
    lines: Vec<Vec<u8>>,
    ended: bool,
}

/// What has been written so far. A clone is the same lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<State>, Condvar)>);

impl Lines {
    /// Collects until the other end is closed, and passes everything on to
    /// `copy`. Bytes, not text: hostile names are part of the tests.
    pub(crate) fn collect(
        from: impl Read + Send + 'static,
        mut copy: Option<Box<dyn Write + Send>>,
    ) -> Self {
        let lines = Self::default();
        let collected = lines.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut line = Vec::new();
            // A pty whose other end is closed says EIO, which is an end too.
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                if let Some(copy) = &mut copy {
                    // Nobody has to listen to the copy.
                    let _ = copy.write_all(&line).and_then(|()| copy.flush());
                }
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                collected.change(|state| state.lines.push(std::mem::take(&mut line)));
            }
            collected.change(|state| state.ended = true);
        });
        lines
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (state, news) = &*self.0;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        news.notify_all();
    }

    /// All lines up to now.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.bytes()
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    /// The same as they were written.
    pub(crate) fn bytes(&self) -> Vec<Vec<u8>> {
        let state = self.0 .0.lock().unwrap_or_else(PoisonError::into_inner);
        state.lines.clone()
    }

    /// Waits for a line, from line number `from` on; its number and the line.
    pub(crate) fn wait(
        &self,
        what: &str,
        from: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(usize, String)> {
        let (state, news) = &*self.0;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        let mut next = from;
        loop {
            while next < state.lines.len() {
                let line = String::from_utf8_lossy(&state.lines[next]);
                if wanted(&line) {
                    return Ok((next, line.into_owned()));
                }
                next += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let late = || format!("waited {} s for {what}", PATIENCE.as_secs());
            let over = || format!("it ended before {what}");
            if state.ended || left.is_zero() {
                let why = if state.ended { over() } else { late() };
                let last = state.lines.iter().rev().take(SHOWN).rev();
                let last: Vec<_> = last.map(|line| String::from_utf8_lossy(line)).collect();
                bail!("{why}; its last lines:\n{}", last.join("\n"));
            }
            state = news
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the other end is closed.
    pub(crate) fn wait_for_end(&self) -> Result<()> {
        let (state, news) = &*self.0;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("its output does not end");
            }
            state = news
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Ok(())
    }
}
