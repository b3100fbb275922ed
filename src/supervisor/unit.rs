//! What the supervisor knows of a service beyond its life: its plan, its descriptors, and what is told of it.
//! Nothing is decided here.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::time::Instant;

use super::gauge::Gauge;
use super::held::Held;
use super::present::Present;
use super::watch::Watch;
use crate::channel::Metrics;
use crate::config::plan::{Kind, OnExit, Program, Readiness, Restart, Service, Settings, Start};
use crate::control::wire::LastEnd;
use crate::life;
use crate::life::exits::{Exits, Numbers};
use crate::life::policy::{BackoffPolicy, CheckPolicy, Demand, Policy};
use crate::sys::clock::{Now, Stamp};
use crate::sys::pipe::Output;

/// So many ends are kept.
const ENDS_MAX: usize = 6;

/// So many lines of output are kept of the last one, cut to so many characters.
const LINES_MAX: usize = 10;
/// See [`LINES_MAX`].
const LINE_CHARS_MAX: usize = 400;

/// What is known of a service's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Not asked yet.
    Unknown,
    /// Well.
    Healthy,
    /// Not well, or no answer.
    Unhealthy,
}

/// A service.
#[derive(Debug)]
pub(super) struct Unit {
    /// What the configuration says.
    pub(super) plan: Service,
    /// UUID of its record.
    pub(super) uuid: Box<str>,
    /// Its pipe; made when it is first started.
    pub(super) output: Option<Output>,
    /// What is kept for it from one process to the next.
    pub(super) held: Held,
    /// Of its process, while it has one or its group is left.
    pub(super) present: Option<Present>,
    /// One line.
    pub(super) last_error: Option<Box<str>>,
    /// How its last processes ended, the latest first.
    pub(super) ends: VecDeque<LastEnd>,
    /// As it last said.
    pub(super) metrics: Option<Box<Metrics>>,
    /// As it last said, or failed to say.
    pub(super) health: Health,
    /// When that was.
    pub(super) checked: Option<Stamp>,
    /// Lines of output that could not be written.
    pub(super) dropped_lines: u64,
    /// Channel messages that were garbage or of an unknown type.
    pub(super) ignored_messages: u64,
    /// When it came to be known.
    pub(super) created: Stamp,
    /// When something about it last changed.
    pub(super) updated: Stamp,
    /// Until when the scribe may still be reading what its last process said.
    pub(super) drained_by: Option<Instant>,
    /// Since when its files say less than is known.
    pub(super) dirty_since: Option<Instant>,
    /// Whether the configuration no longer has it.
    pub(super) is_removed: bool,
}

impl Unit {
    /// A service that was just read from the configuration.
    pub(super) fn new(plan: Service, now: Now) -> Self {
        Self {
            plan,
            uuid: uuid(),
            output: None,
            held: Held::default(),
            present: None,
            last_error: None,
            ends: VecDeque::new(),
            metrics: None,
            health: Health::Unknown,
            checked: None,
            dropped_lines: 0,
            ignored_messages: 0,
            created: now.stamp,
            updated: now.stamp,
            drained_by: None,
            dirty_since: Some(now.instant),
            is_removed: false,
        }
    }

    /// Whether it is an MCP server.
    pub(super) const fn is_server(&self) -> bool {
        matches!(self.plan.program, Program::Server(_))
    }

    /// URL a client connects to.
    pub(super) fn endpoint(&self) -> Option<&str> {
        let said = self.present.as_ref().and_then(|present| present.endpoint.as_deref());
        said.or(match &self.plan.program {
            Program::Server(server) => Some(&*server.endpoint),
            Program::Command(_) => None,
        })
    }

    /// Something about it changed.
    pub(super) fn touch(&mut self, now: Now) {
        self.updated = now.stamp;
        self.dirty_since = self.dirty_since.or(Some(now.instant));
    }

    /// Something went wrong with it.
    pub(super) fn fault(&mut self, error: &str, now: Now) {
        self.last_error = Some(error.into());
        self.touch(now);
    }

    /// A process of it has ended.
    pub(super) fn ended(&mut self, end: LastEnd) {
        if let Some(before) = self.ends.front_mut() {
            before.output = Vec::new();
        }
        self.ends.push_front(end);
        self.ends.truncate(ENDS_MAX);
    }

    /// The last lines of its output are known.
    pub(super) fn last_lines(&mut self, tail: &str, now: Now) {
        let Some(end) = self.ends.front_mut().filter(|end| !tail.is_empty() && end.output.is_empty()) else {
            return;
        };
        let line = |line: &str| line.chars().take(LINE_CHARS_MAX).collect::<String>().into();
        let skipped = tail.lines().count().saturating_sub(LINES_MAX);
        end.output = tail.lines().skip(skipped).map(line).collect();
        self.touch(now);
    }

    /// The file its runner reads.
    pub(super) fn config_file(&self, settings: &Settings) -> PathBuf {
        settings.runner_config_dir.join(format!("{}.json", self.plan.id))
    }

    /// The file that holds its pid.
    pub(super) fn pid_file(&self, settings: &Settings) -> PathBuf {
        settings.runtime_dir.join("pids").join(format!("{}.pid", self.plan.id))
    }

