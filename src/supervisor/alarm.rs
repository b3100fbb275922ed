//! Which turns of a service's life are worth an alert, and in which words. Whether it is told is decided elsewhere.

use crate::config::duration_text;
use crate::config::plan::Restart;
use crate::life::alerts::{Kind, Level};
use crate::life::policy::{Note, Why};
use crate::life::roster::Id;

use super::Supervisor;
use super::unit::millis;

/// Troubles that are over when a service is well.
const TROUBLES: [Kind; 3] = [Kind::Unhealthy, Kind::Restarted, Kind::GaveUp];

impl Supervisor {
    /// Something happened to a service: perhaps somebody should know of it.
    pub(super) fn alarm(&mut self, id: Id, note: Note) {
        match note {
            Note::Stopping(Why::Unhealthy | Why::Silent) => {
                let text = self.last_error(id);
                self.alert(Some(id), Level::Error, Kind::Unhealthy, &text);
            }
            Note::Started(_) => self.begin_gauge(id),
            Note::Retry { after } => {
                let restarts = self.roster.get(id).map_or(0, crate::life::service::Service::restarts);
                let after = duration_text(millis(after));
                let text = format!("{}: restart {restarts} in {after}", self.last_error(id));
                self.alert(Some(id), Level::Warning, Kind::Restarted, &text);
            }
            Note::OutOfRestarts => {
                let text = format!("{}: restarts gave up; recovery follows", self.last_error(id));
                self.alert(Some(id), Level::Error, Kind::GaveUp, &text);
            }
            Note::Attempt { number, after } => {
                let of = self.unit(id).map_or(0, |unit| unit.plan.recovery);
                let after = duration_text(millis(after));
                let text = format!("{}: recovery attempt {number} of {of} in {after}", self.last_error(id));
                self.alert(Some(id), Level::Warning, Kind::Restarted, &text);
            }
            Note::Recovered { .. } => self.note_well(id),
            Note::GaveUp => self.alarm_of_giving_up(id),
            Note::Ready => {
                // Whether one that is checked is well, its checks say.
                if self.unit(id).is_some_and(|unit| unit.plan.health_check.is_none()) {
                    self.relieve(Some(id), &[Kind::GaveUp], "runs again");
                }
            }
            Note::Stopping(Why::Itself | Why::Ordered | Why::NotReady | Why::Idle | Why::Exceeded(_))
            | Note::Listening
            | Note::Waits(_)
            | Note::Blocked(_)
            | Note::Leaving
            | Note::Killed
            | Note::Unkillable
            | Note::Ended { .. }
            | Note::Stopped
            | Note::Later { .. }
            | Note::NoAnswer
            | Note::NotPrepared => {}
        }
    }

    /// It is not started again.
    fn alarm_of_giving_up(&mut self, id: Id) {
        let error = self.last_error(id);
        if self.unit(id).is_some_and(|unit| unit.plan.restart == Restart::Never) {
            let text = format!("{error}: not started again, as its restart policy says");
            self.alert(Some(id), Level::Error, Kind::GaveUp, &text);
        } else {
            let is_spent = self.roster.get(id).is_some_and(|life| life.recovery().is_spent);
            let rest = if is_spent { "" } else { ": given up; manual intervention needed" };
            let text = format!("{error}{rest}");
            self.alert(Some(id), Level::Critical, Kind::GaveUp, &text);
        }
    }

    /// A health check was passed.
    pub(super) fn note_well(&mut self, id: Id) {
        self.relieve(Some(id), &TROUBLES, "is healthy again");
    }

    /// What went wrong last, in words.
    pub(super) fn last_error(&self, id: Id) -> String {
        let error = self.unit(id).and_then(|unit| unit.last_error.as_deref());
        error.unwrap_or("it ended").to_owned()
    }
}
