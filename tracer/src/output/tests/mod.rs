//! The writers against snapshots: reviewed files in `snapshots/`, rewritten
//! with `SIGTRACE_BLESS=1 cargo test -p sigtrace`. JSON is in
//! [`json`], what holds for any input in [`any`].

use std::{env, fs, path::Path};

use super::{
    samples::{self, context, every_kind, picture, summary, write},
    writer, ContainerName, Context, Ending, Format, Scope, Tracing,
};
use crate::explain::{
    path::{Decision, KernelPath, Stack},
    report::{ExitReport, Explanation, Report, SignalReport, Summary},
};

mod any;
mod json;

fn snapshot(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/output/snapshots")
        .join(name);
    if env::var_os("SIGTRACE_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "{name} differs; expected:\n{expected}\nactual:\n{actual}"
    );
}

fn text(context: Context, reports: &[Report], summary: &Summary) -> String {
    write(Format::Text, context, reports, summary, Ending::Ended)
}

#[test]
fn the_picture() {
    let context = Context {
        width: Some(120),
        ..context()
    };
    snapshot("picture.txt", &text(context, &picture(), &summary()));
}

#[test]
fn the_picture_of_the_readme_is_real() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let context = Context {
        width: Some(120),
        ..context()
    };
    let picture = text(context, &picture(), &summary());
    assert!(
        readme.contains(&picture),
        "README.md has another picture than this:\n{picture}"
    );
}

#[test]
fn what_came_to_nothing_is_counted() {
    let counts = Summary {
        refused: 1,
        rejected: 900_000,
        coalesced: 3,
        forks_rejected: 2,
        ..summary()
    };
    let text = text(context(), &[], &counts);
    let said = "0 signals dropped · 1 signal refused · 900000 signals rejected (EAGAIN) · 3 signals merged with pending ones · 2 forks rejected · 0 events lost";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&text).contains(&words(said)), "{text}");
}

#[test]
fn the_picture_at_80_columns() {
    let context = Context {
        width: Some(80),
        path: true,
        ..context()
    };
    let text = text(context, &picture(), &summary());
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    snapshot("picture-80.txt", &text);
}

#[test]
fn the_way_through_the_kernel() {
    let unnamed = SignalReport {
        kernel_path: KernelPath {
            functions: Vec::new(),
            stack: Stack::Unnamed,
            ..samples::dropped().kernel_path
        },
        ..samples::dropped()
    };
    let fault = ExitReport {
        kernel_path: KernelPath {
            functions: [
                "force_sig_info_to_task",
                "some_function_that_nobody_has_words_for",
                "exc_page_fault",
            ]
            .map(str::to_owned)
            .into(),
            decision: Some(Decision::FatalAtDelivery),
            ..samples::killed().kernel_path
        },
        ..samples::killed()
    };
    let reports = [
        Report::Signal(Box::new(samples::dropped())),
        Report::Signal(Box::new(unnamed)),
        Report::Exit(Box::new(samples::killed())),
        Report::Exit(Box::new(fault)),
    ];
    let path = |width, format| {
        let context = Context {
            width,
            path: true,
            ..context()
        };
        write(format, context, &reports, &summary(), Ending::Ended)
    };
    snapshot("path.txt", &path(Some(100), Format::Text));
    snapshot("path-piped.txt", &path(None, Format::Text));
    snapshot("path.json", &path(None, Format::Json));
}

#[test]
fn the_picture_piped() {
    let context = Context {
        width: None,
        ..context()
    };
    let text = text(context, &picture(), &summary());
    assert_eq!(text.lines().count(), 5, "one line per event:\n{text}");
    snapshot("picture-piped.txt", &text);
}

#[test]
fn the_picture_in_color() {
    let context = Context {
        color: true,
        ..context()
    };
    let text = text(context, &picture(), &summary());
    snapshot("picture-color.txt", &text.replace('\u{1b}', "ESC"));
}

#[test]
fn every_kind_in_text() {
    snapshot(
        "every-kind.txt",
        &text(context(), &every_kind(), &summary()),
    );
    let all = Context {
        all_signals: true,
        numeric: true,
        ..context()
    };
    snapshot("every-kind-all.txt", &text(all, &every_kind(), &summary()));
    let failed = Context {
        failed_only: true,
        ..context()
    };
    snapshot(
        "every-kind-failed.txt",
        &text(failed, &every_kind(), &summary()),
    );
}

