//! The live trace: attaches, and carries events from the ring buffer through
//! the engine to the writer until there is a reason to end. What is wanted is
//! put together in [`super::request`].

use std::{
    collections::HashSet,
    env,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use tokio::{
    signal::unix::{signal, SignalKind},
    sync::mpsc,
    time::Instant,
};

use super::{
    args::TraceArgs,
    cgroup::Cgroup,
    programs::Programs,
    request::{self, Wanted},
    scope, Code, Failure,
};
use crate::{
    container::{
        self,
        events::{self, Heard},
        socket::Sockets,
        Container,
    },
    event::{decode::Decoder, printable, BootTime, EngineEvent, Event, Fact, PidNs, ProcessKey},
    explain::{report::Coverage, Engine},
    kernel::{
        self,
        attach::{attach, Attached},
        error::KernelError,
        facts::Facts,
        hooks::Hook,
        log::KernelLog,
        procfs::Proc,
        ring::Ring,
        symbols::Symbols,
    },
    output::{self, Clock, Ending, Output, Tracing},
};

/// How often the counts of lost events are looked at while events come in.
const LOSS_EVERY: Duration = Duration::from_millis(10);
/// How often it is checked that the traced namespaces are still there: their
/// ends are events, so this is for ends that were lost.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often the writer gets a tick after something was written.
const TICK: Duration = Duration::from_millis(250);
/// How long, after everything has ended, an engine is given to say who asked;
/// three times as long once it has begun to.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long after it.
const TICKS_FOR: Duration = Duration::from_secs(3);

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        let code = match error {
            KernelError::Map(..)
            | KernelError::Wait(_)
            | KernelError::Privileges(_)
            | KernelError::NoNewPrivileges(_)
            | KernelError::Proc(_) => Code::Failed,
            KernelError::TooMany(_) => Code::Usage,
            _ => Code::CannotTrace,
        };
        Self::new(code, error)
    }
}

/// Traces until it is told to end.
pub fn run(args: TraceArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(trace(args))
}

async fn trace(args: TraceArgs) -> Result<(), Failure> {
    let mut facts = Facts::probe();
    kernel::attach::check(&facts)?;
    let mut proc = Proc::new("/proc");
    let sockets = || Sockets::of(|name| env::var_os(name));
    let found = scope::resolve(&args, Path::new("/proc"), sockets).await?;
    let scopes = request::without_host(&args, &found.scopes)?;
    request::check_targets(&args, &scopes, &proc, facts.on_host)?;
    let wanted = request::of(&args, &found.scopes, &mut proc)?;
    // Before anything is attached: from here on a signal ends the trace
    // properly, with all that was seen written.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut attached = attach(&mut facts, &wanted.request)?;
    let log = KernelLog::new(&mut attached.ebpf, wanted.request.log_level);

    let clock = Clock {
        offset_ns: kernel::wall_clock_offset_ns(),
    };
    let coverage = coverage(&attached, &wanted);
    let mut tracing = tracing(&args, &wanted, &attached, &facts);
    tracing.notes.extend(found.notes);
    let stdout = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let told = listen(&found.containers, clock, tracing.since);
    let mut live = Live {
        decoder: Decoder {
            functions: Symbols::open("/proc/kallsyms"),
        },
        engine: Engine::new(coverage),
        output: output::writer(
            args.show.format,
            args.context(clock, scopes.clone()),
            stdout,
        ),
        ring: Ring::new(attached)?,
        proc,
        log,
        next_id: 1,
        watched: Vec::new(),
        losses_checked: Instant::now(),
        losses_unchecked: false,
        ticks_until: Instant::now(),
        once: args.once,
        programs: facts.on_host.then(Programs::default),
        containers: found.containers,
        told,
        clock,
    };
    kernel::privileges::give_up(&live.ring)?;
    for fact in live
        .containers
        .iter()
        .map(Container::fact)
        .collect::<Vec<_>>()
    {
        live.push(tracing.since, Fact::Container(Box::new(fact)));
    }
    if facts.on_host {
        live.snapshot(&wanted, tracing.since)?;
    }
    live.output.tracing(&tracing)?;
    live.output.flush()?;

    let time_up = async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let ending = tokio::select! {
        ending = live.run() => ending?,
        _ = interrupt.recv() => Ending::Interrupted,
        _ = terminate.recv() => Ending::Interrupted,
        () = time_up => Ending::TimeUp,
    };
    live.finish(ending)
}

