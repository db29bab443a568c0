//! The loop of a running trace: from the ring buffer through the engine to the
//! writer, until there is a reason to end. How it is set up stands in
//! [`super::trace`], what concerns containers that start meanwhile in
//! [`super::following`], names for places in programs in [`super::naming`].

use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use super::{
    cgroup::Cgroup,
    following::Following,
    ghosts::Ghosts,
    namesakes::Namesakes,
    naming,
    origins::Origins,
    programs::Programs,
    quotas::Readings,
    request::Wanted,
    watched::{self, Watched},
    Failure,
};
use crate::{
    container::{self, events::Heard},
    event::{
        decode::{self, Decoder},
        printable, BootTime, CgroupId, Event, Fact, Home,
    },
    explain::{Awaited, Engine},
    history::NOT_RUN,
    kernel::{
        self,
        error::KernelError,
        log::KernelLog,
        procfs,
        procfs::Proc,
        ring::{Mark, Ring},
        symbols::Symbols,
    },
    output::{spool::Drained, Clock, Ending, Output},
    program::worker::Worker,
};

/// How often the counts of lost events are looked at while events come in.
const LOSS_EVERY: Duration = Duration::from_millis(10);
/// And where some are known to be lost.
const LOSS_AT_ONCE: Duration = Duration::from_millis(1);
/// For so long after whoever reads the output had us wait what is lost is owed to that:
/// the buffer is as full as it was then.
const WAITED: Duration = Duration::from_secs(1);
/// How far records may be from the order of time, where not all of them have been read.
const DISORDER: Duration = Duration::from_millis(20);
/// How long a record that is being written (its CPU may be a virtual one that stands
/// still) holds up what came after it, and how often it is looked at.
const HELD_UP: Duration = Duration::from_secs(1);
const HELD_UP_FOR: Duration = Duration::from_millis(1);
/// How often it is checked that the traced namespaces are still there: their
/// ends are events, so this is for ends that were lost.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often memory that a burst took is handed back while events come in.
const TRIM_EVERY: Duration = Duration::from_secs(1);
/// How often the writer gets a tick after something was written.
const TICK: Duration = Duration::from_millis(250);
/// How long after it.
const TICKS_FOR: Duration = Duration::from_secs(3);
/// How long, after everything has ended, an engine is given to say who asked;
/// three times as long once it has begun to.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(3);
/// It may have to speak of many containers, one after the other: at most so long.
const LONGEST: Duration = Duration::from_secs(30);
/// How long a stop may go on as a restart.
const RESTART: Duration = Duration::from_millis(500);

/// Everything that a running trace holds.
pub(super) struct Live {
    pub(super) ring: Ring,
    pub(super) decoder: Decoder<Symbols>,
    pub(super) engine: Engine,
    pub(super) output: Box<dyn Output>,
    /// Tells when all of that is written.
    pub(super) written: Drained,
    pub(super) proc: Proc,
    pub(super) log: KernelLog,
    pub(super) next_id: u64,
    /// What is traced to its end.
    pub(super) watched: Vec<Watched>,
    pub(super) losses_checked: Instant,
    pub(super) trimmed: Instant,
    /// Something came in since then.
    pub(super) losses_unchecked: bool,
    pub(super) ghosts: Ghosts,
    pub(super) ticks_until: Instant,
    pub(super) once: bool,
    /// Which files senders run; `None` where their pids are not ours to know.
    pub(super) programs: Option<Programs>,
    /// The CPU quotas of those who are asked to end.
    pub(super) readings: Readings,
    /// Who has the pids that signals did not reach.
    pub(super) namesakes: Namesakes,
    /// Where senders and targets come from.
    pub(super) origins: Origins,
    /// Containers: those that are traced, and those that start meanwhile.
    pub(super) following: Following,
    pub(super) told: mpsc::Receiver<Heard>,
    pub(super) clock: Clock,
    /// Until when everything has been explained, and what is waited for to go on.
    pub(super) until: BootTime,
    pub(super) mark: Option<Mark>,
    /// Names for places of faults; `None` where they cannot be had.
    pub(super) symbols: Option<Worker>,
}

impl Live {
    pub(super) fn push(&mut self, time: BootTime, fact: Fact) {
        self.engine.push(Event {
            id: self.next_id,
            time,
            fact,
        });
        self.next_id += 1;
    }

