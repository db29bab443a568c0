//! Signal numbers and names, what a signal does by default, and what exit
//! codes mean. Numbers are those of x86-64 and arm64; `SIGRTMIN` is 34 as in
//! glibc and musl keep it for programs.

use std::borrow::Cow;

/// Number of `SIGRTMIN` to the kernel, whose rules begin there; the C library keeps two for itself.
pub const KERNEL_RTMIN: i32 = 32;
/// Number of `SIGRTMIN`.
pub const RTMIN: i32 = 34;
/// Number of `SIGRTMAX`.
pub const RTMAX: i32 = 64;

macro_rules! numbers {
    ($($name:ident = $number:literal),+ $(,)?) => {
        $(#[doc = concat!("Number of SIG", stringify!($name), ".")] pub const $name: i32 = $number;)+
        /// Names, index n-1 for signal n.
        const NAMES: [&str; 31] = [$(concat!("SIG", stringify!($name))),+];
    };
}

numbers! {
    HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10,
    SEGV = 11, USR2 = 12, PIPE = 13, ALRM = 14, TERM = 15, STKFLT = 16, CHLD = 17, CONT = 18,
    STOP = 19, TSTP = 20, TTIN = 21, TTOU = 22, URG = 23, XCPU = 24, XFSZ = 25, VTALRM = 26,
    PROF = 27, WINCH = 28, IO = 29, PWR = 30, SYS = 31,
}

/// What happens where a process has no handler (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// It ends.
    Term,
    /// It ends and writes a core dump.
    Core,
    /// Nothing.
    Ignore,
    /// It stops.
    Stop,
    /// It goes on if it was stopped.
    Cont,
}

impl DefaultAction {
    /// One word, as signal(7) says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Term => "terminate",
            Self::Core => "terminate with a core dump",
            Self::Ignore => "ignore",
            Self::Stop => "stop",
            Self::Cont => "continue if stopped",
        }
    }
}

/// The default action of a signal.
pub fn default_action(number: i32) -> DefaultAction {
    match number {
        QUIT | ILL | TRAP | ABRT | BUS | FPE | SEGV | XCPU | XFSZ | SYS => DefaultAction::Core,
        CHLD | URG | WINCH => DefaultAction::Ignore,
        STOP | TSTP | TTIN | TTOU => DefaultAction::Stop,
        CONT => DefaultAction::Cont,
        _ => DefaultAction::Term,
    }
}

/// Whether a signal without a handler is dropped (`sig_kernel_ignore`).
pub fn default_ignored(number: i32) -> bool {
    matches!(
        default_action(number),
        DefaultAction::Ignore | DefaultAction::Cont
    )
}

/// Whether no program can handle, ignore or block it (`sig_kernel_only`).
pub fn kernel_only(number: i32) -> bool {
    number == KILL || number == STOP
}

/// Whether the kernel sends it for what a thread did in error.
pub fn is_fault(number: i32) -> bool {
    matches!(number, ILL | TRAP | BUS | FPE | SEGV | SYS)
}

/// `SIGTERM`, `SIGRTMIN+3`; `SIG32` and `SIG33` belong to the C library.
pub fn name(number: i32) -> Cow<'static, str> {
    match number {
        1..=31 => Cow::Borrowed(NAMES[number as usize - 1]),
        RTMIN => Cow::Borrowed("SIGRTMIN"),
        35..=RTMAX => Cow::Owned(format!("SIGRTMIN+{}", number - RTMIN)),
        _ => Cow::Owned(format!("SIG{number}")),
    }
}

/// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-1`.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let alias = match short {
        "POLL" => "IO",
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "UNUSED" => "SYS",
        other => other,
    };
    if let Some(at) = NAMES.iter().position(|n| &n[3..] == alias) {
        return Some(at as i32 + 1);
    }
    let number = |base: i32, rest: &str| -> Option<i32> {
        if rest.is_empty() {
            return Some(base);
        }
        let (down, digits) = match rest.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, rest.strip_prefix('+')?),
        };
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        let offset: i32 = if plain {
            digits.parse().ok()?
        } else {
            return None;
        };
        if down {
            base.checked_sub(offset)
        } else {
            base.checked_add(offset)
        }
    };
    let number = match alias.strip_prefix("RTMIN") {
        Some(rest) => number(RTMIN, rest)?,
        None => number(RTMAX, alias.strip_prefix("RTMAX")?)?,
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

/// The bit of a signal in a set.
pub fn bit(number: i32) -> u64 {
    if (1..=64).contains(&number) {
        1 << (number - 1)
    } else {
        0
    }
}

/// What an exit code means, where there is more to it than success or failure:
/// `137` is `128 + 9 (SIGKILL)`.
pub fn exit_code(code: i32) -> Option<String> {
    let text = match code {
        125 => {
            "the container engine itself failed, before or while it started the program".to_owned()
        }
        126 => "the program was found but could not be run (not executable, or not a program)"
            .to_owned(),
        127 => "the program was not found".to_owned(),
        128 => "an invalid argument to exit, as shells report it".to_owned(),
        129..=192 => {
            let number = code - 128;
            format!(
                "128 + {number}, by which shells and container engines report an end by {}",
                name(number)
            )
        }
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for number in 1..=RTMAX {
            if number == 32 || number == 33 {
                assert_eq!(parse(&number.to_string()), Some(number));
                continue;
            }
            assert_eq!(parse(&name(number)), Some(number));
            assert_eq!(parse(&name(number)[3..].to_lowercase()), Some(number));
        }
        assert_eq!(name(37), "SIGRTMIN+3");
        assert_eq!(parse("RTMIN+3"), Some(37));
        assert_eq!(parse("SIGRTMAX-1"), Some(63));
        assert_eq!(parse("iot"), Some(ABRT));
        for bad in [
            "", "SIG", "0", "65", "-1", "RTMIN+31", "RTMIN++1", "RTMAX+1", "TERMX", "RTMINé",
            "RTMIN+-1",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn defaults_are_those_of_signal_7() {
        assert_eq!(default_action(TERM), DefaultAction::Term);
        assert_eq!(default_action(40), DefaultAction::Term);
        assert_eq!(default_action(SEGV), DefaultAction::Core);
        assert_eq!(default_action(TTOU), DefaultAction::Stop);
        assert!(default_ignored(CONT) && default_ignored(URG) && !default_ignored(TSTP));
    }

    #[test]
    fn exit_codes_of_shells_and_engines() {
        assert!(exit_code(137).unwrap().contains("SIGKILL"));
        assert!(exit_code(143).unwrap().contains("SIGTERM"));
        assert!(exit_code(127).unwrap().contains("not found"));
        assert_eq!(exit_code(0), None);
        assert_eq!(exit_code(1), None);
        assert_eq!(exit_code(193), None);
    }
}