    /// A file of its state.
    pub(super) fn state_file(&self, settings: &Settings, name: &str) -> PathBuf {
        settings.state_dir.join("services").join(&*self.plan.id).join(name)
    }

    /// What governs its life.
    pub(super) fn policy(&self) -> Policy {
        let plan = &self.plan;
        let restart = &plan.restart_policy;
        Policy {
            kind: match plan.kind {
                Kind::Daemon => life::policy::Kind::Daemon,
                Kind::Task => life::policy::Kind::Task,
            },
            exits: exits(plan),
            on_exit: match plan.on_exit {
                OnExit::Nothing => life::policy::OnExit::Nothing,
                OnExit::Shutdown => life::policy::OnExit::Shutdown,
                OnExit::ShutdownOnFailure => life::policy::OnExit::ShutdownOnFailure,
            },
            restart: match plan.restart {
                Restart::Always => life::policy::Restart::Always,
                Restart::OnFailure => life::policy::Restart::OnFailure,
                Restart::Never => life::policy::Restart::Never,
            },
            backoff: BackoffPolicy {
                first: restart.retry_delay,
                factor: restart.backoff_multiplier,
                longest: restart.max_retry_delay,
                jitter: restart.jitter,
                tries: restart.max_retries,
                forget_after: restart.reset_after,
            },
            prepare: self.is_server(),
            readiness: match plan.readiness {
                Readiness::Started => life::policy::Readiness::Started,
                Readiness::Channel | Readiness::Asked | Readiness::Notify | Readiness::Fd(_) => {
                    life::policy::Readiness::Told
                }
            },
            demand: (plan.start == Start::OnDemand).then_some(Demand { idle_within: plan.idle_timeout }),
            watchdog: plan.watchdog,
            ready_within: plan.ready_timeout,
            stop_within: plan.stop.timeout,
            attempts: plan.recovery,
            check: plan.health_check.map(|check| CheckPolicy {
                every: check.interval,
                // A child that asks has the same time, and the better words.
                within: match plan.health_probe {
                    Some(_) => check.timeout.saturating_add(super::askers::SLACK),
                    None => check.timeout,
                },
                retries: check.retries,
                grace: check.start_period,
                busy: check.busy_timeout,
            }),
        }
    }

    /// What is looked at of it.
    pub(super) fn watch(&self) -> Option<&Watch> {
        self.present.as_ref()?.hold.watch.as_deref()
    }

    /// The same, to be changed.
    pub(super) fn watch_mut(&mut self) -> Option<&mut Watch> {
        self.present.as_mut()?.hold.watch.as_deref_mut()
    }

    /// Its memory: what counts for its limit, or else as it last said.
    pub(super) fn memory(&self) -> Option<u64> {
        let held =
            self.present.as_ref().and_then(|it| it.hold.memory().or_else(|| it.gauge.as_ref()?.memory));
        held.or_else(|| self.metrics.as_deref().and_then(|metrics| metrics.memory_usage).map(whole))
    }

    /// Its processor time, in percent: as it was seen, or else as it last said.
    pub(super) fn cpu(&self) -> Option<f64> {
        let seen = self.gauge().and_then(|gauge| gauge.cpu).map(f64::from);
        seen.or_else(|| self.metrics.as_deref().and_then(|metrics| metrics.cpu_usage))
    }

    /// What was seen of all its processes.
    pub(super) fn gauge(&self) -> Option<&Gauge> {
        self.present.as_ref()?.gauge.as_deref()
    }

    /// How long some of it waited for memory lately.
    pub(super) fn memory_pressure(&self) -> Option<f64> {
        self.present.as_ref()?.hold.group.as_deref()?.memory_pressure()
    }

    /// Its health in the word that is shown.
    pub(super) const fn health_word(&self) -> &'static str {
        match (self.plan.health_check.is_some() || self.plan.watchdog.is_some(), self.health) {
            (false, _) => "none",
            (true, Health::Unknown) => "unknown",
            (true, Health::Healthy) => "healthy",
            (true, Health::Unhealthy) => "unhealthy",
        }
    }
}

/// What its exits mean.
fn exits(plan: &Service) -> Exits {
    let codes = |codes: &[u8]| Numbers::of(&codes.iter().map(|code| i32::from(*code)).collect::<Vec<_>>());
    Exits {
        good_codes: codes(&plan.success.codes),
        good_signals: Numbers::of(&plan.success.signals),
        permanent_codes: codes(&plan.restart_policy.permanent_exit_codes),
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A count that came as a JSON number, whatever it was.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates"
)]
pub(super) const fn whole(number: f64) -> u64 {
    number as u64
}

/// Random bits from the standard library's own source: enough for names and jitter, not for secrets.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A version 4 UUID.
fn uuid() -> Box<str> {
    let (a, b) = (random(), random());
    let variant = (b >> 48 & 0x3fff) | 0x8000;
    let (first, second, third) = (a >> 32, a >> 16 & 0xffff, a & 0x0fff | 0x4000);
    format!("{first:08x}-{second:04x}-{third:04x}-{variant:04x}-{:012x}", b & 0xffff_ffff_ffff).into()
}
