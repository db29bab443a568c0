//! Resolution over made-up surveys: no engine, no `/proc`.

use super::{
    super::{
        engine::{Cause, Details, Engine, EngineError, Listed, PATIENCE},
        error::{Problem, Shared},
        host::Process,
        resolve::{resolve, Survey},
    },
    *,
};
use crate::event::HOST_PIDNS;

const NS: PidNs = 4_026_532_281;

fn running(id: &str, name: &str, pid: u32) -> Listed {
    Listed {
        id: id.to_owned(),
        name: Some(name.to_owned()),
        state: "running".into(),
        details: Some(Details {
            pid: Some(pid),
            stop_signal: Some("SIGQUIT".into()),
            stop_timeout_s: Some(3),
            ..Default::default()
        }),
    }
}

fn ended(id: &str, name: &str, exit_code: i64) -> Listed {
    Listed {
        state: "exited".into(),
        details: Some(Details {
            exit_code: Some(exit_code),
            ..Default::default()
        }),
        ..running(id, name, 0)
    }
}

fn engine(kind: &str, containers: &[Listed]) -> Engine {
    Engine {
        kind: kind.to_owned(),
        socket: format!("/run/{kind}.sock"),
        containers: containers.to_vec(),
    }
}

fn found(namespace: Namespace) -> Found {
    Found {
        name: None,
        engine: Some("docker"),
        cgroup: "/docker/x".into(),
        hierarchy: Hierarchy::Unified,
        oldest: 77,
        namespace,
    }
}

/// The containers that the engines say run, on a host with their processes.
fn survey(engines: Vec<Engine>) -> Survey {
    let mut host = Host::default();
    let mut ns = NS;
    for listed in engines.iter().flat_map(|engine| &engine.containers) {
        let Some(pid) = listed.details.as_ref().and_then(|details| details.pid) else {
            continue;
        };
        let process = Process {
            nested: Some(ns),
            first: true,
            container: Some(listed.id.clone()),
        };
        host.processes.insert(pid, process);
        let found = found(Namespace::Own(ns));
        host.containers.insert(listed.id.clone(), found);
        ns += 1;
    }
    Survey {
        engines,
        host,
        looked_at: vec!["/run/docker.sock".into()],
        ..Default::default()
    }
}

fn problem(survey: &Survey, wanted: &str) -> (Problem, String) {
    let error = resolve(survey, wanted).unwrap_err();
    let text = error.to_string();
    (error.problem, text)
}

#[test]
fn by_name_by_id_and_by_its_beginning() {
    let (one, two) = (id("1dcad40f27d5"), id("1dcb"));
    let survey = survey(vec![engine(
        "docker",
        &[running(&one, "fwd_sig", 60), running(&two, "1dcad4", 70)],
    )]);
    let found = resolve(&survey, "fwd_sig").unwrap();
    assert_eq!(
        found,
        Container {
            id: one.clone(),
            name: Some("fwd_sig".into()),
            engine: Some("docker".into()),
            pidns: NS,
            shares: None,
            pid: Some(60),
            socket: Some(survey.engines[0].socket.clone()),
            stop_signal: Some(3),
            stop_timeout_s: Some(3),
        }
    );
    assert_eq!(resolve(&survey, &one.to_uppercase()).unwrap(), found);
    assert_eq!(resolve(&survey, "1DCA").unwrap(), found);
    // A name wins over the beginning of an id, as with the engines themselves.
    assert_eq!(resolve(&survey, "1dcad4").unwrap().id, two);
    let (problem, text) = problem(&survey, "1dc");
    assert!(matches!(problem, Problem::Unknown { .. }));
    assert!(text.contains("4 characters"), "{text}");
}

#[test]
fn stop_signals_are_names_or_numbers() {
    for (said, number) in [("15", Some(15)), ("QUIT", Some(3)), ("", None), ("x", None)] {
        let mut one = running(&id("1dca"), "web", 60);
        one.details.as_mut().unwrap().stop_signal = Some(said.to_owned());
        let survey = survey(vec![engine("podman", &[one])]);
        assert_eq!(
            resolve(&survey, "web").unwrap().stop_signal,
            number,
            "{said}"
        );
    }
}

#[test]
fn what_is_not_configured_is_what_engines_do() {
    let mut one = running(&id("1dca"), "web", 60);
    let details = one.details.as_mut().unwrap();
    (details.stop_signal, details.stop_timeout_s) = (None, None);
    let found = resolve(&survey(vec![engine("docker", &[one])]), "web").unwrap();
    let fact = found.fact();
    assert_eq!(fact.stop_signal, Some(15));
    assert_eq!(fact.grace_ns, Some(10_000_000_000));
}

