//! What the loader hands down: offsets and the filter as read-only globals
//! (the verifier knows their values and drops the branches they exclude), and
//! the maps.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use sigtrace_common::{
    filter::{Config, ENTRIES, NEAR_ENTRIES, NEW_ENTRIES, REFUSALS},
    layout::Layout,
    record::{self, Denial, Fold, FoldKey, Storm, FOLD_KEYS, KINDS, LOST_ENTRIES, STORM_PLACES},
};

use crate::{
    fault::{KnownPlace, Recent},
    fold::{RecentKeys, RECENT_SETS},
    fork::Forking,
};

/// Set by the loader from the running kernel's BTF.
#[unsafe(no_mangle)]
pub(crate) static LAYOUT: Layout = Layout::EMPTY;

/// Set by the loader from the command line and the kernel's facts.
#[unsafe(no_mangle)]
pub(crate) static CONFIG: Config = Config::EVERYTHING;

/// The records. The loader sets the size.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Records that found no room, by `Kind`, and `CROWDED`. The user side reads it as
/// shared memory.
#[map]
pub(crate) static LOST: Array<u64> = Array::with_max_entries(LOST_ENTRIES as u32, BPF_F_MMAPABLE);

/// By `Kind`: how many of the copies of its program are running on this CPU, all but
/// one of them preempted.
#[map]
pub(crate) static RUNNING: PerCpuArray<u64> = PerCpuArray::with_max_entries(KINDS as u32, 0);

/// Wanted PID namespaces, by inode.
#[map]
pub(crate) static PIDNS: HashMap<u32, u32> = HashMap::with_max_entries(ENTRIES, 0);

/// What of [`PIDNS`] and [`NEW_PIDNS`] has an inode that ends in that number: 0 nothing, an
/// inode that one alone, else `SEVERAL`. Nearly all tasks are told from those, or known to be
/// meant, without a look into either.
#[map]
pub(crate) static NEAR: Array<u64> = Array::with_max_entries(NEAR_ENTRIES, 0);

/// PID namespaces that were made since, by inode, where those are wanted.
#[map]
pub(crate) static NEW_PIDNS: LruHashMap<u32, u32> = LruHashMap::with_max_entries(NEW_ENTRIES, 0);

/// cgroups that were made since, where those are wanted: 0 for those whose names
/// cannot hold an id, else how many programs were told of, and one more.
#[map]
pub(crate) static NEW_CGROUPS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(NEW_ENTRIES, 0);

/// Wanted cgroups, by id; of cgroup v1 with `CGROUP_V1`.
#[map]
pub(crate) static CGROUPS: HashMap<u64, u32> = HashMap::with_max_entries(ENTRIES, 0);

/// Wanted processes: `PID_TARGET`, `PID_SENDER` or both.
#[map]
pub(crate) static PIDS: HashMap<u32, u32> = HashMap::with_max_entries(ENTRIES, 0);

/// Dead processes whose end was reported, with their start times: by
/// `sched_process_free` they have no PID namespace left to filter on.
#[map]
pub(crate) static DEAD: LruHashMap<u32, u64> = LruHashMap::with_max_entries(16384, 0);

/// Processes outside of the filter that a wanted signal was sent to: what
/// becomes of it is told by their deliveries and deaths.
#[map]
pub(crate) static TOUCHED: LruHashMap<u32, u32> = LruHashMap::with_max_entries(4096, 0);

/// cgroups that a [`sigtrace_common::record::Place`] was told of, by its id.
#[map]
pub(crate) static TOLD_PLACES: LruHashMap<u64, u32> =
    LruHashMap::with_max_entries(record::PLACES, 0);

/// What the first of two equal programs has reported and the second has not
/// come to yet: see `emit::Turn`.
#[map]
pub(crate) static SEEN: LruHashMap<u64, u64> = LruHashMap::with_max_entries(8192, 0);

/// Signals that came to nothing and are counted, by the hash of what they have in common.
/// The user side reads it as shared memory, and gives back the places of the dead.
#[map]
pub(crate) static STORMS: Array<Storm> = Array::with_max_entries(STORM_PLACES, BPF_F_MMAPABLE);

/// Which places of [`STORMS`] are taken: of two who want one at the same time the map lets
/// one have it.
#[map]
pub(crate) static TAKEN: HashMap<u32, u32> = HashMap::with_max_entries(STORM_PLACES, 0);

/// How often such signals came in a second, by the hash of what they have in common.
#[map]
pub(crate) static RECENT: Array<RecentKeys> = Array::with_max_entries(RECENT_SETS, 0);

/// Those that are counted where another has their place in [`STORMS`]. The user side takes
/// out whose sender or target is dead: then no more can come.
#[map]
pub(crate) static FOLDS: HashMap<FoldKey, Fold> = HashMap::with_max_entries(FOLD_KEYS, 0);

/// Places in programs that have been told of: handlers, and instructions whose faults
/// they took.
#[map]
pub(crate) static PLACES: LruHashMap<KnownPlace, u32> = LruHashMap::with_max_entries(4096, 0);

/// By process: how many of its faults a handler took lately.
#[map]
pub(crate) static FAULTS: LruHashMap<u32, Recent> = LruHashMap::with_max_entries(1024, 0);

/// By thread: whom its system call may not signal. These four are for refused
/// signals alone; the loader makes them small where those are not looked at.
#[map]
pub(crate) static DENIALS: LruHashMap<u64, Denial> = LruHashMap::with_max_entries(REFUSALS, 0);

/// By thread: where the registers of its system call are, for kretprobes, which do
/// not see them.
#[map]
pub(crate) static CALLS: HashMap<u64, u64> = HashMap::with_max_entries(REFUSALS, 0);

/// By thread: the target that is being asked about, and the number, for kretprobes.
#[map]
pub(crate) static ASKED: HashMap<u64, (u64, u64)> = HashMap::with_max_entries(REFUSALS, 0);

/// By thread that is signalling many: how many it may, and may not.
#[map]
pub(crate) static BROADCASTS: LruHashMap<u64, [u32; 2]> = LruHashMap::with_max_entries(REFUSALS, 0);

/// By thread that is making another: what is known of that so far. With fexit of those
/// that fail alone.
#[map]
pub(crate) static FORKING: LruHashMap<u64, Forking> = LruHashMap::with_max_entries(REFUSALS, 0);

/// Reads one field of [`LAYOUT`] or [`CONFIG`] as the loader set it.
macro_rules! global {
    ($name:ident . $field:ident) => {
        $crate::globals::read(&$crate::globals::$name.$field)
    };
}
pub(crate) use global;

/// Volatile, because the compiler would otherwise use the value that stands in
/// this file.
#[inline(always)]
pub(crate) fn read<T: Copy>(field: &'static T) -> T {
    // SAFETY: a reference to a plain integer that nobody writes.
    unsafe { core::ptr::read_volatile(field) }
}
