//! Text, made to be read aloud by somebody woken at three: a line per event,
//! and below it `why`, `chain`, `fix` where something went wrong.
//!
//! On a terminal lines are wrapped with a hanging indent. Piped, an event is
//! one line with everything on it, ` | why: … | chain: … | fix: …` at its end,
//! so that `grep` finds events whole. What text leaves out that JSON has: forks,
//! execs and reapings (shown with `--all-signals`), clean exits of other than a
//! PID 1, and fatal signals whose death follows at once, because the death
//! names them ([`super::crowd`] condenses the rest).

use std::{collections::BTreeMap, io};

use super::{
    crowd::{Crowds, Held, Key},
    lines::{Block, Lines, Tone},
    select, wording, Context, Ending, Output, Tracing,
};
use crate::{
    event::{printable, BootTime, ProcessKey},
    explain::report::{Certainty, ExitReport, Report, SignalReport, Summary, Update},
};

/// So long a fatal signal waits for the death that names it.
const FOLLOWS_NS: u64 = 500_000_000;

/// Writes text.
#[derive(Debug)]
pub struct Text<W> {
    context: Context,
    lines: Lines<W>,
    crowds: Crowds,
    /// Fatal signals that wait for their death.
    fatal: BTreeMap<ProcessKey, SignalReport>,
    /// Exits that are not worth a line.
    clean_exits: u64,
}

impl<W: io::Write> Text<W> {
    /// A writer over `out`.
    pub fn new(context: Context, out: W) -> Self {
        let lines = Lines::new(&context, out);
        let (crowds, fatal) = Default::default();
        Self {
            context,
            lines,
            crowds,
            fatal,
            clean_exits: 0,
        }
    }

    fn signal(&mut self, report: &SignalReport) -> io::Result<()> {
        if report.fate == "fatal" && !self.context.all_signals {
            let earlier = self.fatal.insert(report.target.key, report.clone());
            return earlier.map_or(Ok(()), |earlier| self.signal_line(&earlier));
        }
        self.signal_line(report)
    }

    fn signal_line(&mut self, report: &SignalReport) -> io::Result<()> {
        let kind = wording::signal(&self.context, report.number);
        let failed = select::failed(report);
        let id = report.reason.or(report.cause);
        let certainty = report.explanation.certainty;
        let bracket = match id {
            Some(id) if failed || report.fate == "fatal" => bracket(id, certainty),
            Some(id) => format!("[{id}]"),
            None => String::new(),
        };
        let result = wording::fate(report);
        if failed {
            let sentences = &report.explanation.sentences;
            let result = report.fate;
            let key = Key::new(&kind, result, &bracket, report.pidns, sentences);
            let who = (report.target.comm.to_string(), report.target.key.pid);
            if !self.crowds.join(key, report.time, report.count, who) {
                return Ok(());
            }
        }
        let subject = self.subject(report);
        let tone = if failed { Tone::Warning } else { Tone::Plain };
        let mut block = Block::new(report.time, &kind, &subject, &result, &bracket, tone);
        if failed {
            self.explain(&mut block, &report.explanation, None);
        }
        if failed || report.fate == "fatal" {
            self.path(&mut block, &report.kernel_path);
            self.more(&mut block, id);
        }
        self.lines.put(&block)
    }

    fn subject(&self, report: &SignalReport) -> String {
        let context = &self.context;
        let (from, to) = (&report.sender, &report.target);
        format!(
            "{} → {}",
            wording::sender(context, from),
            wording::task(context, to)
        )
    }

    fn exit(&mut self, report: &ExitReport) -> io::Result<()> {
        // The death names its signal, unless it is another one.
        if let Some(fatal) = self.fatal.remove(&report.task.key) {
            if Some(fatal.number) != report.signal {
                self.signal_line(&fatal)?;
            }
        }
        let known = report.explanation.certainty != Certainty::Unknown;
        let clean = report.signal.is_none() && report.exit_code == 0 && known;
        if clean && !report.pid1 && !self.context.all_signals {
            self.clean_exits += 1;
            return Ok(());
        }
        let kind = kind(report);
        let result = wording::end(&self.context, report);
        let bracket = match report.cause {
            "exit" if known => String::new(),
            cause => bracket(cause, report.explanation.certainty),
        };
        if report.signal.is_some() {
            let sentences = &report.explanation.sentences;
            let key = Key::new(kind, &result, &bracket, report.pidns, sentences);
            let who = (report.task.comm.to_string(), report.task.key.pid);
            if !self.crowds.join(key, report.time, 1, who) {
                return Ok(());
            }
        }
        let subject = wording::task(&self.context, &report.task);
        self.death(
            report,
            Block::new(report.time, kind, &subject, &result, &bracket, tone(report)),
        )
    }

