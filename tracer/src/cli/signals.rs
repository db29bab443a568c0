//! Signals on the command line: `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`.

use std::str::FromStr;

use crate::output::names;

/// Lowest real-time signal that programs see; glibc keeps 32 and 33.
const RTMIN: i32 = 34;
/// Highest signal.
const RTMAX: i32 = 64;

/// A signal's number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignalNumber(pub i32);

impl FromStr for SignalNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!("no signal is called {text:?}: a name (TERM, SIGTERM), a number 1 to 64, RTMIN+n or RTMAX-n")
        };
        let upper = text.trim().to_ascii_uppercase();
        if let Ok(number) = upper.parse::<i32>() {
            return if (1..=RTMAX).contains(&number) {
                Ok(Self(number))
            } else {
                Err(unknown())
            };
        }
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let real_time = |offset: &str, sign: char, base: i32, direction: i32| {
            if offset.is_empty() {
                return Some(base);
            }
            let offset: i32 = offset.strip_prefix(sign)?.parse().ok()?;
            let number = base.checked_add(direction.checked_mul(offset)?)?;
            (RTMIN..=RTMAX).contains(&number).then_some(number)
        };
        let number = if let Some(offset) = name.strip_prefix("RTMIN") {
            real_time(offset, '+', RTMIN, 1)
        } else if let Some(offset) = name.strip_prefix("RTMAX") {
            real_time(offset, '-', RTMAX, -1)
        } else {
            match name {
                "IOT" => Some(6),
                "CLD" => Some(17),
                "POLL" => Some(29),
                _ => (1..=31).find(|&number| names::signal(number)[3..] == *name),
            }
        };
        number.map(Self).ok_or_else(unknown)
    }
}

/// The set of `wanted` without `excluded`, bit n-1 for signal n; nothing wanted
/// stands for all.
pub fn mask(wanted: &[SignalNumber], excluded: &[SignalNumber]) -> u64 {
    let set = |numbers: &[SignalNumber]| {
        numbers
            .iter()
            .fold(0, |set, SignalNumber(number)| set | 1 << (number - 1))
    };
    let wanted = if wanted.is_empty() {
        u64::MAX
    } else {
        set(wanted)
    };
    wanted & !set(excluded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_one() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("RTMAX", 64),
            ("32", 32),
            ("IOT", 6),
            ("io", 29),
        ] {
            assert_eq!(text.parse(), Ok(SignalNumber(number)), "{text}");
        }
        for text in [
            "",
            "SIG",
            "0",
            "65",
            "-9",
            "TERMINATE",
            "RTMIN+31",
            "RTMIN-1",
            "RTMIN+-1",
            "RTMAX-2147483647",
            "RTMIN+99999999999",
        ] {
            assert!(text.parse::<SignalNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn masks() {
        let term = SignalNumber(15);
        assert_eq!(mask(&[], &[]), u64::MAX);
        assert_eq!(mask(&[term], &[]), 1 << 14);
        assert_eq!(mask(&[], &[SignalNumber(64)]), u64::MAX >> 1);
        assert_eq!(mask(&[term], &[term]), 0);
    }
}
