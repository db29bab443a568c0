//! Gives up what only the start needed. A trace reads text that others wrote for
//! as long as it runs; whoever finds a fault in that finds little to abuse.
//!
//! What the start needs: CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) to load and
//! attach, CAP_SYSLOG to open `/proc/kallsyms`, CAP_SYS_RESOURCE for the memory of
//! maps before 5.11. What goes on without any: the mapped ring buffer, open files,
//! detaching (the kernel closes descriptors), and everything that belongs to the
//! user that sigtrace runs as. So root still asks root's engines at their sockets;
//! the socket of another user's engine (rootless Podman) takes CAP_DAC_OVERRIDE, which
//! is kept where such an engine is listened to.

use std::fs;

use caps::{errors::CapsError, CapSet, Capability, CapsHashSet};

use super::{error::KernelError, ring::Ring, sys};

/// What the rest of a trace needs.
const KEPT: [Capability; 2] = [
    // /proc/PID/ns and exe of others, even of root's that may do more than we do then,
    // and all that ptrace(2) guards; all of /proc where it is mounted with hidepid.
    Capability::CAP_SYS_PTRACE,
    // /proc/PID/fd, environ and others that only their owner may open.
    Capability::CAP_DAC_READ_SEARCH,
];

/// What bpf(2) asks for before Linux 6.0 even to look into a map of one's own,
/// where `kernel.unprivileged_bpf_disabled` is set; best first.
const TO_LOOK: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_SYS_ADMIN];

/// Gives up all that this process may do and a running trace need not. Counts of
/// lost events can still be looked up in `ring` afterwards, and with `engines_of_others`
/// the sockets of other users' engines be connected to.
pub fn give_up(ring: &Ring, engines_of_others: bool) -> Result<(), KernelError> {
    reduce(engines_of_others, || ring.can_count()).map_err(KernelError::Privileges)?;
    sys::no_new_privileges().map_err(KernelError::NoNewPrivileges)
}

/// Gives up everything, and takes little of what anybody may have: for a process that
/// reads what somebody wrote who means harm.
pub fn keep_nothing() -> Result<(), KernelError> {
    let limits = [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_FSIZE, 0),
        (libc::RLIMIT_NOFILE, 32),
        (libc::RLIMIT_CPU, 2),
        (libc::RLIMIT_DATA, 256 << 20),
        (libc::RLIMIT_AS, 2 << 30),
    ];
    sys::nice(0);
    // Nor need the OOM killer spare it, as it does who made it.
    let _ = fs::write("/proc/self/oom_score_adj", "0");
    for (resource, most) in limits {
        sys::limit(resource, most).map_err(KernelError::NoNewPrivileges)?;
    }
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        caps::clear(None, set).map_err(KernelError::Privileges)?;
    }
    sys::no_new_privileges().map_err(KernelError::NoNewPrivileges)
}

fn reduce(engines_of_others: bool, can_look: impl Fn() -> bool) -> Result<(), CapsError> {
    let own = caps::read(None, CapSet::Permitted)?;
    let mut kept = kept(&own, engines_of_others);
    caps::set(None, CapSet::Effective, &kept)?;
    for capability in TO_LOOK {
        if can_look() {
            break;
        }
        if own.contains(&capability) {
            kept.insert(capability);
            caps::set(None, CapSet::Effective, &kept)?;
        }
    }
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Permitted, &kept)
}

fn kept(own: &CapsHashSet, engines_of_others: bool) -> CapsHashSet {
    let to_connect = engines_of_others.then_some(Capability::CAP_DAC_OVERRIDE);
    let wanted = KEPT.into_iter().chain(to_connect);
    wanted.filter(|kept| own.contains(kept)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_that_was_not_there() {
        let root = caps::all();
        assert_eq!(kept(&root, false), KEPT.into_iter().collect());
        assert!(kept(&root, true).contains(&Capability::CAP_DAC_OVERRIDE));
        let granted = CapsHashSet::from([Capability::CAP_BPF, Capability::CAP_SYS_PTRACE]);
        let expected = CapsHashSet::from([Capability::CAP_SYS_PTRACE]);
        assert_eq!(kept(&granted, true), expected);
    }
}
