//! Small pieces of text that every rule and every output uses the same way.

use std::fmt;

use crate::event::{printable, Ancestor, BootTime, Origin, Task};
use crate::history::note::NotedSender;

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
/// program of an engine with what it is there: `runc 16350 (container runtime)`; of
/// somebody from elsewhere with where: `kill 16350 (in session 3 of user 1000)`. The
/// host's PID 1 and kthreadd stand behind everything and say nothing.
pub(crate) fn lineage(by: &NotedSender, role: Option<&str>, ancestry: &[Ancestor]) -> String {
    let mut text = format!("{} {}", by.comm, by.key.pid);
    if let Some(beside) = beside(role, by.origin.as_deref()) {
        text.push_str(&format!(" ({beside})"));
    }
    for a in ancestry.iter().filter(|a| a.key.pid > 2) {
        text.push_str(&format!(" ← {} {}", a.comm, a.key.pid));
    }
    if by.more_ancestors && !ancestry.is_empty() {
        text.push_str(" ← … (cut here: more parents than are recorded)");
    }
    text
}

/// What stands beside a sender's name: its role in an engine, where it comes from.
pub(crate) fn beside(role: Option<&str>, origin: Option<&Origin>) -> Option<String> {
    let parts: Vec<String> = (role.map(str::to_owned).into_iter())
        .chain(origin.and_then(from))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `in container web`, `in session 3 of user 1000`, `of unit cron.service`; nothing of
/// the host's own PID 1, which says that itself.
pub(crate) fn from(origin: &Origin) -> Option<String> {
    let place = place(origin)?;
    let preposition = match place.starts_with(UNIT) {
        true => "of",
        false => "in",
    };
    Some(format!("{preposition} {place}"))
}

/// What a place begins with that is a unit, or one in a container.
const UNIT: &str = "unit ";

/// The same as a place: `container web`, `unit cron.service`.
pub(crate) fn place(origin: &Origin) -> Option<String> {
    let unit = origin.unit.as_deref().filter(|unit| *unit != "init.scope");
    let of_user = || origin.uid.map(|uid| format!(" of user {uid}"));
    Some(match (&origin.container, &origin.session, unit) {
        (Some(container), _, unit) => {
            let name = match &container.name {
                Some(name) => printable(name),
                None => short(&container.id).to_owned(),
            };
            let unit = unit.map(|unit| format!("{UNIT}{} in ", unit_name(unit)));
            let pod = origin.pod.as_ref();
            let pod = pod.map(|pod| format!(" of pod {}", printable(short_pod(pod))));
            let (unit, pod) = (unit.unwrap_or_default(), pod.unwrap_or_default());
            format!("{unit}container {name}{pod}")
        }
        _ if origin.pod.is_some() => {
            format!("pod {}", printable(short_pod(origin.pod.as_deref()?)))
        }
        (None, Some(session), _) => {
            format!(
                "session {}{}",
                printable(session),
                of_user().unwrap_or_default()
            )
        }
        (None, None, Some(unit)) => {
            format!("{UNIT}{}{}", unit_name(unit), of_user().unwrap_or_default())
        }
        _ => return None,
    })
}

/// A container's id as engines show it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A pod of Podman has an id like a container's; a UUID is shown whole, as Kubernetes
/// does.
fn short_pod(id: &str) -> &str {
    if id.len() == 64 {
        short(id)
    } else {
        id
    }
}

/// A unit's name to be read: `\x2d` as the character that it stands for
/// (`systemd-escape`), and of a container's long id the beginning.
fn unit_name(unit: &str) -> String {
    let bytes = unit.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let digits = bytes[at..]
            .strip_prefix(b"\\x")
            .and_then(|rest| rest.get(..2));
        let code = digits.and_then(|two| std::str::from_utf8(two).ok());
        let is_hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = code
            .filter(is_hex)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    let name = String::from_utf8_lossy(&out);
    let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let long = name.split(|c: char| !is_hex(c)).find(|run| run.len() == 64);
    match long {
        Some(id) => printable(&name.replace(id, &format!("{}…", short(id)))),
        None => printable(&name),
    }
}

/// `413 µs`, `1.2 ms`, `10.0 s`, `12 min`.
pub(crate) fn span(ns: u64) -> Span {
    Span(ns)
}

/// A length of time in nanoseconds, written where it is needed: with each signal that is
/// handled there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0;
        match ns {
            0..1_000_000 => write!(f, "{} µs", ns / 1_000),
            1_000_000..100_000_000 => write!(f, "{:.1} ms", ns as f64 / 1e6),
            100_000_000..1_000_000_000 => write!(f, "{} ms", ns / 1_000_000),
            1_000_000_000..120_000_000_000 => write!(f, "{:.1} s", ns as f64 / 1e9),
            120_000_000_000..7_200_000_000_000 => write!(f, "{} min", ns / 60_000_000_000),
            _ => write!(f, "{} h", ns / 3_600_000_000_000),
        }
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

/// What to change where a PID 1 keeps a request to end to itself.
pub(crate) fn forward(name: &str, one: &str) -> String {
    format!("forward {name} in {one} to its children, and wait for them before it exits")
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
        .map(|ns| span(ns).to_string())
        .into();
        assert_eq!(
            texts,
            ["0 µs", "413 µs", "1.2 ms", "340 ms", "10.0 s", "12 min", "24 h"]
        );
    }
}
