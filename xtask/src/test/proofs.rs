//! `docs/proofs.md`: which id of the contract is proven on which kernel with which
//! hooks, made of what the boots claimed (`GRADE` lines, read by `play`) and of the
//! list of ids in `docs/reasons.md`. A whole run compares the page with what it
//! has seen, so that it cannot be untrue; with `SIGTRACE_BLESS` it writes the page.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use super::tally::Tally;
use crate::places::Places;
use crate::ui;

const PAGE: &str = "docs/proofs.md";
const IDS: &str = "docs/reasons.md";
const BLESS: &str = "SIGTRACE_BLESS";

const HEAD: &str = "\
# What is proven where

Every id of the contract ([reasons.md](reasons.md)), and how surely sigtrace says it on each kernel with each set of
hooks. `cargo xtask test` makes this page: in each boot programs make the thing happen, so that the truth is known,
and the test holds what sigtrace says against it and against `tests/expected.toml`. A run that sees anything else
than this page fails, and prints what it saw (`SIGTRACE_BLESS=1` writes the page anew).

**P** proven · **p** proven, but not in every situation (see the notes) · **i** inferred: something is missing, and the
event says what · **x** impossible there: sigtrace says `unknown` and what is missing · empty: nothing makes it
happen there. The column `engines` is Docker and Podman of Debian 12. Scenarios that some boot cannot play, and ids that
no boot makes happen, stand at the end.
";

/// One id that a scenario claimed, and how surely.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grade {
    /// `fate`, `reason`, `cause` or `mechanism`.
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) sure: String,
    pub(crate) because: String,
}

impl Grade {
    /// What follows `GRADE `.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let mut next = || words.next().map(str::to_owned);
        Some(Self {
            kind: next()?,
            id: next()?,
            sure: next()?,
            because: next().unwrap_or_default(),
        })
    }
}

/// What one boot claimed; its place in the table is its place in the plan.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) grades: Vec<Grade>,
    pub(crate) skips: Vec<(String, String)>,
}

/// Compares the page with what was seen, or writes it.
pub(crate) fn check(places: &Places, columns: &[Column]) -> Result<Tally> {
    let ids = fs::read_to_string(places.root.join(IDS)).context(IDS)?;
    let seen = page(&ids, columns);
    let path = places.root.join(PAGE);
    if env::var_os(BLESS).is_some() {
        fs::write(&path, seen).with_context(|| format!("cannot write {PAGE}"))?;
        ui::say(&format!("wrote {PAGE}"));
        return Ok(Tally::default());
    }
    let beside = places.target.join("proofs.md");
    let Ok(page) = fs::read_to_string(&path) else {
        fs::write(&beside, seen).with_context(|| beside.display().to_string())?;
        ui::note(&format!(
            "there is no {PAGE} yet to compare with; what was seen is {}",
            beside.display()
        ));
        return Ok(Tally::default());
    };
    if page == seen {
        return Ok(Tally::one("", true));
    }
    fs::write(&beside, &seen).with_context(|| beside.display().to_string())?;
    println!(
        "{PAGE} is not what was seen; this is, and stands in {}:\n{seen}",
        beside.display()
    );
    Ok(Tally::one(&format!("{PAGE} is not what was seen"), false))
}

/// The ids in their order, from the headings of the contract's page.
fn ids(text: &str) -> Vec<(&'static str, &str)> {
    let mut kind = "";
    let mut ids = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            kind = ["fate", "reason", "cause", "mechanism"]
                .into_iter()
                .find(|kind| title.to_lowercase().starts_with(kind))
                .unwrap_or_default();
        } else if let Some(id) = line.strip_prefix("### `") {
            ids.push((kind, id.trim_end_matches('`')));
        }
    }
    ids
}

