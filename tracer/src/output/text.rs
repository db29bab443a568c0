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

use std::{collections::BTreeSet, io};

use super::{
    blocks,
    crowd::{Crowds, Key},
    frame,
    lines::{Block, Lines, Tone},
    select,
    shortfall::{Shortfall, Shortfalls},
    waiting::{Fatal, Waiting},
    wording, Context, Ending, Output, Scope, Tracing,
};
use crate::{
    event::{BootTime, PidNs},
    explain::{
        engine::ZOMBIE_NS,
        report::{
            Certainty, ExitReport, ForkReport, Link, RefusedReport, Report, Sender, SignalReport,
            Summary, Update,
        },
        words,
    },
};

/// So many unsettled signals are remembered as shown.
const OPEN: usize = 4096;

/// Writes text.
#[derive(Debug)]
pub struct Text<W> {
    context: Context,
    lines: Lines<W>,
    crowds: Crowds,
    shortfalls: Shortfalls,
    /// Fatal signals that wait for their death.
    fatal: Waiting,
    /// Signals that were shown before their fate was settled.
    open: BTreeSet<u64>,
    /// Exits that are not worth a line.
    clean_exits: u64,
    /// The last request that was named after the death.
    asked: Option<(Option<PidNs>, Link)>,
}

impl<W: io::Write> Text<W> {
    /// A writer over `out`.
    pub fn new(context: Context, out: W) -> Self {
        let lines = Lines::new(&context, out);
        let (crowds, shortfalls, fatal, open) = Default::default();
        Self {
            context,
            lines,
            crowds,
            shortfalls,
            fatal,
            open,
            clean_exits: 0,
            asked: None,
        }
    }

    fn signal(&mut self, report: &SignalReport) -> io::Result<()> {
        if report.fate == "fatal" && !self.context.all_signals {
            return self.wait(report, None);
        }
        self.signal_line(report)
    }

    /// Until the death that names it.
    fn wait(&mut self, report: &SignalReport, news: Option<BootTime>) -> io::Result<()> {
        let report = report.clone();
        let earlier = self.fatal.put(Fatal { report, news });
        earlier.map_or(Ok(()), |earlier| self.fatal_line(&earlier))
    }

    /// The death that would have named it did not come.
    fn fatal_line(&mut self, fatal: &Fatal) -> io::Result<()> {
        match fatal.news {
            Some(time) if self.folded(time, "now", &fatal.report) => Ok(()),
            Some(time) => {
                let block = blocks::signal_again(&self.context, time, &fatal.report);
                self.lines.put(&block)
            }
            None => self.signal_line(&fatal.report),
        }
    }

    fn signal_line(&mut self, report: &SignalReport) -> io::Result<()> {
        if !report.settled {
            self.open.insert(report.id);
            if self.open.len() > OPEN {
                self.open.pop_first();
            }
        }
        let kind = wording::signal(&self.context, report.number);
        if self.folded(report.time, &kind, report) {
            return Ok(());
        }
        self.lines.put(&blocks::signal(&self.context, report))
    }

    /// Whether this signal is one of a crowd, and not of the few that are written
    /// whole: it failed or added nothing, or is fatal and its death was not seen, which
    /// where one was lost holds for many.
    fn folded(&mut self, time: BootTime, kind: &str, report: &SignalReport) -> bool {
        let alone = report.fate == "fatal" && !self.context.all_signals;
        if !select::failed(report) && report.fate != "coalesced" && !alone {
            return false;
        }
        let id = blocks::signal_id(report);
        let words = report.explanation.sentences.concat();
        let fate = wording::fate_of_crowd(report);
        let key = Key::new(kind, &fate, &id, report.pidns, &words);
        let who = (report.target.comm.to_string(), report.target.key.pid);
        let by = match &report.sender {
            Sender::Process { task, .. } => Some(words::who(task)),
            _ => None,
        };
        !self.crowds.join(key, time, report.count, who, by)
    }

    /// Programs try again and again.
    fn refused(&mut self, report: &RefusedReport) -> io::Result<()> {
        let block = blocks::refused(&self.context, report);
        let kind = wording::signal(&self.context, report.number);
        let id = blocks::refused_id(report);
        let words = report.explanation.sentences.concat();
        let key = Key::new(&kind, &block.result, &id, report.pidns, &words);
        let who = match &report.sender {
            Sender::Process { task, .. } => (task.comm.to_string(), task.key.pid),
            _ => (String::new(), 0),
        };
        if self.crowds.join(key, report.time, report.count, who, None) {
            return self.lines.put(&block);
        }
        Ok(())
    }

