//! Which container is meant: from a name on the command line to a PID
//! namespace. [`socket`] knows where engines listen, [`engine`] asks them,
//! [`events`] hears what they do with it later, [`listener`] tells whether one is there,
//! [`host`] reads `/proc` (which works without any engine, by id), and
//! [`resolve`](resolve::resolve) decides, purely, or says in [`error`] why
//! not. The programs of engines are recognized in `explain::runtime`.
//!
//! It waits for [`engine::PATIENCE`], longer only for an engine that alone may
//! know a name, and believes no engine: ids
//! and process ids are checked, text is only shown.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::event::{self, CgroupId, Home, PidNs, ProcessKey};

mod cgroup;
pub mod engine;
pub mod error;
pub mod events;
pub mod follow;
pub mod host;
pub mod listener;
mod origin;
pub mod overlooked;
pub mod resolve;
pub mod socket;
#[cfg(test)]
mod tests;

pub use cgroup::{container_in, container_of, Hierarchy, Named};
pub use error::{ResolveError, Shared};
pub use host::{first_in, pid1_of, pids_on_v1};
pub use origin::origin_of;

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Its name, where its engine was asked.
    pub name: Option<String>,
    /// Its engine, by its own word or by the cgroup's name.
    pub engine: Option<String>,
    /// Its PID namespace, or the one that it shares.
    pub pidns: PidNs,
    /// What is to be known where it shares that with others.
    pub shares: Option<Shares>,
    /// Its first process on the host, by its engine's word or its age.
    pub pid: Option<u32>,
    /// The socket of the engine that was asked.
    pub socket: Option<String>,
    /// The signal that a stop begins with, by its engine's word.
    pub stop_signal: Option<i32>,
    /// How long a stop waits before it kills, by its engine's word.
    pub stop_timeout_s: Option<u64>,
}

/// A PID namespace that a container shares: the container is told by its cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Whose it is.
    pub with: Shared,
    /// The container's cgroup, from the root of its hierarchy.
    pub cgroup: PathBuf,
    /// Which hierarchy that is.
    pub hierarchy: Hierarchy,
    /// The cgroup's id; 0 until it is looked up.
    pub id: CgroupId,
    /// The container's first process and its name, once it is looked up.
    pub first: Option<(ProcessKey, String)>,
}

impl Container {
    /// Whether this text may name it.
    pub fn is_called(&self, text: &str) -> bool {
        resolve::fit(text, &self.id, self.name.as_deref()).is_some()
    }

    /// What holds it.
    pub fn home(&self) -> Home {
        match &self.shares {
            Some(shares) => Home::Cgroup(shares.id),
            None => Home::PidNs(self.pidns),
        }
    }

    /// What explanations need of it.
    pub fn fact(&self) -> event::Container {
        let grace = |seconds: u64| seconds.saturating_mul(1_000_000_000);
        let shared = |shares: &Shares| event::Shared {
            pidns: (shares.with != Shared::Host).then_some(self.pidns),
            owner: match &shares.with {
                Shared::Host => None,
                Shared::Container(name) => Some(name.as_str().into()),
            },
            first: shares.first.as_ref().map(|(key, _)| *key),
        };
        event::Container {
            home: self.home(),
            shared: self.shares.as_ref().map(shared),
            id: self.id.clone(),
            engine: self.engine.clone(),
            stop_signal: self.stop_signal,
            grace_ns: self.stop_timeout_s.map(grace),
            told: self.socket.is_some(),
        }
    }
}

/// Containers that were found, each once, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The containers.
    pub containers: Vec<Container>,
    /// Names of which no container runs, where those are waited for.
    pub waiting: Vec<String>,
    /// What could not be found out, a sentence each.
    pub notes: Vec<String>,
    /// What the engines that were asked call their containers, by id.
    pub names: Vec<(String, String)>,
}

/// So many times the patience for an engine that alone may know a name: Podman looks
/// at each container before it lists them.
const MORE: u32 = 30;
/// The same where the name is waited for anyway, and others are to be traced.
const WAITING: u32 = 5;
/// The same where all have been found, and it could have others of the same names.
const OTHERS: u32 = 3;

