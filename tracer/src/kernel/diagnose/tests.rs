//! What the doctor says of kernels that this machine need not have.

use super::*;
use crate::kernel::facts::Pointers;
use crate::kernel::hooks::{choose, Facts as HookFacts};

const EVERYTHING: u64 = u64::MAX;

fn arguments(hook: Hook) -> u32 {
    match hook {
        Hook::DequeueSignal => 4,
        Hook::CheckKillPermission => 3,
        _ => 1,
    }
}

fn facts() -> Facts {
    Facts {
        release: "6.18.4".into(),
        types: Err("not read".into()),
        lockdown: None,
        capabilities: EVERYTHING,
        symbols: true,
        kptr_restrict: Some(0),
        on_host: true,
        ring_buffer: Support::Yes,
        follows_kretprobes: true,
        typed: Pointers {
            current: true,
            registers: true,
        },
        hooks: HookFacts {
            tp_btf: Support::Yes,
            fentry: Support::Yes,
            kprobe: Support::Yes,
            functions: Hook::ALL
                .into_iter()
                .filter(|hook| !hook.is_tracepoint())
                .map(|hook| (hook, arguments(hook)))
                .collect(),
            preempts_tracepoints: false,
            preempts_functions: false,
            refused: Vec::new(),
        },
    }
}

#[test]
fn what_was_not_tried_is_not_called_ok() {
    let facts = Facts {
        capabilities: 0,
        ..facts()
    };
    for check in [typed_programs(&facts), ring_buffer(&facts)] {
        assert_eq!(check.state, State::Missing, "{check:?}");
        assert_eq!(check.detail, "cannot be tried without permission");
    }
}

#[test]
fn what_is_lost_is_what_nothing_else_does() {
    let mut facts = facts();
    assert_eq!(typed_programs(&facts).detail, "tp_btf, fentry and fexit");
    facts.hooks.fentry = Support::No("not permitted".into());
    let check = typed_programs(&facts);
    assert_eq!((check.state, check.lost), (State::Ok, None));
    assert_eq!(check.detail, "tp_btf; no fentry and fexit: not permitted");
    facts.hooks.kprobe = Support::No("none".into());
    let check = typed_programs(&facts);
    assert_eq!(check.state, State::Degraded);
    let lost = check.lost.unwrap();
    assert!(
        lost.contains("functions") && !lost.contains("raw"),
        "{lost}"
    );
    facts.hooks.tp_btf = Support::No("no types".into());
    let detail = typed_programs(&facts).detail;
    assert!(
        detail.starts_with("no tp_btf: no types; no fentry"),
        "{detail}"
    );
}

#[test]
fn a_trace_begins_with_notes_on_what_it_cannot_say_itself() {
    let mut facts = facts();
    facts.hooks.fentry = Support::No("not permitted".into());
    facts.hooks.kprobe = Support::No("none".into());
    let choices = choose(&facts.hooks, Forced::Auto);
    let functions = choices.iter().filter(|c| !c.hook.is_of_refusals());
    let without = functions.filter(|c| c.level.is_none()).count();
    assert_eq!(
        without, 10,
        "all functions, with release_task and those of forks"
    );
    assert_eq!(notes(&choices, &facts, Forced::Auto), [""; 0]);
    facts.symbols = false;
    let without_names = notes(&choices, &facts, Forced::Auto);
    let zap = without_names
        .iter()
        .find(|note| note.contains("zap_pid_ns_processes"));
    // A stack without names proves nothing.
    let said = zap.unwrap();
    assert!(
        said.contains("siginfo") && !said.contains("stack"),
        "{said}"
    );
    facts.symbols = true;
    for level in [Level::Btf, Level::Raw] {
        let no = "verifier".to_owned();
        facts.hooks.refused.push((Hook::ProcessExec, level, no));
    }
    let choices = choose(&facts.hooks, Forced::Auto);
    assert_eq!(
        notes(&choices, &facts, Forced::Auto),
        [
            "no hook on sched_process_exec: a process keeps the name it had before exec \
          (sigtrace doctor says why)"
        ]
    );
    let lost = choices.iter().find(|c| c.hook == Hook::DoExit).unwrap();
    assert_eq!(lost.because.as_deref(), Some("not permitted; none"));
    let forced = choose(&facts.hooks, Forced::Kprobe);
    let note = notes(&forced, &facts, Forced::Kprobe).remove(1);
    assert!(
        note.starts_with("--hooks kprobe: not hooked here: release_task, do_exit")
            && note.ends_with("(none)"),
        "{note}"
    );
}

#[test]
fn an_old_kretprobe_does_not_tell_who_took_a_signal() {
    let mut facts = facts();
    let choices = choose(&facts.hooks, Forced::Kprobe);
    let lost = |facts: &Facts| {
        let choices = choices.iter().filter(|c| !c.hook.is_of_refusals());
        let lines = choices.filter_map(|choice| hook_line(choice, facts));
        let lost: Vec<String> = lines.filter(|l| l.lost.is_some()).map(|l| l.hook).collect();
        lost.join(" ")
    };
    assert_eq!(lost(&facts), "");
    facts.follows_kretprobes = false;
    assert_eq!(lost(&facts), "dequeue_signal");
}

#[test]
fn what_refused_signals_cost_is_said_before_it_is_asked_for() {
    let mut facts = facts();
    let no = || Support::No("not permitted".into());
    facts.hooks.fentry = no();
    let of = |choices: &[Choice], facts: &Facts| -> Vec<HookLine> {
        let lines = choices.iter().filter(|c| c.hook.is_of_refusals());
        lines.filter_map(|c| hook_line(c, facts)).collect()
    };
    let lines = of(&choose(&facts.hooks, Forced::Auto), &facts);
    assert_eq!(lines.len(), 7, "sys_exit is not one of them: {lines:?}");
    let kill = lines.iter().find(|l| l.hook.ends_with("sys_kill")).unwrap();
    let lost = kill.lost.as_deref().unwrap();
    assert!(
        lost.contains("kill(2)") && lost.contains("not permitted") && lost.contains("--refused"),
        "{lost}"
    );
    facts.hooks.kprobe = no();
    let asked = Wish {
        forced: Forced::Auto,
        refused: crate::kernel::hooks::Refusals::Always,
    };
    let choices = choose(&facts.hooks, asked);
    let notes = notes(&choices, &facts, asked);
    assert!(notes[0].contains("every system call"), "{notes:?}");
    let lines = of(&choices, &facts);
    let exit = lines.iter().find(|l| l.hook == "sys_exit").unwrap();
    assert_eq!(exit.lost, None);
    // What the functions would tell is told by sys_exit.
    assert!(
        lines.iter().all(|l| !l.hook.contains("__x64_sys_")),
        "{lines:?}"
    );
}
