//! Faults that a handler took, and the ends that such handlers bring about.

use super::world::*;
use crate::event::{Detail, Fact, Fault, Handler, Info, MappedFile, Mapping, Task};
use crate::explain::report::{Certainty, ExitReport, Report, Update};
use crate::explain::signals::*;

const IP: u64 = 0x40_1136;
const HANDLER: Handler = Handler::User(0x40_2000);
const CHAIN: &str = "SIGSEGV handled ← fault at address 0x10 in app+0x1136";

fn place(task: &Task) -> Fact {
    Fact::HandlerFound(Box::new(Fault {
        task: task.clone(),
        ip: IP,
        mapping: Some(Mapping {
            start: 0x40_1000,
            end: 0x40_2000,
            file: Some(MappedFile {
                names: ["app", "bin"].map(Vec::from).into(),
                whole: true,
                offset: 0x1136,
                inode: 7,
                device: 1,
                build_id: None,
            }),
        }),
    }))
}

/// A fault that goes to a handler; its signal.
fn faults(w: &mut World, task: &Task) -> u64 {
    faults_on(w, task, &["force_sig_fault", "exc_page_fault"])
}

fn faults_on(w: &mut World, task: &Task, stack: &[&str]) -> u64 {
    let id = w
        .send(task, task, SEGV)
        .stack(stack)
        .handler(HANDLER)
        .set(|s| {
            s.code = 1;
            s.to_process = false;
            s.detail = Detail::Address(0x10);
        })
        .go();
    w.push(place(task));
    w.push(Fact::Deliver {
        task: task.clone(),
        number: SEGV,
        code: 1,
        info: Info::Full,
        handler: HANDLER,
        signal_flags: 0,
        group_exit_code: 0,
        traced: false,
        fault_at: Some(IP),
        orphaned: None,
    });
    id
}

fn app() -> Task {
    member(102, 3, "app")
}

fn exits(status: i32, after: u64, times: usize) -> ExitReport {
    let mut w = World::new();
    for _ in 0..times {
        faults(&mut w, &app());
    }
    w.pass(after).exit(&app(), status << 8);
    w.run().exit(&app()).clone()
}

#[test]
fn the_signal_tells_address_and_place() {
    let mut w = World::new();
    let id = faults(&mut w, &app());
    let told = w.run();
    let told = told.signal(id);
    assert_eq!(told.fate, "handled");
    let said = told.explanation.sentences.join(" ");
    assert!(said.starts_with("It used address 0x10"), "{said}");
    assert!(said.contains("app+0x1136: 0x1136 bytes into the file /bin/app"));
    assert!(said.contains("Its handler for SIGSEGV began"), "{said}");
    assert_eq!(told.fault.as_ref().unwrap().ip, IP);
}

