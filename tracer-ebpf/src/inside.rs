//! The PID namespaces that a task is in, and whether one of them is traced.

use sigtrace_common::{filter::near, record::NS_LEVELS};

use crate::{
    globals::{global, NEAR, NEW_PIDNS, PIDNS},
    mem::{pointer, Addr, Mem, Probe},
    task, verifier,
};

/// Which PID namespaces a task is in.
pub(crate) struct Inside {
    /// Its `struct pid`, for [`Probe`].
    pid: Addr,
    /// How many there are below the host's.
    level: u32,
    /// The innermost; null: the host's.
    pub(crate) namespace: Addr,
    /// Whether that may be loaded through.
    direct: bool,
}

impl Inside {
    /// Those of a task.
    ///
    /// # Safety
    /// `task` must point to a `task_struct`.
    #[inline(always)]
    pub(crate) unsafe fn of<M: Mem>(task: Addr) -> Self {
        // SAFETY: the caller's duty.
        unsafe { Self::by::<M>(task, Self::pid::<M>(task)) }
    }

    /// What to ask with [`by`](Self::by): of several tasks all at once, because the verifier
    /// asks what it knows of a task's pointer on each way on which it comes to it.
    ///
    /// # Safety
    /// As for [`of`](Self::of).
    #[inline(always)]
    pub(crate) unsafe fn pid<M: Mem>(task: Addr) -> Addr {
        // SAFETY: the caller's duty.
        unsafe { pointer::<M>(task, global!(LAYOUT.task_thread_pid)) }
    }

    /// Those of a task whose [`pid`](Self::pid) is known. All threads of a process are in the
    /// same.
    ///
    /// # Safety
    /// As for [`of`](Self::of).
    #[inline(always)]
    pub(crate) unsafe fn by<M: Mem>(task: Addr, pid: Addr) -> Self {
        // SAFETY: the caller's duty.
        unsafe {
            // A thread that is reaped already still sends its leader's SIGCHLD
            // (`release_task`).
            if pid.is_null() {
                let leader = pointer::<Probe>(task, global!(LAYOUT.task_group_leader));
                let pid = pointer::<Probe>(leader, global!(LAYOUT.task_thread_pid));
                return Self::untyped(pid, Probe::load(pid, global!(LAYOUT.pid_level)));
            }
            let level: u32 = M::load(pid, global!(LAYOUT.pid_level));
            if level == 0 {
                return Self::HOST;
            }
            // The verifier knows where the first of an array of no fixed length is.
            if M::TYPED && level == 1 && global!(LAYOUT.pid_size) == global!(LAYOUT.pid_numbers) {
                let namespace = pointer::<M>(task::upid(pid, 1), global!(LAYOUT.upid_ns));
                return Self {
                    pid: core::ptr::null(),
                    level,
                    namespace,
                    direct: true,
                };
            }
            // To its array with an address that is not typed.
            let pid = if M::TYPED {
                pointer::<Probe>(task, global!(LAYOUT.task_thread_pid))
            } else {
                pid
            };
            Self::untyped(pid, level)
        }
    }

    const HOST: Self = Self {
        pid: core::ptr::null(),
        level: 0,
        namespace: core::ptr::null(),
        direct: false,
    };

    /// Those of a `struct pid` at an address without a type.
    #[inline(always)]
    unsafe fn untyped(pid: Addr, level: u32) -> Self {
        if level == 0 {
            return Self::HOST;
        }
        // SAFETY: an address of the kernel.
        unsafe {
            let innermost = task::upid(pid, level & 63);
            Self {
                pid,
                level,
                namespace: pointer::<Probe>(innermost, global!(LAYOUT.upid_ns)),
                direct: false,
            }
        }
    }

    /// In a wanted namespace or below one.
    ///
    /// # Safety
    /// The task must still be there.
    #[inline(always)]
    pub(crate) unsafe fn is_wanted<M: Mem>(&self) -> bool {
        if self.level == 0 {
            return false;
        }
        // SAFETY: addresses of the kernel.
        unsafe {
            let inum = if self.direct {
                M::load(self.namespace, global!(LAYOUT.pidns_inum))
            } else {
                Probe::load(self.namespace, global!(LAYOUT.pidns_inum))
            };
            if wanted(inum) {
                return true;
            }
            let mut i = 1;
            while i <= NS_LEVELS as u32 {
                verifier::meet();
                if i >= self.level {
                    break;
                }
                if wanted(task::ns_inum::<Probe>(task::upid(self.pid, i))) {
                    return true;
                }
                i += 1;
            }
            false
        }
    }
}

/// Whether a namespace is filtered by.
#[inline(always)]
pub(crate) fn wanted(inum: u32) -> bool {
    // SAFETY: map values are not read, but for a number.
    unsafe {
        match NEAR.get_ptr(near(inum)).map(|some| *some) {
            None | Some(0) => return false,
            // With new ones wanted nobody is alone for long, and the programs are the largest.
            Some(only) if global!(CONFIG.by_new_pidns) == 0 && only == u64::from(inum) => {
                return true;
            }
            Some(_) => {}
        }
        PIDNS.get(inum).is_some()
            || (global!(CONFIG.by_new_pidns) != 0 && NEW_PIDNS.get(inum).is_some())
    }
}
