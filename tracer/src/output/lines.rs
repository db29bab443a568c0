//! Lines of text: columns, rows below an event, color, one line per event when
//! piped. Everything that is written passes through here and is made printable
//! here, so that no byte from outside reaches the terminal as it is. (Names of
//! processes are so already where they have been put into words.)

use std::{fmt::Write as _, io};

use anstyle::{AnsiColor, Style};

pub(crate) use super::steps::Step;
use super::{
    steps,
    timeline::Timeline,
    wrap::{wrap, HARD_SPACE},
    Context,
};
use crate::{
    event::{printable, BootTime},
    explain::words,
};

/// Column of what an event is about: behind the time and the kind.
const SUBJECT: usize = 24;
/// Width of that column where there is room.
const SUBJECT_WIDTH: usize = 45;
/// Column of the text of a row: `   why    `.
const ROW: usize = 10;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Warning,
    Alarm,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Warning => AnsiColor::Yellow.on_default().bold(),
            Self::Alarm => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// An event with the rows below it.
#[derive(Debug)]
pub(crate) struct Block {
    time: BootTime,
    kind: String,
    subject: String,
    pub(super) result: String,
    id: String,
    tone: Tone,
    rows: Vec<(&'static str, Rows)>,
    more: Option<String>,
}

/// What a row holds.
#[derive(Debug)]
enum Rows {
    /// Texts, each on a line of its own.
    Texts(Vec<String>),
    /// A way.
    Steps(Vec<Step>),
}

impl Block {
    pub(crate) fn new(
        time: BootTime,
        kind: &str,
        subject: &str,
        result: &str,
        id: &str,
        tone: Tone,
    ) -> Self {
        Self {
            time,
            kind: printable(kind),
            subject: printable(subject),
            result: printable(result),
            id: printable(id),
            tone,
            rows: Vec::new(),
            more: None,
        }
    }

    /// A row with a label, each text on a line of its own; nothing for none.
    pub(crate) fn row(&mut self, label: &'static str, texts: &[String]) {
        if !texts.is_empty() {
            let texts = texts.iter().map(|text| printable(text)).collect();
            self.rows.push((label, Rows::Texts(texts)));
        }
    }

    /// A row that is a way, each step on a line of its own; nothing for none.
    pub(crate) fn steps(&mut self, label: &'static str, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.rows.push((label, Rows::Steps(steps)));
        }
    }

    /// Where more is to be read: below the rows.
    pub(crate) fn more(&mut self, text: &str) {
        self.more = Some(printable(text));
    }
}

/// Several texts of a row behind each other. Only `why` has whole sentences.
fn on_one_line(label: &str, texts: &[String]) -> String {
    match label {
        "lacks" => texts.join("; "),
        "fix" => words::one_advice(texts),
        _ => texts.join(" "),
    }
}

/// Writes them.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    out: W,
    timeline: Timeline,
    color: bool,
    width: Option<usize>,
}

impl<W: io::Write> Lines<W> {
    pub(crate) fn new(context: &Context, out: W) -> Self {
        let timeline = Timeline::new(context.clock, context.utc);
        Self {
            out,
            timeline,
            color: context.color,
            width: context.width,
        }
    }

    /// The first line: `{}` stands for the moment.
    pub(crate) fn opening(&mut self, text: &str, since: BootTime) -> io::Result<()> {
        let since = self.timeline.begin(since);
        self.line(&text.replacen("{since}", &since, 1), 2)
    }

