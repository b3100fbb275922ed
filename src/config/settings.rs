//! The supervisor's own settings: built-in, from the environment, from `mcp-init.json`; and the defaults that
//! the last two have for all services.

use std::path::PathBuf;
use std::time::Duration;

use super::cleanup::{self, Cleanup};
use super::control::{self, Control};
use super::document::{Document, Page};
use super::environment::Environment;
use super::error::Problems;
use super::hooks::{self, Hook};
use super::item::{Choice, Item};
use super::json::{Kind, Node};
use super::keys::{self, Seen};
use super::plan::{LogLevel, Settings};
use super::said::{Said, set};
use super::schedule::{self, Entry};
use super::service;

/// The name of the file.
pub(super) const FILE: &str = "mcp-init.json";

/// The name of its schema.
pub(super) const SCHEMA: &str = "mcp-init.schema.json";

/// Keys of `mcp-init.json`.
pub(super) const KEYS: [&str; 14] = [
    "$schema",
    "runtimeDir",
    "stateDir",
    "logDir",
    "runner",
    "shutdownTimeout",
    "restartsPerSecond",
    "logLevel",
    "control",
    "alertCommands",
    "eventCommands",
    "schedule",
    "cleanup",
    "defaults",
];

/// Keys of `mcp-init.json` that a later version brings.
pub(super) const LATER: [&str; 0] = [];

/// Values of `logLevel`.
const LOG_LEVEL: Choice<LogLevel> = Choice {
    known: &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
    ],
    later: &[],
};

/// The runner's program.
const RUNNER: &str = "mcp-runner";

/// Time for all services together to end: a container runtime kills after ten seconds.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(9);

/// Restarts a second that leave a small machine time for everything else.
const RESTARTS_PER_SECOND: u32 = 50;

/// What is said of the settings so far.
#[derive(Debug, Default)]
pub(super) struct SettingsSaid {
    /// See [`Settings`].
    runtime_dir: Option<PathBuf>,
    /// See [`Settings`].
    state_dir: Option<PathBuf>,
    /// See [`Settings`].
    log_dir: Option<PathBuf>,
    /// See [`Settings`].
    runner: Option<PathBuf>,
    /// See [`Settings`].
    shutdown_timeout: Option<Duration>,
    /// See [`Settings`].
    restarts_per_second: Option<u32>,
    /// See [`Settings`].
    log_level: Option<LogLevel>,
    /// See [`Settings`].
    control: Option<Control>,
    /// See [`Settings`].
    hooks: Vec<Hook>,
    /// See [`Settings`].
    cleanup: Option<Cleanup>,
    /// What runs when, for the whole.
    pub(super) schedule: Option<Box<[Entry]>>,
}

/// Reads what the environment says of the settings and of all services.
pub(super) fn read_environment(
    settings: &mut SettingsSaid,
    said: &mut Said,
    environment: &Environment,
    problems: &mut Problems,
) {
    let page =
        Page { path: "environment".into(), folder: environment.current_dir.clone(), text: String::new() };
    let mut variable = |name: &'static str, read: &mut dyn FnMut(&Item<'_>, &mut Problems)| {
        let Some(value) = environment.get(name) else { return };
        // Like any value that was filled in, it may stand for a number and is never repeated.
        let text = value.to_string_lossy().into();
        let node = Node { at: 0, kind: Kind::Text { text, substituted: true } };
        let item = Item { page: &page, node: &node, key: name, key_at: 0, field: name.to_owned() };
        read(&item, problems);
    };
    let some = Duration::from_millis(1);
    variable("PROCESS_TIMEOUT", &mut |item, p| set(&mut said.ready_timeout, item.duration(p, some)));
    variable("PROCESS_MAX_RETRIES", &mut |item, p| set(&mut said.max_retries, keys::retries(item, p)));
    variable("PROCESS_RESTART_DELAY", &mut |item, p| {
        set(&mut said.retry_delay, item.duration(p, Duration::ZERO));
    });
    variable("HEALTH_CHECK_INTERVAL", &mut |item, p| set(&mut said.health_interval, item.duration(p, some)));
    variable("MCP_SERVER_TIMEOUT", &mut |item, p| set(&mut said.health_timeout, item.duration(p, some)));
    variable("PROCESS_WORKING_DIR", &mut |item, p| set(&mut said.working_directory, item.path(p)));
    variable("PROCESS_LOG_LEVEL", &mut |item, p| set(&mut settings.log_level, item.choice(p, &LOG_LEVEL)));
    variable("MCP_SERVER_SCRIPT_PATH", &mut |item, p| set(&mut settings.runner, program(item, p)));
}

