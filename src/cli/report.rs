//! What the supervisor reports, as far as people are shown it; and the two ways to ask for it: read, or
//! passed through as it is. Nothing is rendered here.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::{FAILED, Failure, REFUSED, UNKNOWN};
use super::output::Output;
use crate::control::access::EXIT_REFUSED;
use crate::control::client::{Client, ClientError};
use crate::control::wire::{Answer, SupervisorReport};

/// A service. These are the fields of `wire::ServiceReport` that are shown; a test holds the two together.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    /// See `wire::ServiceReport`.
    pub(super) server_id: Box<str>,
    /// Likewise.
    pub(super) pid: Option<i32>,
    /// Likewise.
    pub(super) start_ticks: Option<u64>,
    /// Likewise.
    pub(super) status: Box<str>,
    /// Likewise.
    pub(super) restart_count: u64,
    /// Likewise.
    pub(super) last_error: Option<Box<str>>,
    /// Share of the last ten seconds, in percent, in which some of it waited for memory.
    pub(super) memory_pressure: Option<f64>,
    /// Likewise.
    pub(super) memory_usage: Option<u64>,
    /// Likewise.
    pub(super) cpu_usage: Option<f64>,
    /// Likewise.
    pub(super) health_status: Box<str>,
    /// See `wire::Past`.
    #[serde(default)]
    pub(super) waits_for: Option<Box<str>>,
    /// Likewise.
    #[serde(default)]
    pub(super) completed: bool,
    /// See `wire::Live`: whether it should run.
    #[serde(default)]
    pub(super) enabled: bool,
    /// Likewise: which thresholds of its alerts it is over.
    #[serde(default)]
    pub(super) over_threshold: Vec<Box<str>>,
    /// Likewise.
    pub(super) endpoint: Option<Box<str>>,
    /// Likewise.
    pub(super) uptime: Option<u64>,
    /// Likewise.
    pub(super) retry_in: Option<u64>,
    /// Likewise.
    pub(super) request_count: Option<u64>,
    /// Likewise.
    pub(super) error_count: Option<u64>,
    /// Likewise.
    pub(super) average_response_time: Option<f64>,
    /// See `wire::Live`.
    #[serde(default)]
    pub(super) recovery_attempts: u64,
    /// Likewise.
    #[serde(default)]
    pub(super) needs_intervention: bool,
    /// Bytes of its logs; only whoever wants to know looks.
    #[serde(skip)]
    pub(super) log_bytes: Option<u64>,
    /// Likewise.
    #[serde(default)]
    pub(super) dropped_lines: u64,
    /// Likewise.
    #[serde(default)]
    pub(super) ignored_messages: u64,
}

impl Service {
    /// Whether it does what it is there for: it runs, or starts for whoever connects.
    pub(super) fn is_running(&self) -> bool {
        is_up(&self.status)
    }

    /// Whether it was checked and is not well.
    pub(super) fn is_unhealthy(&self) -> bool {
        &*self.health_status == "unhealthy"
    }
}

/// Whether a state is one of a service that does what it is there for.
pub(super) fn is_up(state: &str) -> bool {
    matches!(state, "running" | "listening")
}

/// A line of an answer; see `wire::Answer`.
#[derive(Debug, Deserialize)]
struct Line {
    /// The request's.
    id: u64,
    /// The supervisor.
    supervisor: Option<SupervisorReport>,
    /// A service.
    service: Option<Service>,
    /// It is done.
    done: Option<Box<str>>,
    /// It is not.
    error: Option<Box<str>>,
    /// The exit code that says the same.
    exit: Option<u8>,
}

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The supervisor.
    pub(super) supervisor: Option<SupervisorReport>,
    /// Services, in the order of their ids.
    pub(super) services: Vec<Service>,
    /// How it ended.
    pub(super) end: End,
}

/// The last line of an answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody waited for it.
    #[default]
    Unheard,
    /// What was asked for is so; perhaps a line about it.
    Done(Box<str>),
    /// It is not: a line, and an exit code.
    Error(Box<str>, u8),
}

