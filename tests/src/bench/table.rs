//! The rows: which difference is a figure, and what it is to reach. A target is
//! met if the upper bound of its interval is (for a factor, the lower). Where
//! instructions are counted, targets are of so many as `kill()` would do in their time.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde::Serialize;

use super::flood::Storm;
use super::load::Kind;
use super::stats::{figure, Figure};
use super::subject::{Level, Rival, Subject};
use super::watch::{self, Latency};
use super::Series;

/// What a round's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Nanoseconds.
    Time,
    /// Instructions.
    Instructions,
}

impl Clock {
    fn unit(self) -> &'static str {
        match self {
            Self::Time => "ns",
            Self::Instructions => "instructions",
        }
    }
}

/// What `kill()` alone took on the machine that the targets were set on, nanoseconds.
const KILL_NS: f64 = 326.0;

/// What a figure may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    median: f64,
    low: f64,
    high: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Of the rounds.
    pub(crate) fn of(all: &[Series], level: &Level, clock: Clock) -> Result<Self> {
        let rounds = |kind, subject| {
            all.iter()
                .find(|series| (series.kind, series.subject) == (kind, subject))
        };
        // Over the bare load right before and after: what disturbs the machine for longer is
        // in both.
        let over_bare = |kind, subject| -> Option<Vec<f64>> {
            let one: &Series = rounds(kind, subject)?;
            let both = one.nanoseconds.iter().zip(&one.bare);
            Some(both.map(|(one, bare)| one - bare).collect())
        };
        let over = |kind, subject, base| -> Option<Vec<f64>> {
            let one = over_bare(kind, subject)?;
            if base == Subject::Bare {
                return Some(one);
            }
            let both = one.into_iter().zip(over_bare(kind, base)?);
            Some(both.map(|(one, other)| one - other).collect())
        };
        let bare = |kind| Some(rounds(kind, Subject::Bare)?.nanoseconds.clone());
        let kill = bare(Kind::Routine).and_then(|values| figure(&values));
        let scale = match clock {
            Clock::Time => Some(1.0),
            Clock::Instructions => kill.map(|kill| kill.median / KILL_NS),
        };
        let ns = clock.unit();
        let mut table = Vec::new();
        let mut row = |what: &str, unit, values: Option<Vec<f64>>, target| -> Result<()> {
            let Some(values) = values else { return Ok(()) };
            let figure = figure_of_rounds(&values)?;
            let target = match target {
                Some(Target::AtMost(most)) if unit == ns => {
                    scale.map(|scale| Target::AtMost(most * scale))
                }
                other => other,
            };
            table.push(Row::new(what, unit, figure, target));
            Ok(())
        };
        let routine = |subject, base| over(Kind::Routine, subject, base);
        row("kill() alone", ns, bare(Kind::Routine), None)?;
        row(
            "an empty program: the floor",
            ns,
            routine(Subject::Empty, Subject::Bare),
            None,
        )?;
        row(
            "rejected by signal number, over the empty program",
            ns,
            routine(Subject::Number, Subject::Empty),
            Some(Target::AtMost(10.0)),
        )?;
        let generate = &level.generate;
        let typed = generate == "tp_btf";
        row(
            &format!("rejected by container, over the empty program ({generate})"),
            ns,
            routine(Subject::Elsewhere, Subject::Empty),
            Some(Target::AtMost(if typed { 40.0 } else { 80.0 })),
        )?;
        let by = if level.every_call {
            "by sys_exit"
        } else {
            "by the functions that refuse"
        };
        row(
            &format!("refused signals too ({by}): kill() of others, over without"),
            ns,
            routine(Subject::Refused, Subject::Elsewhere),
            // Where every system call is looked at, that costs more, and has to be asked for.
            (!level.every_call).then_some(Target::AtMost(60.0)),
        )?;
        row(
            "another system call (getppid): sigtrace, over bare",
            ns,
            over(Kind::Call, Subject::Elsewhere, Subject::Bare),
            Some(Target::AtMost(1.0)),
        )?;
        row(
            &format!("another system call (getppid): refused signals too ({by}), over bare"),
            ns,
            over(Kind::Call, Subject::Refused, Subject::Bare),
            // That it costs every system call is why nobody gets it unasked.
            (!level.every_call).then_some(Target::AtMost(1.0)),
        )?;
        row(
            "routine signal, traced, each told",
            ns,
            over(Kind::RoutineEach, Subject::Traced, Subject::Bare),
            Some(Target::AtMost(250.0)),
        )?;
        row(
            "routine signal, traced, in a storm of equal ones",
            ns,
            routine(Subject::Traced, Subject::Bare),
            Some(Target::AtMost(250.0)),
        )?;
        row(
            "dropped signal, traced with stack and ancestry, each told",
            ns,
            over(Kind::DroppedEach, Subject::Traced, Subject::Bare),
            Some(Target::AtMost(3_000.0)),
        )?;
        row(
            "dropped signal, traced, in a storm of equal ones",
            ns,
            over(Kind::Dropped, Subject::Traced, Subject::Bare),
            Some(Target::AtMost(3_000.0)),
        )?;
        let slower = |one: &Series| {
            let both = one.nanoseconds.iter().zip(&one.bare);
            both.map(|(one, bare)| (one / bare - 1.0) * 100.0).collect()
        };
        let forks = rounds(Kind::Fork, Subject::Elsewhere).map(slower);
        row(
            "fork and exit of an untraced process",
            "%",
            forks,
            Some(Target::AtMost(2.0)),
        )?;
        if clock == Clock::Instructions {
            return Ok(Self(table));
        }
        let traced = rounds(Kind::Routine, Subject::Traced);
        row(
            "start until attached",
            "ms",
            traced.map(|series| series.start_ms.clone()),
            Some(Target::AtMost(150.0)),
        )?;
        row(
            "memory at most, with the buffer, in a storm",
            "kB",
            traced.map(|series| series.peak_kb.clone()),
            None,
        )?;
        for rival in Rival::ALL {
            let name = rival.name();
            let cost = routine(Subject::Rival(rival), Subject::Bare);
            let times = |cost: &[f64]| -> Option<Vec<f64>> {
                let own = routine(Subject::Traced, Subject::Bare)?;
                Some(
                    cost.iter()
                        .zip(own)
                        .map(|(rival, own)| rival / own)
                        .collect(),
                )
            };
            let factor = cost.as_deref().and_then(times);
            row(&format!("{name}: the same signal"), "ns", cost, None)?;
            let wanted = matches!(rival, Rival::Sigsnoop | Rival::Bpftrace);
            row(
                &format!("{name}: times sigtrace's cost"),
                "×",
                factor,
                wanted.then_some(Target::AtLeast(80.0)),
            )?;
        }
        Ok(Self(table))
    }

    /// What comes of storms, and the memory that is held.
    pub(crate) fn storms(&mut self, storms: &[Storm], memory: &[f64]) -> Result<()> {
        let mut row = |what: &str, unit, values: &[f64], target| -> Result<()> {
            let figure = figure_of_rounds(values)?;
            self.0.push(Row::new(what, unit, figure, target));
            Ok(())
        };
        for storm in storms {
            let of = match storm.senders {
                1 => "storm of one sender".to_owned(),
                many => format!("storm of {many} senders"),
            };
            let (rate, none) = (Target::AtLeast(1e6), Target::AtMost(0.0));
            row(
                &format!("{of}: signals a second"),
                "",
                &storm.rate,
                Some(rate),
            )?;
            row(
                &format!("{of}: not told, not counted"),
                "",
                &storm.missing,
                Some(none),
            )?;
        }
        row(
            "memory without the buffer, while processes come and go",
            "kB",
            memory,
            Some(Target::AtMost(15.0 * 1024.0)),
        )
    }

    /// How it waits, and how soon it tells.
    pub(crate) fn watch(&mut self, idle: f64, latencies: &[Latency]) -> Result<()> {
        let always = Figure {
            median: idle,
            low: idle,
            high: idle,
        };
        let what = format!(
            "times its threads woke in {} s without events",
            watch::IDLE.as_secs()
        );
        let row = Row::new(&what, "", always, Some(Target::AtMost(0.0)));
        self.0.push(row);
        for latency in latencies {
            let figure = figure_of_rounds(&latency.p99_ms)?;
            let what = format!(
                "event to its line, a second after the start, {} a second: 99 of 100 within",
                latency.rate
            );
            let row = Row::new(&what, "ms", figure, Some(Target::AtMost(20.0)));
            self.0.push(row);
            let figure = figure_of_rounds(&latency.lost)?;
            let what = format!("{} a second: lost", latency.rate);
            let row = Row::new(&what, "", figure, Some(Target::AtMost(0.0)));
            self.0.push(row);
        }
        Ok(())
    }

    /// How many targets are met, and how many there are.
    pub(crate) fn targets(&self) -> (usize, usize) {
        let met: Vec<bool> = self.0.iter().filter_map(|row| row.met).collect();
        (met.iter().filter(|&&met| met).count(), met.len())
    }

    /// As Markdown, which reads well in a terminal too.
    pub(crate) fn text(&self) -> String {
        let mut out =
            String::from("| what | figure | 95 % interval | target | |\n|---|---|---|---|---|\n");
        for row in &self.0 {
            let unit = row.unit;
            let target = match row.target {
                Some(Target::AtMost(most)) => format!("≤ {most:.0} {unit}"),
                Some(Target::AtLeast(least)) => format!("≥ {least:.0} {unit}"),
                None => String::new(),
            };
            let met = match row.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            let _ = writeln!(
                out,
                "| {} | {:.1} {unit} | {:.1} to {:.1} | {target} | {met} |",
                row.what, row.median, row.low, row.high
            );
        }
        out
    }

    /// An object per line.
    pub(crate) fn json(&self) -> Result<String> {
        let mut out = String::new();
        for row in &self.0 {
            let _ = writeln!(out, "{}", serde_json::to_string(row)?);
        }
        Ok(out)
    }
}

