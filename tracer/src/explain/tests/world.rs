//! A small language for histories: who there is, what happens when, and what
//! the engine says about it.

use std::sync::Arc;

use crate::container;
use crate::event::{
    flag, Ancestor, BootTime, Comm, Detail, Dispositions, Event, Fact, Frame, Handler, Info,
    Levels, Outcome, Places, ProcessKey, Sight, Signal, TargetState, Task, Whereabouts,
};
use crate::explain::report::{Coverage, ExitReport, Report, SignalReport, Summary, Update};
use crate::explain::signals::{self, bit, KILL};
use crate::explain::Engine;
use crate::history::filter::{Filter, Roles};

/// The traced namespace.
pub(super) const NS: u32 = 4_026_532_281;
/// One nested in it.
pub(super) const INNER: u32 = 4_026_532_999;
/// A cgroup.
pub(super) const IN: u64 = 77;
/// When tracing begins.
pub(super) const SINCE: u64 = 1_000_000_000;

pub(super) const MS: u64 = 1_000_000;

/// A history in the making.
pub(super) struct World {
    pub(super) coverage: Coverage,
    pub(super) events: Vec<Event>,
    pub(super) now: u64,
    last_id: u64,
}

pub(super) fn frames(names: &[&str]) -> Vec<Frame> {
    names
        .iter()
        .map(|n| Frame {
            address: 0xffff_ffff_8100_0000,
            function: Some((*n).into()),
        })
        .collect()
}

pub(super) const KILL_STACK: &[&str] = &[
    "__send_signal_locked",
    "kill_pid_info",
    "kill_something_info",
    "__x64_sys_kill",
    "do_syscall_64",
];
pub(super) const ZAP_STACK: &[&str] = &[
    "group_send_sig_info",
    "zap_pid_ns_processes",
    "do_exit",
    "do_group_exit",
    "__x64_sys_exit_group",
];

/// A process of the host.
pub(super) fn host(pid: u32, comm: &str) -> Task {
    Task {
        key: ProcessKey {
            pid,
            start_ns: 500 * MS,
        },
        tid: pid,
        ppid: 1,
        uid: 0,
        flags: 0,
        comm: Comm::from(comm),
        ns_pids: Levels::new(),
        namespaces: Levels::new(),
        cgroup: None,
    }
}

/// A process of the traced namespace, born after tracing began.
pub(super) fn member(pid: u32, inside: u32, comm: &str) -> Task {
    Task {
        key: ProcessKey {
            pid,
            start_ns: SINCE + u64::from(pid) * 10,
        },
        ns_pids: [inside][..].into(),
        namespaces: [NS][..].into(),
        ..host(pid, comm)
    }
}

/// A process of the namespace nested in it.
pub(super) fn inner(pid: u32, outside: u32, inside: u32, comm: &str) -> Task {
    Task {
        ns_pids: [outside, inside][..].into(),
        namespaces: [NS, INNER][..].into(),
        ..member(pid, outside, comm)
    }
}

pub(super) fn exiting(task: &Task) -> Task {
    Task {
        flags: task.flags | flag::PF_EXITING,
        ..task.clone()
    }
}

