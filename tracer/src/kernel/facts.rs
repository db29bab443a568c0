//! What this kernel allows, probed once into plain values. Looking at it is
//! here, deciding from it in [`super::hooks`], acting on it in
//! [`super::attach`].

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::{
    hooks::{Facts as HookFacts, Hook, Support},
    refusal, symbols, sys,
    types::{self, Types},
};
use crate::event::HOST_PIDNS;

const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYSLOG: u32 = 34;
const CAP_SYS_PTRACE: u32 = 19;

/// The facts.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// Type information, or why there is none.
    pub types: Result<Types, String>,
    /// `none`, `integrity`, `confidentiality`; `None`: not built in, or
    /// securityfs is not mounted.
    pub lockdown: Option<String>,
    /// Effective capabilities, bit n for capability n. None in a user namespace
    /// of its own: those count only towards what belongs to it
    /// (`user_namespaces(7)`), and the kernel does not.
    pub capabilities: u64,
    /// Kernel addresses have names.
    pub symbols: bool,
    /// `kernel.kptr_restrict`.
    pub kptr_restrict: Option<u32>,
    /// This process lives in the host's PID namespace.
    pub on_host: bool,
    /// Ring buffers exist (5.8).
    pub ring_buffer: Support,
    /// Kernel stacks can be followed from a kretprobe (5.15).
    pub follows_kretprobes: bool,
    /// Which pointers BTF-typed programs can have.
    pub typed: Pointers,
    /// What the choice of hooks is made from.
    pub hooks: HookFacts,
}

/// Typed pointers, which can be loaded through without a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointers {
    /// The current task: `bpf_get_current_task_btf`, since Linux 5.11.
    pub current: bool,
    /// The registers of its system call: `bpf_task_pt_regs`, since Linux 5.15.
    pub registers: bool,
}

impl Facts {
    /// Looks.
    pub fn probe() -> Self {
        sys::large_blocks_apart(256 << 10);
        let (types, functions) = types::read(Path::new(types::PATH));
        let capabilities = if in_first_user_namespace() {
            capabilities()
        } else {
            0
        };
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // `#1 SMP PREEMPT_DYNAMIC Debian …`
        let build = fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
        let preemptible = build.contains("PREEMPT");
        let facts = Self {
            release: release.trim().to_owned(),
            lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
                .ok()
                .and_then(|text| lockdown(&text).map(str::to_owned)),
            capabilities,
            symbols: symbols::are_visible(Path::new("/proc/kallsyms")),
            kptr_restrict: fs::read_to_string("/proc/sys/kernel/kptr_restrict")
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            on_host: fs::metadata("/proc/self/ns/pid")
                .is_ok_and(|ns| ns.ino() == u64::from(HOST_PIDNS)),
            ring_buffer: Support::Yes,
            follows_kretprobes: release_at_least(&release, 5, 15),
            typed: Pointers {
                current: release_at_least(&release, 5, 11),
                registers: release_at_least(&release, 5, 15),
            },
            hooks: HookFacts {
                tp_btf: Support::Yes,
                fentry: Support::Yes,
                kprobe: kprobes(Path::new("/sys/bus/event_source/devices/kprobe/type")),
                functions,
                // Since Linux 7 tracepoints call their programs with preemption on,
                // and since 6.13 (lazy preemption) distributions' kernels really
                // preempt them; no type and no file tells.
                preempts_tracepoints: release_at_least(&release, 7, 0),
                preempts_functions: release_at_least(&release, 6, 13) && preemptible,
                refused: Vec::new(),
            },
            types,
        };
        if facts.may_load() {
            facts.tried()
        } else {
            facts
        }
    }

    /// With what only trying tells.
    fn tried(self) -> Self {
        let lockdown = self.lockdown.as_deref();
        let ids = self.types.as_ref().map_or(&[][..], |types| &types.ids);
        let typed = |tracepoint| typed(ids, tracepoint, lockdown);
        Self {
            ring_buffer: ring_buffer(),
            hooks: HookFacts {
                tp_btf: typed(true),
                fentry: typed(false),
                ..self.hooks
            },
            ..self
        }
    }

