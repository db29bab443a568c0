//! `sigtrace doctor`'s findings: the facts, put in words. The hooks are really
//! attached and detached again, so what it says was tried.

use super::{
    attach::{attach, check, Request},
    diagnosis::{Check, Diagnosis, HookLine, State},
    facts::Facts,
    hooks::{not_as_forced, Choice, Forced, Hook, Level, Refusals, Support, Wish},
};

/// Finds out what this kernel allows.
pub fn diagnose(forced: Forced) -> Diagnosis {
    let mut facts = Facts::probe();
    let request = Request {
        new_cgroups: None,
        // Nothing is to be reported: no process has these ids.
        signals: 0,
        namespaces: vec![u32::MAX],
        new_namespaces: false,
        cgroups: Vec::new(),
        pids: vec![(u32::MAX, 0)],
        buffer: 4096,
        all_stacks: false,
        wish: forced.into(),
        log_level: 0,
    };
    let attached = match check(&facts) {
        Ok(_) => attach(&mut facts, &request).map(|attached| attached.choices),
        Err(error) => Err(error),
    };
    let (verdict, hooks) = match &attached {
        Ok(choices) => (
            verdict(choices, &facts),
            choices
                .iter()
                .filter_map(|c| hook_line(c, &facts))
                .collect(),
        ),
        Err(error) => (format!("cannot trace here: {error}"), Vec::new()),
    };
    Diagnosis {
        kernel: facts.release.clone(),
        checks: checks(&facts),
        hooks,
        verdict,
        can_trace: attached.is_ok(),
    }
}

fn verdict(choices: &[Choice], facts: &Facts) -> String {
    let lost = choices
        .iter()
        .filter_map(|choice| hook_line(choice, facts))
        .filter(|line| line.lost.is_some())
        .count();
    if lost == 0 && facts.symbols && facts.on_host {
        "sigtrace works here, and can prove everything that it knows how to prove".into()
    } else {
        "sigtrace works here: forced kills and dropped signals are explained; \
         what is marked above is inferred instead of proven, or not reported"
            .into()
    }
}

/// How a hook stands; `None` for one that nothing is lost without.
fn hook_line(choice: &Choice, facts: &Facts) -> Option<HookLine> {
    let lost = match choice.level {
        None if choice.spare || choice.hook == Hook::ProcessFree => return None,
        None => Some(without(choice, facts)),
        Some(Level::Kprobe) if choice.hook == Hook::DequeueSignal && !facts.follows_kretprobes => {
            Some(format!(
                "{} (before Linux 5.15 the stack cannot be followed from a kretprobe)",
                choice.hook.lost_without(facts.symbols)
            ))
        }
        Some(_) => None,
    };
    // A lower level that loses nothing is still worth a reason.
    let level = choice.level.map(|level| match &choice.because {
        Some(because) => format!("{} ({because})", level.name(choice.hook)),
        None => level.name(choice.hook).to_owned(),
    });
    Some(HookLine {
        hook: choice.hook.name().into(),
        level,
        lost,
    })
}

fn without(choice: &Choice, facts: &Facts) -> String {
    let lost = choice.hook.lost_without(facts.symbols);
    let asking = if choice.hook.is_system_call() {
        "; sigtrace --refused reports them, at a cost for other system calls that its help tells"
    } else if choice.hook == Hook::CopyProcess {
        "; sigtrace --refused reports them, and infers at which limit they failed"
    } else {
        ""
    };
    match &choice.because {
        Some(because) => format!("{lost} ({because}){asking}"),
        None => format!("{lost}{asking}"),
    }
}

/// What `tracing` says about what could not be had, as far as no event says it
/// of itself.
pub fn notes(choices: &[Choice], facts: &Facts, wish: impl Into<Wish>) -> Vec<String> {
    let wish = wish.into();
    let missed = |choice: &&Choice| choice.level.is_none() && choice.hook.is_missed(facts.symbols);
    let mut notes: Vec<String> = choices
        .iter()
        .filter(missed)
        .map(|choice| {
            format!(
                "no hook on {}: {} (sigtrace doctor says why)",
                choice.hook.name(),
                choice.hook.lost_without(facts.symbols)
            )
        })
        .collect();
    notes.extend(refusals(choices, wish));
    notes.extend(not_as_forced(&facts.hooks, wish, choices));
    if !facts.symbols {
        notes.push("kernel functions have no names here (kptr_restrict, or no CAP_SYSLOG): causes are told from flags and siginfo".into());
    }
    if !facts.on_host {
        notes.push("sigtrace runs in a PID namespace of its own: pids are those of the host, and processes older than the trace are known only from their events".into());
    }
    notes
}

/// What it means that refused signals were asked for, where fexit cannot be had.
fn refusals(choices: &[Choice], wish: Wish) -> Option<String> {
    let level = |hook| {
        choices
            .iter()
            .find(|c| c.hook == hook)
            .and_then(|c| c.level)
    };
    if wish.refused != Refusals::Always {
        return None;
    }
    match (level(Hook::SysKill), level(Hook::SysExit)) {
        (Some(Level::Btf), _) => None,
        (Some(_), _) => Some(
            "--refused: kill(2) and its kin are slower while this runs, about a microsecond each (kprobes)"
                .into(),
        ),
        (None, Some(_)) => Some(
            "--refused: every system call of this machine is slower while this runs, about 0.1 µs \
             (sys_exit); who may not be signalled is not seen, and nothing of what some of many refused"
                .into(),
        ),
        (None, None) => Some("--refused: refused signals cannot be seen here (sigtrace doctor says why)".into()),
    }
}

