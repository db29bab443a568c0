//! Names of an ELF file's sections: enough to see that the linker kept what
//! the kernel asks for. Anything more about objects is aya's business.

use anyhow::{Context, Result};

/// The sections of a 64-bit little-endian ELF file.
pub(crate) fn section_names(file: &[u8]) -> Result<Vec<String>> {
    parse(file).context("not a 64-bit little-endian ELF file, or cut off")
}

fn parse(file: &[u8]) -> Option<Vec<String>> {
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    // e_shoff, e_shentsize, e_shnum, e_shstrndx of Elf64_Ehdr, elf(5).
    let table = number(file, 0x28, 8)?;
    let size = number(file, 0x3a, 2)?;
    let count = number(file, 0x3c, 2)?;
    let names_index = number(file, 0x3e, 2)?;
    let header = |index: usize| table.checked_add(index.checked_mul(size)?);
    // sh_offset of Elf64_Shdr.
    let names = number(file, header(names_index)?.checked_add(0x18)?, 8)?;
    (0..count)
        .map(|index| {
            let start = names.checked_add(number(file, header(index)?, 4)?)?;
            let rest = file.get(start..)?;
            let end = rest.iter().position(|byte| *byte == 0)?;
            Some(String::from_utf8_lossy(&rest[..end]).into_owned())
        })
        .collect()
}

fn number(file: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let mut value = [0; 8];
    value[..bytes].copy_from_slice(file.get(at..at.checked_add(bytes)?)?);
    usize::try_from(u64::from_le_bytes(value)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, the names, and three section headers.
    fn sample() -> Vec<u8> {
        let names = b"\0.BTF\0license\0";
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let table = 64 + names.len() as u64;
        file[0x28..0x30].copy_from_slice(&table.to_le_bytes());
        file[0x3a..0x3c].copy_from_slice(&64u16.to_le_bytes());
        file[0x3c..0x3e].copy_from_slice(&3u16.to_le_bytes());
        file.extend_from_slice(names);
        for name in [0u32, 1, 6] {
            let mut header = vec![0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&64u64.to_le_bytes());
            file.extend(header);
        }
        file
    }

    #[test]
    fn names_are_read() {
        assert_eq!(section_names(&sample()).unwrap(), ["", ".BTF", "license"]);
    }

    #[test]
    fn anything_else_is_refused_without_panic() {
        let whole = sample();
        for end in 0..whole.len() - 65 {
            section_names(&whole[..end]).unwrap_err();
        }
    }
}