    /// What a signal's sender and those behind it run, before they are gone. The
    /// fact comes before the signal, so that it is known by then.
    fn look_up(&mut self, time: BootTime, fact: &Fact) {
        let (Some(programs), Fact::Signal(signal)) = (&mut self.programs, fact) else {
            return;
        };
        let now = kernel::now();
        let quotas = self.readings.at(signal, now, &self.proc);
        for (key, file) in programs.behind(
            &signal.current,
            &signal.ancestry,
            &signal.target,
            &self.proc,
        ) {
            self.push(time, Fact::Program { key, file });
        }
        if let Some(quotas) = quotas {
            let key = signal.target.key;
            self.push(time, Fact::Quotas { key, quotas });
        }
    }

    /// The processes that are there already. Taken after attaching, so that
    /// none is missed; whoever was born in between has its fork in the ring,
    /// under the same identity.
    pub(super) fn snapshot(&mut self, wanted: &Wanted, since: BootTime) -> Result<(), KernelError> {
        let namespaces = &wanted.request.namespaces;
        let filter = &wanted.filter;
        let by_namespace = !namespaces.is_empty() || !filter.homes.is_empty();
        if !by_namespace && filter.follows && !filter.is_partial() {
            return Ok(());
        }
        // Of cgroups in each other the innermost counts.
        let mut cgroups: Vec<&Cgroup> = wanted.cgroups.iter().collect();
        cgroups.sort_by_key(|cgroup| cgroup.depth());
        let in_cgroups: HashMap<u32, CgroupId> = (cgroups.iter())
            .flat_map(|cgroup| cgroup.members().into_iter().map(|pid| (pid, cgroup.id)))
            .collect();
        let named = filter.processes.keys().chain(filter.owners.keys());
        let also = named.chain(in_cgroups.keys()).copied().collect();
        let members = self.proc.members(namespaces, &also, !by_namespace);
        for process in members.map_err(KernelError::Proc)? {
            let mut task = process.task;
            task.cgroup = in_cgroups.get(&task.key.pid).copied();
            if let Some(ns) = task
                .pidns()
                .filter(|ns| task.is_pid1() && namespaces.contains(ns))
            {
                self.watched.push(Watched::new(ns, task.key, &self.proc));
                self.following.ours(ns, task.key);
            }
            self.push(
                since,
                Fact::Snapshot {
                    task,
                    dispositions: process.dispositions,
                },
            );
        }
        for cgroup in &wanted.cgroups {
            if filter.homes.contains(&cgroup.id) {
                self.watched.push(Watched::cgroup(cgroup.clone()));
            }
        }
        for home in filter.containers() {
            let there = match home {
                Home::PidNs(_) => self.watched.iter().any(|watched| watched.home == home),
                Home::Cgroup(id) => in_cgroups.values().any(|&of| of == id),
            };
            if !there {
                // It ended while the hooks were being attached: what was seen
                // of that is in the ring, and comes before this.
                self.push(kernel::now(), Fact::Gone { home });
            }
        }
        Ok(())
    }

    pub(super) async fn run(&mut self) -> io::Result<Ending> {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more = false;
        loop {
            if more {
                // Where more comes in than can be explained, this never waits:
                // Ctrl-C and the end of the time must be heard all the same.
                tokio::task::yield_now().await;
                while let Ok(heard) = self.told.try_recv() {
                    self.hear(heard)?;
                }
            } else {
                let wake = self.next_wake();
                let symbols = self.symbols.as_mut();
                let look = self.following.is_busy() || self.watched.iter().any(Watched::is_due);
                tokio::select! {
                    readable = self.ring.readable() => readable?,
                    () = sleep_until(wake) => {}
                    _ = watch.tick(), if look => self.watch()?,
                    () = watched::first_end(&mut self.watched) => {}
                    Some(heard) = self.told.recv() => self.hear(heard)?,
                    container = self.following.learnt() => self.learn(container),
                    answer = naming::answer(symbols) => self.name(answer),
                }
            }
            more = self.work()?;
            if self.once && self.engine.ended() && self.following.all_found() {
                self.last_facts()?;
                self.last_names().await?;
                self.last_words().await?;
                return Ok(Ending::Ended);
            }
        }
    }