fn checks(facts: &Facts) -> Vec<Check> {
    vec![
        permission(facts),
        types(facts),
        ring_buffer(facts),
        lockdown(facts),
        typed_programs(facts),
        symbols(facts),
        namespace(facts),
    ]
}

fn check_of(name: &str, state: State, detail: impl Into<String>) -> Check {
    Check {
        name: name.into(),
        state,
        detail: detail.into(),
        lost: None,
        fix: None,
    }
}

fn permission(facts: &Facts) -> Check {
    let missing = facts.missing_capabilities();
    if missing.is_empty() {
        return check_of("permission", State::Ok, "may load and attach programs");
    }
    Check {
        lost: Some("everything".into()),
        fix: Some(
            "run as root, or grant CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_SYSLOG".into(),
        ),
        ..check_of(
            "permission",
            State::Missing,
            format!("without {}", missing.join(", ")),
        )
    }
}

fn types(facts: &Facts) -> Check {
    match &facts.types {
        Ok(types) if types.missing().is_empty() => check_of(
            "BTF",
            State::Ok,
            format!("{}, {} bytes", super::types::PATH, types.bytes),
        ),
        Ok(types) => Check {
            lost: Some("everything".into()),
            ..check_of(
                "BTF",
                State::Missing,
                format!("has no {}", types.missing().join(", ")),
            )
        },
        Err(why) => Check {
            lost: Some("everything: no kernel structure can be read".into()),
            fix: Some("a kernel built with CONFIG_DEBUG_INFO_BTF=y".into()),
            ..check_of("BTF", State::Missing, why.clone())
        },
    }
}

fn ring_buffer(facts: &Facts) -> Check {
    match &facts.ring_buffer {
        Support::Yes if facts.may_load() => check_of("ring buffer", State::Ok, "can be made"),
        Support::Yes => check_of(
            "ring buffer",
            State::Missing,
            "cannot be tried without permission",
        ),
        Support::No(why) => Check {
            lost: Some("everything".into()),
            fix: Some("Linux 5.8 or later".into()),
            ..check_of("ring buffer", State::Missing, why.clone())
        },
    }
}

fn lockdown(facts: &Facts) -> Check {
    match facts.lockdown.as_deref() {
        Some("confidentiality") => Check {
            lost: Some("everything: BPF programs may not read kernel memory".into()),
            fix: Some("boot with lockdown=integrity or none".into()),
            ..check_of("lockdown", State::Missing, "confidentiality")
        },
        Some(state) => check_of("lockdown", State::Ok, state),
        None => check_of("lockdown", State::Ok, "not built in, or not shown"),
    }
}

fn typed_programs(facts: &Facts) -> Check {
    let name = "BTF programs";
    if !facts.may_load() {
        return check_of(name, State::Missing, "cannot be tried without permission");
    }
    let hooks = &facts.hooks;
    let sorts = [
        ("tp_btf", &hooks.tp_btf),
        ("fentry and fexit", &hooks.fentry),
    ];
    let works: Vec<&str> = sorts
        .iter()
        .filter(|(_, support)| **support == Support::Yes)
        .map(|&(sort, _)| sort)
        .collect();
    let refused = sorts.iter().filter_map(|(sort, support)| match support {
        Support::Yes => None,
        Support::No(why) => Some(format!("no {sort}: {why}")),
    });
    let mut said: Vec<String> = refused.collect();
    if !works.is_empty() {
        said.insert(0, works.join(", "));
    }
    let detail = said.join("; ");
    // Raw tracepoints and kprobes see the same, only slower.
    if hooks.fentry == Support::Yes || hooks.kprobe == Support::Yes {
        return check_of(name, State::Ok, detail);
    }
    Check {
        lost: Some("the hooks on functions; below it says what that means for each".into()),
        ..check_of(name, State::Degraded, detail)
    }
}

fn symbols(facts: &Facts) -> Check {
    if facts.symbols {
        return check_of("kallsyms", State::Ok, "kernel functions have names");
    }
    let (detail, fix) = match facts.kptr_restrict {
        Some(2) => (
            "hidden by kernel.kptr_restrict=2",
            "sysctl kernel.kptr_restrict=1",
        ),
        _ if !facts.has_syslog() => ("hidden without CAP_SYSLOG", "grant CAP_SYSLOG"),
        _ => ("hidden", "sysctl kernel.kptr_restrict=1"),
    };
    Check {
        lost: Some(
            "names in kernel stacks: a cause is told from flags, siginfo and history".into(),
        ),
        fix: Some(fix.into()),
        ..check_of("kallsyms", State::Degraded, detail)
    }
}

fn namespace(facts: &Facts) -> Check {
    if facts.on_host {
        let detail = if facts.has_ptrace() {
            "the host's"
        } else {
            "the host's, but without CAP_SYS_PTRACE other users' namespaces cannot be read"
        };
        return check_of("PID namespace", State::Ok, detail);
    }
    Check {
        lost: Some("processes older than the trace, and pids are the host's".into()),
        fix: Some("run on the host, or in a container with --pid=host".into()),
        ..check_of("PID namespace", State::Degraded, "not the host's")
    }
}

/// Each hook that is attached, with the name of its level, for `tracing`.
pub fn hook_names(choices: &[Choice]) -> Vec<(String, String)> {
    choices
        .iter()
        .filter_map(|choice| {
            let level: Level = choice.level?;
            Some((
                choice.hook.name().to_owned(),
                level.name(choice.hook).to_owned(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests;
