//! The function at an offset of a file: what the process that may do nothing does.
//! It reads the file at its standard input and writes one line of JSON.

use std::{io, path::Path};

use blazesym::{
    helper::read_elf_build_id,
    symbolize::{source, Input, Symbolizer},
};
use serde::{Deserialize, Serialize};

/// The file.
const INPUT: &str = "/proc/self/fd/0";
/// Names longer than this are nobody's; a line is read up to a limit.
const LONGEST: usize = 512;

/// What is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name, readable.
    pub name: String,
    /// From its begin to the place, bytes.
    pub offset: u64,
    /// Where its source is.
    pub source: Option<String>,
}

/// Finds it; `None`: no symbol of the file covers that place. `build_id`: it has to
/// have this one.
pub fn at(offset: u64, build_id: Option<&str>) -> io::Result<Option<Function>> {
    in_file(Path::new(INPUT), offset, build_id)
}

fn in_file(path: &Path, offset: u64, build_id: Option<&str>) -> io::Result<Option<Function>> {
    let failed = |error: blazesym::Error| io::Error::other(error.to_string());
    if let Some(wanted) = build_id {
        let id = read_elf_build_id(path).map_err(failed)?.unwrap_or_default();
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        if id != wanted {
            return Ok(None);
        }
    }
    let symbolizer = Symbolizer::builder()
        .enable_inlined_fns(false)
        .set_debug_dirs(Some::<[&Path; 0]>([]))
        .build();
    let source = source::Source::Elf(source::Elf::new(path));
    let found = symbolizer
        .symbolize_single(&source, Input::FileOffset(offset))
        .map_err(failed)?;
    let Some(symbol) = found.into_sym() else {
        return Ok(None);
    };
    // The nearest symbol is not the function unless it says how long that is.
    let covers = symbol.size.is_some_and(|size| symbol.offset < size);
    if !covers || symbol.name.is_empty() {
        return Ok(None);
    }
    let source = symbol.code_info.as_ref().map(|code| {
        let file = code.to_path();
        match code.line {
            Some(line) => format!("{}:{line}", file.display()),
            None => file.display().to_string(),
        }
    });
    Ok(Some(Function {
        name: cut(&symbol.name),
        offset: symbol.offset as u64,
        source: source.map(|source| cut(&source)),
    }))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs};

    #[test]
    #[inline(never)]
    fn this_very_function() {
        // This test program has symbols.
        let own = env::current_exe().unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let address = this_very_function as fn() as usize as u64;
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let offset = maps.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let begins = hex(words.nth(1)?);
            (hex(start)..hex(end))
                .contains(&address)
                .then_some(begins + address - hex(start))
        });
        let found = in_file(&own, offset.unwrap(), None).unwrap().unwrap();
        assert!(found.name.contains("this_very_function"), "{found:?}");
        assert!(found.source.unwrap().contains("name.rs:"));
        assert_eq!(found.offset, 0);
        assert_eq!(
            in_file(&own, offset.unwrap(), Some("00")).unwrap(),
            None,
            "another build"
        );
    }

    #[test]
    fn what_is_no_program_is_an_error_and_no_panic() {
        let path = env::temp_dir().join(format!("sigtrace-name-{}", std::process::id()));
        let head = &fs::read(env::current_exe().unwrap()).unwrap()[..4096];
        let mut broken = head.to_vec();
        broken[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        for bytes in [&b""[..], b"\x7fELF", b"no program", head, &broken] {
            fs::write(&path, bytes).unwrap();
            assert!(!matches!(in_file(&path, 0x100, None), Ok(Some(_))));
        }
        fs::remove_file(path).unwrap();
    }
}
