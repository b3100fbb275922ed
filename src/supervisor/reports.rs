//! What clients are told of the supervisor and its services, as fast as they take it. What else they may ask is not
//! known here.

use serde_json::value::{RawValue, to_raw_value};

use crate::control::server::ClientId;
use crate::control::wire::{Answer, SupervisorReport};
use crate::life::roster::Id;

use super::orders::EXIT_UNKNOWN;
use super::unit::millis;
use super::{Supervisor, records};

/// What is told of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// How they are.
    Briefly,
    /// And what they are configured with.
    Wholly,
    /// When they do what.
    Schedules,
}

/// A report that goes out as fast as its reader takes it.
#[derive(Debug)]
pub(super) struct Reporting {
    /// Who asked.
    pub(super) client: ClientId,
    /// The request.
    pub(super) request: u64,
    /// What is reported.
    pub(super) what: Extent,
    /// Services still to be reported.
    pub(super) ids: std::vec::IntoIter<Id>,
}

impl Supervisor {
    /// Begins to report.
    pub(super) fn report(&mut self, client: ClientId, request: u64, names: &[Box<str>], brief: bool) {
        match self.find(names) {
            Err(error) => self.refuse(client, request, error, EXIT_UNKNOWN),
            Ok(ids) => {
                let report = to_raw_value(&self.own_report()).ok();
                let answer = Answer { id: request, supervisor: report.as_deref(), ..Answer::default() };
                self.clients.answer(client, &answer);
                let what = if brief { Extent::Briefly } else { Extent::Wholly };
                self.orders.begin(client, request, ids, what);
            }
        }
    }

    /// The supervisor's own report.
    fn own_report(&self) -> SupervisorReport {
        SupervisorReport {
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime: millis(self.now.instant.saturating_duration_since(self.born)),
            scribe_pid: self.scribe.pid().map(|pid| pid.0),
            degraded: self.degraded.clone().or_else(|| self.shortage_now()).or_else(|| {
                let is_down = self.scribe.pid().is_none();
                is_down.then(|| "running from memory: the scribe is down".into())
            }),
            reaped: self.ends.reaped,
            orphans: self.ends.orphans,
            turns: self.turns,
            dropped_events: self.scribe.dropped,
            suppressed_alerts: self.alerts.suppressed,
            dropped_commands: self.hooks.dropped,
        }
    }

    /// Sends as many reports as a client has room for; whether that were all.
    pub(super) fn report_more(&mut self, reporting: &mut Reporting) -> bool {
        while self.clients.has_room(reporting.client) {
            let Some(id) = reporting.ids.next() else {
                self.answer_done(reporting.client, reporting.request, "");
                return true;
            };
            if reporting.what == Extent::Schedules {
                self.answer_schedule(reporting.client, reporting.request, Some(id));
                continue;
            }
            let now = self.now;
            let waits_for = self.waits_for(id);
            let (Some(unit), Some(life)) =
                (self.units.get_mut(id.index()).and_then(Option::as_mut), self.roster.get(id))
            else {
                continue;
            };
            let shown = match reporting.what {
                Extent::Wholly => records::shown(&unit.plan.shown),
                Extent::Briefly | Extent::Schedules => RawValue::NULL.to_owned(),
            };
            let report = unit.report(life, &self.settings, &shown, waits_for, Some(now));
            self.clients.report(reporting.client, reporting.request, &report);
        }
        false
    }
}
