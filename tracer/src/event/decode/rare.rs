//! Records that come seldom: rejected forks, places in programs, lack of memory, refused
//! signals, debuggers.

use sigtrace_common::record;

use super::{ancestry, more_ancestors, task, text};
use crate::event::{
    fork, Call, Creds, Denial, Fault, Handed, MappedFile, Mapping, MemoryLevel, Oom, Refused,
    Resumed, Right, Whereabouts,
};

const SIGKILL: i32 = 9;
const PTRACE_KILL: u32 = 8;
const CLONE_THREAD: u64 = 0x1_0000;
pub(super) fn stage(stage: u32) -> fork::Stage {
    match stage {
        record::STAGE_OTHER => fork::Stage::Other,
        record::STAGE_ALLOC_PID => fork::Stage::AllocPid,
        record::STAGE_PIDS => fork::Stage::Pids,
        _ => fork::Stage::Unknown,
    }
}

pub(super) fn fork_rejected(r: &record::ForkRejected) -> fork::ForkRejected {
    /// `SCHED_DEADLINE`.
    const DEADLINE: u32 = 6;
    let known = r.nproc != record::NOT_COUNTED && r.nproc_limit != record::NOT_COUNTED;
    let names = r.groups.iter().map(|name| text(name));
    let names: Vec<String> = names.take_while(|name| !name.is_empty()).collect();
    fork::ForkRejected {
        current: task(&r.current),
        ancestry: ancestry(&r.trace),
        thread: (r.flags != record::NO_FLAGS).then_some(r.flags & CLONE_THREAD != 0),
        error: r.error,
        stage: stage(r.stage),
        sees_alloc_pid: r.sees & record::SEES_ALLOC_PID != 0,
        sees_pids: r.sees & record::SEES_PIDS != 0,
        nproc: known.then_some((r.nproc, r.nproc_limit)),
        nproc_exempt: r.nproc_exempt != 0,
        deadline: r.policy == DEADLINE,
        group: (r.pids_id != 0).then_some(fork::FullGroup {
            id: r.pids_id,
            whole: names.len() < record::PIDS_LEVELS,
            names,
            depth: r.pids_depth,
            count: r.pids_count,
            max: r.pids_max,
        }),
        ns: (r.ns_inum != 0).then_some(r.ns_inum),
        ns_dead: r.ns_dead != 0,
        full: (r.full_inum != 0).then_some(fork::FullNs {
            ns: r.full_inum,
            level: r.full_level,
            count: r.full_count,
            max: (r.full_max != 0).then_some(r.full_max),
        }),
        machine: None,
    }
}

/// `struct bpf_stack_build_id`: a status, the id, the offset.
pub(super) fn build_id(bytes: &[u8; 32]) -> Option<Vec<u8>> {
    const VALID: [u8; 4] = 1i32.to_ne_bytes();
    let (status, rest) = bytes.split_at(4);
    let id = &rest[..20];
    // Shorter ones are filled up with zeros (`BUILD_ID_SIZE_MAX`).
    let end = id
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    (status == VALID && end > 0).then(|| id[..end.max(8)].to_vec())
}

pub(super) fn fault(r: &record::Fault) -> Fault {
    let name = |bytes: &[u8; record::PATH_NAME]| {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        bytes[..end].to_vec()
    };
    let all: Vec<_> = r.names.iter().map(name).collect();
    // One that fills its place may be longer.
    let fits = |name: &&Vec<u8>| (1..record::PATH_NAME - 1).contains(&name.len());
    let known = all.iter().take_while(|name| fits(name) && *name != b"/");
    let names: Vec<_> = known.cloned().collect();
    let whole = all.get(names.len()).is_some_and(|name| name == b"/");
    let file = (r.inode != 0).then(|| MappedFile {
        whole,
        offset: MappedFile::offset_of(r.ip, r.start, r.page_offset),
        inode: r.inode,
        device: r.device,
        build_id: build_id(&r.build_id),
        names,
    });
    Fault {
        task: task(&r.task),
        ip: r.ip,
        mapping: (r.start != 0).then_some(Mapping {
            start: r.start,
            end: r.end,
            file,
        }),
    }
}

