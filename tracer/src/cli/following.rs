//! Containers of a running trace: those that it began with, and, where they are
//! followed, those that start meanwhile. Which of them are wanted is decided in
//! [`container::follow`](crate::container::follow); here is what has to be looked
//! up for that, and what is done once it is known.

use std::{
    fs,
    io::{self, Write as _},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{cgroup::Cgroup, live::Live, scope, watched::Watched};
use crate::{
    container::{
        self,
        engine::details_of,
        events::Told,
        follow::{Claim, Follow, Name},
        overlooked::{self, Overlooked},
        Container, Named, Shared,
    },
    event::{BootTime, EngineAction, EngineEvent, Fact, Home, PidNs, ProcessKey},
    explain::{runtime, words},
    history::HELD,
    kernel,
    output::Scope,
};

/// How long after the end of a container that is said: what is known of it late
/// comes first.
const LATE: Duration = Duration::from_millis(200);
/// Lives of containers that are remembered, for what engines say late.
const LIVES: usize = 256;

/// A container from one start to its end.
#[derive(Debug)]
struct Life {
    container: Container,
    scope: Scope,
    /// When it started; 0: before the trace.
    born: BootTime,
    /// Its end was seen at this time; `None` within: and said.
    over: Option<Option<Instant>>,
}

/// See the module.
pub(super) struct Following {
    /// `None`: whatever starts is not followed.
    follow: Option<Follow>,
    lives: Vec<Life>,
    learnt: (mpsc::Sender<Container>, mpsc::Receiver<Container>),
    overlooked: Overlooked,
    on_host: bool,
    once: bool,
}

impl Following {
    /// The containers that are there, each with what it is called.
    pub(super) fn new(
        follow: Option<Follow>,
        containers: Vec<Container>,
        scopes: &[Scope],
        on_host: bool,
        once: bool,
    ) -> Self {
        let lives = containers.into_iter().map(|container| Life {
            scope: (scopes.iter())
                .find(|scope| {
                    scope
                        .container
                        .as_ref()
                        .is_some_and(|it| it.id == container.id)
                })
                .cloned()
                .unwrap_or_default(),
            container,
            born: BootTime(0),
            over: None,
        });
        Self {
            follow,
            lives: lives.collect(),
            learnt: mpsc::channel(64),
            overlooked: Overlooked::default(),
            on_host,
            once,
        }
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.lives.iter().map(|life| &life.container)
    }

    pub(super) fn ours(&mut self, pidns: PidNs, pid1: ProcessKey) {
        if let Some(follow) = &mut self.follow {
            follow.ours(pidns, Some(pid1));
        }
    }

    /// Nothing that is waited for is still to come.
    pub(super) fn all_found(&self) -> bool {
        self.follow.as_ref().is_none_or(Follow::all_found)
    }

    /// Whether something has to be looked at from time to time.
    pub(super) fn is_busy(&self) -> bool {
        let busy = |follow: &Follow| follow.sizes().0 > 0 || !follow.named_and_missing().is_empty();
        self.follow.as_ref().is_some_and(busy)
    }

    pub(super) fn expire(&mut self, now: BootTime) {
        if let Some(follow) = &mut self.follow {
            follow.expire(now);
        }
    }

    /// What its engine knows of a container, where that was asked.
    pub(super) async fn learnt(&mut self) -> Container {
        match self.learnt.1.recv().await {
            Some(container) => container,
            None => std::future::pending().await,
        }
    }

    /// When an end is to be said.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let ends = self.lives.iter().filter_map(|life| life.over.flatten());
        ends.map(|end| end + LATE).min()
    }

    /// What it means that an engine is not heard.
    pub(super) fn lost_by_silence(&self) -> &'static str {
        match self.follow {
            Some(_) => {
                "who asked for a stop may be missing, and a container that starts is known by its \
                 id alone"
            }
            None => "who asked for a stop may be missing",
        }
    }

    /// What was given up and what was not found, for the end.
    pub(super) fn notes(&self) -> Vec<String> {
        let unclaimed = self.follow.as_ref().map_or(0, Follow::unclaimed);
        let given_up = (unclaimed > 0).then(|| {
            format!(
                "{} of new PID namespaces {} dropped, because it did not become known in time \
                 to which containers they belong.",
                words::count(unclaimed, "event", "events"),
                if unclaimed == 1 { "was" } else { "were" }
            )
        });
        given_up
            .into_iter()
            .chain(self.overlooked.notes())
            .collect()
    }

    /// Those that have started and cannot be followed, each once.
    fn overlooked(&mut self, now: BootTime) -> Vec<String> {
        let missing = self.follow.as_ref().map(Follow::named_and_missing);
        self.overlooked.look(&missing.unwrap_or_default(), now)
    }
}

