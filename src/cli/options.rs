//! The table's other half: options, and the exit codes, variables and files that all verbs share. Nothing is
//! done here.

use serde::Serialize;

use super::failure::{CONFIGURATION, FAILED, NO_PERMISSION, OK, REFUSED, UNAVAILABLE, USAGE};

/// An option, for the verbs to ask after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    /// Where the configuration is.
    Config,
    /// For programs to read.
    Json,
    /// Explain.
    Help,
    /// Say the version.
    Version,
    /// Every service.
    All,
    /// Do not wait.
    NoWait,
    /// Longest wait.
    Timeout,
    /// Go on as more comes.
    Follow,
    /// How many lines.
    Lines,
    /// From when on.
    Since,
    /// Whether the supervisor lives.
    Live,
    /// Whether the services are ready.
    Ready,
    /// As a man page.
    Man,
    /// Show the services once they have settled.
    Table,
    /// Wait until they have settled.
    Settled,
    /// Put it in the place of what is there.
    Replace,
    /// An `OpenAPI` document.
    OpenApi,
    /// A port.
    Port,
    /// A transport.
    Transport,
    /// An address.
    Host,
    /// Where an API is.
    BaseUrl,
    /// The command speaks MCP.
    Bridge,
    /// Only say what would be done.
    DryRun,
    /// Only look.
    Check,
    /// A cron expression.
    Cron,
    /// From when on times are counted.
    From,
    /// To the whole process group.
    Group,
    /// Which init.
    Init,
    /// What it is called.
    Name,
    /// A person's own.
    User,
    /// Of an image.
    Root,
    /// Where the program is.
    Program,
    /// In spite of it all.
    Force,
    /// Show it, and do nothing.
    Print,
    /// With all that was kept.
    Purge,
    /// Into this file.
    Output,
    /// In which language.
    Format,
}

/// An option.
#[derive(Debug, Serialize)]
pub(super) struct Opt {
    /// For the verbs.
    #[serde(skip)]
    pub(super) flag: Flag,
    /// One letter.
    pub(super) short: Option<char>,
    /// Its name, without dashes.
    pub(super) long: &'static str,
    /// What follows it.
    pub(super) value: Option<&'static str>,
    /// One line.
    pub(super) text: &'static str,
    /// Between our own processes only.
    #[serde(skip)]
    pub(super) hidden: bool,
}

/// An option without a value.
pub(super) const fn switch(flag: Flag, short: Option<char>, long: &'static str, text: &'static str) -> Opt {
    Opt { flag, short, long, value: None, text, hidden: false }
}

/// An option with one.
pub(super) const fn valued(
    flag: Flag,
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    text: &'static str,
) -> Opt {
    Opt { flag, short, long, value: Some(value), text, hidden: false }
}

/// The other way to be called: no verb, but one program.
pub(super) const ENTRYPOINT: &str = "mcp-init [-s -p SIGNAL -v -w -g -e CODE] -- COMMAND [ARGUMENT...]";

/// What every verb knows.
pub(super) const GLOBAL: &[Opt] = &[
    valued(Flag::Config, Some('c'), "config", "DIR", "folder of the configuration"),
    switch(Flag::Json, None, "json", "print JSON, for programs"),
    switch(Flag::Help, Some('h'), "help", "explain the verb"),
    switch(Flag::Version, Some('V'), "version", "print the version"),
];

/// What every verb may end with.
pub(super) const EXITS: &[(u8, &str)] = &[
    (OK, "done"),
    (FAILED, "not done; one line on standard error says why"),
    (USAGE, "the command line makes no sense"),
    (UNAVAILABLE, "there is no supervisor, or it does not answer"),
    (REFUSED, "this user may not: see control in mcp-init.json"),
    (NO_PERMISSION, "a file may not be read"),
    (CONFIGURATION, "the configuration has a problem"),
];

/// What the environment says to every verb.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("MCP_INIT_CONFIG", "folder of the configuration, unless -c names one"),
    ("MCP_INIT_RUNTIME_DIR", "folder of the control socket; before runtimeDir"),
    ("MCP_INIT_STATE_DIR", "folder of state and events; before stateDir"),
    ("MCP_INIT_LOG_DIR", "folder of the services' output; before logDir"),
    ("PROCESS_TIMEOUT", "default of processTimeout, in milliseconds"),
    ("PROCESS_MAX_RETRIES", "default of restartPolicy.maxRetries"),
    ("PROCESS_RESTART_DELAY", "default of restartPolicy.retryDelay, in milliseconds"),
    ("PROCESS_WORKING_DIR", "default of workingDirectory"),
    ("PROCESS_CONFIG_DIR", "where the runners' config files are written"),
    ("PROCESS_LOG_LEVEL", "error, warn, info or debug"),
    ("HEALTH_CHECK_INTERVAL", "default of healthCheck.interval, in milliseconds"),
    ("MCP_SERVER_TIMEOUT", "default of healthCheck.timeout, in milliseconds"),
    ("MCP_SERVER_SCRIPT_PATH", "the program that runs an MCP server"),
    ("XDG_CONFIG_HOME", "where a user's configuration is; ~/.config"),
    ("XDG_RUNTIME_DIR", "where a user's control socket is; ~/.local/run"),
    ("XDG_STATE_HOME", "where a user's state and logs are; ~/.local/state"),
    ("NO_COLOR, CLICOLOR_FORCE", "no colours; colours even where nobody looks"),
];

/// Files, as root has them.
pub(super) const FILES: &[(&str, &str)] = &[
    ("/etc/mcp-init/mcp-init.json", "the supervisor, and defaults for all services; may be absent"),
    ("/etc/mcp-init/services.d/*.json", "one service each"),
    ("/run/mcp-init/control.sock", "where the verbs reach the supervisor"),
    ("/run/mcp-init/pids/SERVICE.pid", "its pid, while it runs"),
    ("/run/mcp-init/configs/SERVICE.json", "what its runner reads, while it runs; secret"),
    ("/var/lib/mcp-init/services/SERVICE/process.json", "what is known of it"),
    ("/var/lib/mcp-init/services/SERVICE/health.jsonl", "its health checks"),
    ("/var/lib/mcp-init/services/SERVICE/schedule.json", "its last scheduled runs"),
    ("/var/lib/mcp-init/services/SERVICE/update.json", "its version, and those that are not tried again"),
    ("/var/lib/mcp-init/updates.jsonl", "every step of every update"),
    ("/var/lib/mcp-init/backups/", "files of services that were removed, or from before an update"),
    ("/var/lib/mcp-init/events.jsonl", "what happened"),
    ("/var/lib/mcp-init/alerts.jsonl", "what somebody should know of"),
    ("/var/log/mcp-init/SERVICE/current", "its output; older parts lie beside it"),
    ("/var/log/mcp-init/mcp-init.log", "what the supervisor says of itself"),
];

/// Waiting, for the verbs that wait.
pub(super) const WAITING: [Opt; 3] = [
    switch(Flag::All, None, "all", "every service"),
    switch(Flag::NoWait, None, "no-wait", "do not wait until it is done"),
    valued(Flag::Timeout, None, "timeout", "TIME", "wait no longer than this (30s, 2m)"),
];
