//! How many events a second the engine, the decoder and the writers take, on one
//! core: `cargo bench -p sigtrace`. The stream is a busy namespace: of 100 events
//! 70 are of signals that are handled, the rest of short lives.

use std::hint::black_box;
use std::sync::Arc;

use divan::{counter::ItemsCount, Bencher};
use sigtrace::event::{
    BootTime, Detail, Event, Fact, Handler, Info, Outcome, ProcessKey, Signal, TargetState, Task,
};
use sigtrace::explain::report::Coverage;
use sigtrace::explain::Engine;
use sigtrace::history::filter::Filter;

const NS: u32 = 4_026_532_281;

fn main() {
    divan::main();
}

fn task(pid: u32, inside: u32, start_ns: u64) -> Task {
    Task {
        key: ProcessKey { pid, start_ns },
        tid: pid,
        ppid: 1,
        uid: 0,
        flags: 0,
        comm: "worker".into(),
        ns_pids: [inside][..].into(),
        namespaces: [NS][..].into(),
        cgroup: None,
    }
}

fn signal(number: i32, current: Task, target: Task, handler: Handler, outcome: Outcome) -> Signal {
    Signal {
        number,
        code: 0,
        info: Info::Full,
        detail: Detail::None,
        pdeath_signal: 0,
        queues: None,
        to_process: true,
        outcome,
        current,
        target,
        state: TargetState {
            handler,
            sa_flags: 0,
            blocked: 0,
            real_blocked: 0,
            pending: 0,
            shared_pending: 0,
            signal_flags: 0,
            group_exit_code: 0,
            traced: false,
            state: 1,
            exit_state: 0,
            threads: 1,
            threads_seen: 0,
            threads_blocking: 0,
            threads_unable: 0,
            dumping: false,
            throttled: false,
        },
        ancestry: Vec::new(),
        more_ancestors: false,
        places: Default::default(),
        stack: Vec::new(),
    }
}

/// A stream of at least so many events, a microsecond apart.
fn stream(count: usize) -> Vec<Event> {
    let mut events = Vec::with_capacity(count + 100);
    let mut add = |fact| {
        let id = events.len() as u64 + 1;
        events.push(Event {
            id,
            time: BootTime(1_000_000_000 + id * 1_000),
            fact,
        });
        id as usize
    };
    let one = task(100, 1, 1);
    let worker = task(101, 2, 2);
    let mut round = 0;
    loop {
        for _ in 0..35 {
            let sent = signal(
                10,
                one.clone(),
                worker.clone(),
                Handler::User(0x1000),
                Outcome::Delivered,
            );
            add(Fact::Signal(Arc::new(sent)));
            add(Fact::Deliver {
                task: worker.clone(),
                number: 10,
                code: 0,
                info: Info::Full,
                handler: Handler::User(0x1000),
                signal_flags: 0,
                group_exit_code: 0,
                traced: false,
                fault_at: None,
                orphaned: None,
            });
        }
        for i in 0..6 {
            let child = task(1_000 + i, 10 + i, round * 1_000 + u64::from(i) + 10);
            add(Fact::Fork {
                parent: one.clone(),
                child: child.clone(),
            });
            add(Fact::Exec {
                task: child.clone(),
                old_tid: child.tid,
            });
            add(Fact::Exit {
                task: child.clone(),
                group_dead: true,
                status: 0,
                signal_flags: 0,
                pending: 0,
                pdeath_signal: 0,
                call: Detail::None,
                ancestry: Vec::new(),
                stack: Vec::new(),
            });
            let sent = signal(
                17,
                child.clone(),
                one.clone(),
                Handler::Default,
                Outcome::Ignored,
            );
            add(Fact::Signal(Arc::new(sent)));
            add(Fact::Reap {
                key: child.key,
                by: Some(100),
            });
        }
        round += 1;
        let made = add(Fact::Lost {
            kind: "signal",
            count: 0,
            slow_output: false,
        });
        if made >= count {
            return events;
        }
    }
}

fn engine() -> Engine {
    Engine::new(Coverage {
        since: BootTime(0),
        signals: u64::MAX,
        filter: Filter {
            namespaces: [NS].into(),
            ..Filter::default()
        },
        sees_dequeue: true,
        sees_release: true,
        sees_check: true,
    })
}

/// In batches, as they come from the ring buffer.
#[divan::bench]
fn explain(bencher: Bencher<'_, '_>) {
    let events = stream(100_000);
    bencher
        .counter(ItemsCount::new(events.len()))
        .with_inputs(|| events.clone())
        .bench_values(|events| {
            let mut engine = engine();
            let mut reports = 0;
            for event in events {
                let (time, last) = (event.time, event.id % 512 == 0);
                engine.push(event);
                if last {
                    reports += black_box(engine.advance(time)).len();
                }
            }
            reports + engine.finish(BootTime(u64::MAX / 2)).0.len()
        });
}