impl Live {
    /// A fact of the kernel side: to the engine now, or once it is known whose it
    /// is.
    pub(super) fn take(&mut self, time: BootTime, fact: Fact) -> io::Result<()> {
        let Some(follow) = &mut self.following.follow else {
            self.push(time, fact);
            return Ok(());
        };
        let placed = match &fact {
            Fact::Placed { task, cgroups } => Some((
                task.clone(),
                cgroups[0].clone(),
                container::container_in(cgroups),
            )),
            _ => None,
        };
        let ours = follow.take(time, fact);
        let lives = &self.following.lives;
        let is_traced = |id: &str| {
            let mut lives = lives.iter().filter(|life| life.over.is_none());
            lives.any(|life| life.container.id == id)
        };
        let claim = placed.and_then(|(task, cgroup, container)| {
            let look = self.following.on_host;
            let container = container.or_else(|| {
                let named = look.then(|| in_proc(task.key.pid)).flatten()?;
                Some((named.id, named.engine))
            });
            let file = look.then(|| self.proc.program(task.key)).flatten();
            let runtime = runtime::is_runtime(task.comm, file.as_deref());
            match ours {
                None => follow.placed(time, &task, runtime, &cgroup, container),
                // Nothing more is known of a container that is traced already.
                Some(_) if container.as_ref().is_none_or(|(id, _)| is_traced(id)) => None,
                Some(_) => follow.joined(time, &task, runtime, &cgroup, container),
            }
        });
        if let Some(fact) = ours {
            self.push(time, fact);
        }
        claim.map_or(Ok(()), |claim| self.claim(claim))
    }

    /// An engine tells what a container is called.
    pub(super) fn named(&mut self, name: Name) -> io::Result<()> {
        let Some(follow) = &mut self.following.follow else {
            return Ok(());
        };
        for claim in follow.named(name) {
            self.claim(claim)?;
        }
        Ok(())
    }

    /// Time goes by: cgroups turn out to be containers themselves, and what waited
    /// long enough is given up.
    pub(super) fn follow_on(&mut self, now: BootTime) -> io::Result<()> {
        let Some(follow) = &mut self.following.follow else {
            return Ok(());
        };
        for claim in follow.ripen(now) {
            self.claim(claim)?;
        }
        for name in self.following.overlooked(now) {
            // The summary says it, too.
            let _ = writeln!(io::stderr(), "sigtrace: {}", overlooked::words(&name));
        }
        self.following.expire(now);
        Ok(())
    }

    /// What is not in the facts of a container that shares its PID namespace: where
    /// its cgroup is, and whose process is PID 1.
    fn look_up_shared(&mut self, container: &mut Container) -> Option<Cgroup> {
        let (pidns, pid) = (container.pidns, container.pid);
        let shares = container.shares.as_mut()?;
        if !self.following.on_host {
            return None;
        }
        let named = pid
            .and_then(in_proc)
            .filter(|named| named.id == container.id);
        if let Some(named) = named {
            shares.cgroup = named.cgroup;
        }
        if shares.with != Shared::Host {
            let owner = container::first_in(self.proc.root(), pidns).and_then(in_proc);
            let name = owner.map(|owner| {
                let follow = self.following.follow.as_ref();
                let name = follow.and_then(|follow| follow.name_of(&owner.id));
                name.map_or_else(|| owner.id[..12].to_owned(), str::to_owned)
            });
            if let Some(name) = name {
                shares.with = Shared::Container(name);
            }
        }
        let cgroup = Cgroup::of_container(&shares.cgroup, shares.hierarchy).ok();
        // Another one may have its path by now.
        cgroup.filter(|cgroup| cgroup.id == shares.id)
    }

