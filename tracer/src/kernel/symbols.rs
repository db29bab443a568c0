//! Names of kernel functions, from `/proc/kallsyms`.
//!
//! Only functions are kept (a third of the lines), as one text and two `u32`
//! each: about 2 MB instead of the 40 MB of a map of strings. Read once tracing has
//! begun, since formatting the file costs the kernel some 50 ms that neither the start
//! nor the first event need wait for.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::sys;
use crate::event::decode::Functions;

/// Functions longer than this do not exist; an address further from its
/// nearest symbol belongs to something that is not listed.
const LONGEST: u64 = 1 << 20;

/// The function table.
#[derive(Debug, Default)]
struct Table {
    /// The lowest address.
    base: u64,
    /// Distance from it and position in `names`, sorted.
    entries: Vec<(u32, u32)>,
    /// Names, each ended by a line feed.
    names: String,
}

impl Table {
    /// As far as it can be read: a line that is no text hides no other's name.
    fn read(input: impl BufRead) -> Self {
        let mut raw: Vec<(u64, u32)> = Vec::with_capacity(1 << 16);
        let mut names = String::with_capacity(1 << 20);
        let mut input = input;
        let mut line = Vec::new();
        while matches!(input.read_until(b'\n', &mut line), Ok(1..)) {
            let found = std::str::from_utf8(&line).ok().and_then(function);
            if let Some((address, name)) = found {
                raw.push((address, u32::try_from(names.len()).unwrap_or(u32::MAX)));
                names.push_str(name);
                names.push('\n');
            }
            line.clear();
        }
        raw.sort_by_key(|&(address, _)| address);
        let base = raw.first().map_or(0, |&(address, _)| address);
        let entries = raw
            .iter()
            .filter_map(|&(address, name)| Some((u32::try_from(address - base).ok()?, name)))
            .collect();
        names.shrink_to_fit();
        Self {
            base,
            entries,
            names,
        }
    }

    fn name(&self, address: u64) -> Option<&str> {
        let distance = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let after = self
            .entries
            .partition_point(|&(start, _)| start <= distance);
        let (start, name) = self.entries[after.checked_sub(1)?];
        // Of several names at one address the first listed is the usual one.
        let first = self.entries.partition_point(|&(s, _)| s < start);
        let name = self.entries.get(first).map_or(name, |&(_, name)| name);
        if u64::from(distance - start) > LONGEST {
            return None;
        }
        self.names[name as usize..].split('\n').next().map(plain)
    }
}

/// `ffffffff81000000 T name [module]`; `None` for data, for the zeros that stand in
/// place of hidden addresses, and for the padding before a function (`__pfx_name`,
/// since 6.2), in which no return address lies.
fn function(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?;
    let name = words.next()?;
    let code = matches!(kind, "t" | "T" | "w" | "W") && !name.starts_with("__pfx_");
    (address != 0 && code).then_some((address, name))
}

/// The name without `.part.0`, `.constprop.0`, `.isra.0`, `.cold` and the like: the compiler
/// splits functions, and differently for each kernel.
fn plain(name: &str) -> &str {
    match name.find('.') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

/// Whether this process may see kernel addresses (`kptr_restrict`,
/// CAP_SYSLOG): looks at one line.
pub fn are_visible(kallsyms: &Path) -> bool {
    let Ok(file) = File::open(kallsyms) else {
        return false;
    };
    // The first symbols may be per-CPU offsets, which really are small.
    BufReader::new(file)
        .lines()
        .take(4096)
        .map_while(Result::ok)
        .any(|line| function(&line).is_some())
}

/// Names addresses.
pub struct Symbols {
    /// Until then. The kernel decides when the file is opened whether it shows
    /// addresses, so it has to be open before privileges are given up.
    file: Option<File>,
    reader: Option<JoinHandle<Table>>,
    table: Table,
    /// Addresses that were asked for: stacks repeat.
    cache: HashMap<u64, Option<Arc<str>>>,
}

impl Symbols {
    /// From the given `kallsyms`; nothing has a name where that cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Self {
        Self {
            file: File::open(path).ok(),
            reader: None,
            table: Table::default(),
            cache: HashMap::new(),
        }
    }

    /// Begins to read the table.
    pub fn read_ahead(&mut self) {
        let Some(file) = self.file.take() else { return };
        let read = || {
            let table = Table::read(BufReader::with_capacity(1 << 16, file));
            sys::give_back_memory();
            table
        };
        // Without a thread there are no names, and what rests on them is said to be
        // inferred.
        self.reader = thread::Builder::new()
            .name("symbols".into())
            .spawn(read)
            .ok();
    }
}

impl Functions for Symbols {
    fn name(&mut self, address: u64) -> Option<Arc<str>> {
        if let Some(name) = self.cache.get(&address) {
            return name.clone();
        }
        self.read_ahead();
        if let Some(reader) = self.reader.take() {
            self.table = reader.join().unwrap_or_default();
        }
        // A return address: behind a call that ends its function, it is the
        // next function's first.
        let name = self.table.name(address.wrapping_sub(1)).map(Arc::from);
        // Return addresses are few; a flood of others must not fill memory.
        if self.cache.len() >= 16_384 {
            self.cache.clear();
        }
        self.cache.insert(address, name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "0000000000000000 A fixed_percpu_data\n\
        ffffffff81000100 T do_exit\nffffffff81000000 T _text\n\
        ffffffff81000100 t alias\nffffffff81000500 d data\n\
        ffffffff81000300 t zap_pid_ns_processes\t[module]\n";

    #[test]
    fn an_address_lies_in_the_function_before_it() {
        let table = Table::read(SAMPLE.as_bytes());
        assert_eq!(table.name(0xffff_ffff_8100_0000), Some("_text"));
        assert_eq!(table.name(0xffff_ffff_8100_01ff), Some("do_exit"));
        assert_eq!(
            table.name(0xffff_ffff_8100_0310),
            Some("zap_pid_ns_processes")
        );
        assert_eq!(
            table.name(0xffff_ffff_9100_0310),
            None,
            "too far from any function"
        );
        assert_eq!(table.name(0x1000), None);
    }

    #[test]
    fn what_the_compiler_adds_is_left_out() {
        let table = Table::read("ffffffff81000100 t do_exit.part.0\n".as_bytes());
        assert_eq!(table.name(0xffff_ffff_8100_0100), Some("do_exit"));
        assert_eq!(plain(".text"), ".text");
    }

    #[test]
    fn hidden_addresses_give_no_names() {
        let table = Table::read("0000000000000000 T do_exit\n".as_bytes());
        assert_eq!(table.name(0xffff_ffff_8100_0000), None);
        assert_eq!(Table::read("junk\n\n1 2\n".as_bytes()).entries.len(), 0);
        let broken = b"ffffffff81000100 T \xff\nffffffff81000000 T _text\n";
        let table = Table::read(&broken[..]);
        assert_eq!(table.name(0xffff_ffff_8100_0000), Some("_text"));
    }
}
