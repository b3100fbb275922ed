//! The clocks, read in one place, and times as people read them. Nothing here waits.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

/// One reading of both clocks: intervals use the first, files and people the second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Never steps.
    pub(crate) instant: Instant,
    /// May step.
    pub(crate) stamp: Stamp,
}

/// Reads both clocks.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now() -> Now {
    Now { instant: Instant::now(), stamp: Stamp::from(SystemTime::now()) }
}

/// Clock ticks since boot, as `/proc` counts the beginning of a process.
pub(crate) fn boot_ticks() -> Option<u64> {
    let a_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let part = u64::from(now.subsec_nanos()).checked_div(1_000_000_000_u64.checked_div(a_second)?)?;
    now.as_secs().checked_mul(a_second)?.checked_add(part)
}

/// A wall-clock time; displays as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(Duration);

impl From<SystemTime> for Stamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

impl Stamp {
    /// Seconds since 1970-01-01 UTC.
    pub(crate) fn seconds(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = civil(seconds / 86_400);
        let of_day = seconds % 86_400;
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let ms = self.0.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl Stamp {
    /// So much later.
    pub(crate) const fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// How much later it is than another; nothing if it is earlier.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads what a stamp displays as.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        // The days before a year are counted; which of them it is, is found by what they are called.
        let leaps = |year: u64| (year / 4).saturating_sub(year / 100).saturating_add(year / 400);
        let passed = year.checked_sub(1)?;
        let first = passed.checked_mul(365)?.checked_add(leaps(passed))?.checked_sub(719_162)?;
        let days = (first..first.checked_add(366)?).find(|days| civil(*days) == (year, month, day))?;
        let seconds = days.checked_mul(24)?.checked_add(hour)?.checked_mul(60)?.checked_add(minute)?;
        let seconds = seconds.checked_mul(60)?.checked_add(second)?;
        Some(Self(Duration::from_millis(seconds.checked_mul(1_000)?.checked_add(number(20, 23)?)?)))
    }
}

/// Year, month and day of a count of days since 1970-01-01: the proleptic Gregorian calendar, with years that
/// begin in March so that the leap day is the last.
pub(crate) const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468); // since 0000-03-01
    let era = days / 146_097; // of 400 years
    let of_era = days % 146_097;
    let year_of_era = (of_era
        .saturating_sub(of_era / 1_460)
        .saturating_add(of_era / 36_524)
        .saturating_sub(of_era / 146_096))
        / 365;
    let before =
        (year_of_era.saturating_mul(365)).saturating_add(year_of_era / 4).saturating_sub(year_of_era / 100);
    let of_year = of_era.saturating_sub(before);
    let from_march = of_year.saturating_mul(5).saturating_add(2) / 153;
    let before = from_march.saturating_mul(153).saturating_add(2) / 5;
    let day = of_year.saturating_sub(before).saturating_add(1);
    let month = if from_march < 10 { from_march.saturating_add(3) } else { from_march.saturating_sub(9) };
    let year = year_of_era.saturating_add(era.saturating_mul(400));
    (if month <= 2 { year.saturating_add(1) } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_rfc_3339_in_utc() {
        let shown = |seconds: u64, ms: u64| Stamp(Duration::from_millis(seconds * 1_000 + ms)).to_string();
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(shown(1_709_251_199, 999), "2024-02-29T23:59:59.999Z");
        assert_eq!(shown(4_102_444_800, 0), "2100-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_stamp_is_read_as_it_is_shown() {
        for day in 0..60_000_u64 {
            let stamp = Stamp(Duration::from_millis(day * 86_400_000 + day * 1_439 % 86_400_000));
            assert_eq!(Stamp::read(&stamp.to_string()), Some(stamp), "{stamp}");
        }
        for text in ["", "2026-02-30T00:00:00.000Z", "0000-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z", "é"]
        {
            assert_eq!(Stamp::read(text), None, "{text}");
        }
    }
}
