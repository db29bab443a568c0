//! Which hook is attached how: facts in, choice out. Pure, so that every
//! kernel's choice is tested without that kernel.
//!
//! Each hook degrades alone: BTF-typed program, raw tracepoint, kprobe,
//! nothing. What is lost then stands here, for `doctor` and for the first line
//! of a trace.

use std::fmt;

pub use self::place::{Hook, Level};

mod place;

/// `--hooks`: the best level that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Forced {
    /// Whatever is best.
    #[default]
    Auto,
    /// BTF-typed programs or nothing.
    Btf,
    /// Raw tracepoints only.
    Raw,
    /// Raw tracepoints and kprobes.
    Kprobe,
}

impl fmt::Display for Forced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Btf => "btf",
            Self::Raw => "raw",
            Self::Kprobe => "kprobe",
        })
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Wish {
    /// `--hooks`.
    pub forced: Forced,
    /// `--refused`.
    pub refused: Refusals,
}

/// Whether to look for refused signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Refusals {
    /// Where that costs other system calls nothing.
    #[default]
    Auto,
    /// Even where it makes those slower.
    Always,
    /// Nowhere.
    Never,
}

impl From<Forced> for Wish {
    fn from(forced: Forced) -> Self {
        Self {
            forced,
            refused: Refusals::Auto,
        }
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It works.
    Yes,
    /// It does not, and why.
    No(String),
}

/// What the choice needs to know of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// tp_btf programs load.
    pub tp_btf: Support,
    /// fentry and fexit programs load and attach.
    pub fentry: Support,
    /// kprobes exist and may be made.
    pub kprobe: Support,
    /// Functions of [`Hook`] that the kernel's BTF names, with the number of
    /// their arguments.
    pub functions: Vec<(Hook, u32)>,
    /// Programs at tracepoints can be preempted by tasks that come to the
    /// same one (Linux 7).
    pub preempts_tracepoints: bool,
    /// So can those at functions.
    pub preempts_functions: bool,
    /// What the kernel turned down when it was tried, and why.
    pub refused: Vec<(Hook, Level, String)>,
}

/// How one hook will be attached, or why it will not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub hook: Hook,
    /// How; `None`: not at all.
    pub level: Option<Level>,
    /// Why not better than that, if it could be better.
    pub because: Option<String>,
    /// Names of the programs, for [`level`](Self::level).
    pub programs: Vec<String>,
    /// Nothing is lost without it: another one tells the same, or nobody asked for it.
    pub spare: bool,
}

/// Chooses for every hook.
pub fn choose(facts: &Facts, wish: impl Into<Wish>) -> Vec<Choice> {
    let wish = wish.into();
    let choices = Hook::ALL.map(|hook| choose_one(facts, wish, hook));
    let sees = |hook| {
        choices
            .iter()
            .any(|c: &Choice| c.hook == hook && c.level.is_some())
    };
    // What sched_process_free tells is told better and earlier by release_task, and
    // what sys_exit tells at less cost by the functions of the system calls.
    let beside = |hook| match hook {
        Hook::ProcessFree => sees(Hook::ReleaseTask).then_some(Hook::ReleaseTask),
        Hook::SysExit => sees(Hook::SysKill).then_some(Hook::SysKill),
        _ => None,
    };
    choices
        .iter()
        .map(|choice| match beside(choice.hook) {
            Some(other) => Choice {
                level: None,
                programs: Vec::new(),
                because: Some(format!("not needed beside {}", other.name())),
                spare: true,
                ..choice.clone()
            },
            None => Choice {
                spare: match choice.hook {
                    hook if wish.refused == Refusals::Never => hook.is_of_refusals(),
                    Hook::SysExit => wish.refused != Refusals::Always,
                    hook => hook.is_system_call() && sees(Hook::SysExit) && !sees(Hook::SysKill),
                },
                ..choice.clone()
            },
        })
        .collect()
}

/// What `--hooks` asked for and this kernel does not allow, for the first line of
/// a trace: the functions that are not hooked at that level.
pub fn not_as_forced(facts: &Facts, wish: impl Into<Wish>, choices: &[Choice]) -> Option<String> {
    let Wish { forced, refused } = wish.into();
    let (level, support) = match forced {
        Forced::Auto | Forced::Raw => return None,
        Forced::Btf => (Level::Btf, &facts.fentry),
        Forced::Kprobe => (Level::Kprobe, &facts.kprobe),
    };
    let without: Vec<_> = choices
        .iter()
        .filter(|choice| !choice.hook.is_tracepoint() && choice.level != Some(level))
        .filter(|choice| {
            let looked_for = match refused {
                Refusals::Auto => level == Level::Btf,
                Refusals::Always => true,
                Refusals::Never => false,
            };
            looked_for || !choice.hook.is_of_refusals()
        })
        .map(|choice| choice.hook.name())
        .collect();
    let why = match support {
        Support::No(why) => format!(" ({why})"),
        Support::Yes => String::new(),
    };
    (!without.is_empty()).then(|| {
        format!(
            "--hooks {forced}: not hooked here: {}{why}",
            without.join(", ")
        )
    })
}

