//! What is traced to its end, and by what it is seen that it is there: its end is an
//! event, so this is for ends that were lost. Nothing is looked at as long as nothing
//! ends, where the kernel tells of that.

use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

use super::cgroup::Cgroup;
use crate::{
    event::{Home, PidNs, ProcessKey},
    kernel::procfs::Proc,
};

/// Something that is traced to its end.
pub(super) struct Watched {
    pub(super) home: Home,
    by: Sign,
    /// It was gone when it was looked at.
    pub(super) gone: bool,
}

/// By what it is seen that something is there.
enum Sign {
    /// The first process of a namespace: not there, or a zombie. With a descriptor that
    /// tells, until it has told.
    Pid1(ProcessKey, Option<AsyncFd<OwnedFd>>),
    /// Those in a cgroup.
    Members(Cgroup),
}

impl Watched {
    /// Must be called within tokio's runtime.
    pub(super) fn new(pidns: PidNs, pid1: ProcessKey, proc: &Proc) -> Self {
        Self {
            home: Home::PidNs(pidns),
            by: Sign::Pid1(pid1, proc.end_of(pid1)),
            gone: false,
        }
    }

    pub(super) fn cgroup(cgroup: Cgroup) -> Self {
        Self {
            home: Home::Cgroup(cgroup.id),
            by: Sign::Members(cgroup),
            gone: false,
        }
    }

    /// Its first process.
    pub(super) fn pid1(&self) -> Option<u32> {
        match &self.by {
            Sign::Pid1(key, _) => Some(key.pid),
            Sign::Members(_) => None,
        }
    }

    /// Whether it has to be looked at from time to time, since nobody tells, or since it
    /// has just ended.
    pub(super) fn is_due(&self) -> bool {
        !matches!(self.by, Sign::Pid1(_, Some(_)))
    }

    pub(super) fn is_gone(&self, proc: &Proc) -> bool {
        match &self.by {
            // A zombie has seen all others of its namespace reaped.
            Sign::Pid1(pid1, _) => proc
                .observe(*pid1)
                .is_none_or(|(seen, _)| seen.state == b'Z'),
            Sign::Members(cgroup) => cgroup.is_empty(),
        }
    }
}

/// Waits until the first of them ends that the kernel tells of.
pub(super) async fn first_end(all: &mut [Watched]) {
    std::future::poll_fn(|context| {
        for watched in all.iter_mut() {
            if let Sign::Pid1(_, end @ Some(_)) = &mut watched.by {
                if end
                    .as_ref()
                    .is_some_and(|fd| fd.poll_read_ready(context).is_ready())
                {
                    *end = None;
                    return std::task::Poll::Ready(());
                }
            }
        }
        std::task::Poll::Pending
    })
    .await;
}
