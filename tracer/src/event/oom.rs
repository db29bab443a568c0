//! Lack of memory, as the kernel side reports it: who asked, who was chosen, and
//! what the control groups above the chosen one used at that moment.

use super::Task;

/// Bytes of a page on x86-64.
const PAGE: u64 = 4096;
/// `PAGE_COUNTER_MAX`: no limit, in pages.
const NO_LIMIT: u64 = i64::MAX as u64 / PAGE;

/// A control group as its memory controller has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLevel {
    /// Inode of its folder.
    pub id: u64,
    /// Name of its folder; empty: the root. Any text.
    pub name: String,
    /// Bytes in use.
    pub usage: u64,
    /// The limit; `None`: none.
    pub limit: Option<u64>,
}

impl MemoryLevel {
    /// From counts of pages.
    pub(super) fn of_pages(id: u64, name: String, usage: u64, max: u64) -> Self {
        Self {
            id,
            name,
            usage: usage.saturating_mul(PAGE),
            limit: (max < NO_LIMIT).then(|| max.saturating_mul(PAGE)),
        }
    }
}

/// The OOM killer's own words (`struct oom_control`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomChoice {
    /// The control group whose limit was reached; `None`: no control group's.
    pub limited: Option<u64>,
    /// Bytes that there are to be used.
    pub total: u64,
    /// `enum oom_constraint`: 0 none, 1 cpuset, 2 memory policy, 3 control group.
    pub constraint: u32,
}

/// The kernel kills for lack of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oom {
    /// Who asked for memory.
    pub trigger: Task,
    /// Who was chosen; without `choice` the target of a SIGKILL of the kernel's,
    /// which may have other causes.
    pub victim: Task,
    /// Those who share memory have the same; 0: not known.
    pub mm: u64,
    /// `None`: not hooked.
    pub choice: Option<OomChoice>,
    /// From the victim's own control group upwards; not all, if there are many.
    pub levels: Vec<MemoryLevel>,
    /// The last of them is the root.
    pub whole: bool,
}

impl Oom {
    /// From the kernel side's numbers.
    pub(super) fn choice(limited: u64, total: u64, constraint: u32) -> OomChoice {
        OomChoice {
            limited: (limited != 0).then_some(limited),
            total: total.saturating_mul(PAGE),
            constraint,
        }
    }
}
