//! Records as the kernel side writes them, and bytes that it does not.

use zerocopy::{FromZeros, IntoBytes};

use super::*;
use crate::event::*;

struct Named;
impl Functions for Named {
    fn name(&mut self, address: u64) -> Option<Arc<str>> {
        ["bpf_prog_1_x", "__traceiter_signal_generate", "do_exit"]
            .get(address as usize)
            .map(|&name| name.into())
    }
}

fn decoder() -> Decoder<Named> {
    Decoder { functions: Named }
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut decoder = decoder();
    for kind in 0..=record::KINDS as u32 {
        for len in [0, 4, 15, 16, 100, 376, 700, 900, 1600, 2000] {
            let mut bytes = vec![0xff; len];
            if len >= 12 {
                bytes[8..12].copy_from_slice(&kind.to_le_bytes());
            }
            let _ = decoder.decode(&bytes);
        }
    }
}

#[test]
fn a_signal_keeps_what_the_kernel_said() {
    let mut r = record::SignalTraced::new_zeroed();
    r.signal.header.kind = Kind::SignalTraced as u32;
    r.signal.header.time_ns = 7;
    r.signal.number = 9;
    r.signal.info = 1;
    r.signal.result = 1;
    r.signal.target.tgid = 42;
    r.signal.target.level = 1;
    r.signal.target.ns_pids[0] = 2;
    r.signal.target.ns_inums[0] = 99;
    r.trace.frame_count = 3;
    r.trace.stack[1] = 1;
    r.trace.stack[2] = 2;
    let (time, fact) = decoder().decode(r.as_bytes()).unwrap();
    let Fact::Signal(signal) = fact else {
        panic!("{fact:?}")
    };
    assert_eq!(time, BootTime(7));
    assert_eq!(
        (signal.number, signal.info, signal.outcome),
        (9, Info::Kernel, Outcome::Ignored)
    );
    assert_eq!(signal.target.pidns(), Some(99));
    assert_eq!(signal.target.pid_in(99), Some(2));
    let stack: Vec<_> = signal
        .stack
        .iter()
        .map(|f| f.function.as_deref().unwrap())
        .collect();
    assert_eq!(stack, ["do_exit"], "the program's own frames are left out");
}

#[test]
fn what_has_no_entry_in_a_full_queue_is_told_apart() {
    for (result, outcome) in [
        (4, Outcome::LoseInfo),
        (record::SHARES_ITS_BIT, Outcome::SharesItsBit),
        (record::BIT_ALONE, Outcome::BitAlone),
    ] {
        let mut r = record::Signal::new_zeroed();
        r.header.kind = Kind::Signal as u32;
        (r.number, r.result, r.group) = (40, result, 1);
        let (_, fact) = decoder().decode(r.as_bytes()).unwrap();
        let signal = fact.signal().unwrap();
        assert_eq!(signal.outcome, outcome);
        // As it would be counted.
        let mut key = record::FoldKey::new_zeroed();
        (key.number, key.result) = (40, result as u8);
        assert_eq!(like(&key), Like::of(signal));
    }
}

#[test]
fn a_cgroup_is_called_as_its_folders_up_to_the_root() {
    let mut r = record::Place::new_zeroed();
    r.header.kind = Kind::Place as u32;
    r.id = 7;
    let long = [b'x'; record::PLACE_NAME - 1];
    for (at, name) in [b"own" as &[u8], b"\xff\x1b", &long, b"/", b"beyond"]
        .into_iter()
        .enumerate()
    {
        r.names[at][..name.len()].copy_from_slice(name);
    }
    let (_, fact) = decoder().decode(r.as_bytes()).unwrap();
    let Fact::Place { id, names } = fact else {
        panic!("{fact:?}")
    };
    // Of one that may be longer nothing is said.
    assert_eq!((id, names.join("|")), (7, "own|\u{fffd}\x1b|…".to_owned()));
}

