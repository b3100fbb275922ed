//! Days and dates of the Gregorian calendar. No clock.

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    /// Of our era.
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// Of the month, from 1.
    pub(crate) day: i64,
}

impl Date {
    /// The date of a count of days since 1970-01-01. Years begin in March here, so that the leap day is the last.
    pub(crate) const fn of(days: i64) -> Self {
        let days = days.saturating_add(719_468); // since 0000-03-01
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097)); // of 400 years
        let leap = of_era.div_euclid(1_460).saturating_sub(of_era.div_euclid(36_524));
        let year = of_era.saturating_sub(leap).saturating_sub(of_era.div_euclid(146_096)).div_euclid(365);
        let of_year = of_era.saturating_sub(days_of(year));
        let from_march = of_year.saturating_mul(5).saturating_add(2).div_euclid(153);
        let before = from_march.saturating_mul(153).saturating_add(2).div_euclid(5);
        let month = if from_march < 10 { from_march.saturating_add(3) } else { from_march.saturating_sub(9) };
        let year = year.saturating_add(era.saturating_mul(400));
        Self {
            year: if month <= 2 { year.saturating_add(1) } else { year },
            month,
            day: of_year.saturating_sub(before).saturating_add(1),
        }
    }

    /// Days since 1970-01-01.
    pub(crate) const fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year.saturating_sub(1) } else { self.year };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let from_march = self.month.saturating_add(9).rem_euclid(12);
        let of_year = from_march.saturating_mul(153).saturating_add(2).div_euclid(5).saturating_add(self.day);
        let days = days_of(of_era).saturating_add(of_year).saturating_sub(1);
        era.saturating_mul(146_097).saturating_add(days).saturating_sub(719_468)
    }
}

/// Days of the first years of an era.
const fn days_of(years: i64) -> i64 {
    let leap = years.div_euclid(4).saturating_sub(years.div_euclid(100));
    years.saturating_mul(365).saturating_add(leap)
}

/// The weekday of a count of days since 1970-01-01: 0 is Sunday.
pub(crate) const fn weekday(days: i64) -> i64 {
    days.saturating_add(4).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_the_same() {
        for days in (-200_000..200_000).step_by(13) {
            assert_eq!(Date::of(days).days(), days);
        }
        assert_eq!(Date::of(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(Date::of(11_016), Date { year: 2000, month: 2, day: 29 });
        assert_eq!(Date { year: 2026, month: 11, day: 21 }.days(), 20_778);
        assert_eq!(weekday(20_778), 6, "a Saturday");
    }
}
