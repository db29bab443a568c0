//! Deaths for lack of memory: whose limit, who was chosen, who died beside.

use crate::event::{Fact, MemoryLevel, Oom, OomChoice, Task};
use crate::explain::report::{Certainty, ExitReport};
use crate::explain::signals::KILL;

use super::world::*;

const OOM_STACK: &[&str] = &[
    "do_send_sig_info",
    "__oom_kill_process",
    "oom_kill_process",
    "out_of_memory",
    "mem_cgroup_out_of_memory",
];
const GROUP_STACK: &[&str] = &[
    "do_send_sig_info",
    "__oom_kill_process",
    "oom_kill_memcg_member",
    "oom_kill_process",
    "mem_cgroup_out_of_memory",
];
const MIB: u64 = 1 << 20;

fn level(id: u64, name: &str, usage: u64, limit: Option<u64>) -> MemoryLevel {
    MemoryLevel {
        id,
        name: name.to_owned(),
        usage,
        limit,
    }
}

/// Of two limits the outer one is reached.
fn nested() -> Vec<MemoryLevel> {
    vec![
        level(3, "app\x1b", 10 * MIB, Some(64 * MIB)),
        level(2, "pod", 16 * MIB, Some(16 * MIB)),
        level(1, "", 99 * MIB, None),
    ]
}

fn choice(limited: Option<u64>) -> Option<OomChoice> {
    Some(OomChoice {
        limited,
        total: 16 * MIB,
        constraint: if limited.is_some() { 3 } else { 0 },
    })
}

fn lacks(w: &mut World, trigger: &Task, victim: &Task, mm: u64, choice: Option<OomChoice>) -> u64 {
    w.push(Fact::Oom(Box::new(Oom {
        trigger: trigger.clone(),
        victim: victim.clone(),
        mm,
        choice,
        levels: nested(),
        whole: true,
    })))
}

fn kill(w: &mut World, trigger: &Task, victim: &Task, stack: &[&str]) {
    w.send(trigger, victim, KILL)
        .by_kernel()
        .stack(stack)
        .fatal();
    w.exit(victim, KILL);
}

fn scope(e: &ExitReport) -> (Option<&str>, Option<&str>, Option<u64>) {
    let oom = e.oom.as_ref().expect("a limit");
    (oom.scope, oom.cgroup.as_deref(), oom.limit)
}

#[test]
fn the_limit_is_the_one_that_the_oom_killer_names() {
    let (app, other) = (member(101, 2, "app"), host(60, "other"));
    for (limited, expected) in [
        (3, (Some("own"), Some("/pod/app\\u{1b}"), Some(64 * MIB))),
        (2, (Some("parent"), Some("/pod"), Some(16 * MIB))),
        (77, (None, None, None)),
    ] {
        let mut w = World::new();
        let event = lacks(&mut w, &other, &app, 9, choice(Some(limited)));
        kill(&mut w, &other, &app, OOM_STACK);
        let told = w.run();
        let e = told.exit(&app);
        assert_eq!((e.cause, scope(e)), ("oom-memcg", expected));
        assert_eq!(e.explanation.certainty, Certainty::Proven);
        assert!(e
            .explanation
            .evidence
            .contains(&crate::explain::report::Evidence::Event(event)));
        assert!(e.oom.as_ref().unwrap().chosen.is_none());
    }
}

/// Without a hook on the OOM killer each SIGKILL brings what its target's control
/// groups use.
#[test]
fn without_the_hook_the_limit_that_is_reached_is_inferred() {
    let app = member(101, 2, "app");
    let mut w = World::new();
    lacks(&mut w, &app, &app, 9, None);
    kill(&mut w, &app, &app, OOM_STACK);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(scope(e), (Some("parent"), Some("/pod"), Some(16 * MIB)));
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert!(why(e).contains("asking for memory itself"), "{}", why(e));
}

#[test]
fn the_machine_has_no_control_group() {
    let (app, other) = (member(101, 2, "app"), host(60, "other"));
    let mut w = World::new();
    lacks(&mut w, &other, &app, 9, choice(None));
    kill(&mut w, &other, &app, &OOM_STACK[..4]);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!(
        (e.cause, scope(e)),
        ("oom-global", (Some("global"), None, Some(16 * MIB)))
    );
}

#[test]
fn who_shares_memory_and_who_shares_a_group_die_with_the_chosen_one() {
    let (app, twin, peer) = (
        member(101, 2, "app"),
        member(102, 3, "twin"),
        member(103, 4, "peer"),
    );
    for hooked in [true, false] {
        let mut w = World::new();
        let tell = |w: &mut World, victim: &Task, mm| {
            if !hooked {
                lacks(w, &app, victim, mm, None);
            }
        };
        if hooked {
            lacks(&mut w, &app, &app, 9, choice(Some(2)));
        }
        tell(&mut w, &app, 9);
        kill(&mut w, &app, &app, OOM_STACK);
        tell(&mut w, &twin, 9);
        kill(&mut w, &app, &twin, OOM_STACK);
        tell(&mut w, &peer, 8);
        kill(&mut w, &app, &peer, GROUP_STACK);
        let told = w.run();
        let causes = [&app, &twin, &peer].map(|who| told.exit(who).cause);
        assert_eq!(causes, ["oom-memcg", "oom-shared-mm", "oom-group"]);
        for who in [&twin, &peer] {
            let oom = told.exit(who).oom.as_ref().unwrap();
            assert_eq!(oom.chosen.as_ref().map(|c| c.key), Some(app.key));
        }
    }
}

/// Another's lack of memory, or one of long ago, is none of this one's.
#[test]
fn another_lack_of_memory_is_not_this_one() {
    let (app, other) = (member(101, 2, "app"), host(60, "other"));
    let mut w = World::new();
    lacks(&mut w, &other, &other, 9, choice(Some(2)));
    w.pass(120_000 * MS);
    kill(&mut w, &other, &app, OOM_STACK);
    let told = w.run();
    let e = told.exit(&app);
    assert_eq!((e.cause, e.oom.is_none()), ("oom-memcg", true));
}

/// The same kill of a group reaches the chosen one twice.
#[test]
fn the_second_sigkill_of_a_group_is_routine() {
    let app = member(101, 2, "app");
    let mut w = World::new();
    lacks(&mut w, &app, &app, 9, choice(Some(3)));
    w.send(&app, &app, KILL)
        .by_kernel()
        .stack(OOM_STACK)
        .fatal();
    let again = w
        .send(&app, &app, KILL)
        .by_kernel()
        .stack(GROUP_STACK)
        .set(|s| s.state.group_exit_code = KILL)
        .dropped();
    w.exit(&app, KILL);
    let told = w.run();
    let s = told.signal(again);
    assert_eq!((s.reason, s.routine), (Some("target-exiting"), true));
}
