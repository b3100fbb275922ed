//! The local time zone: what `TZ` says, else `/etc/localtime`, else universal time. Read with the configuration, as a
//! supervisor opens no file later; what it means is known in `life`.

use std::path::{Path, PathBuf};

use super::document::read_regular;
use super::environment::Environment;
use crate::life::zone::{Change, Day, Rule, Summer, Zone};

/// Where zones are that go by a name.
const FOLDER: &str = "/usr/share/zoneinfo";

/// The zone of the machine.
const LOCAL: &str = "/etc/localtime";

/// Largest file of a zone.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// No time before this one is asked for: 2000-01-01.
const FORGOTTEN_BEFORE: i64 = 946_684_800;

/// Bytes of a header.
const HEADER_BYTES: usize = 44;

/// The zone that the environment and the machine name. One that cannot be read is universal time, as for any
/// other program.
pub(crate) fn local(environment: &Environment) -> Zone {
    let said = environment.get("TZ").and_then(|value| value.to_str());
    let read = |path: &Path| read_regular(path, FILE_BYTES_MAX).ok().and_then(|bytes| of_file(&bytes));
    let Some(said) = said else { return read(Path::new(LOCAL)).unwrap_or_default() };
    let name = said.strip_prefix(':').unwrap_or(said);
    let path = PathBuf::from(FOLDER).join(name);
    read(&path).or_else(|| of_text(name)).unwrap_or_default()
}

/// A zone as `TZif` files have it (RFC 9636).
fn of_file(bytes: &[u8]) -> Option<Zone> {
    let header = Header::read(bytes)?;
    if header.version == 0 {
        return header.zone(bytes.get(HEADER_BYTES..)?, 4, None);
    }
    // What the first part says in 32 bits, the second says again in 64.
    let second = bytes.get(HEADER_BYTES.checked_add(header.length(4)?)?..)?;
    let header = Header::read(second)?;
    let body = second.get(HEADER_BYTES..)?;
    let footer = body.get(header.length(8)?..)?;
    let text = std::str::from_utf8(footer).ok()?.trim_matches('\n');
    header.zone(body, 8, rule(text))
}

/// Counts of a part.
#[derive(Debug)]
struct Header {
    /// 0 is the first version.
    version: u8,
    /// Of: universal-time marks, standard-time marks, leap seconds, changes, kinds of time, letters.
    counts: [usize; 6],
}

impl Header {
    /// Reads it.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let rest = header.strip_prefix(b"TZif")?;
        let mut counts = [0; 6];
        for (count, bytes) in counts.iter_mut().zip(rest.get(16..)?.chunks_exact(4)) {
            *count = usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()?;
        }
        Some(Self { version: *rest.first()?, counts })
    }

    /// Bytes of the part behind it, with times of so many bytes.
    fn length(&self, time_bytes: usize) -> Option<usize> {
        let [universal, standard, leaps, changes, kinds, letters] = self.counts;
        let changes = changes.checked_mul(time_bytes.checked_add(1)?)?;
        let leaps = leaps.checked_mul(time_bytes.checked_add(4)?)?;
        let parts = [changes, kinds.checked_mul(6)?, letters, leaps, standard, universal];
        parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(*part))
    }

    /// The zone that the part behind it describes.
    fn zone(&self, body: &[u8], time_bytes: usize, rule: Option<Rule>) -> Option<Zone> {
        let [_, _, _, changes, kinds, _] = self.counts;
        let (times, rest) = body.split_at_checked(changes.checked_mul(time_bytes)?)?;
        let (which, rest) = rest.split_at_checked(changes)?;
        let ahead: Vec<i32> = rest
            .get(..kinds.checked_mul(6)?)?
            .chunks_exact(6)
            .filter_map(|kind| kind.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)))
            .collect();
        let mut found = Vec::with_capacity(changes);
        for (time, kind) in times.chunks_exact(time_bytes).zip(which) {
            let time = match time.first_chunk() {
                Some(bytes) => i64::from_be_bytes(*bytes),
                None => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
            };
            found.push((time, *ahead.get(usize::from(*kind))?));
        }
        let past = found.partition_point(|(time, _)| *time < FORGOTTEN_BEFORE);
        let before = found.drain(..past).next_back().map(|(_, ahead)| ahead);
        Some(Zone { first: before.or_else(|| ahead.first().copied())?, changes: found, rule })
    }
}

/// A zone as POSIX writes it: `EST5EDT,M3.2.0,M11.1.0`.
fn of_text(text: &str) -> Option<Zone> {
    let rule = rule(text)?;
    Some(Zone { first: rule.standard, changes: Vec::new(), rule: Some(rule) })
}

