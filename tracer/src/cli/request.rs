//! From the command line to what the kernel side is asked for, with everything
//! checked that can be checked before anything is attached.

use std::env;

use anyhow::{anyhow, Context as _};
use sigtrace_common::filter::{PID_SENDER, PID_TARGET};

use super::{
    args::{Hooks, Refused, TraceArgs},
    cgroup::Cgroup,
    scope::Found,
    Code, Failure,
};
use crate::{
    container,
    event::{printable, PidNs, ProcessKey, HOST_PIDNS},
    explain::words,
    history::filter::{Filter, Roles},
    kernel::{
        attach::Request,
        facts::Facts,
        hooks::{Forced, Refusals, Wish},
        log,
        procfs::Proc,
    },
    output::Scope,
};

/// The host's PID namespace holds everything: it is no scope of its own.
pub fn without_host(args: &TraceArgs, scopes: &[Scope]) -> Result<Vec<Scope>, Failure> {
    let is_host = |scope: &Scope| scope.pidns == HOST_PIDNS && scope.shares.is_none();
    if !scopes.iter().any(is_host) {
        return Ok(scopes.to_vec());
    }
    if args.once {
        return Err(Failure::usage(
            "--once waits for the end of what is traced, and the host's PID namespace has none",
        ));
    }
    Ok(Vec::new())
}

/// Namespaces and processes that are not there are said at once: waiting for
/// an inode or a pid that may never come would look like silence.
pub fn check_targets(
    args: &TraceArgs,
    scopes: &[Scope],
    proc: &Proc,
    facts: &Facts,
) -> Result<(), Failure> {
    let on_host = facts.on_host;
    let pids_given = [&args.pids, &args.from_pids, &args.to_pids];
    if let Some(one) = scopes.iter().find(|one| !on_host && one.shares.is_some()) {
        return Err(Failure::usage(format!(
            "sigtrace runs in a PID namespace of its own, where processes of the host cannot be \
             known, and {} shares its PID namespace with others; run it on the host, or in a \
             container with --pid=host",
            one.label
                .as_deref()
                .map_or("the container".into(), printable)
        )));
    }
    if !on_host && pids_given.iter().any(|list| !list.is_empty()) {
        return Err(Failure::usage(
            "sigtrace runs in a PID namespace of its own, where the host's process ids, \
             which the filters by process take, cannot be known; run it on the host, or in a \
             container with --pid=host",
        ));
    }
    let missing = |what: String| Err(Failure::new(Code::NotFound, anyhow!(what)));
    let pids = proc.pids().context("cannot read /proc")?;
    if !scopes.is_empty() {
        let living: Vec<PidNs> = pids.iter().filter_map(|&pid| proc.pidns(pid)).collect();
        for scope in scopes {
            // A namespace may have members only in namespaces below it, once
            // its own are about to end; that is not worth a second look here.
            if !living.contains(&scope.pidns) {
                let ns = scope.pidns;
                // With the capability only that of the dying is not shown.
                let hidden = match facts.has_ptrace() {
                    true => 0,
                    false => pids.iter().filter(|&&pid| proc.hides_pidns(pid)).count(),
                };
                return Err(match hidden {
                    0 => nobody_in(ns, pids.contains(&ns)),
                    _ => hidden_in(ns, hidden),
                });
            }
        }
    }
    for &pid in pids_given.into_iter().flatten() {
        if pids.contains(&pid) {
            continue;
        }
        return match proc.leader_of(pid) {
            Some(leader) => missing(format!(
                "{pid} is a thread; signals are filtered by process: give {leader}"
            )),
            None => Err(no_process(pid)),
        };
    }
    Ok(())
}

/// What is traced.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What the kernel side is asked for.
    pub request: Request,
    /// The same for the engine, which decides exactly.
    pub filter: Filter,
    /// The cgroups of both.
    pub cgroups: Vec<Cgroup>,
    /// The host's PID namespace was named, and with it everybody.
    pub whole_host: bool,
}

impl Wanted {
    /// A further namespace.
    pub fn also(&mut self, pidns: PidNs) {
        self.request.namespaces.push(pidns);
        self.filter.namespaces.insert(pidns);
    }

    /// The PID 1 of a namespace that a container shares with another one: its end
    /// is that of all in it.
    fn owner(&mut self, pidns: PidNs, proc: &mut Proc) {
        let first = container::first_in(proc.root(), pidns);
        let Some(process) = first.and_then(|pid| proc.process(pid)) else {
            return;
        };
        let ProcessKey { pid, start_ns } = process.task.key;
        self.filter.owners.insert(pid, start_ns);
        let pids = &mut self.request.pids;
        match pids.iter_mut().find(|(known, _)| *known == pid) {
            Some((_, roles)) => *roles |= PID_TARGET,
            None => pids.push((pid, PID_TARGET)),
        }
    }
}