    /// Programs try again and again.
    fn fork_rejected(&mut self, report: &ForkReport) -> io::Result<()> {
        let block = blocks::fork_rejected(&self.context, report);
        let id = blocks::fork_id(report);
        // Its words have numbers that change from one to the next.
        let words = format!("{} {:?}", report.task.key.pid, report.thread);
        let key = Key::new("fork", &block.result, &id, report.pidns, &words);
        let who = (report.task.comm.to_string(), report.task.key.pid);
        if self.crowds.join(key, report.time, report.count, who, None) {
            return self.lines.put(&block);
        }
        Ok(())
    }

    fn exit(&mut self, report: &ExitReport) -> io::Result<()> {
        // The death names its signal, unless it is another one.
        if let Some(fatal) = self.fatal.take(report.task.key) {
            if Some(fatal.report.number) != report.signal {
                self.fatal_line(&fatal)?;
            }
        }
        if self.left_out(report) {
            self.clean_exits += 1;
            return Ok(());
        }
        if report.signal.is_some() && !self.whole(report.time, blocks::kind(report), report) {
            return Ok(());
        }
        self.lines.put(&blocks::exit(&self.context, report))
    }

    /// A clean exit of other than a PID 1.
    fn left_out(&self, report: &ExitReport) -> bool {
        let known = report.explanation.certainty != Certainty::Unknown;
        let clean = report.signal.is_none() && report.exit_code == 0 && known;
        clean && !report.pid1 && !self.context.all_signals
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
        // Of what the kernel sent by itself the chain goes on with what it did.
        let sent = report.mechanism.is_some_and(|how| how != "kernel-signal");
        let by = report.chain.get(1).filter(|_| sent);
        self.crowds
            .join(key, time, 1, who, by.map(|link| link.what.clone()))
    }

    /// A dead process that is not reaped; of one parent there may be thousands.
    fn zombie(&mut self, report: &Report) -> io::Result<()> {
        let (Report::Zombie { time, task, .. }, Some(block)) =
            (report, blocks::other(&self.context, report))
        else {
            return Ok(());
        };
        let key = Key::new("zombie", &block.result, "", task.pidns(), "");
        let who = (task.comm.to_string(), task.key.pid);
        // Of its death, and said so much later.
        let noticed = BootTime(time.0.saturating_add(ZOMBIE_NS));
        if self.context.all_signals || self.crowds.join(key, noticed, 1, who, None) {
            return self.lines.put(&block);
        }
        Ok(())
    }

    /// Before the next event says something that is less certain for it, or with the rest.
    fn lost(&mut self, shortfall: Shortfall) -> io::Result<()> {
        if self.shortfalls.join(shortfall) {
            return self.lines.put(&shortfall.block());
        }
        Ok(())
    }

    /// What was said before is now known better.
    fn update(&mut self, time: BootTime, now: &Update) -> io::Result<()> {
        let block = match now {
            Update::Signal(now) => {
                if now.fate == "fatal" && !now.settled {
                    // What it was to end is still there, and that is news.
                    if let Some(fatal) = self.fatal.take(now.target.key) {
                        self.fatal_line(&fatal)?;
                    }
                } else if self.fatal.renew(now) {
                    return Ok(());
                } else if now.fate == "fatal" && !self.context.all_signals {
                    return self.wait(now, Some(time));
                } else if now.settled && self.folded(time, "now", now) {
                    return Ok(());
                }
                blocks::signal_again(&self.context, time, now)
            }
            // It was counted and not shown, and is to be counted still.
            Update::Exit(now) if self.left_out(now) => return Ok(()),
            Update::Exit(now) if !self.whole(time, "now", now) => return Ok(()),
            Update::Exit(now) => blocks::exit_again(&self.context, time, now),
            Update::Asked(now) => return self.asked(time, now),
            // Those who read along have gone on.
            Update::HandlerNamed(_) => return Ok(()),
            Update::Named(now) if self.left_out(now) => return Ok(()),
            Update::Named(now) => blocks::named(&self.context, time, now),
        };
        self.lines.put(&block)
    }

    /// Once for all that died of the same request.
    fn asked(&mut self, time: BootTime, now: &ExitReport) -> io::Result<()> {
        // The first process of a container that shares its PID namespace is no PID 1, and
        // its clean exit the only one that leads to who asked.
        if self.left_out(now) && now.task.cgroup.is_none() {
            return Ok(());
        }
        let Some(link) = now.chain.last() else {
            return Ok(());
        };
        let said = (now.pidns, link.clone());
        if self.asked.as_ref() == Some(&said) {
            return Ok(());
        }
        let block = blocks::asked(&self.context, time, now, link);
        self.asked = Some(said);
        self.lines.put(&block)
    }

