//! Loads the programs and attaches them: the effect of what
//! [`super::hooks::choose`] decided. A level that the kernel turns down becomes
//! a fact, and the choice is made again; so every hook ends at the best level
//! that really works, and says why not better.

use std::{
    collections::HashMap,
    fs,
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{
    maps::{MapData, RingBuf},
    programs::{Program, ProgramError},
    Btf, Ebpf,
};

use sigtrace_common::filter::{near, SEVERAL};

use super::{
    attachments::Attachments,
    error::KernelError,
    facts::Facts,
    folds::Folds,
    hooks::{choose, Choice, Hook, Level, Support, Wish},
    load,
    log::KernelLog,
    losses::Losses,
    refusal, sys,
    types::Types,
};
use crate::event::{BootTime, PidNs};

/// The nice value of a trace. It sleeps until there is something to be read; then it has
/// its turn even among hundreds of processes that never sleep, which are what people
/// want to know about.
const AHEAD: i32 = -10;
/// The OOM killer takes nearly everybody else before it: who tells why others were killed
/// should be there to tell (proc_pid_oom_score_adj(5)).
const OOM_SCORE_ADJ: i32 = -900;

/// Programs that are verified at a time. Two of them need most of the time.
const LOADERS: usize = 4;

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Bit n-1 for signal n.
    pub signals: u64,
    /// PID namespaces; empty: all.
    pub namespaces: Vec<PidNs>,
    /// Every PID namespace that is made from now on, too.
    pub new_namespaces: bool,
    /// Every cgroup that is made from now on and may be a container's, too.
    pub new_cgroups: Option<New>,
    /// The `pids` controller is in a hierarchy of cgroup v1, by which containers and
    /// units are told.
    pub pids_on_v1: bool,
    /// cgroups by id; empty: all.
    pub cgroups: Vec<u64>,
    /// Processes, with `PID_TARGET` and `PID_SENDER`; empty: all.
    pub pids: Vec<(u32, u32)>,
    /// Size of the ring buffer, bytes.
    pub buffer: u32,
    /// Routine signals with ancestry and stack, too.
    pub all_stacks: bool,
    /// Which hooks, and how.
    pub wish: Wish,
    /// Messages of the programs: an `aya_log::Level`, 0 for none.
    pub log_level: u8,
}

/// How cgroups that are made from now on are told from older ones: their ids are
/// above these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct New {
    /// In the hierarchy of cgroup v2.
    pub unified: u64,
    /// In that of cgroup v1 with the `pids` controller, where there is one.
    pub v1: Option<u64>,
}

/// Attached programs; dropping it detaches them.
pub struct Attached {
    /// The programs and their links.
    pub held: Attachments,
    /// The PID namespaces that they trace.
    namespaces: aya::maps::HashMap<MapData, u32, u32>,
    /// Where those are to be looked for.
    near: aya::maps::Array<MapData, u64>,
    /// What they write, where that was asked for.
    pub log: KernelLog,
    /// How each hook was attached.
    pub choices: Vec<Choice>,
    /// When the last of them was.
    pub since: BootTime,
    /// The records.
    pub ring: RingBuf<MapData>,
    /// Counts of records that found no room.
    pub(super) losses: Losses,
    /// Counts of signals that were not told one by one.
    pub folds: Folds,
}

impl Attached {
    /// This PID namespace too, as if it had been asked for.
    pub fn also(&mut self, pidns: PidNs) -> Result<(), KernelError> {
        // Not by its inode: the kernel side may be writing another one there.
        let near = self.near.set(near(pidns), SEVERAL, 0);
        near.map_err(|error| KernelError::Map("NEAR", Box::new(error)))?;
        let added = self.namespaces.insert(pidns, 1, 0);
        added.map_err(|error| KernelError::Map("PIDNS", Box::new(error)))
    }
}

