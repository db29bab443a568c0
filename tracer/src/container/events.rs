//! What engines report about the containers that are traced, as it happens:
//! `/events` of the API that [`super::engine`] asks too. It runs beside the
//! trace, which takes what has come when it likes; an engine that is away is
//! tried again quietly, and said to be away once.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    errors::Error, models::EventMessage, query_parameters::EventsOptionsBuilder, Docker,
    API_DEFAULT_VERSION,
};
use futures_util::StreamExt;
use tokio::{sync::mpsc, time::timeout};

use super::{
    engine::{Cause, EngineError, LONGER},
    follow::Name,
    listener::{Listener, Listeners},
};
use crate::{event::EngineAction, explain::signals};

/// So many wait to be taken; more are left out, which the reader is too slow for
/// only if it hangs.
const WAITING: usize = 1024;
/// How long until an engine that is away is tried again, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Nothing may be said for as long as this: longer than any trace.
const SILENCE_S: u64 = 100 * 365 * 24 * 3600;

/// Something from an engine.
#[derive(Debug)]
pub enum Heard {
    /// What a container is called; said before each of its events, where every
    /// container is listened for.
    Name(Name),
    /// An event of a container.
    Event(Told),
    /// The engine does not tell, or no longer; said once for each engine.
    Silent(EngineError),
}

/// An event of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its full id.
    pub container: String,
    /// What happened.
    pub action: EngineAction,
    /// When, by the wall clock: nanoseconds since 1970.
    pub wall_ns: i64,
    /// The engine took requests then; asked of signals only. One that is being shut down stops its
    /// containers too, and nobody has asked it through its API.
    pub answering: bool,
}

impl Told {
    fn same(&self, other: &Self) -> bool {
        let event = |told: &Self| (told.wall_ns, told.action);
        event(self) == event(other) && self.container == other.container
    }
}

/// The events of these containers from a time on (seconds since 1970), each with
/// the socket of its engine. Needs a runtime; ends with it or with the receiver.
pub fn listen(containers: &[(String, String)], since_s: i64) -> mpsc::Receiver<Heard> {
    let (to, heard) = mpsc::channel(WAITING);
    let mut engines: HashMap<&str, Vec<String>> = HashMap::new();
    for (socket, id) in containers {
        engines.entry(socket).or_default().push(id.clone());
    }
    for (socket, ids) in engines {
        tokio::spawn(follow(socket.into(), Some(ids), since_s, to.clone()));
    }
    heard
}

/// The same of every container of the engines at these sockets, with its name.
pub fn listen_to_all(sockets: &[PathBuf], since_s: i64) -> mpsc::Receiver<Heard> {
    let (to, heard) = mpsc::channel(WAITING);
    for socket in sockets {
        tokio::spawn(follow(socket.clone(), None, since_s, to.clone()));
    }
    heard
}

/// Until nobody wants to hear it.
async fn follow(
    socket: PathBuf,
    ids: Option<Vec<String>>,
    mut since_s: i64,
    to: mpsc::Sender<Heard>,
) {
    let (mut again, mut said) = (AGAIN.0, false);
    let listeners = Listeners::of(Path::new("/proc"), &socket);
    let listeners = Arc::new(Mutex::new(listeners));
    // What came in the second that it goes on from comes again.
    let mut latest: Vec<Told> = Vec::new();
    loop {
        let before = latest.last().cloned();
        // Whoever ended it meant it: systemd would start it for us.
        let ended = said && !may_answer(&listeners).await;
        let from = (ids.as_deref(), since_s);
        let cause = if ended {
            Cause::Ended
        } else {
            match read(&socket, &listeners, from, &mut latest, &to).await {
                Ok(()) => return,
                Err(cause) => cause,
            }
        };
        if let Some(told) = latest.last().filter(|told| Some(*told) != before.as_ref()) {
            (since_s, again) = (second(told), AGAIN.0);
        }
        if !std::mem::replace(&mut said, true) {
            let silent = Heard::Silent(EngineError {
                operation: "read the events of the engine at",
                object: socket.display().to_string(),
                cause,
            });
            if to.send(silent).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(again) => {}
            () = to.closed() => return,
        }
        again = (again * 2).min(AGAIN.1);
    }
}

