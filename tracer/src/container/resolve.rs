//! From a name to a container: a pure function over what the engines listed
//! ([`super::engine`]) and what the host shows ([`super::host`]). What is
//! wrong is a [`ResolveError`]; its words are [`super::error`]'s.
//!
//! A whole id wins over a name, a name over the beginning of an id, as with
//! `docker inspect`. Where several are called so, the only one that runs is
//! meant.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    engine::{Details, Engine, EngineError, Listed},
    error::{Problem, ResolveError, Row, Shared},
    host::{Found, Host, Namespace},
    Container, Hierarchy, Shares,
};
use crate::{
    event::{PidNs, HOST_PIDNS},
    explain::signals,
    nearest::nearest,
};

/// Fewest characters of an id that are taken for one.
pub const PREFIX: usize = 4;

/// What Docker and Podman wait where nothing is configured (Podman says so
/// itself, Docker's inspection leaves it out).
const USUAL_TIMEOUT_S: u64 = 10;

/// Everything that was found out before names are resolved.
#[derive(Debug, Default)]
pub struct Survey {
    /// What the engines say.
    pub engines: Vec<Engine>,
    /// Engines that could not be asked.
    pub failed: Vec<Arc<EngineError>>,
    /// Sockets that were looked for.
    pub looked_at: Vec<String>,
    /// What the host shows.
    pub host: Host,
}

/// How well a name fits, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Beginning,
    Name,
    Id,
}

/// How well a name fits a container.
pub(super) fn fit(wanted: &str, id: &str, name: Option<&str>) -> Option<Fit> {
    let lower = wanted.to_ascii_lowercase();
    if id == lower {
        return Some(Fit::Id);
    }
    if name == Some(wanted) {
        return Some(Fit::Name);
    }
    (lower.len() >= PREFIX && id.starts_with(&lower)).then_some(Fit::Beginning)
}

/// Whether the name may mean this container.
pub fn may_mean(wanted: &str, listed: &Listed) -> bool {
    fit(wanted, &listed.id, listed.name.as_deref()).is_some()
}

/// A container, from both sides.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    id: &'a str,
    name: Option<&'a str>,
    engine: Option<&'a str>,
    socket: Option<&'a str>,
    state: &'a str,
    details: Option<&'a Details>,
    found: Option<&'a Found>,
}

impl<'a> Candidate<'a> {
    fn runs(&self) -> bool {
        let said = match self.details {
            Some(details) => details.pid.is_some(),
            None => matches!(self.state, "running" | "paused" | "stopping"),
        };
        said || self.found.is_some()
    }

    fn row(&self) -> Row {
        Row {
            name: self.name.map(str::to_owned),
            id: self.id.to_owned(),
            engine: self.engine.map(str::to_owned),
            runs: self.runs(),
        }
    }

    /// Its PID namespace, and whose that is besides.
    fn pidns(&self, survey: &Survey) -> Result<(PidNs, Option<Shares>), Box<Problem>> {
        // What an engine says of processes is checked: it may live in a
        // virtual machine, and its answer may be old.
        let pid = self.details.and_then(|details| details.pid);
        let process = pid.and_then(|pid| survey.host.processes.get(&pid));
        let process = process.filter(|process| match &process.container {
            Some(container) => container == self.id,
            None => process.first,
        });
        let nested = process.and_then(|process| process.nested);
        let found = self.found.map(|found| &found.namespace);
        let mode = self.details.map_or("", |details| &details.pid_mode);
        if mode == "host" {
            return self.shares(Shared::Host, HOST_PIDNS);
        }
        if let Some(other) = mode.strip_prefix("container:") {
            let with = Shared::Container(name_of(survey, other));
            return match (nested, found) {
                (Some(ns), _) | (None, Some(&(Namespace::Own(ns) | Namespace::Of(_, ns)))) => {
                    self.shares(with, ns)
                }
                // That other one may share the host's.
                (None, Some(Namespace::Host)) => self.shares(Shared::Host, HOST_PIDNS),
                (None, Some(Namespace::Unknown)) => Err(Problem::Unreadable(self.row()).into()),
                (None, None) => Err(Problem::Elsewhere(self.row(), pid).into()),
            };
        }
        match (process, found) {
            (_, Some(Namespace::Of(other, ns))) => {
                self.shares(Shared::Container(name_of(survey, other)), *ns)
            }
            (Some(_), namespace) => match (nested, namespace) {
                (Some(ns), _) | (None, Some(&Namespace::Own(ns))) => Ok((ns, None)),
                (None, Some(Namespace::Unknown)) => Err(Problem::Unreadable(self.row()).into()),
                (None, _) => self.shares(Shared::Host, HOST_PIDNS),
            },
            (None, Some(&Namespace::Own(ns))) => Ok((ns, None)),
            // Its engine knows of no process yet: that is the runtime.
            (None, Some(Namespace::Host)) if self.details.is_some() => {
                Err(Box::new(Problem::NotRunning {
                    row: self.row(),
                    created: true,
                    exit_code: None,
                }))
            }
            (None, Some(Namespace::Host)) => self.shares(Shared::Host, HOST_PIDNS),
            (None, Some(Namespace::Unknown)) => Err(Problem::Unreadable(self.row()).into()),
            (None, None) => Err(Problem::Elsewhere(self.row(), pid).into()),
        }
    }