#[test]
fn where_a_sender_is_from() {
    let all = |signal| text(context(), &[Report::Signal(Box::new(signal))], &summary());
    let says = |signal, wanted: &str| {
        let text = all(signal);
        assert!(text.contains(wanted), "{text}");
    };
    says(
        samples::by_neighbour(),
        "SIGTERM   sh 16350 (in container sidecar) → PID 1 c-init-sig 16301",
    );
    says(
        samples::by_a_session(),
        "SIGTERM   sh 16350 (in session 3 of user 1000) → PID 1 c-init-sig 16301",
    );
}

#[test]
fn verdicts() {
    let none = Context {
        many: true,
        scopes: Vec::new(),
        ..context()
    };
    let clean = Summary {
        exited: 3,
        forced: 0,
        dropped: 1,
        ended: true,
        ..Summary::default()
    };
    let gaps = Summary {
        lost: 12,
        notes: vec!["12 events were lost: causes may be unknown that could be known.".into()],
        ..clean.clone()
    };
    let unseen = Summary {
        unseen_ends: 1,
        ..clean.clone()
    };
    let killed_unseen = Summary {
        unseen_ends: 188,
        killed_unseen: 4,
        ..clean.clone()
    };
    let partial = Summary {
        partial: true,
        ..clean.clone()
    };
    let fault = Summary {
        ended_badly: 1,
        ..clean.clone()
    };
    let fault_and_force = Summary {
        forced: 1,
        ended_badly: 2,
        ..clean.clone()
    };
    let only_unseen = Summary {
        unseen_ends: 1,
        ..Summary::default()
    };
    let unseen_to_its_end = Summary {
        ended: true,
        ..only_unseen.clone()
    };
    let running = Summary {
        ended: false,
        ..summary()
    };
    let everything = Context {
        all_signals: true,
        ..context()
    };
    let routine = Summary {
        dropped_routinely: 2,
        ..clean.clone()
    };
    let mut lines = String::new();
    for (context, summary, ending) in [
        (everything, routine, Ending::Ended),
        (context(), clean, Ending::Ended),
        (context(), gaps, Ending::Ended),
        (context(), unseen, Ending::Ended),
        (context(), killed_unseen.clone(), Ending::Ended),
        (context(), partial, Ending::Ended),
        (context(), fault, Ending::Ended),
        (context(), fault_and_force, Ending::Ended),
        (context(), running.clone(), Ending::Interrupted),
        (context(), Summary::default(), Ending::TimeUp),
        (none.clone(), running, Ending::Interrupted),
        (none.clone(), Summary::default(), Ending::Failed),
        (none, only_unseen, Ending::TimeUp),
        (context(), unseen_to_its_end, Ending::Ended),
        (
            context(),
            Summary {
                exited: 0,
                ..killed_unseen
            },
            Ending::Ended,
        ),
    ] {
        let context = Context {
            width: Some(120),
            ..context
        };
        let text = write(Format::Text, context, &[], &summary, ending);
        lines.extend(text.lines().skip(1).flat_map(|line| [line, "\n"]));
    }
    snapshot("verdicts.txt", &lines);
}

#[test]
fn a_status_that_says_it_all_needs_no_words() {
    let grep = ExitReport {
        pid1: false,
        task: samples::inside("grep", 16350, 7),
        exit_code: 1,
        cause: "exit",
        chain: Vec::new(),
        explanation: Explanation {
            sentences: vec!["It exited with status 1.".into()],
            ..samples::init_exit().explanation
        },
        ..samples::init_exit()
    };
    let not_found = ExitReport {
        exit_code: 127,
        ..grep.clone()
    };
    for (exit, words) in [(grep, false), (not_found, true)] {
        let text = text(context(), &[Report::Exit(Box::new(exit))], &summary());
        assert_eq!(text.contains("It exited"), words, "{text}");
    }
}

