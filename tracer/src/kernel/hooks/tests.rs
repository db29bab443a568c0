//! The choice for kernels that this machine need not have.

use super::*;

/// So many has a function, where that matters.
fn arguments(hook: Hook) -> u32 {
    match hook {
        Hook::DequeueSignal | Hook::CheckKillPermission | Hook::AllocPid => 3,
        Hook::CopyProcess => 4,
        Hook::PidsCanFork => 2,
        _ => 1,
    }
}

fn all() -> Facts {
    Facts {
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
    }
}

#[test]
fn what_was_turned_down_is_not_tried_again() {
    let mut facts = all();
    facts
        .refused
        .push((Hook::SignalGenerate, Level::Btf, "verifier".into()));
    let choices = choose(&facts, Forced::Auto);
    assert_eq!(level(&choices, Hook::SignalGenerate), Some(Level::Raw));
    assert_eq!(level(&choices, Hook::SignalDeliver), Some(Level::Btf));
    facts
        .refused
        .push((Hook::SignalGenerate, Level::Raw, "gone".into()));
    assert_eq!(
        level(&choose(&facts, Forced::Auto), Hook::SignalGenerate),
        None
    );
}

#[test]
fn where_programs_are_preempted_those_that_are_not_come_first() {
    let mut facts = all();
    facts.preempts_functions = true;
    let choices = choose(&facts, Forced::Auto);
    assert_eq!(level(&choices, Hook::ReleaseTask), Some(Level::Kprobe));
    assert_eq!(level(&choices, Hook::ProcessExit), Some(Level::Btf));
    facts.preempts_tracepoints = true;
    let choices = choose(&facts, Forced::Auto);
    assert_eq!(level(&choices, Hook::ProcessExit), Some(Level::Tracepoint));
    assert_eq!(level(&choices, Hook::SignalGenerate), Some(Level::Btf));
    assert_eq!(level(&choices, Hook::DequeueSignal), Some(Level::Btf));
    let fork = choices
        .iter()
        .find(|c| c.hook == Hook::ProcessFork)
        .unwrap();
    assert_eq!(fork.programs.len(), 3);
    let raw = choose(&facts, Forced::Raw);
    assert_eq!(level(&raw, Hook::ProcessExit), Some(Level::Tracepoint));
    facts
        .refused
        .push((Hook::ProcessExit, Level::Tracepoint, "no tracefs".into()));
    let raw = choose(&facts, Forced::Raw);
    let exit = raw.iter().find(|c| c.hook == Hook::ProcessExit).unwrap();
    assert_eq!((exit.level, exit.programs.len()), (Some(Level::Raw), 3));
}

fn level(choices: &[Choice], hook: Hook) -> Option<Level> {
    choices.iter().find(|c| c.hook == hook).unwrap().level
}

#[test]
fn everything_allowed_means_btf_everywhere_and_no_late_free() {
    let choices = choose(&all(), Forced::Auto);
    for choice in &choices {
        let spare = matches!(choice.hook, Hook::ProcessFree | Hook::SysExit);
        let expected = (!spare).then_some(Level::Btf);
        assert_eq!(choice.level, expected, "{:?}", choice.hook);
    }
}

#[test]
fn a_locked_down_kernel_keeps_the_raw_tracepoints() {
    let no = || Support::No("not permitted (kernel lockdown)".into());
    let facts = Facts {
        tp_btf: no(),
        fentry: no(),
        kprobe: no(),
        ..all()
    };
    let choices = choose(&facts, Forced::Auto);
    assert_eq!(level(&choices, Hook::SignalGenerate), Some(Level::Raw));
    assert_eq!(level(&choices, Hook::ProcessFree), Some(Level::Raw));
    assert_eq!(level(&choices, Hook::ReleaseTask), None);
    let zap = choices
        .iter()
        .find(|c| c.hook == Hook::ZapPidNsProcesses)
        .unwrap();
    assert_eq!(
        zap.because.as_deref(),
        Some("not permitted (kernel lockdown)")
    );
}

#[test]
fn each_hook_degrades_alone() {
    let facts = Facts {
        fentry: Support::No("no trampoline".into()),
        ..all()
    };
    let choices = choose(&facts, Forced::Auto);
    assert_eq!(level(&choices, Hook::SignalGenerate), Some(Level::Btf));
    assert_eq!(level(&choices, Hook::DoExit), Some(Level::Kprobe));
    let mut facts = all();
    facts
        .functions
        .retain(|(hook, _)| *hook != Hook::DoGroupExit);
    let choices = choose(&facts, Forced::Auto);
    assert_eq!(level(&choices, Hook::DoGroupExit), None);
    assert_eq!(level(&choices, Hook::DoExit), Some(Level::Btf));
}

#[test]
fn a_signature_that_is_not_known_is_not_guessed() {
    let mut facts = all();
    facts
        .functions
        .retain(|(hook, _)| *hook != Hook::DequeueSignal);
    facts.functions.push((Hook::DequeueSignal, 5));
    assert_eq!(
        level(&choose(&facts, Forced::Auto), Hook::DequeueSignal),
        Some(Level::Kprobe)
    );
}