fn page(contract: &str, columns: &[Column]) -> String {
    let ids = ids(contract);
    let mut page = HEAD.to_owned();
    let mut unplayed = String::new();
    for (kind, title) in [
        ("fate", "Fates"),
        ("reason", "Reasons"),
        ("cause", "Causes of death"),
        ("mechanism", "Mechanisms"),
    ] {
        let _ = write!(page, "\n## {title}\n\n| id |");
        for column in columns {
            let _ = write!(page, " {} |", column.title);
        }
        let _ = writeln!(page, "\n|---|{}", "---|".repeat(columns.len()));
        let mut notes = String::new();
        let own: Vec<&str> = (ids.iter().filter(|(of, _)| *of == kind))
            .map(|(_, id)| *id)
            .collect();
        for id in own {
            let cells: Vec<&str> = (columns.iter())
                .map(|column| cell(&column.grades, kind, id))
                .collect();
            if cells.iter().all(|cell| cell.is_empty()) {
                let _ = writeln!(unplayed, "- {kind} `{id}`");
                continue;
            }
            let _ = writeln!(page, "| `{id}` | {} |", cells.join(" | "));
            notes += &note(columns, kind, id);
        }
        if !notes.is_empty() {
            let _ = write!(page, "\n{notes}");
        }
    }
    let _ = write!(
        page,
        "\n## What is not played everywhere\n\n{}",
        unplayed_there(columns)
    );
    let _ = write!(
        page,
        "\n## What no boot makes happen\n\nThese have unit tests over histories alone, or no rule leads to them yet \
         (`sigtrace explain ID` says which).\n\n{unplayed}"
    );
    page
}

fn cell(grades: &[Grade], kind: &str, id: &str) -> &'static str {
    let own = grades.iter().filter(|g| g.kind == kind && g.id == id);
    let sure: BTreeSet<&str> = own.map(|grade| grade.sure.as_str()).collect();
    match (
        sure.contains("proven"),
        sure.contains("inferred"),
        sure.len(),
    ) {
        (_, _, 0) => "",
        (true, _, 1) => "P",
        (true, ..) => "p",
        (_, true, _) => "i",
        _ => "x",
    }
}

/// Which scenarios were left out where, and why.
fn unplayed_there(columns: &[Column]) -> String {
    let mut skips: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for column in columns {
        for (name, why) in &column.skips {
            skips.entry((name, why)).or_default().push(&column.title);
        }
    }
    skips
        .iter()
        .fold(String::new(), |mut text, ((name, why), places)| {
            let _ = writeln!(text, "- `{name}` on {}: {why}.", places.join(", "));
            text
        })
}

/// Why an id is less than proven, and in which columns.
fn note(columns: &[Column], kind: &str, id: &str) -> String {
    let mut whys: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for column in columns {
        for grade in &column.grades {
            if grade.kind == kind && grade.id == id && grade.sure != "proven" {
                let places = whys.entry((&grade.because, &grade.sure)).or_default();
                places.push(&column.title);
            }
        }
    }
    whys.iter()
        .fold(String::new(), |mut text, ((why, sure), places)| {
            let places = if places.len() == columns.len() {
                "everywhere".to_owned()
            } else {
                format!("on {}", places.join(", "))
            };
            let _ = writeln!(text, "- `{id}` {sure} {places}: {why}.");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str =
        "# What\n## Fates: what\n### `dropped`\n### `fatal`\n## Reasons: why\n### `zombie`\n\
                            ## Causes of death\n### `exit`\n## Mechanisms: how\n### `exit`\n";

    fn column(title: &str, grades: &[&str]) -> Column {
        Column {
            title: title.to_owned(),
            grades: grades.iter().filter_map(|text| Grade::read(text)).collect(),
            skips: vec![("perf".into(), "no counters".into())],
        }
    }

    #[test]
    fn each_id_has_its_cells_and_its_notes() {
        let columns = [
            column(
                "5.10 raw",
                &["fate fatal inferred no hook on it", "cause exit proven"],
            ),
            column(
                "6.12 auto",
                &[
                    "fate fatal inferred no hook on it",
                    "fate fatal proven",
                    "reason zombie impossible too late",
                ],
            ),
        ];
        let page = page(CONTRACT, &columns);
        assert!(page.contains("| id | 5.10 raw | 6.12 auto |"), "{page}");
        assert!(page.contains("| `fatal` | i | p |"), "{page}");
        assert!(page.contains("| `zombie` |  | x |"), "{page}");
        assert!(page.contains("| `exit` | P |  |"), "{page}");
        assert!(
            page.contains("- `fatal` inferred everywhere: no hook on it."),
            "{page}"
        );
        assert!(
            page.contains("- `zombie` impossible on 6.12 auto: too late."),
            "{page}"
        );
        assert!(
            page.contains("- `perf` on 5.10 raw, 6.12 auto: no counters."),
            "{page}"
        );
        assert!(
            page.ends_with("- fate `dropped`\n- mechanism `exit`\n"),
            "{page}"
        );
    }

    #[test]
    fn a_grade_is_read_back() {
        let grade = Grade::read("cause oom-memcg inferred no hook on it").unwrap();
        assert_eq!(grade.because, "no hook on it");
        assert_eq!(Grade::read("cause exit proven").unwrap().because, "");
        assert_eq!(Grade::read("cause"), None);
    }
}
