//! Small pieces of text that every rule and every output uses the same way.

use crate::event::{Ancestor, BootTime, Comm, Task};

/// `c-init-sig 16341`, `PID 1 c-init-sig 16301`: names with host pids.
pub(crate) fn who(task: &Task) -> String {
    let role = if task.is_pid1() && !task.ns_pids.is_empty() {
        "PID 1 "
    } else {
        ""
    };
    format!("{role}{} {}", task.comm, task.key.pid)
}

/// A process and those behind it: `sh 16350 ← bash 15990 ← sshd 1201`; of a
/// program of an engine with what it is there: `runc 16350 (container runtime)`. The
/// host's PID 1 and kthreadd stand behind everything and say nothing.
pub(crate) fn lineage(pid: u32, comm: Comm, role: Option<&str>, ancestry: &[Ancestor]) -> String {
    let mut text = format!("{comm} {pid}");
    if let Some(role) = role {
        text.push_str(&format!(" ({role})"));
    }
    for a in ancestry.iter().filter(|a| a.key.pid > 2) {
        text.push_str(&format!(" ← {} {}", a.comm, a.key.pid));
    }
    text
}

/// `413 µs`, `1.2 ms`, `10.0 s`, `12 min`.
pub(crate) fn span(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..100_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        100_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        1_000_000_000..120_000_000_000 => format!("{:.1} s", ns as f64 / 1e9),
        120_000_000_000..7_200_000_000_000 => format!("{} min", ns / 60_000_000_000),
        _ => format!("{} h", ns / 3_600_000_000_000),
    }
}

/// `16.0 MiB`, `1.5 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Time from one moment to a later one, 0 if they are the other way round.
pub(crate) fn between(from: BootTime, to: BootTime) -> u64 {
    to.0.saturating_sub(from.0)
}

/// With its full stop.
pub(crate) fn sentence(mut text: String) -> String {
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// Several pieces of advice as one sentence: they begin in lower case.
pub(crate) fn one_advice(all: &[String]) -> String {
    let mut one = String::new();
    for advice in all {
        if !one.is_empty() {
            one.truncate(one.trim_end_matches('.').len());
            one.push_str("; ");
        }
        one.push_str(advice);
    }
    one
}

/// `1 process`, `3 processes`.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        let texts = [4096, 16 << 20, 3 << 29, u64::MAX].map(bytes);
        assert_eq!(texts, ["4.0 KiB", "16.0 MiB", "1.5 GiB", "16777216.0 TiB"]);
    }

    #[test]
    fn advice_is_one_sentence() {
        let all = ["wait for it.", "attach earlier (as root)."].map(str::to_owned);
        assert_eq!(one_advice(&all), "wait for it; attach earlier (as root).");
        assert_eq!(one_advice(&all[..1]), "wait for it.");
        assert_eq!(one_advice(&[]), "");
    }

    #[test]
    fn spans_are_short_and_keep_two_digits() {
        let texts: Vec<_> = [
            900,
            413_000,
            1_234_567,
            340_000_000,
            10_000_000_000,
            720_000_000_000,
            86_400_000_000_000,
        ]
        .map(span)
        .into();
        assert_eq!(
            texts,
            ["0 µs", "413 µs", "1.2 ms", "340 ms", "10.0 s", "12 min", "24 h"]
        );
    }
}