    /// An engine speaks, at a time of its own: what it says is an event of now.
    fn hear(&mut self, heard: Heard) -> io::Result<()> {
        match heard {
            Heard::Name(name) => {
                self.origins.named(name.id.clone(), name.name.clone());
                return self.named(name);
            }
            Heard::Event(told) => self.told_of(told),
            Heard::Silent(error) => {
                let why = container::error::chain(&error);
                // With standard error closed there is nobody left to tell; the
                // summary says it all the same.
                let _ = writeln!(
                    io::stderr(),
                    "sigtrace: {}; {}",
                    printable(&why),
                    self.following.lost_by_silence()
                );
                self.push(kernel::now(), Fact::EngineSilent(why.into()));
            }
        }
        Ok(())
    }

    /// Everything has ended, and the engine may be about to say who asked for
    /// that: it speaks when it is done itself. What the kernel side tells meanwhile
    /// is of what comes after the end, such as the same container's next start,
    /// for which the kernel may use the namespace's number again.
    async fn last_words(&mut self) -> io::Result<()> {
        let ended = Instant::now();
        let mut spoke = ended;
        while let Some(awaited) = self.engine.awaits_word().filter(|_| !self.told.is_closed()) {
            let until = match awaited {
                Awaited::Restart => spoke + RESTART,
                Awaited::Word => spoke + LAST_WORDS,
                Awaited::Rest => spoke + LAST_WORDS * 3,
            };
            let until = until.min(ended + LONGEST);
            // What was heard is understood a moment later.
            let wake = self.next_wake().filter(|wake| *wake < until);
            tokio::select! {
                Some(heard) = self.told.recv() => {
                    spoke = Instant::now();
                    self.hear(heard)?;
                }
                () = sleep_until(wake) => {}
                () = tokio::time::sleep_until(until) => break,
            }
            self.advance(kernel::now())?;
        }
        Ok(())
    }

