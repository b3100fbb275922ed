//! Cron expressions: five fields of local time, and when they next come. No clock.
//!
//! As Debian's cron has it, an expression whose minute or hour begins with `*` follows real time: it runs at every
//! real minute whose local time it names. Any other has fixed times of a day: one that clocks are put forward over
//! runs at the first real minute after that, one that comes twice runs the first time only.

use serde::{Deserialize, Serialize};

use super::calendar::{DAY, Date, weekday};
use super::zone::Zone;

/// Words for whole expressions.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Names of months, from 1.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Names of weekdays, from 0.
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The fields.
const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: &MONTHS },
    Field { name: "day of the week", least: 0, most: 7, names: &WEEKDAYS },
];

/// Days looked ahead for the next time: a 29 February on a Sunday may be 40 years away.
const DAYS_MAX: i64 = 50 * 366;

/// A field: what may stand in it.
#[derive(Debug)]
struct Field {
    /// What it is called.
    name: &'static str,
    /// Least value.
    least: u8,
    /// Largest.
    most: u8,
    /// Names of values, the least first.
    names: &'static [&'static str],
}

/// An expression. Each set has a bit for each value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cron {
    /// 0 to 59.
    minutes: u64,
    /// 0 to 23.
    hours: u64,
    /// 1 to 31.
    days: u64,
    /// 1 to 12.
    months: u64,
    /// 0 to 7; Sunday is both of these.
    weekdays: u64,
    /// Whether a day must be in both sets of days, because one of them begins with `*`.
    both: bool,
    /// Whether it has fixed times of a day.
    fixed: bool,
}

/// Whether a set has a value.
const fn has(set: u64, value: i64) -> bool {
    value >= 0 && value < 64 && set >> value & 1 == 1
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its place.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let text = if lower.starts_with('@') { word(&lower)? } else { &lower };
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, _, weekday] = parts.as_slice() else {
            return Err(format!(
                "has {} fields: minute, hour, day of the month, month and day of the week are wanted",
                parts.len()
            ));
        };
        let mut sets = [0; 5];
        for ((set, field), part) in sets.iter_mut().zip(&FIELDS).zip(&parts) {
            *set = field.set(part)?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let both = day.starts_with('*') || weekday.starts_with('*');
        let fixed = !minute.starts_with('*') && !hour.starts_with('*');
        let cron = Self { minutes, hours, days, months, weekdays, both, fixed };
        if !cron.ever_comes() {
            return Err("never comes: no such month has that day".to_owned());
        }
        Ok(cron)
    }

    /// Whether it has fixed times of a day.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Whether there is a day that it can come on.
    fn ever_comes(&self) -> bool {
        let longest = |month: i64| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let has_day = |month: i64| (1..=longest(month)).any(|day| has(self.days, day));
        !self.both || (1..=12).any(|month| has(self.months, month) && has_day(month))
    }

    /// The first time after `after`; both in seconds since 1970-01-01 UTC.
    pub(crate) fn next(&self, after: i64, zone: &Zone) -> Option<i64> {
        if self.fixed { self.next_fixed(after, zone) } else { self.next_real(after, zone) }
    }

    /// Whether it may come on a day.
    fn comes_on(&self, days: i64) -> bool {
        let date = Date::of(days);
        let (of_month, weekday) = (has(self.days, date.day), weekday(days));
        let of_week = has(self.weekdays, weekday) || (weekday == 0 && has(self.weekdays, 7));
        let is_named = if self.both { of_month && of_week } else { of_month || of_week };
        is_named && has(self.months, date.month)
    }

    /// Real time: every minute is looked at in turn, but for days and hours that cannot be meant.
    fn next_real(&self, after: i64, zone: &Zone) -> Option<i64> {
        let last = after.saturating_add(DAYS_MAX.saturating_mul(DAY));
        let mut at = after.saturating_add(1);
        while at < last {
            let span = zone.span(at);
            let local = at.saturating_add(span.ahead);
            let to = |step: i64| step.saturating_sub(local.rem_euclid(step));
            let (hour, minute) =
                (local.rem_euclid(DAY).div_euclid(3600), local.rem_euclid(3600).div_euclid(60));
            let skip = if local.rem_euclid(60) != 0 {
                to(60)
            } else if !self.comes_on(local.div_euclid(DAY)) {
                to(DAY)
            } else if !has(self.hours, hour) {
                to(3600)
            } else if !has(self.minutes, minute) {
                to(60)
            } else {
                return Some(at);
            };
            at = at.saturating_add(skip).min(span.until);
        }
        None
    }

    /// Fixed times: the first that is named after the local time, wherever that is in real time.
    fn next_fixed(&self, after: i64, zone: &Zone) -> Option<i64> {
        let mut local = zone.local(after);
        loop {
            local = self.next_local(local)?;
            let mut at = zone.universal(local);
            while at.is_none() {
                local = local.saturating_add(60);
                at = zone.universal(local);
            }
            // In a repeated hour the local time may be behind the real one.
            if at > Some(after) {
                return at;
            }
        }
    }

    /// The first local time after another.
    fn next_local(&self, after: i64) -> Option<i64> {
        let today = after.div_euclid(DAY);
        let minute = after.rem_euclid(DAY).div_euclid(60);
        for days in today..today.saturating_add(DAYS_MAX) {
            if !self.comes_on(days) {
                continue;
            }
            let from = if days == today { minute.saturating_add(1) } else { 0 };
            let is_meant = |minute: &i64| {
                has(self.hours, minute.div_euclid(60)) && has(self.minutes, minute.rem_euclid(60))
            };
            if let Some(minute) = (from..1440).find(is_meant) {
                return Some(days.saturating_mul(DAY).saturating_add(minute.saturating_mul(60)));
            }
        }
        None
    }
}

