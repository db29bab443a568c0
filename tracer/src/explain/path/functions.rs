//! What functions of the kernel decide, in a line each: one table, of which
//! `--path`, `sigtrace explain` and docs/reasons.md are made.

use std::{borrow::Cow, collections::HashMap, sync::OnceLock};

use super::{kernel, sending};

/// Its names, with `|` between those that stand for the same and the kernels that
/// have one in brackets behind it, and what it decides.
pub(super) type Row = (&'static str, &'static str);

/// A name of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Without the compiler's suffixes.
    pub name: &'static str,
    /// `before 5.19`, `since 6.9`; empty: on every kernel that is supported, as far
    /// as it is not inlined.
    pub when: &'static str,
}

/// A function, or several that do the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// What it is called.
    pub names: Vec<Name>,
    /// One line.
    pub decides: &'static str,
}

/// Every function, in the order of the tables.
pub fn all() -> &'static [Function] {
    static ALL: OnceLock<Vec<Function>> = OnceLock::new();
    ALL.get_or_init(|| {
        let rows = sending::ROWS.iter().chain(kernel::ROWS);
        rows.map(|(names, decides)| Function {
            names: names.split('|').map(name).collect(),
            decides,
        })
        .collect()
    })
}

fn name(text: &'static str) -> Name {
    match text
        .strip_suffix(')')
        .and_then(|text| text.split_once(" ("))
    {
        Some((name, when)) => Name { name, when },
        None => Name {
            name: text,
            when: "",
        },
    }
}

/// The function of that name, without suffixes.
pub fn find(name: &str) -> Option<&'static Function> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static Function>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| {
        let names = |function: &'static Function| {
            function.names.iter().map(move |name| (name.name, function))
        };
        all().iter().flat_map(names).collect()
    });
    by_name.get(name).copied()
}

/// What a function decides, also for those that are named by a rule.
pub fn decides(name: &str) -> Option<Cow<'static, str>> {
    if let Some(function) = find(name) {
        return Some(Cow::Borrowed(function.decides));
    }
    if let Some(call) = system_call(name) {
        return Some(Cow::Owned(format!("the system call {call}(2)")));
    }
    let exception = name.strip_prefix("asm_")?;
    let known = exception.starts_with("exc_") || exception.starts_with("sysvec_");
    known.then_some(Cow::Borrowed(
        "the processor's way into the kernel: an exception or an interrupt",
    ))
}

/// `kill` of `__x64_sys_kill`.
fn system_call(name: &str) -> Option<&str> {
    const PREFIXES: [&str; 8] = [
        "__x64_sys_",
        "__ia32_sys_",
        "__ia32_compat_sys_",
        "__arm64_sys_",
        "__se_sys_",
        "__do_sys_",
        "__se_compat_sys_",
        "__do_compat_sys_",
    ];
    PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .filter(|call| !call.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_there_once_and_every_line_is_one() {
        let mut seen = HashSet::new();
        for function in all() {
            let line = function.decides;
            assert!(line.len() > 10 && !line.ends_with('.'), "{line}");
            assert!(line.chars().count() <= 160, "{line}");
            for Name { name, when } in &function.names {
                assert!(seen.insert(*name), "{name} twice");
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                assert!(name.chars().all(plain), "{name}");
                let known = ["", "since ", "before "];
                assert!(known[1..].iter().any(|k| when.starts_with(k)) || when.is_empty());
            }
        }
    }

    #[test]
    fn system_calls_and_exceptions_need_no_row() {
        let said = |name| decides(name).unwrap_or_default().into_owned();
        assert_eq!(said("__x64_sys_tgkill"), "the system call tgkill(2)");
        assert!(said("asm_exc_page_fault").contains("exception"));
        assert_eq!(said("asm_anything"), "");
        assert_eq!(said("__x64_sys_"), "");
        assert_eq!(said("nothing_known"), "");
    }
}
