//! The time column: wall clock to the millisecond, and a line when the date
//! changes, because the column has none.

use jiff::{civil::Date, tz::TimeZone};

use super::{clock, Clock};
use crate::event::BootTime;

/// Times of one trace, in one zone.
#[derive(Debug)]
pub(crate) struct Timeline {
    clock: Clock,
    zone: TimeZone,
    date: Option<Date>,
}

impl Timeline {
    pub(crate) fn new(clock: Clock, utc: bool) -> Self {
        Self {
            clock,
            zone: clock::zone(utc),
            date: None,
        }
    }

    /// `2026-11-23 02:38:01 UTC`; the column's date from here on.
    pub(crate) fn begin(&mut self, time: BootTime) -> String {
        let at = self.clock.zoned(time, &self.zone);
        self.date = Some(at.date());
        at.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// `02:38:07.412`, and the date where it is another than before.
    pub(crate) fn at(&mut self, time: BootTime) -> (String, Option<String>) {
        let at = self.clock.zoned(time, &self.zone);
        let date = at.date();
        // Lines may go back by some milliseconds, over midnight too.
        let new = self.date.is_none_or(|known| known < date);
        if new {
            self.date = Some(date);
        }
        (
            at.strftime("%H:%M:%S%.3f").to_string(),
            new.then(|| date.to_string()),
        )
    }
}
