//! Text, made to be read aloud by somebody woken at three: a line per event,
//! and below it `why`, `chain`, `fix` where something went wrong.
//!
//! On a terminal lines are wrapped with a hanging indent. Piped, an event is
//! one line with everything on it, ` | why: … | chain: … | fix: …` at its end,
//! so that `grep` finds events whole. What text leaves out that JSON has: forks,
//! execs and reapings (shown with `--all-signals`), clean exits of other than a
//! PID 1, and fatal signals whose death follows at once, because the death
//! names them (`crowd` condenses the rest).
//!
//! This file decides when and whether a line is written; `blocks` says
//! what is on it, `lines` how it is laid out.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    blocks,
    crowd::{Crowds, Key},
    frame,
    lines::{Lines, Tone},
    select, wording, Context, Ending, Output, Tracing,
};
use crate::{
    event::{printable, BootTime, ProcessKey},
    explain::report::{Certainty, ExitReport, Report, SignalReport, Summary, Update},
};

/// So long a fatal signal waits for the death that names it.
const FOLLOWS_NS: u64 = 500_000_000;

/// So many unsettled signals are remembered as shown.
const OPEN: usize = 4096;

/// Writes text.
#[derive(Debug)]
pub struct Text<W> {
    context: Context,
    lines: Lines<W>,
    crowds: Crowds,
    /// Fatal signals that wait for their death.
    fatal: BTreeMap<ProcessKey, SignalReport>,
    /// Signals that were shown before their fate was settled.
    open: BTreeSet<u64>,
    /// Exits that are not worth a line.
    clean_exits: u64,
}

impl<W: io::Write> Text<W> {
    /// A writer over `out`.
    pub fn new(context: Context, out: W) -> Self {
        let lines = Lines::new(&context, out);
        let (crowds, fatal, open) = Default::default();
        Self {
            context,
            lines,
            crowds,
            fatal,
            open,
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
        if !report.settled {
            self.open.insert(report.id);
            if self.open.len() > OPEN {
                self.open.pop_first();
            }
        }
        if select::failed(report) {
            let kind = wording::signal(&self.context, report.number);
            let id = blocks::signal_id(report);
            let words = report.explanation.sentences.concat();
            let key = Key::new(&kind, report.fate, &id, report.pidns, &words);
            let who = (report.target.comm.to_string(), report.target.key.pid);
            if !self.crowds.join(key, report.time, report.count, who) {
                return Ok(());
            }
        }
        self.lines.put(&blocks::signal(&self.context, report))
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
        if report.signal.is_some() && !self.whole(report.time, blocks::kind(report), report) {
            return Ok(());
        }
        self.lines.put(&blocks::exit(&self.context, report))
    }

    /// Whether this death is one of the few of its crowd that are written whole.
    fn whole(&mut self, time: BootTime, kind: &str, report: &ExitReport) -> bool {
        let result = wording::end(&self.context, report);
        let id = blocks::exit_id(report);
        let sentences = report.explanation.sentences.iter();
        let links = report.chain.iter().map(|link| &link.what);
        let words: String = sentences.chain(links).map(String::as_str).collect();
        let key = Key::new(kind, &result, &id, report.pidns, &words);
        let who = (report.task.comm.to_string(), report.task.key.pid);
        self.crowds.join(key, time, 1, who)
    }

    /// What was said before is now known better.
    fn update(&mut self, time: BootTime, now: &Update) -> io::Result<()> {
        let block = match now {
            Update::Signal(now) => {
                let waiting = self.fatal.get_mut(&now.target.key);
                if let Some(waiting) = waiting.filter(|waiting| waiting.id == now.id) {
                    *waiting = SignalReport::clone(now);
                    return Ok(());
                }
                if now.fate == "fatal" && !self.context.all_signals {
                    return self.signal(now);
                }
                blocks::signal_again(&self.context, time, now)
            }
            Update::Exit(now) if !self.whole(time, "now", now) => return Ok(()),
            Update::Exit(now) => blocks::exit_again(&self.context, time, now),
        };
        self.lines.put(&block)
    }

    /// Crowds and fatal signals that have waited long enough; `None`: all.
    fn due(&mut self, now: Option<BootTime>) -> io::Result<()> {
        let over = |time: BootTime| now.is_none_or(|now| time.0 + FOLLOWS_NS < now.0);
        let waiting = self.fatal.values().filter(|signal| over(signal.time));
        let mut alone: Vec<_> = waiting
            .map(|signal| (signal.id, signal.target.key))
            .collect();
        alone.sort_unstable();
        for (_, key) in alone {
            if let Some(signal) = self.fatal.remove(&key) {
                self.signal_line(&signal)?;
            }
        }
        for (key, held) in self.crowds.due(now) {
            self.lines.put(&blocks::crowd(&key, &held))?;
        }
        Ok(())
    }
}

impl<W: io::Write> Output for Text<W> {
    fn tracing(&mut self, tracing: &Tracing) -> io::Result<()> {
        let line = frame::opening(&self.context, tracing);
        self.lines.opening(&line, tracing.since)?;
        for note in &tracing.notes {
            self.lines
                .line(&format!("note: {}", printable(note)), "note:".len() + 1)?;
        }
        self.lines.flush()
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        // What was shown is kept up to date, even where the news alone would
        // not be shown: a blocked signal that was handled after all.
        let known = matches!(report, Report::Update { of, .. } if self.open.remove(of));
        if !known && !select::report(&self.context, report) {
            return Ok(());
        }
        self.due(Some(time(report)))?;
        match report {
            Report::Signal(report) => self.signal(report),
            Report::Exit(report) => self.exit(report),
            Report::Update { time, now, .. } => self.update(*time, now),
            other => match blocks::other(&self.context, other) {
                Some(block) => self.lines.put(&block),
                None => Ok(()),
            },
        }
    }

    fn tick(&mut self, now: BootTime) -> io::Result<()> {
        self.due(Some(now))
    }

    fn summary(&mut self, summary: &Summary, ending: Ending, _now: BootTime) -> io::Result<()> {
        self.due(None)?;
        let (head, rest) = frame::verdict(&self.context, summary, ending, self.clean_exits);
        let tone = if summary.ended_badly > 0 {
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