/// Puts together what is traced: whoever one of the flags names.
pub fn of(args: &TraceArgs, found: &Found, proc: &mut Proc) -> Result<Wanted, Failure> {
    let follows = !args.containers.is_empty() && (args.wait || !args.once);
    let mut filter = Filter {
        follows,
        ..Filter::default()
    };
    for scope in &found.scopes {
        filter.trace(scope.home());
    }
    for (pids, sender, target) in [
        (&args.pids, true, true),
        (&args.from_pids, true, false),
        (&args.to_pids, false, true),
    ] {
        for &pid in pids {
            // Its start belongs to it: somebody else may have its pid later.
            let Some(process) = proc.process(pid) else {
                return Err(no_process(pid));
            };
            filter.add(process.task.key, Roles { sender, target });
        }
    }
    let mut cgroups = Vec::new();
    for path in &args.cgroups {
        cgroups.push(Cgroup::named(path)?);
    }
    filter.cgroups = cgroups.iter().map(|cgroup| cgroup.id).collect();
    let mut shared: Vec<_> = (found.scopes.iter())
        .filter(|scope| scope.shares.is_some() && scope.pidns != HOST_PIDNS)
        .map(|scope| scope.pidns)
        .collect();
    cgroups.extend(found.cgroups.iter().cloned());
    let whole_host = filter.namespaces.contains(&HOST_PIDNS);
    if whole_host {
        // It holds everybody, so whoever else is named is traced with all.
        filter = Filter::default();
        cgroups.clear();
        shared.clear();
    }
    let bits = |roles: Roles| {
        let bit = |on: bool, bit| if on { bit } else { 0 };
        bit(roles.sender, PID_SENDER) | bit(roles.target, PID_TARGET)
    };
    let level = env::var(log::VARIABLE).ok();
    let request = Request {
        signals: args.signal_mask(),
        namespaces: filter.namespaces.iter().copied().collect(),
        new_namespaces: filter.follows,
        new_cgroups: filter.follows.then_some(found.newest),
        pids_on_v1: container::pids_on_v1(std::path::Path::new("/proc")),
        cgroups: filter.cgroups.union(&filter.homes).copied().collect(),
        pids: (filter.processes.iter())
            .map(|(&pid, &(_, roles))| (pid, bits(roles)))
            .collect(),
        buffer: args.buffer_bytes(),
        all_stacks: args.path,
        wish: Wish {
            forced: match args.hooks {
                Hooks::Auto => Forced::Auto,
                Hooks::Btf => Forced::Btf,
                Hooks::Raw => Forced::Raw,
                Hooks::Kprobe => Forced::Kprobe,
            },
            refused: match args.refused {
                Refused::Auto => Refusals::Auto,
                Refused::Always => Refusals::Always,
                Refused::Never => Refusals::Never,
            },
        },
        log_level: log::level(level.as_deref()),
    };
    let mut wanted = Wanted {
        request,
        filter,
        cgroups,
        whole_host,
    };
    for pidns in shared {
        wanted.owner(pidns, proc);
    }
    Ok(wanted)
}

/// `process`: there is one with the number of the namespace.
fn nobody_in(pidns: PidNs, process: bool) -> Failure {
    let meant = match process {
        true => format!("; is it a process? Then give /proc/{pidns}/ns/pid"),
        false => String::new(),
    };
    Failure::new(
        Code::NotFound,
        anyhow!(
            "no process lives in the PID namespace {pidns}: it has ended, or the number is wrong; \
             `lsns -t pid` lists those that there are{meant}"
        ),
    )
}

/// Nobody was found in a namespace, but of so many processes it may not be known in
/// which they live.
fn hidden_in(pidns: PidNs, hidden: usize) -> Failure {
    Failure::new(
        Code::CannotTrace,
        anyhow!(
            "the PID namespace {pidns} cannot be found: of {} it may not be read in which PID \
             namespace {}: CAP_SYS_PTRACE is missing; run as root (sudo sigtrace …), or grant CAP_BPF, \
             CAP_PERFMON, CAP_SYS_PTRACE and CAP_SYSLOG",
            words::count(hidden as u64, "process", "processes"),
            if hidden == 1 { "it lives" } else { "they live" }
        ),
    )
}

fn no_process(pid: u32) -> Failure {
    Failure::new(
        Code::NotFound,
        anyhow!("there is no process {pid} on this host"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_may_not_be_seen_is_not_said_to_have_ended() {
        let failure = hidden_in(4_026_532_281, 3);
        assert_eq!(failure.code, Code::CannotTrace);
        let text = failure.error.unwrap().to_string();
        assert!(text.contains("CAP_SYS_PTRACE is missing"), "{text}");
        assert!(!text.contains("has ended"), "{text}");
    }
}
