//! The client against engines that are made up: threads that listen at a
//! socket and answer as told.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    thread,
    time::Instant,
};

use super::{
    super::{
        engine::{ask_all, Cause, Details, Engine, EngineError, PATIENCE},
        resolve::may_mean,
        socket::Sockets,
    },
    *,
};

/// How an engine answers a request; `None`: not at all.
type Answer = fn(path: &str) -> Option<String>;

/// An engine that listens below `folder`, as long as the test runs.
fn listen(folder: &Proc, name: &str, answer: Answer) -> PathBuf {
    let path = folder.0.join(name);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream, answer));
        }
    });
    path
}

fn serve(mut stream: UnixStream, answer: Answer) {
    let mut request = Vec::new();
    let mut byte = [0; 1];
    while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split_whitespace().nth(1).unwrap_or_default();
    match answer(path) {
        Some(answer) => drop(stream.write_all(answer.as_bytes())),
        // Until the other side gives up.
        None => drop(stream.read(&mut byte)),
    }
}

fn http(status: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

const ID: &str = "1dcad40f27d5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// With what real engines were seen to answer beyond what is documented: the
/// state `stopped`, a stop signal as a number, a link's name.
fn good(path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default();
    let body = match path {
        "/version" => {
            r#"{"Components":[{"Name":"Podman Engine","Version":"4.3.1"}],"ApiVersion":"1.41"}"#
                .to_owned()
        }
        "/containers/json" => format!(
            r#"[{{"Id":"{ID}","Names":["/other/link","/fwd_sig"],"State":"running"}},
                {{"Id":"{}","Names":["/old"],"State":"stopped","Status":"Exited"}},
                {{"Id":"../../etc","Names":["/evil"],"State":"running"}}]"#,
            ID.replace('1', "2")
        ),
        _ if path == format!("/containers/{ID}/json") => format!(
            r#"{{"Id":"{ID}","State":{{"Status":"running","Running":true,"Pid":60,"ExitCode":0}},
                "Config":{{"StopSignal":15,"StopTimeout":3}},"HostConfig":{{"PidMode":"private"}}}}"#
        ),
        _ => return http("404 Not Found", r#"{"message":"no such container"}"#),
    };
    http("200 OK", &body)
}

fn sockets(found: &[PathBuf]) -> Sockets {
    Sockets {
        found: found.to_vec(),
        looked_at: found.to_vec(),
        ..Default::default()
    }
}

async fn ask(sockets: &Sockets, patience: Duration) -> (Vec<Engine>, Vec<EngineError>) {
    ask_all(sockets, |one| may_mean("fwd_sig", one), patience).await
}

/// Lines as an engine streams them, as real ones were seen to.
fn events(path: &str) -> Option<String> {
    if path == "/_ping" {
        return http("200 OK", "OK");
    }
    if !path.starts_with("/events?") {
        return good(path);
    }
    let event = |action: &str, of: &str, more: &str, ns: i64| {
        format!(
            r#"{{"status":"{action}","id":"{of}","Type":"container","Action":"{action}",
               "Actor":{{"ID":"{of}","Attributes":{{"image":"x","name":"fwd_sig"{more}}}}},
               "scope":"local","time":{},"timeNano":{ns}}}"#,
            ns / 1_000_000_000
        )
        .replace('\n', "")
    };
    let second = 1_795_463_300_000_000_000;
    let mut body = String::new();
    for line in [
        event("kill", ID, r#","signal":"15""#, second + 55_117_380),
        event("exec_die", ID, "", second + 60_000_000),
        event(
            "kill",
            &"3".repeat(64),
            r#","signal":"9""#,
            second + 70_000_000,
        ),
        event("died", ID, r#","exitCode":"0""#, second + 90_000_000),
        event("stop", ID, "", second + 4_000_000_000),
    ] {
        body += &format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
    }
    Some(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n"
    ))
}

