//! Type information that says nothing but ids. aya finds the id of what a program
//! is attached to by name, in type information that it has parsed; the kernel's
//! own, parsed, takes 30 MB and tens of milliseconds. Here the few names that
//! matter stand at the places that they have there, among nothing.

use std::collections::HashMap;

use super::{KIND_FUNC, KIND_TYPEDEF, MAGIC};
use crate::kernel::hooks::Hook;

/// A forward declaration: the shortest type, and nobody asks for it.
const KIND_FWD: u32 = 7;
const HEADER: u32 = 24;

/// In the format of `/sys/kernel/btf/vmlinux`.
pub fn only(ids: &[(Hook, u32)]) -> Vec<u8> {
    let last = ids.iter().map(|&(_, id)| id).max().unwrap_or(0);
    let mut strings = vec![0];
    let mut named = HashMap::new();
    for &(hook, id) in ids {
        let kind = if hook.is_tracepoint() {
            KIND_TYPEDEF
        } else {
            KIND_FUNC
        };
        named.insert(id, [strings.len() as u32, kind << 24, 0]);
        strings.extend(hook.type_name().bytes().chain([0]));
    }
    let length = last * 12;
    let mut out = Vec::with_capacity((HEADER + length) as usize + strings.len());
    out.extend(MAGIC.to_le_bytes());
    out.extend([1, 0]);
    for word in [HEADER, 0, length, length, strings.len() as u32] {
        out.extend(word.to_le_bytes());
    }
    // Id 0 is void, and not written.
    for id in 1..=last {
        for word in named.get(&id).unwrap_or(&[0, KIND_FWD << 24, 0]) {
            out.extend(word.to_le_bytes());
        }
    }
    out.extend(strings);
    out
}

#[cfg(test)]
mod tests {
    use aya::Endianness;
    use aya_obj::btf::BtfKind;

    use super::*;

    #[test]
    fn aya_finds_the_ids_of_the_kernel() {
        let ids = [
            (Hook::SignalGenerate, 70_000),
            (Hook::ReleaseTask, 12),
            (Hook::ProcessExit, 1),
        ];
        let btf = aya::Btf::parse(&only(&ids), Endianness::default()).unwrap();
        for (hook, id) in ids {
            let kind = if hook.is_tracepoint() {
                BtfKind::Typedef
            } else {
                BtfKind::Func
            };
            let found = btf.id_by_type_name_kind(&hook.type_name(), kind);
            assert_eq!(found.unwrap(), id, "{hook:?}");
        }
        assert!(btf.id_by_type_name_kind("do_exit", BtfKind::Func).is_err());
        assert!(aya::Btf::parse(&only(&[]), Endianness::default()).is_ok());
    }
}
