//! The live trace: attaches, and carries events from the ring buffer through
//! the engine to the writer until there is a reason to end. What is wanted is
//! put together in [`super::request`].

use std::{
    env, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use tokio::{
    signal::unix::{signal, Signal, SignalKind},
    sync::mpsc,
    time::Instant,
};

use super::{
    args::TraceArgs,
    following::Following,
    ghosts::Ghosts,
    live::Live,
    namesakes::Namesakes,
    origins::Origins,
    programs::Programs,
    quotas::Readings,
    request::{self, Wanted},
    scope::{self, Found},
    Code, Failure,
};
use crate::{
    container::{
        events::{self, Heard},
        follow::Follow,
        socket::{is_of_another, Sockets},
        Container,
    },
    event::{decode::Decoder, BootTime, Fact},
    explain::{report::Coverage, Engine},
    kernel::{
        self,
        attach::{attach, Attached},
        error::KernelError,
        facts::Facts,
        hooks::Hook,
        procfs::Proc,
        ring::Ring,
        symbols::Symbols,
    },
    output::{
        self,
        spool::{Drained, Spool},
        Clock, Ending, Scope, Tracing,
    },
    program::worker::Worker,
};

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
    if args.signal_mask() == 0 {
        return Err(Failure::usage(
            "--exclude-signal leaves out every signal that --signal names: nothing would be traced",
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start waiting for events (epoll)")?;
    runtime.block_on(trace(args))
}

/// So much later a second request to end counts as one.
const ONCE_MORE: Duration = Duration::from_secs(1);

async fn trace(args: TraceArgs) -> Result<(), Failure> {
    let mut facts = Facts::probe();
    kernel::attach::check(&facts)?;
    let mut proc = Proc::new("/proc");
    let sockets = || Sockets::of(|name| env::var_os(name));
    let mut found = scope::resolve(&args, Path::new("/proc"), sockets).await?;
    let mut scopes = request::without_host(&args, &found.scopes)?;
    request::check_targets(&args, &scopes, &proc, &facts)?;
    let mut wanted = request::of(&args, &found, &mut proc)?;
    // Before anything is attached: from here on a signal ends the trace
    // properly, with all that was seen written.
    let mut asked_to_end = AskedToEnd::new().context("cannot handle signals")?;
    let mut attached = attach(&mut facts, &wanted.request)?;
    if !found.waiting.is_empty() {
        for scope in late(&args, &mut found, sockets).await? {
            attached.also(scope.pidns)?;
            wanted.also(scope.pidns);
            scopes.push(scope);
        }
        // What those did until now was left out: nothing is claimed of it.
        attached.since = kernel::now();
    }

    let clock = Clock {
        offset_ns: kernel::wall_clock_offset_ns(),
    };
    let log = std::mem::take(&mut attached.log);
    let coverage = coverage(&attached, &wanted);
    let mut tracing = tracing(&args, &wanted, &attached, &facts);
    tracing.notes.extend(found.notes);
    let stdout = Spool::new(io::stdout());
    let written = stdout.drained();
    let twice = asked_to_end.end_at_second(&written);
    twice.context("cannot handle signals")?;
    let sockets = wanted.filter.follows.then(sockets);
    let told = match &sockets {
        Some(sockets) => events::listen_to_all(&sockets.found, moment_before(clock, tracing.since)),
        None => listen(&found.containers, clock, tracing.since),
    };
    let of_containers = found
        .containers
        .iter()
        .filter_map(|one| one.socket.as_deref());
    let followed = sockets.iter().flat_map(|sockets| &sockets.found);
    let engines_of_others = of_containers.map(Path::new).any(is_of_another)
        || followed.map(PathBuf::as_path).any(is_of_another);
    let follow = sockets.map(|sockets| {
        let engines = !sockets.found.is_empty();
        let mut follow = Follow::new(&args.containers, wanted.filter.clone(), engines, args.once);
        let there = |name: &&String| !found.waiting.contains(name);
        args.containers
            .iter()
            .filter(there)
            .for_each(|name| follow.found(name));
        follow
    });
    tracing.waiting = found.waiting;
    let containers = found.containers;
    let following = Following::new(follow, containers, &scopes, facts.on_host, args.once);
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
        written,
        ring: Ring::new(attached)?,
        proc,
        log,
        next_id: 1,
        watched: Vec::new(),
        losses_checked: Instant::now(),
        trimmed: Instant::now(),
        until: tracing.since,
        mark: None,
        losses_unchecked: false,
        ghosts: Ghosts::default(),
        ticks_until: Instant::now(),
        once: args.once,
        programs: facts.on_host.then(Programs::default),
        readings: Readings::default(),
        namesakes: Namesakes::default(),
        origins: Origins::new(found.names),
        following,
        told,
        clock,
        symbols: facts.on_host.then(Worker::new),
    };
    kernel::privileges::give_up(&live.ring, engines_of_others)?;
    let containers: Vec<_> = live.following.containers().map(Container::fact).collect();
    for container in containers {
        live.push(tracing.since, Fact::Container(Box::new(container)));
    }
    if facts.on_host {
        live.snapshot(&wanted, tracing.since)?;
    }
    live.output.tracing(&tracing)?;
    live.output.flush()?;
    live.decoder.functions.read_ahead();

    let time_up = async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let ending = tokio::select! {
        ending = live.run() => ending?,
        () = asked_to_end.wait() => Ending::Interrupted,
        () = time_up => Ending::TimeUp,
    };
    live.finish(ending)
}

/// Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed, except under nohup(1),
/// which has it ignored.
struct AskedToEnd {
    signals: [Signal; 2],
    hangup: Option<Signal>,
}

impl AskedToEnd {
    fn new() -> io::Result<Self> {
        let hangup = SignalKind::hangup();
        Ok(Self {
            hangup: if kernel::ignores(hangup.as_raw_value()) {
                None
            } else {
                Some(signal(hangup)?)
            },
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ],
        })
    }

    /// Who asks once more while the output waits for its reader gets no more than the end.
    fn end_at_second(&self, written: &Drained) -> io::Result<()> {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        if self.hangup.is_some() {
            kinds.push(SignalKind::hangup());
        }
        let numbers: Vec<_> = kinds.iter().map(SignalKind::as_raw_value).collect();
        let (blocked, asked) = written.flags();
        kernel::end_at_second(&numbers, ONCE_MORE, blocked, asked)
    }

    async fn wait(&mut self) {
        let [interrupt, terminate] = &mut self.signals;
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup => {}
        }
    }
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
        sees_check: sees(Hook::CheckKillPermission),
    }
}