fn coverage(attached: &Attached, wanted: &Wanted) -> Coverage {
    let sees = |hook| {
        attached
            .choices
            .iter()
            .any(|c| c.hook == hook && c.level.is_some())
    };
    Coverage {
        since: attached.since,
        signals: wanted.request.signals,
        filter: wanted.filter.clone(),
        sees_dequeue: sees(Hook::DequeueSignal),
        sees_release: sees(Hook::ReleaseTask),
    }
}

fn tracing(args: &TraceArgs, wanted: &Wanted, attached: &Attached, facts: &Facts) -> Tracing {
    let mut notes = kernel::notes(&attached.choices, facts);
    notes.extend(args.buffer.and_then(super::size::BufferSize::note));
    Tracing {
        since: attached.since,
        kernel: facts.release.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        filters: args.filters(wanted.filter.is_empty()),
        hooks: kernel::hook_names(&attached.choices),
        notes,
    }
}

/// Everything that a running trace holds.
struct Live<'a> {
    ring: Ring,
    decoder: Decoder<Symbols>,
    engine: Engine,
    output: Box<dyn Output + 'a>,
    proc: Proc,
    log: KernelLog,
    next_id: u64,
    /// The first process of each traced namespace.
    watched: Vec<(PidNs, ProcessKey)>,
    losses_checked: Instant,
    /// Something came in since then.
    losses_unchecked: bool,
    ticks_until: Instant,
    once: bool,
    /// Which files senders run; `None` where their pids are not ours to know.
    programs: Option<Programs>,
    /// The containers that engines are listened to for.
    containers: Vec<Container>,
    told: mpsc::Receiver<Heard>,
    clock: Clock,
}

