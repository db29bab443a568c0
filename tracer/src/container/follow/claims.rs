//! How it becomes known which container something is.

use super::*;

impl Follow {
    /// Somebody runs a program: which container the cgroup belongs to, by its name.
    /// Whether that is one that is waited for may become known by it. `runtime`: it
    /// is one, on its way into the container.
    pub fn placed(
        &mut self,
        time: BootTime,
        task: &Task,
        runtime: bool,
        cgroup: &str,
        container: Option<(String, Option<&'static str>)>,
    ) -> Option<Claim> {
        let own = task.pidns().filter(|_| task.is_pid1()).map(Home::PidNs);
        let is_held = |home: &Home| matches!(self.spaces.get(home), Some(Space::Held(held)) if held.first.key == task.key);
        let own = own.filter(is_held);
        if let (Some(inner), Some(id)) = (own, task.cgroup) {
            if self.made_inside(Home::Cgroup(id), task) {
                self.merge(inner, Home::Cgroup(id));
                return None;
            }
        }
        if let Some(home) = own {
            if let (Home::PidNs(ns), Some(id)) = (home, task.cgroup) {
                self.cgroup_of.insert(ns, id);
                // What was seen in it is its runtime's.
                self.forget(Home::Cgroup(id));
            }
            if let Some(Space::Held(held)) = self.spaces.get_mut(&home) {
                held.id = container.or(held.id.take());
            }
            return self.settle(home);
        }
        let home = Home::Cgroup(task.cgroup?);
        if let Some(Space::Held(held)) = self.spaces.get_mut(&home) {
            held.id = container.or(held.id.take());
            cgroup.clone_into(&mut held.cgroup);
            if !runtime {
                held.runs.get_or_insert(time);
            }
        }
        self.settle(home)
    }

    /// The same of a container that has joined a PID namespace which is traced already: it
    /// is known from then on. What it did before is told as that namespace's.
    pub fn joined(
        &mut self,
        time: BootTime,
        task: &Task,
        runtime: bool,
        cgroup: &str,
        container: Option<(String, Option<&'static str>)>,
    ) -> Option<Claim> {
        let home = Home::Cgroup(task.cgroup?);
        container.as_ref()?;
        if !self.spaces.contains_key(&home) {
            self.hold(home, task);
        }
        if let Some(Space::Held(held)) = self.spaces.get_mut(&home) {
            // What came before from outside was its runtime on the way in.
            if held.first.pidns() != task.pidns() {
                held.first = task.clone();
                self.kept -= held.facts.len();
                held.facts.clear();
            }
        }
        self.placed(time, task, runtime, cgroup, container)
    }

    /// Whether a PID 1 is the child of a program that runs in this cgroup: it was not
    /// a runtime that made its namespace.
    pub(super) fn made_inside(&self, cgroup: Home, pid1: &Task) -> bool {
        let Some(Space::Held(held)) = self.spaces.get(&cgroup) else {
            return false;
        };
        let is_parent =
            |fact: &Fact| matches!(fact, Fact::Exec { task, .. } if task.key.pid == pid1.ppid);
        held.facts.iter().any(|(_, fact)| is_parent(fact))
    }

    /// A namespace is part of what its cgroup holds.
    pub(super) fn merge(&mut self, namespace: Home, cgroup: Home) {
        self.waiting.retain(|&waiting| waiting != namespace);
        let then = self.then(Place::Held(namespace));
        let Some(Space::Held(inner)) = self.spaces.remove(&namespace) else {
            return;
        };
        if let Some(Space::Held(held)) = self.spaces.get_mut(&cgroup) {
            held.facts.extend(inner.facts);
            held.keys.extend(inner.keys);
            held.dropped += inner.dropped;
        }
        let now = self.then(Place::Held(cgroup));
        self.likes.moved(then, now);
        self.like_forks.moved(then, now);
    }

    /// Cgroups in which a program runs for a while and no PID 1 came.
    pub fn ripen(&mut self, now: BootTime) -> Vec<Claim> {
        let mut ripe = Vec::new();
        for (&home, space) in &mut self.spaces {
            if let Space::Held(held) = space {
                let since = held.runs.filter(|_| !held.ripe);
                if since.is_some_and(|since| now.0.saturating_sub(since.0) >= ALONE_NS) {
                    held.ripe = true;
                    ripe.push(home);
                }
            }
        }
        let claims = ripe.into_iter().filter_map(|home| self.settle(home));
        claims.collect()
    }

    /// What a container is called, where its engine has told.
    pub fn name_of(&self, id: &str) -> Option<&str> {
        self.names.get(id).map(|name| name.name.as_str())
    }

    /// An engine tells a name.
    pub fn named(&mut self, name: Name) -> Vec<Claim> {
        let id = name.id.clone();
        if self.names.insert(id.clone(), name).is_none() {
            self.names_by_age.push_back(id.clone());
        }
        if self.names_by_age.len() > NAMES {
            if let Some(old) = self.names_by_age.pop_front() {
                self.names.remove(&old);
            }
        }
        let is = |space: &Space| matches!(space, Space::Held(held) if held.id.as_ref().is_some_and(|(of, _)| *of == id));
        let all = self.spaces.iter().filter(|(_, space)| is(space));
        let all: Vec<Home> = all.map(|(&home, _)| home).collect();
        let claims = all.into_iter().filter_map(|home| self.settle(home));
        claims.collect()
    }

    /// An engine tells of a container that is not traced yet.
    pub fn told(&mut self, told: Told) {
        self.told.push_back(told);
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
    }

    pub(super) fn settle(&mut self, home: Home) -> Option<Claim> {
        let Some(Space::Held(held)) = self.spaces.get(&home) else {
            return None;
        };
        let ripe = held.ripe;
        let (id, engine) = held.id.clone()?;
        let name = self.names.get(&id);
        let fits = |one: &Wanted| fit(&one.text, &id, name.map(|name| name.name.as_str()));
        let best: Option<Fit> = self.wanted.iter().filter_map(fits).max();
        if best.is_none() {
            // Without a name it may still be the one.
            if name.is_some() || !self.engines {
                self.forget(home);
            }
            return None;
        }
        let again = |one: &Wanted| !(self.once && one.found);
        if !self
            .wanted
            .iter()
            .any(|one| fits(one).is_some() && again(one))
        {
            self.forget(home);
            return None;
        }
        if !ripe {
            return None;
        }
        let (name, socket) = name.cloned().map(|one| (one.name, one.socket)).unzip();
        for wanted in &mut self.wanted {
            wanted.found |= fit(&wanted.text, &id, name.as_deref()).is_some();
        }
        let then = self.then(Place::Held(home));
        let held = self.forget(home)?;
        let ours = Then {
            place: Place::Ours,
            first: None,
        };
        self.likes.moved(then, ours);
        self.like_forks.moved(then, ours);
        let first = match home {
            Home::PidNs(_) => held.first,
            Home::Cgroup(_) => first_of(&held),
        };
        let after = if held.over && matches!(home, Home::PidNs(_)) {
            Space::Other
        } else {
            // Of a cgroup nothing comes after its end.
            let pid1 = matches!(home, Home::PidNs(_)).then_some(first.key);
            Space::Ours(pid1)
        };
        self.spaces.insert(home, after);
        let (of_it, other) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|told| told.container == id);
        self.told = other;
        let (pidns, shares) = match home {
            Home::PidNs(ns) => (ns, None),
            Home::Cgroup(cgroup) => {
                let shares = Shares {
                    with: match first.pidns() {
                        None => Shared::Host,
                        Some(_) => Shared::Container("another container".to_owned()),
                    },
                    cgroup: PathBuf::from(&held.cgroup),
                    hierarchy: match cgroup & CGROUP_V1 {
                        0 => Hierarchy::Unified,
                        _ => Hierarchy::Pids,
                    },
                    id: cgroup,
                    first: Some((first.key, first.comm.to_string())),
                };
                (first.pidns().unwrap_or(HOST_PIDNS), Some(shares))
            }
        };
        Some(Claim {
            container: Container {
                id,
                name,
                engine: engine.map(str::to_owned),
                pidns,
                shares,
                pid: Some(first.key.pid),
                socket,
                stop_signal: None,
                stop_timeout_s: None,
            },
            first,
            cgroup: held.cgroup,
            facts: held.facts,
            dropped: held.dropped,
            told: VecDeque::into(of_it),
        })
    }
}

/// The first process of a container that is held by its cgroup: of those that ran a
/// program in it, the first that is there still, or that ended last. A runtime is in it
/// too, and gone when the container runs.
fn first_of(held: &Held) -> Task {
    let ended: Vec<ProcessKey> = (held.facts.iter())
        .filter_map(|(_, fact)| match fact {
            Fact::Exit { task, .. } => Some(task.key),
            _ => None,
        })
        .collect();
    let runs = held.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::Exec { task, .. } if !is_runtime(task.comm, None) => Some(task),
        _ => None,
    });
    let end = |task: &Task| ended.iter().position(|key| *key == task.key);
    let last = |task: &&Task| end(task).unwrap_or(usize::MAX);
    // Of those that are there the first, and that is the last among equal ones.
    let all: Vec<&Task> = runs.collect();
    let first = all.into_iter().rev().max_by_key(last);
    let mut first = first.unwrap_or(&held.first).clone();
    // A program's name is set after its first steps.
    for (_, fact) in &held.facts {
        match fact {
            Fact::Placed { task, .. } | Fact::Exit { task, .. } if task.key == first.key => {
                first.comm = task.comm;
            }
            Fact::Fork { parent: task, .. } if task.key == first.key => first.comm = task.comm,
            _ => {}
        }
    }
    first
}
