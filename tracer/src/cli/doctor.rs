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
        diagnosis::{Diagnosis, State},
    },
    output::Format,
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
        Format::Text => text(&mut out, &diagnosis, args.show.use_color())?,
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

fn text(out: &mut impl Write, diagnosis: &Diagnosis, color: bool) -> io::Result<()> {
    let paint = |style: Style, text: &str| {
        if color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    };
    let good = AnsiColor::Green.on_default();
    let warning = AnsiColor::Yellow.on_default();
    let bad = AnsiColor::Red.on_default().bold();
    let Diagnosis {
        kernel,
        checks,
        hooks,
        verdict,
        can_trace,
    } = diagnosis;
    writeln!(out, "kernel {}", printable(kernel))?;
    let width = checks
        .iter()
        .map(|check| check.name.chars().count())
        .max()
        .unwrap_or(0);
    for check in checks {
        let (word, style) = match check.state {
            State::Ok => ("ok      ", good),
            State::Degraded => ("degraded", warning),
            State::Missing => ("missing ", bad),
        };
        let (name, detail) = (printable(&check.name), printable(&check.detail));
        writeln!(out, "  {}  {name:width$}  {detail}", paint(style, word))?;
        for (label, text) in [("lost", &check.lost), ("fix", &check.fix)] {
            if let Some(text) = text {
                writeln!(
                    out,
                    "            {:width$}  {label}: {}",
                    "",
                    printable(text)
                )?;
            }
        }
    }
    if !hooks.is_empty() {
        writeln!(out, "hooks")?;
    }
    let width = hooks
        .iter()
        .map(|hook| hook.hook.chars().count())
        .max()
        .unwrap_or(0);
    let levels = hooks
        .iter()
        .flat_map(|hook| &hook.level)
        .map(|level| level.chars().count());
    let levels = levels.max().unwrap_or(0).max("none".len());
    for hook in hooks {
        let lost = hook
            .lost
            .as_ref()
            .map(|lost| format!("lost: {}", printable(lost)));
        let (level, style) = match &hook.level {
            Some(level) => (
                printable(level),
                if lost.is_some() { warning } else { good },
            ),
            None => ("none".to_owned(), warning),
        };
        let level = paint(style, &format!("{level:<levels$}"));
        let line = format!(
            "  {:width$}  {level}  {}",
            printable(&hook.hook),
            lost.unwrap_or_default()
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(
        out,
        "{}",
        paint(
            if *can_trace { good.bold() } else { bad },
            &printable(verdict)
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::diagnosis::{Check, HookLine};

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
        text(&mut out, &sample(), false).unwrap();
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
    }
}
