//! The judge itself on trial: a recorded run, and the same with each thing wrong
//! that it has to find.

use super::phrases::Phrase;
use super::table::{Level, Sure};
use super::{From, Judge, Place, Seen, Table};
use crate::{engines, scenarios};

/// A run of the picture, `sh` 50 → PID 1 40, child 41, in namespace 7.
const RUN: &str = include_str!("../../fixtures/picture.json");

static PLACE: Place = Place {
    kernel: String::new(),
    level: Level::Raw,
    hooks: Vec::new(),
};

/// What the judge finds wrong in a run.
fn faults(run: &str) -> Vec<String> {
    faults_with("default = \"proven\"", run)
}

fn faults_with(table: &str, run: &str) -> Vec<String> {
    let table = Table::read(table).expect("a table");
    let lines: Vec<String> = run.lines().map(str::to_owned).collect();
    let seen = Seen::read(&lines);
    let mut judge = Judge::new("picture", &table, &PLACE, seen.of_namespaces(&[7]));
    for fault in &seen.faults {
        judge.fault(fault);
    }
    judge
        .signal("SIGTERM", 15, From::Process(50), 40)
        .fate("handled", None);
    judge
        .death("PID 1", 40)
        .cause("exit", "exit", 0)
        .forced(false)
        .absent("/signal");
    judge
        .zapped("the child", 41, 40)
        .chain(&["SIGKILL by the kernel", "PID 1 exited"])
        .has("/contributing", "not-forwarded")
        .says(Phrase::NothingSentOn);
    judge.nothing_else();
    judge.table_is_met();
    judge.faults
}

/// The run with one text replaced by another.
fn changed(from: &str, to: &str) -> String {
    assert!(RUN.contains(from), "the recorded run has no {from}");
    RUN.replace(from, to)
}

#[test]
fn the_recorded_run_is_right() {
    assert_eq!(faults(RUN), Vec::<String>::new());
}

