//! Who is the same process. Facts from `/proc` have a start rounded to the clock
//! tick, so a start within [`SAME_START_NS`] of the same pid's is the same
//! process; the exact one replaces it. They are joined here and nowhere else:
//! whoever compares keys asks for the one that is used ([`History::resolve`]).

use super::process::Process;
use super::History;
use crate::event::{Comm, PidNs, ProcessKey, Task, TICK_NS};

/// Starts that differ by less are the same process, if one of them is from
/// `/proc/PID/stat`, which counts in ticks ([`TICK_NS`]). Two exact ones are not:
/// whoever restores processes chooses their pids, and at once.
pub const SAME_START_NS: u64 = 20_000_000;
pub(crate) fn same_start(known: u64, other: u64) -> bool {
    let rounded = known.is_multiple_of(TICK_NS) || other.is_multiple_of(TICK_NS);
    rounded && known.abs_diff(other) < SAME_START_NS
}

impl History {
    /// The key under which a process is kept.
    pub fn resolve(&self, key: ProcessKey) -> ProcessKey {
        if self.processes.contains_key(&key) {
            return key;
        }
        match self.by_pid.get(&key.pid) {
            Some(&known) if same_start(known.start_ns, key.start_ns) => known,
            _ => key,
        }
    }

    /// A fact names a process: it is known from now on.
    pub fn see(&mut self, task: &Task, exact: bool) -> &mut Process {
        let known = self.resolve(task.key);
        if exact && known != task.key && self.processes.get(&known).is_some_and(|p| !p.exact) {
            self.rekey(known, task.key);
        }
        let key = self.resolve(task.key);
        if !self.processes.contains_key(&key) {
            self.insert(key, task, exact);
        }
        let process = &self.processes[&key];
        if exact && process.exit.is_none() && process.task.cgroup != task.cgroup {
            self.moved(key, task.cgroup);
        }
        let process = self.processes.get_mut(&key).expect("it was just put there");
        if exact && process.exit.is_none() {
            process.exact = true;
            process.task.comm = task.comm;
            process.task.uid = task.uid;
            process.task.ppid = task.ppid;
            process.task.cgroup = task.cgroup;
        }
        process
    }

    /// Something shows what a process is called by now (`PR_SET_NAME` leaves no record of
    /// its own); the dead keep their last name.
    pub fn called_now(&mut self, key: ProcessKey, comm: Comm) {
        let process = self.process_mut(key).filter(|p| p.exit.is_none());
        if let Some(process) = process {
            process.task.comm = comm;
        }
    }

    fn insert(&mut self, key: ProcessKey, task: &Task, exact: bool) {
        if let Some(old) = self.by_pid.insert(key.pid, key) {
            self.replaced(old, key);
        }
        let mut task = task.clone();
        task.key = key;
        let open = |ns: &PidNs| !self.filter.is_closed(*ns, key);
        let own = task.pidns().filter(|ns| task.is_pid1() && open(ns));
        let namespaces: Vec<_> = task.namespaces.iter().copied().filter(open).collect();
        if let Some(ns) = own {
            self.renew(ns, key);
        }
        for ns in namespaces {
            self.namespaces.entry(ns).or_default().alive += 1;
        }
        if let Some(ns) = own {
            self.namespaces.entry(ns).or_default().pid1 = Some(key);
        }
        self.moved(key, task.cgroup);
        self.processes
            .insert(key, Box::new(Process::new(task, exact)));
    }

    /// A start that was rounded becomes exact.
    fn rekey(&mut self, old: ProcessKey, new: ProcessKey) {
        let Some(mut process) = self.processes.remove(&old) else {
            return;
        };
        process.task.key = new;
        process.exact = true;
        self.looked_up.rekey(old, new);
        for ns in &process.task.namespaces {
            if let Some(ns) = self.namespaces.get_mut(ns) {
                if ns.pid1 == Some(old) {
                    ns.pid1 = Some(new);
                }
            }
        }
        self.by_pid.insert(new.pid, new);
        if process.exit.is_none() && !process.reaped {
            self.moved(old, None);
            self.moved(new, process.task.cgroup);
        }
        self.processes.insert(new, process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rounded_starts_are_the_same_by_and_large() {
        assert!(same_start(4_807_030_000_000, 4_807_031_234_567));
        assert!(!same_start(4_807_030_000_000, 4_807_051_234_567));
        assert!(!same_start(4_807_168_043_142, 4_807_176_525_597));
    }
}
