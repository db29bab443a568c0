//! Figures beside what they are to reach, as Markdown and as JSON. A target is met if the
//! whole interval meets it, and missed if none of it does; else the machine was not quiet
//! enough to tell.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde::Serialize;

use super::clock::Clock;
use super::stats::{figure, Figure};

/// What a figure may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn judge(self, figure: Figure) -> Judged {
        let (met, missed) = match self {
            Self::AtMost(most) => (figure.high <= most, figure.low > most),
            Self::AtLeast(least) => (figure.low >= least, figure.high < least),
        };
        match (met, missed) {
            (true, _) => Judged::Met,
            (_, true) => Judged::Missed,
            _ => Judged::Undecided,
        }
    }
}

/// What a figure's interval says of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Judged {
    Met,
    Missed,
    Undecided,
}

/// What it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// What the clock does; its targets are given in nanoseconds.
    Clock,
    /// This, whatever the clock is.
    Other(&'static str),
}

/// One line.
#[derive(Clone, Debug, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    median: f64,
    low: f64,
    high: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judged: Option<Judged>,
}

/// A line of JSON tells by itself where it was measured.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    row: &'a Row,
    kernel: &'a str,
    clock: &'static str,
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    clock: Clock,
    kernel: String,
    scale: f64,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn new(clock: Clock, kernel: String) -> Self {
        Self {
            clock,
            kernel,
            scale: 1.0,
            rows: Vec::new(),
        }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Targets are relative to what `kill()` alone takes here, if the clock's are.
    pub(super) fn scale(&mut self, kill: f64) {
        self.scale = self.clock.scale(kill);
    }

    /// A line from the values of the rounds; without any, none.
    pub(super) fn row(
        &mut self,
        what: &str,
        unit: Unit,
        values: Option<Vec<f64>>,
        target: Option<Target>,
    ) -> Result<()> {
        if let Some(values) = values {
            let figure = figure(&values).context("too few rounds")?;
            self.add(what, unit, figure, target);
        }
        Ok(())
    }

    pub(super) fn add(&mut self, what: &str, unit: Unit, figure: Figure, target: Option<Target>) {
        let (unit, scale) = match unit {
            Unit::Clock => (self.clock.unit(), self.scale),
            Unit::Other(unit) => (unit, 1.0),
        };
        let target = target.map(|target| match target {
            Target::AtMost(most) => Target::AtMost(most * scale),
            Target::AtLeast(least) => Target::AtLeast(least * scale),
        });
        let judged = target.map(|target| target.judge(figure));
        self.rows.push(Row {
            what: what.to_owned(),
            unit,
            median: figure.median,
            low: figure.low,
            high: figure.high,
            target,
            judged,
        });
    }

    /// How many targets are met, and how many there are.
    pub(crate) fn targets(&self) -> (usize, usize) {
        let all: Vec<Judged> = self.rows.iter().filter_map(|row| row.judged).collect();
        let met = all.iter().filter(|&&judged| judged == Judged::Met);
        (met.count(), all.len())
    }

    /// As Markdown, which reads well in a terminal too.
    pub(crate) fn text(&self) -> String {
        let mut out =
            String::from("| what | figure | 95 % interval | target | |\n|---|---|---|---|---|\n");
        for row in &self.rows {
            let unit = row.unit;
            let target = match row.target {
                Some(Target::AtMost(most)) => format!("≤ {most:.0} {unit}"),
                Some(Target::AtLeast(least)) => format!("≥ {least:.0} {unit}"),
                None => String::new(),
            };
            let judged = match row.judged {
                Some(Judged::Met) => "met",
                Some(Judged::Missed) => "MISSED",
                Some(Judged::Undecided) => "undecided",
                None => "",
            };
            let _ = writeln!(
                out,
                "| {} | {:.1} {unit} | {:.1} to {:.1} | {target} | {judged} |",
                row.what, row.median, row.low, row.high
            );
        }
        out
    }

    /// An object per line.
    pub(crate) fn json(&self) -> Result<String> {
        let mut out = String::new();
        for row in &self.rows {
            let whole = Whole {
                row,
                kernel: &self.kernel,
                clock: self.clock.unit(),
            };
            let _ = writeln!(out, "{}", serde_json::to_string(&whole)?);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Kind;
    use super::super::rows;
    use super::super::subject::{Level, Rival, Subject};
    use super::super::Series;
    use super::*;

    fn table(clock: Clock, each: &[(Subject, f64)]) -> Table {
        let series = |&(subject, each): &(Subject, f64)| Series {
            kind: Kind::Routine,
            subject,
            each: vec![each; 15],
            bare: vec![300.0; 15],
            peak_kb: vec![9_000.0; 15],
        };
        let all: Vec<_> = each.iter().map(series).collect();
        let level = match clock {
            Clock::Time => ("raw_tp", true),
            Clock::Instructions => ("tp_btf", false),
        };
        let level = Level {
            generate: level.0.into(),
            every_call: level.1,
            pids_on_v1: false,
        };
        let mut table = Table::new(clock, "6.1".into());
        rows::costs(&mut table, &all, &level).unwrap();
        table
    }

    #[test]
    fn a_target_is_met_by_its_bound() {
        let table = table(
            Clock::Time,
            &[
                (Subject::Bare, 300.0),
                (Subject::Empty, 350.0),
                (Subject::Number, 359.0),
                (Subject::Elsewhere, 431.0),
                (Subject::Traced, 500.0),
                (Subject::Rival(Rival::Sigsnoop), 16_300.0),
            ],
        );
        // Missed: by container 81 over 80. Met: by number, traced, 80 times.
        assert_eq!(table.targets(), (3, 4), "{}", table.text());
        assert!(table
            .text()
            .contains("| 81.0 ns | 81.0 to 81.0 | ≤ 80 ns | MISSED |"));
        let json = table.json().unwrap();
        assert_eq!(json.lines().count(), table.rows.len());
        assert!(json
            .lines()
            .all(|line| line.contains(r#""kernel":"6.1","clock":"ns""#)));
    }

    #[test]
    fn what_the_interval_cannot_tell_is_undecided() {
        let figure = |low, high| Figure {
            median: f64::midpoint(low, high),
            low,
            high,
        };
        let (most, least) = (Target::AtMost(10.0), Target::AtLeast(80.0));
        assert_eq!(most.judge(figure(-5.0, 10.0)), Judged::Met);
        assert_eq!(most.judge(figure(9.0, 30.0)), Judged::Undecided);
        assert_eq!(most.judge(figure(11.0, 30.0)), Judged::Missed);
        assert_eq!(least.judge(figure(80.0, 90.0)), Judged::Met);
        assert_eq!(least.judge(figure(45.0, 99.0)), Judged::Undecided);
        assert_eq!(least.judge(figure(45.0, 79.0)), Judged::Missed);
    }

    #[test]
    fn instructions_are_measured_by_those_of_kill() {
        let table = table(
            Clock::Instructions,
            &[
                (Subject::Bare, 1_304.0),
                (Subject::Empty, 1_400.0),
                (Subject::Number, 1_440.0),
                (Subject::Elsewhere, 1_561.0),
            ],
        );
        // Four instructions for each nanosecond: 40 of 40, and 161 of 160.
        assert_eq!(table.targets(), (1, 2), "{}", table.text());
        assert!(table
            .text()
            .contains("| 161.0 instructions | 161.0 to 161.0 | ≤ 160 instructions | MISSED |"));
    }
}