impl End {
    /// The last line's parts.
    fn of(done: Option<Box<str>>, error: Option<Box<str>>, exit: Option<u8>) -> Option<Self> {
        match (error, done) {
            (Some(error), _) => Some(Self::Error(error, exit.unwrap_or(FAILED))),
            (None, Some(done)) => Some(Self::Done(done)),
            (None, None) => None,
        }
    }

    /// Done, or the failure it is.
    pub(super) fn done(&self) -> Result<&str, Failure> {
        match self {
            Self::Unheard => Ok(""),
            Self::Done(text) => Ok(text),
            // Between us it has a number of its own, which cannot mean that there is no such service.
            Self::Error(text, EXIT_REFUSED) => Err(Failure::new(REFUSED, &**text)),
            Self::Error(text, exit) => Err(Failure::new(*exit, &**text)),
        }
    }

    /// Whether the error is that there is no such service.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Error(_, UNKNOWN))
    }
}

/// Whether an answer is for a request: it has its id, or none at all because whoever asks was turned away.
const fn is_for(answer: u64, request: u64) -> bool {
    answer == request || answer == 0
}

/// Hears the answer to request `id`, to its end.
pub(super) fn hear(client: &mut Client, id: u64) -> Result<Report, ClientError> {
    let mut report = Report::default();
    loop {
        let line: Line = parse(client.line()?)?;
        if !is_for(line.id, id) {
            continue;
        }
        report.services.extend(line.service);
        report.supervisor = line.supervisor.or(report.supervisor);
        if let Some(end) = End::of(line.done, line.error, line.exit) {
            report.end = end;
            return Ok(report);
        }
    }
}

/// Hears the supervisor's own report, which comes first, and nothing after it.
pub(super) fn hear_supervisor(client: &mut Client, id: u64) -> Result<Report, ClientError> {
    loop {
        let line: Line = parse(client.line()?)?;
        if is_for(line.id, id) {
            let end = End::of(line.done, line.error, line.exit).unwrap_or_default();
            return Ok(Report { supervisor: line.supervisor, services: Vec::new(), end });
        }
    }
}

/// Prints the answer to request `id` as `{"supervisor":{…},"services":[…]}`, each report as it came.
pub(super) fn pass(client: &mut Client, id: u64, out: &mut Output) -> Result<Passed, Failure> {
    let mut services = 0_usize;
    let mut first_status = None;
    out.text("{");
    loop {
        let line: Answer<'_> = parse(client.line()?)?;
        if !is_for(line.id, id) {
            continue;
        }
        if let Some(report) = line.supervisor {
            out.text("\"supervisor\":");
            out.text(report.get());
            out.text(",");
        }
        if let Some(report) = line.service {
            out.text(if services == 0 { "\"services\":[\n" } else { ",\n" });
            out.text(report.get());
            services = services.saturating_add(1);
            if first_status.is_none() {
                first_status = Some(status_of(report)?);
            }
            out.flush_much()?;
        }
        if let Some(end) = End::of(line.done, line.error, line.exit) {
            out.text(if services == 0 { "\"services\":[]}\n" } else { "\n]}\n" });
            return Ok(Passed { end, first_status });
        }
    }
}

/// What `pass` noticed as it went by.
#[derive(Debug)]
pub(super) struct Passed {
    /// How the answer ended.
    pub(super) end: End,
    /// State of the first service.
    pub(super) first_status: Option<Box<str>>,
}

/// The state in a report.
fn status_of(report: &RawValue) -> Result<Box<str>, ClientError> {
    /// The one field.
    #[derive(Deserialize)]
    struct Status {
        /// See `wire::ServiceReport`.
        status: Box<str>,
    }
    parse::<Status>(report.get().as_bytes()).map(|report| report.status)
}

