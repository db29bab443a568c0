//! Faults: where in its program a process was.

use super::world::*;
use crate::event::{Detail, Fact, Fault, Handler, MappedFile, Mapping, Task};
use crate::explain::report::{ExitReport, FaultPlace, Report, Update};
use crate::explain::signals::SEGV;

const IP: u64 = 0x40_1136;

fn app() -> MappedFile {
    MappedFile {
        names: ["app", "bin", "usr"].map(Vec::from).into(),
        whole: true,
        offset: 0x1136,
        inode: 7,
        device: 0x10_0001,
        build_id: Some(vec![0xab; 20]),
    }
}

fn mapping(file: Option<MappedFile>) -> Option<Mapping> {
    Some(Mapping {
        start: 0x40_1000,
        end: 0x40_2000,
        file,
    })
}

fn fault(w: &mut World, task: &Task, ip: u64, mapping: Option<Mapping>) {
    w.push(Fact::Fault(Box::new(Fault {
        task: task.clone(),
        ip,
        mapping,
    })));
}

/// A death by SIGSEGV at address 0x10, after such a fault of this thread.
fn death(of: impl FnOnce(&Task) -> Task, ip: u64, mapping: Option<Mapping>) -> ExitReport {
    let victim = member(102, 3, "app");
    let mut w = World::new();
    let thread = of(&victim);
    fault(&mut w, &thread, ip, mapping);
    w.send(&victim, &victim, SEGV)
        .by_kernel()
        .stack(&["force_sig_fault", "exc_page_fault"])
        .set(|s| {
            s.info = crate::event::Info::Full;
            s.code = 1;
            s.detail = Detail::Address(0x10);
        })
        .go();
    w.deliver(&victim, SEGV, Handler::Default);
    w.exit(&victim, SEGV);
    w.run().exit(&victim).clone()
}

#[test]
fn the_file_and_the_place_in_it() {
    let death = death(Task::clone, IP, mapping(Some(app())));
    assert_eq!(death.cause, "fault");
    assert_eq!(
        chain(&death),
        "SIGSEGV by the kernel ← fault at address 0x10 in app+0x1136"
    );
    assert!(
        why(&death).ends_with("It was at app+0x1136: 0x1136 bytes into the file /usr/bin/app."),
        "{}",
        why(&death)
    );
    let place = death.fault.unwrap();
    assert_eq!(place.path.as_deref(), Some("/usr/bin/app"));
    assert_eq!(place.build_id, Some("ab".repeat(20)));
}

#[test]
fn only_what_is_known_is_said() {
    let cut = MappedFile {
        whole: false,
        ..app()
    };
    let cut = death(Task::clone, IP, mapping(Some(cut)));
    assert!(why(&cut).ends_with("It was at app+0x1136, counted from the begin of that file."));
    assert_eq!(cut.fault.unwrap().path, None);
    let anonymous = death(Task::clone, IP, mapping(None));
    assert!(why(&anonymous).contains("0x401136, in memory of no file"));
    let nowhere = death(Task::clone, IP, None);
    assert!(
        why(&nowhere).ends_with("It was at 0x401136."),
        "{}",
        why(&nowhere)
    );
    assert!(chain(&nowhere).ends_with("fault at address 0x10, by the instruction at 0x401136"));
    let jumped = death(Task::clone, 0x10, None);
    assert!(
        why(&jumped).contains("It had jumped there"),
        "{}",
        why(&jumped)
    );
    let unknown = death(Task::clone, 0, None);
    assert_eq!(unknown.fault, None);
    assert!(chain(&unknown).ends_with("fault at address 0x10"));
}

#[test]
fn another_threads_fault_is_not_this_ones() {
    let other = |task: &Task| Task {
        tid: task.tid + 1,
        ..task.clone()
    };
    let death = death(other, IP, mapping(Some(app())));
    assert_eq!(death.fault, None::<Box<FaultPlace>>);
    assert!(chain(&death).ends_with("fault at address 0x10"));
}

/// Each is told by its own place.
#[test]
fn two_threads_fault_at_once() {
    let victim = member(102, 3, "app");
    let other = Task {
        tid: 1102,
        ..victim.clone()
    };
    let mut w = World::new();
    fault(&mut w, &victim, IP, mapping(Some(app())));
    fault(&mut w, &other, IP + 0x10, mapping(Some(app())));
    name(&mut w, &victim);
    w.send(&victim, &victim, SEGV)
        .by_kernel()
        .stack(&["force_sig_fault", "exc_page_fault"])
        .go();
    w.deliver(&victim, SEGV, Handler::Default);
    w.exit(&victim, SEGV);
    let told = w.run();
    let place = told.exit(&victim).fault.clone().unwrap();
    assert_eq!(place.ip, IP);
    assert!(place.function.is_some());
}

#[test]
fn a_hostile_name_is_shown_escaped() {
    let file = MappedFile {
        names: vec![b"\x1b[31m\xff".to_vec()],
        ..app()
    };
    let death = death(Task::clone, IP, mapping(Some(file)));
    assert!(!why(&death).contains('\x1b') && !chain(&death).contains('\x1b'));
    assert!(chain(&death).contains(r"\u{1b}[31m"), "{}", chain(&death));
}

fn name(w: &mut World, task: &Task) {
    w.push(Fact::FaultNamed {
        key: task.key,
        ip: IP,
        name: "crash\u{1b}".into(),
        offset: 6,
        source: Some("src/app.c:12".into()),
    });
}

/// A death whose fault's function becomes known before or after it was reported.
fn named(before: bool) -> Told {
    let victim = member(102, 3, "app");
    let mut w = World::new();
    fault(&mut w, &victim, IP, mapping(Some(app())));
    if before {
        name(&mut w, &victim);
    }
    w.send(&victim, &victim, SEGV)
        .by_kernel()
        .stack(&["force_sig_fault", "exc_page_fault"])
        .go();
    w.deliver(&victim, SEGV, Handler::Default);
    w.exit(&victim, SEGV);
    if !before {
        w.pass(50 * MS);
        name(&mut w, &victim);
        // A second answer changes nothing.
        name(&mut w, &victim);
    }
    w.run()
}

#[test]
fn a_function_is_said_whenever_it_becomes_known() {
    let victim = member(102, 3, "app");
    let early = named(true);
    let late = named(false);
    let updates: Vec<_> = (late.reports.iter())
        .filter_map(|report| match report {
            Report::Update {
                now: Update::Named(now),
                ..
            } => Some(&**now),
            _ => None,
        })
        .collect();
    assert_eq!(updates.len(), 1);
    for death in [early.exit(&victim), updates[0]] {
        assert!(
            chain(death).ends_with(r"fault in crash\u{1b} (app+0x1136)"),
            "{}",
            chain(death)
        );
        let said = r"It was in the function crash\u{1b} (src/app.c:12) of app+0x1136.";
        assert!(why(death).ends_with(said), "{}", why(death));
        let function = death.fault.as_ref().unwrap().function.as_ref().unwrap();
        assert_eq!(function.offset, 6);
    }
    assert_eq!(late.exit(&victim).fault.as_ref().unwrap().function, None);
}
