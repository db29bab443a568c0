//! Where in its program a process was when it faulted: the instruction, and the
//! mapping that this lies in. The process is about to die, and with it all that
//! `/proc` could tell; so it is taken while the signal is made. The same for handlers,
//! which often end their process at once, and for faults that a handler takes: of these,
//! which may come by the thousand (safepoints of a runtime, barriers of a garbage
//! collector), each place is told once, and where a fault was stands in its delivery.

use core::{ffi::c_void, ptr::null};

use aya_ebpf::helpers::generated::{bpf_get_stack, bpf_probe_read_kernel_str};
use sigtrace_common::{
    layout::ABSENT,
    record::{Fault, Kind, PATH_NAME, PATH_NAMES},
};

use crate::{
    emit::{self, Share},
    fold::{is_within, WHOLE},
    globals::{global, FAULTS, PLACES},
    mem::{current, pointer_if_known, Addr, Mem, Probe},
    siginfo::{Action, Info},
    task, verifier,
};

/// `BPF_F_USER_STACK`.
const USER_STACK: u64 = 1 << 8;
/// `BPF_F_USER_BUILD_ID`.
const USER_BUILD_ID: u64 = 1 << 11;
/// So many levels of the tree of mappings hold three million: a node has at least 5 below
/// it, a leaf 8 mappings.
const LEVELS: usize = 9;
/// The highest red-black tree of 65530 mappings (`vm.max_map_count`).
const RB_LEVELS: usize = 40;
/// Pivots of the largest node of a maple tree.
const PIVOTS: usize = 15;
/// A node of a maple tree: its type, and what it is not.
const NODE_TYPE_SHIFT: u64 = 3;
const NODE_TYPE_MASK: u64 = 0xf;
const NODE_MASK: u64 = 0xff;

/// A place in one program: with another one there is another `mm_struct`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct KnownPlace {
    mm: u64,
    address: u64,
    tgid: u64,
}

/// How often something came in the second that began then.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Recent {
    since_ns: u64,
    count: u32,
    pad: u32,
}

impl Recent {
    /// The first one of its second.
    #[inline(always)]
    pub(crate) fn first(now: u64) -> Self {
        Self {
            since_ns: now,
            count: 1,
            pad: 0,
        }
    }

    /// Counts another; whether it is one of the few that are told whole.
    #[inline(always)]
    pub(crate) fn once_more(&mut self, now: u64) -> bool {
        if !is_within(self.since_ns, now) {
            *self = Self::first(now);
            return true;
        }
        self.count += 1;
        self.count <= WHOLE
    }
}

/// Tells where in the current task's program an address is, once: that of a handler
/// that is about to run, or of the instruction whose fault it takes.
///
/// # Safety
/// `task` must be the current one, `ctx` the program's context.
#[inline(always)]
pub(crate) unsafe fn before_handler(task: Addr, address: u64, of_fault: bool, ctx: *mut c_void) {
    // SAFETY: the caller's duty.
    unsafe {
        let key = KnownPlace {
            mm: Probe::get(task, global!(LAYOUT.task_mm)),
            address,
            tgid: u64::from(Probe::load::<u32>(task, global!(LAYOUT.task_tgid))),
        };
        if address == 0 || PLACES.get(key).is_some() {
            return;
        }
        // A program may fault wherever it likes.
        let share = if of_fault { Share::Noise } else { Share::Life };
        let Some(mut entry) = emit::reserve_within::<Fault>(Kind::Fault, share) else {
            return;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::Fault);
        task::fill::<Probe>(&raw mut (*out).task, task);
        (*out).ip = address;
        verifier::clear(&raw mut (*out).build_id);
        (*out).handler = 1;
        if of_fault {
            build_id(out, ctx);
        }
        mapping(out, task);
        entry.submit(0);
        let _ = PLACES.insert(key, 1, 0);
    }
}

/// Whether a signal tells a thread of what it did itself, as its number and code have it.
#[inline(always)]
pub(crate) fn is_fault(number: i32, code: i32) -> bool {
    let fault = number == 4 || number == 5 || number == 7 || number == 8 || number == 11;
    fault && code > 0
}

