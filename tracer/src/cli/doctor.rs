//! `sigtrace doctor`: shows what `kernel` found out. Ends with 0 where the main
//! job can be done and with 3 where it cannot.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::Args as ClapArgs;

use super::{show::Show, Code, Failure};
use crate::{
    event::printable,
    kernel::{
        self,
        diagnosis::{Diagnosis, HookLine, State},
    },
    output::{wrap::wrap, Format},
};

/// Flags.
#[derive(ClapArgs, Clone, Debug)]
pub struct DoctorArgs {
    /// Format and color.
    #[command(flatten)]
    pub show: Show,
}

/// Finds out and shows.
pub fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let diagnosis = kernel::diagnose(kernel::hooks::Forced::Auto);
    let mut out = io::stdout().lock();
    match args.show.format {
        Format::Text => text(
            &mut out,
            &diagnosis,
            args.show.width(),
            args.show.use_color(),
        )?,
        Format::Json => json(&mut out, &diagnosis)?,
    }
    out.flush()?;
    if diagnosis.can_trace {
        Ok(())
    } else {
        Err(Failure::silent(Code::CannotTrace))
    }
}

fn json(out: &mut impl Write, diagnosis: &Diagnosis) -> io::Result<()> {
    let mut line = serde_json::to_value(diagnosis)?;
    line["v"] = 1.into();
    line["event"] = "doctor".into();
    writeln!(out, "{line}")
}

fn text(
    out: &mut impl Write,
    diagnosis: &Diagnosis,
    width: Option<usize>,
    color: bool,
) -> io::Result<()> {
    let paint = |style: Style, text: &str| {
        if color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    };
    // A table's last column: what is before it is painted and so cannot be
    // measured any more.
    let column = |text: &str, at: usize| {
        let text = format!("{:at$}{}", "", printable(text));
        let lines = width.map_or_else(|| vec![text.clone()], |width| wrap(&text, width, at));
        lines.join("\n").trim_start().to_owned()
    };
    let good = AnsiColor::Green.on_default();
    let warning = AnsiColor::Yellow.on_default();
    let bad = AnsiColor::Red.on_default().bold();

    writeln!(out, "kernel {}", printable(&diagnosis.kernel))?;
    let names = widest(diagnosis.checks.iter().map(|check| check.name.as_str()));
    for check in &diagnosis.checks {
        let (word, style) = match check.state {
            State::Ok => ("ok      ", good),
            State::Degraded => ("degraded", warning),
            State::Missing => ("missing ", bad),
        };
        let at = names + 14;
        let (word, name) = (paint(style, word), printable(&check.name));
        writeln!(
            out,
            "  {word}  {name:names$}  {}",
            column(&check.detail, at)
        )?;
        for (label, text) in [("lost", &check.lost), ("fix", &check.fix)] {
            if let Some(text) = text {
                writeln!(out, "{:at$}{}", "", column(&format!("{label}: {text}"), at))?;
            }
        }
    }
    if !diagnosis.hooks.is_empty() {
        writeln!(out, "hooks")?;
    }
    let names = widest(diagnosis.hooks.iter().map(|hook| hook.hook.as_str()));
    let level = |hook: &HookLine| hook.level.clone().unwrap_or_else(|| "none".to_owned());
    let all: Vec<_> = diagnosis.hooks.iter().map(level).collect();
    let levels = widest(all.iter().map(String::as_str));
    for hook in &diagnosis.hooks {
        let whole = hook.level.is_some() && hook.lost.is_none();
        // Nothing is behind the last column.
        let room = if hook.lost.is_some() { levels } else { 0 };
        let level = format!("{:room$}", printable(&level(hook)));
        let level = paint(if whole { good } else { warning }, &level);
        write!(out, "  {:names$}  {level}", printable(&hook.hook))?;
        if let Some(lost) = &hook.lost {
            write!(
                out,
                "  {}",
                column(&format!("lost: {lost}"), names + levels + 6)
            )?;
        }
        writeln!(out)?;
    }
    let style = if diagnosis.can_trace {
        good.bold()
    } else {
        bad
    };
    writeln!(out, "{}", paint(style, &column(&diagnosis.verdict, 0)))
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::diagnosis::Check;

    fn sample() -> Diagnosis {
        Diagnosis {
            kernel: "6.1.0-40-cloud-amd64".into(),
            checks: vec![
                Check {
                    name: "BTF".into(),
                    state: State::Ok,
                    detail: "/sys/kernel/btf/vmlinux".into(),
                    lost: None,
                    fix: None,
                },
                Check {
                    name: "kallsyms".into(),
                    state: State::Degraded,
                    detail: "kptr_restrict=2".into(),
                    lost: Some("names in kernel stacks".into()),
                    fix: Some("sysctl kernel.kptr_restrict=1".into()),
                },
            ],
            hooks: vec![
                HookLine {
                    hook: "signal_generate".into(),
                    level: Some("tp_btf".into()),
                    lost: None,
                },
                HookLine {
                    hook: "dequeue_signal".into(),
                    level: None,
                    lost: Some("`accepted` is inferred".into()),
                },
            ],
            verdict: "the main job can be done".into(),
            can_trace: true,
        }
    }

    #[test]
    fn text_and_json() {
        let mut out = Vec::new();
        text(&mut out, &sample(), None, false).unwrap();
        let expected = "\
kernel 6.1.0-40-cloud-amd64
  ok        BTF       /sys/kernel/btf/vmlinux
  degraded  kallsyms  kptr_restrict=2
                      lost: names in kernel stacks
                      fix: sysctl kernel.kptr_restrict=1
hooks
  signal_generate  tp_btf
  dequeue_signal   none    lost: `accepted` is inferred
the main job can be done
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);

        let mut out = Vec::new();
        json(&mut out, &sample()).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(line["checks"][1]["state"], "degraded");
        assert_eq!(line["hooks"][1].get("level"), None);
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema.json");
        let schema = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        assert!(schema.is_valid(&line), "{line}");
    }
}
