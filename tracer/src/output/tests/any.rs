//! What holds for any input: no control byte, bounded text, nothing lost.

use std::sync::Arc;

use super::{
    super::{
        samples::{self, at, context, inside, killed, summary, write},
        writer, Context, Ending, Format,
    },
    snapshot, text,
};
use crate::{
    event::{Comm, Origin, OriginContainer, ProcessKey},
    explain::{
        report::{
            Certainty, ExitReport, Forebear, Report, Sender, SignalReport, Summary, Unreaped,
            Update,
        },
        signals::USR1,
    },
};

#[test]
fn what_losses_leave_open_is_folded_like_the_rest() {
    let task = |i: u32| inside("sleep", 20_000 + i, 2 + i);
    let signal = |i: u32| {
        Report::Signal(Box::new(SignalReport {
            id: u64::from(i),
            time: at(1),
            target: task(i),
            ..samples::sigkill()
        }))
    };
    let zombie = |i: u32| Report::Zombie {
        id: u64::from(1000 + i),
        time: at(1500),
        task: task(i),
        parent: None,
    };
    // Their ends were lost; those of others were counted only, and a loss makes
    // them less certain.
    let clean = |i: u32, certainty| {
        let mut exit = ExitReport {
            id: u64::from(2000 + i),
            task: task(i),
            pid1: false,
            ..samples::init_exit()
        };
        exit.explanation.certainty = certainty;
        Box::new(exit)
    };
    let exits = (0..200).map(|i| Report::Exit(clean(i, Certainty::Proven)));
    let updates = (0..200).map(|i| Report::Update {
        of: u64::from(2000 + i),
        time: at(1600),
        now: Update::Exit(clean(i, Certainty::Inferred)),
    });
    let reports: Vec<_> = (0..200).map(signal).chain((0..200).map(zombie)).collect();
    let reports: Vec<_> = reports.into_iter().chain(exits).chain(updates).collect();
    let text = text(context(), &reports, &summary());
    assert!(text.lines().count() < 40, "{text}");
    assert_eq!(text.matches("197 more like that").count(), 2, "{text}");
    assert!(!text.contains("  now "), "{text}");
    assert!(text.contains("200 clean exits not shown"), "{text}");
}

#[test]
fn what_many_send_in_vain_is_a_few_lines() {
    let signal = |i: u32| {
        let mut report = SignalReport {
            id: u64::from(i),
            time: at(u64::from(i)),
            fate: "coalesced",
            reason: Some("already-pending"),
            count: 1 + u64::from(i % 3) * 100,
            ..samples::dropped()
        };
        if let Sender::Process { task, .. } = &mut report.sender {
            *task = inside("flood", 30_000 + i, 2 + i);
        }
        report
    };
    let reports: Vec<_> = (0..500).map(signal).collect();
    let sum: u64 = reports.iter().map(|report| report.count).sum();
    let reports: Vec<_> = (reports.into_iter())
        .map(|report| Report::Signal(Box::new(report)))
        .collect();
    let text = text(context(), &reports, &summary());
    assert!(text.lines().count() < 40, "{text}");
    let more = format!("{} more like that", sum - 3);
    assert!(text.contains(&more), "{more}: {text}");
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
        ended_badly: 200,
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
    let mut writer = writer(Format::Text, context(), &mut out);
    writer.report(&reports[0]).unwrap();
    writer.tick(at(20_000)).unwrap();
    drop(writer);
    assert!(String::from_utf8(out).unwrap().contains("fatal"));
}

/// Blocked since a while, and the end of its process when it is unblocked.
fn blocked_then_fatal() -> [Report; 2] {
    let signal = |fate, settled, reason, cause| SignalReport {
        number: USR1,
        fate,
        settled,
        reason,
        cause,
        latency_ns: None,
        handler: None,
        fault: None,
        target: killed().task,
        ..samples::sigterm()
    };
    let blocked = signal("blocked", false, Some("blocked-mask"), None);
    let fatal = signal("fatal", true, None, Some("killed-by-process"));
    let (of, time) = (blocked.id, at(60_000));
    let now = Update::Signal(Box::new(fatal));
    [
        Report::Signal(Box::new(blocked)),
        Report::Update { of, time, now },
    ]
}

#[test]
fn a_blocked_signal_that_kills_later_is_one_signal() {
    let mut reports = blocked_then_fatal().to_vec();
    let fork = Report::Exec {
        id: 90,
        time: at(60_000),
        task: inside("sh", 7, 7),
    };
    // A look at what is due, before the death comes.
    reports.push(fork);
    let mut death = killed();
    (death.time, death.signal, death.exit_code) = (at(60_001), Some(USR1), 138);
    (death.cause, death.forced) = ("killed-by-process", false);
    reports.push(Report::Exit(Box::new(death)));
    let shown = text(context(), &reports, &summary());
    let lines = |word| shown.lines().filter(|line| line.contains(word)).count();
    assert_eq!(lines("  SIGUSR1  "), 1, "{shown}");
    assert_eq!(lines("  killed  "), 1, "{shown}");
    assert_eq!(lines("  now  "), 0, "the death says it: {shown}");
    // Without its death it is news of the one that was shown.
    let shown = text(context(), &blocked_then_fatal(), &summary());
    let news: Vec<_> = shown.lines().filter(|l| l.contains("SIGUSR1 ")).collect();
    assert_eq!(news.len(), 2, "{shown}");
    assert!(news[1].contains("  now       SIGUSR1 "), "{shown}");
    assert!(news[1].contains("fatal, "), "{shown}");
}

