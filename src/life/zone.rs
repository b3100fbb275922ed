//! Local time: how far it is from universal time, and from when on. A zone is data; where it is written is not known
//! here.

use serde::{Deserialize, Serialize};

use super::calendar::{DAY, Date, weekday};

/// A time zone. Times are seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Zone {
    /// Seconds that local time is ahead, before the first change.
    pub(crate) first: i32,
    /// When that changes, and to what, in order.
    pub(crate) changes: Vec<(i64, i32)>,
    /// What holds after the last of them; without, the last of them holds for ever.
    pub(crate) rule: Option<Rule>,
}

/// A rule for every year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// Seconds ahead in standard time.
    pub(crate) standard: i32,
    /// The other time of a year, if there is one.
    pub(crate) summer: Option<Summer>,
}

/// The part of a year with another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summer {
    /// Seconds ahead.
    pub(crate) ahead: i32,
    /// When it begins, in standard time.
    pub(crate) begins: Change,
    /// When it ends, in its own time.
    pub(crate) ends: Change,
}

/// A time of each year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The day.
    pub(crate) day: Day,
    /// Seconds after its midnight; may be negative, or more than a day.
    pub(crate) time: i32,
}

/// A day of each year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Day {
    /// From 1; February has 28 days.
    Plain(i64),
    /// From 0; a leap day counts.
    Leaping(i64),
    /// Month, week (5 is the last) and weekday.
    Weekday(i64, i64, i64),
}

/// A time in which local time is equally far ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Seconds ahead.
    pub(crate) ahead: i64,
    /// When that changes.
    pub(crate) until: i64,
}

impl Zone {
    /// What holds at a time.
    pub(crate) fn span(&self, at: i64) -> Span {
        let next = self.changes.partition_point(|(time, _)| *time <= at);
        let ahead = next.checked_sub(1).and_then(|place| self.changes.get(place));
        let ahead = i64::from(ahead.map_or(self.first, |(_, ahead)| *ahead));
        match (self.changes.get(next), &self.rule) {
            (Some((until, _)), _) => Span { ahead, until: *until },
            (None, Some(rule)) => rule.span(at),
            (None, None) => Span { ahead, until: i64::MAX },
        }
    }

    /// Local time at a time.
    pub(crate) fn local(&self, at: i64) -> i64 {
        at.saturating_add(self.span(at).ahead)
    }

    /// When it is this local time, the first time if it is twice; never if clocks are put forward over it.
    pub(crate) fn universal(&self, local: i64) -> Option<i64> {
        let before = self.span(local.saturating_sub(DAY)).ahead;
        let at = local.saturating_sub(before);
        let after = self.span(at).ahead;
        if after == before {
            return Some(at);
        }
        let at = local.saturating_sub(after);
        (self.span(at).ahead == after).then_some(at)
    }
}

impl Rule {
    /// What holds at a time.
    fn span(&self, at: i64) -> Span {
        let standard = i64::from(self.standard);
        let Some(summer) = &self.summer else { return Span { ahead: standard, until: i64::MAX } };
        let ahead = i64::from(summer.ahead);
        let year = Date::of(at.saturating_add(standard).div_euclid(DAY)).year;
        let mut changes = [(0, 0); 6];
        for (place, year) in changes.chunks_exact_mut(2).zip(year.saturating_sub(1)..) {
            if let [begins, ends] = place {
                *begins = (summer.begins.of(year).saturating_sub(standard), ahead);
                *ends = (summer.ends.of(year).saturating_sub(ahead), standard);
            }
        }
        changes.sort_unstable();
        let now = changes.iter().rev().find(|(time, _)| *time <= at).map_or(standard, |(_, ahead)| *ahead);
        let until = changes.iter().find(|(time, _)| *time > at).map_or(i64::MAX, |(time, _)| *time);
        Span { ahead: now, until }
    }
}

impl Change {
    /// When it is in a year, in local time.
    fn of(&self, year: i64) -> i64 {
        self.day.of(year).saturating_mul(DAY).saturating_add(i64::from(self.time))
    }
}

impl Day {
    /// The day of a year, since 1970-01-01.
    fn of(self, year: i64) -> i64 {
        let first = |month| Date { year, month, day: 1 }.days();
        match self {
            Self::Leaping(day) => first(1).saturating_add(day),
            Self::Plain(day) => {
                let march = day.saturating_sub(60);
                if march >= 0 {
                    first(3).saturating_add(march)
                } else {
                    first(1).saturating_add(day).saturating_sub(1)
                }
            }
            Self::Weekday(month, week, wanted) => {
                let begins = first(month);
                let next = if month == 12 {
                    Date { year: year.saturating_add(1), month: 1, day: 1 }.days()
                } else {
                    first(month.saturating_add(1))
                };
                let to_first = wanted.saturating_sub(weekday(begins)).rem_euclid(7);
                let weeks = week.saturating_sub(1).saturating_mul(7);
                let mut day = begins.saturating_add(to_first).saturating_add(weeks);
                while day >= next {
                    day = day.saturating_sub(7);
                }
                day
            }
        }
    }
}