pub(super) fn oom(r: &record::Oom) -> Oom {
    let end = r.levels.iter().position(|l| l.id == 0);
    let level =
        |l: &record::MemoryLevel| MemoryLevel::of_pages(l.id, text(&l.name), l.usage, l.max);
    Oom {
        trigger: task(&r.current),
        victim: task(&r.victim),
        mm: r.mm,
        choice: (r.constraint != record::NO_CONSTRAINT)
            .then(|| Oom::choice(r.limited, r.total, r.constraint)),
        whole: end.is_some(),
        levels: r.levels[..end.unwrap_or(record::OOM_LEVELS)]
            .iter()
            .map(level)
            .collect(),
    }
}

pub(super) fn refused(r: &record::Refused) -> Option<Refused> {
    let call = [
        (record::SystemCall::Kill, Call::Kill),
        (record::SystemCall::Tkill, Call::Tkill),
        (record::SystemCall::Tgkill, Call::Tgkill),
        (record::SystemCall::RtSigqueueinfo, Call::Sigqueue),
        (record::SystemCall::RtTgsigqueueinfo, Call::ThreadSigqueue),
        (record::SystemCall::PidfdSendSignal, Call::Pidfd),
    ];
    let error = |returned: i32| returned.min(0).saturating_neg();
    let denial = &r.denial;
    Some(Refused {
        call: call.into_iter().find(|(of, _)| *of as u32 == r.call)?.1,
        error: error(r.returned),
        number: r.number,
        pid: r.pid,
        tid: r.tid,
        flags: r.flags,
        handed: match r.has_info {
            0 => Handed::Nothing,
            1 => Handed::Code(r.code),
            _ => Handed::Unreadable,
        },
        current: task(&r.current),
        creds: creds(&r.creds),
        ancestry: ancestry(&r.trace),
        more_ancestors: more_ancestors(&r.trace),
        at: Whereabouts {
            cgroups: r.current_at,
            origin: None,
        },
        denial: (denial.target.tgid != 0).then(|| Denial {
            target: task(&denial.target),
            creds: creds(&denial.creds),
            error: error(denial.error),
            right: right(denial.right),
        }),
        counts: (r.counted != 0).then_some((r.refused, r.reached)),
        namesakes: None,
        profiles: None,
    })
}

fn right(right: u32) -> Right {
    [
        (record::Right::Own, Right::Own),
        (record::Right::User, Right::User),
        (record::Right::Capable, Right::Capable),
        (record::Right::Owner, Right::Owner),
        (record::Right::Session, Right::Session),
    ]
    .into_iter()
    .find(|&(of, _)| of as u32 == right)
    .map_or(Right::None, |(_, right)| right)
}

pub(super) fn creds(r: &record::Creds) -> Creds {
    Creds {
        uid: r.uid,
        euid: r.euid,
        suid: r.suid,
        cap_kill: r.cap_kill != 0,
        user_ns: r.user_ns,
        user_ns_level: r.user_ns_level,
    }
}

pub(super) fn resumed(r: &record::Ptrace) -> Resumed {
    let signal = |number: i64| {
        let number = i32::try_from(number).ok();
        number.filter(|number| (1..=64).contains(number))
    };
    // Before 5.19 that is a way of going on with SIGKILL, whatever else is given.
    let given = match r.request {
        PTRACE_KILL => Some(SIGKILL),
        _ => i64::try_from(r.data).ok().and_then(signal),
    };
    Resumed {
        tracer: task(&r.tracer),
        task: task(&r.task),
        request: r.request,
        stopped: signal(r.stopped.into()),
        given,
        ancestry: ancestry(&r.trace),
    }
}