impl Live<'_> {
    fn push(&mut self, time: BootTime, fact: Fact) {
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
        for (key, file) in programs.behind(
            &signal.current,
            &signal.ancestry,
            &signal.target,
            &self.proc,
        ) {
            self.push(time, Fact::Program { key, file });
        }
    }

    /// The processes that are there already. Taken after attaching, so that
    /// none is missed; whoever was born in between has its fork in the ring,
    /// under the same identity.
    fn snapshot(&mut self, wanted: &Wanted, since: BootTime) -> Result<(), KernelError> {
        let namespaces = &wanted.request.namespaces;
        let in_cgroups: HashSet<u32> = wanted.cgroups.iter().flat_map(Cgroup::members).collect();
        let named = wanted.filter.processes.keys().copied();
        let also = named.chain(in_cgroups.iter().copied()).collect();
        let members = self.proc.members(namespaces, &also);
        for process in members.map_err(KernelError::Proc)? {
            let mut task = process.task;
            task.in_cgroup = in_cgroups.contains(&task.key.pid);
            if let Some(ns) = task
                .pidns()
                .filter(|ns| task.is_pid1() && namespaces.contains(ns))
            {
                self.watched.push((ns, task.key));
            }
            self.push(
                since,
                Fact::Snapshot {
                    task,
                    dispositions: process.dispositions,
                },
            );
        }
        for &ns in namespaces {
            if !self.watched.iter().any(|&(watched, _)| watched == ns) {
                // It ended while the hooks were being attached: what was seen
                // of that is in the ring, and comes before this.
                self.push(kernel::now(), Fact::NamespaceGone { pidns: ns });
            }
        }
        Ok(())
    }

    async fn run(&mut self) -> io::Result<Ending> {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        let mut more = false;
        loop {
            if more {
                // Where more comes in than can be explained, this never waits:
                // Ctrl-C and the end of the time must be heard all the same.
                tokio::task::yield_now().await;
                while let Ok(heard) = self.told.try_recv() {
                    self.hear(heard);
                }
            } else {
                let wake = self.next_wake();
                tokio::select! {
                    readable = self.ring.readable() => readable?,
                    () = sleep_until(wake) => {}
                    _ = watch.tick(), if !self.watched.is_empty() => self.watch(),
                    Some(heard) = self.told.recv() => self.hear(heard),
                }
            }
            more = self.work()?;
            if self.once && self.engine.ended() {
                self.last_facts()?;
                self.last_words().await?;
                return Ok(Ending::Ended);
            }
        }
    }

    /// An engine speaks, at a time of its own: what it says is an event of now.
    fn hear(&mut self, heard: Heard) {
        let fact = match heard {
            Heard::Event(told) => {
                let at = told.wall_ns.saturating_sub(self.clock.offset_ns);
                let of = |one: &&Container| one.id == told.container;
                let Some(of) = self.containers.iter().find(of) else {
                    return;
                };
                Fact::Engine(EngineEvent {
                    pidns: of.pidns,
                    at: BootTime(u64::try_from(at).unwrap_or_default()),
                    answering: told.answering,
                    action: told.action,
                })
            }
            Heard::Silent(error) => {
                let why = container::error::chain(&error);
                eprintln!(
                    "sigtrace: {}; who asked for a stop may be missing",
                    printable(&why)
                );
                Fact::EngineSilent(why.into())
            }
        };
        self.push(kernel::now(), fact);
    }

    /// Everything has ended, and the engine may be about to say who asked for
    /// that: it speaks when it is done itself. What the kernel side tells meanwhile
    /// is of what comes after the end, such as the same container's next start,
    /// for which the kernel may use the namespace's number again.
    async fn last_words(&mut self) -> io::Result<()> {
        let ended = Instant::now();
        while let Some(begun) = self.engine.awaits_word().filter(|_| !self.told.is_closed()) {
            let until = ended + LAST_WORDS * if begun { 3 } else { 1 };
            tokio::select! {
                Some(heard) = self.told.recv() => self.hear(heard),
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
        deadline.into_iter().chain(tick).chain(losses).min()
    }

    /// Takes in what is there, up to a limit, and writes what is settled;
    /// whether there is more.
    fn work(&mut self) -> io::Result<bool> {
        self.log.flush();
        // Taken before the ring is emptied: all that happened until then is in
        // the batch.
        let mut until = kernel::now();
        let (batch, more) = self.ring.drain();
        let mut last = None;
        for record in batch {
            if let Some((time, fact)) = self.decoder.decode(&record) {
                last = Some(time);
                self.look_up(time, &fact);
                self.push(time, fact);
            }
        }
        if more {
            until = last.unwrap_or(until);
        }
        self.losses_unchecked |= last.is_some();
        if self.losses_unchecked && self.losses_checked.elapsed() >= LOSS_EVERY {
            self.losses();
        }
        self.advance(until)?;
        Ok(more)
    }

    /// Detaches the hooks first: what would still come in has no end.
    fn last_facts(&mut self) -> io::Result<()> {
        self.ring.detach();
        while self.work()? {}
        self.losses();
        Ok(())
    }

    fn advance(&mut self, until: BootTime) -> io::Result<()> {
        for key in self.engine.to_observe(until) {
            let dispositions = self.proc.observe(key);
            self.push(kernel::now(), Fact::Observed { key, dispositions });
        }
        let reports = self.engine.advance(until);
        if !reports.is_empty() {
            self.ticks_until = Instant::now() + TICKS_FOR;
        }
        for report in &reports {
            self.output.report(report)?;
        }
        self.output.tick(until)?;
        self.output.flush()
    }

    fn losses(&mut self) {
        self.losses_checked = Instant::now();
        self.losses_unchecked = false;
        for (kind, count) in self.ring.losses() {
            self.push(kernel::now(), Fact::Lost { kind, count });
        }
    }

    /// Namespaces whose first process is gone, although nothing was seen of it.
    fn watch(&mut self) {
        let gone: Vec<PidNs> = self
            .watched
            .iter()
            .filter(|(_, key)| self.proc.observe(*key).is_none())
            .map(|&(ns, _)| ns)
            .collect();
        self.watched.retain(|(ns, _)| !gone.contains(ns));
        for pidns in gone {
            self.push(kernel::now(), Fact::NamespaceGone { pidns });
        }
    }

    fn finish(mut self, ending: Ending) -> Result<(), Failure> {
        if ending != Ending::Ended {
            self.last_facts()?;
        }
        let now = kernel::now();
        let (reports, summary) = self.engine.finish(now);
        for report in &reports {
            self.output.report(report)?;
        }
        self.output.summary(&summary, ending, now)?;
        self.output.flush()?;
        io::stdout().flush()?;
        Ok(())
    }
}

/// Listens to the engines of these containers. From a moment before: what is
/// older than the trace is joined to nothing.
fn listen(containers: &[Container], clock: Clock, since: BootTime) -> mpsc::Receiver<Heard> {
    let asked: Vec<_> = containers
        .iter()
        .filter_map(|one| Some((one.socket.clone()?, one.id.clone())))
        .collect();
    events::listen(&asked, clock.timestamp(since).as_second() - 1)
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
