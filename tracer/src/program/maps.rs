//! Which file is mapped at an address of a process that lives (proc_pid_maps(5)).

use std::{fs, path::Path};

use crate::{
    event::{MappedFile, ProcessKey},
    kernel::procfs::Proc,
};

/// The file with code that is mapped at this address, and where in it that is; `None`:
/// there is none, or the process is gone.
pub fn mapped(proc: &Path, key: ProcessKey, address: u64) -> Option<MappedFile> {
    let maps = fs::read(proc.join(key.pid.to_string()).join("maps")).ok()?;
    let file = find(&maps, address)?;
    // Those of that very process.
    Proc::new(proc).is_still(key).then_some(file)
}

fn find(maps: &[u8], address: u64) -> Option<MappedFile> {
    maps.split(|&byte| byte == b'\n')
        .find_map(|line| mapping(line, address))
}

/// A line: `start-end rwxp offset major:minor inode   path`.
fn mapping(line: &[u8], address: u64) -> Option<MappedFile> {
    let path = line.iter().position(|&byte| byte == b'/');
    let (head, path) = line.split_at(path?);
    let head = std::str::from_utf8(head).ok()?;
    let mut words = head.split_ascii_whitespace();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = words.next()?.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let executable = words.next()?.contains('x');
    if !(start..end).contains(&address) || !executable {
        return None;
    }
    let begins = hex(words.next()?)?;
    let (major, minor) = words.next()?.split_once(':')?;
    let inode = words.next()?.parse().ok()?;
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let names = path.split(|&byte| byte == b'/').rev();
    Some(MappedFile {
        names: names
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec)
            .collect(),
        // Below a mount, which is not told.
        whole: false,
        offset: begins.checked_add(address - start)?,
        inode,
        device: (u32::from_str_radix(major, 16).ok()? << 20)
            | u32::from_str_radix(minor, 16).ok()?,
        build_id: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"55d0c0000000-55d0c0001000 r--p 00000000 fe:01 77     /usr/bin/app\n\
        55d0c0001000-55d0c0003000 r-xp 00001000 fe:01 77     /usr/bin/app\n\
        55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0      [heap]\n\
        7f0000000000-7f0000002000 r-xp 00002000 08:11 9 /opt/my app/lib.so (deleted)\n\
        7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]\n";

    #[test]
    fn finds_the_code_at_an_address() {
        let file = find(MAPS, 0x55d0_c000_1a10).unwrap();
        assert_eq!(file.path(), b"usr/bin/app");
        assert_eq!((file.offset, file.inode), (0x1a10, 77));
        assert_eq!(file.device, 0xfe << 20 | 1);
        let file = find(MAPS, 0x7f00_0000_0001).unwrap();
        assert_eq!(file.path(), b"opt/my app/lib.so");
        assert_eq!(file.offset, 0x2001);
    }

    #[test]
    fn finds_nothing_where_no_file_with_code_is() {
        for address in [
            0,
            0x55d0_c000_0a10,
            0x55d0_c100_0010,
            0x7ffd_0000_0010,
            u64::MAX,
        ] {
            assert_eq!(find(MAPS, address), None, "{address:#x}");
        }
    }

    #[test]
    fn any_bytes_are_no_mapping() {
        for line in [
            "",
            "/",
            "zz-1 r-xp 0 1:1 0 /x",
            "0-ffff r-xp 0 /x",
            "0-ffff /x",
        ] {
            assert_eq!(find(line.as_bytes(), 1), None, "{line}");
        }
        assert_eq!(find(b"0-ffff r-xp 0 1:1 \xff /x", 1), None);
    }
}
