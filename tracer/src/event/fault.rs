//! Where in its program a process was when it faulted, or where a handler of it is, as
//! the kernel side reports it: right before the signal, or its delivery. Of places that
//! handlers have to do with it tells once each.

use super::Task;

/// Bytes of a page on x86-64.
const PAGE: u64 = 4096;

/// A place in a program: a process is about to be ended for what it did itself there, or
/// to run its handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The thread.
    pub task: Task,
    /// Its instruction pointer, or the handler's address; 0: not known.
    pub ip: u64,
    /// What is mapped there; `None`: nothing, or not known.
    pub mapping: Option<Mapping>,
}

/// A piece of a process's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first byte.
    pub start: u64,
    /// The first one behind it.
    pub end: u64,
    /// The file that it shows; `None`: none.
    pub file: Option<MappedFile>,
}

/// A file, and where in it the instruction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedFile {
    /// Its name, that of the folder that it is in, and so on: any bytes.
    pub names: Vec<Vec<u8>>,
    /// They go up to the root of its file system.
    pub whole: bool,
    /// From the file's begin to the instruction, bytes.
    pub offset: u64,
    /// Its inode.
    pub inode: u64,
    /// `s_dev` of its file system, as the kernel has it.
    pub device: u32,
    /// What its linker called it (`NT_GNU_BUILD_ID`), by the kernel's own reading.
    pub build_id: Option<Vec<u8>>,
}

impl MappedFile {
    /// The bytes of its path within its file system, as far as it is known.
    pub fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        for name in self.names.iter().rev() {
            if self.whole || !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        path
    }

    /// The build id as tools write it.
    pub fn build_id_text(&self) -> Option<String> {
        let bytes = self.build_id.as_ref()?;
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// From where the mapping begins in memory and in pages in the file.
    pub(super) fn offset_of(ip: u64, start: u64, page_offset: u64) -> u64 {
        let begins = page_offset.saturating_mul(PAGE);
        begins.saturating_add(ip.saturating_sub(start))
    }
}
