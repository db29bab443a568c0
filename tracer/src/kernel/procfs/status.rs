//! The lines of `/proc/PID/status` that say who a process is and what it does
//! with signals.

use crate::event::{Comm, Dispositions};

/// The lines of `/proc/PID/status` that count.
#[derive(Default)]
pub(super) struct Status {
    pub(super) comm: Comm,
    pub(super) tgid: u32,
    pub(super) ppid: u32,
    pub(super) uid: u32,
    pub(super) ns_pids: Vec<u32>,
    pub(super) tracer: u32,
    pub(super) threads: u32,
    pub(super) dispositions: Dispositions,
}

impl Status {
    /// Of a process, by its first thread.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut status = Self::of_thread(text);
        // A leader that has ended while its other threads go on is called a zombie,
        // and the process is none.
        if status.dispositions.state == b'Z' && status.threads > 1 {
            status.dispositions.state = 0;
        }
        status
    }

    /// Of one thread.
    pub(super) fn of_thread(text: &[u8]) -> Self {
        let mut status = Self {
            threads: 1,
            ..Self::default()
        };
        for line in text.split(|&b| b == b'\n') {
            let Some(colon) = line.iter().position(|&b| b == b':') else {
                continue;
            };
            let (key, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let words = || {
                std::str::from_utf8(value)
                    .unwrap_or_default()
                    .split_ascii_whitespace()
            };
            let set = || u64::from_str_radix(words().next().unwrap_or_default(), 16).unwrap_or(0);
            let number = || words().next().and_then(|w| w.parse().ok()).unwrap_or(0);
            let d = &mut status.dispositions;
            match key {
                b"Name" => status.comm = unescaped(value),
                b"State" => d.state = value.first().copied().unwrap_or(0),
                b"Tgid" => status.tgid = number(),
                b"TracerPid" => status.tracer = number(),
                b"PPid" => status.ppid = number(),
                b"Uid" => status.uid = number(),
                b"Threads" => status.threads = number(),
                b"NSpid" => status.ns_pids = words().filter_map(|w| w.parse().ok()).collect(),
                b"SigPnd" => d.pending = set(),
                b"ShdPnd" => d.shared_pending = set(),
                b"SigBlk" => d.blocked = set(),
                b"SigIgn" => d.ignored = set(),
                b"SigCgt" => d.caught = set(),
                _ => {}
            }
        }
        status
    }
}

/// A process's name from `/proc/PID/comm`, which ends with a line feed.
pub(super) fn comm(text: &[u8]) -> Comm {
    let name = text.strip_suffix(b"\n").unwrap_or(text);
    let mut comm = [0; 16];
    let length = name.len().min(15);
    comm[..length].copy_from_slice(&name[..length]);
    Comm(comm)
}

/// `status` writes a line feed and a backslash of the name as `\n` and `\\`.
fn unescaped(name: &[u8]) -> Comm {
    let mut comm = [0; 16];
    let mut bytes = name.iter();
    for slot in comm.iter_mut().take(15) {
        let Some(&byte) = bytes.next() else { break };
        *slot = match (byte, bytes.as_slice().first()) {
            (b'\\', Some(b'n')) => {
                bytes.next();
                b'\n'
            }
            (b'\\', Some(b'\\')) => {
                bytes.next();
                b'\\'
            }
            _ => byte,
        };
    }
    Comm(comm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_ended_before_its_threads_is_no_zombie() {
        let state = |text: &[u8]| Status::parse(text).dispositions.state;
        assert_eq!(state(b"State:\tZ (zombie)\nThreads:\t1\n"), b'Z');
        assert_eq!(state(b"State:\tZ (zombie)\n"), b'Z');
        assert_eq!(state(b"State:\tZ (zombie)\nThreads:\t2\n"), 0);
        assert_eq!(state(b"State:\tS (sleeping)\nThreads:\t2\n"), b'S');
    }

    #[test]
    fn status_is_read_with_hostile_names() {
        let status = Status::parse(
            b"Name:\tx\\n\\\\\x1b[31m\nState:\tS (sleeping)\nPPid:\t7\nUid:\t1000\t0\t0\t0\n\
              NSpid:\t42\t2\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000004000\n\
              SigBlk:\t0000000000010000\nSigIgn:\t0000000000001000\nSigCgt:\t0000000180004002\n",
        );
        assert_eq!(status.comm.bytes(), b"x\n\\\x1b[31m");
        assert_eq!(
            (status.ppid, status.uid, status.ns_pids),
            (7, 1000, vec![42, 2])
        );
        let d = status.dispositions;
        assert_eq!(
            (d.pending, d.shared_pending, d.blocked),
            (1, 0x4000, 0x10000)
        );
        assert_eq!(
            (d.ignored, d.caught, d.state),
            (0x1000, 0x1_8000_4002, b'S')
        );
    }
}
