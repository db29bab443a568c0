//! JSON against the schema, the shapes and its snapshot.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::json;

use super::{
    super::{
        samples::{self, context, every_kind, summary, write},
        shapes::Line,
        ContainerName, Context, Ending, Format, Scope,
    },
    snapshot,
};
use crate::explain::report::{Evidence, Report, Sender, Summary};

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
fn where_a_sender_is_from() {
    let reports = [samples::by_neighbour(), samples::by_a_session()];
    let reports = reports.map(|signal| Report::Signal(Box::new(signal)));
    let lines = write(Format::Json, context(), &reports, &summary(), Ending::Ended);
    let lines = lines
        .lines()
        .filter(|line| line.contains(r#""event":"signal""#));
    let lines: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let container = |two: &str| json!({"id": two.repeat(32), "engine": "docker"});
    let mut sidecar = container("ab");
    sidecar["name"] = "sidecar".into();
    let sidecar = json!({"kind": "container", "container": sidecar});
    let session =
        json!({"kind": "session", "unit": "session-3.scope", "session": "3", "uid": 1000});
    let target = json!({"kind": "container", "container": container("cd"),
        "pod": "6d1f5d53-8c0b-4a3e-9f6a-0b1c2d3e4f50"});
    let found: Vec<_> = (lines.iter())
        .map(|line| (&line["sender"]["origin"], &line["target"]["origin"]))
        .collect();
    assert_eq!(found, [(&sidecar, &target), (&session, &target)]);
    assert!(lines
        .iter()
        .all(|line| line["sender"]["ancestry_cut"] == true));
}

#[test]
fn clean_is_said_only_of_what_was_seen_whole() {
    let clean = Summary {
        forced: 0,
        ended_badly: 0,
        ..summary()
    };
    let lost = Summary {
        lost: 1,
        ..clean.clone()
    };
    let lost_and_bad = Summary {
        ended_badly: 1,
        ..lost.clone()
    };
    for (summary, verdict) in [
        (clean, "clean"),
        (lost, "incomplete"),
        (lost_and_bad, "unclean"),
    ] {
        let lines = write(Format::Json, context(), &[], &summary, Ending::Ended);
        assert!(
            lines.contains(&format!(r#""verdict":"{verdict}""#)),
            "{lines}"
        );
    }
}

#[test]
fn every_line_is_as_the_schema_and_the_shapes_say() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema.json");
    let schema = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let container = ContainerName {
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
    odd.within_ns = Some(5);
    odd.explanation.evidence = vec![Evidence::Event(49)];
    odd.explanation.moments = vec![(49, "delivery")];
    reports.push(Report::Signal(Box::new(odd)));
    reports.push(Report::Exit(Box::new(samples::faulted())));
    for signal in [samples::by_neighbour(), samples::by_a_session()] {
        reports.push(Report::Signal(Box::new(signal)));
    }
    let mut kinds = BTreeSet::new();
    for scopes in [vec![scope], vec![], context().scopes] {
        let context = Context {
            all_signals: true,
            path: true,
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
            // One of many shapes: the message names none, the line's kind does.
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
    let all =
        "exec exit fork fork_rejected init_exit lost reap refused signal summary tracing update waits zombie";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>().join(" "), all);
    for line in super::lives(Format::Json).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(schema.is_valid(&value), "{line}");
        let decoded: Line = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_value(decoded).unwrap(), value);
    }
}
