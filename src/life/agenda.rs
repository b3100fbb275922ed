//! One entry of a schedule: when it is due, and what is done if it was missed or the run before it is not over. No
//! clock: times come in, in seconds since 1970-01-01 UTC.

use serde::{Deserialize, Serialize};

use super::cron::Cron;
use super::zone::Zone;

/// One that is later than this was missed: the machine slept, was off, or its clock was set.
const LATE_MAX: i64 = 60;

/// A clock that is set back by less than this repeats no fixed time of a day.
const REPEATS_AFTER: i64 = 3 * 3600;

/// What is done when it is due while it still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Overlap {
    /// This time is left out.
    Skip,
    /// It runs once more when that run is over.
    Queue,
    /// That run is ended, and then it runs.
    Kill,
}

/// What is done about times that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CatchUp {
    /// They are left out.
    Skip,
    /// It runs once for all of them.
    Once,
}

/// What governs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// When it comes.
    pub(crate) cron: Cron,
    /// See [`Overlap`].
    pub(crate) overlap: Overlap,
    /// See [`CatchUp`].
    pub(crate) catch_up: CatchUp,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Run it.
    Run,
    /// Nothing: the run before is not over.
    Overlaps,
    /// Nothing yet: it runs when the run before is over.
    Queued,
    /// End the run before; it runs when that is over.
    Kill,
    /// Nothing: the time was missed.
    Missed,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// What governs it.
    rules: Rules,
    /// The last time it was meant to run, if that is known.
    planned: Option<i64>,
    /// The next.
    next: Option<i64>,
    /// Whether it runs.
    is_running: bool,
    /// Whether it runs again when that is over.
    is_queued: bool,
}

impl Job {
    /// An entry that was meant to run at `planned` for the last time, as far as is known.
    pub(crate) fn new(rules: Rules, planned: Option<i64>, now: i64, zone: &Zone) -> Self {
        let mut job = Self { rules, planned, next: None, is_running: false, is_queued: false };
        job.plan(now, zone);
        // What was missed before we came.
        if let Some(missed) = job.missed(now, zone) {
            job.next = Some(missed);
        }
        job
    }

    /// When it comes next.
    pub(crate) const fn next(&self) -> Option<i64> {
        self.next
    }

    /// The last time it was meant to run.
    pub(crate) const fn planned(&self) -> Option<i64> {
        self.planned
    }

    /// The first time after the last run, if that has gone by and is to be made up for.
    fn missed(&self, now: i64, zone: &Zone) -> Option<i64> {
        let planned = self.planned.filter(|_| self.rules.catch_up == CatchUp::Once)?;
        self.rules.cron.next(planned, zone).filter(|missed| *missed <= now)
    }

    /// Finds the next time after now. What was meant to run at a fixed time is not run again because the clock
    /// was set back a little.
    fn plan(&mut self, now: i64, zone: &Zone) {
        let done = self.planned.filter(|planned| {
            self.rules.cron.is_fixed() && *planned > now && planned.saturating_sub(now) < REPEATS_AFTER
        });
        self.next = self.rules.cron.next(done.unwrap_or(now), zone);
    }

    /// Looks whether it is due; nothing if it is not.
    pub(crate) fn look(&mut self, now: i64, zone: &Zone) -> Option<Due> {
        let next = self.next.filter(|next| *next <= now)?;
        let is_late = now.saturating_sub(next) > LATE_MAX;
        let is_left_out = is_late && self.rules.catch_up == CatchUp::Skip;
        self.planned = Some(if is_late { now } else { next });
        self.plan(now, zone);
        if is_left_out {
            return Some(Due::Missed);
        }
        if !self.is_running {
            self.is_running = true;
            return Some(Due::Run);
        }
        self.is_queued = self.rules.overlap != Overlap::Skip;
        Some(match self.rules.overlap {
            Overlap::Skip => Due::Overlaps,
            Overlap::Queue => Due::Queued,
            Overlap::Kill => Due::Kill,
        })
    }

    /// The clock was set back, or the zone changed: what comes next is worked out again.
    pub(crate) fn replan(&mut self, now: i64, zone: &Zone) {
        if self.next.is_none_or(|next| next > now) {
            self.plan(now, zone);
        }
    }

