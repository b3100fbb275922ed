//! The table: every verb with its arguments, options, exit codes and examples. The reader of the command
//! line, the help, the man page and the README's reference are made from it; nothing is done here.

use serde::Serialize;

use super::failure::{CPU, FAILED, MEMORY, NOT_RUNNING, OK, SECOND, SYSTEM, UNKNOWN};
use super::options::{Flag, Opt, WAITING, switch, valued};
use super::verbs_of_care::{ALERTS, RECOVER, RESET};
use super::verbs_of_change::{ADD, CREATE, DISABLE, ENABLE, IMPORT, RELOAD, REMOVE, SIGNAL};
use super::verbs_of_helpers::{CYCLE, KIN, PLAN, PROBE, SCRIBE};
use super::verbs_of_host::{DEPLOY, INSTALL, UNINSTALL};
use super::verbs_of_time::{CLEANUP, SCHEDULE, UPDATE};
use super::verbs_of_use::{ATTACH, METRICS};

/// What a verb leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Supervises.
    Run,
    /// Is the scribe.
    Scribe,
    /// Reads the marks of orphans for the supervisor.
    Kin,
    /// Reads the configuration for the supervisor.
    Plan,
    /// Asks a service how it is, for the supervisor.
    Probe,
    /// Shows services.
    Status,
    /// Starts services.
    Start,
    /// Stops services.
    Stop,
    /// Stops and starts services.
    Restart,
    /// Tries to recover services.
    Recover,
    /// Forgets attempts to recover services.
    Reset,
    /// Adds a service.
    Add,
    /// Makes a service.
    Create,
    /// Takes services out.
    Remove,
    /// Has services run.
    Enable,
    /// Has services not run.
    Disable,
    /// Sends a signal.
    Signal,
    /// Reads the configuration again.
    Reload,
    /// Is a client of a server.
    Attach,
    /// Ends the supervisor.
    Shutdown,
    /// Shows output.
    Logs,
    /// Shows events.
    Events,
    /// Shows alerts.
    Alerts,
    /// Reads the configuration to find its problems.
    Check,
    /// Answers a probe.
    Health,
    /// Removes what is old.
    Cleanup,
    /// Updates a service, for the supervisor.
    Cycle,
    /// Updates services.
    Update,
    /// Shows what runs by the clock.
    Schedule,
    /// Prints figures.
    Metrics,
    /// Makes services of a client's servers.
    Import,
    /// Makes it a service of the host.
    Install,
    /// Takes it from the host.
    Uninstall,
    /// Installs, starts and verifies.
    Deploy,
    /// Says the version.
    Version,
    /// Explains.
    Help,
}

/// A verb.
#[derive(Debug, Serialize)]
pub(super) struct Verb {
    /// For the dispatcher.
    #[serde(skip)]
    pub(super) does: Does,
    /// What is typed.
    pub(super) name: &'static str,
    /// What may follow; empty for nothing.
    pub(super) arguments: &'static str,
    /// One line.
    pub(super) summary: &'static str,
    /// Paragraphs.
    pub(super) text: &'static [&'static str],
    /// Its own options.
    pub(super) options: &'static [Opt],
    /// Its own exit codes.
    pub(super) exits: &'static [(u8, &'static str)],
    /// What to type, and what that does.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Between our own processes only.
    #[serde(skip)]
    pub(super) hidden: bool,
}

impl Verb {
    /// Whether anything but options may follow.
    pub(super) fn takes_operands(&self) -> bool {
        !self.arguments.is_empty()
    }
}

/// `run`.
pub(super) static RUN: Verb = Verb {
    does: Does::Run,
    name: "run",
    arguments: "",
    summary: "supervise in the foreground",
    text: &[
        "Reads the configuration, starts every enabled service and keeps it running. Standard error says what \
         happens. As PID 1 this is also what happens without a verb; a kernel's own arguments are ignored.",
        "SIGTERM, SIGINT or SIGQUIT stops all services and ends the supervisor; a second one kills at once what \
         is left, a third does not wait for that. SIGHUP reads the configuration again; when standard input is \
         a terminal, it ends the supervisor instead. SIGUSR1 makes the control socket anew.",
    ],
    options: &[switch(
        Flag::Table,
        None,
        "table",
        "print the services once they have settled, or after 5s (on a terminal: always)",
    )],
    exits: &[
        (OK, "all services have ended, as was asked"),
        (SECOND, "another supervisor has this runtime or state folder"),
        (SYSTEM, "the system does not let it supervise"),
    ],
    examples: &[("mcp-init -c etc run", "supervise what etc/services.d says")],
    hidden: false,
};

