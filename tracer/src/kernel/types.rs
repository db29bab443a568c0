//! What the kernel's type information is wanted for: offsets of fields, numbers
//! of arguments, and the ids by which programs are attached. Parsing it is
//! [`super::btf`]'s.

use std::{fs, path::Path};

use sigtrace_common::layout::{Layout, ABSENT};

use super::{btf::Btf, hooks::Hook};

/// Where the kernel's own type information is.
pub const PATH: &str = "/sys/kernel/btf/vmlinux";

/// The numbers of the controllers of cgroups.
pub(super) const CONTROLLERS: &str = "cgroup_subsys_id";
/// Size of a pointer, in bytes.
const POINTER: u32 = 8;

/// Fields that a kernel may lack: what they tell is told less well without
/// them. Without any other, identities or fates would be wrong.
const OPTIONAL_FIELDS: [&str; 94] = [
    "task_pdeath_signal",
    "task_last_siginfo",
    "siginfo_signo",
    "task_queue",
    "signal_shared_queue",
    "sigqueue_list",
    "sigqueue_info",
    "task_exit_signal",
    "task_real_blocked",
    "task_mm",
    "task_pid_links",
    "task_prio",
    "task_cfs_rq",
    "cfs_rq_throttle_count",
    "signal_pids",
    "pid_tasks",
    "task_cgroups",
    "signal_core_state",
    "mm_core_state",
    "css_set_dfl_cgrp",
    "css_set_subsys",
    "css_cgroup",
    "cgroup_parent",
    "cgroup_kn",
    "kernfs_name",
    "signal_rlim",
    "cred_user",
    "user_sigpending",
    "cred_ucounts",
    "ucounts_rlimit",
    "ucounts_sigpending",
    "memory_cgrp_id",
    "css_parent",
    "memcg_css",
    "memcg_usage",
    "memcg_max",
    "oom_memcg",
    "oom_chosen",
    "oom_total",
    "oom_constraint",
    "mm_maple",
    "maple_leaf_type",
    "maple_arange_type",
    "maple_range_pivot",
    "maple_range_slot",
    "maple_arange_pivot",
    "maple_arange_slot",
    "mm_rb",
    "vma_rb",
    "rb_left",
    "rb_right",
    "vma_start",
    "vma_end",
    "vma_pgoff",
    "vma_file",
    "file_inode",
    "file_dentry",
    "dentry_name",
    "dentry_parent",
    "inode_ino",
    "inode_sb",
    "sb_dev",
    "task_cred",
    "cred_euid",
    "cred_suid",
    "cred_cap_effective",
    "cred_user_ns",
    "userns_inum",
    "userns_level",
    "userns_parent",
    "userns_owner",
    "regs_first",
    "regs_second",
    "regs_third",
    "regs_fourth",
    "regs_number",
    "regs_segment",
    "regs_stack_segment",
    "regs_size",
    "task_stack",
    "task_status",
    "task_policy",
    "task_nsproxy",
    "nsproxy_children",
    "pidns_allocated",
    "pidns_parent",
    "pidns_level",
    "pidns_max",
    "pids_css",
    "pids_counter",
    "pids_limit",
    "clone_flags",
    "user_processes",
    "ucounts_nproc",
];

/// What the kernel's type information says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types {
    /// Size of the file in bytes.
    pub bytes: usize,
    /// Offsets.
    pub layout: Layout,
    /// Names of fields that this kernel does not have.
    pub absent: Vec<&'static str>,
    /// `sched_process_exit` has the argument `group_dead`.
    pub exit_group_dead: bool,
    /// Number of arguments of `dequeue_signal`.
    pub dequeue_args: u32,
    /// Where a `css_set` has the state of the `pids` controller.
    pub css_set_pids: Option<u32>,
    /// The ids by which BTF-typed programs are attached.
    pub ids: Vec<(Hook, u32)>,
}

impl Types {
    /// Fields that are absent and cannot be done without.
    pub fn missing(&self) -> Vec<&'static str> {
        self.absent
            .iter()
            .copied()
            .filter(|field| !OPTIONAL_FIELDS.contains(field))
            .collect()
    }
}

/// Type information and the hookable functions that it names.
pub(super) fn read(path: &Path) -> (Result<Types, String>, Vec<(Hook, u32)>) {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return (
                Err(format!("cannot read {}: {error}", path.display())),
                Vec::new(),
            )
        }
    };
    let names = Hook::ALL.map(Hook::type_name);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let btf = match Btf::parse(&bytes, &names) {
        Ok(btf) => btf,
        Err(error) => return (Err(format!("{}: {error}", path.display())), Vec::new()),
    };
    let functions = Hook::ALL
        .into_iter()
        .filter(|hook| !hook.is_tracepoint())
        .filter_map(|hook| Some((hook, btf.arguments(hook.name())?)))
        .collect();
    let mut layout = btf.layout();
    let absent = layout
        .fields_mut()
        .into_iter()
        .zip(Layout::PATHS)
        .filter_map(|(offset, (name, _))| (*offset == ABSENT).then_some(*name))
        .collect();
    let pids = btf.enumerator(CONTROLLERS, "pids_cgrp_id");
    let known = (layout.css_set_subsys != ABSENT && layout.css_cgroup != ABSENT)
        .then_some(layout.css_set_subsys);
    let types = Types {
        css_set_pids: known.zip(pids).map(|(at, pids)| at + pids * POINTER),
        bytes: bytes.len(),
        layout,
        absent,
        exit_group_dead: btf
            .tracepoint_arguments("sched_process_exit")
            .is_some_and(|n| n > 1),
        dequeue_args: btf.arguments(Hook::DequeueSignal.name()).unwrap_or(0),
        ids: Hook::ALL
            .into_iter()
            .filter_map(|hook| Some((hook, id(&btf, hook)?)))
            .collect(),
    };
    (Ok(types), functions)
}

fn id(btf: &Btf<'_>, hook: Hook) -> Option<u32> {
    let name = hook.type_name();
    if hook.is_tracepoint() {
        btf.typedef(&name)
    } else {
        btf.function(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_type_information_says_where_it_was_looked_for() {
        let (types, functions) = read(Path::new("/nonexistent/vmlinux"));
        assert!(types.unwrap_err().contains("/nonexistent/vmlinux"));
        assert!(functions.is_empty());
    }

    #[test]
    fn every_optional_field_exists_in_the_table() {
        for field in OPTIONAL_FIELDS {
            assert!(
                Layout::PATHS.iter().any(|(name, _)| *name == field),
                "{field}"
            );
        }
    }
}
