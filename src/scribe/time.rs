//! Points in time as text: RFC 3339 for lines, a compact form for names of files. UTC only; no clock but
//! `now`.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys::clock::civil;

/// Length of a compact time: `20261121T113704.123456Z`.
pub(crate) const COMPACT_BYTES: usize = 23;

/// The form of a line's time: `y` year, `m` month, `d` day, `H` `M` `S` the clock, `f` microseconds.
const RFC_3339: &[u8; 27] = b"yyyy-mm-ddTHH:MM:SS.ffffffZ";
/// The form of a file's time.
const COMPACT: &[u8; COMPACT_BYTES] = b"yyyymmddTHHMMSS.ffffffZ";
/// The last microsecond of the year 9999, the last that fits the forms.
const MICROS_MAX: u64 = 253_402_300_799_999_999;

/// Microseconds since 1970 now; 0 for a clock before that.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(MICROS_MAX).min(MICROS_MAX)
}

/// `2026-11-21T11:37:04.123456Z`.
pub(crate) fn rfc_3339(micros: u64) -> [u8; 27] {
    let mut text = *RFC_3339;
    fill(&mut text, micros);
    text
}

/// `20261121T113704.123456Z`: sorts as time does.
pub(crate) fn compact(micros: u64) -> [u8; COMPACT_BYTES] {
    let mut text = *COMPACT;
    fill(&mut text, micros);
    text
}

/// Reads a compact time; `None` for anything else.
pub(crate) fn from_compact(text: &[u8]) -> Option<u64> {
    if text.len() != COMPACT_BYTES {
        return None;
    }
    let digits = |letter: u8| {
        let mut value = 0_u64;
        for (form, byte) in COMPACT.iter().zip(text) {
            if *form == letter {
                let digit = u64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
                value = value.saturating_mul(10).saturating_add(digit);
            }
        }
        Some(value)
    };
    let days = days_of(digits(b'y')?, digits(b'm')?, digits(b'd')?)?;
    let hours = days.checked_mul(24)?.checked_add(digits(b'H')?)?;
    let minutes = hours.checked_mul(60)?.checked_add(digits(b'M')?)?;
    let seconds = minutes.checked_mul(60)?.checked_add(digits(b'S')?)?;
    let micros = seconds.checked_mul(1_000_000)?.checked_add(digits(b'f')?)?;
    // What is not written back the same is not ours: a 31 February, a letter where a point belongs.
    (compact(micros) == *text).then_some(micros)
}

/// Writes the numbers over the letters of a form, last digit first.
fn fill(form: &mut [u8], micros: u64) {
    let micros = micros.min(MICROS_MAX);
    let seconds = micros / 1_000_000;
    let (mut year, mut month, mut day) = civil(seconds / 86_400);
    let (mut hour, mut minute, mut second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut fraction = micros % 1_000_000;
    for byte in form.iter_mut().rev() {
        let value = match *byte {
            b'y' => &mut year,
            b'm' => &mut month,
            b'd' => &mut day,
            b'H' => &mut hour,
            b'M' => &mut minute,
            b'S' => &mut second,
            b'f' => &mut fraction,
            _ => continue,
        };
        *byte = b'0'.saturating_add(u8::try_from(*value % 10).unwrap_or(0));
        *value /= 10;
    }
}

/// Days since 1970 of a date; the inverse of `civil`.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, march_month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let era = year / 400;
    let year_of_era = year % 400;
    let of_year = march_month.checked_mul(153)?.checked_add(2)? / 5;
    let of_era =
        year_of_era.checked_mul(365)?.checked_add(year_of_era / 4)?.checked_sub(year_of_era / 100)?;
    let days = era.checked_mul(146_097)?.checked_add(of_era)?.checked_add(of_year)?.checked_add(day)?;
    days.checked_sub(1)?.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_read_as_people_write_them() {
        assert_eq!(&rfc_3339(0), b"1970-01-01T00:00:00.000000Z");
        assert_eq!(&rfc_3339(951_782_400_000_001), b"2000-02-29T00:00:00.000001Z");
        assert_eq!(&rfc_3339(1_795_261_024_123_456), b"2026-11-21T11:37:04.123456Z");
        assert_eq!(&rfc_3339(u64::MAX), b"9999-12-31T23:59:59.999999Z");
        assert_eq!(&compact(1_795_261_024_123_456), b"20261121T113704.123456Z");
    }

    #[test]
    fn a_compact_time_reads_back_and_nothing_else_does() {
        let mut micros = 1;
        while micros < MICROS_MAX {
            assert_eq!(from_compact(&compact(micros)), Some(micros));
            micros += 86_399_999_977 * 31;
        }
        for alien in
            [&b"20260231T113704.123456Z"[..], b"20261121T113704x123456Z", b"current", b"", b"2026112"]
        {
            assert_eq!(from_compact(alien), None);
        }
    }
}
