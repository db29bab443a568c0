//! How much of a time a process was kept from running because its control group had
//! used up its CPU quota: from two readings of the groups' counts, or from what the
//! kernel side saw of the queue that the process runs from.

use crate::event::{printable, BootTime, Quota, Quotas, Sight, Signal};
use crate::explain::report::{Evidence, Throttled};
use crate::history::note::Fate;
use crate::history::process::Process;

use super::death::Death;
use super::verdict::Verdict;
use super::{signals, words};

/// Less than this part of the time is no reason for anything.
const WORTH_SAYING: u64 = 10;
/// After the end that is asked about a reading may come so late.
const LATE_NS: u64 = 1_000_000_000;

/// What the counts of a group have grown by, of the group that was kept from running
/// for longest; `None`: none was.
fn between(before: &Quotas, after: &Quotas) -> Option<Throttled> {
    let span_us = words::between(before.at, after.at) / 1_000;
    let grown = |now: &Quota| {
        let then = before.groups.iter().find(|then| then.group == now.group)?;
        Some(Throttled {
            cgroup: printable(&now.group),
            v1: now.v1,
            quota_us: now.quota_us,
            period_us: now.period_us,
            measured_us: span_us,
            periods: now.periods.checked_sub(then.periods)?,
            throttled_periods: now.throttled_periods.checked_sub(then.throttled_periods)?,
            throttled_us: now.throttled_us.checked_sub(then.throttled_us)?,
        })
    };
    let all = after.groups.iter().filter_map(grown);
    let longest = all.max_by_key(|group| (group.throttled_us, group.throttled_periods))?;
    (longest.throttled_us > 0 && longest.throttled_periods > 0).then_some(longest)
}

/// Whether that was so much of the time that it tells why something took long.
fn counts(found: &Throttled) -> bool {
    found.throttled_us.saturating_mul(WORTH_SAYING) >= found.measured_us
}

/// From the request to end to the end: the numbers, and the events of both readings.
fn during(one: &Process, from: BootTime, to: BootTime) -> Option<(Throttled, [u64; 2])> {
    let mut since = one.quotas.iter().filter(|(_, q)| q.at >= from);
    let (first, before) = since.next()?;
    let until = BootTime(to.0.saturating_add(LATE_NS));
    let (last, after) = since.rfind(|(_, q)| q.at <= until)?;
    Some((between(before, after)?, [*first, *last])).filter(|(found, _)| counts(found))
}

/// A process took too long to end: says if that was for want of CPU time.
pub(crate) fn slowed(one: &Process, it: &str, from: BootTime, to: BootTime, d: &mut Death) {
    let Some((found, events)) = during(one, from, to) else {
        return;
    };
    if !d.contributing.contains(&"throttled") {
        d.contributing.push("throttled");
    }
    let whose = match it {
        "it" => "its control group".to_owned(),
        other => format!("the control group of {other},"),
    };
    for event in events {
        d.evidence(Evidence::Event(event));
    }
    d.say(format!(
        "Meanwhile {whose} {} had used up its CPU quota ({}) in {} of {}, and was kept from running for {}.",
        found.cgroup,
        allowance(found.quota_us, found.period_us),
        found.throttled_periods,
        words::count(found.periods, "period", "periods"),
        share(&found),
    ));
    d.advise(format!(
        "give {} more CPU ({}), or allow more time before the kill",
        found.cgroup,
        knob(found.v1)
    ));
    d.throttled = Some(Box::new(found));
}

/// `10.0 ms of CPU time in each 100 ms`.
fn allowance(quota_us: u64, period_us: u64) -> String {
    format!(
        "{} of CPU time in each {}",
        words::span(quota_us.saturating_mul(1_000)),
        words::span(period_us.saturating_mul(1_000))
    )
}

/// `2.7 s of 2.9 s`; on several CPUs it can be more than all of the time.
fn share(found: &Throttled) -> String {
    let kept = words::span(found.throttled_us.saturating_mul(1_000));
    let of = words::span(found.measured_us.saturating_mul(1_000));
    if found.throttled_us > found.measured_us {
        format!("{kept} in {of}, added up over the CPUs")
    } else {
        format!("{kept} of {of}")
    }
}

fn knob(v1: bool) -> &'static str {
    if v1 {
        "docker update --cpus, or cpu.cfs_quota_us"
    } else {
        "docker update --cpus, or cpu.max"
    }
}

/// Why a signal waits whose target is runnable: its group has no CPU time left. `first`
/// and `last`: the first and the last look at it.
pub(crate) fn waits(
    s: &Signal,
    waited: words::Span,
    first: Option<&Sight>,
    last: Option<&Sight>,
) -> Option<Verdict> {
    let quotas = |sight: Option<&'_ Sight>| sight.and_then(|sight| sight.quotas.clone());
    let (first, last) = (quotas(first), quotas(last));
    let measured = match (&first, &last) {
        (Some(first), Some(last)) if first.at < last.at => Some(between(first, last)),
        _ => None,
    };
    let name = signals::name(s.number);
    let found = match measured {
        Some(Some(found)) if counts(&found) => Some(found),
        // It has used up no quota since.
        Some(_) => return None,
        None => None,
    };
    if !s.state.throttled && found.is_none() {
        return None;
    }
    let v = Verdict::proven(Fate::Pending).because("throttled");
    let v = match s.state.throttled {
        true => v
            .field("cfs_rq->throttle_count is not 0 on the target's CPU")
            .say(format!(
                "{name} has waited for {waited}: when it came, {} had used up {}, so on its CPU no program of that group ran before the next period.",
                group(last.as_ref(), found.as_ref()),
                quota(last.as_ref(), found.as_ref()),
            )),
        false => v
            .but("whether it was this process that was kept from running, and not others of its control group")
            .say(format!("{name} has waited for {waited}, and the process is runnable.")),
    };
    let v = match s.state.threads {
        0 | 1 => v,
        n if s.state.throttled => v.but(format!("the CPUs of {} further threads", n - 1)),
        _ => v,
    };
    let v = match &found {
        Some(found) => v
            .field("nr_throttled and throttled_usec of cpu.stat, read by two looks at it")
            .say(format!(
                "Between two looks the control group {} had used up its quota ({}) in {} of {}, and was kept from running for {}.",
                found.cgroup,
                allowance(found.quota_us, found.period_us),
                found.throttled_periods,
                words::count(found.periods, "period", "periods"),
                share(found)
            )),
        None => v,
    };
    let v1 = last.and_then(|last| last.groups.first().map(|group| group.v1));
    Some(v.advise(format!(
        "give its control group more CPU ({})",
        knob(v1.unwrap_or(false))
    )))
}

/// How to call the group whose quota it is.
fn group(quotas: Option<&Quotas>, found: Option<&Throttled>) -> String {
    match (found, quotas.map(|quotas| &quotas.groups[..])) {
        (Some(found), _) => format!("the control group {}", found.cgroup),
        (None, Some([only])) => format!("the control group {}", printable(&only.group)),
        _ => "its control group, or one around it,".to_owned(),
    }
}

fn quota(quotas: Option<&Quotas>, found: Option<&Throttled>) -> String {
    let only = match (found, quotas.map(|quotas| &quotas.groups[..])) {
        (Some(found), _) => Some((found.quota_us, found.period_us)),
        (None, Some([only])) => Some((only.quota_us, only.period_us)),
        _ => None,
    };
    only.map_or_else(
        || "its CPU quota".to_owned(),
        |(quota, period)| format!("its CPU quota ({})", allowance(quota, period)),
    )
}
