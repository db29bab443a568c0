//! Reads the running kernel's own type information
//! (`/sys/kernel/btf/vmlinux`, format: `Documentation/bpf/btf.rst`) for a
//! few questions: where does a field lie, how large is a struct, which value has
//! a name, how many arguments has a function, and by which id is it attached to.
//!
//! aya's parser keeps every type in memory and shows no members; this one
//! keeps one `u32` per type, looks at the wanted structs, and is dropped.

use std::collections::HashMap;

use sigtrace_common::layout::{Layout, ABSENT};

use super::types::CONTROLLERS;

pub mod ids;

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;
/// Structs in structs in structs: more than the kernel nests.
const DEPTH: u32 = 16;

/// Why the type information could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// Too short, or a field points outside.
    #[error("the type information is cut off")]
    Truncated,
    /// Another format or byte order.
    #[error("the type information does not begin with 0xeb9f")]
    Magic,
    /// A kind of type that came after this program was written.
    #[error("the type information has the unknown kind {0}")]
    Kind(u32),
}

/// Parsed type information, borrowing the bytes of the file.
pub struct Btf<'a> {
    data: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `data`; entry 0 is `void`.
    types: Vec<u32>,
    structs: HashMap<&'a [u8], u32>,
    typedefs: HashMap<&'a [u8], u32>,
    functions: HashMap<&'a [u8], u32>,
    enums: HashMap<&'a [u8], u32>,
}

