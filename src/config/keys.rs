//! The keys that a service and the defaults of all services have in common, and their aliases.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alerts;
use super::env_file;
use super::error::Problems;
use super::health;
use super::item::{Choice, Item};
use super::plan::{LogMode, Restart};
use super::readiness;
use super::said::{Retries, Said, set};
use super::sandbox;
use super::schedule;
use super::service;
use super::units::{self, SIGNAL_MAX};
use super::{identity, limits};

/// These keys.
pub(super) const KEYS: [&str; 39] = [
    "description",
    "enabled",
    "start",
    "onExit",
    "successExitCodes",
    "env",
    "envFile",
    "workingDirectory",
    "cwd",
    "processTimeout",
    "timeout",
    "readiness",
    "idleTimeout",
    "watchdog",
    "channel",
    "restart",
    "restartPolicy",
    "maxRetries",
    "maxRestartAttempts",
    "restartDelay",
    "stop",
    "healthCheck",
    "healthCheckEnabled",
    "healthCheckInterval",
    "healthCheckTimeout",
    "log",
    "sandbox",
    "umask",
    "user",
    "group",
    "groups",
    "chroot",
    "limits",
    "memoryLimit",
    "cpuLimit",
    "pidsLimit",
    "alerts",
    "recovery",
    "schedule",
];

/// Keys of a service that a later version brings.
pub(super) const LATER: [&str; 1] = ["inheritEnv"];

/// Keys of `restartPolicy`.
pub(super) const RESTART_POLICY: [&str; 7] = [
    "maxRetries",
    "retryDelay",
    "backoffMultiplier",
    "maxRetryDelay",
    "jitter",
    "resetAfter",
    "permanentExitCodes",
];

/// Keys of `stop`.
pub(super) const STOP: [&str; 3] = ["command", "signal", "timeout"];

/// Keys of `log`.
pub(super) const LOG: [&str; 5] = ["mode", "maxSize", "maxFiles", "maxTotal", "timestamps"];

/// Values of `restart`.
const RESTART: Choice<Restart> = Choice {
    known: &[("always", Restart::Always), ("on-failure", Restart::OnFailure), ("never", Restart::Never)],
    later: &[],
};

/// Values of `log.mode`.
const LOG_MODE: Choice<LogMode> = Choice {
    known: &[("file", LogMode::File), ("inherit", LogMode::Inherit), ("null", LogMode::Null)],
    later: &[],
};

/// The word for restarts without end.
pub(super) const UNLIMITED: &str = "unlimited";

/// Most restarts in a row.
pub(super) const RETRIES_MAX: u32 = 1_000_000;

/// Longest `description`, in characters.
const DESCRIPTION_CHARS_MAX: usize = 4096;

/// No duration is shorter than this where nothing would be nonsense.
pub(super) const SOME: Duration = Duration::from_millis(1);

/// What was said already, by the key that was used: a key and its alias must not both be there.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<&'static str, String>);

impl Seen {
    /// Whether nothing has said `meaning` before; it is told if something has.
    pub(super) fn first(&mut self, meaning: &'static str, item: &Item<'_>, problems: &mut Problems) -> bool {
        let before = self.0.insert(meaning, item.field.clone());
        // The same key twice is told when the file is read.
        if let Some(other) = before.as_ref().filter(|other| **other != item.field) {
            item.wrong_key(problems, &format!("says the same as {other}: one of them is enough"));
        }
        before.is_none()
    }
}

/// Reads one of [`KEYS`] into `said`; `false` if the key is none of them.
pub(super) fn read(said: &mut Said, item: &Item<'_>, seen: &mut Seen, problems: &mut Problems) -> bool {
    match item.key {
        "description" => drop(item.longest(problems, DESCRIPTION_CHARS_MAX)),
        "enabled" => set(&mut said.enabled, item.boolean(problems)),
        "start" => said.course.read_start(item, problems),
        "onExit" => said.course.read_on_exit(item, problems),
        "successExitCodes" => said.course.read_success(item, problems),
        "env" => environment(said, item, problems),
        "envFile" => env_file::read(&mut said.file_env, item, problems),
        "workingDirectory" | "cwd" => {
            if seen.first("workingDirectory", item, problems) {
                set(&mut said.working_directory, item.path(problems));
            }
        }
        "processTimeout" | "timeout" => {
            if seen.first("processTimeout", item, problems) {
                set(&mut said.ready_timeout, item.duration(problems, SOME));
            }
        }
        "readiness" if health::is_asked(item) => {
            said.ready_probe = health::readiness(item, problems);
            said.readiness = Some(super::plan::Readiness::Asked);
        }
        "readiness" => set(&mut said.readiness, readiness::read(item, problems)),
        "idleTimeout" => set(&mut said.idle_timeout, item.duration(problems, Duration::ZERO)),
        "watchdog" => set(&mut said.watchdog, item.duration(problems, SOME)),
        "channel" => set(&mut said.channel, item.boolean(problems)),
        "restart" => set(&mut said.restart, item.choice(problems, &RESTART)),
        "restartPolicy" => restart_policy(said, item, seen, problems),
        "maxRetries" | "maxRestartAttempts" => max_retries(said, item, seen, problems),
        "restartDelay" => retry_delay(said, item, seen, problems),
        "stop" => stop(said, item, problems),
        "healthCheck" => health::read(said, item, seen, problems),
        "healthCheckEnabled" => {
            if seen.first("healthCheck.type", item, problems) {
                set(&mut said.health_checked, item.boolean(problems));
            }
        }
        "healthCheckInterval" => health::interval(said, item, seen, problems),
        "healthCheckTimeout" => health::timeout(said, item, seen, problems),
        "log" => log(said, item, problems),
        "sandbox" => sandbox::read(&mut said.sandbox, item, problems),
        "umask" => set(&mut said.umask, umask(item, problems)),
        "user" => set(&mut said.identity.user, identity::user(item, problems)),
        "group" => set(&mut said.identity.group, identity::group(item, problems)),
        "groups" => set(&mut said.identity.groups, identity::groups(item, problems)),
        "chroot" => set(&mut said.chroot, item.path(problems)),
        "limits" => limits::read(&mut said.limits, item, problems),
        "memoryLimit" => set(&mut said.limits.memory, item.size(problems)),
        "cpuLimit" => set(&mut said.limits.cpu, limits::cpu(item, problems)),
        "pidsLimit" => set(&mut said.limits.pids, limits::pids(item, problems)),
        "alerts" => alerts::read(&mut said.alerts, item, problems),
        "recovery" => alerts::recovery(&mut said.recovery, item, problems),
        "schedule" => set(&mut said.schedule, schedule::read(item, problems)),
        _ => return false,
    }
    true
}