/// Finds the running containers of these names; those of which none runs are an
/// error, or with `wait` something to wait for. Where an engine is late with what
/// it alone knows, a name or how a container is stopped, it is asked again with
/// more patience: a busy host is the one that people have questions about.
pub async fn find(
    proc: &Path,
    mut sockets: socket::Sockets,
    names: &[String],
    wait: bool,
    patience: Duration,
) -> Result<Resolved, Box<ResolveError>> {
    let failed: Vec<_> = sockets.failed.drain(..).map(Arc::new).collect();
    let mut survey = survey(proc, &sockets, names, patience).await;
    if lacks(&survey, names) {
        let more = match (are_known(&survey, names), wait) {
            (true, _) => OTHERS,
            (false, true) => WAITING,
            (false, false) => MORE,
        };
        survey = self::survey(proc, &sockets, names, patience * more).await;
    }
    survey.failed.splice(0..0, failed);
    let mut resolved = Resolved::default();
    for name in names {
        let container = match resolve::resolve(&survey, name) {
            Ok(container) => container,
            Err(error) if wait && error.problem.may_pass() => {
                resolved.waiting.push(name.clone());
                continue;
            }
            Err(error) => return Err(error),
        };
        if resolved
            .containers
            .iter()
            .all(|other| other.id != container.id)
        {
            resolved.containers.push(container);
        }
    }
    let note = |error: &Arc<engine::EngineError>| {
        let why = error::chain(error.as_ref());
        format!("{why}; its containers are known by id alone, and by name where conmon runs them (one of the same name may be among them)")
    };
    let listed = survey.engines.iter().flat_map(|engine| &engine.containers);
    let named = listed.filter_map(|one| Some((one.id.clone(), one.name.clone()?)));
    resolved.names = named.collect();
    resolved.notes = survey.failed.iter().map(note).collect();
    Ok(resolved)
}

/// Whether each of these runs, and another engine could only have one of the same name.
fn are_known(survey: &resolve::Survey, names: &[String]) -> bool {
    names.iter().all(|name| {
        let found = resolve::resolve(survey, name).ok();
        let is = |one: &&engine::Listed| found.as_ref().is_some_and(|found| found.id == one.id);
        let mut listed = survey.engines.iter().flat_map(|engine| &engine.containers);
        listed.find(is).is_some_and(|one| one.details.is_some())
    })
}

/// Whether an engine that needs more time may know more of these: their name,
/// that another container has the same, or how they are stopped.
fn lacks(survey: &resolve::Survey, names: &[String]) -> bool {
    let is_late = |error: &Arc<engine::EngineError>| matches!(error.cause, engine::Cause::Late(_));
    let is_id = |name: &String| match resolve::resolve(survey, name) {
        Ok(found) => found.id.starts_with(&name.to_ascii_lowercase()),
        Err(error) => !matches!(error.problem, error::Problem::Unknown { .. }),
    };
    let mut listed = survey.engines.iter().flat_map(|engine| &engine.containers);
    let is_wanted = |one: &&engine::Listed| names.iter().any(|name| resolve::may_mean(name, one));
    survey.failed.iter().any(is_late) && !names.iter().all(is_id)
        || listed.any(|one| is_wanted(&one) && one.details.is_none())
}

async fn survey(
    proc: &Path,
    sockets: &socket::Sockets,
    names: &[String],
    patience: Duration,
) -> resolve::Survey {
    let wanted = {
        let names = names.to_vec();
        move |listed: &engine::Listed| names.iter().any(|name| resolve::may_mean(name, listed))
    };
    let (engines, failed) = engine::ask_all(sockets, wanted, patience).await;
    let containers = engines.iter().flat_map(|engine| &engine.containers);
    let pids: Vec<u32> = containers
        .filter_map(|listed| listed.details.as_ref()?.pid)
        .collect();
    let place = |path: &std::path::PathBuf| path.display().to_string();
    resolve::Survey {
        engines,
        failed: failed.into_iter().map(Arc::new).collect(),
        looked_at: sockets.looked_at.iter().map(place).collect(),
        host: host::Host::scan(proc, &pids),
    }
}
