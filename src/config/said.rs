//! What the layers say of a service, one written over the other: the environment, the defaults of
//! `mcp-init.json`, the service's own file. Where none says anything, the built-in value stands here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::alerts::{self, Alerts};
use super::course::Course;
use super::env_file::Variables;
use super::environment::Environment;
use super::health::Ask;
use super::identity::Identity;
use super::limits::Limits;
use super::plan::{
    Dependency, HealthCheck, Listen, Log, LogMode, OnExit, Program, Readiness, Restart, RestartPolicy,
    Service, Start, Stop,
};
use super::sandbox::{Profile, Sandbox};
use super::schedule::Entry;

/// The mask of new files: whoever started us has no say in it.
const UMASK: u32 = 0o022;

/// What is said so far; `None` where nothing is.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// The supervisor's runtime folder, where servers without a port have their sockets.
    pub(super) runtime_dir: Option<PathBuf>,
    /// See [`Service`].
    pub(super) name: Option<Box<str>>,
    /// See [`Service`].
    pub(super) enabled: Option<bool>,
    /// What it is there for, and what its exits mean.
    pub(super) course: Course,
    /// See [`Service`].
    pub(super) depends_on: Vec<Dependency>,
    /// See [`Service`]; layers add to each other.
    pub(super) env: BTreeMap<Box<str>, Box<str>>,
    /// The same from files; `env` has the last word.
    pub(super) file_env: Variables,
    /// See [`Service`].
    pub(super) working_directory: Option<PathBuf>,
    /// See [`Service`].
    pub(super) sandbox: Option<Sandbox>,
    /// See [`Service`].
    pub(super) channel: Option<bool>,
    /// See [`Service`]; no default, as two services cannot share a socket.
    pub(super) listen: Vec<Listen>,
    /// See [`Service`]; none is never.
    pub(super) idle_timeout: Option<Duration>,
    /// See [`Service`].
    pub(super) watchdog: Option<Duration>,
    /// See [`Service`].
    pub(super) readiness: Option<Readiness>,
    /// What a child asks until it is ready.
    pub(super) ready_probe: Option<Ask>,
    /// See [`Service`].
    pub(super) ready_timeout: Option<Duration>,
    /// See [`Service`].
    pub(super) restart: Option<Restart>,
    /// See [`RestartPolicy`].
    pub(super) max_retries: Option<Retries>,
    /// See [`RestartPolicy`].
    pub(super) retry_delay: Option<Duration>,
    /// See [`RestartPolicy`].
    pub(super) backoff_multiplier: Option<f64>,
    /// See [`RestartPolicy`].
    pub(super) max_retry_delay: Option<Duration>,
    /// See [`RestartPolicy`].
    pub(super) jitter: Option<f64>,
    /// See [`RestartPolicy`].
    pub(super) reset_after: Option<Duration>,
    /// See [`Stop`].
    pub(super) stop_signal: Option<i32>,
    /// See [`Stop`].
    pub(super) stop_timeout: Option<Duration>,
    /// Whether health is asked for.
    pub(super) health_checked: Option<bool>,
    /// What a child asks for that; without, it is asked on the channel.
    pub(super) health_probe: Option<Ask>,
    /// See [`HealthCheck`].
    pub(super) health_interval: Option<Duration>,
    /// See [`HealthCheck`].
    pub(super) health_timeout: Option<Duration>,
    /// See [`HealthCheck`].
    pub(super) health_retries: Option<u32>,
    /// See [`HealthCheck`].
    pub(super) health_start_period: Option<Duration>,
    /// See [`HealthCheck`].
    pub(super) health_busy_timeout: Option<Duration>,
    /// See [`Log`].
    pub(super) log_mode: Option<LogMode>,
    /// See [`Log`].
    pub(super) log_max_size: Option<u64>,
    /// See [`Log`].
    pub(super) log_max_files: Option<u32>,
    /// See [`Log`].
    pub(super) log_max_total: Option<u64>,
    /// See [`Log`].
    pub(super) log_timestamps: Option<bool>,
    /// See [`Service`].
    pub(super) umask: Option<u32>,
    /// See [`Service`].
    pub(super) chroot: Option<PathBuf>,
    /// See [`Service`].
    pub(super) identity: Identity,
    /// See [`Service`].
    pub(super) limits: Limits,
    /// See [`Service`].
    pub(super) alerts: Alerts,
    /// See [`Service`].
    pub(super) recovery: Option<u32>,
    /// See [`Service`].
    pub(super) schedule: Option<Box<[Entry]>>,
}

/// Restarts in a row before a service is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retries {
    /// So many.
    AtMost(u32),
    /// Without end.
    Unlimited,
}

/// Writes `value` over `place` if there is one.
pub(super) fn set<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}

/// Without anything to do, a service that is started on demand is stopped after this.
const IDLE_TIMEOUT: Duration = seconds(300);