#[test]
fn a_fault_paints_the_verdict_as_an_alarm() {
    let fault = Summary {
        forced: 0,
        ..summary()
    };
    let color = Context {
        color: true,
        ..context()
    };
    let text = text(color, &[], &fault);
    assert!(
        text.contains("\u{1b}[31mfwd_sig ended: unclean"),
        "{text:?}"
    );
}

#[test]
fn openings() {
    let mut lines = String::new();
    let scope = Scope {
        pidns: 1,
        ..Scope::default()
    };
    let labelled = |label: &str| Scope {
        label: Some(label.into()),
        ..scope.clone()
    };
    let container = ContainerName {
        id: "1dcad40f27d5".repeat(5),
        ..Default::default()
    };
    let named = ContainerName {
        name: Some("fwd_sig".into()),
        engine: Some("docker".into()),
        ..container.clone()
    };
    let of_engine = ContainerName {
        engine: Some("cri-o".into()),
        ..container.clone()
    };
    let of = |container: ContainerName| Scope {
        label: container.name.clone(),
        container: Some(container),
        pid1: Some("sh".into()),
        ..scope.clone()
    };
    let filters = vec!["process 4242".to_owned(), "only SIGTERM SIGKILL".to_owned()];
    for (scopes, filters) in [
        (vec![], vec![]),
        (vec![], filters.clone()),
        (vec![scope.clone()], filters),
        (vec![of(container)], vec![]),
        (vec![of(of_engine)], vec![]),
        (vec![of(named)], vec![]),
        (
            vec![
                labelled("a {since}"),
                Scope {
                    pid1: Some("x".into()),
                    ..labelled("b")
                },
            ],
            vec![],
        ),
    ] {
        let mut out = Vec::new();
        let context = Context {
            scopes,
            ..context()
        };
        let tracing = Tracing {
            filters,
            ..samples::tracing()
        };
        writer(Format::Text, context, &mut out)
            .tracing(&tracing)
            .unwrap();
        lines += &String::from_utf8(out).unwrap();
    }
    snapshot("openings.txt", &lines);
}

/// A container that is waited for, its first life, and its second with the same
/// inode; what is said late of the first one is about that.
fn lives(format: Format) -> String {
    let mut out = Vec::new();
    let context = Context {
        scopes: Vec::new(),
        ..context()
    };
    let tracing = Tracing {
        waiting: vec!["fwd_sig".into(), "other".into()],
        ..samples::tracing()
    };
    let life = |name: &str, id: &str, start: u64| Scope {
        pidns: samples::NS,
        born_ns: samples::at(start).0,
        label: Some(name.into()),
        pid1: Some("c-init-sig".into()),
        container: Some(ContainerName {
            name: Some(name.into()),
            id: id.repeat(64),
            engine: Some("docker".into()),
        }),
        ..Scope::default()
    };
    let exit = |id: u64, start: u64, end: u64| {
        let mut exit = samples::killed();
        (exit.id, exit.time) = (id, samples::at(end));
        exit.task.key.start_ns = samples::at(start).0;
        Report::Exit(Box::new(exit))
    };
    let mut writer = writer(format, context, &mut out);
    writer.tracing(&tracing).unwrap();
    for (scope, id, from, to) in [("fwd_sig", "1", 100, 120), ("other", "2", 500, 520)] {
        let scope = life(scope, id, from);
        writer.started(&scope, samples::at(from)).unwrap();
        writer.report(&exit(from, from + 1, to)).unwrap();
        writer
            .ended(&scope, samples::at(to + 5), from == 100)
            .unwrap();
    }
    // Late: of the first one.
    writer.report(&exit(900, 102, 119)).unwrap();
    let summary = samples::summary();
    writer
        .summary(&summary, Ending::Ended, samples::at(900))
        .unwrap();
    drop(writer);
    String::from_utf8(out).unwrap()
}

#[test]
fn containers_that_start_are_named_by_when_they_did() {
    snapshot("lives.txt", &lives(Format::Text));
    let json = lives(Format::Json);
    snapshot("lives.json", &json);
    let names: Vec<_> = (json.lines())
        .filter(|line| line.contains(r#""event":"exit""#))
        .map(|line| line.contains(r#""name":"fwd_sig""#))
        .collect();
    assert_eq!(names, [true, false, true]);
}