/// The instruction that the current task was at when it came into the kernel.
///
/// # Safety
/// `ctx` must be the program's context.
#[inline(always)]
pub(crate) unsafe fn instruction(ctx: *mut c_void) -> u64 {
    let mut ip = 0u64;
    // SAFETY: the first frame of the user's stack is the instruction itself.
    unsafe { bpf_get_stack(ctx, (&raw mut ip).cast(), 8, USER_STACK) };
    ip
}

/// What the linker called the file of that instruction.
#[inline(always)]
unsafe fn build_id(out: *mut Fault, ctx: *mut c_void) {
    // SAFETY: the caller's duty.
    unsafe {
        let id = (&raw mut (*out).build_id).cast::<c_void>();
        bpf_get_stack(ctx, id, 32, USER_STACK | USER_BUILD_ID);
    }
}

/// Whether a fault that a handler takes is told with its kernel stack: a few of each
/// process in a second are.
#[inline(always)]
pub(crate) fn is_seldom(tgid: u32) -> bool {
    let now = emit::now();
    // SAFETY: a number more or less does no harm.
    unsafe {
        let Some(recent) = FAULTS.get_ptr_mut(tgid) else {
            let _ = FAULTS.insert(tgid, Recent::first(now), 0);
            return true;
        };
        (*recent).once_more(now)
    }
}

/// SIGILL, SIGTRAP, SIGBUS, SIGFPE and SIGSEGV that end the current process for
/// what it did itself.
///
/// # Safety
/// `target` is that of `signal_generate`; `ctx` is the program's context.
#[inline(always)]
pub(crate) unsafe fn before_signal(target: Addr, info: &Info, action: &Action, ctx: *mut c_void) {
    let own = is_fault(info.number(), info.code());
    if !own || action.handler() > 3 || target != current() {
        return;
    }
    // SAFETY: the caller's duty.
    unsafe {
        let Some(mut entry) = emit::reserve::<Fault>(Kind::Fault) else {
            return;
        };
        let out = entry.as_mut_ptr();
        (*out).header = emit::header(Kind::Fault);
        task::fill::<Probe>(&raw mut (*out).task, target);
        (*out).ip = instruction(ctx);
        verifier::clear(&raw mut (*out).build_id);
        (*out).handler = 0;
        build_id(out, ctx);
        mapping(out, target);
        entry.submit(0);
    }
}

/// The mapping, and the file that it is of.
#[inline(always)]
unsafe fn mapping(out: *mut Fault, task: Addr) {
    // SAFETY: the caller's duty; addresses are only read by the helper.
    unsafe {
        let ip = (*out).ip;
        let mm = pointer_if_known::<Probe>(task, global!(LAYOUT.task_mm));
        let vma = if global!(LAYOUT.mm_maple) != ABSENT {
            in_maple(mm, ip)
        } else {
            in_rb(mm, ip)
        };
        (*out).start = Probe::get(vma, global!(LAYOUT.vma_start));
        (*out).end = Probe::get(vma, global!(LAYOUT.vma_end));
        (*out).page_offset = Probe::get(vma, global!(LAYOUT.vma_pgoff));
        let file = pointer_if_known::<Probe>(vma, global!(LAYOUT.vma_file));
        let inode = pointer_if_known::<Probe>(file, global!(LAYOUT.file_inode));
        (*out).inode = Probe::get(inode, global!(LAYOUT.inode_ino));
        let device = pointer_if_known::<Probe>(inode, global!(LAYOUT.inode_sb));
        (*out).device = Probe::get(device, global!(LAYOUT.sb_dev));
        let mut dentry = pointer_if_known::<Probe>(file, global!(LAYOUT.file_dentry));
        let mut i = 0;
        while i < PATH_NAMES {
            let name = pointer_if_known::<Probe>(dentry, global!(LAYOUT.dentry_name));
            let slot = (&raw mut (*out).names).cast::<u8>().add(i * PATH_NAME);
            *slot = 0;
            bpf_probe_read_kernel_str(slot.cast(), PATH_NAME as u32, name.cast());
            dentry = pointer_if_known::<Probe>(dentry, global!(LAYOUT.dentry_parent));
            i += 1;
        }
    }
}

