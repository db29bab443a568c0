//! Who asked the engine, as it says itself.

use super::*;

/// The engine's word, some time after what it is about.
fn engine_says(w: &mut World, action: EngineAction) -> u64 {
    let at = crate::event::BootTime(w.now);
    w.pass(40 * MS);
    w.push(Fact::Engine(EngineEvent {
        home: Home::PidNs(NS),
        at,
        answering: true,
        action,
    }))
}

fn asked(told: &Told, id: u64) -> Vec<String> {
    let of = |r: &Report| match r {
        Report::Update {
            of,
            now: Update::Asked(e),
            ..
        } if *of == id => e.chain.last().map(|l| l.what.clone()),
        _ => None,
    };
    told.reports.iter().filter_map(of).collect()
}

#[test]
fn who_asked_is_known_before_and_after_the_death() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    let when = w.now;
    let kill = engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    w.pass(2_970 * MS);
    w.send(&runc(960), &one, KILL).ancestry(SHIM).fatal();
    let id = w.exit(&one, KILL);
    w.zapped(&one, &child);
    engine_says(&mut w, EngineAction::Kill(Some(KILL)));
    engine_says(&mut w, EngineAction::Die);
    engine_says(&mut w, EngineAction::Stop);
    w.pass(MS);
    let told = w.run();
    let e = told.exit(&one);
    assert!(
        chain(e).ends_with("containerd-shim 900 ← docker stop or kill"),
        "{}",
        chain(e)
    );
    let last = e.chain.last().unwrap();
    assert_eq!(last.event, Some(kill));
    assert_eq!(last.asked.map(|a| (a.at.0, a.by_api)), Some((when, true)));
    assert_eq!(asked(&told, id), ["docker stop"]);
    // Those killed with it were asked for by the same.
    let child = told.exit(&child);
    assert!(chain(child).ends_with("← docker stop or kill"));
    assert_eq!(asked(&told, child.id), ["docker stop"]);
    // Nothing else has changed.
    let Some(Report::Update {
        now: Update::Asked(now),
        ..
    }) = told
        .reports
        .iter()
        .find(|r| matches!(r, Report::Update { of, .. } if *of == id))
    else {
        panic!();
    };
    assert_eq!((&now.explanation, &now.stop), (&e.explanation, &e.stop));
    assert_eq!(now.chain.len(), e.chain.len());
}

/// `docker stop -t 1` of a container whose own grace period is 3 s.
#[test]
fn its_word_proves_that_it_was_one_stop() {
    for (stop, certainty) in [(true, Certainty::Proven), (false, Certainty::Inferred)] {
        let (mut w, one, child) = container(TERM);
        term(&mut w, &one, TERM).dropped();
        engine_says(&mut w, EngineAction::Kill(Some(TERM)));
        w.pass(1_000 * MS);
        w.send(&runc(960), &one, KILL).ancestry(SHIM).fatal();
        let id = w.exit(&one, KILL);
        w.zapped(&one, &child);
        w.pass(100 * MS);
        engine_says(&mut w, EngineAction::Kill(Some(KILL)));
        engine_says(&mut w, EngineAction::Die);
        let word = stop.then(|| engine_says(&mut w, EngineAction::Stop));
        w.pass(MS);
        let told = w.run();
        let before = told.exit(&one);
        assert_eq!(before.explanation.certainty, Certainty::Inferred);
        let last = told.reports.iter().rev().find_map(|report| match report {
            Report::Update {
                of,
                now: Update::Asked(now),
                ..
            } if *of == id => Some(now),
            _ => None,
        });
        let now = last.map_or(before, |now| now);
        assert_eq!(now.explanation.certainty, certainty, "{word:?}");
        assert_eq!(now.explanation.missing.is_empty(), stop);
    }
}

