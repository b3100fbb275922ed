//! What clients are told of the supervisor and its services, as fast as they take it. What else they may ask is not
//! known here.

use std::borrow::Cow;
use std::time::Instant;

use serde_json::value::{RawValue, to_raw_value};

use crate::config::plan::Settings;
use crate::control::brief::Brief;
use crate::control::server::ClientId;
use crate::control::wire::{Answer, Live, Past, ServiceReport, SupervisorReport};
use crate::life;
use crate::life::policy::Pid;
use crate::life::roster::Id;
use crate::sys::clock::Now;
use crate::sys::proc;

use super::gauge::Gauge;
use super::orders::EXIT_UNKNOWN;
use super::present::Present;
use super::unit::{millis, whole};
use super::{Supervisor, Unit, records};

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
            let (client, request) = (reporting.client, reporting.request);
            if reporting.what == Extent::Briefly {
                self.clients.report(client, request, &unit.brief(life, waits_for, now));
                continue;
            }
            let shown = records::shown(&unit.plan.shown);
            let report = unit.report(life, &self.settings, &shown, waits_for, Some(now));
            self.clients.report(client, request, &report);
        }
        false
    }
}

impl Unit {
    /// Its main process, whose start is known from here on.
    fn known_pid(&mut self, life: &life::service::Service) -> Option<Pid> {
        let main = self.present.as_ref().and_then(|present| present.main.as_ref());
        let pid = life.state().pid().map(|leader| main.map_or(leader, |main| main.pid));
        if let (Some(pid), Some(present)) = (pid, &mut self.present) {
            present.ticks = present.ticks.or_else(|| proc::start_ticks(pid));
        }
        pid
    }

    /// What people are told of it.
    pub(super) fn brief(
        &mut self,
        life: &life::service::Service,
        waits_for: Option<Box<str>>,
        now: Now,
    ) -> Brief<'_> {
        let pid = self.known_pid(life);
        let metrics = self.metrics.as_deref();
        let since = |at: Instant| millis(now.instant.saturating_duration_since(at));
        Brief {
            server_id: &self.plan.id,
            status: life.state().word(),
            restart_count: life.restarts(),
            health_status: self.health_word(),
            pid: pid.map(|pid| pid.0),
            start_ticks: self.present.as_ref().filter(|_| pid.is_some()).and_then(|present| present.ticks),
            uptime: life.state().born().map(since),
            last_error: self.last_error.as_deref(),
            memory_usage: self.memory(),
            memory_pressure: self.memory_pressure(),
            cpu_usage: self.cpu(),
            last_health_check: self.checked.map(|at| at.to_string()),
            waits_for,
            completed: life.has_completed(),
            recovery_attempts: life.recovery().attempts.into(),
            needs_intervention: life.recovery().is_spent,
            enabled: self.plan.is_started_at_boot(),
            endpoint: self.endpoint(),
            over_threshold: self.gauge().map(Gauge::over).unwrap_or_default(),
            retry_in: life.state().retry_at().map(|at| millis(at.saturating_duration_since(now.instant))),
            request_count: metrics.and_then(|metrics| metrics.request_count).map(whole),
            error_count: metrics.and_then(|metrics| metrics.error_count).map(whole),
            average_response_time: metrics.and_then(|metrics| metrics.average_response_time),
            dropped_lines: self.dropped_lines,
            ignored_messages: self.ignored_messages,
        }
    }

    /// What is told of it; with `live`, what only `status` shows.
    pub(super) fn report<'a>(
        &'a mut self,
        life: &life::service::Service,
        settings: &Settings,
        shown: &'a RawValue,
        waits_for: Option<Box<str>>,
        now: Option<Now>,
    ) -> ServiceReport<'a> {
        let pid = self.known_pid(life);
        let more = now.map(|now| self.live(life, now));
        let present = self.present.as_ref().filter(|_| pid.is_some());
        let config_file = present.filter(|_| self.is_server()).map(|_| self.config_file(settings));
        ServiceReport {
            id: Cow::Borrowed(&self.uuid),
            server_id: Cow::Borrowed(&self.plan.id),
            pid: pid.map(|pid| pid.0),
            start_time: present.map(|present| Cow::Owned(present.started.to_string())),
            start_ticks: present.and_then(|present| present.ticks),
            status: Cow::Borrowed(life.state().word()),
            restart_count: life.restarts(),
            last_error: self.last_error.as_deref().map(Cow::Borrowed),
            memory_usage: self.memory(),
            cpu_usage: self.cpu(),
            config_file_path: config_file.map(|path| Cow::Owned(path.to_string_lossy().into_owned())),
            working_directory: self.plan.working_directory.to_string_lossy(),
            process_config: shown,
            last_health_check: self.checked.map(|at| Cow::Owned(at.to_string())),
            health_status: Cow::Borrowed(self.health_word()),
            created_at: Cow::Owned(self.created.to_string()),
            updated_at: Cow::Owned(self.updated.to_string()),
            past: Past {
                waits_for,
                completed: life.has_completed(),
                recovery_attempts: life.recovery().attempts,
                needs_intervention: life.recovery().is_spent,
                last_end: self.ends.front().cloned(),
                history: self.ends.iter().skip(1).cloned().collect(),
            },
            live: more,
        }
    }

    /// What only `status` shows.
    fn live(&self, life: &life::service::Service, now: Now) -> Live {
        let since = |at: Instant| millis(now.instant.saturating_duration_since(at));
        Live {
            server_name: self.plan.name.clone(),
            enabled: self.plan.is_started_at_boot(),
            endpoint: self.endpoint().map(Box::from),
            uptime: life.state().born().map(since),
            over_threshold: self.gauge().map(Gauge::over).unwrap_or_default(),
            enforced_by: self.present.as_ref().map(Present::enforced_by).unwrap_or_default(),
            memory_pressure: self.memory_pressure(),
            retry_in: life.state().retry_at().map(|at| millis(at.saturating_duration_since(now.instant))),
            request_count: self.metrics.as_deref().and_then(|metrics| metrics.request_count).map(whole),
            error_count: self.metrics.as_deref().and_then(|metrics| metrics.error_count).map(whole),
            average_response_time: self.metrics.as_deref().and_then(|metrics| metrics.average_response_time),
            status_text: self.present.as_ref().and_then(|present| present.told.status.clone()),
            reloading: self.present.as_ref().is_some_and(|present| present.told.is_reloading),
            dropped_lines: self.dropped_lines,
            ignored_messages: self.ignored_messages,
            sandbox: self.plan.sandbox.is_some().then(|| "strict".into()),
            sandbox_lacks: self
                .present
                .as_ref()
                .and_then(|it| Some(it.walled.as_ref()?.lacks()))
                .unwrap_or_default(),
        }
    }
}