/// Of kernels since 6.1. Without a branch, and with all pivots of a node read at once:
/// the verifier would follow each of the ways through the nodes. What was found is told
/// from what another thread changed meanwhile by its bounds.
#[inline(always)]
unsafe fn in_maple(mm: Addr, ip: u64) -> Addr {
    // SAFETY: as for `mapping`.
    unsafe {
        let mut entry: u64 = Probe::get(mm, global!(LAYOUT.mm_maple));
        let mut found = 0u64;
        let mut level = 0;
        while level < LEVELS {
            let node = (entry & !NODE_MASK) as Addr;
            let kind = entry >> NODE_TYPE_SHIFT & NODE_TYPE_MASK;
            let wide = is_equal(kind, global!(LAYOUT.maple_arange_type));
            let leaf = is_equal(kind, global!(LAYOUT.maple_leaf_type));
            let choose = |wide_one: u32, other: u32| {
                let more = u64::from(wide_one).wrapping_sub(u64::from(other));
                u64::from(other).wrapping_add(more.wrapping_mul(wide)) as u32
            };
            let at = choose(
                global!(LAYOUT.maple_arange_pivot),
                global!(LAYOUT.maple_range_pivot),
            );
            let slots = choose(
                global!(LAYOUT.maple_arange_slot),
                global!(LAYOUT.maple_range_slot),
            );
            let pivots: [u64; PIVOTS] = Probe::at(node.wrapping_add(at as usize));
            let slot = slot(&pivots, ip);
            let slot = slots + 8 * (slot as u32 & 15);
            let next: u64 = Probe::at(node.wrapping_add(slot as usize));
            found |= next.wrapping_mul(leaf);
            entry = next.wrapping_mul(1 - leaf);
            level += 1;
        }
        within(found as Addr, ip)
    }
}

/// The first pivot that is not below: they are the last bytes of pages. 0 says that
/// there is no more, and so does what lies behind the pivots of a small node: pointers
/// of the kernel.
#[inline(always)]
fn slot(pivots: &[u64; PIVOTS], ip: u64) -> u64 {
    let (mut slot, mut going) = (0u64, 1u64);
    for pivot in pivots {
        // The sign of a difference that does not overflow.
        let difference = (pivot.wrapping_sub(1) >> 1).wrapping_sub(ip >> 1);
        going &= verifier::opaque(difference) >> 63;
        slot += going;
    }
    slot
}

/// 1 where both are the same, and small, else 0. To be multiplied with: of a mask the
/// verifier makes a branch since Linux 6.18.
#[inline(always)]
fn is_equal(a: u64, b: u32) -> u64 {
    verifier::opaque(verifier::opaque((a ^ u64::from(b)).wrapping_sub(1)) >> 63)
}

/// Of kernels before 6.1.
#[inline(always)]
unsafe fn in_rb(mm: Addr, ip: u64) -> Addr {
    // SAFETY: as for `mapping`.
    unsafe {
        let mut node = pointer_if_known::<Probe>(mm, global!(LAYOUT.mm_rb));
        let mut found = null::<u8>();
        let mut level = 0;
        while level < RB_LEVELS {
            let vma = node.wrapping_sub(global!(LAYOUT.vma_rb) as usize);
            let end: u64 = Probe::get(vma, global!(LAYOUT.vma_end));
            let above = end > ip;
            if above && !node.is_null() {
                found = vma;
            }
            let left = pointer_if_known::<Probe>(node, global!(LAYOUT.rb_left));
            let right = pointer_if_known::<Probe>(node, global!(LAYOUT.rb_right));
            node = if above { left } else { right };
            level += 1;
        }
        within(found, ip)
    }
}

/// The mapping, if it is one that the address lies in.
#[inline(always)]
unsafe fn within(vma: Addr, ip: u64) -> Addr {
    // SAFETY: as for `mapping`.
    unsafe {
        let start: u64 = Probe::get(vma, global!(LAYOUT.vma_start));
        let end: u64 = Probe::get(vma, global!(LAYOUT.vma_end));
        if start <= ip && ip < end {
            vma
        } else {
            null()
        }
    }
}
