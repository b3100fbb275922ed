//! The plan: what the configuration says once it is read, checked and complete. Data only; no file is
//! opened here and nothing is decided.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::probe::Probe;

use super::alerts::{Alerts, REPEAT_AFTER};
use super::cleanup::Cleanup;
use super::control::Control;
use super::hooks::Hook;
use super::identity::Identity;
use super::limits::Limits;
use super::sandbox::Sandbox;
use super::schedule::Entry;
use super::seldom::{Part, Seldom};
use super::update::Update;
use crate::life::zone::Zone;

/// Everything the configuration says. It crosses a pipe as JSON when a reload is read by a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The supervisor's own settings.
    pub(crate) settings: Settings,
    /// The services, in order of their ids; ids are unique.
    pub(crate) services: Vec<Service>,
    /// What runs when, for the whole.
    pub(crate) schedule: Box<[Entry]>,
    /// Local time, where anything runs by it.
    pub(crate) zone: Option<Box<Zone>>,
}

/// What `mcp-init.json`, the flags and the environment say about the supervisor itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Control socket, lock, pid files: `/run/mcp-init`.
    pub(crate) runtime_dir: PathBuf,
    /// `process.json`, events: `/var/lib/mcp-init`.
    pub(crate) state_dir: PathBuf,
    /// Output of the services: `/var/log/mcp-init`.
    pub(crate) log_dir: PathBuf,
    /// Where the runners' config files are written: `configs` in the runtime folder unless
    /// `PROCESS_CONFIG_DIR` says otherwise.
    pub(crate) runner_config_dir: PathBuf,
    /// The runner's program.
    pub(crate) runner: PathBuf,
    /// Time for all services together to end.
    pub(crate) shutdown_timeout: Duration,
    /// How many services are started again in a second, of those that nobody ordered.
    pub(crate) restarts_per_second: u32,
    /// `error`, `warn`, `info`, `debug`.
    pub(crate) log_level: LogLevel,
    /// Who may command.
    pub(crate) control: Control,
    /// How much of what is old is kept.
    pub(crate) cleanup: Cleanup,
    /// What is run when something happens.
    pub(crate) hooks: Vec<Hook>,
}

/// How much the supervisor says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Faults of the supervisor.
    Error,
    /// And faults of services.
    Warn,
    /// And the course of each service.
    Info,
    /// And what led to it.
    Debug,
}

impl Service {
    /// Whether it is started with the supervisor, or its sockets are.
    pub(crate) fn is_started_at_boot(&self) -> bool {
        self.enabled && self.start != Start::Manual
    }

    /// The same alert of it is not told again before this.
    pub(crate) fn repeat_after(&self) -> Duration {
        self.alerts.as_ref().and_then(|alerts| alerts.repeat_after).unwrap_or(REPEAT_AFTER)
    }
}

/// One service, complete: every default is filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Service {
    /// `[A-Za-z0-9._-]{1,64}`, no leading dot.
    pub(crate) id: Box<str>,
    /// Words for people.
    pub(crate) name: Option<Box<str>>,
    /// What it is there for.
    pub(crate) kind: Kind,
    /// When it is started.
    pub(crate) start: Start,
    /// Whether it is started when it is time to.
    pub(crate) enabled: bool,
    /// What it waits for; the names are those of other services, and there is no circle.
    pub(crate) depends_on: Vec<Dependency>,
    /// Exits that are good ones, beside code 0.
    pub(crate) success: Seldom<Success>,
    /// What its end means for the whole.
    pub(crate) on_exit: OnExit,
    /// What is run.
    pub(crate) program: Program,
    /// Sockets that are opened for it.
    pub(crate) listen: Vec<Listen>,
    /// On demand: without anything to do for so long it is stopped; `None` is never.
    pub(crate) idle_timeout: Option<Duration>,
    /// It says within each such time that it is well, or it is not.
    pub(crate) watchdog: Option<Duration>,
    /// Declared variables, substituted; they come on top of the allow-list.
    pub(crate) env: BTreeMap<Box<str>, Box<str>>,
    /// Where it runs; the folder of its file unless said (absolute).
    pub(crate) working_directory: PathBuf,
    /// The mask of its new files.
    pub(crate) umask: u32,
    /// Its root, if it is another one.
    pub(crate) chroot: Option<PathBuf>,
    /// Who it runs as.
    pub(crate) identity: Seldom<Identity>,
    /// How much of the machine it gets.
    pub(crate) limits: Seldom<Limits>,
    /// When somebody is told of it.
    pub(crate) alerts: Option<Box<Alerts>>,
    /// So often it is tried to recover it.
    pub(crate) recovery: u32,
    /// The walls around it.
    pub(crate) sandbox: Option<Box<Sandbox>>,
    /// Whether it is given a channel.
    pub(crate) channel: bool,
    /// What counts as ready.
    pub(crate) readiness: Readiness,
    /// What a child asks until it is ready, if that is how it is known.
    pub(crate) ready_probe: Option<Box<Probe>>,
    /// Ready within this, or it has failed (`processTimeout`).
    pub(crate) ready_timeout: Duration,
    /// When it is started again.
    pub(crate) restart: Restart,
    /// How it is started again.
    pub(crate) restart_policy: RestartPolicy,
    /// How it is stopped.
    pub(crate) stop: Stop,
    /// How its health is known; `None` for type `none`.
    pub(crate) health_check: Option<HealthCheck>,
    /// What a child asks for that; without, the service is asked on its channel.
    pub(crate) health_probe: Option<Box<Probe>>,
    /// What becomes of its output.
    pub(crate) log: Log,
    /// What runs when.
    pub(crate) schedule: Box<[Entry]>,
    /// How it is updated; no default, as no two are updated alike.
    pub(crate) update: Option<Box<Update>>,
    /// `processConfig`: its file's own JSON object, compact, before substitution, secrets masked.
    pub(crate) shown: Box<str>,
}