#[test]
fn force_is_obeyed() {
    let raw = choose(&all(), Forced::Raw);
    assert_eq!(level(&raw, Hook::SignalGenerate), Some(Level::Raw));
    assert_eq!(level(&raw, Hook::DoExit), None);
    let kprobe = choose(&all(), Forced::Kprobe);
    assert_eq!(level(&kprobe, Hook::SignalGenerate), Some(Level::Raw));
    assert_eq!(level(&kprobe, Hook::DoExit), Some(Level::Kprobe));
    let btf = choose(
        &Facts {
            tp_btf: Support::No("x".into()),
            ..all()
        },
        Forced::Btf,
    );
    assert_eq!(level(&btf, Hook::SignalGenerate), None);
}

#[test]
fn program_names_are_those_of_the_object() {
    let programs = |level: Level, hook| level.programs(hook, false).join(" ");
    assert_eq!(
        programs(Level::Btf, Hook::SignalGenerate),
        "btf_signal_generate"
    );
    assert_eq!(
        programs(Level::Raw, Hook::ProcessFree),
        "raw_sched_process_free"
    );
    assert_eq!(
        programs(Level::Btf, Hook::DequeueSignal),
        "fexit_dequeue_signal"
    );
    assert_eq!(
        programs(Level::Kprobe, Hook::DequeueSignal),
        "kretprobe_dequeue_signal"
    );
    assert_eq!(programs(Level::Btf, Hook::DoExit), "fentry_do_exit");
    let copies = |level: Level, hook| level.programs(hook, true).join(" ");
    assert_eq!(
        copies(Level::Raw, Hook::ProcessExit),
        "raw1_sched_process_exit raw2_sched_process_exit raw3_sched_process_exit"
    );
    assert_eq!(
        copies(Level::Btf, Hook::SignalGenerate),
        "btf_signal_generate",
        "called under siglock"
    );
    assert_eq!(
        copies(Level::Kprobe, Hook::DoExit),
        "kprobe_do_exit",
        "not preempted"
    );
}

#[test]
fn refused_signals_cost_others_nothing_unless_that_is_asked_for() {
    let asked = |forced| Wish {
        forced,
        refused: Refusals::Always,
    };
    let of_refusals = |choices: &[Choice]| {
        let hooked = choices.iter().filter(|c| c.hook.is_of_refusals());
        let mut levels: Vec<_> = hooked.filter_map(|c| c.level).collect();
        levels.dedup();
        levels
    };
    for wish in [Forced::Auto.into(), asked(Forced::Auto)] {
        assert_eq!(of_refusals(&choose(&all(), wish)), [Level::Btf]);
    }
    let no = || Support::No("not permitted (kernel lockdown)".into());
    let kprobes = Facts {
        fentry: no(),
        ..all()
    };
    let choices = choose(&kprobes, Forced::Auto);
    assert_eq!(of_refusals(&choices), []);
    let kill = choices.iter().find(|c| c.hook == Hook::SysKill).unwrap();
    assert_eq!(
        kill.because.as_deref(),
        Some("not permitted (kernel lockdown)")
    );
    let choices = choose(&kprobes, asked(Forced::Auto));
    assert_eq!(of_refusals(&choices), [Level::Kprobe]);
    assert_eq!(level(&choices, Hook::SysExit), None, "not needed");
    let locked = Facts {
        kprobe: no(),
        ..kprobes
    };
    assert_eq!(of_refusals(&choose(&locked, Forced::Auto)), []);
    let choices = choose(&locked, asked(Forced::Auto));
    assert_eq!(of_refusals(&choices), [Level::Raw]);
    assert_eq!(level(&choices, Hook::SysExit), Some(Level::Raw));
    let never = Wish {
        forced: Forced::Auto,
        refused: Refusals::Never,
    };
    let choices = choose(&all(), never);
    assert_eq!(of_refusals(&choices), []);
    let left = choices.iter().filter(|c| c.hook.is_of_refusals());
    assert!(left.into_iter().all(|c| c.spare), "nobody misses them");
    // They run as they are where programs are preempted.
    let preempts = Facts {
        preempts_functions: true,
        preempts_tracepoints: true,
        ..all()
    };
    let choices = choose(&preempts, Forced::Auto);
    let programs = |hook| &choices.iter().find(|c| c.hook == hook).unwrap().programs;
    assert_eq!(programs(Hook::SysKill).join(" "), "fexit_sys_kill");
    assert_eq!(
        programs(Hook::SysRtTgsigqueueinfo).join(" "),
        "fexit_sys_rt_tgsigqueueinfo"
    );
}

#[test]
fn an_answer_is_not_looked_for_in_the_wrong_place() {
    let mut facts = all();
    facts
        .functions
        .retain(|(hook, _)| *hook != Hook::CheckKillPermission);
    facts.functions.push((Hook::CheckKillPermission, 4));
    let choices = choose(&facts, Forced::Auto);
    assert_eq!(level(&choices, Hook::CheckKillPermission), None);
    assert_eq!(level(&choices, Hook::SysKill), Some(Level::Btf));
}