    /// Crowds and fatal signals that have waited long enough; `None`: all.
    fn due(&mut self, now: Option<BootTime>) -> io::Result<()> {
        while let Some(fatal) = self.fatal.due(now) {
            self.fatal_line(&fatal)?;
        }
        for (key, held) in self.crowds.due(now) {
            self.lines.put(&blocks::crowd(&key, &held))?;
        }
        for shortfall in self.shortfalls.due(now) {
            self.lines.put(&shortfall.block())?;
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
                .line(&format!("note: {note}"), "note:".len() + 1)?;
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
            Report::Refused(report) => self.refused(report),
            Report::ForkRejected(report) => self.fork_rejected(report),
            Report::Zombie { .. } => self.zombie(report),
            &Report::Lost {
                time,
                kind,
                count,
                slow_output,
                ..
            } => self.lost(Shortfall {
                sort: (kind, slow_output),
                time,
                count,
            }),
            other => match blocks::other(&self.context, other) {
                Some(block) => self.lines.put(&block),
                None => Ok(()),
            },
        }
    }

    fn started(&mut self, scope: &Scope, at: BootTime) -> io::Result<()> {
        self.context.add(scope);
        let subject = frame::scope(scope, frame::first(scope).as_slice());
        let block = Block::new(at, "started", &subject, "", "", Tone::Plain);
        self.lines.put(&block)
    }

    fn ended(&mut self, scope: &Scope, at: BootTime, waits: bool) -> io::Result<()> {
        self.due(Some(at))?;
        let name = wording::scope(scope);
        let next = if waits {
            "; waiting for its next start"
        } else {
            ""
        };
        self.lines.line(&format!("{name} ended{next}"), 2)
    }

    fn tick(&mut self, now: BootTime) -> io::Result<()> {
        self.due(Some(now))
    }

    fn summary(&mut self, summary: &Summary, ending: Ending, _now: BootTime) -> io::Result<()> {
        self.due(None)?;
        let (head, rest) = frame::verdict(&self.context, summary, ending, self.clean_exits);
        let tone = match summary.ended_badly {
            1.. => Tone::Alarm,
            0 if summary.saw_all() && ending != Ending::Failed => Tone::Good,
            0 => Tone::Warning,
        };
        self.lines.verdict(&head, &rest, tone)?;
        for note in &summary.notes {
            self.lines
                .line(&format!("note: {note}"), "note:".len() + 1)?;
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
        Report::Refused(report) => report.time,
        Report::ForkRejected(report) => report.time,
        Report::Update { time, .. }
        | Report::Fork { time, .. }
        | Report::Exec { time, .. }
        | Report::Zombie { time, .. }
        | Report::Waits { time, .. }
        | Report::Reap { time, .. }
        | Report::Lost { time, .. } => *time,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{context, inside, killed, sigkill};
    use super::*;

    const MANY: u32 = 30_000;

    /// Every `apart` of them are of one cause, said without digits.
    fn death(i: u32, apart: u32, time: BootTime) -> [Report; 2] {
        let task = inside("x", 100_000 + i, 2 + i);
        let mut signal = sigkill();
        (signal.id, signal.time) = (u64::from(i) * 2, time);
        signal.target = task.clone();
        let mut exit = killed();
        (exit.id, exit.time, exit.task) = (u64::from(i) * 2 + 1, time, task);
        let letter = |digit: char| char::from(b'a' + digit as u8 - b'0');
        let word = (i / apart).to_string().chars().map(letter).collect();
        exit.explanation.sentences = vec![word];
        [
            Report::Signal(Box::new(signal)),
            Report::Exit(Box::new(exit)),
        ]
    }

    fn steps(reports: impl Iterator<Item = Report>) -> u64 {
        let mut text = Text::new(context(), io::sink());
        for report in reports {
            text.report(&report).unwrap();
        }
        text.summary(&Summary::default(), Ending::Ended, BootTime(u64::MAX))
            .unwrap();
        text.fatal.steps + text.crowds.steps
    }

    #[test]
    fn each_of_many_deaths_costs_a_few_steps() {
        // Every signal waits, then all die of one cause in a moment; and each
        // of a cause of its own, over three seconds.
        let at = |i: u32, step: u32| BootTime(1_000_000_000 + u64::from(i * step));
        let deaths = |apart, step| (0..MANY).map(move |i| death(i, apart, at(i, step)));
        let (signals, ends): (Vec<_>, Vec<_>) = deaths(MANY, 10_000).map(|[s, e]| (s, e)).unzip();
        let count = [
            steps(signals.into_iter().chain(ends)),
            steps(deaths(1, 100_000).flatten()),
        ];
        let most = u64::from(MANY) * 20;
        assert!(count.iter().all(|&count| count < most), "{count:?}");
    }
}