#[test]
fn without_any_engine_ids_still_work() {
    let one = id("1dca");
    let mut survey = survey(vec![]);
    survey
        .host
        .containers
        .insert(one.clone(), found(Namespace::Own(NS)));
    let container = resolve(&survey, "1dca").unwrap();
    assert_eq!((container.id, container.name), (one, None));
    assert_eq!(container.engine.as_deref(), Some("docker"));
    let (_, text) = problem(&survey, "fwd_sig");
    assert!(
        text.contains("no engine could be asked for names (sockets looked for: /run/docker.sock)"),
        "{text}"
    );
    assert!(text.contains("\n  -  docker  1dca00000000"), "{text}");
}

#[test]
fn several_are_listed() {
    let (one, two, three) = (id("1dcad"), id("1dcae"), id("77"));
    let both = survey(vec![
        engine(
            "docker",
            &[running(&one, "web", 60), running(&three, "db", 80)],
        ),
        engine("podman", &[running(&two, "web", 70)]),
    ]);
    for wanted in ["web", "1dca"] {
        let (problem, text) = problem(&both, wanted);
        assert!(matches!(problem, Problem::Ambiguous(rows) if rows.len() == 2));
        assert!(text.contains("web  docker  1dcad0000000  runs"), "{text}");
        assert!(text.contains("web  podman  1dcae0000000  runs"), "{text}");
        assert!(!text.contains("db"), "{text}");
    }
    // The only one that runs is meant.
    let one_runs = survey(vec![
        engine("docker", &[ended(&one, "web", 0)]),
        engine("podman", &[running(&two, "web", 70)]),
    ]);
    assert_eq!(resolve(&one_runs, "web").unwrap().id, two);
    let none_runs = survey(vec![
        engine("docker", &[ended(&one, "web", 0)]),
        engine("podman", &[ended(&two, "web", 0)]),
    ]);
    assert!(problem(&none_runs, "web").1.contains("does not run"));
}

#[test]
fn ids_that_begin_alike_are_listed_whole() {
    let (one, two) = (id("1dcad40f27d5a"), id("1dcad40f27d5b"));
    let survey = survey(vec![engine(
        "docker",
        &[running(&one, "a", 60), running(&two, "b", 70)],
    )]);
    let (_, text) = problem(&survey, "1dcad40f27d5");
    assert!(text.contains(&one) && text.contains(&two), "{text}");
}

#[test]
fn the_same_container_at_two_sockets_is_one() {
    let one = [running(&id("1dca"), "web", 60)];
    let survey = survey(vec![engine("docker", &one), engine("docker", &one)]);
    assert!(resolve(&survey, "web").is_ok());
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let survey = survey(vec![engine(
        "docker",
        &[
            running(&id("1dca"), "fwd_sig", 60),
            running(&id("2bcd"), "db", 70),
            ended(&id("3cde"), "fwd-sig-old", 0),
        ],
    )]);
    let (problem, text) = problem(&survey, "fwd-sig");
    let Problem::Unknown {
        nearest, running, ..
    } = problem
    else {
        panic!("{text}");
    };
    assert_eq!(running.len(), 2);
    assert!(nearest.contains(&"fwd_sig".to_owned()), "{nearest:?}");
    assert!(text.contains("did you mean"), "{text}");
    assert!(text.contains("\n  db       docker  2bcd"), "{text}");
}

#[test]
fn one_that_does_not_run_says_how_it_ended() {
    let mut survey = survey(vec![engine("podman", &[ended(&id("1dca"), "web", 137)])]);
    let (problem, text) = problem(&survey, "web");
    assert!(matches!(
        problem,
        Problem::NotRunning {
            exit_code: Some(137),
            ..
        }
    ));
    assert!(text.contains("web (podman 1dca00000000) does not run: it ended with status 137"));
    assert!(text.contains("waited for with --wait"), "{text}");
    assert!(text.contains("--wait"), "{text}");
    survey.engines[0].containers[0].state = "created".into();
    assert!(super::names::problem(&survey, "web")
        .1
        .contains("never started"));
    // Not asked about in time: the list's word counts.
    survey.engines[0].containers[0].details = None;
    survey.engines[0].containers[0].state = "stopped".into();
    assert!(super::names::problem(&survey, "web")
        .1
        .contains("it has ended"));
}