/// Reads `mcp-init.json`.
pub(super) fn read_document(
    settings: &mut SettingsSaid,
    said: &mut Said,
    mut document: Document,
    environment: &Environment,
    problems: &mut Problems,
) {
    document.settle(environment, problems);
    for item in document.root().members(problems) {
        match item.key {
            "$schema" => drop(item.text(problems)),
            "runtimeDir" => set(&mut settings.runtime_dir, item.path(problems)),
            "stateDir" => set(&mut settings.state_dir, item.path(problems)),
            "logDir" => set(&mut settings.log_dir, item.path(problems)),
            "runner" => set(&mut settings.runner, program(&item, problems)),
            "shutdownTimeout" => {
                set(&mut settings.shutdown_timeout, item.duration(problems, Duration::from_millis(1)));
            }
            "restartsPerSecond" => {
                set(&mut settings.restarts_per_second, item.count(problems, 1..=100_000, ""));
            }
            "logLevel" => set(&mut settings.log_level, item.choice(problems, &LOG_LEVEL)),
            "control" => set(&mut settings.control, control::read(&item, problems)),
            "alertCommands" => settings.hooks.extend(hooks::alerts(&item, problems)),
            "eventCommands" => settings.hooks.extend(hooks::events(&item, problems)),
            "cleanup" => settings.cleanup = Some(cleanup::read(&item, problems)),
            "schedule" => set(&mut settings.schedule, schedule::read(&item, problems)),
            "defaults" => read_defaults(said, &item, problems),
            _ => item.unknown(problems, &KEYS, &LATER),
        }
    }
}

/// `defaults`
fn read_defaults(said: &mut Said, item: &Item<'_>, problems: &mut Problems) {
    let mut seen = Seen::default();
    for item in item.members(problems) {
        if service::KEYS.contains(&item.key) {
            item.wrong_key(problems, "belongs to a service and has no default");
        } else if !keys::read(said, &item, &mut seen, problems) {
            item.unknown(problems, &keys::KEYS, &keys::LATER);
        }
    }
}

/// A program: a path if it has a slash, else a name for `PATH`.
fn program(item: &Item<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let path = item.path(problems)?;
    let text = item.text(problems)?;
    Some(if text.contains('/') { path } else { PathBuf::from(text) })
}

impl SettingsSaid {
    /// See [`Settings`].
    pub(super) fn runtime_dir(&self, environment: &Environment) -> PathBuf {
        let said = environment.path("MCP_INIT_RUNTIME_DIR").or_else(|| self.runtime_dir.clone());
        said.unwrap_or_else(|| environment.folders().runtime)
    }

    /// The settings, with every gap filled in. For the three folders the environment has the last word.
    pub(super) fn complete(self, environment: &Environment) -> Settings {
        let folders = environment.folders();
        let folder = |variable: &str, said: Option<PathBuf>, fallback: PathBuf| {
            environment.path(variable).or(said).unwrap_or(fallback)
        };
        let runtime_dir = self.runtime_dir(environment);
        let runner_config_dir =
            environment.path("PROCESS_CONFIG_DIR").unwrap_or_else(|| runtime_dir.join("configs"));
        Settings {
            runner_config_dir,
            runtime_dir,
            state_dir: folder("MCP_INIT_STATE_DIR", self.state_dir, folders.state),
            log_dir: folder("MCP_INIT_LOG_DIR", self.log_dir, folders.log),
            runner: self.runner.unwrap_or_else(|| default_runner(environment)),
            shutdown_timeout: self.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT),
            restarts_per_second: self.restarts_per_second.unwrap_or(RESTARTS_PER_SECOND),
            log_level: self.log_level.unwrap_or(LogLevel::Info),
            control: self.control.unwrap_or_default(),
            cleanup: self.cleanup.unwrap_or_default(),
            hooks: self.hooks,
        }
    }
}

/// The runner beside this program, or else the one that `PATH` finds.
fn default_runner(environment: &Environment) -> PathBuf {
    let beside = environment.exe.as_ref().map(|exe| exe.with_file_name(RUNNER));
    beside.filter(|runner| runner.is_file()).unwrap_or_else(|| PathBuf::from(RUNNER))
}