pub(super) fn ancestors(of: &[(u32, &str)]) -> Vec<Ancestor> {
    of.iter()
        .map(|&(pid, comm)| Ancestor {
            key: ProcessKey { pid, start_ns: 1 },
            comm: Comm::from(comm),
        })
        .collect()
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            coverage: Coverage {
                since: BootTime(SINCE),
                signals: u64::MAX,
                filter: Filter {
                    namespaces: [NS].into(),
                    ..Filter::default()
                },
                sees_dequeue: true,
                sees_release: true,
                sees_check: true,
            },
            events: Vec::new(),
            now: SINCE + 100 * MS,
            last_id: 0,
        }
    }

    /// Traces these processes alone, as the letters say: s(ender), t(arget).
    pub(super) fn only(&mut self, processes: &[(&Task, &str)]) -> &mut Self {
        self.coverage.filter = Filter::default();
        for (task, roles) in processes {
            let (sender, target) = (roles.contains('s'), roles.contains('t'));
            let roles = Roles { sender, target };
            self.coverage.filter.add(task.key, roles);
        }
        self
    }

    /// Time goes by.
    pub(super) fn pass(&mut self, ns: u64) -> &mut Self {
        self.now += ns;
        self
    }

    pub(super) fn push(&mut self, fact: Fact) -> u64 {
        self.now += 10_000;
        self.last_id += 1;
        let id = self.last_id;
        self.events.push(Event {
            id,
            time: BootTime(self.now),
            fact,
        });
        id
    }

    pub(super) fn fork(&mut self, parent: &Task, child: &Task) -> u64 {
        self.push(Fact::Fork {
            parent: parent.clone(),
            child: child.clone(),
        })
    }

    /// A signal by kill(2); the builder changes what is different.
    pub(super) fn send<'w>(&'w mut self, from: &Task, to: &Task, number: i32) -> Sending<'w> {
        Sending {
            world: self,
            signal: Signal {
                number,
                code: 0,
                info: Info::Full,
                detail: Detail::None,
                pdeath_signal: 0,
                queues: None,
                to_process: true,
                outcome: Outcome::Delivered,
                current: from.clone(),
                target: to.clone(),
                state: TargetState {
                    handler: Handler::Default,
                    sa_flags: 0,
                    blocked: 0,
                    real_blocked: 0,
                    pending: 0,
                    shared_pending: bit(number),
                    signal_flags: 0,
                    group_exit_code: 0,
                    traced: false,
                    state: 1,
                    exit_state: 0,
                    threads: 1,
                    threads_seen: 1,
                    threads_blocking: 0,
                    threads_unable: 0,
                    dumping: false,
                    throttled: false,
                },
                ancestry: vec![],
                more_ancestors: false,
                places: Places::default(),
                stack: frames(KILL_STACK),
            },
        }
    }

    /// The SIGKILL of a dying PID 1.
    pub(super) fn zap(&mut self, one: &Task, victim: &Task) -> u64 {
        self.zap_pending(one, victim, 0)
    }

    /// The same, while other signals are pending for the victim.
    pub(super) fn zap_pending(&mut self, one: &Task, victim: &Task, pending: u64) -> u64 {
        self.send(&exiting(one), victim, KILL)
            .by_kernel()
            .stack(ZAP_STACK)
            .set(|s| s.state.shared_pending |= pending)
            .fatal()
    }

    pub(super) fn deliver(&mut self, task: &Task, number: i32, handler: Handler) -> u64 {
        let signal_flags = if task.is_pid1() { flag::UNKILLABLE } else { 0 };
        self.push(Fact::Deliver {
            task: task.clone(),
            number,
            code: 0,
            info: Info::Full,
            handler,
            signal_flags,
            group_exit_code: 0,
            traced: false,
            fault_at: None,
            orphaned: None,
        })
    }

    pub(super) fn dequeue(&mut self, task: &Task, number: i32, stack: &[&str]) -> u64 {
        self.push(Fact::Dequeue {
            task: task.clone(),
            number,
            stack: frames(stack),
        })
    }

    /// Its end, in wait(2)'s format.
    pub(super) fn exit(&mut self, task: &Task, status: i32) -> u64 {
        self.exit_with(task, status, true, 0)
    }

    pub(super) fn exit_with(
        &mut self,
        task: &Task,
        status: i32,
        group_dead: bool,
        pending: u64,
    ) -> u64 {
        self.push(Fact::Exit {
            task: exiting(task),
            group_dead,
            status,
            signal_flags: flag::GROUP_EXIT,
            pending,
            pdeath_signal: 0,
            call: crate::event::Detail::None,
            ancestry: vec![],
            stack: frames(&["do_exit", "do_group_exit"]),
        })
    }

    /// Its end by a signal, with the stack of its exit.
    pub(super) fn exit_by(&mut self, task: &Task, status: i32, stack: &[&str]) -> u64 {
        self.push(Fact::Exit {
            task: exiting(task),
            group_dead: true,
            status,
            signal_flags: 0,
            pending: 0,
            pdeath_signal: 0,
            call: crate::event::Detail::None,
            ancestry: vec![],
            stack: frames(stack),
        })
    }

    pub(super) fn snapshot(&mut self, task: &Task) -> u64 {
        // /proc counts in ticks of 10 ms.
        let mut task = task.clone();
        task.key.start_ns -= task.key.start_ns % (10 * MS);
        self.push(Fact::Snapshot {
            task,
            dispositions: Dispositions {
                state: b'S',
                ..Dispositions::default()
            },
        })
    }

    pub(super) fn observe(&mut self, task: &Task, dispositions: Dispositions) -> u64 {
        self.push(Fact::Observed {
            key: task.key,
            dispositions: Some(dispositions),
            sight: Sight::default(),
        })
    }

    /// Its parent waited for it.
    pub(super) fn reaped(&mut self, task: &Task) -> u64 {
        self.push(Fact::Reap {
            key: task.key,
            by: Some(50),
        })
    }

    /// It is dead, and tells its parent.
    pub(super) fn told_parent(&mut self, task: &Task, parent: &Task) -> u64 {
        self.send(&exiting(task), parent, signals::CHLD)
            .set(|s| s.code = 1)
            .dropped()
    }

    /// Killed with the namespace: the signal and the end.
    pub(super) fn zapped(&mut self, one: &Task, victim: &Task) -> u64 {
        self.zap(one, victim);
        self.exit(victim, KILL)
    }

    /// What the engine says.
    pub(super) fn run(&self) -> Told {
        self.run_until(self.now + 5_000 * MS)
    }

    /// What it has said by now, while it goes on.
    pub(super) fn run_before_end(&self) -> Told {
        let mut engine = Engine::new(self.coverage.clone());
        for event in self.events.iter().cloned() {
            engine.push(event);
        }
        Told {
            reports: engine.advance(BootTime(self.now)),
            summary: engine.summary.clone(),
            ended: engine.ended(),
        }
    }

    /// What it says up to a time.
    pub(super) fn run_until(&self, end: u64) -> Told {
        let mut engine = Engine::new(self.coverage.clone());
        for event in self.events.iter().filter(|e| e.time.0 <= end) {
            engine.push(event.clone());
        }
        let mut reports = engine.advance(BootTime(end));
        let (rest, summary) = engine.finish(BootTime(end));
        reports.extend(rest);
        Told {
            reports,
            summary,
            ended: engine.ended(),
        }
    }
}