/// Reads until it ends; `Ok`: nobody wants to hear it.
async fn read(
    socket: &Path,
    listeners: &Arc<Mutex<Listeners>>,
    (ids, since_s): (Option<&[String]>, i64),
    latest: &mut Vec<Told>,
    to: &mpsc::Sender<Heard>,
) -> Result<(), Cause> {
    let path = socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&path, SILENCE_S, API_DEFAULT_VERSION)
        .map_err(|error| Cause::of(&error))?;
    let mut filters = HashMap::from([("type", vec!["container".to_owned()])]);
    if let Some(ids) = ids {
        filters.insert("container", ids.to_vec());
    }
    let filters: HashMap<String, Vec<String>> = filters
        .into_iter()
        .map(|(key, values)| (key.to_owned(), values))
        .collect();
    let options = EventsOptionsBuilder::new()
        .since(&since_s.to_string())
        .filters(&filters)
        .build();
    let mut events = Box::pin(docker.events(Some(options)));
    loop {
        let next = tokio::select! {
            next = events.next() => next,
            () = to.closed() => return Ok(()),
        };
        let event = match next {
            Some(Ok(event)) => event,
            // In the middle of its answer; before it, it is the client's error.
            None | Some(Err(Error::IOError { .. } | Error::HyperResponseError { .. })) => {
                return Err(Cause::Ended)
            }
            Some(Err(error)) => return Err(Cause::of(&error)),
        };
        if ids.is_none() {
            if let Some(name) = name(&event, &path) {
                // Where nobody has taken the last ones yet, the engine waits: its
                // events are in its answer until they are read.
                if to.send(Heard::Name(name)).await.is_err() {
                    return Ok(());
                }
            }
        }
        let ours = |told: &Told| ids.is_none_or(|ids| ids.contains(&told.container));
        let Some(mut told) = told(&event).filter(ours) else {
            continue;
        };
        let again = |other: &Told| told.same(other);
        if second(&told) < since_s || latest.iter().any(again) {
            continue;
        }
        // What a request begins with; the rest follows from it.
        if let EngineAction::Kill(_) = told.action {
            let ping = async { timeout(LONGER, docker.ping()).await };
            told.answering = may_answer(listeners).await && matches!(ping.await, Ok(Ok(_)));
        }
        latest.retain(|other| told.wall_ns - other.wall_ns < 1_000_000_000);
        latest.push(told.clone());
        if to.send(Heard::Event(told)).await.is_err() {
            return Ok(());
        }
    }
}

/// Whether an engine may be there to answer; without starting it.
async fn may_answer(listeners: &Arc<Mutex<Listeners>>) -> bool {
    let listeners = Arc::clone(listeners);
    let look = move || {
        let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.now()
    };
    // On a large host there are many files to look at.
    let now = tokio::task::spawn_blocking(look).await;
    now.unwrap_or(Listener::Unknown) != Listener::Nobody
}

/// What the container of an event is called. A name is only compared and shown;
/// an id becomes part of a request, so nothing else may be one.
fn name(event: &EventMessage, socket: &str) -> Option<Name> {
    let actor = event.actor.as_ref()?;
    let id = actor.id.as_ref()?.to_ascii_lowercase();
    let name = actor.attributes.as_ref()?.get("name")?;
    let name = name.strip_prefix('/').unwrap_or(name);
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| Name {
        id,
        name: name.to_owned(),
        socket: socket.to_owned(),
    })
}

fn second(told: &Told) -> i64 {
    told.wall_ns.div_euclid(1_000_000_000)
}

/// What it says, if it is of interest. Podman says `died` where Docker says
/// `die`, and names no signal.
fn told(event: &EventMessage) -> Option<Told> {
    let actor = event.actor.as_ref()?;
    let attribute = |name: &str| actor.attributes.as_ref()?.get(name);
    let action = match event.action.as_deref()? {
        "kill" => EngineAction::Kill(attribute("signal").and_then(|text| signals::parse(text))),
        "stop" => EngineAction::Stop,
        "restart" => EngineAction::Restart,
        "start" => EngineAction::Start,
        "die" | "died" => EngineAction::Die,
        "oom" => EngineAction::Oom,
        "destroy" | "remove" => EngineAction::Destroy,
        _ => return None,
    };
    let seconds = || event.time.map(|s| s.saturating_mul(1_000_000_000));
    Some(Told {
        container: actor.id.as_ref()?.to_ascii_lowercase(),
        action,
        wall_ns: event.time_nano.or_else(seconds)?,
        answering: false,
    })
}