    /// When there is something to do even if nothing comes in.
    fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let deadline = self.engine.next_deadline().map(|time| {
            now + Duration::from_nanos(time.0.saturating_sub(kernel::now().0))
                + Duration::from_millis(1)
        });
        let tick = (now < self.ticks_until || self.log.is_on()).then(|| now + TICK);
        let losses = self
            .losses_unchecked
            .then(|| self.losses_checked + LOSS_EVERY);
        let ends = self.following.next_end();
        let (counts, ghosts) = (self.ring.counts_due(), self.ghosts.due());
        let all = [deadline, tick, losses, ends, counts, ghosts];
        match (all.into_iter().flatten().min(), &self.mark) {
            (wake, None) => wake,
            // Nothing can be done before that record is written.
            (wake, Some(_)) => Some(wake.unwrap_or(now).max(now + HELD_UP_FOR)),
        }
    }

    /// Takes in what is there, up to a limit, and writes what is settled;
    /// whether there is more.
    fn work(&mut self) -> io::Result<bool> {
        self.log.flush();
        let mark = self.mark.take().unwrap_or_else(|| self.ring.mark());
        let (batch, more) = self.ring.drain();
        let mut last = None;
        for record in batch {
            if let Some((time, mut fact)) = self.decoder.decode(&record) {
                last = Some(time);
                self.origins.look(&mut fact);
                if let Fact::Place { .. } = fact {
                    continue;
                }
                self.look_up(time, &fact);
                if let (Fact::Refused(refused), true) = (&mut fact, self.programs.is_some()) {
                    self.namesakes.look(refused, &mut self.proc);
                }
                if let Fact::ForkRejected(fork) = &mut fact {
                    fork.machine = procfs::machine(Path::new("/proc"));
                }
                self.look_into(time, &fact);
                self.take(time, fact)?;
            }
        }
        let until = if self.ring.is_past(&mark) {
            mark.time
        } else {
            self.mark = Some(mark);
            match last.filter(|_| more) {
                Some(last) => earlier(last, DISORDER),
                None => earlier(kernel::now(), HELD_UP),
            }
        };
        self.until = self.until.max(until);
        self.losses_unchecked |= last.is_some();
        // Before anything is explained: what was lost makes it less certain.
        let since = self.losses_checked.elapsed();
        let short = since >= LOSS_AT_ONCE && self.ring.is_short();
        if self.losses_unchecked && (short || since >= LOSS_EVERY) {
            self.losses();
        }
        if self
            .ring
            .counts_due()
            .is_some_and(|due| due <= Instant::now())
        {
            self.counted()?;
        }
        if self.ghosts.due().is_some_and(|due| due <= Instant::now()) && !more {
            for key in self.ghosts.look(self.engine.not_gone(), &self.proc) {
                self.push(kernel::now(), Fact::Reap { key, by: None });
            }
        }
        self.advance(self.until)?;
        if last.is_some() && !more && self.trimmed.elapsed() >= TRIM_EVERY {
            kernel::give_back_memory();
            self.trimmed = Instant::now();
        }
        Ok(more)
    }

    /// Signals that were counted and not told.
    fn counted(&mut self) -> io::Result<()> {
        // Pids of another namespace's /proc would tell nothing.
        let look = self.programs.is_some();
        let is_alive = |pid| pid == 0 || !look || self.proc.is_there(pid);
        for counted in self.ring.counted(is_alive) {
            let (count, last) = (counted.count, counted.last);
            let fact = match decode::like_fork(&counted.key) {
                Some(like) => Fact::ForksCounted { like, count, last },
                None => Fact::Folded {
                    like: decode::like(&counted.key),
                    count,
                    last,
                },
            };
            self.take(kernel::now(), fact)?;
        }
        Ok(())
    }

    /// Detaches the hooks first: what would still come in has no end.
    fn last_facts(&mut self) -> io::Result<()> {
        self.ring.detach();
        // One of before would not have what comes in until then behind it.
        self.mark = None;
        let begin = Instant::now();
        // A program that was running may be about to write its record.
        while self.work()? || self.mark.is_some() && begin.elapsed() < HELD_UP {
            if self.mark.is_some() {
                std::thread::sleep(HELD_UP_FOR);
            }
        }
        self.counted()?;
        self.losses();
        Ok(())
    }

    pub(super) fn advance(&mut self, until: BootTime) -> io::Result<()> {
        for key in self.engine.to_observe(until) {
            // What comes while it is read may not be in it.
            let begun = kernel::now();
            let (dispositions, sight) = self.proc.observe(key).unzip();
            let sight = sight.unwrap_or_default();
            self.push(
                begun,
                Fact::Observed {
                    key,
                    dispositions,
                    sight,
                },
            );
        }
        let reports = self.engine.advance(until);
        if !reports.is_empty() {
            self.ticks_until = Instant::now() + TICKS_FOR;
        }
        for report in &reports {
            self.output.report(report)?;
        }
        self.say_ends(false)?;
        self.output.tick(until)?;
        self.output.flush()
    }

    fn losses(&mut self) {
        self.losses_checked = Instant::now();
        self.losses_unchecked = false;
        let slow_output = self.written.has_waited(WAITED);
        for (kind, count) in self.ring.losses() {
            // Pids of another namespace's /proc would tell nothing.
            if self.programs.is_some() {
                self.ghosts.lost();
            }
            self.push(
                kernel::now(),
                Fact::Lost {
                    kind,
                    count,
                    // A program that did not run had nothing to do with the buffer.
                    slow_output: slow_output && kind != NOT_RUN,
                },
            );
        }
        let (calls, forks) = self.ring.not_looked_at();
        if calls > 0 {
            self.push(kernel::now(), Fact::NotLookedAt(calls));
        }
        if forks > 0 {
            self.push(kernel::now(), Fact::ForksNotLookedAt(forks));
        }
    }

    /// Namespaces whose first process is gone, although nothing was seen of it
    /// until the next look: what was seen may still be on its way here.
    fn watch(&mut self) -> io::Result<()> {
        self.follow_on(kernel::now())?;
        let mut gone = Vec::new();
        for watched in &mut self.watched {
            if watched.is_gone(&self.proc) && std::mem::replace(&mut watched.gone, true) {
                gone.push(watched.home);
            }
        }
        self.watched.retain(|watched| !gone.contains(&watched.home));
        for home in gone {
            if !self.engine.has_ended(home) {
                self.push(kernel::now(), Fact::Gone { home });
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, ending: Ending) -> Result<(), Failure> {
        if ending != Ending::Ended {
            self.last_facts()?;
        }
        let now = kernel::now();
        let (reports, mut summary) = self.engine.finish(now);
        summary.notes.extend(self.following.notes());
        for report in &reports {
            self.output.report(report)?;
        }
        self.output.summary(&summary, ending, now)?;
        self.output.flush()?;
        Ok(self.written.wait()?)
    }
}

fn earlier(time: BootTime, by: Duration) -> BootTime {
    BootTime(time.0.saturating_sub(by.as_nanos() as u64))
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
