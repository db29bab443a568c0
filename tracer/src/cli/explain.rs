//! `sigtrace explain`: what an id, a signal or an exit code means. Ids come from
//! the table in [`explain::ids`](crate::explain::ids), which makes
//! docs/reasons.md too (`--markdown`); this file finds and lays out.

use std::io::{self, Write};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{show::Show, topic, Code, Failure};
use crate::{
    event::printable,
    explain::{
        ids::{self, Kind},
        path::functions,
        signals,
    },
    nearest::nearest,
    output::{wrap::wrap, Format},
};

/// Flags.
#[derive(ClapArgs, Clone, Debug)]
pub struct ExplainArgs {
    /// An id as sigtrace reports it (init-no-handler), a signal (SIGTERM, RTMIN+3),
    /// an exit code (137), or a function of the kernel as --path has it
    /// (prepare_signal). A number up to 64 is explained as signal and as exit code.
    /// Nothing: a list of all ids
    #[arg(value_name = "ID|SIGNAL|EXITCODE|FUNCTION")]
    pub what: Option<String>,
    /// The page docs/reasons.md.
    #[arg(long, hide = true, conflicts_with = "what")]
    pub markdown: bool,
    /// Format and color.
    #[command(flatten)]
    pub show: Show,
}

/// One explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Topic {
    /// `fate`, `reason`, `cause`, `mechanism`, `signal`, `exit_code`, `function`.
    pub(crate) kind: &'static str,
    /// `pid1-exited`, `SIGTERM`, `137`.
    pub(crate) id: String,
    /// Of a signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<i32>,
    /// One line.
    pub(crate) meaning: String,
    /// Sentences.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
    /// What to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) advice: String,
    /// Of an id: whether this version reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reported: Option<bool>,
}

impl From<&ids::Entry> for Topic {
    fn from(entry: &ids::Entry) -> Self {
        Self {
            kind: entry.kind.word(),
            id: entry.id.to_owned(),
            number: None,
            meaning: entry.meaning.to_owned(),
            text: entry.text.to_owned(),
            advice: entry.advice.to_owned(),
            reported: Some(entry.reported),
        }
    }
}

/// Explains.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let topics = match &args.what {
        None if args.markdown => return Ok(out.write_all(markdown().as_bytes())?),
        None => {
            let mut ids: Vec<_> = ids::all().iter().collect();
            // In the order of the page, what never comes up last.
            ids.sort_by_key(|entry| (entry.kind, !entry.reported));
            ids.into_iter().map(Topic::from).collect()
        }
        Some(what) => topic::find(what),
    };
    if let (true, Some(what)) = (topics.is_empty(), &args.what) {
        let ids = ids::all().iter().map(|entry| entry.id.to_owned());
        let signals = (1..=31).map(|number| signals::name(number).into_owned());
        let functions = functions::all().iter().flat_map(|function| &function.names);
        let functions = functions.map(|name| name.name.to_owned());
        let similar = nearest(what, ids.chain(signals).chain(functions));
        let known = "`sigtrace explain` lists all ids; signals, exit codes and the functions of --path are known too";
        if let Ok(number) = what.trim().parse::<i64>() {
            let message = format!(
                "{number} is neither a signal (1 to {}) nor an exit code (0 to 255); {known}",
                signals::RTMAX
            );
            return Err(Failure::new(Code::NotFound, anyhow::Error::msg(message)));
        }
        let message = match similar.as_slice() {
            [] => format!("nothing is called {what:?}; {known}"),
            _ => format!(
                "nothing is called {what:?}; did you mean {}? {known}",
                similar.join(", ")
            ),
        };
        return Err(Failure::new(Code::NotFound, anyhow::Error::msg(message)));
    }
    match (args.show.format, &args.what) {
        (Format::Json, _) => json(&mut out, &topics)?,
        (Format::Text, None) => list(&mut out, &topics, args.show.width())?,
        (Format::Text, Some(_)) => {
            text(&mut out, &topics, args.show.width(), args.show.use_color())?;
        }
    }
    Ok(out.flush()?)
}

