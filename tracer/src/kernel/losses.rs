//! Counts what was lost: records that found no room in the buffer (the kernel side
//! counts them in memory that is shared, `LOST`), and events for which a program did
//! not run (`recursion_misses` of its fdinfo, since Linux 5.12).
//!
//! Nothing here asks the kernel by bpf(2): while a map is looked into, programs of
//! kprobes and ordinary tracepoints do not run on that CPU (`bpf_disable_instrumentation`),
//! and a kernel that preempts could leave it at that for a while. Who counts losses
//! so makes them.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::FileExt,
    },
};

use aya::maps::MapData;
use sigtrace_common::record::{Kind, CROWDED, KINDS, LOST_ENTRIES};

use super::{attachments::Attachments, sys::Shared};

/// With one of these nothing is lost: it only says that a map is to be read.
pub(super) const FOLDED: &str = "folded";

/// See the module.
pub(super) struct Losses {
    counts: Shared,
    programs: Vec<Program>,
    told: [u64; KINDS],
    told_missed: Missed,
    /// How many crowds there were at the last look, and whether one was new then.
    crowds: u64,
    crowded: bool,
    /// How many there were when the programs were detached.
    last: Option<Missed>,
}

/// What the kernel says of a program.
struct Program {
    /// Copies at one hook have one name.
    hook: String,
    /// What it looks at alone, if a miss of it is no loss of events.
    apart: Option<Apart>,
    info: File,
}

impl Losses {
    pub(super) fn new(lost: &MapData, held: &Attachments) -> io::Result<Self> {
        let programs = held.programs().iter();
        let programs = programs.map(|(name, fd)| {
            Ok(Program {
                hook: name.replace(['1', '2', '3'], ""),
                apart: apart(name),
                info: File::open(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?,
            })
        });
        Ok(Self {
            counts: Shared::new(lost.fd().as_fd(), 0, LOST_ENTRIES)?,
            programs: programs.collect::<io::Result<_>>()?,
            told: [0; KINDS],
            told_missed: Missed::default(),
            crowds: 0,
            crowded: false,
            last: None,
        })
    }

    /// The programs are about to be detached.
    pub(super) fn detach(&mut self) {
        self.last = Some(self.missed());
    }

    /// Whether records found no room since the last call of `new_ones`; costs next to
    /// nothing.
    pub(super) fn is_short(&self) -> bool {
        (0..KINDS).any(|kind| self.counts.get(kind) > self.told[kind])
    }

    /// What was lost since the last call, by kind.
    pub(super) fn new_ones(&mut self) -> Vec<(&'static str, u64)> {
        let mut losses = Vec::new();
        for kind in 0..KINDS {
            let total = self.counts.get(kind);
            let new = total.saturating_sub(self.told[kind]);
            if new > 0 {
                self.told[kind] = total;
                losses.push((kind_name(kind as u32), new));
            }
        }
        // Misses before crowds: a crowd is noted before anything misses it.
        let missed = self.missed();
        let new = missed.since(self.told_missed);
        let crowds = self.counts.get(CROWDED);
        let crowded = crowds > std::mem::replace(&mut self.crowds, crowds);
        let of_copies = lost_by_copies(
            new.of_copies,
            crowded,
            std::mem::replace(&mut self.crowded, crowded),
        );
        if new.alone + of_copies > 0 {
            losses.push(("not-run", new.alone + of_copies));
        }
        self.told_missed = Missed {
            calls: self.told_missed.calls,
            forks: self.told_missed.forks,
            ..missed
        };
        losses
    }

    /// System calls that send signals which were not looked at since the last call:
    /// nothing is lost but those among them that were refused. And the same of forks.
    pub(super) fn not_looked_at(&mut self) -> (u64, u64) {
        let new = self.missed().since(self.told_missed);
        self.told_missed.calls += new.calls;
        self.told_missed.forks += new.forks;
        (new.calls, new.forks)
    }

    fn missed(&self) -> Missed {
        if let Some(last) = self.last {
            return last;
        }
        let misses = self.programs.iter().map(|program| {
            let mut text = [0; 1024];
            let length = program.info.read_at(&mut text, 0).unwrap_or(0);
            let text = String::from_utf8_lossy(&text[..length]);
            (program, recursion_misses(&text).unwrap_or(0))
        });
        Missed::of(misses.map(|(program, misses)| (&*program.hook, program.apart, misses)))
    }
}

/// What copies missed without a crowd was seen by one of them. A miss may be counted a
/// moment after its crowd, so one at the last look counts, too.
fn lost_by_copies(missed: u64, crowded: bool, crowded_before: bool) -> u64 {
    if crowded || crowded_before {
        missed
    } else {
        0
    }
}

/// Events for which programs did not run, because others did on that CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Missed {
    /// Of hooks with one program: all are missing.
    alone: u64,
    /// Of hooks with copies of their program: an event is missing only if all have
    /// missed it, so at most as many as the one has that missed fewest.
    of_copies: u64,
    /// Calls of functions by which signals are refused; hardly any of them was.
    calls: u64,
    /// The same of forks.
    forks: u64,
}