/// The rule of such a text; `None` if it is none.
fn rule(text: &str) -> Option<Rule> {
    let (standard, rest) = name_and_offset(text)?;
    if rest.is_empty() {
        return Some(Rule { standard, summer: None });
    }
    let rest = after_name(rest)?;
    let (ahead, rest) = if rest.starts_with(',') || rest.is_empty() {
        (standard.checked_add(3600)?, rest)
    } else {
        let (behind, rest) = time(rest)?;
        (behind.checked_neg()?, rest)
    };
    // Without dates nobody knows when: the ones of the United States, as everywhere.
    let dates = if rest.is_empty() { ",M3.2.0,M11.1.0" } else { rest };
    let (begins, ends) = dates.strip_prefix(',')?.split_once(',')?;
    let summer = Summer { ahead, begins: change(begins)?, ends: change(ends)? };
    Some(Rule { standard, summer: Some(summer) })
}

/// A name and how far its time is ahead, and the rest.
fn name_and_offset(text: &str) -> Option<(i32, &str)> {
    let (behind, rest) = time(after_name(text)?)?;
    Some((behind.checked_neg()?, rest))
}

/// What follows a name: at least three letters, or anything in angle brackets.
fn after_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let end = text.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(text.len());
    (end >= 3).then(|| text.get(end..)).flatten()
}

/// `[+-]hh[:mm[:ss]]` in seconds, and the rest.
fn time(text: &str) -> Option<(i32, &str)> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0_i32;
    for (place, worth) in [3600, 60, 1].into_iter().enumerate() {
        if place > 0 {
            match rest.strip_prefix(':') {
                Some(after) => rest = after,
                None => break,
            }
        }
        let (value, after) = number(rest)?;
        let most = if place == 0 { 167 } else { 59 };
        let value = i32::try_from(value).ok().filter(|value| *value <= most)?;
        seconds = seconds.checked_add(value.checked_mul(worth)?)?;
        rest = after;
    }
    Some((seconds.checked_mul(sign)?, rest))
}

/// Digits, and the rest.
fn number(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// `Mm.w.d`, `Jn` or `n`, perhaps with `/time`.
fn change(text: &str) -> Option<Change> {
    let (day, hour) = match text.split_once('/') {
        Some((day, hour)) => (day, hour),
        None => (text, "2"),
    };
    let (seconds, rest) = time(hour)?;
    let whole = |text: &str| number(text).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value);
    let day = if let Some(parts) = day.strip_prefix('M') {
        let mut parts = parts.splitn(3, '.').map(whole);
        let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
        let good = (1..=12).contains(&month) && (1..=5).contains(&week) && weekday <= 6;
        good.then_some(Day::Weekday(month, week, weekday))?
    } else if let Some(day) = day.strip_prefix('J') {
        whole(day).filter(|day| (1..=365).contains(day)).map(Day::Plain)?
    } else {
        whole(day).filter(|day| *day <= 365).map(Day::Leaping)?
    };
    rest.is_empty().then_some(Change { day, time: seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_read_as_posix_writes_it() {
        let zone = of_text("EST5EDT,M3.2.0,M11.1.0").unwrap();
        // 2026-03-08 07:00 UTC and 2026-11-01 06:00 UTC.
        let (spring, autumn) = (1_772_953_200, 1_793_512_800);
        for (at, ahead) in
            [(spring - 1, -18_000), (spring, -14_400), (autumn - 1, -14_400), (autumn, -18_000)]
        {
            assert_eq!(zone.span(at).ahead, ahead, "{at}");
        }
        assert_eq!(zone.span(spring).until, autumn);
        assert_eq!(zone.universal(autumn - 14_400 - 1800), Some(autumn - 1800), "the first of the two");
        assert_eq!(zone.universal(spring - 18_000), None, "there is no such time");
        for (text, ahead) in [("<+0545>-5:45", 20_700), ("UTC0", 0), ("IST-1GMT0,M10.5.0,M3.5.0/1", 3600)] {
            assert_eq!(of_text(text).unwrap().first, ahead, "{text}");
        }
        for text in ["", "UT", "EST", "EST5EDT,M13.1.0,M11.1.0", "EST5EDT,M3.2.0", "EST168", "<x5", "EST5 "] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_says_the_same_as_its_last_line_and_no_torn_one_does_harm() {
        let Ok(bytes) = std::fs::read("/usr/share/zoneinfo/Europe/Berlin") else { return };
        let (file, rule) = (of_file(&bytes).unwrap(), of_text("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        assert!(file.changes.iter().all(|(time, _)| *time >= FORGOTTEN_BEFORE));
        for at in (1_600_000_000..3_000_000_000).step_by(3_600 * 7) {
            assert_eq!(file.span(at), rule.span(at), "{at}");
        }
        for end in 0..bytes.len() {
            let _torn = of_file(&bytes[..end]);
        }
    }
}