/// Checks everything that can be checked before a program is loaded.
pub fn check(facts: &Facts) -> Result<&Types, KernelError> {
    if load::OBJECT.is_empty() {
        return Err(KernelError::NoPrograms);
    }
    let missing = facts.missing_capabilities();
    if !missing.is_empty() {
        return Err(KernelError::NoPermission(missing));
    }
    if facts.lockdown.as_deref() == Some("confidentiality") {
        return Err(KernelError::Lockdown);
    }
    if let Support::No(why) = &facts.ring_buffer {
        return Err(KernelError::NoRingBuffer(why.clone()));
    }
    let types = facts
        .types
        .as_ref()
        .map_err(|why| KernelError::NoTypes(why.clone()))?;
    match types.missing() {
        missing if missing.is_empty() => Ok(types),
        missing => Err(KernelError::UnknownKernel(missing)),
    }
}

/// Attaches; `facts` learn what the kernel turned down.
pub fn attach(facts: &mut Facts, request: &Request) -> Result<Attached, KernelError> {
    let types = check(facts)?.clone();
    sys::raise_memlock();
    sys::nice(AHEAD);
    spare();
    loop {
        let choices = choose(&facts.hooks, request.wish);
        needed(&choices, facts)?;
        let mut ebpf = load::load(&types, &choices, request, facts.typed)?;
        load::fill_filters(&mut ebpf, request)?;
        // Both are large for a moment; one after the other they take less.
        sys::give_back_memory();
        sys::give_back_pages(load::OBJECT);
        sys::small_pages();
        let btf = match load::ids(&types, &choices) {
            Ok(ids) => ids,
            Err(error) => {
                let no = Support::No(format!("the ids of the kernel's types: {error}"));
                facts.hooks.tp_btf = no.clone();
                facts.hooks.fentry = no;
                continue;
            }
        };
        match attach_all(&mut ebpf, &choices, &btf) {
            Ok(held) => {
                drop(btf);
                let attached = finish(ebpf, held, choices, request.log_level)?;
                sys::give_back_memory();
                sys::give_back_pages(load::OBJECT);
                // From here on large blocks come and go.
                sys::large_blocks_apart(32 << 20);
                return Ok(attached);
            }
            Err((hook, level, error)) => learn(facts, hook, level, &error),
        }
    }
}

/// Spares this process, if it is not better off: who may not (CAP_SYS_RESOURCE) goes on as
/// before.
fn spare() {
    const FILE: &str = "/proc/self/oom_score_adj";
    let now = fs::read_to_string(FILE).unwrap_or_default();
    if now
        .trim()
        .parse::<i32>()
        .is_ok_and(|now| now > OOM_SCORE_ADJ)
    {
        let _ = fs::write(FILE, OOM_SCORE_ADJ.to_string());
    }
}

/// A level was turned down. Not permitted means the whole sort of program;
/// anything else may be about this hook alone.
fn learn(facts: &mut Facts, hook: Hook, level: Level, error: &ProgramError) {
    let why = refusal::why(error, facts.lockdown.as_deref());
    let denied = refusal::os_error(error) == Some(libc::EPERM);
    let sort = match level {
        Level::Btf if hook.is_tracepoint() => Some(&mut facts.hooks.tp_btf),
        Level::Btf => Some(&mut facts.hooks.fentry),
        Level::Kprobe => Some(&mut facts.hooks.kprobe),
        Level::Raw | Level::Tracepoint => None,
    };
    match sort {
        Some(sort) if denied => *sort = Support::No(why),
        _ => facts.hooks.refused.push((hook, level, why)),
    }
}

fn needed(choices: &[Choice], facts: &Facts) -> Result<(), KernelError> {
    match choices
        .iter()
        .find(|choice| choice.hook.is_needed() && choice.level.is_none())
    {
        None => Ok(()),
        Some(choice) => Err(KernelError::Hook {
            hook: choice.hook.name(),
            lost: choice.hook.lost_without(facts.symbols),
            why: choice.because.clone().unwrap_or_default(),
        }),
    }
}

type Refusal = (Hook, Level, ProgramError);