    /// A container that was waited for is there: what happened in it so far was
    /// kept until now.
    fn claim(&mut self, claim: Claim) -> io::Result<()> {
        let Claim {
            mut container,
            first: pid1,
            facts,
            dropped,
            told,
            ..
        } = claim;
        let cgroup = self.look_up_shared(&mut container);
        // The same container's end comes before its next start.
        for life in &mut self.following.lives {
            let before = life.container.id == container.id || life.scope.home() == container.home();
            if before && life.over.is_none() {
                life.over = Some(Some(Instant::now()));
            }
        }
        self.say_ends(true)?;
        let born = BootTime(pid1.key.start_ns);
        let runs = facts.iter().rev().find_map(|(_, fact)| match fact {
            Fact::Placed { task, .. } if task.key == pid1.key => Some(task),
            _ => None,
        });
        let name = match &container.shares {
            None => Some(runs.unwrap_or(&pid1).comm.to_string()),
            Some(_) => container::pid1_of(self.proc.root(), container.pidns),
        };
        let mut scope = scope::of(&container, name);
        scope.born_ns = born.0;
        self.output.started(&scope, born)?;
        let home = container.home();
        self.push(born, Fact::Traced { home });
        self.push(born, Fact::Container(Box::new(container.fact())));
        for (time, fact) in facts {
            self.push(time, fact);
        }
        if dropped > 0 {
            let (kind, count) = (HELD, dropped);
            self.push(
                kernel::now(),
                Fact::Lost {
                    kind,
                    count,
                    slow_output: false,
                },
            );
        }
        self.watched.retain(|watched| watched.home != home);
        match (home, cgroup) {
            (Home::PidNs(ns), _) if self.following.on_host => {
                self.watched.push(Watched::new(ns, pid1.key, &self.proc));
            }
            (Home::Cgroup(_), Some(cgroup)) => self.watched.push(Watched::cgroup(cgroup)),
            _ => {}
        }
        self.ask_about(&container);
        let lives = &mut self.following.lives;
        lives.push(Life {
            container,
            scope,
            born,
            over: None,
        });
        if lives.len() > LIVES {
            lives.remove(0);
        }
        for told in told {
            self.told_of(told);
        }
        Ok(())
    }

    fn ask_about(&self, container: &Container) {
        let Some(socket) = container.socket.clone() else {
            return;
        };
        let (mut container, to) = (container.clone(), self.following.learnt.0.clone());
        tokio::spawn(async move {
            if let Some(details) = details_of(&socket, &container.id).await {
                container.learn(&details);
                // The trace is over otherwise.
                let _ = to.send(container).await;
            }
        });
    }

    /// What an engine knows of a container that it was asked about.
    pub(super) fn learn(&mut self, container: Container) {
        let now =
            |life: &&mut Life| life.container.home() == container.home() && life.over.is_none();
        let fact = container.fact();
        if let Some(life) = self.following.lives.iter_mut().rev().find(now) {
            life.container = container;
        }
        self.push(kernel::now(), Fact::Container(Box::new(fact)));
    }

    /// An engine tells of a container: of the life that it was in then.
    pub(super) fn told_of(&mut self, told: Told) {
        let at = told.wall_ns.saturating_sub(self.clock.offset_ns);
        let at = BootTime(u64::try_from(at).unwrap_or_default());
        let lives = self.following.lives.iter().enumerate().rev();
        let of = |life: &Life| life.container.id == told.container;
        let then: Vec<_> = lives.filter(|(_, life)| of(life)).collect();
        let Some(&(now, life)) = then
            .iter()
            .find(|(_, life)| life.born <= at)
            .or(then.last())
        else {
            if let Some(follow) = &mut self.following.follow {
                follow.told(told);
            }
            return;
        };
        // Docker says at the end of a restart what it was, when the next life has
        // begun; it is about the one before.
        let before = then
            .iter()
            .find(|&&(i, _)| i < now)
            .map(|(_, life)| life.container.home());
        let restart = before.filter(|_| told.action == EngineAction::Restart);
        let other = restart.filter(|&home| home != life.container.home());
        for home in std::iter::once(life.container.home()).chain(other) {
            let (action, answering) = (told.action, told.answering);
            self.push(
                kernel::now(),
                Fact::Engine(EngineEvent {
                    home,
                    at,
                    answering,
                    action,
                }),
            );
        }
    }

    /// Says which containers have ended, once what is known late of that is said;
    /// or `at_once`.
    pub(super) fn say_ends(&mut self, at_once: bool) -> io::Result<()> {
        if self.following.follow.is_none() {
            return Ok(());
        }
        let waits = !self.following.once;
        for life in &mut self.following.lives {
            if life.over.is_none() && self.engine.has_ended(life.container.home()) {
                life.over = Some(Some(Instant::now()));
            }
            let due = |end: Instant| at_once || end.elapsed() >= LATE;
            if life.over.flatten().is_some_and(due) {
                life.over = Some(None);
                self.output.ended(&life.scope, kernel::now(), waits)?;
            }
        }
        Ok(())
    }
}

/// The container whose cgroup a process is in: for cgroup v1, and where the name
/// of the cgroup does not tell.
fn in_proc(pid: u32) -> Option<Named> {
    let text = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
    container::container_of(&String::from_utf8_lossy(&text))
}
