//! CPU time: how much a process has had, the quotas of control groups, and how often
//! they were used up.

use std::sync::Arc;

use super::BootTime;

/// How much a thread has run until a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    /// When it was read.
    pub at: BootTime,
    /// All of it, nanoseconds.
    pub ran_ns: u64,
    /// How often it came to run.
    pub turns: u64,
}

/// A control group that has a CPU quota: the counts only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Its path as the host sees it: any text.
    pub group: Arc<str>,
    /// It is one of cgroup v1.
    pub v1: bool,
    /// CPU time that all of it may use in a period, microseconds.
    pub quota_us: u64,
    /// Length of a period, microseconds.
    pub period_us: u64,
    /// Periods in which it wanted to run.
    pub periods: u64,
    /// Of those, the ones whose quota was used up.
    pub throttled_periods: u64,
    /// For how long it was kept from running for that, added up over the CPUs;
    /// counted once it runs again.
    pub throttled_us: u64,
}

/// The groups with a quota that a process is in, the nearest first, at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// When they were read.
    pub at: BootTime,
    /// Empty: nothing limits it.
    pub groups: Vec<Quota>,
}