/// `start`.
static START: Verb = Verb {
    does: Does::Start,
    name: "start",
    arguments: "SERVICE...",
    summary: "start services and wait until they are ready",
    text: &["Starts what does not run yet; what runs already is left alone."],
    options: &WAITING,
    exits: &[(UNKNOWN, "no such service, or this user may not")],
    examples: &[
        ("mcp-init start pets", "start one and wait until it is ready"),
        ("mcp-init start --all --no-wait", "ask for all and return at once"),
    ],
    hidden: false,
};

/// `stop`.
static STOP: Verb = Verb {
    does: Does::Stop,
    name: "stop",
    arguments: "SERVICE...",
    summary: "stop services and wait until nothing of them is left",
    text: &[
        "A service is stopped when its whole process group is gone. What does not end within its stop timeout \
         is killed. A stopped service stays stopped until it is started again.",
    ],
    options: &WAITING,
    exits: &[(UNKNOWN, "no such service, or this user may not")],
    examples: &[("mcp-init stop pets --timeout 5s", "wait five seconds at most")],
    hidden: false,
};

/// `restart`.
static RESTART: Verb = Verb {
    does: Does::Restart,
    name: "restart",
    arguments: "SERVICE...",
    summary: "stop services, start them and wait until they are ready",
    text: &["One operation of the supervisor: a service may restart itself with it."],
    options: &WAITING,
    exits: &[(UNKNOWN, "no such service, or this user may not")],
    examples: &[("mcp-init restart pets", "restart one and wait until it is ready")],
    hidden: false,
};

/// `status`.
static STATUS: Verb = Verb {
    does: Does::Status,
    name: "status",
    arguments: "[SERVICE...]",
    summary: "show services and how they are",
    text: &[
        "One line a service: state, pid, time since its start, restarts, health, CPU (percent of one core), \
         memory and the URL that a client connects to. What is not running says below why.",
        "States: starting, running, stopping, stopped, listening (it starts when somebody connects), backoff (it \
         failed and is started again soon), error (it failed and is not). Health: healthy, unhealthy, unknown (not checked yet), none (never \
         checked).",
        "With --json: {\"supervisor\": {...}, \"services\": [{...}]}.",
    ],
    options: &[Opt {
        flag: Flag::Settled,
        short: None,
        long: "settled",
        value: None,
        text: "wait until no service is on its way",
        hidden: true,
    }],
    exits: &[
        (NOT_RUNNING, "one service was named: it is not running"),
        (UNKNOWN, "no such service, or this user may not"),
    ],
    examples: &[
        ("mcp-init status", "all services"),
        ("mcp-init status pets --json", "all that is known of one"),
    ],
    hidden: false,
};

/// `logs`.
static LOGS: Verb = Verb {
    does: Does::Logs,
    name: "logs",
    arguments: "SERVICE",
    summary: "show a service's output",
    text: &[
        "Reads the files themselves, older parts first; no supervisor is needed. With -f it goes on as more \
         comes, across rotation, until it is interrupted.",
    ],
    options: &[
        switch(Flag::Follow, Some('f'), "follow", "go on as more comes"),
        valued(Flag::Lines, Some('n'), "lines", "N", "the last N lines (100, or all with --since)"),
        valued(Flag::Since, None, "since", "TIME", "from then on: 2026-05-01T12:00:00Z, or 10m ago"),
    ],
    exits: &[(UNKNOWN, "no such service, or this user may not")],
    examples: &[
        ("mcp-init logs pets -f", "the last lines, and what comes"),
        ("mcp-init logs pets --since 10m", "the last ten minutes"),
    ],
    hidden: false,
};

/// `events`.
static EVENTS: Verb = Verb {
    does: Does::Events,
    name: "events",
    arguments: "",
    summary: "show what happened",
    text: &[
        "One line an event: time, event, service, facts. With --json the lines of events.jsonl as they are.",
    ],
    options: &[
        switch(Flag::Follow, Some('f'), "follow", "go on as more comes"),
        valued(Flag::Lines, Some('n'), "lines", "N", "the last N events (100)"),
    ],
    exits: &[],
    examples: &[("mcp-init events -f --json", "every event from now on, for a program")],
    hidden: false,
};