    /// The line of a death with what explains it.
    fn death(&mut self, report: &ExitReport, mut block: Block) -> io::Result<()> {
        let explanation = &report.explanation;
        // SIGTERM that ends a process which has no handler for it is how a
        // clean stop looks: the line says it all.
        let worth = report.forced
            || report.core_dumped
            || explanation.certainty == Certainty::Unknown
            || !explanation.advice.is_empty()
            || report
                .signal
                .is_some_and(|number| ![1, 2, 15].contains(&number));
        if worth {
            let chain: Vec<_> = report.chain.iter().map(|link| link.what.as_str()).collect();
            self.explain(&mut block, explanation, Some(chain.join(" ← ")));
            self.path(&mut block, &report.kernel_path);
            let id = Some(report.cause).filter(|&cause| cause != "exit");
            self.more(&mut block, id);
        }
        self.lines.put(&block)
    }

    fn explain(
        &self,
        block: &mut Block,
        explanation: &crate::explain::report::Explanation,
        chain: Option<String>,
    ) {
        block.row("why", &explanation.sentences);
        block.row(
            "chain",
            &chain
                .filter(|chain| !chain.is_empty())
                .into_iter()
                .collect::<Vec<_>>(),
        );
        if explanation.certainty != Certainty::Proven {
            block.row("lacks", &explanation.missing);
        }
        block.row("fix", &explanation.advice);
    }

    fn path(&self, block: &mut Block, functions: &[String]) {
        if self.context.path && !functions.is_empty() {
            block.row("path", &[functions.join(" ← ")]);
        }
    }

    fn more(&self, block: &mut Block, id: Option<&'static str>) {
        if let Some(id) = id.filter(|&id| id != "unknown") {
            block.more(&format!("more: sigtrace explain {id}"));
        }
    }

    /// What was said before is now known better.
    fn update(&mut self, time: BootTime, now: &Update) -> io::Result<()> {
        match now {
            Update::Signal(now) => {
                if let Some(waiting) = self.fatal.get_mut(&now.target.key) {
                    if waiting.id == now.id {
                        *waiting = SignalReport::clone(now);
                        return Ok(());
                    }
                }
                if now.fate == "fatal" && !self.context.all_signals {
                    return self.signal(now);
                }
                let number = wording::signal(&self.context, now.number);
                let since = now.time.0;
                let result = match time.0.saturating_sub(since) {
                    ns if now.latency_ns.is_none() && ns >= 1_000_000_000 => {
                        format!(
                            "{}, {} after it was sent",
                            wording::fate(now),
                            wording::span(ns)
                        )
                    }
                    _ => wording::fate(now),
                };
                let subject = format!("{number} {}", self.subject(now));
                let id = now.reason.map(|id| format!("[{id}]")).unwrap_or_default();
                let failed = select::failed(now);
                let tone = if failed { Tone::Warning } else { Tone::Plain };
                let mut block = Block::new(time, "now", &subject, &result, &id, tone);
                if failed {
                    self.explain(&mut block, &now.explanation, None);
                    self.more(&mut block, now.reason);
                }
                self.lines.put(&block)
            }
            Update::Exit(now) => {
                let subject = format!("{} {}", kind(now), wording::task(&self.context, &now.task));
                let result = wording::end(&self.context, now);
                let id = bracket(now.cause, now.explanation.certainty);
                self.death(
                    now,
                    Block::new(time, "now", &subject, &result, &id, tone(now)),
                )
            }
        }
    }

    /// Crowds and fatal signals that have waited long enough; `None`: all.
    fn due(&mut self, now: Option<BootTime>) -> io::Result<()> {
        let over = |time: BootTime| now.is_none_or(|now| time.0 + FOLLOWS_NS < now.0);
        let mut alone: Vec<_> = self
            .fatal
            .values()
            .filter(|signal| over(signal.time))
            .map(|s| s.target.key)
            .collect();
        alone.sort_unstable();
        for key in alone {
            if let Some(signal) = self.fatal.remove(&key) {
                self.signal_line(&signal)?;
            }
        }
        for (key, held) in self.crowds.due(now) {
            self.crowd(&key, &held)?;
        }
        Ok(())
    }

