//! abort(3), of a PID 1 above all: it is dropped there, and a fault ends it.

use super::world::*;
use crate::event::{Handler, Info, Task};
use crate::explain::report::{Certainty, Evidence};
use crate::explain::signals::*;

const GP: &[&str] = &[
    "__send_signal_locked",
    "force_sig_info_to_task",
    "force_sig",
    "exc_general_protection",
    "asm_exc_general_protection",
];

/// PID 1 sends so many SIGABRT to itself.
fn raise(w: &mut World, one: &Task, times: usize) -> Vec<u64> {
    let raised = (0..times).map(|_| w.send(one, one, ABRT).tkill().dropped());
    raised.collect()
}

/// The fault that ends it, with this stack and code.
fn fault(w: &mut World, one: &Task, stack: &[&str], code: i32) -> u64 {
    let id = w
        .send(one, one, SEGV)
        .stack(stack)
        .set(|s| {
            s.info = Info::Full;
            s.code = code;
            s.to_process = false;
        })
        .go();
    // A fault takes the protection of a PID 1 away first.
    let mut unprotected = one.clone();
    unprotected.ns_pids = [2][..].into();
    w.deliver(&unprotected, SEGV, Handler::Default);
    w.exit(one, SEGV);
    id
}

#[test]
fn an_abort_of_pid1_is_one_story() {
    let (mut w, one) = (World::new(), member(100, 1, "app"));
    w.fork(&host(50, "sh"), &one);
    let raised = raise(&mut w, &one, 2);
    let segv = fault(&mut w, &one, GP, 0x80);
    let told = w.run();
    for id in &raised {
        let s = told.signal(*id);
        assert_eq!((s.fate, s.reason), ("dropped", Some("init-no-handler")));
        assert!(s.explanation.sentences[0].contains("as abort(3) does"));
        assert_eq!(s.explanation.advice, [""; 0]);
    }
    assert_eq!(told.signal(segv).cause, Some("abort"));
    let e = told.exit(&one);
    assert_eq!((e.cause, e.mechanism), ("abort", Some("kernel-signal")));
    assert_eq!(
        (e.signal, e.exit_code, e.explanation.certainty),
        (Some(SEGV), 139, Certainty::Proven)
    );
    assert_eq!(
        chain(e),
        "SIGSEGV by a fault on purpose ← SIGABRT raised by itself and dropped"
    );
    assert!(why(e).contains("names SIGSEGV (139) and not SIGABRT (134)"));
    let evidence = &e.explanation.evidence;
    for id in raised {
        assert!(evidence.contains(&Evidence::Event(id)));
    }
    assert!(evidence.contains(&Evidence::Stack("exc_general_protection".into())));
}

#[test]
fn what_is_missing_makes_it_inferred() {
    for (times, stack, missing) in [(2, &[][..], "kernel symbols"), (1, GP, "the other SIGABRT")] {
        let (mut w, one) = (World::new(), member(100, 1, "app"));
        w.fork(&host(50, "sh"), &one);
        raise(&mut w, &one, times);
        fault(&mut w, &one, stack, 0x80);
        let told = w.run();
        let e = told.exit(&one);
        assert_eq!(
            (e.cause, e.explanation.certainty),
            ("abort", Certainty::Inferred)
        );
        assert!(e.explanation.missing[0].contains(missing), "{e:?}");
    }
}

#[test]
fn other_faults_are_no_abort() {
    let page = &["force_sig_fault", "bad_area_nosemaphore", "exc_page_fault"][..];
    // A bad address; another trap; long after; none raised; not PID 1.
    for (stack, code, times, later, inside) in [
        (page, 1, 2, 0, 1),
        (page, 0x80, 2, 0, 1),
        (GP, 0x80, 2, 2_000, 1),
        (GP, 0x80, 0, 0, 1),
        (GP, 0x80, 2, 0, 2),
    ] {
        let (mut w, one) = (World::new(), member(100, inside, "app"));
        w.fork(&host(50, "sh"), &one);
        raise(&mut w, &one, times);
        w.pass(later * MS);
        fault(&mut w, &one, stack, code);
        assert_eq!(w.run().exit(&one).cause, "fault", "{stack:?} {code}");
    }
    // Sent by somebody else.
    let (mut w, sh, one) = (World::new(), host(50, "sh"), member(100, 1, "app"));
    w.fork(&sh, &one);
    w.send(&sh, &one, ABRT).tkill().dropped();
    fault(&mut w, &one, GP, 0x80);
    assert_eq!(w.run().exit(&one).cause, "fault");
}
