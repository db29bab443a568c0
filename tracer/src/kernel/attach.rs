//! Loads the programs and attaches them: the effect of what
//! [`super::hooks::choose`] decided. A level that the kernel turns down becomes
//! a fact, and the choice is made again; so every hook ends at the best level
//! that really works, and says why not better.

use aya::{
    maps::{HashMap, MapData, PerCpuArray, RingBuf},
    programs::{Program, ProgramError},
    Btf, Ebpf, EbpfLoader,
};
use sigtrace_common::{filter::Config, record::KINDS};
use zerocopy::IntoBytes;

use super::{
    error::KernelError,
    facts::{Facts, Types},
    hooks::{choose, Choice, Forced, Hook, Level, Support},
    sys,
};
use crate::event::{BootTime, PidNs};

/// The kernel side, as `cargo xtask build` made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sigtrace-ebpf.o"));

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// Bit n-1 for signal n.
    pub signals: u64,
    /// PID namespaces; empty: all.
    pub namespaces: Vec<PidNs>,
    /// cgroups by id; empty: all.
    pub cgroups: Vec<u64>,
    /// Processes, with `PID_TARGET` and `PID_SENDER`; empty: all.
    pub pids: Vec<(u32, u32)>,
    /// Size of the ring buffer, bytes.
    pub buffer: u32,
    /// `--hooks`.
    pub forced: Forced,
    /// Messages of the programs: an `aya_log::Level`, 0 for none.
    pub log_level: u8,
}

/// Attached programs; dropping it detaches them.
pub struct Attached {
    /// Holds the programs and their links.
    pub ebpf: Ebpf,
    /// How each hook was attached.
    pub choices: Vec<Choice>,
    /// When the last of them was.
    pub since: BootTime,
    /// The records.
    pub ring: RingBuf<MapData>,
    /// Counts of records that found no room.
    pub lost: PerCpuArray<MapData, u64>,
}

/// Checks everything that can be checked before a program is loaded.
pub fn check(facts: &Facts) -> Result<&Types, KernelError> {
    if OBJECT.is_empty() {
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
    let mut btf = None;
    loop {
        let choices = choose(&facts.hooks, request.forced);
        needed(&choices)?;
        if btf.is_none() && choices.iter().any(|c| c.level == Some(Level::Btf)) {
            match Btf::from_sys_fs() {
                Ok(parsed) => btf = Some(parsed),
                Err(error) => {
                    let no = Support::No(format!("the kernel's types cannot be parsed: {error}"));
                    facts.hooks.tp_btf = no.clone();
                    facts.hooks.fentry = no;
                    continue;
                }
            }
        }
        let mut ebpf = load(&types, &choices, request)?;
        fill_filters(&mut ebpf, request)?;
        match attach_all(&mut ebpf, &choices, btf.as_ref()) {
            Ok(()) => {
                // The kernel's types, parsed, take tens of megabytes.
                drop(btf);
                sys::give_back_memory();
                return finish(ebpf, choices);
            }
            Err((hook, level, error)) => learn(facts, hook, level, &error),
        }
    }
}

/// A level was turned down. Not permitted means the whole sort of program;
/// anything else may be about this hook alone.
fn learn(facts: &mut Facts, hook: Hook, level: Level, error: &ProgramError) {
    let why = why(error);
    let denied = os_error(error) == Some(libc::EPERM);
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

fn os_error(error: &ProgramError) -> Option<i32> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        cause = error.source();
    }
    None
}

/// In one line: the verifier's log can have thousands, its last says why.
fn why(error: &ProgramError) -> String {
    if os_error(error) == Some(libc::EPERM) {
        return "the kernel does not permit it (lockdown or a security policy)".into();
    }
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            // Statistics come after the complaint.
            let said = |line: &&str| {
                !line.trim().is_empty()
                    && [
                        "processed ",
                        "stack depth",
                        "verification time",
                        "peak_states",
                    ]
                    .iter()
                    .all(|start| !line.starts_with(start))
            };
            let last = log.lines().rfind(said).unwrap_or("");
            format!("the kernel refuses the program: {io_error}: {last}")
        }
        error => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            text
        }
    }
}

fn needed(choices: &[Choice]) -> Result<(), KernelError> {
    match choices
        .iter()
        .find(|choice| choice.hook.is_needed() && choice.level.is_none())
    {
        None => Ok(()),
        Some(choice) => Err(KernelError::Hook {
            hook: choice.hook.name(),
            lost: choice.hook.lost_without(),
            why: choice.because.clone().unwrap_or_default(),
        }),
    }
}