#[test]
fn each_wrong_word_is_found() {
    let wrong = [
        (r#""fate":"handled""#, r#""fate":"dropped""#),
        (r#""cause":"exit""#, r#""cause":"unknown""#),
        (r#""cause":"pid1-exited""#, r#""cause":"stop-timeout""#),
        (r#""mechanism":"kernel-signal""#, r#""mechanism":"exit""#),
        (r#""exit_code":137"#, r#""exit_code":143"#),
        (r#""forced":true"#, r#""forced":false"#),
        (r#""forced":false"#, r#""forced":true"#),
        (r#"["not-forwarded"]"#, r#"["too-slow"]"#),
        (
            "sent nothing on",
            "sent it on to this process, which ignores it",
        ),
        ("PID 1 exited with status 0", "somebody did something"),
        (r#""pid":50"#, r#""pid":51"#),
        (r#""on_behalf_of":{"pid":40"#, r#""on_behalf_of":{"pid":42"#),
        (r#""certainty":"proven""#, r#""certainty":"inferred""#),
        (r#""v":1"#, r#""v":2"#),
        (r#""event":"summary""#, r#""event":"exit""#),
        (r#""settled":true"#, r#""settled":false"#),
    ];
    for (from, to) in wrong {
        let found = faults(&changed(from, to));
        assert!(!found.is_empty(), "{from} → {to} went unnoticed");
    }
}

#[test]
fn a_verdict_too_many_is_found() {
    let lines: Vec<&str> = RUN.lines().collect();
    let (last, before) = lines.split_last().expect("lines");
    let death = before
        .iter()
        .find(|line| line.contains(r#""event":"exit""#))
        .expect("a death");
    let again = death.replace(r#""id":8"#, r#""id":9"#);
    let run = [&before.join("\n"), again.as_str(), *last].join("\n");
    let found = faults(&run);
    assert!(
        found.iter().any(|f| f.contains("did not happen")),
        "{found:?}"
    );
}

#[test]
fn updates_change_what_was_said() {
    let update = r#"{"event":"update","v":1,"of":8,"cause":"unknown","advice":null}"#;
    let lines: Vec<&str> = RUN.lines().collect();
    let (last, before) = lines.split_last().expect("lines");
    let run = [&before.join("\n"), update, *last].join("\n");
    let seen = Seen::read(&run.lines().map(str::to_owned).collect::<Vec<_>>());
    let death = seen.events.iter().find(|e| e.number("/id") == Some(8));
    let death = death.expect("the death");
    assert_eq!(death.text("/cause"), "unknown");
    assert!(death.now.get("advice").is_none() && death.first.get("advice").is_some());
    assert!(!faults(&run).is_empty());
}

#[test]
fn the_table_fails_in_both_directions() {
    let row = |is: &str| {
        format!(
            "default = \"proven\"\n[[except]]\nscenarios = [\"picture\"]\nclaim = \"the child\"\nlevel = \"raw\"\nis = \"{is}\"\nbecause = \"a test\"\n"
        )
    };
    let less = changed(
        r#""certainty":"proven","mechanism":"kernel-signal","missing":[],"contributing""#,
        r#""certainty":"inferred","mechanism":"kernel-signal","missing":["x"],"contributing""#,
    );
    assert!(!faults(&less).is_empty(), "less than expected");
    assert_eq!(faults_with(&row("inferred"), &less), Vec::<String>::new());
    assert!(
        !faults_with(&row("inferred"), RUN).is_empty(),
        "more than expected"
    );
    assert!(
        !faults_with(&row("impossible"), RUN).is_empty(),
        "known though impossible"
    );
    let unmet = row("inferred").replace("the child", "no claim");
    assert!(
        !faults_with(&unmet, RUN).is_empty(),
        "a row without a claim"
    );
}

#[test]
fn the_own_table_speaks_of_scenarios_that_exist() {
    let table = Table::own().expect("tests/expected.toml");
    let mut known: Vec<String> = scenarios::all()
        .iter()
        .map(|scenario| scenario.name.to_owned())
        .collect();
    known.extend(engines::run::names());
    for exception in table.exceptions() {
        for name in &exception.scenarios {
            assert!(known.contains(name), "no scenario {name}");
        }
        assert!(exception.is < Sure::Proven, "that is the default already");
    }
    let mut once = known.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), known.len(), "names are unique");
}

/// What is wrong with a signal that is told with this certainty at first, and waits.
fn interim_faults(certainty: &str, told: &str) -> Vec<String> {
    let first = format!(
        r#"{{"v":1,"event":"signal","id":5,"pidns":7,"signal":{{"number":15}},"sender":{{"kind":"process","pid":50}},"target":{{"pid":40}},"fate":"pending","reason":"{told}","certainty":"{certainty}","missing":[],"settled":false}}"#
    );
    let then = r#"{"event":"update","v":1,"of":5,"reason":"frozen"}"#;
    let last = r#"{"event":"update","v":1,"of":5,"fate":"handled","reason":null,"certainty":"proven","settled":true}"#;
    let table = Table::read("default = \"proven\"").expect("a table");
    let seen = Seen::read(&[first, then.to_owned(), last.to_owned()]);
    let mut judge = Judge::new("picture", &table, &PLACE, seen.of_namespaces(&[7]));
    judge
        .signal("SIGTERM", 15, From::Process(50), 40)
        .fate_at_first("pending", "stopped")
        .fate_meanwhile("pending", "frozen")
        .fate("handled", None);
    let graded = table.ledger.lines();
    assert!(graded.contains(&"GRADE reason frozen proven".to_owned()));
    assert!(graded.contains(&"GRADE fate pending proven".to_owned()));
    judge.faults
}

#[test]
fn what_was_told_before_the_end_is_judged_too() {
    assert_eq!(interim_faults("proven", "stopped"), Vec::<String>::new());
    assert!(!interim_faults("proven", "traced").is_empty());
    assert!(!interim_faults("inferred", "stopped").is_empty());
}