/// A duration of whole seconds.
const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Said {
    /// The supervisor's runtime folder; where one would be if nobody says so.
    pub(super) fn runtime_dir(&self, environment: &Environment) -> PathBuf {
        self.runtime_dir.clone().unwrap_or_else(|| environment.folders().runtime)
    }

    /// The service, with every gap filled in. `folder` is the one of its file.
    pub(super) fn complete(self, id: &str, program: Program, folder: &Path, shown: String) -> Service {
        let server = matches!(program, Program::Server(_));
        let readiness =
            self.readiness.unwrap_or(if server { Readiness::Channel } else { Readiness::Started });
        let health_check = self.health_checked.unwrap_or(server).then(|| self.health_check());
        let mut env = self.file_env.clone();
        env.extend(self.env.clone());
        let restart = self.course.restart(self.restart);
        let recovery = alerts::attempts(&self, health_check.is_some(), restart);
        let (restart_policy, log) = (self.restart_policy(), self.log());
        let ask = self.ready_probe.filter(|_| readiness == Readiness::Asked);
        let ready_probe = ask.and_then(|ask| ask.complete(&program));
        let ask = self.health_probe.filter(|_| health_check.is_some());
        let health_probe = ask.and_then(|ask| ask.complete(&program));
        let channel = server
            || self.channel == Some(true)
            || readiness == Readiness::Channel
            || (health_check.is_some() && health_probe.is_none());
        Service {
            id: id.into(),
            kind: self.course.kind(),
            start: self.course.start.unwrap_or(Start::Boot),
            enabled: self.enabled.unwrap_or(true),
            success: self.course.success.clone().unwrap_or_default().into(),
            on_exit: self.course.on_exit.unwrap_or(OnExit::Nothing),
            program,
            idle_timeout: Some(self.idle_timeout.unwrap_or(IDLE_TIMEOUT)).filter(|time| !time.is_zero()),
            watchdog: self.watchdog,
            channel,
            readiness,
            ready_probe: ready_probe.map(Box::new),
            ready_timeout: self.ready_timeout.unwrap_or(seconds(30)),
            restart,
            restart_policy,
            stop: Stop {
                command: self.course.stop_command.clone().unwrap_or_default(),
                signal: self.stop_signal.unwrap_or(libc::SIGTERM),
                timeout: self.stop_timeout.unwrap_or(seconds(5)),
            },
            health_check,
            sandbox: self.sandbox.filter(|sandbox| sandbox.profile == Profile::Strict).map(Box::new),
            health_probe: health_probe.map(Box::new),
            log,
            depends_on: self.depends_on,
            listen: self.listen,
            name: self.name,
            env,
            working_directory: self.working_directory.unwrap_or_else(|| match self.chroot {
                Some(_) => PathBuf::from("/"),
                None => folder.to_path_buf(),
            }),
            umask: self.umask.unwrap_or(UMASK),
            chroot: self.chroot,
            identity: self.identity.into(),
            limits: self.limits.into(),
            alerts: (self.alerts != Alerts::default()).then(|| Box::new(self.alerts)),
            recovery,
            schedule: self.schedule.unwrap_or_default(),
            update: None,
            shown: shown.into(),
        }
    }

    /// How it is started again.
    fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy {
            max_retries: match self.max_retries.unwrap_or(Retries::AtMost(5)) {
                Retries::AtMost(count) => Some(count),
                Retries::Unlimited => None,
            },
            retry_delay: self.retry_delay.unwrap_or(seconds(1)),
            backoff_multiplier: self.backoff_multiplier.unwrap_or(2.0),
            max_retry_delay: self.max_retry_delay.unwrap_or(seconds(30)),
            jitter: self.jitter.unwrap_or(0.1),
            reset_after: self.reset_after.unwrap_or(seconds(60)),
            // The code by which programs of s6 say that another try cannot help.
            permanent_exit_codes: self.course.permanent.clone().unwrap_or_else(|| vec![125]),
        }
    }

    /// How its health is known, if it is asked for.
    fn health_check(&self) -> HealthCheck {
        HealthCheck {
            interval: self.health_interval.unwrap_or(seconds(30)),
            timeout: self.health_timeout.unwrap_or(seconds(5)),
            retries: self.health_retries.unwrap_or(3),
            start_period: self.health_start_period.unwrap_or_default(),
            // What clients of the official SDKs give a request.
            busy_timeout: self.health_busy_timeout.unwrap_or(seconds(60)),
        }
    }

    /// What becomes of its output. The bound on all files is what they come to unless it is said, and no
    /// single file is larger than that bound.
    fn log(&self) -> Log {
        let max_size = self.log_max_size.unwrap_or(10 * 1024 * 1024);
        let max_files = self.log_max_files.unwrap_or(5);
        let max_total =
            self.log_max_total.unwrap_or_else(|| max_size.saturating_mul(u64::from(max_files.max(1))));
        Log {
            mode: self.log_mode.unwrap_or(LogMode::File),
            max_size: max_size.min(max_total),
            max_files,
            max_total,
            timestamps: self.log_timestamps.unwrap_or(true),
        }
    }
}