    fn crowd(&mut self, key: &Key, held: &Held) -> io::Result<()> {
        let mut names: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (name, pid) in &held.who {
            names.entry(name).or_default().push(*pid);
        }
        let subject = format!("{} more like that", held.count);
        let tone = if key.kind == "KILLED" {
            Tone::Alarm
        } else {
            Tone::Warning
        };
        let mut block = Block::new(held.last, &key.kind, &subject, &key.result, &key.id, tone);
        let pids =
            |(name, pids): (&str, Vec<u32>)| format!("{name} {}", wording::runs(&pids).join(", "));
        block.row("pids", &names.into_iter().map(pids).collect::<Vec<_>>());
        self.lines.put(&block)
    }

    fn other(&mut self, report: &Report) -> io::Result<()> {
        let context = &self.context;
        let of = |it| wording::task(context, it);
        let plain = |time: &BootTime, kind, subject: &str, result: &str| {
            Block::new(*time, kind, subject, result, "", Tone::Plain)
        };
        let block = match report {
            Report::Fork {
                time,
                parent,
                child,
                ..
            } if context.all_signals => {
                plain(time, "fork", &format!("{} → {}", of(parent), of(child)), "")
            }
            Report::Exec { time, task, .. } if context.all_signals => {
                plain(time, "exec", &of(task), "")
            }
            Report::Reap { time, task, by, .. } if context.all_signals => {
                let by = by.map(|by| format!("by {by}")).unwrap_or_default();
                plain(time, "reap", &of(task), &by)
            }
            Report::Zombie {
                time, task, parent, ..
            } => {
                let parent = parent.as_ref().map(of);
                let whose = parent.map(|parent| format!(": {parent} must wait for it"));
                let result = format!("not reaped{}", whose.unwrap_or_default());
                Block::new(*time, "zombie", &of(task), &result, "", Tone::Warning)
            }
            Report::Lost {
                time, kind, count, ..
            } => {
                let what = wording::counted(*count, "event", "events");
                let what = format!("{what} of kind {kind}: the kernel's buffer was full");
                let mut block = Block::new(*time, "LOST", &what, "", "", Tone::Warning);
                block.row(
                    "fix",
                    &["a larger --buffer, or a narrower filter".to_owned()],
                );
                block
            }
            _ => return Ok(()),
        };
        self.lines.put(&block)
    }
}

fn kind(report: &ExitReport) -> &'static str {
    match report.signal {
        Some(_) if report.forced => "KILLED",
        Some(_) => "killed",
        None => "exit",
    }
}

fn tone(report: &ExitReport) -> Tone {
    if select::ended_badly(report) {
        Tone::Alarm
    } else {
        Tone::Plain
    }
}

fn bracket(id: &str, certainty: Certainty) -> String {
    match (id, certainty) {
        ("unknown", Certainty::Unknown) => "[unknown]".to_owned(),
        _ => format!("[{id}, {}]", wording::certainty(certainty)),
    }
}

impl<W: io::Write> Output for Text<W> {
    fn tracing(&mut self, tracing: &Tracing) -> io::Result<()> {
        let line = super::frame::opening(&self.context, tracing);
        self.lines.opening(&line, tracing.since)?;
        for note in &tracing.notes {
            self.lines
                .line(&format!("note: {}", printable(note)), "note:".len() + 1)?;
        }
        self.lines.flush()
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        if !select::report(&self.context, report) {
            return Ok(());
        }
        self.due(Some(time(report)))?;
        match report {
            Report::Signal(report) => self.signal(report),
            Report::Exit(report) => self.exit(report),
            Report::Update { time, now, .. } => self.update(*time, now),
            other => self.other(other),
        }
    }

    fn tick(&mut self, now: BootTime) -> io::Result<()> {
        self.due(Some(now))
    }

    fn summary(&mut self, summary: &Summary, ending: Ending, _now: BootTime) -> io::Result<()> {
        self.due(None)?;
        let (head, rest) = super::frame::verdict(&self.context, summary, ending, self.clean_exits);
        let tone = if summary.forced > 0 {
            Tone::Alarm
        } else {
            Tone::Good
        };
        self.lines.verdict(&head, &rest, tone)?;
        for note in &summary.notes {
            self.lines
                .line(&format!("note: {}", printable(note)), "note:".len() + 1)?;
        }
        self.lines.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

fn time(report: &Report) -> BootTime {
    match report {
        Report::Signal(report) => report.time,
        Report::Exit(report) => report.time,
        Report::Update { time, .. }
        | Report::Fork { time, .. }
        | Report::Exec { time, .. }
        | Report::Zombie { time, .. }
        | Report::Reap { time, .. }
        | Report::Lost { time, .. } => *time,
    }
}
