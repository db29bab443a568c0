//! A program of a few bytes, made here: it faults in a function of its own, whose
//! name is as the scenario wants it. So it is the same in every guest, where there
//! is no compiler, and can be wrong in every way.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where it is in memory.
const BASE: u64 = 0x40_0000;
/// Where the code is in the file.
const CODE: u64 = 0x1000;
/// xor eax,eax; mov al,[rax+0x10]: reads where nothing is mapped.
const INSTRUCTIONS: [u8; 5] = [0x31, 0xc0, 0x8a, 0x40, 0x10];
/// The one that faults.
pub(crate) const FAULTS_AT: u64 = CODE + 2;
/// From the function's begin.
pub(crate) const IN_FUNCTION: u64 = 2;
/// What the kernel reads from the note.
pub(crate) const BUILD_ID: [u8; 20] = [0xab; 20];

/// What it is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program<'p> {
    /// The function's name; as any bytes as may be in a table of symbols.
    pub(crate) function: &'p [u8],
    /// How long the table says that it is; 0: it does not say.
    pub(crate) size: u64,
    /// It has a build id.
    pub(crate) build_id: bool,
    /// Where the file says that its sections are.
    pub(crate) sections: Option<u64>,
}

impl Program<'_> {
    /// Writes it into the folder for files that are soon gone.
    pub(crate) fn write(self, name: &str) -> Result<PathBuf> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::write(&path, self.bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        executable(&path)?;
        Ok(path)
    }

    fn bytes(self) -> Vec<u8> {
        let note = 64 + 2 * 56;
        let mut file = Vec::new();
        // ELF64, little-endian, an executable for x86-64.
        file.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut strings = vec![0];
        strings.extend(self.function);
        strings.push(0);
        let (symbols_at, strings_at) = (CODE + 0x100, CODE + 0x200);
        let names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0.note.gnu.build-id\0";
        let names_at = strings_at + strings.len() as u64;
        let sections_at = (names_at + names.len() as u64).next_multiple_of(8);
        half(&mut file, &[2, 62]);
        word(&mut file, &[1]);
        long(
            &mut file,
            &[BASE + CODE, 64, self.sections.unwrap_or(sections_at)],
        );
        word(&mut file, &[0]);
        half(&mut file, &[64, 56, 2, 64, 6, 4]);
        // All of it, to be read and executed; and the note.
        let whole = sections_at + 6 * 64;
        word(&mut file, &[1, 5]);
        long(&mut file, &[0, BASE, BASE, whole, whole, 0x1000]);
        word(&mut file, &[if self.build_id { 4 } else { 0 }, 4]);
        long(&mut file, &[note, BASE + note, BASE + note, 36, 36, 4]);
        // NT_GNU_BUILD_ID.
        word(&mut file, &[4, 20, 3]);
        file.extend(b"GNU\0");
        file.extend(BUILD_ID);
        file.resize(CODE as usize, 0);
        file.extend(INSTRUCTIONS);
        file.resize(symbols_at as usize, 0);
        file.extend([0; 24]);
        // A global function of section 1.
        word(&mut file, &[1]);
        file.extend([0x12, 0]);
        half(&mut file, &[1]);
        long(&mut file, &[BASE + CODE, self.size]);
        file.resize(strings_at as usize, 0);
        file.extend(&strings);
        file.extend(names);
        file.resize(sections_at as usize, 0);
        let mut section = |name: u32, kind: u32, flags, at, address, size, link, info, entry| {
            word(&mut file, &[name, kind]);
            long(&mut file, &[flags, address, at, size]);
            word(&mut file, &[link, info]);
            long(&mut file, &[1, entry]);
        };
        section(0, 0, 0, 0, 0, 0, 0, 0, 0);
        section(1, 1, 6, CODE, BASE + CODE, 0x100, 0, 0, 0);
        section(7, 2, 0, symbols_at, 0, 48, 3, 1, 24);
        section(15, 3, 0, strings_at, 0, strings.len() as u64, 0, 0, 0);
        section(23, 3, 0, names_at, 0, names.len() as u64, 0, 0, 0);
        let kind = if self.build_id { 7 } else { 0 };
        section(33, kind, 2, note, BASE + note, 36, 0, 0, 0);
        file
    }
}

fn executable(path: &Path) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o755)).context("making it executable")
}

fn half(file: &mut Vec<u8>, values: &[u16]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn word(file: &mut Vec<u8>, values: &[u32]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn long(file: &mut Vec<u8>, values: &[u64]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