/// What a service runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Program {
    /// A program and its arguments; the first is found through `PATH` when it has no slash.
    Command(Vec<Box<str>>),
    /// An MCP server, run by the runner.
    Server(Server),
}

/// An MCP server, as far as the supervisor needs to know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// URL a client connects to (`http://127.0.0.1:3001/mcp`).
    pub(crate) endpoint: Box<str>,
    /// The runner's config file: `{"serverId", "serverName", "mcpConfig": {…}}`, substituted, with
    /// absolute paths. It holds secrets: 0600, never logged.
    pub(crate) config: Box<str>,
    /// Where clients connect to it, if that is one address: our own runner is given the socket.
    pub(crate) listen: Option<Listen>,
}

/// A socket that is opened for a service, and kept while one process follows the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listen {
    /// Its name in `LISTEN_FDNAMES`.
    pub(crate) name: Box<str>,
    /// Where it listens.
    pub(crate) address: Address,
    /// Whether it takes datagrams rather than connections.
    pub(crate) datagrams: bool,
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Address {
    /// TCP or UDP.
    Net(SocketAddr),
    /// A path.
    Path {
        /// Absolute.
        path: PathBuf,
        /// Who may connect.
        mode: u32,
    },
    /// A name in no file system.
    Abstract(Box<str>),
}

/// What counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Readiness {
    /// That it runs.
    Started,
    /// That it says `server-started` on its channel.
    Channel,
    /// That a child of ours finds it so.
    Asked,
    /// That it says `READY=1` as `sd_notify` does.
    Notify,
    /// That it writes a newline to this descriptor.
    Fd(i32),
}

/// What a service is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// To run.
    Daemon,
    /// To end, with something done.
    Task,
}

/// When a service is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Start {
    /// With the supervisor.
    Boot,
    /// When somebody says so, or needs it.
    Manual,
    /// When somebody connects to one of its sockets; these listen from the beginning.
    OnDemand,
}

/// A service that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dependency {
    /// Its id.
    pub(crate) service: Box<str>,
    /// How far it has to be.
    pub(crate) condition: Condition,
}

/// How far a service has to be for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// It has a process.
    Started,
    /// It is ready; a task is when it has completed.
    Ready,
    /// It has ended well.
    Completed,
}

/// Exits that are good ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Success {
    /// Exit codes.
    pub(crate) codes: Vec<u8>,
    /// Signals.
    pub(crate) signals: Vec<i32>,
}

impl Part for Success {
    const UNSAID: &'static Self = &Self { codes: Vec::new(), signals: Vec::new() };
}

/// What a service's end means for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnExit {
    /// Nothing.
    Nothing,
    /// Everything ends, with its exit code.
    Shutdown,
    /// The same, if it has failed.
    ShutdownOnFailure,
}

/// When a service that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    /// However it ended.
    Always,
    /// When it ended badly: a code other than 0, or a signal.
    OnFailure,
    /// Not by itself.
    Never,
}

/// How a service that ended is started again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RestartPolicy {
    /// Restarts in a row before it is given up; `None` is without end.
    pub(crate) max_retries: Option<u32>,
    /// Before the first restart.
    pub(crate) retry_delay: Duration,
    /// Each further delay, as a multiple of the one before.
    pub(crate) backoff_multiplier: f64,
    /// The longest delay.
    pub(crate) max_retry_delay: Duration,
    /// Random share added to a delay, 0 to 1.
    pub(crate) jitter: f64,
    /// Uptime after which earlier failures are forgotten.
    pub(crate) reset_after: Duration,
    /// Exit codes after which it is not started again.
    pub(crate) permanent_exit_codes: Vec<u8>,
}

/// How a service is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// A program that asks it to end, and its arguments; none: the signal does.
    pub(crate) command: Vec<Box<str>>,
    /// The signal's number.
    pub(crate) signal: i32,
    /// From the signal or the command to SIGKILL.
    pub(crate) timeout: Duration,
}

/// How often a service's health is asked for, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HealthCheck {
    /// From one question to the next.
    pub(crate) interval: Duration,
    /// For the answer.
    pub(crate) timeout: Duration,
    /// Failures in a row that count as one of the service.
    pub(crate) retries: u32,
    /// After readiness, time in which failures do not count.
    pub(crate) start_period: Duration,
    /// With requests in flight, from the first failure on: time in which failures do not count.
    pub(crate) busy_timeout: Duration,
}

/// What becomes of a service's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    /// Where it goes.
    pub(crate) mode: LogMode,
    /// Size of `current` at which it is rotated, in bytes.
    pub(crate) max_size: u64,
    /// Rotated files kept.
    pub(crate) max_files: u32,
    /// Size of all files of the service together, in bytes.
    pub(crate) max_total: u64,
    /// Whether each line begins with the time (UTC).
    pub(crate) timestamps: bool,
}

/// Where a service's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogMode {
    /// To a file of its own, through the scribe.
    File,
    /// To the supervisor's own standard output, through the scribe, each line behind the service's id.
    Inherit,
    /// Nowhere.
    Null,
}