#[test]
fn a_name_that_comes_later_is_told_of_the_signal_and_the_death() {
    let mut w = World::new();
    let id = faults(&mut w, &app());
    w.exit(&app(), 1 << 8);
    w.pass(20 * MS).push(Fact::HandlerNamed {
        key: app().key,
        address: IP,
        name: "crash".into(),
        offset: 6,
        source: None,
    });
    let told = w.run();
    let said = |now: &Update| match now {
        Update::HandlerNamed(now) if now.id == id => Some(now.explanation.sentences.join(" ")),
        Update::Named(now) => Some(format!("{} {}", chain(now), why(now))),
        _ => None,
    };
    let said: Vec<_> = (told.reports.iter())
        .filter_map(|report| match report {
            Report::Update { now, .. } => said(now),
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 2, "{said:?}");
    for said in said {
        assert!(
            said.contains("in the function crash of app+0x1136"),
            "{said}"
        );
    }
}

#[test]
fn an_exit_in_the_handler_leads_to_the_fault() {
    let death = exits(1, 0, 1);
    assert_eq!(death.cause, "exit");
    assert_eq!(chain(&death), format!("exited with status 1 ← {CHAIN}"));
    // Its handler may have returned: who exits is not known to be that thread.
    assert_eq!(death.explanation.certainty, Certainty::Inferred);
    assert!(why(&death).contains("It had faulted"), "{}", why(&death));
    assert!(death.ended_badly() && death.fault.is_some());
}

#[test]
fn a_process_that_may_have_outlived_its_fault_is_told_so() {
    for hedged in [exits(1, 500 * MS, 1), exits(1, 0, 3)] {
        assert!(chain(&hedged).ends_with(CHAIN));
        assert_eq!(hedged.explanation.certainty, Certainty::Inferred);
        assert!(why(&hedged).contains("is not known"), "{}", why(&hedged));
    }
    // A collector's barriers, a test of memory: nothing failed of that.
    for other in [
        exits(0, 0, 1),
        exits(1, 60_000 * MS, 1),
        exits(1, 500 * MS, 2),
    ] {
        assert_eq!(chain(&other).matches('←').count(), 0, "{}", chain(&other));
        assert_eq!(other.fault, None);
        assert!(!other.ended_badly());
    }
}

/// Its handler sends a signal to itself.
fn raises(number: i32, stack: &[&str]) -> ExitReport {
    let mut w = World::new();
    faults_on(&mut w, &app(), stack);
    w.send(&app(), &app(), number).tkill().fatal();
    w.deliver(&app(), number, Handler::Default);
    w.exit(&app(), number);
    w.run().exit(&app()).clone()
}

const TRAP_STACK: &[&str] = &["force_sig_fault", "exc_page_fault"];

#[test]
fn a_signal_that_the_handler_raises_leads_to_the_fault() {
    let all = [
        (SEGV, "killed-by-process", "SIGSEGV"),
        (KILL, "killed-by-process", "SIGKILL"),
        (ABRT, "abort", "SIGABRT raised by itself"),
    ];
    for (number, cause, first) in all {
        let death = raises(number, TRAP_STACK);
        assert_eq!(death.cause, cause);
        assert_eq!(chain(&death), format!("{first} ← {CHAIN}"));
        assert_eq!(death.explanation.certainty, Certainty::Proven);
    }
    // Counted among many, it has no stack.
    assert_eq!(raises(ABRT, &[]).explanation.certainty, Certainty::Inferred);
}

#[test]
fn what_only_looks_like_a_fault_is_none() {
    // rt_tgsigqueueinfo(2) to itself may say anything.
    let death = raises(
        KILL,
        &["do_rt_tgsigqueueinfo", "__x64_sys_rt_tgsigqueueinfo"],
    );
    assert_eq!(chain(&death), "SIGKILL ← app 102");
    assert_eq!(death.fault, None);
}

#[test]
fn a_later_program_has_not_faulted() {
    let mut w = World::new();
    faults(&mut w, &app());
    w.push(Fact::Exec {
        task: app(),
        old_tid: app().tid,
    });
    w.exit(&app(), 1 << 8);
    assert_eq!(chain(w.run().exit(&app())), "exited with status 1");
}

#[test]
fn a_crash_while_it_ends_goes_before_who_had_asked() {
    let sh = member(50, 2, "sh");
    let mut w = World::new();
    w.send(&sh, &app(), TERM).handled();
    faults(&mut w, &app());
    w.exit(&app(), 1 << 8);
    let told = w.run();
    let death = told.exit(&app());
    assert_eq!(chain(death), format!("exited with status 1 ← {CHAIN}"));
    assert!(why(death).contains("SIGTERM"), "{}", why(death));
    // A request that came after the fault is why it ended.
    let mut w = World::new();
    faults(&mut w, &app());
    w.send(&sh, &app(), TERM).handled();
    w.exit(&app(), 1 << 8);
    let told = w.run();
    assert!(chain(told.exit(&app())).contains("SIGTERM handled"));
}
