//! Takes records out of the ring buffer. What found no room in it is counted by
//! `losses`.
//!
//! The kernel wakes the reader only when the buffer goes from empty to
//! non-empty; the reader then lingers a little, so that one wake-up serves a
//! burst. All that is there is copied out at once: the buffer is free again
//! before anything is explained or written.

use std::{
    io,
    os::fd::AsFd,
    sync::atomic::{fence, Ordering},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use bytes::{BufMut, Bytes, BytesMut};
use sigtrace_common::record::{Header, Kind};
use tokio::{io::unix::AsyncFd, time::Instant};
use zerocopy::FromBytes;

use super::{
    attach::Attached,
    attachments::Attachments,
    error::KernelError,
    folds::{Counted, Folds},
    losses::{Losses, FOLDED},
    sys::{self, Shared},
};
use crate::event::BootTime;

/// How long to wait for more after the first record.
const LINGER: Duration = Duration::from_millis(2);
/// Pages of the map that hold where the reader and the writers are (`bpf_ringbuf`).
const CONSUMER: usize = 0;
const PRODUCERS: usize = 1;
/// Longer than a CPU keeps to itself what it has written.
const SEEN_LATE_NS: u64 = 10_000;
/// Most bytes to copy at once: between two batches Ctrl-C is heard, and what is
/// explained at a time must not grow with what comes in.
const BATCH: usize = 512 << 10;

/// The ring buffer, to be waited for.
pub struct Ring {
    fd: AsyncFd<RingBuf<MapData>>,
    consumer: Shared,
    producers: Shared,
    /// Its memory serves for the next batch, once the last one is done.
    batch: BytesMut,
    losses: Losses,
    folds: Folds,
    /// `None` once detached.
    held: Option<Attachments>,
}

/// A place in the buffer, and a moment: what happened until then and was recorded lies in
/// front of it, since each record gets its time after its place (`emit::header`).
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The moment.
    pub time: BootTime,
    place: u64,
}

impl Ring {
    /// Takes over attached programs; must be called within tokio's runtime.
    pub fn new(attached: Attached) -> Result<Self, KernelError> {
        let positions = |page| Shared::new(attached.ring.as_fd(), page, 1);
        let (consumer, producers) = (positions(CONSUMER), positions(PRODUCERS));
        Ok(Self {
            consumer: consumer.map_err(KernelError::Wait)?,
            producers: producers.map_err(KernelError::Wait)?,
            fd: sys::wait_for(attached.ring).map_err(KernelError::Wait)?,
            batch: BytesMut::new(),
            losses: attached.losses,
            folds: attached.folds,
            held: Some(attached.held),
        })
    }

    /// Waits until there is something, and a little longer.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.fd.readable_mut().await?.clear_ready();
        tokio::time::sleep(LINGER).await;
        Ok(())
    }

    /// What happened until now.
    pub fn mark(&self) -> Mark {
        // The time first: what comes in between has a later one. And a little less, since a
        // place that was taken on another CPU may be seen a moment after it was.
        let time = BootTime(super::now().0.saturating_sub(SEEN_LATE_NS));
        fence(Ordering::SeqCst);
        Mark {
            time,
            place: self.producers.get(0),
        }
    }

    /// Whether all of that has been taken out: not if there is more than fits in a batch,
    /// nor behind a record that is still being written.
    pub fn is_past(&self, mark: &Mark) -> bool {
        self.consumer.get(0) >= mark.place
    }

    /// Everything that is there, up to a limit, as a batch of records; and
    /// whether there is more.
    pub fn drain(&mut self) -> (Batch, bool) {
        let ring = self.fd.get_mut();
        let batch = &mut self.batch;
        while batch.len() < BATCH {
            let Some(record) = ring.next() else {
                return (Batch(batch.split().freeze()), false);
            };
            if is_fold_note(&record) {
                self.folds.grew();
                continue;
            }
            batch.put_u32_le(u32::try_from(record.len()).unwrap_or(0));
            batch.put_slice(&record);
        }
        (Batch(batch.split().freeze()), true)
    }

    /// Detaches the programs. What they wrote can still be taken out, and what
    /// they lost be told.
    pub fn detach(&mut self) {
        self.losses.detach();
        self.held = None;
    }

    /// Whether counts of what was folded can be looked up.
    pub(super) fn can_count(&self) -> bool {
        self.folds.can_look()
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

    /// Whether something was lost since the last call of `losses`; costs next to nothing.
    pub fn is_short(&self) -> bool {
        self.losses.is_short()
    }

    /// What was lost since the last call, by kind.
    pub fn losses(&mut self) -> Vec<(&'static str, u64)> {
        let mut losses = self.losses.new_ones();
        if !losses.is_empty() {
            // The note that there is something to be read may be among them.
            self.folds.grew();
            losses.retain(|(name, _)| *name != FOLDED);
        }
        losses
    }

    /// System calls that send signals which were not looked at since the last call:
    /// nothing is lost but those among them that were refused. And forks.
    pub fn not_looked_at(&mut self) -> (u64, u64) {
        self.losses.not_looked_at()
    }
}

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
}
