//! The writers against snapshots: reviewed files in `snapshots/`, rewritten
//! with `SIGTRACE_BLESS=1 cargo test -p sigtrace`. And what holds for any
//! input: no control byte, bounded text.

use std::{collections::BTreeSet, env, fs, path::Path};

use super::{
    samples::{self, at, context, every_kind, inside, killed, picture, summary, write},
    shapes::Line,
    Context, Ending, Format, Scope,
};
use crate::{
    event::{Comm, ProcessKey},
    explain::report::{ExitReport, Report, Sender, SignalReport, Summary},
};

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
fn every_kind_in_json() {
    let lines = write(
        Format::Json,
        context(),
        &every_kind(),
        &summary(),
        Ending::Ended,
    );
    snapshot("every-kind.json", &lines);
    let failed = Context {
        failed_only: true,
        ..context()
    };
    let lines = write(
        Format::Json,
        failed,
        &every_kind(),
        &summary(),
        Ending::Ended,
    );
    // Handled signals are left out, but news of one that was shown is not.
    assert!(!lines.contains(r#""v":1,"id":12,"#), "{lines}");
    for of in [21, 30] {
        assert!(
            lines.contains(&format!(r#""event":"update","v":1,"of":{of}"#)),
            "{lines}"
        );
    }
}

#[test]
fn every_line_is_as_the_schema_and_the_shapes_say() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema.json");
    let schema = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let container = super::ContainerName {
        name: Some("fwd_sig".into()),
        id: "1dcad40f27d5".into(),
        engine: Some("docker".into()),
    };
    let scope = Scope {
        container: Some(container),
        ..context().scopes[0].clone()
    };
    let mut reports = every_kind();
    let mut odd = samples::sigterm();
    odd.id = 50;
    odd.code = 99;
    odd.target.comm.0[..2].copy_from_slice(b"\xff\xfe");
    odd.sender = Sender::Kernel { on_behalf_of: None };
    reports.push(Report::Signal(Box::new(odd)));
    let mut kinds = BTreeSet::new();
    for scopes in [vec![scope], vec![], context().scopes] {
        let context = Context {
            all_signals: true,
            scopes,
            ..context()
        };
        let lines = write(
            Format::Json,
            context,
            &reports,
            &summary(),
            Ending::Interrupted,
        );
        for line in lines.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            // One of ten shapes: the message names none, the line's kind does.
            assert!(schema.is_valid(&value), "{line}");
            let decoded: Line =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            if value["event"] != "update" {
                assert_eq!(
                    serde_json::to_value(decoded).unwrap(),
                    value,
                    "nothing is left out"
                );
            }
            let mut more = value.clone();
            more["surprise"] = 1.into();
            assert!(!schema.is_valid(&more), "{line}");
            assert!(serde_json::from_value::<Line>(more).is_err(), "{line}");
            kinds.insert(value["event"].as_str().unwrap().to_owned());
        }
    }
    let all = "exec exit fork init_exit lost reap signal summary tracing update zombie";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>().join(" "), all);
}

#[test]
fn verdicts() {
    let none = Context {
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
    let running = Summary {
        ended: false,
        ..summary()
    };
    let mut lines = String::new();
    for (context, summary, ending) in [
        (context(), clean, Ending::Ended),
        (context(), gaps, Ending::Ended),
        (context(), running.clone(), Ending::Interrupted),
        (context(), Summary::default(), Ending::TimeUp),
        (none.clone(), running, Ending::Interrupted),
        (none, Summary::default(), Ending::Failed),
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
    let container = super::ContainerName {
        id: "1dcad40f27d5".repeat(5),
        ..Default::default()
    };
    let container = Scope {
        container: Some(container),
        pid1: Some("sh".into()),
        ..scope.clone()
    };
    let filters = vec!["process 4242".to_owned(), "only SIGTERM SIGKILL".to_owned()];
    for (scopes, filters) in [
        (vec![], vec![]),
        (vec![], filters.clone()),
        (vec![scope.clone()], filters),
        (vec![container], vec![]),
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
        let tracing = super::Tracing {
            filters,
            ..samples::tracing()
        };
        super::writer(Format::Text, context, &mut out)
            .tracing(&tracing)
            .unwrap();
        lines += &String::from_utf8(out).unwrap();
    }
    snapshot("openings.txt", &lines);
}

#[test]
fn many_missing_hooks_are_one_line_in_text_and_all_in_json() {
    let hooks = ["release_task", "do_exit", "dequeue_signal"];
    let mut notes: Vec<_> = hooks.map(|hook| format!("no {hook}: a long reason")).into();
    notes.push("--buffer rounded up".into());
    let tracing = super::Tracing {
        notes,
        ..samples::tracing()
    };
    let shown = |format| {
        let mut out = Vec::new();
        super::writer(format, context(), &mut out)
            .tracing(&tracing)
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = shown(Format::Text);
    let notes: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("note: "))
        .collect();
    let expected = [
        "note: without release_task, do_exit, dequeue_signal on this kernel: `sigtrace doctor` says what is lost",
        "note: --buffer rounded up",
    ];
    assert_eq!(notes, expected);
    assert_eq!(shown(Format::Json).matches("a long reason").count(), 3);
}

#[test]
fn two_hundred_deaths_are_a_few_lines_in_text_and_all_in_json() {
    let death = |i: u32| {
        let task = inside("c-init-sig", 16341 + i, 2 + i);
        let kill = SignalReport {
            id: u64::from(i) * 2,
            target: task.clone(),
            ..samples::sigkill()
        };
        let exit = ExitReport {
            id: u64::from(i) * 2 + 1,
            task,
            ..killed()
        };
        [Report::Signal(Box::new(kill)), Report::Exit(Box::new(exit))]
    };
    let reports: Vec<_> = (0..200).flat_map(death).collect();
    let summary = Summary {
        exited: 201,
        forced: 200,
        ended: true,
        ..Summary::default()
    };
    snapshot("crowd.txt", &text(context(), &reports, &summary));
    let lines = write(Format::Json, context(), &reports, &summary, Ending::Ended);
    assert_eq!(lines.matches(r#""event":"exit""#).count(), 200);
}

#[test]
fn a_fatal_signal_without_its_death_is_said() {
    let reports = [Report::Signal(Box::new(samples::sigkill()))];
    let shown = text(context(), &reports, &summary());
    assert!(
        shown.contains("SIGKILL   kernel for PID 1 c-init-sig 16301 → "),
        "{shown}"
    );
    let mut out = Vec::new();
    let mut writer = super::writer(Format::Text, context(), &mut out);
    writer.report(&reports[0]).unwrap();
    writer.tick(at(20_000)).unwrap();
    drop(writer);
    assert!(String::from_utf8(out).unwrap().contains("fatal"));
}

#[test]
fn a_new_day_is_said() {
    let late = SignalReport {
        time: at(80_000_000),
        ..samples::sigterm()
    };
    let shown = text(context(), &[Report::Signal(Box::new(late))], &summary());
    assert!(
        shown.contains("\n2026-11-24\n00:51:21.000  SIGTERM"),
        "{shown}"
    );
}

#[test]
fn nothing_hostile_reaches_the_terminal() {
    let names: [&[u8]; 5] = [
        b"\x1b[31mred\x07\x1b[0m",
        b"\x9b31m\xff\xfe",
        "\u{202e}lamron".as_bytes(),
        "a\u{9b}\u{85}b\u{7f}".as_bytes(),
        b"new\nline\r\ttab",
    ];
    for name in names {
        let mut comm = Comm::default();
        comm.0[..name.len()].copy_from_slice(name);
        let mut task = inside("x", 99, 1);
        task.comm = comm;
        let ancestor = crate::event::Ancestor {
            key: ProcessKey {
                pid: 1,
                start_ns: 1,
            },
            comm,
        };
        let sender = Sender::Process {
            task: task.clone(),
            ancestry: vec![ancestor],
        };
        let text_of_it = String::from_utf8_lossy(name).into_owned();
        let mut signal = SignalReport {
            sender,
            target: task.clone(),
            ..samples::dropped()
        };
        signal.explanation.sentences.push(text_of_it.clone());
        let mut exit = ExitReport {
            task: task.clone(),
            ..killed()
        };
        exit.chain[0].what.clone_from(&text_of_it);
        let mut reports = vec![
            Report::Signal(Box::new(signal)),
            Report::Exit(Box::new(exit)),
        ];
        reports.push(Report::Zombie {
            id: 1,
            time: at(1),
            task: task.clone(),
            parent: Some(task),
        });
        // Twice as often as is written whole: the crowd's line too.
        let reports = [reports.clone(), reports.clone(), reports.clone(), reports].concat();
        for width in [Some(80), None] {
            let mut context = Context { width, ..context() };
            context.scopes[0].label = Some(text_of_it.clone());
            context.scopes[0].note = Some(text_of_it.clone());
            context.scopes[0].pid1 = Some(text_of_it.clone());
            let shown = text(context.clone(), &reports, &summary());
            let bad = shown
                .chars()
                .find(|&c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c));
            assert_eq!(bad, None, "{shown:?}");
            let lines = write(Format::Json, context, &reports, &summary(), Ending::Ended);
            assert!(
                !lines.contains(|c: char| c.is_control() && c != '\n'),
                "{lines:?}"
            );
            for line in lines.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
