//! Where senders and targets come from: what the kernel side tells of their cgroups
//! once, kept and put into each signal that names them, with the names that engines
//! have for containers. What a cgroup's name means is decided in
//! [`container::origin_of`].

use std::{collections::HashMap, hash::Hash, sync::Arc};

use sigtrace_common::record::PLACES;

use crate::{
    container,
    event::{CgroupId, Fact, Origin, Whereabouts},
};

/// So many are kept at least: more than the kernel side remembers having told.
const KEPT: usize = 4 * PLACES as usize;

/// A map that forgets what was not used for long.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Origins {
    places: Recent<CgroupId, Option<Arc<Origin>>>,
    names: Recent<String, String>,
}

impl Origins {
    /// With what engines call their containers, by id.
    pub(super) fn new(names: Vec<(String, String)>) -> Self {
        let mut origins = Self::default();
        for (id, name) in names {
            origins.named(id, name);
        }
        origins
    }

    /// An engine tells what a container is called.
    pub(super) fn named(&mut self, id: String, name: String) {
        self.names.insert(id, name);
    }

    /// Takes in what a cgroup is called, and completes what names it.
    pub(super) fn look(&mut self, fact: &mut Fact) {
        match fact {
            Fact::Place { id, names } => {
                let origin = container::origin_of(names).map(Arc::new);
                self.places.insert(*id, origin);
            }
            Fact::Signal(signal) => {
                let signal = Arc::make_mut(signal);
                self.find(&mut signal.places.current);
                self.find(&mut signal.places.target);
            }
            Fact::Refused(refused) => self.find(&mut refused.at),
            _ => {}
        }
    }

    /// What the cgroups tell. Where there are both hierarchies each may know more: a
    /// container may be told by the one, and a session by the other.
    fn find(&mut self, at: &mut Whereabouts) {
        let known = at.cgroups.map(|id| self.places.get(&id).cloned().flatten());
        // Of equal ones that of cgroup v2.
        let origin = known.into_iter().flatten().rev().max_by_key(|it| it.kind());
        at.origin = origin.map(|origin| self.with_name(origin));
    }

    fn with_name(&mut self, mut origin: Arc<Origin>) -> Arc<Origin> {
        let id = origin.container.as_ref().map(|container| &container.id);
        let name = id.and_then(|id| self.names.get(id)).cloned();
        if let Some(name) = name {
            if let Some(container) = &mut Arc::make_mut(&mut origin).container {
                container.name = Some(name);
            }
        }
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::OriginKind;

    fn place(id: CgroupId, path: &str) -> Fact {
        let names = path.split('/').rev().map(str::to_owned).collect();
        Fact::Place { id, names }
    }

    fn find(origins: &mut Origins, cgroups: [CgroupId; 2]) -> Option<Arc<Origin>> {
        let mut at = Whereabouts {
            cgroups,
            origin: None,
        };
        origins.find(&mut at);
        at.origin
    }

    #[test]
    fn what_tells_more_counts() {
        let id = "ab".repeat(32);
        let mut origins = Origins::new(vec![(id.clone(), "web".to_owned())]);
        for mut fact in [
            place(1, "system.slice/cron.service"),
            place(2, &format!("docker/{id}")),
            place(3, "nothing"),
        ] {
            origins.look(&mut fact);
        }
        let kind = |origin: Option<Arc<Origin>>| origin.and_then(|origin| origin.kind());
        assert_eq!(kind(find(&mut origins, [1, 0])), Some(OriginKind::Unit));
        assert_eq!(kind(find(&mut origins, [3, 1])), Some(OriginKind::Unit));
        assert_eq!(find(&mut origins, [3, 0]), None);
        assert_eq!(find(&mut origins, [4, 0]), None, "never told");
        for cgroups in [[1, 2], [2, 1]] {
            let container = find(&mut origins, cgroups).unwrap().container.clone();
            let container = container.unwrap();
            assert_eq!(container.name.as_deref(), Some("web"));
            assert_eq!(container.id, id);
        }
        // A name that comes later.
        origins.named(id, "www".to_owned());
        let container = find(&mut origins, [2, 0]).unwrap().container.clone();
        assert_eq!(container.unwrap().name.as_deref(), Some("www"));
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut origins = Origins::default();
        let tell = |origins: &mut Origins, id| {
            origins.look(&mut place(id, "system.slice/x.service"));
        };
        tell(&mut origins, 1);
        tell(&mut origins, 2);
        for id in 3..3 * KEPT as u64 {
            tell(&mut origins, id);
            assert!(find(&mut origins, [1, 0]).is_some(), "{id}");
        }
        assert_eq!(find(&mut origins, [2, 0]), None);
        let kept = origins.places.young.len() + origins.places.old.len();
        assert!(kept <= 2 * KEPT, "{kept}");
    }
}