    /// It is told by its cgroup, if it has one that it can be told by.
    fn shares(&self, with: Shared, ns: PidNs) -> Result<(PidNs, Option<Shares>), Box<Problem>> {
        match self.found {
            Some(found) if found.hierarchy != Hierarchy::Other => {
                let shares = Shares {
                    with,
                    cgroup: found.cgroup.clone(),
                    hierarchy: found.hierarchy,
                    id: 0,
                    first: None,
                };
                Ok((ns, Some(shares)))
            }
            found => Err(Box::new(Problem::Shares {
                row: self.row(),
                with,
                cgroup: found.map(|found| found.cgroup.display().to_string()),
            })),
        }
    }

    /// Its first process. An engine may be wrong about it.
    fn first(&self, survey: &Survey) -> Option<u32> {
        let said = self.details.and_then(|details| details.pid);
        let is_its = |pid: &u32| {
            let process = survey.host.processes.get(pid);
            process.is_some_and(|process| process.container.as_deref() == Some(self.id))
        };
        let oldest = self.found.map(|found| found.oldest);
        said.filter(is_its).or(oldest)
    }
}

/// What people call the container with this id or name.
fn name_of(survey: &Survey, other: &str) -> String {
    let mut all = survey.engines.iter().flat_map(|engine| &engine.containers);
    let name = all
        .find(|one| one.id == other)
        .and_then(|one| one.name.clone());
    let monitored = || survey.host.containers.get(other)?.name.clone();
    name.or_else(monitored).unwrap_or_else(|| {
        let id = other.len() == 64 && other.is_ascii();
        if id { &other[..12] } else { other }.to_owned()
    })
}

/// Both sides together. An engine that answers at two sockets is one.
fn candidates(survey: &Survey) -> Vec<Candidate<'_>> {
    let mut all = BTreeMap::new();
    for engine in &survey.engines {
        for listed in &engine.containers {
            all.entry(listed.id.as_str()).or_insert(Candidate {
                id: &listed.id,
                name: listed.name.as_deref(),
                engine: Some(&engine.kind),
                socket: Some(&engine.socket),
                state: &listed.state,
                details: listed.details.as_ref(),
                found: survey.host.containers.get(&listed.id),
            });
        }
    }
    for (id, found) in &survey.host.containers {
        all.entry(id.as_str()).or_insert(Candidate {
            id,
            name: found.name.as_deref(),
            engine: found.engine,
            socket: None,
            state: "",
            details: None,
            found: Some(found),
        });
    }
    all.into_values().collect()
}

/// The running container that is called so.
pub fn resolve(survey: &Survey, wanted: &str) -> Result<Container, Box<ResolveError>> {
    let error = |problem| {
        Box::new(ResolveError {
            wanted: wanted.to_owned(),
            problem,
            failed: survey.failed.clone(),
        })
    };
    let all = candidates(survey);
    let fits = |one: &Candidate| fit(wanted, one.id, one.name);
    let best = all.iter().filter_map(fits).max();
    let mut meant: Vec<_> = all
        .iter()
        .filter(|one| best.is_some() && fits(one) == best)
        .collect();
    let running: Vec<_> = meant.iter().filter(|one| one.runs()).copied().collect();
    if running.len() == 1 {
        meant = running;
    }
    let one = match meant.as_slice() {
        [] => {
            let names = all.iter().filter_map(|one| one.name.map(str::to_owned));
            return Err(error(Problem::Unknown {
                nearest: nearest(wanted, names),
                running: rows(&all.iter().filter(|one| one.runs()).collect::<Vec<_>>()),
                no_engine: survey.engines.is_empty().then(|| survey.looked_at.clone()),
            }));
        }
        [one] => one,
        _ => return Err(error(Problem::Ambiguous(rows(&meant)))),
    };
    if !one.runs() {
        return Err(error(Problem::NotRunning {
            row: one.row(),
            created: matches!(one.state, "created" | "configured" | "initialized"),
            exit_code: one.details.and_then(|details| details.exit_code),
        }));
    }
    let (pidns, shares) = one.pidns(survey).map_err(|problem| error(*problem))?;
    Ok(Container {
        id: one.id.to_owned(),
        name: one.name.map(str::to_owned),
        engine: one.engine.map(str::to_owned),
        pidns,
        pid: match shares {
            Some(_) => one.first(survey),
            None => one.details.and_then(|details| details.pid),
        },
        shares,
        socket: one.socket.map(str::to_owned),
        stop_signal: one.details.and_then(stop_signal),
        stop_timeout_s: one.details.map(stop_timeout),
    })
}

impl Container {
    /// What its engine says of its stops.
    pub fn learn(&mut self, details: &Details) {
        self.stop_signal = stop_signal(details);
        self.stop_timeout_s = Some(stop_timeout(details));
    }
}

fn stop_timeout(details: &Details) -> u64 {
    details.stop_timeout_s.unwrap_or(USUAL_TIMEOUT_S)
}

/// Engines have it as a name or a number, or not, where nothing is configured.
fn stop_signal(details: &Details) -> Option<i32> {
    match &details.stop_signal {
        Some(text) => signals::parse(text),
        None => Some(signals::TERM),
    }
}

/// For people: by name, those without at the end.
fn rows(candidates: &[&Candidate]) -> Vec<Row> {
    let mut rows: Vec<Row> = candidates.iter().map(|one| one.row()).collect();
    rows.sort_by(|a, b| {
        (a.name.is_none(), &a.name, &a.id).cmp(&(b.name.is_none(), &b.name, &b.id))
    });
    rows
}