fn load(types: &Types, choices: &[Choice], request: &Request) -> Result<Ebpf, KernelError> {
    let hooked = |hook| choices.iter().any(|c| c.hook == hook && c.level.is_some());
    let config = Config {
        signals: request.signals,
        by_pidns: u32::from(!request.namespaces.is_empty()),
        by_cgroup: u32::from(!request.cgroups.is_empty()),
        by_pid: u32::from(!request.pids.is_empty()),
        dequeue_args: types.dequeue_args,
        exit_group_dead: u32::from(types.exit_group_dead),
        sees_release: u32::from(hooked(Hook::ReleaseTask)),
    };
    EbpfLoader::new()
        // The offsets are ours; there is nothing for aya to relocate.
        .btf(None)
        .override_global("LAYOUT", types.layout.as_bytes(), true)
        .override_global("CONFIG", config.as_bytes(), true)
        .override_global(aya_log::LEVEL, &request.log_level, false)
        .map_max_entries("EVENTS", request.buffer)
        .load(OBJECT)
        .map_err(|error| KernelError::Load(Box::new(error)))
}

fn fill_filters(ebpf: &mut Ebpf, request: &Request) -> Result<(), KernelError> {
    let namespaces = request.namespaces.iter().map(|&ns| (ns, 1));
    fill(ebpf, "PIDNS", namespaces)?;
    fill(ebpf, "CGROUPS", request.cgroups.iter().map(|&id| (id, 1)))?;
    fill(ebpf, "PIDS", request.pids.iter().copied())
}

fn fill<K: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    entries: impl ExactSizeIterator<Item = (K, u32)>,
) -> Result<(), KernelError> {
    if entries.len() > sigtrace_common::filter::ENTRIES as usize {
        return Err(KernelError::TooMany(name));
    }
    let failed = |error| KernelError::Map(name, Box::new(error));
    let Some(map) = ebpf.map_mut(name) else {
        return Ok(());
    };
    let mut map: HashMap<_, K, u32> = map.try_into().map_err(failed)?;
    for (key, value) in entries {
        map.insert(key, value, 0).map_err(failed)?;
    }
    Ok(())
}

type Refusal = (Hook, Level, ProgramError);

fn attach_all(ebpf: &mut Ebpf, choices: &[Choice], btf: Option<&Btf>) -> Result<(), Refusal> {
    // Loading takes long (the verifier), attaching does not: all hooks begin
    // to see things at nearly one moment.
    each(ebpf, choices, |program, name| load_one(program, name, btf))?;
    each(ebpf, choices, attach_one)
}

/// Does something to every chosen program.
fn each(
    ebpf: &mut Ebpf,
    choices: &[Choice],
    act: impl Fn(&mut Program, &str) -> Result<(), ProgramError>,
) -> Result<(), Refusal> {
    for choice in choices {
        let Some(level) = choice.level else { continue };
        for name in &choice.programs {
            let program = ebpf.program_mut(name);
            program
                .ok_or(ProgramError::UnexpectedProgramType)
                .and_then(|program| act(program, choice.hook.name()))
                .map_err(|error| (choice.hook, level, error))?;
        }
    }
    Ok(())
}

fn load_one(program: &mut Program, hook: &str, btf: Option<&Btf>) -> Result<(), ProgramError> {
    match (program, btf) {
        (Program::RawTracePoint(program), _) => program.load(),
        (Program::TracePoint(program), _) => program.load(),
        (Program::KProbe(program), _) => program.load(),
        (Program::BtfTracePoint(program), Some(btf)) => program.load(hook, btf),
        (Program::FEntry(program), Some(btf)) => program.load(hook, btf),
        (Program::FExit(program), Some(btf)) => program.load(hook, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn attach_one(program: &mut Program, hook: &str) -> Result<(), ProgramError> {
    match program {
        Program::RawTracePoint(program) => program.attach(hook).map(drop),
        Program::TracePoint(program) => program.attach("sched", hook).map(drop),
        Program::KProbe(program) => program.attach(hook, 0).map(drop),
        Program::BtfTracePoint(program) => program.attach().map(drop),
        Program::FEntry(program) => program.attach().map(drop),
        Program::FExit(program) => program.attach().map(drop),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn finish(mut ebpf: Ebpf, choices: Vec<Choice>) -> Result<Attached, KernelError> {
    let failed = |name| move |error| KernelError::Map(name, Box::new(error));
    let map = |ebpf: &mut Ebpf, name| ebpf.take_map(name).ok_or(KernelError::NoPrograms);
    let ring = map(&mut ebpf, "EVENTS")?
        .try_into()
        .map_err(failed("EVENTS"))?;
    let lost: PerCpuArray<MapData, u64> =
        map(&mut ebpf, "LOST")?.try_into().map_err(failed("LOST"))?;
    debug_assert_eq!(lost.len() as usize, KINDS);
    Ok(Attached {
        ebpf,
        choices,
        since: super::now(),
        ring,
        lost,
    })
}