#[test]
fn whoever_shares_a_namespace_is_told_by_its_cgroup() {
    let (web, side) = (id("1dca"), id("2bcd"));
    let with_mode = |mode: &str| {
        let mut shares = running(&side, "side", 70);
        shares.details.as_mut().unwrap().pid_mode = mode.into();
        survey(vec![engine("docker", &[running(&web, "web", 60), shares])])
    };
    let sharing = |survey: &Survey, wanted: &str| {
        let found = resolve(survey, wanted).unwrap();
        let shares = found.shares.expect("it is not alone");
        (found.pidns, found.pid, shares.with, shares.cgroup)
    };
    let cgroup = || PathBuf::from("/docker/x");
    let of_host = (HOST_PIDNS, Some(70), Shared::Host, cgroup());
    assert_eq!(sharing(&with_mode("host"), "side"), of_host);
    let of_web = Shared::Container("web".into());
    let mode = format!("container:{web}");
    assert_eq!(
        sharing(&with_mode(&mode), "side"),
        (NS + 1, Some(70), of_web.clone(), cgroup())
    );
    assert_eq!(resolve(&with_mode("private"), "side").unwrap().shares, None);

    // The same without the engine's word.
    let mut survey = survey(vec![engine("docker", &[running(&web, "web", 60)])]);
    let host = &mut survey.host.containers;
    host.insert(side.clone(), found(Namespace::Of(web.clone(), NS)));
    assert_eq!(sharing(&survey, "2bcd"), (NS, Some(77), of_web, cgroup()));
    let in_v1 = |hierarchy, namespace| Found {
        hierarchy,
        ..found(namespace)
    };
    let host = &mut survey.host.containers;
    host.insert(side.clone(), in_v1(Hierarchy::Pids, Namespace::Host));
    let hierarchy = resolve(&survey, "2bcd").unwrap().shares.unwrap().hierarchy;
    assert_eq!(hierarchy, Hierarchy::Pids);

    // By what it cannot be told.
    for (namespace, words) in [
        (Namespace::Host, "it shares the host's"),
        (Namespace::Of(web, NS), "or trace web, which shows both"),
    ] {
        let host = &mut survey.host.containers;
        host.insert(side.clone(), in_v1(Hierarchy::Other, namespace));
        let (_, text) = problem(&survey, "2bcd");
        assert!(
            text.contains("without the pids controller") && text.contains("-p PID"),
            "{text}"
        );
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_runtime_on_its_way_into_a_container_is_no_container() {
    // Its engine knows of no process yet.
    let mut one = running(&id("1dca"), "web", 60);
    one.details.as_mut().unwrap().pid = None;
    let mut survey = survey(vec![engine("docker", &[one])]);
    let host = &mut survey.host.containers;
    host.insert(id("1dca"), found(Namespace::Host));
    let (problem, text) = problem(&survey, "web");
    assert!(problem.may_pass(), "{text}");
}

#[test]
fn an_engines_word_on_processes_is_checked() {
    let one = id("1dca");
    let elsewhere = |process: Option<Process>| {
        let mut survey = survey(vec![engine("docker", &[running(&one, "web", 60)])]);
        survey.host = Host::default();
        survey.host.processes = process.map(|process| (60, process)).into_iter().collect();
        survey
    };
    let stranger = Process {
        nested: None,
        first: false,
        container: None,
    };
    for process in [
        None,
        Some(stranger.clone()),
        Some(Process {
            nested: Some(NS),
            first: true,
            container: Some(id("ff")),
        }),
    ] {
        let (problem, text) = problem(&elsewhere(process), "web");
        assert!(matches!(problem, Problem::Elsewhere(_, Some(60))), "{text}");
    }
    // Without a cgroup of its own, but PID 1 of a namespace.
    let unnamed = Process {
        nested: Some(NS),
        first: true,
        container: None,
    };
    assert_eq!(resolve(&elsewhere(Some(unnamed)), "web").unwrap().pidns, NS);
    // A wrong or old pid does no harm where the cgroup knows better.
    let mut old = elsewhere(Some(stranger));
    old.host.containers.insert(one, found(Namespace::Own(NS)));
    assert_eq!(resolve(&old, "web").unwrap().pidns, NS);
}

#[test]
fn text_from_outside_stays_on_its_line() {
    let hostile = "web\n\u{1b}[31msigtrace: all is well\u{202e}";
    let survey = survey(vec![engine(
        "do\ncker",
        &[
            running(&id("1dca"), hostile, 60),
            ended(&id("2b"), hostile, 1),
        ],
    )]);
    let mut texts = vec![problem(&survey, "weg").1];
    texts.push(problem(&survey, "2b00").1);
    let mut failed = Survey::default();
    failed.failed.push(Arc::new(EngineError {
        operation: "ask",
        object: hostile.into(),
        cause: Cause::Refused {
            status: 500,
            message: hostile.into(),
        },
    }));
    texts.push(problem(&failed, hostile).1);
    for text in texts {
        let odd = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(odd), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("sigtrace")));
        assert!(!text.contains("\u{1b}"), "{text:?}");
    }
}

#[test]
fn engines_that_failed_are_named() {
    let mut survey = survey(vec![engine("docker", &[])]);
    survey.failed.push(Arc::new(EngineError {
        operation: "list the containers of the engine at",
        object: "/run/podman/podman.sock".into(),
        cause: Cause::Late(PATIENCE),
    }));
    let (_, text) = problem(&survey, "web");
    assert!(
        text.contains("/run/podman/podman.sock: no answer within 1000 ms"),
        "{text}"
    );
    // Nameless for that reason, not because nobody knows names there.
    let host = &mut survey.host.containers;
    host.insert(id("1dca"), found(Namespace::Own(NS)));
    assert!(!problem(&survey, "web").1.contains("crictl"));
    survey.failed.clear();
    assert!(problem(&survey, "web").1.contains("crictl"));
}
