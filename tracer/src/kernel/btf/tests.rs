//! A small piece of type information, whole and damaged.

use super::*;

/// `struct task_struct { int pid; struct { int tgid; }; }`, a function and an enum.
fn sample() -> Vec<u8> {
    let strings =
        b"\0int\0task_struct\0pid\0tgid\0do_exit\0code\0cgroup_subsys_id\0memory_cgrp_id\0two\0";
    let name = |s: &str| {
        let s = [s.as_bytes(), b"\0"].concat();
        strings.windows(s.len()).position(|w| w == s).unwrap() as u32
    };
    let types: Vec<u32> = [
        vec![name("int"), KIND_INT << 24, 4, 32],
        vec![0, KIND_STRUCT << 24 | 1, 4, name("tgid"), 1, 0],
        vec![
            name("task_struct"),
            KIND_STRUCT << 24 | 2,
            8,
            name("pid"),
            1,
            0,
            0,
            2,
            32,
        ],
        vec![0, KIND_FUNC_PROTO << 24 | 1, 0, name("code"), 1],
        vec![name("do_exit"), KIND_FUNC << 24, 4],
        vec![
            name("cgroup_subsys_id"),
            KIND_ENUM << 24 | 2,
            4,
            name("two"),
            2,
            name("memory_cgrp_id"),
            4,
        ],
    ]
    .concat();
    let types: Vec<u8> = types.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut out = vec![0x9f, 0xeb, 1, 0];
    for w in [
        24,
        0,
        types.len() as u32,
        types.len() as u32,
        strings.len() as u32,
    ] {
        out.extend(w.to_le_bytes());
    }
    out.extend(types);
    out.extend(strings);
    out
}

#[test]
fn finds_members_through_unnamed_structs() {
    let bytes = sample();
    let btf = Btf::parse(&bytes, &["do_exit"]).unwrap();
    assert_eq!(btf.offset("task_struct.pid"), Some(0));
    assert_eq!(btf.offset("task_struct.tgid"), Some(4));
    assert_eq!(btf.offset("sizeof task_struct"), Some(8));
    assert_eq!(btf.offset("task_struct.nothing"), None);
    assert_eq!(btf.arguments("do_exit"), Some(1));
    assert_eq!(btf.arguments("do_group_exit"), None);
    assert_eq!(btf.layout().task_tgid, 4);
    assert_eq!(btf.layout().memory_cgrp_id, 4);
    assert_eq!(btf.offset("enum cgroup_subsys_id.nothing"), None);
    assert_eq!(btf.layout().task_comm, ABSENT);
}

#[test]
fn damaged_input_is_an_error_and_never_a_panic() {
    let bytes = sample();
    assert!(matches!(Btf::parse(&[0; 64], &[]), Err(BtfError::Magic)));
    for end in 0..bytes.len() {
        let _ = Btf::parse(&bytes[..end], &["do_exit"]);
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        if let Ok(btf) = Btf::parse(&damaged, &["do_exit"]) {
            let _ = (btf.layout(), btf.arguments("do_exit"));
        }
    }
}
