//! What a version is tried by: the service is started anew and looked at for a time, through the supervisor and, where
//! that is possible, from outside. What follows is not decided here.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::config::duration_text;
use crate::control::client::{Client, ClientError};
use crate::control::update::Job;
use crate::control::wire::{Named, Order};
use crate::life::service::later;
use crate::probe;
use crate::sys::{clock, wait};

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// For the supervisor's answers.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Answers in a row that fail a version.
const FAILURES_MAX: u32 = 3;

/// A line of an answer.
#[derive(Debug, Deserialize)]
struct Line {
    /// The request's.
    id: u64,
    /// The service.
    service: Option<Seen>,
    /// It is done.
    done: Option<Box<str>>,
    /// It is not.
    error: Option<Box<str>>,
}

/// A service, as far as it matters.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    /// `running` and others.
    status: Box<str>,
    /// Its process.
    pid: Option<i32>,
    /// Restarts that nobody ordered.
    restart_count: u64,
    /// `healthy` and others.
    health_status: Box<str>,
    /// When it was last asked.
    last_health_check: Option<Box<str>>,
    /// Why not.
    last_error: Option<Box<str>>,
}

/// Why a trial did not go well.
#[derive(Debug)]
pub(super) enum Fault {
    /// The version is no good.
    Version(String),
    /// The supervisor is gone: nothing can be said of the version.
    Gone(ClientError),
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Gone(error)
    }
}

/// Has the supervisor do something.
pub(super) fn order(client: &mut Client, order: Order, limit: Option<Duration>) -> Result<(), Fault> {
    let id = client.ask(order, limit)?;
    hear(client, id).map(drop)
}

/// Hears an answer to its end.
fn hear(client: &mut Client, id: u64) -> Result<Option<Seen>, Fault> {
    let mut seen = None;
    loop {
        let line: Line = serde_json::from_slice(client.line()?)
            .map_err(|error| Fault::Gone(ClientError::Garbage(error.to_string())))?;
        if line.id != id && line.id != 0 {
            continue;
        }
        seen = line.service.or(seen);
        if let Some(error) = line.error {
            return Err(Fault::Version(error.into()));
        }
        if line.done.is_some() {
            return Ok(seen);
        }
    }
}

/// How the service is.
fn look(client: &mut Client, service: &str) -> Result<Seen, Fault> {
    let id = client.ask(Order::Status { services: vec![service.into()], brief: true }, Some(ANSWER_TIME))?;
    hear(client, id)?.ok_or_else(|| Fault::Version("the supervisor does not know it".to_owned()))
}

/// Starts the service anew and looks at it for so long. One that is not to be up stays down, and passes.
pub(super) fn run(client: &mut Client, job: &Job, has_changed: bool) -> Result<(), Fault> {
    if has_changed {
        order(client, Order::Reload, None)?;
    }
    if !job.is_up {
        return Ok(());
    }
    let named = Named { services: vec![job.service.clone()], wait: true };
    let before = look(client, &job.service)?.last_health_check;
    order(client, Order::Restart(named), None)?;
    let first = look(client, &job.service)?;
    let begun = clock::now().instant;
    let mut trial = Trial { failures: 0, answered: false, why: String::new(), asked_at: begun };
    let by = later(begun, job.update.probation);
    let known_by = job.known_within.map_or(by, |time| later(begun, time)).max(by);
    loop {
        let seen = look(client, &job.service)?;
        is_well(&seen, &first)?;
        let now = clock::now().instant;
        trial.ask(job, now)?;
        let is_known = job.known_within.is_none()
            || trial.answered
            || (&*seen.health_status == "healthy" && seen.last_health_check != before);
        let is_asked = trial.answered || !is_asked_from_outside(job);
        if now >= by && is_known && is_asked {
            return Ok(());
        }
        if now >= known_by {
            let within = duration_text(millis(now.saturating_duration_since(begun)));
            return Err(Fault::Version(format!(
                "it was not known to be well within {within}{}",
                trial.why()
            )));
        }
        wait::pause(LOOK_EVERY.min(known_by.saturating_duration_since(now)));
    }
}

/// Whether the service still runs, and has not been started again.
fn is_well(seen: &Seen, first: &Seen) -> Result<(), Fault> {
    let because = seen.last_error.as_deref().map_or(String::new(), |error| format!(": {error}"));
    if !matches!(&*seen.status, "running" | "listening") {
        return Err(Fault::Version(format!("it is in state {}{because}", seen.status)));
    }
    if seen.restart_count != first.restart_count || (seen.pid != first.pid && first.pid.is_some()) {
        return Err(Fault::Version(format!("it did not stay up{because}")));
    }
    if &*seen.health_status == "unhealthy" {
        return Err(Fault::Version(format!("it is unhealthy{because}")));
    }
    Ok(())
}

/// Whether we can ask it ourselves. A command that asks runs as the service's user, which only the supervisor does.
const fn is_asked_from_outside(job: &Job) -> bool {
    matches!(job.probe, Some((probe::Probe::Http(..) | probe::Probe::Mcp(..) | probe::Probe::Tcp(..), _)))
}

/// What was found from outside.
#[derive(Debug)]
struct Trial {
    /// Bad answers in a row.
    failures: u32,
    /// Whether the last answer was good.
    answered: bool,
    /// Why the last one was not.
    why: String,
    /// When it is asked again.
    asked_at: Instant,
}

impl Trial {
    /// Asks, if it is time to.
    fn ask(&mut self, job: &Job, now: Instant) -> Result<(), Fault> {
        let Some((probe, within)) = job.probe.as_ref().filter(|_| is_asked_from_outside(job)) else {
            return Ok(());
        };
        if now < self.asked_at {
            return Ok(());
        }
        self.asked_at = later(now, Duration::from_secs(1));
        match probe::once(probe, *within) {
            Ok(()) => (self.failures, self.answered) = (0, true),
            Err(words) => {
                self.failures = self.failures.saturating_add(1);
                self.answered = false;
                self.why = words;
            }
        }
        if self.failures >= FAILURES_MAX {
            return Err(Fault::Version(format!("its health checks fail{}", self.why())));
        }
        Ok(())
    }

    /// Why, if it is known.
    fn why(&self) -> String {
        if self.why.is_empty() { String::new() } else { format!(": {}", self.why) }
    }
}

/// A duration in whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
