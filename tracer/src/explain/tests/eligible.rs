//! Signals for threads that are dead, and those that only some threads could take.

use super::waiting::{pair, USER};
use super::world::*;
use crate::event::{flag, Dispositions, Fact, Sight, Task, Thread};
use crate::explain::report::Certainty;
use crate::explain::signals::*;

/// Zombie, of `exit_state`.
const ZOMBIE: u32 = 32;

#[test]
fn a_signal_for_a_dead_first_thread_reaches_nobody() {
    // Since 6.18 the kernel drops it, before that it queues it: nobody takes it.
    for outcome in [
        crate::event::Outcome::Ignored,
        crate::event::Outcome::Delivered,
    ] {
        for number in [KILL, USR1] {
            let (mut w, sh, app) = pair();
            let id = w
                .send(&sh, &app, number)
                .tkill()
                .outcome(outcome)
                .set(|s| {
                    s.target.flags |= flag::PF_EXITING;
                    s.state.exit_state = ZOMBIE;
                    s.state.threads = 2;
                })
                .go();
            w.pass(3_000 * MS);
            w.send(&sh, &app, TERM).fatal();
            w.exit(&app, TERM);
            let told = w.run();
            let s = told.signal(id);
            assert_eq!(
                (s.fate, s.reason, s.explanation.certainty),
                ("dropped", Some("target-exiting"), Certainty::Proven)
            );
            assert_eq!(told.history_of(id).len(), 1);
            let said = s.explanation.sentences.join(" ");
            assert!(said.contains("the first thread of its process"), "{said}");
            assert_eq!(told.exit(&app).signal, Some(TERM));
        }
    }
}

#[test]
fn a_signal_for_the_process_is_not_for_its_dead_first_thread() {
    let (mut w, sh, app) = pair();
    let id = w
        .send(&sh, &app, USR1)
        .handler(USER)
        .set(|s| {
            s.state.exit_state = ZOMBIE;
            s.state.threads = 2;
        })
        .go();
    w.deliver(&Task { tid: 105, ..app }, USR1, USER);
    assert_eq!(w.run().history_of(id), [("handled", true)]);
}

fn thread(tid: u32, state: u8, blocked: u64, function: &str) -> Thread {
    Thread {
        tid,
        state,
        blocked,
        pending: 0,
        function: (!function.is_empty()).then(|| function.into()),
    }
}

/// A signal of which so much is pending, and a look at its threads.
fn looked(
    letter: u8,
    to: Option<u32>,
    threads: Vec<Thread>,
) -> (Option<&'static str>, Certainty, String) {
    let (mut w, sh, app) = pair();
    let sending = w.send(&sh, &app, USR1).handler(USER).set(|s| {
        s.state.state = 1;
        s.state.threads = threads.len() as u32;
        s.state.threads_seen = s.state.threads;
    });
    let sending = match to {
        Some(tid) => sending.tkill().set(|s| s.target.tid = tid),
        None => sending,
    };
    let id = sending.go();
    w.pass(50 * MS);
    w.push(Fact::Observed {
        key: app.key,
        dispositions: Some(Dispositions {
            state: letter,
            shared_pending: bit(USR1),
            ..Dispositions::default()
        }),
        sight: Sight {
            threads,
            ..Sight::default()
        },
    });
    let told = w.run();
    let s = told.signal(id);
    assert_eq!(s.fate, "pending");
    let said = s.explanation.sentences.join(" ");
    (s.reason, s.explanation.certainty, said)
}

#[test]
fn those_who_could_take_it_are_looked_at() {
    // The first one blocks it, the other sleeps in vfork.
    let both = vec![
        thread(101, b'S', bit(USR1), "futex_wait_queue"),
        thread(105, b'D', 0, "kernel_clone"),
    ];
    let (reason, certainty, said) = looked(b'S', None, both);
    assert_eq!(
        (reason, certainty),
        (Some("uninterruptible"), Certainty::Proven)
    );
    assert!(said.contains("kernel_clone"), "{said}");
    // A third that could run is why nothing is proven.
    let three = vec![
        thread(101, b'S', bit(USR1), ""),
        thread(105, b'D', 0, "kernel_clone"),
        thread(106, b'S', 0, ""),
    ];
    assert_eq!(looked(b'S', None, three).0, None);
}

#[test]
fn a_process_is_stopped_whose_first_thread_is_dead() {
    let both = vec![thread(101, b'Z', 0, ""), thread(105, b'T', 0, "")];
    let (reason, certainty, _) = looked(0, None, both);
    assert_eq!((reason, certainty), (Some("stopped"), Certainty::Proven));
}

#[test]
fn what_is_for_one_thread_waits_for_that() {
    let mut both = vec![
        thread(101, b'S', 0, ""),
        thread(105, b'D', 0, "rpc_wait_bit_killable"),
    ];
    both[1].pending = bit(USR1);
    let (reason, _, said) = looked(b'S', Some(105), both);
    assert_eq!(reason, Some("uninterruptible"));
    assert!(said.contains("rpc_wait_bit_killable"), "{said}");
}

#[test]
fn the_threads_that_block_it_are_named() {
    let blocking = |count: u32| {
        let (mut w, sh, app) = pair();
        let sending = w.send(&sh, &app, USR1).handler(USER).blocked().set(|s| {
            s.state.threads = count;
            s.state.threads_seen = count;
            s.state.threads_blocking = count;
        });
        let id = sending.go();
        w.pass(50 * MS);
        let tids = 101..101 + count;
        w.push(Fact::Observed {
            key: app.key,
            dispositions: Some(Dispositions {
                state: b'S',
                shared_pending: bit(USR1),
                ..Dispositions::default()
            }),
            sight: Sight {
                threads: tids.map(|tid| thread(tid, b'S', bit(USR1), "")).collect(),
                ..Sight::default()
            },
        });
        w.run().signal(id).explanation.sentences.join(" ")
    };
    let said = blocking(3);
    assert!(said.contains("; threads 101, 102 and 103)"), "{said}");
    let said = blocking(10);
    assert!(said.contains("107, 108 and 2 more)"), "{said}");
}
