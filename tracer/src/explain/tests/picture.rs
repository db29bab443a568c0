//! The picture that a demo ends with, and the stage that its relatives share.

use super::world::*;
use crate::event::Task;
use crate::explain::report::{Certainty, Evidence, Sender, Stop};
use crate::explain::signals::*;

pub(super) const ANCESTRY: &[(u32, &str)] = &[(15990, "bash"), (1201, "sshd"), (1, "systemd")];

/// The actors of the picture.
pub(super) fn cast() -> (Task, Task, Task) {
    (
        host(16350, "sh"),
        member(16301, 1, "c-init-sig"),
        member(16341, 2, "c-init-sig"),
    )
}

/// PID 1 has started its child.
pub(super) fn started() -> (World, Task, Task, Task) {
    let (sh, one, child) = cast();
    let mut w = World::new();
    w.fork(&sh, &one);
    w.fork(&one, &child);
    w.pass(1_000 * MS);
    (w, sh, one, child)
}

/// PID 1 exits with a status, the child is killed with the namespace; what is
/// said about the child.
pub(super) fn end(w: &mut World, one: &Task, child: &Task, status: i32) -> Told {
    w.pass(MS);
    w.exit(one, status);
    w.zapped(one, child);
    w.reaped(one);
    w.run()
}

/// Every sentence that is said in one of the situations; no two are the same.
pub(super) fn second(e: &crate::explain::report::ExitReport) -> &str {
    assert_eq!(e.cause, "pid1-exited");
    &e.explanation.sentences[1]
}

#[test]
fn the_picture() {
    let (mut w, sh, one, child) = started();
    let term = w.send(&sh, &one, TERM).ancestry(ANCESTRY).handled();
    w.pass(MS);
    let end = w.exit(&one, 0);
    let kill = w.zap(&one, &child);
    w.exit(&child, KILL);
    w.reaped(&one);
    let told = w.run();

    let s = told.signal(term);
    assert_eq!((s.fate, s.settled, s.reason), ("handled", true, None));
    assert_eq!(s.latency_ns, Some(50_000));
    assert!(matches!(&s.sender, Sender::Process { task, .. } if task.comm == sh.comm));

    let s = told.signal(kill);
    assert_eq!(
        (s.fate, s.cause, s.mechanism),
        ("fatal", Some("pid1-exited"), Some("kernel-signal"))
    );
    assert!(matches!(&s.sender, Sender::Kernel { on_behalf_of: Some(t) } if t.key == one.key));

    let e = told.exit(&one);
    assert_eq!(
        (e.cause, e.exit_code, e.forced, e.pid1),
        ("exit", 0, false, true)
    );
    assert_eq!(
        chain(e),
        "PID 1 exited with status 0 ← SIGTERM handled by PID 1 ← sh 16350 ← bash 15990 ← sshd 1201"
    );

    let e = told.exit(&child);
    assert_eq!(
        (e.cause, e.mechanism, e.exit_code, e.forced),
        ("pid1-exited", Some("kernel-signal"), 137, true)
    );
    assert_eq!(
        e.explanation.certainty,
        Certainty::Proven,
        "{:?}",
        e.explanation.missing
    );
    assert!(e.explanation.missing.is_empty());
    assert_eq!(
        e.explanation.sentences,
        [
            "PID 1 exited, so the kernel killed everything left in its PID namespace (zap_pid_ns_processes).",
            "This process never got the SIGTERM: PID 1 handled it and sent nothing on.",
        ]
    );
    assert_eq!(
        chain(e),
        "SIGKILL by the kernel ← PID 1 exited with status 0 ← SIGTERM handled by PID 1 ← sh 16350 ← bash 15990 ← sshd 1201"
    );
    let events: Vec<_> = e.chain.iter().map(|l| l.event).collect();
    assert_eq!(events, [Some(kill), Some(end), Some(term), None]);
    assert!(e
        .explanation
        .evidence
        .contains(&Evidence::Stack("zap_pid_ns_processes".into())));
    assert_eq!(
        e.explanation.advice,
        ["forward SIGTERM in PID 1 to its children, and wait for them before it exits."]
    );
    assert_eq!(e.contributing, ["not-forwarded"]);
    assert!(
        matches!(e.stop, Some(Stop { signal: TERM, used_ns, .. }) if (MS..2 * MS).contains(&used_ns))
    );
    assert_eq!(
        (
            told.summary.exited,
            told.summary.forced,
            told.summary.dropped
        ),
        (2, 1, 0)
    );
    assert!(told.ended && told.summary.ended);
}
