//! Which figures there are: what is compared with what, and what that is to reach.

use anyhow::{Context, Result};

use super::clock::Clock;
use super::flood::Storm;
use super::load::Kind;
use super::stats::{figure, Figure};
use super::subject::{Level, Rival, Subject};
use super::table::{Table, Target, Unit};
use super::watch::{self, Latency};
use super::Series;

/// The rounds of all.
#[derive(Clone, Copy)]
struct Rounds<'a>(&'a [Series]);

impl Rounds<'_> {
    fn of(&self, kind: Kind, subject: Subject) -> Option<&Series> {
        let mut all = self.0.iter();
        all.find(|series| (series.kind, series.subject) == (kind, subject))
    }

    /// Over the bare load right before and after: what disturbs the machine for longer is in
    /// both.
    fn over_bare(&self, kind: Kind, subject: Subject) -> Option<Vec<f64>> {
        let one = self.of(kind, subject)?;
        let both = one.each.iter().zip(&one.bare);
        Some(both.map(|(one, bare)| one - bare).collect())
    }

    fn over(&self, kind: Kind, subject: Subject, base: Subject) -> Option<Vec<f64>> {
        let one = self.over_bare(kind, subject)?;
        if base == Subject::Bare {
            return Some(one);
        }
        let both = one.into_iter().zip(self.over_bare(kind, base)?);
        Some(both.map(|(one, other)| one - other).collect())
    }

    /// How much longer it takes, in percent.
    fn slower(&self, kind: Kind, subject: Subject) -> Option<Vec<f64>> {
        let one = self.of(kind, subject)?;
        let both = one.each.iter().zip(&one.bare);
        Some(both.map(|(one, bare)| (one / bare - 1.0) * 100.0).collect())
    }
}

/// What it costs those who are watched, and others.
pub(super) fn costs(table: &mut Table, all: &[Series], level: &Level) -> Result<()> {
    use Subject::{Bare, Elsewhere, Empty, Follows, Number, Refused, Traced};
    let rounds = Rounds(all);
    let alone = rounds.of(Kind::Routine, Bare).map(|bare| bare.each.clone());
    if let Some(kill) = alone.as_deref().and_then(figure) {
        table.scale(kill.median);
    }
    table.row("kill() alone", Unit::Clock, alone, None)?;
    let typed = level.generate == "tp_btf";
    let by_container = format!(
        "rejected by container, over the empty program ({})",
        level.generate
    );
    let followed = format!(
        "the same, where a container is waited for (--wait; {}{})",
        level.generate,
        if level.pids_on_v1 { ", cgroup v1" } else { "" }
    );
    let by = if level.every_call {
        "by sys_exit"
    } else {
        "by the functions that refuse"
    };
    let refused = format!("refused signals too ({by}): kill() of others, over without");
    let refused_call =
        format!("another system call (getppid): refused signals too ({by}), over bare");
    // Where every system call is looked at, that costs more, and has to be asked for.
    let if_not_every = |most| (!level.every_call).then_some(most);
    let rows: [(&str, Kind, Subject, Subject, Option<f64>); 11] = [
        (
            "an empty program: the floor",
            Kind::Routine,
            Empty,
            Bare,
            None,
        ),
        (
            "rejected by signal number, over the empty program",
            Kind::Routine,
            Number,
            Empty,
            Some(10.0),
        ),
        (
            &by_container,
            Kind::Routine,
            Elsewhere,
            Empty,
            Some(if typed { 40.0 } else { 80.0 }),
        ),
        (
            &followed,
            Kind::Routine,
            Follows,
            Empty,
            Some(if typed { 40.0 } else { 80.0 }),
        ),
        (
            &refused,
            Kind::Routine,
            Refused,
            Elsewhere,
            if_not_every(60.0),
        ),
        (
            "another system call (getppid): sigtrace, over bare",
            Kind::Call,
            Elsewhere,
            Bare,
            Some(1.0),
        ),
        (&refused_call, Kind::Call, Refused, Bare, if_not_every(1.0)),
        (
            "routine signal, traced, each told",
            Kind::RoutineEach,
            Traced,
            Bare,
            Some(250.0),
        ),
        (
            "routine signal, traced, in a storm of equal ones",
            Kind::Routine,
            Traced,
            Bare,
            Some(250.0),
        ),
        (
            "dropped signal, traced with stack and ancestry, each told",
            Kind::DroppedEach,
            Traced,
            Bare,
            Some(3_000.0),
        ),
        (
            "dropped signal, traced, in a storm of equal ones",
            Kind::Dropped,
            Traced,
            Bare,
            Some(3_000.0),
        ),
    ];
    for (what, kind, subject, base, most) in rows {
        let values = rounds.over(kind, subject, base);
        table.row(what, Unit::Clock, values, most.map(Target::AtMost))?;
    }
    table.row(
        "fork and exit of an untraced process",
        Unit::Other("%"),
        rounds.slower(Kind::Fork, Elsewhere),
        Some(Target::AtMost(2.0)),
    )?;
    match table.clock() {
        Clock::Time => in_time(table, rounds),
        Clock::Instructions => Ok(()),
    }
}