#[test]
fn what_waits_for_no_known_reason_says_what_is_missing() {
    let mut waits = samples::sigterm();
    (waits.fate, waits.settled, waits.reason) = ("pending", false, None);
    let explanation = &mut waits.explanation;
    explanation.certainty = Certainty::Inferred;
    explanation.sentences = vec!["It is queued.".to_owned()];
    explanation.missing = vec!["why".to_owned(), "since when".to_owned()];
    explanation.advice = vec!["wait.".to_owned(), "look again.".to_owned()];
    let mut piped = context();
    piped.width = None;
    let shown = text(piped, &[Report::Signal(Box::new(waits))], &summary());
    let said = "[inferred] | why: It is queued. | lacks: why; since when | fix: wait; look again.";
    assert!(shown.contains(said), "{shown}");
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
        let ancestor = Forebear {
            runtime: None,
            key: ProcessKey {
                pid: 1,
                start_ns: 1,
            },
            comm,
        };
        let sender = Sender::Process {
            task: task.clone(),
            ancestry: vec![ancestor],
            more_ancestors: true,
            runtime: None,
            origin: Some(Arc::new(Origin {
                container: Some(OriginContainer {
                    id: "ab".repeat(32),
                    name: Some(String::from_utf8_lossy(name).into_owned()),
                    engine: None,
                }),
                unit: Some(String::from_utf8_lossy(name).into_owned()),
                pod: Some(String::from_utf8_lossy(name).into_owned()),
                session: Some(String::from_utf8_lossy(name).into_owned()),
                uid: Some(1),
            })),
            elsewhere: true,
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
        reports.push(Report::Waits {
            id: 2,
            time: at(1),
            task: task.clone(),
            waits_for: vec![Unreaped {
                task: task.clone(),
                dead: true,
                parent: Some(task.clone()),
                kept: None,
            }],
        });
        reports.push(Report::Zombie {
            id: 1,
            time: at(1),
            task: task.clone(),
            parent: Some(task),
        });
        // Twice as often as is written whole: the crowd's line too.
        let reports = [reports.clone(), reports.clone(), reports.clone(), reports].concat();
        let summary = || Summary {
            notes: vec![text_of_it.clone()],
            ..summary()
        };
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

#[test]
fn what_could_not_run_is_not_blamed_on_the_buffer() {
    let lost = |kind, slow_output| {
        let lost = Report::Lost {
            id: 1,
            time: at(1),
            kind,
            count: 12,
            slow_output,
        };
        let context = Context {
            width: None,
            ..context()
        };
        text(context, &[lost], &summary())
    };
    let shown = lost("not-run", false);
    assert!(
        shown.contains("LOST      up to 12 events: sigtrace's program"),
        "{shown}"
    );
    assert!(!shown.contains("buffer"), "{shown}");
    assert!(lost("signal", false).contains("fix: a larger --buffer"));
    let shown = lost("signal", true);
    assert!(
        shown.contains("whoever reads this output was slower"),
        "{shown}"
    );
    assert!(shown.contains("fix: write to a file"), "{shown}");
}

#[test]
fn of_many_that_failed_later_three_are_written_and_the_rest_counted() {
    let news = |id: u64| Report::Update {
        of: id,
        time: at(1000),
        now: Update::Signal(Box::new(SignalReport {
            id,
            fate: "died_first",
            settled: true,
            ..samples::dropped()
        })),
    };
    let context = Context {
        width: None,
        ..context()
    };
    let all: Vec<_> = (1..=256).map(news).collect();
    let shown = text(context, &all, &summary());
    let whole = shown.lines().filter(|line| line.contains("why: ")).count();
    assert_eq!(whole, 3, "{shown}");
    assert!(shown.contains("253 more"), "{shown}");
}

#[test]
fn of_a_flood_of_losses_there_is_a_line_a_second_in_text_and_all_in_json() {
    let lost = |ms: u64| Report::Lost {
        id: ms,
        time: at(ms),
        kind: "signal",
        count: ms,
        slow_output: false,
    };
    let all: Vec<_> = [1, 20, 300, 1400].map(lost).into();
    let shown = text(context(), &all, &summary());
    let lines: Vec<_> = shown.lines().filter(|line| line.contains("LOST")).collect();
    assert_eq!(lines.len(), 3, "{shown}");
    for (line, count) in lines.iter().zip([1, 320, 1400]) {
        assert!(line.contains(&format!(" {count} event")), "{line}");
    }
    let lines = write(Format::Json, context(), &all, &summary(), Ending::Ended);
    assert_eq!(lines.matches(r#""event":"lost""#).count(), 4, "{lines}");
}

#[test]
fn a_fault_is_shown_among_failures_and_a_polite_end_is_not() {
    let ended_by = |signal| {
        let signal = Some(signal);
        let exit = ExitReport {
            signal,
            forced: false,
            ..killed()
        };
        let context = Context {
            failed_only: true,
            ..context()
        };
        text(context, &[Report::Exit(Box::new(exit))], &summary()).contains("  killed    ")
    };
    assert!(ended_by(11));
    assert!(!ended_by(15));
}