fn tracing(args: &TraceArgs, wanted: &Wanted, attached: &Attached, facts: &Facts) -> Tracing {
    let mut notes = kernel::notes(&attached.choices, facts, wanted.request.wish);
    notes.extend(args.buffer.and_then(super::size::BufferSize::note));
    notes.extend(wanted.whole_host.then(|| {
        "the host's own PID namespace holds every process: all of the host is traced".to_owned()
    }));
    Tracing {
        since: attached.since,
        kernel: facts.release.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        filters: args.filters(wanted.filter.is_empty()),
        hooks: kernel::hook_names(&attached.choices),
        notes,
        waiting: Vec::new(),
    }
}

/// Listens to the engines of these containers. From a moment before: what is
/// older than the trace is joined to nothing.
fn listen(containers: &[Container], clock: Clock, since: BootTime) -> mpsc::Receiver<Heard> {
    let asked: Vec<_> = containers
        .iter()
        .filter_map(|one| Some((one.socket.clone()?, one.id.clone())))
        .collect();
    events::listen(&asked, moment_before(clock, since))
}

fn moment_before(clock: Clock, since: BootTime) -> i64 {
    clock.timestamp(since).as_second() - 1
}

/// Containers that were not there when they were looked for, and have started
/// since: before the hooks were, it may be.
async fn late(
    args: &TraceArgs,
    found: &mut Found,
    sockets: impl FnOnce() -> Sockets,
) -> Result<Vec<Scope>, Failure> {
    let again = TraceArgs {
        containers: found.waiting.clone(),
        pidns: Vec::new(),
        ..args.clone()
    };
    let mut late = scope::resolve(&again, Path::new("/proc"), sockets).await?;
    // One without a PID namespace of its own is told by its cgroup, which is new.
    let shares = |one: &Container| one.shares.is_some();
    let follows = |name: &String| {
        let mut all = late.containers.iter().filter(|one| shares(one));
        all.any(|one| one.is_called(name))
    };
    found
        .waiting
        .retain(|name| late.waiting.contains(name) || follows(name));
    late.containers.retain(|one| !shares(one));
    late.scopes.retain(|scope| scope.shares.is_none());
    found.containers.extend(late.containers);
    Ok(late.scopes)
}
