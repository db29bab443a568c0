//! Puts the object file into the kernel: offsets and filters as constants, sizes
//! of maps, and the ids that BTF-typed programs are attached by. What is
//! attached is [`super::attach`]'s.

use std::collections::BTreeMap;

use aya::{
    maps::{Array, HashMap},
    Btf, Ebpf, EbpfLoader, Endianness,
};
use sigtrace_common::{
    filter::{near, Config, ALONE, ALONE_WITH_NEW, CGROUP_V1, SEVERAL},
    layout::{Layout, ABSENT},
    record::{SEES_ALLOC_PID, SEES_FORKS, SEES_PIDS},
};
use zerocopy::IntoBytes;

use super::{
    attach::{New, Request},
    btf,
    error::KernelError,
    facts::Pointers,
    hooks::{Choice, Hook, Level},
    sys,
    types::Types,
};
use crate::event::{CgroupId, PidNs};

/// The kernel side, as `cargo xtask build` made it.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sigtrace-ebpf.o"));

/// Maps that nothing else than refused signals needs.
const OF_REFUSALS: [&str; 4] = ["DENIALS", "CALLS", "ASKED", "BROADCASTS"];

/// The object file, with its maps made and its programs ready to be loaded.
pub(super) fn load(
    types: &Types,
    choices: &[Choice],
    request: &Request,
    typed: Pointers,
) -> Result<Ebpf, KernelError> {
    let hooked = |hook| choices.iter().any(|c| c.hook == hook && c.level.is_some());
    let by_new_cgroup = match request.new_cgroups {
        None => 0,
        Some(New { v1: None, .. }) => 1,
        Some(_) if types.css_set_pids.is_none() => 1,
        // The largest programs of all: see the scenario `largest-programs`.
        Some(_) => 2,
    };
    let config = Config {
        signals: request.signals,
        by_cgroup: by_cgroup(&request.cgroups),
        by_pid: u32::from(!request.pids.is_empty()),
        by_pidns: by_pidns(request, by_new_cgroup, &types.layout),
        by_new_cgroup,
        new_cgroup_above: request.new_cgroups.map_or(u64::MAX, |new| new.unified),
        new_cgroup_v1_above: (request.new_cgroups)
            .and_then(|new| new.v1)
            .unwrap_or(u64::MAX),
        by_new_pidns: u32::from(request.new_namespaces),
        css_set_pids: types.css_set_pids.unwrap_or(0),
        pids_on_v1: u32::from(request.pids_on_v1 && types.css_set_pids.is_some()),
        typed_current: u32::from(typed.current),
        typed_registers: u32::from(typed.registers),
        dequeue_args: types.dequeue_args,
        exit_group_dead: u32::from(types.exit_group_dead),
        sees_release: u32::from(hooked(Hook::ReleaseTask)),
        sees_oom: u32::from(hooked(Hook::OomKillProcess)),
        all_stacks: u32::from(request.all_stacks),
        fork_sees: fork_sees(hooked),
        buffer: request.buffer,
    };
    let refusals = choices
        .iter()
        .any(|c| c.hook.is_of_refusals() && c.level.is_some());
    // The loader would parse all of the kernel's types before it can be told that
    // there is nothing to do with them. Where it cannot open them, it does without.
    let mut loader = sys::opening_nothing(EbpfLoader::new);
    if !refusals {
        for map in OF_REFUSALS {
            loader.map_max_entries(map, 1);
        }
    }
    loader
        // The offsets are ours; there is nothing for aya to relocate.
        .btf(None)
        .override_global("LAYOUT", types.layout.as_bytes(), true)
        .override_global("CONFIG", config.as_bytes(), true)
        .override_global(aya_log::LEVEL, &request.log_level, false)
        .map_max_entries("EVENTS", request.buffer)
        .load(OBJECT)
        .map_err(|error| KernelError::Load(Box::new(error)))
}

/// The value of [`Config::fork_sees`].
fn fork_sees(hooked: impl Fn(Hook) -> bool) -> u32 {
    [
        (Hook::AllocPid, SEES_ALLOC_PID),
        (Hook::PidsCanFork, SEES_PIDS),
        (Hook::CopyProcess, SEES_FORKS),
    ]
    .into_iter()
    .filter(|&(hook, _)| hooked(hook))
    .fold(0, |bits, (_, bit)| bits | bit)
}