fn json(out: &mut impl Write, topics: &[Topic]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        event: &'static str,
        v: u32,
        #[serde(flatten)]
        topic: &'a Topic,
    }
    for topic in topics {
        let line = Line {
            event: "explain",
            v: 1,
            topic,
        };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}

const NOT_REPORTED: &str = "not reported by this version";

/// How a kind is said.
fn kind(kind: &str) -> &str {
    match kind {
        "cause" => "cause of death",
        "fate" => "fate of a signal",
        "mechanism" => "mechanism of a death",
        "exit_code" => "exit code",
        "function" => "function of the kernel",
        other => other,
    }
}

fn text(
    out: &mut impl Write,
    topics: &[Topic],
    width: Option<usize>,
    color: bool,
) -> io::Result<()> {
    let bold = |text: &str| {
        let style = anstyle::Style::new().bold();
        if color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    };
    // Lines longer than this are hard to read, however wide the terminal.
    let lines = |text: String, hang| match width {
        Some(width) => wrap(&text, width.min(100), hang),
        None => vec![text],
    };
    for (i, topic) in topics.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        let id = printable(&topic.id);
        let head = format!("{id} ({}): {}", kind(topic.kind), topic.meaning);
        for (j, line) in lines(head, 2).iter().enumerate() {
            match line.strip_prefix(&id) {
                Some(rest) if j == 0 => writeln!(out, "{}{rest}", bold(&id))?,
                _ => writeln!(out, "{line}")?,
            }
        }
        let note = match topic.reported {
            Some(false) => NOT_REPORTED,
            _ => "",
        };
        for (label, text) in [("note", note), ("why", &topic.text), ("fix", &topic.advice)] {
            if text.is_empty() {
                continue;
            }
            for line in lines(format!("   {label:<6} {text}"), 10) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}

fn list(out: &mut impl Write, topics: &[Topic], width: Option<usize>) -> io::Result<()> {
    let column = topics.iter().map(|topic| topic.id.len()).max().unwrap_or(0);
    let mut last = "";
    for topic in topics {
        if topic.kind != last {
            last = topic.kind;
            writeln!(out, "{}", title(last))?;
        }
        let mark = match topic.reported {
            Some(false) => format!(" ({NOT_REPORTED})"),
            _ => String::new(),
        };
        let line = format!("  {:column$}  {}{mark}", topic.id, topic.meaning);
        for line in width.map_or_else(
            || vec![line.clone()],
            |width| wrap(&line, width, column + 4),
        ) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn title(kind: &str) -> &'static str {
    match kind {
        "fate" => "Fates: what became of a signal",
        "reason" => "Reasons: why, and what contributed to a death",
        "cause" => "Causes of death",
        _ => "Mechanisms: how a death was carried out",
    }
}

/// The page of all ids.
fn markdown() -> String {
    let mut page = String::from(
        "# What the ids mean\n\n\
         Every signal that sigtrace sees gets a fate, a fate that needs one a reason, every death a\n\
         cause and a mechanism. The ids never change their meaning. `sigtrace explain ID` says the\n\
         same; this page is made of the same table (`sigtrace explain --markdown`). Some ids are here\n\
         before any rule leads to them; they are marked as not reported. A death that no rule fits is\n\
         `unknown`, with its evidence.\n",
    );
    for kind in [Kind::Fate, Kind::Reason, Kind::Cause, Kind::Mechanism] {
        page += &format!("\n## {}\n", title(kind.word()));
        for entry in ids::all().iter().filter(|entry| entry.kind == kind) {
            page += &format!(
                "\n### `{}`\n{}. {}\n",
                entry.id,
                capital(entry.meaning),
                entry.text
            );
            if !entry.reported {
                page += &format!("\n*{}.*\n", capital(NOT_REPORTED));
            }
            if !entry.advice.is_empty() {
                page += &format!("\n**What to do:** {}\n", entry.advice);
            }
        }
    }
    page += &functions_page();
    page
}

/// What `--path` says of each function.
fn functions_page() -> String {
    let mut page = String::from(
        "\n## Functions of the kernel\n\n\
         What `--path` says of each; the kernels that have a name, where not all that are supported do,\n\
         stand behind it. The compiler may inline any of them, which is then on no stack.\n\n\
         | function | what it decides |\n|---|---|\n",
    );
    for function in functions::all() {
        let name = |name: &functions::Name| match name.when {
            "" => format!("`{}`", name.name),
            when => format!("`{}` ({when})", name.name),
        };
        let names: Vec<_> = function.names.iter().map(name).collect();
        page += &format!("| {} | {} |\n", names.join(", "), function.decides);
    }
    page
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    fn shown(what: &str, width: Option<usize>) -> String {
        let mut out = Vec::new();
        text(&mut out, &topic::find(what), width, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_id_in_text_and_json() {
        let wide = shown("pid1-exited", Some(80));
        assert!(wide.starts_with("pid1-exited (cause of death): "), "{wide}");
        assert!(
            wide.lines().all(|line| line.chars().count() <= 80),
            "{wide}"
        );
        assert_eq!(
            shown("pid1-exited", None).lines().count(),
            3,
            "head, why, fix"
        );
        let mut out = Vec::new();
        json(&mut out, &topic::find("exit")).unwrap();
        let lines: Vec<serde_json::Value> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        let kinds: Vec<_> = lines
            .iter()
            .map(|line| line["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["cause", "mechanism"]);
    }

    #[test]
    fn every_line_is_as_the_schema_says() {
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema.json");
        let schema = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let ids: Vec<_> = ids::all().iter().map(Topic::from).collect();
        let asked = ["SIGTERM", "RTMIN+3", "9", "137", "0", "prepare_signal"].map(topic::find);
        let mut out = Vec::new();
        json(&mut out, &ids).unwrap();
        for topics in &asked {
            assert!(!topics.is_empty());
            json(&mut out, topics).unwrap();
        }
        for line in String::from_utf8(out).unwrap().lines() {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(schema.is_valid(&line), "{line}");
            line["surprise"] = 1.into();
            assert!(!schema.is_valid(&line), "{line}");
        }
    }

    #[test]
    fn what_is_not_reported_yet_is_marked() {
        let shown = shown("unknown", None);
        assert!(
            shown.contains("\n   note   not reported by this version\n"),
            "{shown}"
        );
        for (what, mark) in [
            ("unknown", Some("false")),
            ("pid1-exited", Some("true")),
            ("SIGTERM", None),
        ] {
            let mut out = Vec::new();
            json(&mut out, &topic::find(what)).unwrap();
            let line = String::from_utf8(out).unwrap();
            let said = mark.map(|mark| format!("\"reported\":{mark}}}"));
            match said {
                Some(said) => assert!(line.contains(&said), "{line}"),
                None => assert!(!line.contains("reported"), "{line}"),
            }
        }
    }

    #[test]
    fn the_page_in_docs_is_this_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reasons.md");
        if env::var_os("SIGTRACE_BLESS").is_some() {
            fs::write(&path, markdown()).unwrap();
        }
        let page = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            page == markdown(),
            "docs/reasons.md is old: SIGTRACE_BLESS=1 cargo test -p sigtrace"
        );
    }

    #[test]
    fn a_number_that_is_nothing_is_said_to_be_none() {
        let args = ExplainArgs {
            what: Some("256".into()),
            markdown: false,
            show: Show::default(),
        };
        let failure = run(&args).unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        let said = failure.error.unwrap().to_string();
        assert!(said.starts_with("256 is neither a signal"), "{said}");
    }

    #[test]
    fn every_id_is_listed_on_one_line_when_piped() {
        let topics: Vec<_> = ids::all().iter().map(Topic::from).collect();
        let mut out = Vec::new();
        list(&mut out, &topics, None).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap().lines().count(),
            topics.len() + 4
        );
    }
}
