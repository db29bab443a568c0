//! What an engine says of its containers, asked through its socket: Docker's
//! API, which Podman serves too. Answers are read leniently, because one odd
//! value (Podman's state `stopped`) must not hide every container; what cannot
//! be had is an [`EngineError`]. What it all means is decided in
//! [`super::resolve`].

use std::{io, path::Path, time::Duration};

use bollard::{
    errors::Error,
    query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder},
    Docker, API_DEFAULT_VERSION,
};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{timeout_at, Instant},
};

use super::socket::Sockets;

/// All engines together get so much time.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// One that alone knows what nobody waits for, and on a busy host.
pub const LONGER: Duration = Duration::from_secs(6);
/// At most so many containers of an engine are asked about one by one.
const MOST: usize = 32;
/// So much of an engine's own words is repeated.
const WORDS: usize = 200;

/// An engine and its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// `docker` or `podman`.
    pub kind: String,
    /// Its socket.
    pub socket: String,
    /// All of them, also those that do not run.
    pub containers: Vec<Listed>,
}

/// A container as its engine lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Full id.
    pub id: String,
    /// Name.
    pub name: Option<String>,
    /// In the engine's words: `running`, `exited`, `created`.
    pub state: String,
    /// More, for those that were asked about.
    pub details: Option<Details>,
}

/// What the engine knows of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Its first process, if it runs.
    pub pid: Option<u32>,
    /// The status it ended with the last time.
    pub exit_code: Option<i64>,
    /// Which signal a stop begins with: `SIGTERM` or as configured.
    pub stop_signal: Option<String>,
    /// How long a stop waits before it kills, in seconds.
    pub stop_timeout_s: Option<u64>,
    /// `host`, `container:ID`; empty or `private`: its own PID namespace.
    pub pid_mode: String,
}