/// A signal in the making.
pub(super) struct Sending<'w> {
    world: &'w mut World,
    pub(super) signal: Signal,
}

impl Sending<'_> {
    pub(super) fn set(mut self, change: impl FnOnce(&mut Signal)) -> Self {
        change(&mut self.signal);
        self
    }

    pub(super) fn handler(self, handler: Handler) -> Self {
        self.set(|s| s.state.handler = handler)
    }

    pub(super) fn outcome(self, outcome: Outcome) -> Self {
        self.set(|s| s.outcome = outcome)
    }

    pub(super) fn stack(self, names: &[&str]) -> Self {
        let stack = frames(names);
        self.set(|s| s.stack = stack)
    }

    pub(super) fn unnamed(self) -> Self {
        self.set(|s| s.stack.iter_mut().for_each(|f| f.function = None))
    }

    pub(super) fn by_kernel(self) -> Self {
        self.set(|s| {
            s.info = Info::Kernel;
            s.code = 0x80;
        })
    }

    pub(super) fn tkill(self) -> Self {
        self.stack(&["do_send_specific", "do_tkill", "__x64_sys_tgkill"])
            .set(|s| {
                s.code = -6;
                s.to_process = false;
                s.state.pending = s.state.shared_pending;
                s.state.shared_pending = 0;
            })
    }

    /// In which cgroups sender and target are.
    pub(super) fn between(self, sender: &str, target: &str) -> Self {
        let of = |path: &str| {
            let names: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
            Whereabouts {
                cgroups: [1, 0],
                origin: container::origin_of(&names).map(Arc::new),
            }
        };
        let places = Places {
            current: of(sender),
            target: of(target),
        };
        self.set(|s| s.places = places)
    }

    pub(super) fn ancestry(self, of: &[(u32, &str)]) -> Self {
        let ancestry = ancestors(of);
        self.set(|s| s.ancestry = ancestry)
    }

    pub(super) fn blocked(self) -> Self {
        self.set(|s| {
            s.state.blocked |= bit(s.number);
            s.state.threads_blocking = s.state.threads_seen;
        })
    }

    pub(super) fn go(self) -> u64 {
        self.world.push(Fact::Signal(Arc::new(self.signal)))
    }

    /// `complete_signal` begins the end of the group.
    pub(super) fn fatal(self) -> u64 {
        self.set(|s| {
            s.state.signal_flags |= flag::GROUP_EXIT;
            s.state.group_exit_code = s.number;
        })
        .go()
    }

    /// Dropped at once.
    pub(super) fn dropped(self) -> u64 {
        self.outcome(Outcome::Ignored).go()
    }

    /// A handler runs 50 µs later; the id of the signal.
    pub(super) fn handled(self) -> u64 {
        let (to, number) = (self.signal.target.clone(), self.signal.number);
        let handler = Handler::User(0x40_1136);
        let world = self.world;
        let id = Sending {
            world: &mut *world,
            signal: self.signal,
        }
        .handler(handler)
        .go();
        world.pass(40_000).deliver(&to, number, handler);
        id
    }
}

