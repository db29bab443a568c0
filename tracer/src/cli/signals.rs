//! Signals on the command line: `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`.

use std::str::FromStr;

use crate::explain::signals;

/// A signal's number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignalNumber(pub i32);

impl FromStr for SignalNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        signals::parse(text.trim()).map(Self).ok_or_else(|| {
            format!(
                "no signal is called {text:?}: a name (TERM, SIGTERM), a number 1 to 64, \
                 RTMIN+n or RTMAX-n"
            )
        })
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