#[test]
fn which_verb_the_events_allow() {
    use EngineAction::{Destroy, Die, Kill, Restart, Start, Stop};
    let verbs = |number: i32, engine: &str, events: &[EngineAction]| {
        let (mut w, one, child) = container(TERM);
        w.push(Fact::Container(Box::new(Container {
            home: Home::PidNs(NS),
            engine: Some(engine.into()),
            ..Container::default()
        })));
        let kill = number == KILL;
        if kill {
            w.send(&runc(950), &one, KILL).ancestry(SHIM).fatal();
        } else {
            term(&mut w, &one, number).handled();
        }
        w.exit(&one, if kill { KILL } else { 0 });
        let id = w.zapped(&one, &child);
        for &event in events {
            engine_says(&mut w, event);
        }
        asked(&w.run(), id).pop()
    };
    let docker = |number, events: &[_]| verbs(number, "docker", events);
    let (term, nine) = (Kill(Some(TERM)), Kill(Some(KILL)));
    assert_eq!(docker(TERM, &[]), None);
    assert_eq!(docker(TERM, &[Die, Stop]), None);
    assert_eq!(docker(TERM, &[Kill(Some(HUP))]), None);
    assert_eq!(docker(TERM, &[term, Die]).unwrap(), "docker stop or kill");
    assert_eq!(docker(TERM, &[term, Die, Stop]).unwrap(), "docker stop");
    assert_eq!(
        docker(TERM, &[term, nine, Die, Stop, Destroy]).unwrap(),
        "docker stop"
    );
    let all = [term, Die, Stop, Start, Restart];
    assert_eq!(docker(TERM, &all).unwrap(), "docker restart");
    assert_eq!(docker(TERM, &[term, Die, Destroy]).unwrap(), "docker kill");
    // A later stop is another's.
    assert_eq!(
        docker(TERM, &[term, term, Die, Stop]).unwrap(),
        "docker stop or kill"
    );
    assert_eq!(docker(KILL, &[nine, Die]).unwrap(), "docker kill or rm -f");
    assert_eq!(
        docker(KILL, &[nine, Die, Destroy]).unwrap(),
        "docker kill or rm -f"
    );
    let podman = |number, events: &[_]| verbs(number, "podman", events);
    assert_eq!(podman(TERM, &[Stop, Die]).unwrap(), "podman stop");
    assert_eq!(podman(TERM, &[Kill(None), Die]).unwrap(), "podman kill");
    assert_eq!(podman(TERM, &[Restart, Die]).unwrap(), "podman restart");
    assert_eq!(podman(KILL, &[Kill(None)]).unwrap(), "podman kill");
    assert_eq!(podman(TERM, &[Die]), None);
    // An engine whose events are not known says nothing.
    assert_eq!(verbs(TERM, "cri-o", &[term, Stop]), None);
}

#[test]
fn an_engine_that_is_shut_down_was_not_asked_through_its_api() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    let at = crate::event::BootTime(w.now);
    w.push(Fact::Engine(EngineEvent {
        home: Home::PidNs(NS),
        at,
        answering: false,
        action: EngineAction::Kill(Some(TERM)),
    }));
    w.exit(&one, 0);
    w.zapped(&one, &child);
    let told = w.run();
    let last = told.exit(&child).chain.last().unwrap();
    assert_eq!(last.what, "docker stop or kill");
    assert_eq!(last.asked.map(|a| a.by_api), Some(false));
}

#[test]
fn an_event_of_another_time_or_request_is_not_joined() {
    let (mut w, one, child) = container(TERM);
    engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    w.pass(1_000 * MS);
    // By a person, with a signal that the engine has sent a second before.
    w.send(&host(50, "sh"), &one, TERM).handled();
    w.exit(&one, 0);
    let id = w.zapped(&one, &child);
    engine_says(&mut w, EngineAction::Stop);
    let told = w.run();
    assert!(asked(&told, id).is_empty());
    assert!(!chain(told.exit(&child)).contains("docker"));

    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.exit(&one, 0);
    let id = w.zapped(&one, &child);
    w.pass(20_000 * MS);
    engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    assert!(asked(&w.run(), id).is_empty());
}

#[test]
fn an_engine_that_is_silent_is_said_once() {
    let (mut w, _, _) = container(TERM);
    for _ in 0..3 {
        w.push(Fact::EngineSilent(
            "cannot read the events of the engine at /x".into(),
        ));
    }
    let notes = w.run().summary.notes;
    assert_eq!(
        notes,
        ["Who asked for a stop may be missing: cannot read the events of the engine at /x."]
    );
}

#[test]
fn a_word_is_awaited_while_one_may_come() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    let mut engine = crate::explain::Engine::new(w.coverage.clone());
    let mut tell = |w: &mut World| {
        for event in w.events.drain(..) {
            engine.push(event);
        }
        engine.advance(crate::event::BootTime(w.now + 100 * MS));
        engine.awaits_word()
    };
    assert_eq!(tell(&mut w), Some(Awaited::Word));
    engine_says(&mut w, EngineAction::Kill(Some(TERM)));
    assert_eq!(tell(&mut w), Some(Awaited::Rest));
    engine_says(&mut w, EngineAction::Stop);
    assert_eq!(tell(&mut w), Some(Awaited::Restart));
    engine_says(&mut w, EngineAction::Start);
    assert_eq!(tell(&mut w), Some(Awaited::Restart));
    engine_says(&mut w, EngineAction::Restart);
    assert_eq!(tell(&mut w), None);
}
