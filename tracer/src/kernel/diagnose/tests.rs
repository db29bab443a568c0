//! What the doctor says of kernels that this machine need not have.

use super::*;
use crate::kernel::hooks::{choose, Facts as HookFacts};

const EVERYTHING: u64 = u64::MAX;

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
        typed_current: true,
        hooks: HookFacts {
            tp_btf: Support::Yes,
            fentry: Support::Yes,
            kprobe: Support::Yes,
            functions: Hook::ALL
                .into_iter()
                .filter(|hook| !hook.is_tracepoint())
                .map(|hook| (hook, if hook == Hook::DequeueSignal { 4 } else { 1 }))
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
    let without = choices.iter().filter(|c| c.level.is_none()).count();
    assert_eq!(without, 7, "all functions, with release_task");
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
        let lines = choices.iter().filter_map(|choice| hook_line(choice, facts));
        let lost: Vec<String> = lines.filter(|l| l.lost.is_some()).map(|l| l.hook).collect();
        lost.join(" ")
    };
    assert_eq!(lost(&facts), "");
    facts.follows_kretprobes = false;
    assert_eq!(lost(&facts), "dequeue_signal");
}