/// A word for a whole expression.
fn word(text: &str) -> Result<&'static str, String> {
    if text == "@reboot" {
        return Err(
            "is no time: what has to run when the supervisor starts is a service of type task".to_owned()
        );
    }
    let known = WORDS.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    known.ok_or_else(|| "is none of @hourly, @daily, @weekly, @monthly and @yearly".to_owned())
}

impl Field {
    /// The values that a part names.
    fn set(&self, part: &str) -> Result<u64, String> {
        part.split(',').try_fold(0, |set, term| Ok(set | self.term(term)?))
    }

    /// Those of one term: `*`, `5`, `1-5`, each perhaps with `/2`.
    fn term(&self, term: &str) -> Result<u64, String> {
        let (range, step) = match term.split_once('/') {
            Some((range, step)) => (range, Some(self.step(term, step)?)),
            None => (term, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((first, last)) => (self.value(term, first)?, self.value(term, last)?),
            // From there on, if there is a step.
            None => {
                let first = self.value(term, range)?;
                (first, if step.is_some() { self.most } else { first })
            }
        };
        if last < first {
            return Err(self.wrong(term, "is a range that ends before it begins"));
        }
        let values = (first..=last).step_by(usize::from(step.unwrap_or(1)));
        Ok(values.fold(0, |set, value| set | 1 << value))
    }

    /// The step of a term.
    fn step(&self, term: &str, step: &str) -> Result<u8, String> {
        let number = if step.bytes().all(|byte| byte.is_ascii_digit()) { step.parse().ok() } else { None };
        number
            .filter(|step| *step > 0)
            .ok_or_else(|| self.wrong(term, "has a step that is no number from 1 on"))
    }

    /// One value of a term.
    fn value(&self, term: &str, text: &str) -> Result<u8, String> {
        let by_name = self.names.iter().position(|name| *name == text);
        let by_name =
            by_name.and_then(|place| u8::try_from(place).ok()).map(|place| place.saturating_add(self.least));
        let plain = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let value = by_name.or_else(plain).filter(|value| (self.least..=self.most).contains(value));
        value.ok_or_else(|| {
            let or_names = match (self.names.first(), self.names.last()) {
                (Some(first), Some(last)) => format!(", nor a name from {first} to {last}"),
                _ => String::new(),
            };
            self.wrong(term, &format!("is no number from {} to {}{or_names}", self.least, self.most))
        })
    }

    /// What is wrong with a term.
    fn wrong(&self, term: &str, problem: &str) -> String {
        let term: String = term.chars().take(40).collect();
        format!("has a {} that cannot be read: \"{term}\" {problem}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times after the first of 2026, as local times.
    fn times(text: &str, zone: &Zone, from: i64, count: usize) -> Vec<String> {
        let cron = Cron::parse(text).unwrap();
        let mut at = from;
        (0..count)
            .map(|_| {
                at = cron.next(at, zone).unwrap();
                let local = zone.local(at);
                let Date { month, day, .. } = Date::of(local.div_euclid(DAY));
                let minute = local.rem_euclid(DAY) / 60;
                format!("{month}-{day} {}:{:02}", minute / 60, minute % 60)
            })
            .collect()
    }

    #[test]
    fn expressions_are_read_as_they_are_written() {
        let utc = Zone::default();
        let begin = Date { year: 2026, month: 1, day: 1 }.days() * DAY - 60;
        for (text, wanted) in [
            ("0 2 * * 0", vec!["1-4 2:00", "1-11 2:00"]),
            ("@weekly", vec!["1-4 0:00", "1-11 0:00"]),
            ("*/20 9-17/4 * jan,feb mon-fri", vec!["1-1 9:00", "1-1 9:20", "1-1 9:40", "1-1 13:00"]),
            ("5/30 0 13 * FRI", vec!["1-2 0:05", "1-2 0:35", "1-9 0:05"]),
            ("0 0 29 2 *", vec!["2-29 0:00", "2-29 0:00"]),
            ("0 12 */10 * 7", vec!["1-11 12:00", "2-1 12:00"]),
        ] {
            assert_eq!(times(text, &utc, begin, wanted.len()), wanted, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (text, words) in [
            ("", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("60 * * * *", "minute that cannot be read: \"60\" is no number from 0 to 59"),
            ("* * * foo *", "nor a name from jan to dec"),
            ("* * 0 * *", "day of the month"),
            ("*/0 * * * *", "step"),
            ("5-1 * * * *", "ends before it begins"),
            ("1,,2 * * * *", "minute"),
            ("+1 * * * *", "minute"),
            ("0 0 30 2 *", "never comes"),
            ("@reboot", "type task"),
            ("@never", "@hourly"),
        ] {
            let problem = Cron::parse(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