fn attach_all(ebpf: &mut Ebpf, choices: &[Choice], btf: &Btf) -> Result<Attachments, Refusal> {
    // Loading takes long (the verifier), attaching does not: all hooks begin
    // to see things at nearly one moment.
    load_all(ebpf, choices, btf)?;
    let mut held = Attachments::default();
    for choice in choices {
        let Some(level) = choice.level else { continue };
        for name in &choice.programs {
            let program = ebpf.program_mut(name);
            program
                .ok_or(ProgramError::UnexpectedProgramType)
                .and_then(|program| held.attach(program, choice.hook.name()))
                .map_err(|error| (choice.hook, level, error))?;
        }
    }
    Ok(held)
}

/// Loads every chosen program, several at a time: the verifier needs tens of
/// milliseconds for one, and the kernel runs it for several at once.
fn load_all(ebpf: &mut Ebpf, choices: &[Choice], btf: &Btf) -> Result<(), Refusal> {
    let mut programs: HashMap<&str, &mut Program> = ebpf.programs_mut().collect();
    let mut chosen = Vec::new();
    for choice in choices {
        let Some(level) = choice.level else { continue };
        for name in &choice.programs {
            // One kprobe serves several functions.
            if let Some(program) = programs.remove(&**name) {
                chosen.push((choice.hook, level, program));
            }
        }
    }
    // The longest first: it is what the others are loaded beside.
    chosen.sort_by_key(|(hook, ..)| match hook {
        Hook::SignalGenerate => 0,
        Hook::ProcessExit => 1,
        _ => 2,
    });
    let chosen = Mutex::new(chosen.into_iter());
    let next = || chosen.lock().unwrap_or_else(PoisonError::into_inner).next();
    let refused = Mutex::new(None);
    let work = || {
        while let Some((hook, level, program)) = next() {
            if let Err(error) = load_one(program, hook.name(), btf) {
                let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
                *refused = Some((hook, level, error));
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism()
            .map_or(1, usize::from)
            .min(LOADERS)
        {
            scope.spawn(work);
        }
        work();
    });
    match refused.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn load_one(program: &mut Program, hook: &str, btf: &Btf) -> Result<(), ProgramError> {
    match program {
        Program::RawTracePoint(program) => program.load(),
        Program::TracePoint(program) => program.load(),
        Program::KProbe(program) => program.load(),
        Program::BtfTracePoint(program) => program.load(hook, btf),
        Program::FEntry(program) => program.load(hook, btf),
        Program::FExit(program) => program.load(hook, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn finish(
    mut ebpf: Ebpf,
    mut held: Attachments,
    choices: Vec<Choice>,
    log_level: u8,
) -> Result<Attached, KernelError> {
    let failed = |name| move |error| KernelError::Map(name, Box::new(error));
    let map = |ebpf: &mut Ebpf, name| ebpf.take_map(name).ok_or(KernelError::NoPrograms);
    let ring = map(&mut ebpf, "EVENTS")?
        .try_into()
        .map_err(failed("EVENTS"))?;
    let aya::maps::Map::Array(lost) = map(&mut ebpf, "LOST")? else {
        return Err(KernelError::NoPrograms);
    };
    held.keep(&ebpf).map_err(KernelError::Losses)?;
    let losses = Losses::new(&lost, &held).map_err(KernelError::Losses)?;
    let aya::maps::Map::Array(storms) = map(&mut ebpf, "STORMS")? else {
        return Err(KernelError::NoPrograms);
    };
    let (taken, folds) = (map(&mut ebpf, "TAKEN")?, map(&mut ebpf, "FOLDS")?);
    let folds = Folds::new(&storms, taken, folds).map_err(failed("STORMS"))?;
    let namespaces = map(&mut ebpf, "PIDNS")?
        .try_into()
        .map_err(failed("PIDNS"))?;
    let near = map(&mut ebpf, "NEAR")?.try_into().map_err(failed("NEAR"))?;
    Ok(Attached {
        held,
        near,
        namespaces,
        log: KernelLog::new(&mut ebpf, log_level),
        choices,
        since: super::now(),
        ring,
        losses,
        folds,
    })
}
