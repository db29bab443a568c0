//! What this kernel allows, as values; `kernel` finds it out and
//! `cli::doctor` shows it.

use serde::Serialize;

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Release of the kernel.
    pub kernel: String,
    /// What was looked at: BTF, lockdown, capabilities, symbols, ….
    pub checks: Vec<Check>,
    /// Each hook with the level that will be used.
    pub hooks: Vec<HookLine>,
    /// One line.
    pub verdict: String,
    /// Whether the main job can be done.
    pub can_trace: bool,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `BTF`, `lockdown`.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// What was seen: `/sys/kernel/btf/vmlinux, 5.1 MB`.
    pub detail: String,
    /// What is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All is there.
    Ok,
    /// Something is lost, the main job is done.
    Degraded,
    /// Without it the main job cannot be done.
    Missing,
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookLine {
    /// `signal_generate`.
    pub hook: String,
    /// `tp_btf`; `None`: it cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// What is lost with this level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}
