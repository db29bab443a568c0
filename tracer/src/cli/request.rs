//! From the command line to what the kernel side is asked for, with everything
//! checked that can be checked before anything is attached.

use std::{
    collections::HashMap,
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{anyhow, Context as _};
use sigtrace_common::filter::{PID_SENDER, PID_TARGET};

use super::{
    args::{Hooks, TraceArgs},
    Code, Failure,
};
use crate::{
    event::PidNs,
    kernel::{attach::Request, facts::HOST_PIDNS, hooks::Forced, log, procfs::Proc},
    output::Scope,
};

/// Where the cgroup v2 hierarchy is: alone, or beside those of cgroup v1.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// A namespace that holds everything is no limit: without the host's.
pub fn without_host(args: &TraceArgs, scopes: Vec<Scope>) -> Result<Vec<Scope>, Failure> {
    if !scopes.iter().any(|scope| scope.pidns == HOST_PIDNS) {
        return Ok(scopes);
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
    on_host: bool,
) -> Result<(), Failure> {
    let pids_given = [&args.pids, &args.from_pids, &args.to_pids];
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
                return missing(format!(
                    "no process lives in the PID namespace {}: it has ended, or the number is wrong; \
                     `lsns -t pid` lists those that there are",
                    scope.pidns
                ));
            }
        }
    }
    for &pid in pids_given.into_iter().flatten() {
        if pids.contains(&pid) {
            continue;
        }
        return missing(match proc.leader_of(pid) {
            Some(leader) => {
                format!("{pid} is a thread; signals are filtered by process: give {leader}")
            }
            None => format!("there is no process {pid} on this host"),
        });
    }
    Ok(())
}

/// What the kernel side is asked for.
pub fn of(args: &TraceArgs, scopes: &[Scope]) -> Result<Request, Failure> {
    let mut pids: HashMap<u32, u32> = HashMap::new();
    for (list, bits) in [
        (&args.pids, PID_TARGET | PID_SENDER),
        (&args.from_pids, PID_SENDER),
        (&args.to_pids, PID_TARGET),
    ] {
        for &pid in list {
            *pids.entry(pid).or_default() |= bits;
        }
    }
    let level = env::var(log::VARIABLE).ok();
    Ok(Request {
        signals: args.signal_mask(),
        namespaces: scopes.iter().map(|scope| scope.pidns).collect(),
        cgroups: args
            .cgroups
            .iter()
            .map(|path| cgroup_id(path, CGROUPS.map(Path::new)))
            .collect::<Result<_, _>>()?,
        pids: pids.into_iter().collect(),
        buffer: args.buffer_bytes(),
        forced: match args.hooks {
            Hooks::Auto => Forced::Auto,
            Hooks::Btf => Forced::Btf,
            Hooks::Raw => Forced::Raw,
            Hooks::Kprobe => Forced::Kprobe,
        },
        log_level: log::level(level.as_deref()),
    })
}

/// The inode of a cgroup's folder, which is its id in the kernel. A path as
/// `/proc/PID/cgroup` has it counts from the root of the hierarchy.
fn cgroup_id(path: &Path, roots: [&Path; 2]) -> Result<u64, Failure> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let below = roots.map(|root| root.join(below));
    let whole = path.starts_with(roots[0]);
    let is_v2 = |folder: &&PathBuf| folder.join("cgroup.controllers").exists();
    let folder = match below.iter().find(is_v2) {
        _ if whole => path,
        Some(folder) => folder,
        None => &below[0],
    };
    let usage = |error: anyhow::Error| Failure::new(Code::Usage, error);
    let metadata = fs::metadata(folder)
        .with_context(|| format!("there is no cgroup {}", folder.display()))
        .map_err(usage)?;
    if !folder.join("cgroup.procs").exists() || !folder.join("cgroup.controllers").exists() {
        return Err(usage(anyhow!(
            "{} is no folder of the cgroup v2 hierarchy (cgroup v1 has one tree per controller; \
             filter by --pidns there)",
            folder.display()
        )));
    }
    Ok(metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_found_alone_and_beside_those_of_version_1() {
        let root = env::temp_dir().join(format!("sigtrace-cgroups-{}", std::process::id()));
        let (v1, v2) = (root.join("docker/x"), root.join("unified/docker/x"));
        for (folder, files) in [(&v1, 1), (&v2, 2)] {
            fs::create_dir_all(folder).unwrap();
            for file in ["cgroup.procs", "cgroup.controllers"].iter().take(files) {
                fs::write(folder.join(file), "").unwrap();
            }
        }
        let unified = root.join("unified");
        let id = |path: &Path| cgroup_id(path, [&root, &unified]);
        let wanted = fs::metadata(&v2).unwrap().ino();
        assert_eq!(id(Path::new("/docker/x")).unwrap(), wanted);
        assert_eq!(id(&v2).unwrap(), wanted);
        // Said so, not taken for another.
        assert_eq!(id(&v1).unwrap_err().code, Code::Usage);
        assert_eq!(id(Path::new("/docker/y")).unwrap_err().code, Code::Usage);
        fs::write(v1.join("cgroup.controllers"), "").unwrap();
        let alone = fs::metadata(&v1).unwrap().ino();
        assert_eq!(id(Path::new("docker/x")).unwrap(), alone);
        fs::remove_dir_all(&root).unwrap();
    }
}
