//! JSON, an object a line ([`shapes`]). Lines come in the order of the
//! reports; what became known later is an `update` that names the line and
//! holds only what changed.

use std::io;

use serde_json::{Map, Value};

use super::{
    diff::Written,
    escape, fill, select,
    shapes::{self, Line, VERSION},
    wording, Context, Ending, Output, Scope, Tracing,
};
use crate::{
    event::BootTime,
    explain::report::{Report, Summary, Update},
};

/// Writes JSON lines.
#[derive(Debug)]
pub struct Json<W> {
    context: Context,
    out: W,
    written: Written,
    /// A line that is being written: its memory serves for the next.
    line: Vec<u8>,
}

impl<W: io::Write> Json<W> {
    /// A writer over `out`.
    pub fn new(context: Context, out: W) -> Self {
        Self {
            context,
            out,
            written: Written::default(),
            line: Vec::new(),
        }
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        let text = str::from_utf8(&self.line).map_err(io::Error::other)?;
        write(&mut self.out, text)
    }

    fn of(&self, scope: &Scope, at: BootTime) -> shapes::Life {
        shapes::Life {
            v: VERSION,
            time: self.context.clock.rfc3339(at),
            scope: fill::scope(scope),
        }
    }

    /// A line that later updates refer to.
    fn put_changeable(&mut self, id: u64, line: &Line) -> io::Result<()> {
        let line = serde_json::to_string(line)?;
        self.written.remember(id, &line);
        write(&mut self.out, &line)
    }

    fn update(&mut self, of: u64, time: BootTime, now: &Line) -> io::Result<()> {
        if !self.written.has(of) {
            return self.put_changeable(of, now);
        }
        let text = serde_json::to_string(now)?;
        let changed = self.written.changed(of, &object(now)?);
        if changed.is_empty() {
            return Ok(());
        }
        self.written.remember(of, &text);
        // Assembled here because `null` and absent differ in an update, which
        // `shapes::Update` cannot express when written.
        let time = self.context.clock.rfc3339(time);
        let changed = serde_json::to_string(&changed)?;
        let line = format!(
            r#"{{"event":"update","v":{VERSION},"of":{of},"time":"{time}",{}"#,
            &changed[1..]
        );
        write(&mut self.out, &line)
    }
}

impl<W: io::Write> Output for Json<W> {
    fn tracing(&mut self, tracing: &Tracing) -> io::Result<()> {
        let clock = self.context.clock;
        let line = Line::Tracing(shapes::Tracing {
            v: VERSION,
            time: clock.rfc3339(tracing.since),
            boot_time: clock.rfc3339(BootTime(0)),
            version: tracing.version.clone(),
            kernel: tracing.kernel.clone(),
            scopes: self.context.scopes.iter().map(fill::scope).collect(),
            filters: tracing.filters.clone(),
            hooks: tracing
                .hooks
                .iter()
                .map(|(hook, level)| shapes::Hook {
                    hook: hook.clone(),
                    level: level.clone(),
                })
                .collect(),
            notes: tracing.notes.clone(),
            waiting: tracing.waiting.clone(),
        });
        self.put(&line)
    }

    fn started(&mut self, scope: &Scope, at: BootTime) -> io::Result<()> {
        self.context.add(scope);
        self.put(&Line::Started(self.of(scope, at)))
    }

    fn ended(&mut self, scope: &Scope, at: BootTime, _: bool) -> io::Result<()> {
        self.put(&Line::Ended(self.of(scope, at)))
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        // What was shown is kept up to date even where the news alone would not
        // be shown: a blocked signal that was handled after all.
        let known = matches!(report, Report::Update { of, .. } if self.written.has(*of));
        if !known && !select::report(&self.context, report) {
            return Ok(());
        }
        let context = &self.context;
        match report {
            Report::Signal(report) => {
                let line = fill::signal(context, report);
                if report.settled {
                    // Hardly ever changes again; then all its fields are
                    // written, which saves keeping them for each signal.
                    self.written.note(report.id);
                    return self.put(&line);
                }
                self.put_changeable(report.id, &line)
            }
            Report::Exit(report) => {
                let line = fill::exit(context, report);
                self.put_changeable(report.id, &line)
            }
            Report::Update {
                of,
                time,
                now: Update::Signal(now) | Update::HandlerNamed(now),
            } => {
                let now = fill::signal(context, now);
                self.update(*of, *time, &now)
            }
            Report::Update {
                of,
                time,
                now: Update::Exit(now) | Update::Asked(now) | Update::Named(now),
            } => {
                let now = fill::exit(context, now);
                self.update(*of, *time, &now)
            }
            other => match fill::simple(context, other) {
                Some(line) => self.put(&line),
                None => Ok(()),
            },
        }
    }

    fn tick(&mut self, _now: BootTime) -> io::Result<()> {
        Ok(())
    }

    fn summary(&mut self, summary: &Summary, ending: Ending, now: BootTime) -> io::Result<()> {
        let verdict = summary.ended.then(|| match wording::verdict(summary) {
            // A script reads one word: it must not be a better one than is known.
            "clean" if !summary.saw_all() => "incomplete".to_owned(),
            verdict => verdict.to_owned(),
        });
        let line = Line::Summary(shapes::Summary {
            v: VERSION,
            time: self.context.clock.rfc3339(now),
            ending: match ending {
                Ending::Ended => "ended",
                Ending::Interrupted => "interrupted",
                Ending::TimeUp => "time_up",
                Ending::Failed => "failed",
            }
            .to_owned(),
            ended: summary.ended,
            verdict,
            processes_exited: summary.exited,
            processes_forced: summary.forced,
            processes_ended_badly: summary.ended_badly,
            ends_unseen: summary.unseen_ends,
            partial: summary.partial,
            signals: summary.signals,
            signals_dropped: summary.dropped,
            forks_rejected: summary.forks_rejected,
            signals_rejected: summary.rejected,
            signals_coalesced: summary.coalesced,
            signals_refused: summary.refused,
            signals_routine: summary.routine,
            events_lost: summary.lost,
            notes: summary.notes.clone(),
        });
        self.put(&line)?;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write(out: &mut impl io::Write, line: &str) -> io::Result<()> {
    // Not formatted, which costs more than to copy it.
    out.write_all(escape::json(line).as_bytes())?;
    out.write_all(b"\n")
}

fn object(line: &Line) -> io::Result<Map<String, Value>> {
    match serde_json::to_value(line)? {
        Value::Object(object) => Ok(object),
        _ => unreachable!("every line is an object"),
    }
}