/// `check`.
static CHECK: Verb = Verb {
    does: Does::Check,
    name: "check",
    arguments: "[FILE...]",
    summary: "find the problems of the configuration without running it",
    text: &["Without files, the whole configuration. Each problem is one line on standard error, \
         FILE:LINE:COLUMN: FIELD: PROBLEM, with the nearest valid name where one is near."],
    options: &[],
    exits: &[],
    examples: &[
        ("mcp-init check", "the configuration that run would read"),
        ("mcp-init check services.d/pets.json", "one file, before it is put in place"),
    ],
    hidden: false,
};

/// `health`.
static HEALTH: Verb = Verb {
    does: Does::Health,
    name: "health",
    arguments: "[SERVICE]",
    summary: "answer a container's or Kubernetes' probe",
    text: &[
        "Ready is: every enabled service, or the one that is named, is running and not unhealthy. Live is: the \
         supervisor answers.",
    ],
    options: &[
        switch(Flag::Live, None, "live", "whether the supervisor answers"),
        switch(Flag::Ready, None, "ready", "whether the services are ready (the default)"),
        valued(Flag::Timeout, None, "timeout", "TIME", "time for the answer (5s)"),
    ],
    exits: &[
        (FAILED, "a service is not running"),
        (MEMORY, "all are ready, and one has more memory than alerts.memory (not with --ready)"),
        (CPU, "all are ready, and one uses more processor time than alerts.cpu (not with --ready)"),
        (UNKNOWN, "no answer: of the supervisor, or of a service to its health checks; or no such service"),
    ],
    examples: &[
        ("mcp-init health --live", "livenessProbe"),
        ("mcp-init health --ready", "readinessProbe, HEALTHCHECK"),
    ],
    hidden: false,
};

/// `shutdown`.
static SHUTDOWN: Verb = Verb {
    does: Does::Shutdown,
    name: "shutdown",
    arguments: "",
    summary: "stop all services and end the supervisor",
    text: &["Returns once the supervisor is gone. As PID 1 of a container, this ends the container."],
    options: &[
        switch(Flag::NoWait, None, "no-wait", "do not wait until it is done"),
        valued(Flag::Timeout, None, "timeout", "TIME", "wait no longer than this (30s, 2m)"),
    ],
    exits: &[],
    examples: &[("mcp-init shutdown", "stop everything")],
    hidden: false,
};

/// `version`.
pub(super) static VERSION: Verb = Verb {
    does: Does::Version,
    name: "version",
    arguments: "",
    summary: "print the version",
    text: &[],
    options: &[],
    exits: &[],
    examples: &[],
    hidden: false,
};

/// `help`.
pub(super) static HELP: Verb = Verb {
    does: Does::Help,
    name: "help",
    arguments: "[VERB]",
    summary: "explain a verb, or list them",
    text: &[],
    options: &[switch(Flag::Man, None, "man", "print the man page (troff)")],
    exits: &[],
    examples: &[("mcp-init help --man | man -l -", "read the man page")],
    hidden: false,
};

/// All of them, in the order people read them.
static VERBS: [&Verb; 36] = [
    &RUN, &STATUS, &START, &STOP, &RESTART, &SIGNAL, &ATTACH, &LOGS, &EVENTS, &ALERTS, &RECOVER, &RESET,
    &ADD, &CREATE, &IMPORT, &REMOVE, &ENABLE, &DISABLE, &CHECK, &RELOAD, &HEALTH, &SCHEDULE, &UPDATE,
    &CLEANUP, &METRICS, &SHUTDOWN, &INSTALL, &UNINSTALL, &DEPLOY, &VERSION, &HELP, &SCRIBE, &PLAN, &KIN,
    &PROBE, &CYCLE,
];

/// The verb of this name.
pub(super) fn find(name: &str) -> Option<&'static Verb> {
    VERBS.into_iter().find(|verb| verb.name == name)
}

/// The verbs that people use.
pub(super) fn shown() -> impl Iterator<Item = &'static Verb> {
    VERBS.into_iter().filter(|verb| !verb.hidden)
}
