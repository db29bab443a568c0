//! What was told last of each kind, for what the kernel side counts later. Bounded: of
//! too many the oldest is forgotten.

use std::collections::VecDeque;
use std::hash::Hash;

use crate::history::hash::Map;

/// How many kinds are remembered.
const KEPT: usize = 1024;

/// By kind. `None`: it concerns nobody who is traced.
#[derive(Debug)]
pub(super) struct Recent<Kind, Told> {
    last: Map<Kind, Option<Told>>,
    age: VecDeque<Kind>,
}

impl<Kind, Told> Default for Recent<Kind, Told> {
    fn default() -> Self {
        Self {
            last: Map::default(),
            age: VecDeque::new(),
        }
    }
}

impl<Kind: Copy + Eq + Hash, Told> Recent<Kind, Told> {
    pub(super) fn get(&self, kind: &Kind) -> Option<&Option<Told>> {
        self.last.get(kind)
    }

    pub(super) fn put(&mut self, kind: Kind, told: Option<Told>) {
        if self.last.insert(kind, told).is_some() {
            return;
        }
        self.age.push_back(kind);
        if self.age.len() > KEPT {
            if let Some(oldest) = self.age.pop_front() {
                self.last.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_kind_is_forgotten() {
        let mut recent = Recent::default();
        for kind in 0..=KEPT {
            recent.put(kind, Some(kind));
            recent.put(1, None);
        }
        assert_eq!(recent.get(&0), None);
        assert_eq!(recent.get(&1), Some(&None));
        assert_eq!(recent.get(&KEPT), Some(&Some(KEPT)));
        assert_eq!((recent.last.len(), recent.age.len()), (KEPT, KEPT));
    }
}
