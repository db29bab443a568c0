//! Why tracing cannot begin: what is missing, what that prevents, what to do.

/// What went wrong between the kernel and us.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Built without the eBPF toolchain.
    #[error("this sigtrace was built without its kernel programs and cannot trace; build it with `cargo xtask build`")]
    NoPrograms,
    /// Not allowed to load programs.
    #[error("not permitted to trace: {} {} missing; run as root (sudo sigtrace …), or grant CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_SYSLOG; root of a user namespace (a rootless container, unshare -U) has them only there, and that does not count", .0.join(" and "), if .0.len() == 1 { "is" } else { "are" })]
    NoPermission(Vec<&'static str>),
    /// No type information.
    #[error("this kernel does not describe its own types ({0}), and without them no kernel structure can be read; it takes a kernel built with CONFIG_DEBUG_INFO_BTF=y (distributions have it since about 2020)")]
    NoTypes(String),
    /// Type information lacks what everything else hangs on.
    #[error("this kernel's types have no {}; sigtrace does not know this kernel, please report it with `sigtrace doctor -o json`", .0.join(", "))]
    UnknownKernel(Vec<&'static str>),
    /// Too old.
    #[error("{0}; sigtrace needs Linux 5.8 or later")]
    NoRingBuffer(String),
    /// Reading kernel memory is forbidden.
    #[error("kernel lockdown is in the mode `confidentiality`, which forbids BPF programs to read kernel memory; boot with lockdown=integrity or none")]
    Lockdown,
    /// A hook that everything hangs on cannot be had.
    #[error("cannot attach {hook}, without which {lost}: {why}")]
    Hook {
        /// Its name.
        hook: &'static str,
        /// What is lost.
        lost: &'static str,
        /// Why.
        why: String,
    },
    /// The object file could not be loaded.
    #[error("cannot load the kernel programs")]
    Load(#[source] Box<aya::EbpfError>),
    /// A map is not as expected.
    #[error("cannot use the map {0} of the kernel programs")]
    Map(&'static str, #[source] Box<aya::maps::MapError>),
    /// Too many values for a filter.
    #[error("too many values for {0}: at most {max}", max = sigtrace_common::filter::ENTRIES)]
    TooMany(&'static str),
    /// Losses cannot be counted.
    #[error("cannot map the counts of lost events, or read what the kernel says of the programs")]
    Losses(#[source] std::io::Error),
    /// The ring buffer cannot be waited for.
    #[error("cannot wait for the ring buffer")]
    Wait(#[source] std::io::Error),
    /// Capabilities cannot be given up.
    #[error("cannot give up the privileges that only the start needed; a sandbox that forbids capset(2)?")]
    Privileges(#[source] caps::errors::CapsError),
    /// Programs that it starts might gain privileges.
    #[error("cannot set PR_SET_NO_NEW_PRIVS")]
    NoNewPrivileges(#[source] std::io::Error),
    /// `/proc` cannot be read.
    #[error("cannot read /proc")]
    Proc(#[source] std::io::Error),
}