/// `umask`: octal digits, because no number of JSON is one
fn umask(item: &Item<'_>, problems: &mut Problems) -> Option<u32> {
    let good = |text: &str| {
        let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
        digits.len() == 3 && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
    };
    let text = item.matching(problems, "a mask in octal digits, like \"027\"", good)?;
    u32::from_str_radix(text, 8).ok()
}

/// Whether a name is one of an environment variable.
pub(super) fn is_variable(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// `env`
fn environment(said: &mut Said, item: &Item<'_>, problems: &mut Problems) {
    for variable in item.members(problems) {
        if !is_variable(variable.key) {
            variable.wrong_key(problems, "is not the name of a variable");
        } else if let Some(value) = variable.argument(problems) {
            said.env.insert(variable.key.into(), value.into());
        }
    }
}

/// `restartPolicy`
fn restart_policy(said: &mut Said, item: &Item<'_>, seen: &mut Seen, problems: &mut Problems) {
    for item in item.members(problems) {
        match item.key {
            "maxRetries" => max_retries(said, &item, seen, problems),
            "retryDelay" => retry_delay(said, &item, seen, problems),
            "backoffMultiplier" => set(&mut said.backoff_multiplier, item.number(problems, 1.0..=100.0)),
            "maxRetryDelay" => set(&mut said.max_retry_delay, item.duration(problems, Duration::ZERO)),
            "jitter" => set(&mut said.jitter, item.number(problems, 0.0..=1.0)),
            "resetAfter" => set(&mut said.reset_after, item.duration(problems, Duration::ZERO)),
            "permanentExitCodes" => said.course.read_permanent(&item, problems),
            _ => item.unknown(problems, &RESTART_POLICY, &[]),
        }
    }
}

/// `restartPolicy.maxRetries` and its aliases
fn max_retries(said: &mut Said, item: &Item<'_>, seen: &mut Seen, problems: &mut Problems) {
    if seen.first("restartPolicy.maxRetries", item, problems) {
        set(&mut said.max_retries, retries(item, problems));
    }
}

/// A number of restarts.
pub(super) fn retries(item: &Item<'_>, problems: &mut Problems) -> Option<Retries> {
    if item.node.text() == Some(UNLIMITED) {
        return Some(Retries::Unlimited);
    }
    item.count(problems, 0..=RETRIES_MAX, " or \"unlimited\"").map(Retries::AtMost)
}

/// `restartPolicy.retryDelay` and its alias
fn retry_delay(said: &mut Said, item: &Item<'_>, seen: &mut Seen, problems: &mut Problems) {
    if seen.first("restartPolicy.retryDelay", item, problems) {
        set(&mut said.retry_delay, item.duration(problems, Duration::ZERO));
    }
}

/// `stop`
fn stop(said: &mut Said, item: &Item<'_>, problems: &mut Problems) {
    for item in item.members(problems) {
        match item.key {
            "command" => set(&mut said.course.stop_command, service::command(&item, None, problems)),
            "signal" => set(&mut said.stop_signal, signal(&item, problems)),
            "timeout" => set(&mut said.stop_timeout, item.duration(problems, Duration::ZERO)),
            _ => item.unknown(problems, &STOP, &[]),
        }
    }
}

/// `stop.signal`: a name or a number
fn signal(item: &Item<'_>, problems: &mut Problems) -> Option<i32> {
    if let Some(number) = item.node.text().and_then(units::signal) {
        return Some(number);
    }
    let names = units::SIGNALS.map(|(name, _)| name).join(", ");
    let wanted = format!("a signal: one of {names}, or a number up to {SIGNAL_MAX}");
    item.whole(problems, 1..=SIGNAL_MAX, &wanted).and_then(|number| i32::try_from(number).ok())
}

/// `log`
fn log(said: &mut Said, item: &Item<'_>, problems: &mut Problems) {
    for item in item.members(problems) {
        match item.key {
            "mode" => set(&mut said.log_mode, item.choice(problems, &LOG_MODE)),
            "maxSize" => set(&mut said.log_max_size, item.size(problems)),
            "maxFiles" => set(&mut said.log_max_files, item.count(problems, 0..=1000, "")),
            "maxTotal" => set(&mut said.log_max_total, item.size(problems)),
            "timestamps" => set(&mut said.log_timestamps, item.boolean(problems)),
            _ => item.unknown(problems, &LOG, &["format"]),
        }
    }
}
