//! Where the fields of kernel structs lie.
//!
//! The loader fills [`Layout`] from the running kernel's BTF before the
//! programs are loaded; the programs read it as a read-only global that the
//! verifier knows to be constant.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The value of a field that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

macro_rules! layout {
    ($($(#[$doc:meta])* $field:ident = [$($path:literal),+];)+) => {
        /// Byte offsets, [`ABSENT`] where the running kernel has no such field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
        #[repr(C)]
        pub struct Layout {
            $($(#[$doc])* pub $field: u32,)+
        }

        impl Layout {
            /// A layout in which nothing is known.
            pub const EMPTY: Self = Self { $($field: ABSENT,)+ };

            /// Every field with the paths it may be found at, the first that
            /// exists wins: `struct.member.member`, `sizeof struct`, or the value
            /// of `enum type.name`.
            pub const PATHS: &'static [(&'static str, &'static [&'static str])] =
                &[$((stringify!($field), &[$($path),+]),)+];

            /// The fields in the order of [`PATHS`](Self::PATHS).
            pub fn fields_mut(&mut self) -> [&mut u32; Self::PATHS.len()] {
                [$(&mut self.$field,)+]
            }
        }
    };
}

layout! {
    /// `pid_t pid`: the thread's id.
    task_pid = ["task_struct.pid"];
    /// `pid_t tgid`: the process's id.
    task_tgid = ["task_struct.tgid"];
    /// `char comm[16]`.
    task_comm = ["task_struct.comm"];
    /// `unsigned int flags`: `PF_*`.
    task_flags = ["task_struct.flags"];
    /// Scheduler state; renamed in 5.14.
    task_state = ["task_struct.__state", "task_struct.state"];
    /// `int exit_state`.
    task_exit_state = ["task_struct.exit_state"];
    /// `int exit_code`.
    task_exit_code = ["task_struct.exit_code"];
    /// `int exit_signal`.
    task_exit_signal = ["task_struct.exit_signal"];
    /// `int pdeath_signal`.
    task_pdeath_signal = ["task_struct.pdeath_signal"];
    /// `u64 start_boottime`; `real_start_time` before 5.5.
    task_start = ["task_struct.start_boottime", "task_struct.real_start_time"];
    /// `unsigned int ptrace`.
    task_ptrace = ["task_struct.ptrace"];
    /// `kernel_siginfo_t *last_siginfo`: what a traced thread has stopped for.
    task_last_siginfo = ["task_struct.last_siginfo"];
    /// `struct task_struct *group_leader`.
    task_group_leader = ["task_struct.group_leader"];
    /// `struct task_struct *real_parent`.
    task_real_parent = ["task_struct.real_parent"];
    /// `struct task_struct *parent`: who is told when it dies: a tracer, or else the former.
    task_parent = ["task_struct.parent"];
    /// `struct pid *thread_pid`.
    task_thread_pid = ["task_struct.thread_pid"];
    /// `struct signal_struct *signal`.
    task_signal = ["task_struct.signal"];
    /// `struct sighand_struct *sighand`.
    task_sighand = ["task_struct.sighand"];
    /// `sigset_t blocked`.
    task_blocked = ["task_struct.blocked"];
    /// `sigset_t real_blocked`.
    task_real_blocked = ["task_struct.real_blocked"];
    /// `sigset_t pending.signal`.
    task_pending = ["task_struct.pending.signal"];
    /// `struct list_head pending.list`.
    task_queue = ["task_struct.pending.list"];
    /// `const struct cred *real_cred`.
    task_real_cred = ["task_struct.real_cred"];
    /// `struct css_set *cgroups`.
    task_cgroups = ["task_struct.cgroups"];
    /// `struct list_head thread_node`.
    task_thread_node = ["task_struct.thread_node"];
    /// `struct mm_struct *mm`.
    task_mm = ["task_struct.mm"];
    /// `struct hlist_node pid_links[]`: by sort of id.
    task_pid_links = ["task_struct.pid_links"];
    /// `int prio`: below 100 the CPU quota of fair scheduling does not hold.
    task_prio = ["task_struct.prio"];
    /// `struct cfs_rq *se.cfs_rq`: the queue of its group on its CPU.
    task_cfs_rq = ["task_struct.se.cfs_rq"];
    /// `int throttle_count`: of the group and those around it.
    cfs_rq_throttle_count = ["cfs_rq.throttle_count"];
    /// `unsigned int flags`: `SIGNAL_*`.
    signal_flags = ["signal_struct.flags"];
    /// `int group_exit_code`.
    signal_group_exit_code = ["signal_struct.group_exit_code"];
    /// `sigset_t shared_pending.signal`.
    signal_shared_pending = ["signal_struct.shared_pending.signal"];
    /// `struct list_head shared_pending.list`.
    signal_shared_queue = ["signal_struct.shared_pending.list"];
    /// `struct list_head list`: of an entry of a queue.
    sigqueue_list = ["sigqueue.list"];
    /// `kernel_siginfo_t info`.
    sigqueue_info = ["sigqueue.info"];
    /// `int nr_threads`.
    signal_nr_threads = ["signal_struct.nr_threads"];
    /// `atomic_t live`: threads that have not begun to exit.
    signal_live = ["signal_struct.live"];
    /// `struct list_head thread_head`.
    signal_thread_head = ["signal_struct.thread_head"];
    /// `struct core_state *core_state`; in `mm_struct` before 5.16.
    signal_core_state = ["signal_struct.core_state"];
    /// `struct core_state *core_state` of kernels before 5.16.
    mm_core_state = ["mm_struct.core_state"];
    /// `struct k_sigaction action[64]`.
    sighand_action = ["sighand_struct.action"];
    /// Size of one element.
    sigaction_size = ["sizeof k_sigaction"];
    /// `__sighandler_t sa.sa_handler`.
    sigaction_handler = ["k_sigaction.sa.sa_handler"];
    /// `unsigned long sa.sa_flags`.
    sigaction_flags = ["k_sigaction.sa.sa_flags"];
    /// `struct pid *pids[]`: by sort of id.
    signal_pids = ["signal_struct.pids"];
    /// `struct hlist_head tasks[]`: by sort of id.
    pid_tasks = ["pid.tasks"];
    /// `unsigned int level`.
    pid_level = ["pid.level"];
    /// `struct upid numbers[]`.
    pid_numbers = ["pid.numbers"];
    /// Where it ends; with an array of no fixed length that is where that begins.
    pid_size = ["sizeof pid"];
    /// Size of one element.
    upid_size = ["sizeof upid"];
    /// `int nr`.
    upid_nr = ["upid.nr"];
    /// `struct pid_namespace *ns`.
    upid_ns = ["upid.ns"];
    /// `unsigned int ns.inum`.
    pidns_inum = ["pid_namespace.ns.inum"];
    /// `kuid_t uid`.
    cred_uid = ["cred.uid"];
    /// `struct cgroup *dfl_cgrp`: the task's cgroup in the v2 hierarchy.
    css_set_dfl_cgrp = ["css_set.dfl_cgrp"];
    /// `struct cgroup_subsys_state *subsys[]`: by controller.
    css_set_subsys = ["css_set.subsys"];
    /// `struct cgroup *cgroup`: what a controller's state belongs to.
    css_cgroup = ["cgroup_subsys_state.cgroup"];
    /// `struct cgroup_subsys_state *self.parent`.
    cgroup_parent = ["cgroup.self.parent"];
    /// `struct kernfs_node *kn`.
    cgroup_kn = ["cgroup.kn"];
    /// `u64 id`.
    kernfs_id = ["kernfs_node.id"];
    /// `cgroup.kn.name`.
    kernfs_name = ["kernfs_node.name"];
    /// `int si_signo`.
    siginfo_signo = ["kernel_siginfo.si_signo"];
    /// `int si_code`.
    siginfo_code = ["kernel_siginfo.si_code"];
    /// `pid_t _sifields._kill._pid`.
    siginfo_pid = ["kernel_siginfo._sifields._kill._pid"];
    /// `struct rlimit rlim[]`.
    signal_rlim = ["signal_struct.rlim"];
    /// `struct user_struct *user`.
    cred_user = ["cred.user"];
    /// `atomic_t sigpending` of kernels before 5.14.
    user_sigpending = ["user_struct.sigpending"];
    /// `struct ucounts *ucounts`.
    cred_ucounts = ["cred.ucounts"];
    /// `atomic_long_t rlimit[]`; among the others before 6.0.
    ucounts_rlimit = ["ucounts.rlimit", "ucounts.ucount"];
    /// Which of those counts queued signals.
    ucounts_sigpending = [
        "enum rlimit_type.UCOUNT_RLIMIT_SIGPENDING",
        "enum ucount_type.UCOUNT_RLIMIT_SIGPENDING"
    ];
    /// Which of `css_set.subsys` is the memory controller's.
    memory_cgrp_id = ["enum cgroup_subsys_id.memory_cgrp_id"];
    /// `struct cgroup_subsys_state *parent`.
    css_parent = ["cgroup_subsys_state.parent"];
    /// `struct cgroup_subsys_state css`.
    memcg_css = ["mem_cgroup.css"];
    /// `atomic_long_t memory.usage`.
    memcg_usage = ["mem_cgroup.memory.usage"];
    /// `unsigned long memory.max`.
    memcg_max = ["mem_cgroup.memory.max"];
    /// `struct mem_cgroup *memcg`.
    oom_memcg = ["oom_control.memcg"];
    /// `struct task_struct *chosen`.
    oom_chosen = ["oom_control.chosen"];
    /// `unsigned long totalpages`.
    oom_total = ["oom_control.totalpages"];
    /// `enum oom_constraint constraint`.
    oom_constraint = ["oom_control.constraint"];
    /// The root of the tree of mappings; a red-black tree before 6.1.
    mm_maple = ["mm_struct.mm_mt.ma_root"];
    /// What a node of that is.
    maple_leaf_type = ["enum maple_type.maple_leaf_64"];
    /// A node that knows of gaps.
    maple_arange_type = ["enum maple_type.maple_arange_64"];
    /// `unsigned long pivot[]`.
    maple_range_pivot = ["maple_range_64.pivot"];
    /// `void *slot[]`.
    maple_range_slot = ["maple_range_64.slot"];
    /// `unsigned long pivot[]`.
    maple_arange_pivot = ["maple_arange_64.pivot"];
    /// `void *slot[]`.
    maple_arange_slot = ["maple_arange_64.slot"];
    /// `struct rb_node *mm_rb.rb_node` of kernels before 6.1.
    mm_rb = ["mm_struct.mm_rb.rb_node"];
    /// `struct rb_node vm_rb` of those.
    vma_rb = ["vm_area_struct.vm_rb"];
    /// `struct rb_node *rb_left`.
    rb_left = ["rb_node.rb_left"];
    /// `struct rb_node *rb_right`.
    rb_right = ["rb_node.rb_right"];
    /// `unsigned long vm_start`.
    vma_start = ["vm_area_struct.vm_start"];
    /// `unsigned long vm_end`.
    vma_end = ["vm_area_struct.vm_end"];
    /// `unsigned long vm_pgoff`.
    vma_pgoff = ["vm_area_struct.vm_pgoff"];
    /// `struct file *vm_file`.
    vma_file = ["vm_area_struct.vm_file"];
    /// `struct inode *f_inode`.
    file_inode = ["file.f_inode"];
    /// `struct dentry *f_path.dentry`.
    file_dentry = ["file.f_path.dentry", "file.__f_path.dentry"];
    /// `const unsigned char *d_name.name`.
    dentry_name = ["dentry.d_name.name", "dentry.__d_name.name"];
    /// `struct dentry *d_parent`.
    dentry_parent = ["dentry.d_parent"];
    /// `unsigned long i_ino`.
    inode_ino = ["inode.i_ino"];
    /// `struct super_block *i_sb`.
    inode_sb = ["inode.i_sb"];
    /// `dev_t s_dev`.
    sb_dev = ["super_block.s_dev"];
    /// `uid_t _sifields._kill._uid`.
    siginfo_uid = ["kernel_siginfo._sifields._kill._uid"];
    /// `const struct cred *cred`: what a thread acts with.
    task_cred = ["task_struct.cred"];
    /// `kuid_t euid`.
    cred_euid = ["cred.euid"];
    /// `kuid_t suid`.
    cred_suid = ["cred.suid"];
    /// `kernel_cap_t cap_effective`: 64 bits in both of its forms.
    cred_cap_effective = ["cred.cap_effective"];
    /// `struct user_namespace *user_ns`.
    cred_user_ns = ["cred.user_ns"];
    /// `unsigned int ns.inum`.
    userns_inum = ["user_namespace.ns.inum"];
    /// `int level`.
    userns_level = ["user_namespace.level"];
    /// `struct user_namespace *parent`.
    userns_parent = ["user_namespace.parent"];
    /// `kuid_t owner`.
    userns_owner = ["user_namespace.owner"];
    /// First argument of a system call, of those that user space handed in.
    regs_first = ["pt_regs.di"];
    /// The second.
    regs_second = ["pt_regs.si"];
    /// The third.
    regs_third = ["pt_regs.dx"];
    /// The fourth.
    regs_fourth = ["pt_regs.r10"];
    /// Number of the system call.
    regs_number = ["pt_regs.orig_ax"];
    /// Code segment: of a 32-bit caller another.
    regs_segment = ["pt_regs.cs"];
    /// Stack segment.
    regs_stack_segment = ["pt_regs.ss"];
    /// Size of all of them.
    regs_size = ["sizeof pt_regs"];
    /// `void *stack`: the lower end of its stack in the kernel.
    task_stack = ["task_struct.stack"];
    /// `u32 thread_info.status`: of x86-64, whether it is in a call of 32-bit programs.
    task_status = ["task_struct.thread_info.status"];
    /// `unsigned int policy`: how it is scheduled.
    task_policy = ["task_struct.policy"];
    /// `struct nsproxy *nsproxy`.
    task_nsproxy = ["task_struct.nsproxy"];
    /// `struct pid_namespace *pid_ns_for_children`.
    nsproxy_children = ["nsproxy.pid_ns_for_children"];
    /// `unsigned int pid_allocated`: how many pids it has, and whether it takes more.
    pidns_allocated = ["pid_namespace.pid_allocated"];
    /// `struct pid_namespace *parent`.
    pidns_parent = ["pid_namespace.parent"];
    /// `unsigned int level`.
    pidns_level = ["pid_namespace.level"];
    /// `int pid_max`, since 6.14; before there is one for all.
    pidns_max = ["pid_namespace.pid_max"];
    /// `struct cgroup_subsys_state css`.
    pids_css = ["pids_cgroup.css"];
    /// `atomic64_t counter`.
    pids_counter = ["pids_cgroup.counter"];
    /// `atomic64_t limit`.
    pids_limit = ["pids_cgroup.limit"];
    /// `u64 flags`.
    clone_flags = ["kernel_clone_args.flags"];
    /// `atomic_t processes` of kernels before 5.14.
    user_processes = ["user_struct.processes"];
    /// Which of `ucounts.rlimit` counts processes.
    ucounts_nproc = [
        "enum rlimit_type.UCOUNT_RLIMIT_NPROC",
        "enum ucount_type.UCOUNT_RLIMIT_NPROC"
    ];
}
