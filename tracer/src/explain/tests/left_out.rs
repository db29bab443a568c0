//! What a signal filter leaves out may have been sent all the same: what is not
//! known is said, and takes no proof from what is.

use super::picture::*;
use super::world::*;
use crate::explain::report::Certainty;
use crate::explain::signals::*;

fn filtered(
    signals: u64,
) -> (
    World,
    crate::event::Task,
    crate::event::Task,
    crate::event::Task,
) {
    let (mut w, sh, one, child) = started();
    w.coverage.signals = signals;
    (w, sh, one, child)
}

const TERM_KILL: u64 = 1 << (TERM - 1) | 1 << (KILL - 1);
const WHY: &str = "the signal filter leaves out all but SIGKILL and SIGTERM";

#[test]
fn pid1_may_have_sent_on_another_signal() {
    let (mut w, sh, one, child) = filtered(TERM_KILL);
    w.send(&sh, &one, TERM).handled();
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        format!("This process never got the SIGTERM: PID 1 handled it and sent none on; whether PID 1 sent another signal instead is not known: {WHY}.")
    );
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn few_that_are_left_out_are_named_and_noise_is_not() {
    for (out, ends) in [
        (
            bit(USR1) | bit(USR2),
            "the signal filter leaves out SIGUSR1 and SIGUSR2.",
        ),
        (
            bit(USR1) | bit(CHLD),
            "the signal filter leaves out SIGUSR1.",
        ),
        (
            0xf000 & !bit(TERM),
            "the signal filter leaves out SIGPIPE, SIGALRM and SIGSTKFLT.",
        ),
        (
            bit(USR1) | bit(USR2) | bit(HUP) | bit(PWR),
            "the signal filter leaves out 4 signals.",
        ),
        (
            bit(CHLD) | bit(URG),
            "PID 1 handled it and sent nothing on.",
        ),
    ] {
        let (mut w, sh, one, child) = filtered(!out);
        w.send(&sh, &one, TERM).handled();
        let told = end(&mut w, &one, &child, 0);
        let said = second(told.exit(&child));
        assert!(said.ends_with(ends), "{said}");
    }
}

#[test]
fn pid1_may_have_been_asked_with_another_signal() {
    let (mut w, _, one, child) = filtered(TERM_KILL);
    let told = end(&mut w, &one, &child, 0);
    let e = told.exit(&child);
    assert_eq!(
        second(e),
        format!("No SIGTERM was sent to PID 1; whether another signal asked it to end is not known: {WHY}.")
    );
    assert_eq!(e.explanation.certainty, Certainty::Proven);
}

#[test]
fn a_killed_pid1_may_have_sent_another_signal_before() {
    let (mut w, sh, one, child) = filtered(TERM_KILL);
    w.send(&sh, &one, KILL).fatal();
    w.exit(&one, KILL);
    w.zapped(&one, &child);
    let told = w.run();
    assert_eq!(
        second(told.exit(&child)),
        format!("SIGKILL leaves PID 1 no chance to pass anything on; it had sent this process no SIGTERM before, and whether another signal is not known: {WHY}.")
    );
}

#[test]
fn a_pid1_whose_grace_period_ran_out_may_have_sent_another_signal() {
    let (mut w, _, one, child) = filtered(TERM_KILL);
    let shim = host(900, "containerd-shim");
    w.fork(&one, &child);
    w.send(&shim, &one, TERM).handled();
    w.pass(10_000 * MS);
    w.send(&shim, &one, KILL).fatal();
    w.exit(&one, KILL);
    let told = w.run();
    let said = why(told.exit(&one));
    assert!(
        said.contains("PID 1 handled SIGTERM, sent no SIGTERM on to the 1 other process in its namespace, and was still running. Whether it sent another signal instead is not known: "),
        "{said}"
    );
}