fn figure_of_rounds(values: &[f64]) -> Result<Figure> {
    figure(values).context("too few rounds")
}

impl Row {
    fn new(what: &str, unit: &'static str, figure: Figure, target: Option<Target>) -> Self {
        let met = target.map(|target| match target {
            Target::AtMost(most) => figure.high <= most,
            Target::AtLeast(least) => figure.low >= least,
        });
        Self {
            what: what.to_owned(),
            unit,
            median: figure.median,
            low: figure.low,
            high: figure.high,
            target,
            met,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(subject: Subject, nanoseconds: f64) -> Series {
        Series {
            kind: Kind::Routine,
            subject,
            nanoseconds: vec![nanoseconds; 15],
            bare: vec![300.0; 15],
            start_ms: vec![40.0; 15],
            peak_kb: vec![9_000.0; 15],
        }
    }

    #[test]
    fn a_target_is_met_by_its_bound() {
        let all = [
            series(Subject::Bare, 300.0),
            series(Subject::Empty, 350.0),
            series(Subject::Number, 359.0),
            series(Subject::Elsewhere, 431.0),
            series(Subject::Traced, 500.0),
            series(Subject::Rival(Rival::Sigsnoop), 16_300.0),
        ];
        let level = Level {
            generate: "raw_tp".into(),
            every_call: true,
        };
        let table = Table::of(&all, &level, Clock::Time).unwrap();
        // Missed: by container 81 over 80. Met: by number, traced, start, 80 times.
        assert_eq!(table.targets(), (4, 5), "{}", table.text());
        assert!(table
            .text()
            .contains("| 81.0 ns | 81.0 to 81.0 | ≤ 80 ns | MISSED |"));
        assert_eq!(table.json().unwrap().lines().count(), table.0.len());
    }

    #[test]
    fn instructions_are_measured_by_those_of_kill() {
        let all = [
            series(Subject::Bare, 1_304.0),
            series(Subject::Empty, 1_400.0),
            series(Subject::Number, 1_440.0),
            series(Subject::Elsewhere, 1_561.0),
        ];
        let level = Level {
            generate: "tp_btf".into(),
            every_call: false,
        };
        let table = Table::of(&all, &level, Clock::Instructions).unwrap();
        // Four instructions for each nanosecond: 40 of 40, and 161 of 160.
        assert_eq!(table.targets(), (1, 2), "{}", table.text());
        assert!(table
            .text()
            .contains("| 161.0 instructions | 161.0 to 161.0 | ≤ 160 instructions | MISSED |"));
    }
}
