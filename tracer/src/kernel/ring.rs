//! Takes records out of the ring buffer, and counts what found no room in it.
//!
//! The kernel wakes the reader only when the buffer goes from empty to
//! non-empty; the reader then lingers a little, so that one wake-up serves a
//! burst. All that is there is copied out at once: the buffer is free again
//! before anything is explained or written.

use std::{
    collections::HashMap,
    fs, io,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

use aya::{
    maps::{MapData, PerCpuArray, RingBuf},
    Ebpf,
};
use bytes::{BufMut, Bytes, BytesMut};
use sigtrace_common::record::{Header, Kind, KINDS};
use tokio::{io::unix::AsyncFd, time::Instant};
use zerocopy::FromBytes;

use super::{
    attach::Attached,
    error::KernelError,
    folds::{Counted, Folds},
    sys,
};

/// How long to wait for more after the first record.
const LINGER: Duration = Duration::from_millis(2);
/// Most bytes to copy at once: between two batches Ctrl-C is heard, and what is
/// explained at a time must not grow with what comes in.
const BATCH: usize = 512 << 10;

/// The ring buffer, to be waited for.
pub struct Ring {
    fd: AsyncFd<RingBuf<MapData>>,
    lost: PerCpuArray<MapData, u64>,
    folds: Folds,
    /// Losses by kind that were told already.
    told: [u64; KINDS],
    /// Misses that were told already.
    told_missed: Missed,
    /// How many there were when the programs were detached.
    missed: Missed,
    /// `None` once detached.
    ebpf: Option<Ebpf>,
}

impl Ring {
    /// Takes over attached programs; must be called within tokio's runtime.
    pub fn new(attached: Attached) -> Result<Self, KernelError> {
        Ok(Self {
            fd: sys::wait_for(attached.ring).map_err(KernelError::Wait)?,
            lost: attached.lost,
            folds: attached.folds,
            told: [0; KINDS],
            told_missed: Missed::default(),
            missed: Missed::default(),
            ebpf: Some(attached.ebpf),
        })
    }

    /// Waits until there is something, and a little longer.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.fd.readable_mut().await?.clear_ready();
        tokio::time::sleep(LINGER).await;
        Ok(())
    }

    /// Everything that is there, up to a limit, as a batch of records; and
    /// whether there is more.
    pub fn drain(&mut self) -> (Batch, bool) {
        let ring = self.fd.get_mut();
        let mut batch = BytesMut::new();
        while batch.len() < BATCH {
            let Some(record) = ring.next() else {
                return (Batch(batch.freeze()), false);
            };
            if is_fold_note(&record) {
                self.folds.grew();
                continue;
            }
            batch.put_u32_le(u32::try_from(record.len()).unwrap_or(0));
            batch.put_slice(&record);
        }
        (Batch(batch.freeze()), true)
    }

    /// Detaches the programs. What they wrote can still be taken out, and what
    /// they lost be told.
    pub fn detach(&mut self) {
        self.missed = self.missed();
        self.ebpf = None;
    }

    /// Whether counts of what was lost can be looked up.
    pub(super) fn can_count(&self) -> bool {
        self.lost.get(&0, 0).is_ok()
    }

    /// When signals that were counted and not told are to be read.
    pub fn counts_due(&self) -> Option<Instant> {
        self.folds.due()
    }

    /// How many signals were counted and not told since the last call. `is_alive`:
    /// whether there is a process of that pid.
    pub fn counted(&mut self, is_alive: impl Fn(u32) -> bool) -> Vec<Counted> {
        self.folds.read(is_alive)
    }

    /// What was lost since the last call, by kind.
    pub fn losses(&mut self) -> Vec<(&'static str, u64)> {
        let mut losses = Vec::new();
        for kind in 0..KINDS {
            let Ok(counts) = self.lost.get(&(kind as u32), 0) else {
                continue;
            };
            let total: u64 = counts.iter().sum();
            let new = total - self.told[kind].min(total);
            if new > 0 {
                self.told[kind] = total;
                losses.push((kind_name(kind as u32), new));
            }
        }
        if !losses.is_empty() {
            // The note that there is something to be read may be among them.
            self.folds.grew();
            losses.retain(|(name, _)| *name != FOLDED);
        }
        let missed = self.missed();
        if missed.events > self.told_missed.events {
            losses.push(("not-run", missed.events - self.told_missed.events));
            self.told_missed.events = missed.events;
        }
        losses
    }

    /// System calls that send signals which were not looked at since the last call:
    /// nothing is lost but those among them that were refused.
    pub fn not_looked_at(&mut self) -> u64 {
        let missed = self.missed().calls;
        let new = missed.saturating_sub(self.told_missed.calls);
        self.told_missed.calls += new;
        new
    }

    /// Events for which no program could run, because it was running on that
    /// CPU already (`recursion_misses`, since Linux 5.12). A hook with copies
    /// of its program has missed an event only if all have: at most as many as
    /// the one that missed fewest.
    fn missed(&self) -> Missed {
        let Some(ebpf) = &self.ebpf else {
            return self.missed;
        };
        let mut hooks: HashMap<String, u64> = HashMap::new();
        let mut calls = 0;
        for (name, program) in ebpf.programs() {
            let Ok(fd) = program.fd() else { continue };
            let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            let info = fs::read_to_string(path).unwrap_or_default();
            let misses = recursion_misses(&info).unwrap_or(0);
            if is_of_refusals(name) {
                calls += misses;
                continue;
            }
            hooks
                .entry(name.replace(['1', '2', '3'], ""))
                .and_modify(|least| *least = misses.min(*least))
                .or_insert(misses);
        }
        Missed {
            events: hooks.values().sum(),
            calls,
        }
    }
}

