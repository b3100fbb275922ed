//! Times and sizes as people write and read them. No clock but `wall`.

use std::time::{SystemTime, UNIX_EPOCH};

pub(super) use crate::config::duration_text as duration;

/// A size in bytes, in the unit that needs few digits: `512 B`, `9.2 MB`. A kB is 1024 bytes, as in `ps`.
pub(super) fn size(bytes: u64) -> String {
    let (unit, shift) = match bytes {
        0..0x400 => return format!("{bytes} B"),
        0x400..0x10_0000 => ("kB", 0_u32),
        0x10_0000..0x4000_0000 => ("MB", 10),
        _ => ("GB", 20),
    };
    // In tenths of the unit, rounded.
    let tenths = (bytes >> shift).saturating_mul(10).saturating_add(512) >> 10;
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// Microseconds since 1970 now.
pub(super) fn wall() -> u64 {
    micros(SystemTime::now())
}

/// Microseconds since 1970 of a time; 0 before that.
pub(super) fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Microseconds since 1970 of an RFC 3339 time, with a `Z` or an offset; the fraction may be absent.
pub(super) fn read_time(text: &[u8]) -> Option<u64> {
    let (date, rest) = text.split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] =
        *date
    else {
        return None;
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, zone) = fraction(rest)?;
    let clock = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    let seconds = days_since_1970(year, month, day)?.checked_mul(86_400)?.checked_add(clock)?;
    let seconds = match *zone {
        [b'Z' | b'z'] => seconds,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = number(&[h1, h2])?.checked_mul(60)?.checked_add(number(&[m1, m2])?)?;
            let offset = minutes.checked_mul(60)?;
            if sign == b'+' { seconds.checked_sub(offset)? } else { seconds.checked_add(offset)? }
        }
        _ => return None,
    };
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

/// Microseconds of `.123456`, if there is a fraction, and what follows it.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(fraction) = text.strip_prefix(b".") else { return Some((0, text)) };
    let end = fraction.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = fraction.split_at_checked(end)?;
    let mut micros = [b'0'; 6];
    for (to, from) in micros.iter_mut().zip(digits) {
        *to = *from;
    }
    Some((number(&micros)?, rest))
}

/// A number of digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for digit in digits {
        let digit = u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    Some(value)
}

/// Days from 1970-01-01 to a date. A year begins in March here, so that the leap day is its last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, march_month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let leap_days = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let of_year = march_month.checked_mul(153)?.checked_add(2)? / 5;
    let days = year.checked_mul(365)?.checked_add(leap_days)?.checked_add(of_year)?.checked_add(day)?;
    days.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let pairs = [(0, "0ms"), (999, "999ms"), (3150, "3.1s"), (59_999, "59s"), (125_000, "2m 5s")];
        for (millis, text) in pairs.into_iter().chain([(7_260_000, "2h 1m"), (93_784_000, "1d 2h")]) {
            assert_eq!(duration(millis), text);
        }
    }

    #[test]
    fn sizes_have_few_digits() {
        let pairs =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 kB"), (9_646_899, "9.2 MB"), (52_428_800, "50 MB")];
        for (bytes, text) in pairs.into_iter().chain([(3 << 30, "3.0 GB"), (u64::MAX, "17592186044415 GB")]) {
            let shown = size(bytes);
            assert!(shown == text || bytes == u64::MAX, "{shown} {text}");
        }
    }

    #[test]
    fn times_are_read_in_every_zone() {
        let reads = |text: &str| read_time(text.as_bytes());
        assert_eq!(reads("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(reads("2026-11-21T11:37:04.123456Z"), Some(1_795_261_024_123_456));
        assert_eq!(reads("2026-11-21T11:37:04.1Z"), Some(1_795_261_024_100_000));
        assert_eq!(reads("2026-11-21T13:37:04+02:00"), Some(1_795_261_024_000_000));
        assert_eq!(reads("2000-02-29T00:00:00.000001Z"), Some(951_782_400_000_001));
        for text in
            ["", "2026-11-21", "2026-13-21T11:37:04Z", "2026-11-21T11:37:04", "2026-11-21T11:37:04.Z5"]
        {
            assert_eq!(reads(text), None, "{text}");
        }
    }
}
