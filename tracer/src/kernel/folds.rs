//! Counts of the signals that the kernel side does not tell one by one (`fold.rs`
//! there). They are read a second after the first of them, then every second as
//! long as there are more, and at the end; who is told of them need not be awake
//! otherwise.

use std::{collections::HashMap, os::fd::AsFd, time::Duration};

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use sigtrace_common::record::{Fold, FoldKey, Storm, STORM_PLACES};
use tokio::time::Instant;
use zerocopy::{FromBytes, IntoBytes};

use super::sys::Shared;
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

/// The map `STORMS`, and `FOLDS` for keys whose place there is another's.
pub struct Folds {
    storms: Shared,
    taken: BpfHashMap<MapData, u32, u32>,
    crowded_out: Map,
    told: HashMap<FoldKey, u64>,
    due: Option<Instant>,
}

/// Words of a place of `STORMS`.
const WORDS: usize = size_of::<Storm>() / size_of::<u64>();

/// What is counted of a key: in its place, if it has one, and elsewhere.
struct Count {
    place: Option<u32>,
    crowded_out: bool,
    fold: Fold,
}

impl Folds {
    pub(super) fn new(
        storms: &MapData,
        taken: aya::maps::Map,
        crowded_out: aya::maps::Map,
    ) -> Result<Self, MapError> {
        let places = STORM_PLACES as usize;
        let shared = Shared::writable(storms.fd().as_fd(), places * WORDS);
        Ok(Self {
            storms: shared.map_err(MapError::IoError)?,
            taken: taken.try_into()?,
            crowded_out: crowded_out.try_into()?,
            told: HashMap::new(),
            due: None,
        })
    }

    /// Whether the maps can be looked into.
    pub(super) fn can_look(&self) -> bool {
        let none = [0; size_of::<FoldKey>()];
        matches!(
            self.crowded_out.get(&none, 0),
            Ok(_) | Err(MapError::KeyNotFound)
        )
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
        for (key, count) in self.counts() {
            let told = self.told.entry(key).or_default();
            let more = count.fold.count.saturating_sub(*told);
            *told = count.fold.count;
            if more > 0 {
                let last = BootTime(count.fold.last_ns);
                counted.push(Counted {
                    key,
                    count: more,
                    last,
                });
            } else if !is_alive(key.sender) || !is_alive(key.target) {
                self.give_back(&key, &count);
            }
        }
        self.due = (!counted.is_empty()).then(|| Instant::now() + EVERY);
        counted
    }

    fn counts(&self) -> HashMap<FoldKey, Count> {
        let mut counts = HashMap::new();
        for place in 0..STORM_PLACES {
            let Some((key, fold)) = self.storm(place) else {
                continue;
            };
            let count = Count {
                place: Some(place),
                crowded_out: false,
                fold,
            };
            counts.insert(key, count);
        }
        for entry in self.crowded_out.iter() {
            let Ok((bytes, value)) = entry else { break };
            let (Ok(key), Ok(fold)) = (
                FoldKey::read_from_bytes(&bytes),
                Fold::read_from_bytes(&value),
            ) else {
                continue;
            };
            let count = counts.entry(key).or_insert(Count {
                place: None,
                crowded_out: true,
                fold: Fold::NONE,
            });
            count.crowded_out = true;
            count.fold.count += fold.count;
            count.fold.last_ns = count.fold.last_ns.max(fold.last_ns);
        }
        counts
    }

    fn storm(&self, place: u32) -> Option<(FoldKey, Fold)> {
        let first = place as usize * WORDS;
        // First what says that the rest is there.
        if self.storms.get(first) == 0 {
            return None;
        }
        let words: [u64; WORDS] = std::array::from_fn(|at| self.storms.get(first + at));
        let storm: Storm = zerocopy::transmute!(words);
        Some((storm.key, storm.fold))
    }

    /// For keys that are still to come.
    fn give_back(&mut self, key: &FoldKey, count: &Count) {
        if let Some(place) = count.place {
            // In this order: whoever takes the place finds it empty.
            self.storms.clear(place as usize * WORDS);
            let _ = self.taken.remove(&place);
        }
        let bytes = key.as_bytes().try_into().unwrap_or_default();
        if !count.crowded_out || self.crowded_out.remove(&bytes).is_ok() {
            self.told.remove(key);
        }
    }
}