/// An engine that could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {object}")]
pub struct EngineError {
    /// What failed.
    pub operation: &'static str,
    /// With what: a socket.
    pub object: String,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why an engine could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Nobody listens, or not to us, or the connection broke.
    #[error("{0}")]
    Connection(#[source] io::Error),
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It refused.
    #[error("it answered with HTTP status {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// Not an answer to the question.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
    /// It ended what was to go on.
    #[error("it ended the connection")]
    Ended,
    /// `DOCKER_HOST` names something else than a socket.
    #[error("only unix:// sockets with a full path can be asked")]
    NoSocket,
}

impl Cause {
    pub(super) fn of(error: &Error) -> Self {
        if let Error::DockerResponseServerError {
            status_code,
            message,
        } = error
        {
            return Self::Refused {
                status: *status_code,
                message: message.chars().take(WORDS).collect(),
            };
        }
        if let Error::RequestTimeoutError = error {
            return Self::Late(PATIENCE);
        }
        if let Error::SocketNotFoundError(_) = error {
            return Self::Connection(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut innermost = error.to_string();
        while let Some(cause) = next {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                // A copy: the original is in the middle of a chain.
                return Self::Connection(match io.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(io.kind(), io.to_string()),
                });
            }
            innermost = cause.to_string();
            next = cause.source();
        }
        Self::Nonsense(innermost.chars().take(WORDS).collect())
    }
}

/// Asks all engines at once, and about each container that `wanted` may mean.
pub async fn ask_all(
    sockets: &Sockets,
    wanted: impl Fn(&Listed) -> bool + Clone + Send + 'static,
    patience: Duration,
) -> (Vec<Engine>, Vec<EngineError>) {
    let deadline = Instant::now() + patience;
    let mut tasks = JoinSet::new();
    for (i, socket) in sockets.found.iter().enumerate() {
        let (socket, wanted) = (socket.clone(), wanted.clone());
        tasks.spawn(async move { (i, ask(&socket, wanted, deadline, patience).await) });
    }
    let mut answers: Vec<_> = (0..sockets.found.len()).map(|_| None).collect();
    while let Some(done) = tasks.join_next().await {
        if let Ok((i, answer)) = done {
            answers[i] = Some(answer);
        }
    }
    let (mut engines, mut failed) = (Vec::new(), Vec::new());
    for (socket, answer) in sockets.found.iter().zip(answers) {
        let broken = || Err(error(socket, Cause::Nonsense("reading it failed".into())));
        match answer.unwrap_or_else(broken) {
            Ok(engine) => engines.push(engine),
            Err(error) => failed.push(error),
        }
    }
    (engines, failed)
}

fn error(socket: &Path, cause: Cause) -> EngineError {
    EngineError {
        operation: "list the containers of the engine at",
        object: socket.display().to_string(),
        cause,
    }
}

async fn ask(
    socket: &Path,
    wanted: impl Fn(&Listed) -> bool,
    deadline: Instant,
    patience: Duration,
) -> Result<Engine, EngineError> {
    let path = socket.to_string_lossy();
    // The client counts in whole seconds; the deadline is kept here.
    let docker = Docker::connect_with_unix(&path, patience.as_secs() + 1, API_DEFAULT_VERSION)
        .map_err(|cause| error(socket, Cause::of(&cause)))?;
    let all = ListContainersOptionsBuilder::default().all(true).build();
    let containers = async {
        let answer = timeout_at(deadline, docker.list_containers(Some(all))).await;
        let answer = answer.map_err(|_| error(socket, Cause::Late(patience)))?;
        let listed = value(answer).and_then(|answer| listed(&answer));
        let mut listed = listed.map_err(|cause| error(socket, cause))?;
        details(&docker, &mut listed, wanted, deadline).await;
        Ok(listed)
    };
    // Not knowing the version is no reason to know nothing.
    let version = async {
        let answer = timeout_at(deadline, docker.version()).await.ok()?;
        value(answer).ok().and_then(|answer| kind(&answer))
    };
    let (version, containers) = tokio::join!(version, containers);
    let by_name = || {
        if path.contains("podman") {
            "podman"
        } else {
            "docker"
        }
    };
    Ok(Engine {
        kind: version.unwrap_or_else(by_name).to_owned(),
        socket: path.into_owned(),
        containers: containers?,
    })
}

/// What one container's engine knows of it now; nothing, if it is gone.
pub async fn details_of(socket: &str, id: &str) -> Option<Details> {
    let docker =
        Docker::connect_with_unix(socket, LONGER.as_secs() + 1, API_DEFAULT_VERSION).ok()?;
    let answer = docker.inspect_container(id, None::<InspectContainerOptions>);
    let answer = timeout_at(Instant::now() + LONGER, answer).await.ok()?;
    inspected(&value(answer).ok()?)
}

/// Asks about those that are wanted, all at once. What has no answer in time
/// stays without.
async fn details(
    docker: &Docker,
    listed: &mut [Listed],
    wanted: impl Fn(&Listed) -> bool,
    deadline: Instant,
) {
    let mut tasks = JoinSet::new();
    let asked = listed.iter().enumerate().filter(|(_, one)| wanted(one));
    for (i, one) in asked.take(MOST) {
        let (docker, id) = (docker.clone(), one.id.clone());
        tasks.spawn(async move {
            let answer = docker.inspect_container(&id, None::<InspectContainerOptions>);
            let answer = timeout_at(deadline, answer).await.ok()?;
            Some((i, inspected(&value(answer).ok()?)))
        });
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok(Some((i, details))) = done {
            listed[i].details = details;
        }
    }
}

/// The answer as it is; also one that the client's types do not allow.
fn value(answer: Result<impl Serialize, Error>) -> Result<Value, Cause> {
    let nonsense = |error: serde_json::Error| Cause::Nonsense(error.to_string());
    match answer {
        Ok(answer) => serde_json::to_value(answer).map_err(nonsense),
        Err(Error::JsonDataError { contents, .. }) => {
            serde_json::from_str(&contents).map_err(nonsense)
        }
        Err(error) => Err(Cause::of(&error)),
    }
}

fn listed(answer: &Value) -> Result<Vec<Listed>, Cause> {
    let nonsense = || Cause::Nonsense("no list of containers".into());
    let all = answer.as_array().ok_or_else(nonsense)?;
    let listed: Vec<Listed> = all.iter().filter_map(one).collect();
    if listed.is_empty() && !all.is_empty() {
        return Err(nonsense());
    }
    Ok(listed)
}

fn one(entry: &Value) -> Option<Listed> {
    let id = entry["Id"].as_str()?.to_ascii_lowercase();
    // It becomes part of a request: nothing but an id may.
    if id.len() < 12 || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // A legacy link is a further name, `/web/db`, of the other container.
    let names = entry["Names"].as_array().into_iter().flatten();
    let mut names = names.filter_map(|name| {
        let name = name.as_str()?;
        let name = name.strip_prefix('/').unwrap_or(name);
        (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
    });
    Some(Listed {
        id,
        name: names.next(),
        state: entry["State"].as_str().unwrap_or_default().to_lowercase(),
        details: None,
    })
}

fn inspected(answer: &Value) -> Option<Details> {
    let state = answer["State"].as_object()?;
    let signal = &answer["Config"]["StopSignal"];
    let number = |value: &Value| value.as_i64();
    let pid = state.get("Pid").and_then(number);
    Some(Details {
        pid: pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|&pid| pid > 0),
        exit_code: state.get("ExitCode").and_then(number),
        // Podman has had it as a number.
        stop_signal: match signal {
            Value::Number(number) => Some(number.to_string()),
            other => other.as_str().map(str::to_owned),
        }
        .filter(|signal| !signal.is_empty()),
        stop_timeout_s: answer["Config"]["StopTimeout"].as_u64(),
        pid_mode: answer["HostConfig"]["PidMode"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Podman says so among the components of its version; docker's is `Engine`.
fn kind(version: &Value) -> Option<&'static str> {
    let names = version["Components"].as_array()?.iter();
    let mut names = names.filter_map(|component| component["Name"].as_str());
    let podman = names.any(|name| name.to_lowercase().contains("podman"));
    Some(if podman { "podman" } else { "docker" })
}