#[tokio::test]
async fn events_of_the_containers_once_each_however_often_it_ends() {
    use super::super::events::{listen as hear, Heard};
    use crate::event::EngineAction;
    let folder = Proc::new();
    let socket = listen(&folder, "engine.sock", events);
    let container = (socket.display().to_string(), ID.to_owned());
    let mut heard = hear(&[container], 1_795_463_299);
    let mut told = Vec::new();
    let silent = loop {
        match heard.recv().await.unwrap() {
            Heard::Event(event) => {
                let signal = matches!(event.action, EngineAction::Kill(_));
                assert_eq!(event.answering, signal);
                told.push((event.action, event.wall_ns % 10_000_000_000));
            }
            Heard::Silent(error) => break error,
            Heard::Name(name) => panic!("nobody asked for names: {name:?}"),
        }
    };
    assert_eq!(
        told,
        [
            (EngineAction::Kill(Some(15)), 55_117_380),
            (EngineAction::Die, 90_000_000),
            (EngineAction::Stop, 4_000_000_000),
        ]
    );
    let said = super::super::error::chain(&silent);
    assert!(
        said.starts_with("cannot read the events of the engine at"),
        "{said}"
    );
    assert!(said.ends_with("it ended the connection"), "{said}");
    // It is tried again, and tells the same: nothing new, and said once.
    let more = tokio::time::timeout(Duration::from_millis(800), heard.recv()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn an_engine_that_dies_in_the_middle_has_ended_the_connection() {
    use super::super::events::{listen as hear, Heard};
    let folder = Proc::new();
    let socket = listen(&folder, "engine.sock", |path| {
        let whole = events(path)?;
        Some(whole.strip_suffix("0\r\n\r\n").unwrap_or(&whole).to_owned())
    });
    let container = (socket.display().to_string(), ID.to_owned());
    let mut heard = hear(&[container], 1_795_463_299);
    let silent = loop {
        match heard.recv().await.unwrap() {
            Heard::Event(_) => {}
            Heard::Silent(error) => break super::super::error::chain(&error),
            Heard::Name(name) => panic!("nobody asked for names: {name:?}"),
        }
    };
    assert!(silent.ends_with("it ended the connection"), "{silent}");
}

#[tokio::test]
async fn an_engine_that_speaks_and_takes_no_requests() {
    use super::super::events::{listen as hear, Heard};
    let folder = Proc::new();
    let socket = listen(&folder, "engine.sock", |path| {
        if path.starts_with("/events?") {
            events(path)
        } else {
            http("503 Service Unavailable", "{}")
        }
    });
    let container = (socket.display().to_string(), ID.to_owned());
    let mut heard = hear(&[container], 1_795_463_299);
    let Some(Heard::Event(told)) = heard.recv().await else {
        panic!("no event");
    };
    assert!(!told.answering);
}

#[tokio::test]
async fn an_engine_that_is_silent_or_away_holds_nothing_up() {
    use super::super::events::{listen as hear, Heard};
    let folder = Proc::new();
    let mute = listen(&folder, "mute.sock", |_| None);
    let away = folder.0.join("away.sock");
    let nonsense = listen(&folder, "nonsense.sock", |_| http("200 OK", "<html>"));
    let began = Instant::now();
    let of = |socket: &PathBuf| (socket.display().to_string(), ID.to_owned());
    let mut heard = hear(&[of(&mute), of(&away), of(&nonsense)], 0);
    assert!(began.elapsed() < PATIENCE);
    let mut failed = Vec::new();
    for _ in 0..2 {
        let Some(Heard::Silent(error)) = heard.recv().await else {
            panic!("an event");
        };
        failed.push(error.object);
    }
    failed.sort();
    assert_eq!(failed, [of(&away).0, of(&nonsense).0]);
    let more = tokio::time::timeout(Duration::from_millis(800), heard.recv()).await;
    assert!(more.is_err(), "{more:?}");
    // Without any there is nothing to wait for.
    assert!(hear(&[], 0).recv().await.is_none());
}

#[tokio::test]
async fn a_good_answer() {
    let folder = Proc::new();
    let socket = listen(&folder, "engine.sock", good);
    let (engines, failed) = ask(&sockets(&[socket]), PATIENCE * 20).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(engines[0].kind, "podman");
    let [one, old] = engines[0].containers.as_slice() else {
        panic!("{engines:?}");
    };
    assert_eq!(
        (one.id.as_str(), one.name.as_deref()),
        (ID, Some("fwd_sig"))
    );
    assert_eq!(
        one.details,
        Some(Details {
            pid: Some(60),
            exit_code: Some(0),
            stop_signal: Some("15".into()),
            stop_timeout_s: Some(3),
            pid_mode: "private".into(),
        })
    );
    assert_eq!((old.state.as_str(), &old.details), ("stopped", &None));
}

#[tokio::test]
async fn failures_say_what_and_why() {
    let folder = Proc::new();
    let garbage = |_: &str| Some("SSH-2.0-OpenSSH_9.2\r\n".to_owned());
    let no_json = |_: &str| http("200 OK", "<html>\u{1b}[31m");
    let no_list = |_: &str| http("200 OK", r#"{"Id":7}"#);
    let odd_list = |_: &str| http("200 OK", r#"[1,{"Id":null},[[]]]"#);
    let broken = |_: &str| http("500 Internal Server Error", r#"{"message":"out of luck"}"#);
    let cut = |_: &str| Some("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{".to_owned());
    let nothing = |_: &str| Some(String::new());
    let answers: [(&str, Answer); 7] = [
        ("garbage", garbage),
        ("no_json", no_json),
        ("no_list", no_list),
        ("odd_list", odd_list),
        ("broken", broken),
        ("cut", cut),
        ("nothing", nothing),
    ];
    let mut found: Vec<PathBuf> = answers
        .iter()
        .map(|(name, answer)| listen(&folder, name, *answer))
        .collect();
    // Somebody listened once.
    let stale = folder.0.join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    found.extend([stale, folder.0.join("missing")]);
    let (engines, failed) = ask(&sockets(&found), PATIENCE * 20).await;
    assert!(engines.is_empty(), "{engines:?}");
    let texts: BTreeMap<String, String> = failed
        .iter()
        .zip(&found)
        .map(|(error, path)| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert_eq!(error.object, path.display().to_string());
            (name, error::chain(error))
        })
        .collect();
    assert_eq!(texts.len(), found.len());
    for (name, part) in [
        ("garbage", "makes no sense"),
        ("no_json", "makes no sense"),
        ("no_list", "no list of containers"),
        ("odd_list", "no list of containers"),
        ("broken", "status 500: out of luck"),
        ("cut", "end of file before"),
        ("nothing", "makes no sense"),
        ("stale", "Connection refused"),
        ("missing", "No such file"),
    ] {
        assert!(texts[name].contains(part), "{name}: {}", texts[name]);
        assert!(!texts[name].contains('\u{1b}'), "{name}");
    }
}

#[tokio::test]
async fn silence_ends_in_time_and_harms_nobody_else() {
    let folder = Proc::new();
    let silent = |_: &str| None;
    // Lists, and is silent when asked more.
    let half = |path: &str| match path {
        path if path.starts_with("/containers/json") => good(path),
        _ => None,
    };
    // Sends without end.
    let endless = |_: &str| {
        Some(
            "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n[".to_owned() + &" ".repeat(1 << 20),
        )
    };
    let found = [
        listen(&folder, "silent", silent),
        listen(&folder, "docker-half", half),
        listen(&folder, "endless", endless),
        listen(&folder, "good", good),
    ];
    let begun = Instant::now();
    let patience = Duration::from_millis(700);
    let (engines, failed) = ask(&sockets(&found), patience).await;
    assert!(begun.elapsed() < patience * 5, "{:?}", begun.elapsed());
    assert!(matches!(failed[0].cause, Cause::Late(_)), "{failed:?}");
    assert_eq!(engines.len(), 2, "{failed:?}");
    assert_eq!(engines[0].kind, "docker");
    assert_eq!(engines[0].containers[0].details, None);
    assert_eq!(
        engines[1].containers[0].details.as_ref().unwrap().pid,
        Some(60)
    );
}

#[tokio::test]
async fn an_engine_that_is_slow_is_waited_for_if_nobody_else_knows() {
    let folder = Proc::new()
        .with(&[1], 10, "systemd", "0::/init.scope\n")
        .with(&[60, 1], 20, "c-init-sig", &docker(ID));
    let slow = |path: &str| {
        std::thread::sleep(Duration::from_millis(1500));
        good(path)
    };
    let found = [listen(&folder, "slow", slow)];
    let begun = Instant::now();
    let resolve = |name: &str| {
        let (root, names) = (folder.0.clone(), [name.to_owned()]);
        let sockets = sockets(&found);
        async move { find(&root, sockets, &names, false, PATIENCE).await }
    };
    // The cgroup has the id.
    let resolved = resolve(ID).await.unwrap();
    assert!(begun.elapsed() < PATIENCE * 2, "{:?}", begun.elapsed());
    assert_eq!(resolved.containers[0].name, None);
    assert!(resolved.notes[0].contains("no answer"), "{resolved:?}");
    let resolved = resolve("fwd_sig").await.unwrap();
    assert_eq!(resolved.containers[0].pidns, 20);
    assert_eq!(resolved.notes, Vec::<String>::new());
    // Another engine knows one of that name at once, and it is not the only one.
    let other = |path: &str| good(path).map(|answer| answer.replace(ID, &ID.replace('1', "3")));
    let found = [found[0].clone(), listen(&folder, "other", other)];
    let names = ["fwd_sig".to_owned()];
    let error = find(&folder.0, sockets(&found), &names, false, PATIENCE).await;
    let problem = error.unwrap_err().problem;
    assert!(
        matches!(problem, error::Problem::Ambiguous(_)),
        "{problem:?}"
    );
}

#[tokio::test]
async fn a_silent_engine_is_not_waited_for_long_if_another_knows() {
    let folder = Proc::new()
        .with(&[1], 10, "systemd", "0::/init.scope\n")
        .with(&[60, 1], 20, "c-init-sig", &docker(ID));
    let silent = |_: &str| {
        std::thread::sleep(Duration::from_secs(60));
        None
    };
    let found = [
        listen(&folder, "silent", silent),
        listen(&folder, "good", good),
    ];
    let names = ["fwd_sig".to_owned()];
    let begun = Instant::now();
    let patience = Duration::from_millis(300);
    let resolved = find(&folder.0, sockets(&found), &names, true, patience).await;
    assert!(begun.elapsed() < patience * 8, "{:?}", begun.elapsed());
    let resolved = resolved.unwrap();
    assert_eq!(resolved.containers[0].pidns, 20);
    assert!(resolved.notes[0].contains("no answer"), "{resolved:?}");
}

#[tokio::test]
async fn from_a_name_to_the_namespace_past_a_broken_engine() {
    let folder = Proc::new()
        .with(&[1], 10, "systemd", "0::/init.scope\n")
        .with(&[60, 1], 20, "c-init-sig", &docker(ID));
    let broken = |_: &str| http("500 Internal Server Error", "");
    let found = [listen(&folder, "a", broken), listen(&folder, "b", good)];
    let names = ["fwd_sig".to_owned(), "1dca".to_owned()];
    let resolved = find(&folder.0, sockets(&found), &names, false, PATIENCE * 20).await;
    let resolved = resolved.unwrap();
    let [container] = resolved.containers.as_slice() else {
        panic!("{resolved:?}");
    };
    assert_eq!(container.pidns, 20);
    assert_eq!(container.engine.as_deref(), Some("podman"));
    assert!(
        resolved.notes[0].contains("HTTP status 500"),
        "{resolved:?}"
    );
    // One that does not run is waited for, if that is wanted.
    let names = ["fwd_sig".to_owned(), "later".to_owned()];
    let resolved = find(&folder.0, sockets(&found), &names, true, PATIENCE * 20).await;
    let resolved = resolved.unwrap();
    assert_eq!(resolved.containers.len(), 1);
    assert_eq!(resolved.waiting, ["later"]);
    // With the engines gone, the id is enough.
    let resolved = find(
        &folder.0,
        sockets(&found[..1]),
        &["1dca".to_owned()],
        false,
        PATIENCE * 20,
    )
    .await;
    assert_eq!(
        resolved.unwrap().containers[0].engine.as_deref(),
        Some("docker")
    );
}

#[test]
fn the_sockets_of_the_environment() {
    let folder = Proc::new();
    let env = |host: &str| {
        let (host, runtime) = (host.to_owned(), folder.0.clone());
        move |name: &str| match name {
            "DOCKER_HOST" => Some(host.clone().into()),
            "XDG_RUNTIME_DIR" => Some(runtime.clone().into_os_string()),
            _ => None,
        }
    };
    let socket = listen(&folder, "docker.sock", good);
    fs::create_dir(folder.0.join("podman")).unwrap();
    symlink(&socket, folder.0.join("podman/podman.sock")).unwrap();
    let mine = |sockets: &Sockets| -> Vec<PathBuf> {
        let mine = sockets
            .found
            .iter()
            .filter(|path| path.starts_with(&folder.0));
        mine.cloned().collect()
    };
    // A link leads to the same engine.
    assert_eq!(mine(&Sockets::of(env(""))), vec![socket.clone()]);
    let host = format!("unix://{}", folder.0.join("podman/podman.sock").display());
    let sockets = Sockets::of(env(&host));
    assert_eq!(mine(&sockets), [folder.0.join("podman/podman.sock")]);
    assert!(sockets
        .looked_at
        .contains(&"/run/podman/podman.sock".into()));
    // What was asked for by name is missed, unlike the usual places.
    let host = format!("unix://{}/gone.sock", folder.0.display());
    assert_eq!(
        mine(&Sockets::of(env(&host)))[0],
        folder.0.join("gone.sock")
    );
    for wrong in [
        "tcp://10.0.0.1:2375",
        "ssh://me@there",
        "unix://docker.sock",
        "x",
    ] {
        let failed = Sockets::of(env(wrong)).failed;
        assert!(matches!(failed[0].cause, Cause::NoSocket), "{wrong}");
    }
    let sudo = Sockets::of(|name: &str| (name == "SUDO_UID").then(|| "1000".into()));
    assert!(sudo
        .looked_at
        .contains(&"/run/user/1000/podman/podman.sock".into()));
}