/// How often programs could not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Missed {
    /// Events that are missing.
    events: u64,
    /// Calls of functions by which signals are refused; hardly any of them was.
    calls: u64,
}

/// A program that looks for refused signals alone.
fn is_of_refusals(program: &str) -> bool {
    let hook = program.split_once('_').map_or("", |(_, hook)| hook);
    hook.starts_with("sys_") || matches!(hook, "check_kill_permission" | "security_task_kill")
}

fn recursion_misses(fdinfo: &str) -> Option<u64> {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?
        .trim()
        .parse()
        .ok()
}

/// Name of a record's kind, as `lost` events have it.
fn kind_name(kind: u32) -> &'static str {
    match kind {
        k if k == Kind::Signal as u32 || k == Kind::SignalTraced as u32 => "signal",
        k if k == Kind::Deliver as u32 => "deliver",
        k if k == Kind::Dequeue as u32 => "dequeue",
        k if k == Kind::Fork as u32 => "fork",
        k if k == Kind::Exec as u32 => "exec",
        k if k == Kind::Exit as u32 => "exit",
        k if k == Kind::DoExit as u32 => "do_exit",
        k if k == Kind::GroupExit as u32 => "do_group_exit",
        k if k == Kind::ZapPidNs as u32 => "zap_pid_ns_processes",
        k if k == Kind::Placed as u32 => "placed",
        k if k == Kind::Oom as u32 => "oom",
        k if k == Kind::Fault as u32 => "fault",
        k if k == Kind::Refused as u32 => "refused",
        k if k == Kind::Ptrace as u32 => "ptrace",
        k if k == Kind::Release as u32 || k == Kind::Free as u32 => "reap",
        k if k == Kind::Folded as u32 => FOLDED,
        _ => "other",
    }
}

/// With one of these nothing is lost: it only says that a map is to be read.
const FOLDED: &str = "folded";

fn is_fold_note(record: &[u8]) -> bool {
    Header::read_from_prefix(record).is_ok_and(|(header, _)| header.kind == Kind::Folded as u32)
}

/// Records that were copied out together.
pub struct Batch(Bytes);

impl Iterator for Batch {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let length = self.0.get(..4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        if self.0.len() < 4 + length {
            return None;
        }
        let _ = self.0.split_to(4);
        Some(self.0.split_to(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_its_records() {
        let mut bytes = BytesMut::new();
        for record in [&b"one"[..], b"", b"three"] {
            bytes.put_u32_le(record.len() as u32);
            bytes.put_slice(record);
        }
        let records: Vec<Bytes> = Batch(bytes.freeze()).collect();
        assert_eq!(records, [&b"one"[..], b"", b"three"]);
        assert_eq!(
            Batch(Bytes::from_static(&[9, 0, 0, 0, 1])).count(),
            0,
            "cut off"
        );
    }

    #[test]
    fn what_is_missed_of_refusals_is_no_loss_of_events() {
        for name in [
            "fentry_sys_kill",
            "fexit_sys_pidfd_send_signal",
            "raw_sys_exit",
            "fexit_check_kill_permission",
            "fexit_security_task_kill",
        ] {
            assert!(is_of_refusals(name), "{name}");
        }
        for name in [
            "btf_signal_generate",
            "fentry1_do_exit",
            "tp_sched_process_exit",
            "",
        ] {
            assert!(!is_of_refusals(name), "{name}");
        }
    }

    #[test]
    fn misses_are_read_where_the_kernel_counts_them() {
        assert_eq!(recursion_misses("pos:\t0\nrecursion_misses:\t7\n"), Some(7));
        assert_eq!(recursion_misses("pos:\t0\n"), None);
    }
}