/// What is no cost of a call, and what others cost.
fn in_time(table: &mut Table, rounds: Rounds<'_>) -> Result<()> {
    let traced = rounds.of(Kind::Routine, Subject::Traced);
    table.row(
        "memory at most, with the buffer, in a storm",
        Unit::Other("kB"),
        traced.map(|series| series.peak_kb.clone()),
        None,
    )?;
    let own = rounds.over_bare(Kind::Routine, Subject::Traced);
    for rival in Rival::ALL {
        let name = rival.name();
        let cost = rounds.over_bare(Kind::Routine, Subject::Rival(rival));
        let factor = cost.as_ref().zip(own.as_ref()).map(|(cost, own)| {
            let both = cost.iter().zip(own);
            both.map(|(rival, own)| rival / own).collect()
        });
        table.row(&format!("{name}: the same signal"), Unit::Clock, cost, None)?;
        let wanted = matches!(rival, Rival::Sigsnoop | Rival::Bpftrace);
        table.row(
            &format!("{name}: times sigtrace's cost"),
            Unit::Other("×"),
            factor,
            wanted.then_some(Target::AtLeast(80.0)),
        )?;
    }
    Ok(())
}

/// What comes of storms, and the memory that is held.
pub(super) fn storms(table: &mut Table, storms: Vec<Storm>, memory: Vec<f64>) -> Result<()> {
    for storm in storms {
        let of = match storm.senders {
            1 => "storm of one sender".to_owned(),
            many => format!("storm of {many} senders"),
        };
        table.row(
            &format!("{of}: signals a second"),
            Unit::Other(""),
            Some(storm.rate),
            Some(Target::AtLeast(1e6)),
        )?;
        none(
            table,
            &format!("{of}: not told, not counted"),
            storm.missing,
        )?;
    }
    table.row(
        "memory without the buffer, after 10 million equal signals and 100,000 processes",
        Unit::Other("kB"),
        Some(memory),
        Some(Target::AtMost(15.0 * 1024.0)),
    )
}

/// How long it takes until it watches, how it waits, and how soon it tells.
pub(super) fn watch(
    table: &mut Table,
    starts: [Vec<f64>; 2],
    idle: f64,
    latencies: Vec<Latency>,
) -> Result<()> {
    let [start, start_of_all] = starts;
    for (what, most, start) in [
        ("start until attached", 150.0, start),
        (
            "start until attached, with all that can be hooked here (--refused)",
            400.0,
            start_of_all,
        ),
    ] {
        table.row(
            what,
            Unit::Other("ms"),
            Some(start),
            Some(Target::AtMost(most)),
        )?;
    }
    let always = Figure {
        median: idle,
        low: idle,
        high: idle,
    };
    let seconds = watch::IDLE.as_secs();
    let what = format!("times its threads woke in {seconds} s without events");
    table.add(&what, Unit::Other(""), always, Some(Target::AtMost(0.0)));
    for latency in latencies {
        let rate = latency.rate;
        let what = format!(
            "event to its line, a second after the start, {rate} a second: 99 of 100 within"
        );
        let most = Some(Target::AtMost(20.0));
        table.row(&what, Unit::Other("ms"), Some(latency.p99_ms), most)?;
        none(table, &format!("{rate} a second: lost"), latency.lost)?;
    }
    Ok(())
}

fn none(table: &mut Table, what: &str, values: Vec<f64>) -> Result<()> {
    let never = Some(Target::AtMost(0.0));
    table
        .row(what, Unit::Other(""), Some(values), never)
        .with_context(|| what.to_owned())
}