/// Reads JSON.
fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, ClientError> {
    serde_json::from_slice(line).map_err(|error| ClientError::Garbage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::control::brief::Brief;
    use crate::control::wire::{Live, Past, ServiceReport};

    /// A report of a service that is not well.
    fn sample(config: &RawValue, live: Live) -> ServiceReport<'_> {
        ServiceReport {
            id: "u".into(),
            server_id: "pets \"1\"".into(),
            pid: Some(3),
            start_time: None,
            start_ticks: Some(4),
            status: "running".into(),
            restart_count: 2,
            last_error: Some("a\nb".into()),
            memory_usage: Some(1),
            cpu_usage: Some(0.25),
            config_file_path: None,
            working_directory: "/".into(),
            process_config: config,
            last_health_check: None,
            health_status: "unhealthy".into(),
            created_at: "t".into(),
            updated_at: "t".into(),
            past: Past { waits_for: Some("db".into()), completed: true, ..Past::default() },
            live: Some(live),
        }
    }

    #[test]
    fn what_is_shown_is_what_is_reported() {
        let config = RawValue::from_string("{\"command\":\"x\"}".to_owned()).unwrap();
        let live = Live {
            endpoint: Some("http://127.0.0.1:3001/mcp".into()),
            uptime: Some(5),
            retry_in: Some(6),
            request_count: Some(7),
            error_count: Some(8),
            average_response_time: Some(0.5),
            dropped_lines: 9,
            ignored_messages: 10,
            ..Live::default()
        };
        let report = sample(&config, live);
        let shown: Service = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!((&*shown.server_id, shown.pid, shown.start_ticks), ("pets \"1\"", Some(3), Some(4)));
        assert!(shown.is_running() && shown.is_unhealthy() && !shown.enabled);
        assert_eq!((shown.restart_count, shown.last_error.as_deref()), (2, Some("a\nb")));
        assert_eq!((shown.memory_usage, shown.cpu_usage), (Some(1), Some(0.25)));
        assert_eq!(shown.endpoint.as_deref(), Some("http://127.0.0.1:3001/mcp"));
        assert_eq!((shown.uptime, shown.retry_in, shown.request_count), (Some(5), Some(6), Some(7)));
        assert_eq!((shown.error_count, shown.average_response_time), (Some(8), Some(0.5)));
        assert_eq!((shown.waits_for.as_deref(), shown.completed), (Some("db"), true));
        assert_eq!((shown.dropped_lines, shown.ignored_messages), (9, 10));
    }

    #[test]
    fn what_is_told_in_brief_has_the_same_names() {
        let keys = |report: serde_json::Value| -> BTreeSet<String> {
            report.as_object().unwrap().keys().cloned().collect()
        };
        let brief = Brief {
            pid: Some(1),
            start_ticks: Some(2),
            uptime: Some(3),
            last_error: Some("e"),
            memory_usage: Some(4),
            memory_pressure: Some(0.5),
            cpu_usage: Some(0.5),
            last_health_check: Some("t".into()),
            waits_for: Some("db".into()),
            completed: true,
            recovery_attempts: 5,
            needs_intervention: true,
            enabled: true,
            endpoint: Some("u"),
            over_threshold: vec!["cpu".into()],
            retry_in: Some(6),
            request_count: Some(7),
            error_count: Some(8),
            average_response_time: Some(0.5),
            dropped_lines: 9,
            ignored_messages: 10,
            ..Brief::default()
        };
        let config = RawValue::NULL.to_owned();
        let live = Live { over_threshold: vec!["cpu".into()], memory_pressure: Some(0.5), ..Live::default() };
        let whole = sample(&config, live);
        let (brief, whole) = (serde_json::to_value(brief).unwrap(), serde_json::to_value(whole).unwrap());
        let strange: Vec<String> = keys(brief.clone()).difference(&keys(whole)).cloned().collect();
        assert_eq!(strange, Vec::<String>::new());
        let shown: Service = serde_json::from_value(brief).unwrap();
        assert_eq!((shown.pid, shown.uptime, shown.retry_in), (Some(1), Some(3), Some(6)));
        assert_eq!((shown.recovery_attempts, shown.dropped_lines, shown.ignored_messages), (5, 9, 10));
        // What says nothing is not said, and is understood.
        let empty = serde_json::to_value(Brief::default()).unwrap();
        assert_eq!(keys(empty.clone()).len(), 4);
        let shown: Service = serde_json::from_value(empty).unwrap();
        assert!(shown.pid.is_none() && !shown.enabled && !shown.needs_intervention);
    }
}