fn choose_one(facts: &Facts, wish: Wish, hook: Hook) -> Choice {
    let mut reasons: Vec<String> = Vec::new();
    let mut level = None;
    for candidate in candidates(facts, wish.refused, hook) {
        match refused(facts, wish.forced, hook, candidate) {
            None => {
                level = Some(candidate);
                break;
            }
            Some(why) if !reasons.contains(&why) => reasons.push(why),
            Some(_) => {}
        }
    }
    let preemptible = preempts(facts, hook);
    let programs = level.map(|level: Level| level.programs(hook, preemptible));
    Choice {
        hook,
        level,
        because: (!reasons.is_empty()).then(|| reasons.join("; ")),
        programs: programs.unwrap_or_default(),
        spare: false,
    }
}

fn preempts(facts: &Facts, hook: Hook) -> bool {
    hook.is_preemptible()
        && if hook.is_tracepoint() {
            facts.preempts_tracepoints
        } else {
            facts.preempts_functions
        }
}

/// Best first. While a program is preempted, other tasks' events pass it by;
/// so where that can happen, those come first that run with preemption off.
fn candidates(facts: &Facts, refusals: Refusals, hook: Hook) -> Vec<Level> {
    let preempts = preempts(facts, hook);
    let asked = refusals == Refusals::Always;
    match hook {
        hook if hook.is_of_refusals() && refusals == Refusals::Never => Vec::new(),
        // Unless it is asked for, only what costs other system calls nothing.
        Hook::SysExit if asked => vec![Level::Raw],
        Hook::SysExit => Vec::new(),
        hook if hook.is_of_refusals() && asked => vec![Level::Btf, Level::Kprobe],
        hook if hook.is_of_refusals() => vec![Level::Btf],
        // Has no BTF-typed twin: it is itself the fallback of release_task.
        Hook::ProcessFree => vec![Level::Raw],
        Hook::ProcessExit if preempts => vec![Level::Tracepoint, Level::Btf, Level::Raw],
        hook if hook.is_tracepoint() => vec![Level::Btf, Level::Raw],
        _ if preempts => vec![Level::Kprobe, Level::Btf],
        _ => vec![Level::Btf, Level::Kprobe],
    }
}

fn refused(facts: &Facts, forced: Forced, hook: Hook, level: Level) -> Option<String> {
    let allowed = match forced {
        Forced::Auto => true,
        Forced::Btf => level == Level::Btf,
        Forced::Raw => matches!(level, Level::Raw | Level::Tracepoint),
        Forced::Kprobe => level != Level::Btf,
    };
    if !allowed {
        return Some(format!("--hooks {forced}"));
    }
    if let Some((.., why)) = facts
        .refused
        .iter()
        .find(|(h, l, _)| (*h, *l) == (hook, level))
    {
        return Some(why.clone());
    }
    let support = match level {
        Level::Btf if hook.is_tracepoint() => &facts.tp_btf,
        Level::Btf => &facts.fentry,
        Level::Kprobe => &facts.kprobe,
        Level::Raw | Level::Tracepoint => &Support::Yes,
    };
    if let Support::No(why) = support {
        return Some(why.clone());
    }
    let Some(&(_, arguments)) = facts.functions.iter().find(|(of, _)| *of == hook) else {
        return (!hook.is_tracepoint())
            .then(|| format!("this kernel has no function {}", hook.name()));
    };
    // Where the returned value lies depends on the number of arguments.
    let known = match hook {
        Hook::DequeueSignal => matches!(arguments, 3 | 4),
        Hook::CheckKillPermission => arguments == 3,
        Hook::CopyProcess => arguments == 4,
        Hook::AllocPid => arguments == 3,
        Hook::PidsCanFork => arguments == 2,
        _ => true,
    };
    (level == Level::Btf && !known).then(|| {
        format!(
            "{} has {arguments} arguments, which is not known",
            hook.name()
        )
    })
}

#[cfg(test)]
mod tests;
