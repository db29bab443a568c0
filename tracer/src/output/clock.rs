//! From the kernel's time (nanoseconds since boot) to the wall clock. The
//! offset is taken once, at start: a trace has one time line, even when the
//! wall clock is set meanwhile. Reading the clocks is left to the caller.

use jiff::{tz::TimeZone, Timestamp, Zoned};

use crate::event::BootTime;

/// The wall clock at boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME`, nanoseconds.
    pub offset_ns: i64,
}

impl Clock {
    /// The moment of `time`; the epoch where it lies outside of all calendars.
    pub fn timestamp(self, time: BootTime) -> Timestamp {
        let ns = i128::from(time.0) + i128::from(self.offset_ns);
        Timestamp::from_nanosecond(ns).unwrap_or_default()
    }

    /// RFC 3339 in UTC with nine digits, as JSON has it.
    pub fn rfc3339(self, time: BootTime) -> String {
        format!("{:.9}", self.timestamp(time))
    }

    /// `time` in UTC or in the local time zone.
    pub(crate) fn zoned(self, time: BootTime, zone: &TimeZone) -> Zoned {
        self.timestamp(time).to_zoned(zone.clone())
    }
}

/// The zone that text is written in.
pub(crate) fn zone(utc: bool) -> TimeZone {
    let local = if utc {
        TimeZone::UTC
    } else {
        TimeZone::system()
    };
    // A system that does not say where it is has its times in UTC.
    if local.is_unknown() {
        TimeZone::UTC
    } else {
        local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_digits_and_z() {
        let clock = Clock {
            offset_ns: 1_795_401_481_000_000_000,
        };
        assert_eq!(
            clock.rfc3339(BootTime(6_413_901_234)),
            "2026-11-23T02:38:07.413901234Z"
        );
        assert_eq!(clock.rfc3339(BootTime(0)), "2026-11-23T02:38:01.000000000Z");
    }

    #[test]
    fn absurd_times_do_not_panic() {
        let clock = Clock {
            offset_ns: i64::MAX,
        };
        assert!(clock.rfc3339(BootTime(u64::MAX)).ends_with('Z'));
    }
}
