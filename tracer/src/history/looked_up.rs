//! What was looked up besides what the kernel side tells: which file a process
//! runs, and what an engine says of its container and does with it. Bounded: the oldest goes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::hash::Map;
use crate::event::{Container, EngineEvent, Home, ProcessKey};

/// Processes whose file is remembered.
pub const PROGRAMS: usize = 1024;
/// Events of an engine that are remembered for a container.
pub const TOLD: usize = 64;
/// Containers that are remembered.
pub const CONTAINERS: usize = 1024;

#[derive(Debug)]
struct Known {
    container: Container,
    /// By the engine's clock.
    told: VecDeque<(u64, EngineEvent)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct LookedUp {
    programs: Map<ProcessKey, Arc<str>>,
    programs_by_age: VecDeque<ProcessKey>,
    containers: Map<Home, Known>,
    containers_by_age: VecDeque<Home>,
}

impl LookedUp {
    /// Which file a process runs.
    pub fn program(&mut self, key: ProcessKey, file: Arc<str>) {
        if self.programs.insert(key, file).is_none() {
            self.programs_by_age.push_back(key);
        }
        if self.programs_by_age.len() > PROGRAMS {
            if let Some(old) = self.programs_by_age.pop_front() {
                self.programs.remove(&old);
            }
        }
    }

    /// The file of a process, where it was seen.
    pub fn program_of(&self, key: ProcessKey) -> Option<&str> {
        self.programs.get(&key).map(AsRef::as_ref)
    }

    /// What is known of a container. An inode is given again: the newest counts.
    pub fn container(&mut self, container: Container) {
        let home = container.home;
        // The same one, better known, keeps what was told of it.
        let told = match self.containers.remove(&home) {
            Some(known) if known.container.id == container.id => Some(known.told),
            Some(_) => Some(VecDeque::new()),
            None => None,
        };
        let first = told.is_none();
        let told = told.unwrap_or_default();
        self.containers.insert(home, Known { container, told });
        if first {
            self.containers_by_age.push_back(home);
        }
        if self.containers_by_age.len() > CONTAINERS {
            if let Some(old) = self.containers_by_age.pop_front() {
                self.containers.remove(&old);
            }
        }
    }

    /// The container that this holds.
    pub fn container_of(&self, home: Home) -> Option<&Container> {
        self.containers.get(&home).map(|known| &known.container)
    }

    /// The start of a process is known exactly.
    pub(super) fn rekey(&mut self, old: ProcessKey, new: ProcessKey) {
        let shared = self.containers.values_mut();
        let shared = shared.filter_map(|known| known.container.shared.as_mut());
        for first in shared.filter_map(|shared| shared.first.as_mut()) {
            if *first == old {
                *first = new;
            }
        }
    }

    /// An engine did something to a container; the event's number.
    pub fn tell(&mut self, id: u64, event: EngineEvent) {
        let Some(known) = self.containers.get_mut(&event.home) else {
            return;
        };
        let after = known
            .told
            .partition_point(|(_, other)| other.at <= event.at);
        known.told.insert(after, (id, event));
        if known.told.len() > TOLD {
            known.told.pop_front();
        }
    }

    /// What an engine did to a container, in the order of its clock.
    pub fn told(&self, home: Home) -> impl Iterator<Item = &(u64, EngineEvent)> {
        self.containers
            .get(&home)
            .into_iter()
            .flat_map(|known| &known.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes() {
        let mut known = LookedUp::default();
        let key = |pid| ProcessKey { pid, start_ns: 1 };
        for pid in 0..=PROGRAMS as u32 {
            known.program(key(pid), "/bin/x".into());
            known.program(key(pid), "/bin/y".into());
        }
        assert_eq!(known.program_of(key(0)), None);
        assert_eq!(known.program_of(key(1)), Some("/bin/y"));
    }
}
