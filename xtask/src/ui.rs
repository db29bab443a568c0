//! What a person sees while xtask works: one line when a step begins and one
//! when it is over, with the time it took.
//!
//! Everything goes to stderr, because stdout belongs to what was asked for:
//! the guest's output (`vm`) or the results (`test`). What the steps do is left
//! to the modules that call this.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// A step that takes longer says so this often: silence looks like a hang.
const BEAT: Duration = Duration::from_secs(60);

/// Runs `work` between a line that says what happens and why, and a line that
/// says how long it took.
pub(crate) fn step<T>(what: &str, why: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {what} ({why})");
    let begin = Instant::now();
    let result = while_beating(begin, work);
    match &result {
        Ok(_) => eprintln!("    done in {}", took(begin.elapsed())),
        Err(_) => eprintln!("    failed after {}", took(begin.elapsed())),
    }
    result
}

fn while_beating<T>(begin: Instant, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        // Dropped when the work is over, be it by a panic: the beat ends then.
        let (_working, over) = mpsc::channel::<()>();
        scope.spawn(move || {
            while over.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("    still at it after {}", took(begin.elapsed()));
            }
        });
        work()
    })
}

/// A remark below the step it belongs to.
pub(crate) fn note(text: &str) {
    for line in text.lines() {
        eprintln!("    {line}");
    }
}

/// A line on its own, outside any step.
pub(crate) fn say(text: &str) {
    eprintln!("==> {text}");
}

/// `0.8 s`, `42 s`, `3 min 05 s`: as exact as a reader cares for.
pub(crate) fn took(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 119.5 {
        format!("{seconds:.0} s")
    } else {
        let whole = time.as_secs();
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// Bytes in the unit that a disk or memory is usually told in.
pub(crate) fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes >= 10 * 1024 * MIB {
        format!("{} GiB", bytes / (1024 * MIB))
    } else if bytes >= 1024 * MIB {
        let tenths = bytes * 10 / (1024 * MIB);
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    } else {
        let tenths = bytes * 10 / MIB;
        format!("{}.{} MiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_short() {
        assert_eq!(took(Duration::from_millis(840)), "0.8 s");
        assert_eq!(took(Duration::from_secs(42)), "42 s");
        assert_eq!(took(Duration::from_secs(185)), "3 min 05 s");
    }

    #[test]
    fn sizes_change_unit() {
        assert_eq!(size(3 << 20), "3.0 MiB");
        assert_eq!(size(1536 << 20), "1.5 GiB");
        assert_eq!(size(40 << 30), "40 GiB");
    }
}
