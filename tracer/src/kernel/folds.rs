//! Counts of the signals that the kernel side does not tell one by one (`fold.rs`
//! there). They are read a second after the first of them, then every second as
//! long as there are more, and at the end; who is told of them need not be awake
//! otherwise.

use std::{collections::HashMap, time::Duration};

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use sigtrace_common::record::{Fold, FoldKey};
use tokio::time::Instant;
use zerocopy::{FromBytes, IntoBytes};

use crate::event::BootTime;

/// How often counts are read while there are more.
const EVERY: Duration = Duration::from_secs(1);

type Map = BpfHashMap<MapData, [u8; size_of::<FoldKey>()], [u8; size_of::<Fold>()]>;

/// So many more of a kind than were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What they have in common.
    pub key: FoldKey,
    /// How many.
    pub count: u64,
    /// When the last one came.
    pub last: BootTime,
}

/// The map `FOLDS`.
pub struct Folds {
    map: Map,
    told: HashMap<FoldKey, u64>,
    due: Option<Instant>,
}

impl Folds {
    pub(super) fn new(map: aya::maps::Map) -> Result<Self, MapError> {
        Ok(Self {
            map: map.try_into()?,
            told: HashMap::new(),
            due: None,
        })
    }

    /// Whether the map can be looked into.
    pub(super) fn can_look(&self) -> bool {
        let none = [0; size_of::<FoldKey>()];
        matches!(self.map.get(&none, 0), Ok(_) | Err(MapError::KeyNotFound))
    }

    /// There is something to be read, or may be.
    pub(super) fn grew(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + EVERY);
    }

    /// When it is to be read.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Everything that was counted since the last time. `is_alive`: whether there is
    /// a process of that pid; a key of one that is dead will not grow any more.
    pub(super) fn read(&mut self, is_alive: impl Fn(u32) -> bool) -> Vec<Counted> {
        let mut counted = Vec::new();
        let mut over = Vec::new();
        for entry in self.map.iter() {
            let Ok((bytes, value)) = entry else { break };
            let (Ok(key), Ok(fold)) = (
                FoldKey::read_from_bytes(&bytes),
                Fold::read_from_bytes(&value),
            ) else {
                continue;
            };
            let told = self.told.entry(key).or_default();
            let count = fold.count.saturating_sub(*told);
            *told = fold.count;
            if count > 0 {
                let last = BootTime(fold.last_ns);
                counted.push(Counted { key, count, last });
            } else if !is_alive(key.sender) || !is_alive(key.target) {
                over.push(key);
            }
        }
        for key in over {
            let bytes = key.as_bytes().try_into().unwrap_or_default();
            if self.map.remove(&bytes).is_ok() {
                self.told.remove(&key);
            }
        }
        self.due = (!counted.is_empty()).then(|| Instant::now() + EVERY);
        counted
    }
}