impl<'a> Btf<'a> {
    /// Indexes `bytes`; `functions` are the functions and typedefs that will be
    /// asked for.
    pub fn parse(bytes: &'a [u8], functions: &[&str]) -> Result<Self, BtfError> {
        let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        if half(0).ok_or(BtfError::Truncated)? != MAGIC {
            return Err(BtfError::Magic);
        }
        let header = word(bytes, 4)? as usize;
        let section = |at: usize| -> Result<&'a [u8], BtfError> {
            let from = header + word(bytes, at)? as usize;
            let len = word(bytes, at + 4)? as usize;
            bytes
                .get(from..from.saturating_add(len))
                .ok_or(BtfError::Truncated)
        };
        let mut btf = Self {
            data: section(8)?,
            strings: section(16)?,
            types: vec![0],
            structs: HashMap::new(),
            typedefs: HashMap::new(),
            functions: HashMap::new(),
            enums: HashMap::new(),
        };
        btf.index(functions)?;
        Ok(btf)
    }

    fn index(&mut self, functions: &[&str]) -> Result<(), BtfError> {
        let wanted: std::collections::HashSet<&[u8]> = Layout::PATHS
            .iter()
            .flat_map(|(_, paths)| paths.iter())
            .map(|path| struct_name(path).as_bytes())
            .collect();
        let functions: std::collections::HashSet<&[u8]> =
            functions.iter().map(|name| name.as_bytes()).collect();
        // Room for all, so that it need not be copied to grow; what is not used is
        // no memory. A type takes 12 bytes and, on the average, as many behind.
        self.types.reserve(self.data.len() / 16);
        let mut at = 0;
        while at < self.data.len() {
            let id = u32::try_from(self.types.len()).map_err(|_| BtfError::Truncated)?;
            self.types
                .push(u32::try_from(at).map_err(|_| BtfError::Truncated)?);
            let (name, info) = (word(self.data, at)?, word(self.data, at + 4)?);
            let (kind, count) = (kind(info), (info & 0xffff) as usize);
            match kind {
                KIND_STRUCT => {
                    let name = self.string(name);
                    if wanted.contains(name) {
                        self.structs.entry(name).or_insert(id);
                    }
                }
                KIND_ENUM => {
                    let name = self.string(name);
                    if wanted.contains(name) || name == CONTROLLERS.as_bytes() {
                        self.enums.entry(name).or_insert(id);
                    }
                }
                KIND_TYPEDEF => {
                    let name = self.string(name);
                    if functions.contains(name) {
                        self.typedefs.entry(name).or_insert(id);
                    }
                }
                KIND_FUNC => {
                    let name = self.string(name);
                    if functions.contains(name) {
                        self.functions.entry(name).or_insert(id);
                    }
                }
                _ => {}
            }
            at += 12
                + match kind {
                    KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                    KIND_ARRAY => 12,
                    KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * count,
                    KIND_ENUM | KIND_FUNC_PROTO => 8 * count,
                    0..=19 => 0,
                    unknown => return Err(BtfError::Kind(unknown)),
                };
        }
        Ok(())
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        let tail = self.strings.get(offset as usize..).unwrap_or_default();
        let end = tail.iter().position(|&b| b == 0).unwrap_or(0);
        &tail[..end]
    }

    /// Offset of `struct.member.member`, or the value of `sizeof struct` or of
    /// `enum type.name`.
    pub fn offset(&self, path: &str) -> Option<u32> {
        if let Some(name) = path.strip_prefix("enum ") {
            let (of, name) = name.split_once('.')?;
            return self.enumerator(of, name);
        }
        let id = *self.structs.get(struct_name(path).as_bytes())?;
        if path.starts_with("sizeof ") {
            return word(self.data, *self.types.get(id as usize)? as usize + 8).ok();
        }
        let (mut id, mut bits) = (id, 0);
        for member in path.split('.').skip(1) {
            let (offset, of) = self.member(self.resolve(id)?, member.as_bytes(), DEPTH)?;
            bits += offset;
            id = of;
        }
        Some(bits / 8)
    }

    /// Bit offset and type of a member, through unnamed structs and unions.
    fn member(&self, id: u32, wanted: &[u8], depth: u32) -> Option<(u32, u32)> {
        let at = *self.types.get(id as usize)? as usize;
        let info = word(self.data, at + 4).ok()?;
        if !matches!(kind(info), KIND_STRUCT | KIND_UNION) || depth == 0 {
            return None;
        }
        for i in 0..(info & 0xffff) as usize {
            let member = at + 12 + 12 * i;
            let name = self.string(word(self.data, member).ok()?);
            let of = word(self.data, member + 4).ok()?;
            let offset = word(self.data, member + 8).ok()?;
            // With the kind flag the upper 8 bits are a bit field's width.
            let bits = if info >> 31 == 1 {
                offset & 0x00ff_ffff
            } else {
                offset
            };
            if name == wanted {
                return Some((bits, of));
            }
            if name.is_empty() {
                let inner = self
                    .resolve(of)
                    .and_then(|of| self.member(of, wanted, depth - 1));
                if let Some((inner_bits, of)) = inner {
                    return Some((bits + inner_bits, of));
                }
            }
        }
        None
    }

    /// Through typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..DEPTH {
            let at = *self.types.get(id as usize)? as usize;
            match kind(word(self.data, at + 4).ok()?) {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = word(self.data, at + 8).ok()?;
                }
                _ => return Some(id),
            }
        }
        None
    }

    /// The value of a name in an enumeration.
    pub fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        let id = *self.enums.get(of.as_bytes())?;
        let at = *self.types.get(id as usize)? as usize;
        let count = (word(self.data, at + 4).ok()? & 0xffff) as usize;
        let entries = (0..count).map(|i| at + 12 + 8 * i);
        for entry in entries {
            if self.string(word(self.data, entry).ok()?) == name.as_bytes() {
                return word(self.data, entry + 4).ok();
            }
        }
        None
    }

    /// The id of a function, by which a program is attached to it.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }

    /// The id of a typedef; that of a tracepoint is `btf_trace_NAME`.
    pub fn typedef(&self, name: &str) -> Option<u32> {
        self.typedefs.get(name.as_bytes()).copied()
    }

    /// Number of arguments of a kernel function; `None`: no such function.
    pub fn arguments(&self, function: &str) -> Option<u32> {
        let at = self.types[self.function(function)? as usize] as usize;
        self.proto_arguments(word(self.data, at + 8).ok()?)
    }

    /// Number of arguments of a tracepoint: `typedef void
    /// (*btf_trace_NAME)(void *, …)`, less the first.
    pub fn tracepoint_arguments(&self, tracepoint: &str) -> Option<u32> {
        let name = format!("btf_trace_{tracepoint}");
        let typedef = self.types[self.typedef(&name)? as usize] as usize;
        let pointer = *self
            .types
            .get(word(self.data, typedef + 8).ok()? as usize)? as usize;
        self.proto_arguments(word(self.data, pointer + 8).ok()?)?
            .checked_sub(1)
    }

    fn proto_arguments(&self, id: u32) -> Option<u32> {
        let info = word(self.data, *self.types.get(id as usize)? as usize + 4).ok()?;
        (kind(info) == KIND_FUNC_PROTO).then_some(info & 0xffff)
    }

    /// The table of offsets, with [`ABSENT`] for what this kernel lacks.
    pub fn layout(&self) -> Layout {
        let mut layout = Layout::EMPTY;
        for (field, (_, paths)) in layout.fields_mut().into_iter().zip(Layout::PATHS) {
            *field = paths
                .iter()
                .find_map(|path| self.offset(path))
                .unwrap_or(ABSENT);
        }
        layout
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let word = bytes.get(at..at + 4).ok_or(BtfError::Truncated)?;
    Ok(u32::from_le_bytes(
        word.try_into().map_err(|_| BtfError::Truncated)?,
    ))
}

fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn struct_name(path: &str) -> &str {
    let path = ["sizeof ", "enum "]
        .iter()
        .find_map(|sort| path.strip_prefix(sort))
        .unwrap_or(path);
    path.split('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