impl Missed {
    /// Of what each program says: its hook, whether what it misses is counted apart,
    /// and how many it missed.
    fn of<'a>(programs: impl Iterator<Item = (&'a str, Option<Apart>, u64)>) -> Self {
        let mut hooks: HashMap<&str, (u64, u32)> = HashMap::new();
        let mut missed = Self::default();
        for (hook, apart, misses) in programs {
            match apart {
                Some(Apart::Refusals) => missed.calls += misses,
                Some(Apart::Forks) => missed.forks += misses,
                None => {}
            }
            if apart.is_some() {
                continue;
            }
            let (least, copies) = hooks.entry(hook).or_insert((misses, 0));
            *least = misses.min(*least);
            *copies += 1;
        }
        for (least, copies) in hooks.into_values() {
            if copies == 1 {
                missed.alone += least;
            } else {
                missed.of_copies += least;
            }
        }
        missed
    }

    fn since(self, before: Self) -> Self {
        Self {
            alone: self.alone.saturating_sub(before.alone),
            of_copies: self.of_copies.saturating_sub(before.of_copies),
            calls: self.calls.saturating_sub(before.calls),
            forks: self.forks.saturating_sub(before.forks),
        }
    }
}

/// What a program looks at alone, where no other explanation rests on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Apart {
    /// Refused signals.
    Refusals,
    /// Rejected forks.
    Forks,
}

fn apart(program: &str) -> Option<Apart> {
    match program.split_once('_').map_or("", |(_, hook)| hook) {
        "check_kill_permission" => Some(Apart::Refusals),
        "copy_process" | "alloc_pid" | "pids_can_fork" => Some(Apart::Forks),
        hook => hook.starts_with("sys_").then_some(Apart::Refusals),
    }
}

fn recursion_misses(fdinfo: &str) -> Option<u64> {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?
        .trim()
        .parse()
        .ok()
}

/// Name of a record's kind, as `lost` events have it.
fn kind_name(kind: u32) -> &'static str {
    match kind {
        k if k == Kind::Signal as u32 || k == Kind::SignalTraced as u32 => "signal",
        k if k == Kind::Deliver as u32 => "deliver",
        k if k == Kind::Dequeue as u32 => "dequeue",
        k if k == Kind::Fork as u32 => "fork",
        k if k == Kind::Exec as u32 => "exec",
        k if k == Kind::Exit as u32 => "exit",
        k if k == Kind::DoExit as u32 => "do_exit",
        k if k == Kind::GroupExit as u32 => "do_group_exit",
        k if k == Kind::ZapPidNs as u32 => "zap_pid_ns_processes",
        k if k == Kind::Placed as u32 => "placed",
        k if k == Kind::Place as u32 => "place",
        k if k == Kind::Oom as u32 => "oom",
        k if k == Kind::Fault as u32 => "fault",
        k if k == Kind::ForkRejected as u32 => "fork_rejected",
        k if k == Kind::Refused as u32 => "refused",
        k if k == Kind::Ptrace as u32 => "ptrace",
        k if k == Kind::Release as u32 || k == Kind::Free as u32 => "reap",
        k if k == Kind::Folded as u32 => FOLDED,
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_missed_what_all_of_them_missed() {
        let missed = Missed::of(
            [
                ("btf_sched_process_exit", None, 7),
                ("kprobe_do_exit", None, 2),
                ("btf_sched_process_exit", None, 1),
                ("btf_sched_process_exit", None, 4),
                ("fexit_sys_kill", Some(Apart::Refusals), 30),
                ("fexit_check_kill_permission", Some(Apart::Refusals), 3),
                ("fexit_copy_process", Some(Apart::Forks), 5),
            ]
            .into_iter(),
        );
        let told = Missed {
            alone: 2,
            of_copies: 1,
            calls: 33,
            forks: 5,
        };
        assert_eq!(missed, told);
        assert_eq!(missed.since(told), Missed::default());
    }

    #[test]
    fn copies_lose_nothing_but_in_a_crowd() {
        assert_eq!(lost_by_copies(5, false, false), 0);
        assert_eq!(lost_by_copies(5, true, false), 5);
        assert_eq!(lost_by_copies(5, false, true), 5);
    }

    #[test]
    fn what_is_missed_of_refusals_is_no_loss_of_events() {
        for name in [
            "fexit_sys_pidfd_send_signal",
            "raw_sys_exit",
            "fexit_check_kill_permission",
        ] {
            assert_eq!(apart(name), Some(Apart::Refusals), "{name}");
        }
        for name in [
            "fexit_copy_process",
            "kretprobe_copy_process",
            "kprobe_alloc_pid",
        ] {
            assert_eq!(apart(name), Some(Apart::Forks), "{name}");
        }
        for name in [
            "btf_signal_generate",
            "fentry1_do_exit",
            "tp_sched_process_exit",
            "",
        ] {
            assert_eq!(apart(name), None, "{name}");
        }
    }

    #[test]
    fn misses_are_read_where_the_kernel_counts_them() {
        assert_eq!(recursion_misses("pos:\t0\nrecursion_misses:\t7\n"), Some(7));
        assert_eq!(recursion_misses("pos:\t0\n"), None);
    }
}
