//! Durations, sizes and signals as people write them. Each rule is written once more in the JSON Schema.

use std::time::Duration;

/// Longest duration as a number: a year of milliseconds.
pub(super) const MILLIS_MAX: u64 = 365 * 24 * 60 * 60 * 1000;

/// Smallest size: a log file that is rotated more often than this only rotates.
pub(super) const BYTES_MIN: u64 = 1024;

/// Largest size as a number: 1 PiB.
pub(super) const BYTES_MAX: u64 = 1 << 50;

/// Units of a duration, the largest first: name, most digits, milliseconds. With these digits all of them
/// together stay under a year, so a pattern says the same and no sum overflows.
const DURATION_UNITS: [(&str, usize, u64); 5] =
    [("d", 2, 86_400_000), ("h", 3, 3_600_000), ("m", 5, 60_000), ("s", 6, 1_000), ("ms", 9, 1)];

/// Units of a size: name, bytes.
const SIZE_UNITS: [(&str, u64); 3] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];

/// Most digits of a size with a unit; a million gigabytes is still under [`BYTES_MAX`].
const SIZE_DIGITS_MAX: usize = 6;

/// Signals that stop programs, by name. Any other is given by its number.
pub(super) const SIGNALS: [(&str, i32); 11] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ABRT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("PWR", libc::SIGPWR),
    ("WINCH", libc::SIGWINCH),
];

/// Largest number of a signal.
pub(super) const SIGNAL_MAX: u64 = 64;

/// A duration in milliseconds, in at most two units: `87ms`, `3.1s`, `2m 5s`, `1d 2h`.
pub(crate) fn duration_text(millis: u64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match millis {
        0..1000 => format!("{millis}ms"),
        1000..10_000 => format!("{seconds}.{}s", millis % 1000 / 100),
        10_000..60_000 => format!("{seconds}s"),
        60_000..3_600_000 => format!("{minutes}m {}s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A duration with units, the largest first: `30s`, `1m30s`, `500ms`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut units = DURATION_UNITS.iter();
    let (mut rest, mut millis) = (text, 0_u64);
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let (unit, tail) =
            tail.split_at_checked(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()))?;
        // The search goes on where the last one ended, which holds the units to their order.
        let (_, digits_max, worth) = units.find(|(name, ..)| *name == unit)?;
        if digits.len() > *digits_max {
            return None;
        }
        millis = millis.saturating_add(digits.parse::<u64>().ok()?.saturating_mul(*worth));
        rest = tail;
    }
    (!text.is_empty()).then_some(Duration::from_millis(millis))
}

/// A size with a unit: `512K`, `10M`, `1G`.
pub(super) fn size(text: &str) -> Option<u64> {
    SIZE_UNITS.iter().find_map(|(unit, worth)| {
        let digits = text.strip_suffix(unit)?;
        let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || digits.len() > SIZE_DIGITS_MAX {
            return None;
        }
        digits.parse::<u64>().ok()?.checked_mul(*worth)
    })
}

/// A signal by its name, `SIGTERM` or `TERM`.
pub(crate) fn signal(text: &str) -> Option<i32> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_in_order_and_a_bound() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("30s"), Some(30_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1d2h3m4s5ms"), Some(93_784_005));
        assert_eq!(millis("0s"), Some(0));
        let most = millis("99d999h99999m999999s999999999ms").unwrap();
        assert!(most <= u128::from(MILLIS_MAX), "{most}");
        for text in ["", "s", "5", "5 s", "1.5s", "-1s", "1s1m", "1s1s", "100d", "1w", "1S", "٣s", "1mm"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_one_unit_and_a_bound() {
        assert_eq!(size("512K"), Some(524_288));
        assert_eq!(size("10M"), Some(10_485_760));
        assert!(size("999999G").unwrap() <= BYTES_MAX);
        for text in ["", "K", "0K", "01K", "5", "5k", "5MB", "1000000K", "+1K", "1.5M"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn signals_go_by_either_name() {
        assert_eq!(signal("SIGTERM"), Some(15));
        assert_eq!(signal("QUIT"), Some(3));
        assert_eq!(signal("SIGSIGTERM"), None);
        assert_eq!(signal("term"), None);
    }
}