    /// A line without columns.
    pub(crate) fn line(&mut self, text: &str, hang: usize) -> io::Result<()> {
        for line in self.wrapped(&printable(text), hang) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// The last line, its first words in color.
    pub(crate) fn verdict(&mut self, head: &str, rest: &str, tone: Tone) -> io::Result<()> {
        let head = printable(head);
        let lines = self.wrapped(&format!("{head}{}", printable(rest)), 2);
        for (i, line) in lines.iter().enumerate() {
            let line = match line.strip_prefix(&head) {
                Some(rest) if i == 0 => format!("{}{rest}", self.paint(tone.style(), &head)),
                _ => line.clone(),
            };
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// An event.
    pub(crate) fn put(&mut self, block: &Block) -> io::Result<()> {
        let (time, date) = self.timeline.at(block.time);
        if let Some(date) = date {
            writeln!(self.out, "{date}")?;
        }
        let mut text = format!("{time}  {:<9} ", block.kind);
        let kind_ends = time.len() + 2 + block.kind.len();
        let _ = write!(text, "{:<1$}", block.subject, self.subject_width());
        if !block.result.is_empty() {
            // A subject that fills its column still ends before the result.
            let gap = if text.ends_with(' ') { "" } else { "  " };
            let _ = write!(text, "{gap}{}", block.result);
        }
        if !block.id.is_empty() {
            let _ = write!(text, "   {}", block.id);
        }
        if self.width.is_none() {
            for (label, rows) in &block.rows {
                let rows = match rows {
                    Rows::Texts(texts) => on_one_line(label, texts),
                    Rows::Steps(steps) => steps::on_one_line(steps),
                };
                let _ = write!(text, " | {label}: {rows}");
            }
            if let Some(more) = &block.more {
                let _ = write!(text, " | more: {more}");
            }
        }
        for (i, line) in self.wrapped(&text, SUBJECT).iter().enumerate() {
            if i == 0 && self.color && line.is_char_boundary(kind_ends) {
                let dim = self.paint(Style::new().dimmed(), &line[..time.len()]);
                let kind = self.paint(block.tone.style(), &line[time.len() + 2..kind_ends]);
                writeln!(self.out, "{dim}  {kind}{}", &line[kind_ends..])?;
            } else {
                writeln!(self.out, "{line}")?;
            }
        }
        if self.width.is_some() {
            for (label, rows) in &block.rows {
                match rows {
                    Rows::Texts(texts) => self.row(label, texts)?,
                    Rows::Steps(steps) => self.steps(label, steps)?,
                }
            }
            if let Some(more) = &block.more {
                self.row("", &[format!("more: {more}")])?;
            }
        }
        Ok(())
    }

    fn row(&mut self, label: &str, texts: &[String]) -> io::Result<()> {
        for (i, text) in texts.iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let lines = self.wrapped(&format!("   {label:<6} {text}"), ROW);
            for (j, line) in lines.iter().enumerate() {
                match line.strip_prefix(&format!("   {label}")) {
                    Some(rest) if j == 0 && !label.is_empty() => {
                        let label = self.paint(Style::new().bold(), label);
                        writeln!(self.out, "   {label}{rest}")?;
                    }
                    _ => writeln!(self.out, "{line}")?,
                }
            }
        }
        Ok(())
    }

    fn steps(&mut self, label: &str, steps: &[Step]) -> io::Result<()> {
        let column = steps::column(steps);
        for (i, step) in steps.iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let (text, hang) = step.line(label, ROW, column);
            for (j, line) in self.wrapped(&text, hang).iter().enumerate() {
                let bold = match j {
                    _ if step.is_decided() => line.trim_start(),
                    0 => label,
                    _ => "",
                };
                let line = match line.split_once(bold) {
                    Some((before, rest)) if !bold.is_empty() => {
                        format!("{before}{}{rest}", self.paint(Style::new().bold(), bold))
                    }
                    _ => line.clone(),
                };
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn subject_width(&self) -> usize {
        // Leaves room for `SIGKILL (137)` on a terminal of 80 columns.
        let room = self
            .width
            .map_or(usize::MAX, |width| width.saturating_sub(SUBJECT + 14));
        SUBJECT_WIDTH.min(room)
    }

    fn wrapped(&self, text: &str, hang: usize) -> Vec<String> {
        match self.width {
            Some(width) => wrap(text, width, hang),
            None => vec![text.trim_end().replace(HARD_SPACE, " ")],
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}