    /// Has this capability.
    fn has(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 == 1
    }

    /// Capabilities that loading needs and this process lacks.
    pub fn missing_capabilities(&self) -> Vec<&'static str> {
        if self.has(CAP_SYS_ADMIN) {
            return Vec::new();
        }
        [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
            .into_iter()
            .filter(|&(capability, _)| !self.has(capability))
            .map(|(_, name)| name)
            .collect()
    }

    /// Programs may be loaded.
    pub fn may_load(&self) -> bool {
        self.missing_capabilities().is_empty()
    }

    /// May see kernel addresses under `kptr_restrict=1`.
    pub fn has_syslog(&self) -> bool {
        self.has(CAP_SYSLOG)
    }

    /// May read the namespaces of other users' processes.
    pub fn has_ptrace(&self) -> bool {
        self.has(CAP_SYS_PTRACE)
    }
}

/// Whether this process is in the user namespace that the machine started with
/// (`PROC_USER_INIT_INO`).
fn in_first_user_namespace() -> bool {
    const FIRST: u64 = 0xeffffffd;
    fs::metadata("/proc/self/ns/user").map_or(true, |ns| ns.ino() == FIRST)
}

/// Whether BTF-typed programs may be loaded, tried with one that does nothing:
/// it costs microseconds, loading the real ones a tenth of a second. Only the
/// refusal of the whole sort is told here; what is wrong with one hook is seen
/// when that is attached.
fn typed(ids: &[(Hook, u32)], tracepoint: bool, lockdown: Option<&str>) -> Support {
    let kind = if tracepoint {
        sys::Typed::Tracepoint
    } else {
        sys::Typed::Function
    };
    let of_kind = |(hook, _): &&(Hook, u32)| hook.is_tracepoint() == tracepoint;
    match ids.iter().find(of_kind) {
        None => Support::No("the kernel's types name no such place".into()),
        Some(&(_, id)) => match sys::load_nothing(kind, id) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                Support::No(refusal::denied(lockdown))
            }
            _ => Support::Yes,
        },
    }
}

fn capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_capabilities(&status)
}

fn effective_capabilities(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

/// `none [integrity] confidentiality`.
fn lockdown(text: &str) -> Option<&str> {
    text.split_once('[')?
        .1
        .split_once(']')
        .map(|(state, _)| state)
}

fn kprobes(pmu: &Path) -> Support {
    if pmu.exists() {
        Support::Yes
    } else {
        Support::No("this kernel has no kprobes".into())
    }
}

/// By what `uname -r` says; a release that says nothing is taken for a new one.
fn release_at_least(release: &str, major: u32, minor: u32) -> bool {
    let mut numbers = release.split(['.', '-', '+']).map(str::parse::<u32>);
    let mut number = || numbers.next().and_then(Result::ok);
    match (number(), number()) {
        (Some(a), Some(b)) => (a, b) >= (major, minor),
        _ => true,
    }
}

fn ring_buffer() -> Support {
    match aya::sys::is_map_supported(aya::maps::MapType::RingBuf) {
        Ok(true) => Support::Yes,
        Ok(false) => {
            Support::No("this kernel has no BPF ring buffer (it came with Linux 5.8)".into())
        }
        Err(error) => Support::No(format!("a BPF ring buffer cannot be made: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        assert_eq!(
            lockdown("none [integrity] confidentiality\n"),
            Some("integrity")
        );
        assert_eq!(lockdown(""), None);
        assert_eq!(
            effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"),
            0x1ff_ffff_ffff
        );
        assert_eq!(effective_capabilities("CapEff:\tzz"), 0);
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(!release_at_least("6.18.15+deb13-cloud-amd64", 7, 0));
        assert!(release_at_least("6.18.15+deb13-cloud-amd64", 6, 13));
        assert!(!release_at_least("6.1.0-56-cloud-amd64", 6, 13));
        assert!(release_at_least("10.0-rc1", 7, 0));
        assert!(release_at_least("", 7, 0));
    }
}
