//! Where handlers are: known before the signal, after it, and of another program.

use super::waiting::{pair, USER};
use crate::event::{Fact, Fault, Handler, MappedFile, Mapping, ProcessKey, Task};
use crate::explain::report::{HandlerPlace, Report, Update};
use crate::explain::signals::*;

fn address() -> u64 {
    match USER {
        Handler::User(address) => address,
        other => panic!("{other:?}"),
    }
}

fn found(task: &Task) -> Fact {
    Fact::HandlerFound(Box::new(Fault {
        task: task.clone(),
        ip: address(),
        mapping: Some(Mapping {
            start: 0,
            end: u64::MAX,
            file: Some(MappedFile {
                names: vec![b"app\x1b".to_vec(), b"bin".to_vec()],
                whole: true,
                offset: 0x1136,
                inode: 7,
                device: 1,
                build_id: None,
            }),
        }),
    }))
}

fn named(key: ProcessKey) -> Fact {
    Fact::HandlerNamed {
        key,
        address: address(),
        name: "on_term".into(),
        offset: 0,
        source: None,
    }
}

fn names(place: &HandlerPlace) -> (Option<&str>, Option<&str>) {
    let function = place.function.as_ref();
    (
        place.object.as_deref(),
        function.map(|function| function.name.as_str()),
    )
}

#[test]
fn a_name_that_comes_later_is_an_update_and_then_known() {
    let (mut w, sh, app) = pair();
    let first = w.send(&sh, &app, TERM).handler(USER).go();
    w.push(found(&app));
    w.deliver(&app, TERM, USER);
    w.push(named(app.key));
    let second = w.send(&sh, &app, TERM).handler(USER).go();
    w.deliver(&app, TERM, USER);
    let told = w.run();
    let place = told.signal(first).handler.as_deref().unwrap();
    assert_eq!(place.address, address());
    assert_eq!(
        names(place),
        (Some("app\\u{1b}"), None),
        "text from outside"
    );
    let updates: Vec<_> = told
        .reports
        .iter()
        .filter_map(|report| match report {
            Report::Update {
                of,
                now: Update::HandlerNamed(now),
                ..
            } => Some((*of, names(now.handler.as_deref().unwrap()))),
            _ => None,
        })
        .collect();
    assert_eq!(updates, [(first, (Some("app\\u{1b}"), Some("on_term")))]);
    let place = told.signal(second).handler.as_deref().unwrap();
    assert_eq!(names(place).1, Some("on_term"));
}

#[test]
fn another_program_has_other_handlers() {
    let (mut w, sh, app) = pair();
    w.push(found(&app));
    w.push(named(app.key));
    w.push(Fact::Exec {
        task: app.clone(),
        old_tid: app.tid,
    });
    let id = w.send(&sh, &app, TERM).handler(USER).go();
    w.deliver(&app, TERM, USER);
    let dropped = w.send(&sh, &app, USR1).dropped();
    let told = w.run();
    let place = told.signal(id).handler.as_deref().unwrap();
    assert_eq!(names(place), (None, None));
    assert_eq!(told.signal(dropped).handler, None);
}