/// What the engine said.
pub(super) struct Told {
    pub(super) reports: Vec<Report>,
    pub(super) summary: Summary,
    pub(super) ended: bool,
}

impl Told {
    /// A signal as it was last reported.
    pub(super) fn signal(&self, id: u64) -> &SignalReport {
        self.reports
            .iter()
            .rev()
            .find_map(|r| match r {
                Report::Signal(s) if s.id == id => Some(s),
                Report::Update {
                    of,
                    now: Update::Signal(s),
                    ..
                } if *of == id => Some(s),
                _ => None,
            })
            .unwrap_or_else(|| panic!("no report of signal {id} in {:#?}", self.reports))
    }

    /// Every report of a signal: the first one and its updates.
    pub(super) fn history_of(&self, id: u64) -> Vec<(&'static str, bool)> {
        self.reports
            .iter()
            .filter_map(|r| match r {
                Report::Signal(s) if s.id == id => Some((s.fate, s.settled)),
                Report::Update {
                    of,
                    now: Update::Signal(s),
                    ..
                } if *of == id => Some((s.fate, s.settled)),
                _ => None,
            })
            .collect()
    }

    /// What became known of a death later.
    pub(super) fn update_of(&self, id: u64) -> Option<&ExitReport> {
        self.reports.iter().find_map(|r| match r {
            Report::Update {
                of,
                now: Update::Exit(e),
                ..
            } if *of == id => Some(&**e),
            _ => None,
        })
    }

    /// A death.
    pub(super) fn exit(&self, task: &Task) -> &ExitReport {
        self.reports
            .iter()
            .find_map(|r| match r {
                Report::Exit(e) if e.task.key == task.key => Some(e),
                _ => None,
            })
            .unwrap_or_else(|| panic!("no exit of {task:?} in {:#?}", self.reports))
    }
}

/// The chain as text prints it.
pub(super) fn chain(exit: &ExitReport) -> String {
    exit.chain
        .iter()
        .map(|l| l.what.as_str())
        .collect::<Vec<_>>()
        .join(" ← ")
}

/// The sentences as JSON joins them.
pub(super) fn why(exit: &ExitReport) -> String {
    exit.explanation.sentences.join(" ")
}

/// Every signal that is reported, for filters.
pub(super) fn all_but(number: i32) -> u64 {
    !signals::bit(number)
}
