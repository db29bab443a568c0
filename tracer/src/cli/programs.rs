//! Which files the senders of signals run, looked up in `/proc` when the signal
//! comes in: a container runtime is recognized by that rather than by its name.
//! Each process is looked up once; what it means is decided in
//! `explain::runtime`.

use std::{collections::HashSet, sync::Arc};

use crate::{
    event::{Ancestor, ProcessKey, Task},
    kernel::procfs::Proc,
};

/// So many are remembered as looked up.
const KNOWN: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Programs {
    known: HashSet<ProcessKey>,
}

impl Programs {
    /// The files of the sender and those behind it, where the signal came from
    /// outside of the target's PID namespace, or of the cgroup that its container is
    /// told by. A runtime lives for milliseconds
    /// and is often gone; those behind it stay.
    pub(super) fn behind(
        &mut self,
        by: &Task,
        ancestry: &[Ancestor],
        target: &Task,
        proc: &Proc,
    ) -> Vec<(ProcessKey, Arc<str>)> {
        let beside = target.cgroup.is_some() && target.cgroup != by.cgroup;
        let own = target.pidns();
        let outside = beside || own.is_some_and(|ns| !by.namespaces.contains(&ns));
        // Routine signals come without; they are not worth it.
        if !outside || ancestry.is_empty() {
            return Vec::new();
        }
        if self.known.len() > KNOWN {
            self.known.clear();
        }
        let ancestors = ancestry.iter().map(|ancestor| ancestor.key);
        // The kernel's own threads and the host's first process say nothing.
        let keys = std::iter::once(by.key)
            .chain(ancestors)
            .filter(|key| key.pid > 2);
        let mut found = Vec::new();
        for key in keys {
            if self.known.insert(key) {
                found.extend(proc.program(key).map(|file| (key, file.into())));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, os::unix::fs::symlink};

    use super::*;
    use crate::event::Comm;

    #[test]
    fn each_is_looked_up_once_and_only_by_its_identity() {
        let root = env::temp_dir().join(format!("sigtrace-programs-{}", std::process::id()));
        for (pid, file) in [
            (50, "/usr/bin/runc"),
            (900, "/usr/bin/containerd-shim-runc-v2"),
        ] {
            let folder = root.join(pid.to_string());
            fs::create_dir_all(&folder).unwrap();
            symlink(file, folder.join("exe")).unwrap();
            let stat = format!("{pid} (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 50 0");
            fs::write(folder.join("stat"), stat).unwrap();
        }
        let proc = Proc::new(&root);
        let key = |pid, start_ns| ProcessKey { pid, start_ns };
        let task = |key, namespaces: &[u32]| Task {
            key,
            tid: 0,
            ppid: 0,
            uid: 0,
            flags: 0,
            comm: Comm::from("x"),
            ns_pids: namespaces.iter().map(|_| 1).collect(),
            namespaces: namespaces.into(),
            cgroup: None,
        };
        let (runc, one) = (task(key(50, 500_000_000), &[]), task(key(60, 1), &[7]));
        let behind = |of| {
            [key(900, of), key(1, 1)].map(|key| Ancestor {
                key,
                comm: Comm::from("x"),
            })
        };
        let mut programs = Programs::default();
        let found = programs.behind(&runc, &behind(500_000_001), &one, &proc);
        let files: Vec<_> = found.iter().map(|(key, file)| (key.pid, &**file)).collect();
        assert_eq!(
            files,
            [
                (50, "/usr/bin/runc"),
                (900, "/usr/bin/containerd-shim-runc-v2")
            ]
        );
        assert_eq!(
            programs.behind(&runc, &behind(500_000_001), &one, &proc),
            []
        );
        // Another process with that pid.
        assert_eq!(
            programs.behind(&runc, &behind(600_000_000), &one, &proc),
            []
        );
        // Routine signals, and those from inside.
        let mut none = Programs::default();
        assert_eq!(none.behind(&runc, &[], &one, &proc), []);
        let inside = task(runc.key, &[7, 8]);
        assert_eq!(none.behind(&inside, &behind(500_000_000), &one, &proc), []);
        fs::remove_dir_all(&root).unwrap();
    }
}
