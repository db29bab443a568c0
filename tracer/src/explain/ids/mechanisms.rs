//! Mechanisms: the call that carried a death out.

use super::Row;

/// Left out instead by this version.
pub(super) const NOT_REPORTED: &[&str] = &["unknown"];

pub(super) const ROWS: &[Row] = &[
    ("kill-syscall", "a process called kill(2)",
     "kill(2) sends to a process, a process group or everything that may be signalled (kill_something_info). kill(1), docker kill and most programs end here.", ""),
    ("tkill-syscall", "a process called tgkill(2) or tkill(2)",
     "tgkill sends to one thread (do_send_specific, do_tkill). raise(3), abort(3) and pthread_kill(3) end here.", ""),
    ("sigqueue-syscall", "a process called rt_sigqueueinfo(2)",
     "rt_sigqueueinfo and rt_tgsigqueueinfo carry a value along (sigqueue(3)); do_rt_sigqueueinfo does it.", ""),
    ("pidfd-signal", "a process called pidfd_send_signal(2)",
     "A pidfd names a process without the danger of a reused pid; systemd and newer container runtimes send this way.", ""),
    ("ptrace-syscall", "a debugger let it go on with the signal",
     "A process that is traced stops with each signal and at other places, and its debugger says with which signal it goes on (PTRACE_CONT and the like, PTRACE_DETACH), or kills it (PTRACE_KILL).", ""),
    ("cgroup-kill", "somebody wrote 1 to cgroup.kill of its control group",
     "The file cgroup.kill (5.14 and later) kills every process of a control group and below at once (__cgroup_kill). systemd and runc use it.", ""),
    ("kernel-signal", "the kernel itself sent the signal",
     "No process called for it: the kernel did it by a path of its own, which the kernel path shows.", ""),
    ("exit", "the program called exit or returned from main",
     "exit_group(2) ends every thread of a process (do_group_exit).", ""),
    ("unknown", "how it was carried out cannot be told",
     "The sending of the signal was not seen; what is missing is listed.", ""),
];