    /// Its run is over; whether it runs again at once.
    pub(crate) const fn ended(&mut self) -> bool {
        let again = self.is_queued;
        self.is_running = again;
        self.is_queued = false;
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 00:00 UTC, a Saturday.
    const MIDNIGHT: i64 = 20_778 * 86_400;

    fn job(cron: &str, overlap: Overlap, catch_up: CatchUp, planned: Option<i64>, now: i64) -> Job {
        let rules = Rules { cron: Cron::parse(cron).unwrap(), overlap, catch_up };
        Job::new(rules, planned, now, &Zone::default())
    }

    /// What becomes of it at these seconds after midnight; a run never ends by itself.
    fn course(job: &mut Job, seconds: impl IntoIterator<Item = i64>) -> Vec<(i64, Due)> {
        let zone = Zone::default();
        seconds
            .into_iter()
            .filter_map(|at| Some((at, job.look(MIDNIGHT.saturating_add(at), &zone)?)))
            .collect()
    }

    #[test]
    fn a_run_that_is_not_over_is_spared_queued_or_ended() {
        for (overlap, due, again) in [
            (Overlap::Skip, Due::Overlaps, false),
            (Overlap::Queue, Due::Queued, true),
            (Overlap::Kill, Due::Kill, true),
        ] {
            let mut job = job("* * * * *", overlap, CatchUp::Skip, None, MIDNIGHT);
            assert_eq!(course(&mut job, 0..200), [(60, Due::Run), (120, due), (180, due)]);
            assert_eq!((job.ended(), job.is_running), (again, again));
            assert!(!job.ended() || !again, "it is queued once, however often it was due");
        }
    }

    #[test]
    fn what_was_missed_is_left_out_or_made_up_for_once() {
        let day = 86_400;
        // The machine sleeps for three days.
        let mut out = job("0 1 * * *", Overlap::Skip, CatchUp::Skip, None, MIDNIGHT);
        assert_eq!(course(&mut out, [3600, 3 * day]), [(3600, Due::Run), (3 * day, Due::Missed)]);
        assert_eq!(out.next(), Some(MIDNIGHT + 3 * day + 3600));
        let mut made_up_for = job("0 1 * * *", Overlap::Queue, CatchUp::Once, None, MIDNIGHT);
        assert_eq!(course(&mut made_up_for, [3600, 3 * day]), [(3600, Due::Run), (3 * day, Due::Queued)]);
        // The supervisor was not there.
        let last = Some(MIDNIGHT - 2 * day + 3600);
        let mut late = job("0 1 * * *", Overlap::Skip, CatchUp::Once, last, MIDNIGHT);
        assert_eq!(course(&mut late, [0, 60, 3600]), [(0, Due::Run), (3600, Due::Overlaps)]);
        let mut out = job("0 1 * * *", Overlap::Skip, CatchUp::Skip, last, MIDNIGHT);
        assert_eq!(course(&mut out, [0, 60, 3600]), [(3600, Due::Run)]);
    }

    #[test]
    fn a_clock_that_is_set_back_repeats_what_follows_real_time_only() {
        for (cron, hours, wanted) in [
            ("0 1 * * *", 1, MIDNIGHT + 86_400 + 3600),
            ("0 1 * * *", 4, MIDNIGHT + 3600),
            ("0 * * * *", 1, MIDNIGHT + 3600),
        ] {
            let mut job = job(cron, Overlap::Skip, CatchUp::Skip, None, MIDNIGHT);
            assert_eq!(course(&mut job, [3601]), [(3601, Due::Run)]);
            job.replan(MIDNIGHT + 3601 - hours * 3600, &Zone::default());
            assert_eq!(job.next(), Some(wanted), "{cron} {hours}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_makes_up_for_nothing() {
        let mut job = job("0 1 * * *", Overlap::Skip, CatchUp::Once, Some(MIDNIGHT), 0);
        assert_eq!(job.next(), Some(3600));
        assert_eq!(job.look(MIDNIGHT, &Zone::default()), Some(Due::Run));
    }
}