#[test]
fn a_signal_says_where_both_ends_are_and_whether_there_are_more_parents() {
    for (count, beyond, more) in [(8, 77, true), (8, 1, false), (7, 77, false), (8, 0, false)] {
        let mut r = record::SignalTraced::new_zeroed();
        r.signal.header.kind = Kind::SignalTraced as u32;
        r.current_at = [3, 4];
        r.target_at = [5, 6];
        r.trace.ancestor_count = count;
        r.trace.beyond = beyond;
        let (_, fact) = decoder().decode(r.as_bytes()).unwrap();
        let Fact::Signal(signal) = fact else {
            panic!("{fact:?}")
        };
        assert_eq!(signal.places.current.cgroups, [3, 4]);
        assert_eq!(signal.places.target.cgroups, [5, 6]);
        assert_eq!(signal.more_ancestors, more, "{count} {beyond}");
    }
}

#[test]
fn a_function_that_is_hooked_stands_on_a_stack_once() {
    let of = |names: &[&str]| {
        let frames = names.iter().map(|&name| Frame {
            address: 1,
            function: (!name.is_empty()).then(|| name.into()),
        });
        let names = without_trampolines(frames).into_iter();
        let names = names.map(|f| f.function.map_or(String::new(), |name| name.to_string()));
        names.collect::<Vec<_>>().join(" ")
    };
    let hooked = [
        "kill_pid_info",
        "__x64_sys_kill",
        "",
        "__x64_sys_kill",
        "do_syscall_64",
    ];
    let clean = "kill_pid_info __x64_sys_kill do_syscall_64";
    assert_eq!(of(&hooked), clean);
    let mut named = hooked;
    named[2] = "bpf_trampoline_6442537";
    assert_eq!(of(&named), clean);
    // Of a module without names nothing is left out.
    assert_eq!(of(&["a", "", "b", ""]), "a  b ");
}

#[test]
fn without_siginfo_the_kernel_is_named() {
    assert_eq!([code(0, 9), code(1, 9), code(2, 9)], [0, 0x80, 9]);
}

#[test]
fn only_a_fault_with_an_address_has_one() {
    let mut r = record::Signal::new_zeroed();
    (r.info, r.number, r.si_pid) = (2, 11, 0x10);
    let mut of = |code| {
        r.code = code;
        detail(&r)
    };
    assert_eq!(of(1), Detail::Address(0x10));
    assert_eq!([of(0), of(0x80)], [Detail::None, Detail::None]);
}

#[test]
fn a_namespace_too_deep_is_nobodys() {
    let mut r = record::Fork::new_zeroed();
    r.header.kind = Kind::Fork as u32;
    r.child.level = 9;
    r.child.ns_pids = [1; 8];
    let Some((_, Fact::Fork { child, .. })) = decoder().decode(r.as_bytes()) else {
        panic!("no fork");
    };
    assert!(!child.is_pid1());
    assert_eq!(child.pidns(), Some(0));
}

#[test]
fn a_refusal_keeps_what_was_asked_and_who_said_no() {
    let mut r = record::Refused::new_zeroed();
    r.header.kind = Kind::Refused as u32;
    (r.call, r.returned, r.number, r.pid) = (record::SystemCall::Kill as u32, -1, 15, -7);
    (r.counted, r.refused, r.reached) = (1, 2, 3);
    (r.denial.target.tgid, r.denial.error) = (42, -1);
    r.denial.right = record::Right::User as u32;
    (r.has_info, r.code) = (1, 0);
    let Some((_, Fact::Refused(refused))) = decoder().decode(r.as_bytes()) else {
        panic!("no refusal");
    };
    assert_eq!(
        (refused.call, refused.error, refused.number, refused.pid),
        (Call::Kill, 1, 15, -7)
    );
    assert_eq!(refused.counts, Some((2, 3)));
    assert_eq!(refused.handed, Handed::Code(0));
    let denial = refused.denial.unwrap();
    assert_eq!((denial.target.key.pid, denial.error), (42, 1));
    assert_eq!(denial.right, Right::User);
    r.denial.target.tgid = 0;
    r.returned = 0;
    let Some((_, Fact::Refused(refused))) = decoder().decode(r.as_bytes()) else {
        panic!("no refusal");
    };
    assert_eq!((refused.denial, refused.error), (None, 0));
    r.call = 99;
    assert!(decoder().decode(r.as_bytes()).is_none(), "no such call");
}