/// The value of [`Config::by_pidns`].
fn by_pidns(request: &Request, by_new_cgroup: u32, layout: &Layout) -> u32 {
    let cgroups = [
        layout.task_cgroups,
        layout.css_set_dfl_cgrp,
        layout.css_cgroup,
        layout.cgroup_kn,
    ];
    let any = !request.namespaces.is_empty() || request.new_namespaces;
    let others = !request.cgroups.is_empty() || !request.pids.is_empty();
    match (any && !others, by_new_cgroup) {
        (true, 0) => ALONE,
        (true, _) if !cgroups.contains(&ABSENT) => ALONE_WITH_NEW,
        _ => u32::from(!request.namespaces.is_empty()),
    }
}

/// The value of [`Config::by_cgroup`].
fn by_cgroup(cgroups: &[CgroupId]) -> u32 {
    let on_v1 = cgroups.iter().any(|id| id & CGROUP_V1 != 0);
    u32::from(!cgroups.is_empty()) + u32::from(on_v1)
}

/// The ids of what BTF-typed programs are to be attached to, in the form that aya
/// takes.
pub(super) fn ids(types: &Types, choices: &[Choice]) -> Result<Btf, aya::BtfError> {
    let chosen = |hook| {
        let typed = |choice: &Choice| choice.hook == hook && choice.level == Some(Level::Btf);
        choices.iter().any(typed)
    };
    let ids = types.ids.iter().copied().filter(|&(hook, _)| chosen(hook));
    let ids: Vec<(Hook, u32)> = ids.collect();
    Btf::parse(&btf::ids::only(&ids), Endianness::default())
}

/// Who is traced.
pub(super) fn fill_filters(ebpf: &mut Ebpf, request: &Request) -> Result<(), KernelError> {
    let namespaces = request.namespaces.iter().map(|&ns| (ns, 1));
    if let Some(map) = ebpf.map_mut("NEAR") {
        let failed = |error| KernelError::Map("NEAR", Box::new(error));
        let mut map: Array<_, u64> = map.try_into().map_err(failed)?;
        for (place, who) in near_ones(&request.namespaces) {
            map.set(place, who, 0).map_err(failed)?;
        }
    }
    fill(ebpf, "PIDNS", namespaces)?;
    fill(ebpf, "CGROUPS", request.cgroups.iter().map(|&id| (id, 1)))?;
    fill(ebpf, "PIDS", request.pids.iter().copied())
}

/// The entries of `NEAR` for these.
fn near_ones(namespaces: &[PidNs]) -> BTreeMap<u32, u64> {
    let mut places = BTreeMap::new();
    for &ns in namespaces {
        places
            .entry(near(ns))
            .and_modify(|who| {
                if *who != u64::from(ns) {
                    *who = SEVERAL;
                }
            })
            .or_insert(u64::from(ns));
    }
    places
}

/// Puts entries into a map of a filter.
pub(super) fn fill<K: aya::Pod>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_fields_there_is_no_first_look_at_new_cgroups() {
        let request = Request {
            namespaces: vec![7],
            ..Request::default()
        };
        let known = Layout {
            task_cgroups: 1,
            css_set_dfl_cgrp: 1,
            css_cgroup: 1,
            cgroup_kn: 1,
            ..Layout::EMPTY
        };
        let all = |layout: &Layout| [0, 1, 2].map(|new| by_pidns(&request, new, layout));
        assert_eq!(all(&known), [ALONE, ALONE_WITH_NEW, ALONE_WITH_NEW]);
        let lacking: [fn(&mut Layout) -> &mut u32; 4] = [
            |layout| &mut layout.task_cgroups,
            |layout| &mut layout.css_set_dfl_cgrp,
            |layout| &mut layout.css_cgroup,
            |layout| &mut layout.cgroup_kn,
        ];
        for field in lacking {
            let mut layout = known;
            *field(&mut layout) = ABSENT;
            assert_eq!(all(&layout), [ALONE, 1, 1]);
        }
    }

    #[test]
    fn one_alone_is_known_by_its_inode() {
        let far = sigtrace_common::filter::NEAR_ENTRIES;
        let places = near_ones(&[5, 7, 7, 5 + far]);
        assert_eq!(places, BTreeMap::from([(5, SEVERAL), (7, 7)]));
    }
}
