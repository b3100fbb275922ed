//! `metrics`: the report as `OpenMetrics` text. What is counted is the supervisor's concern.

use std::fmt::Write;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::arguments::Invocation;
use super::failure::{Failure, OK};
use super::output::Output;
use super::places::Places;
use super::process::Kernel;
use super::report::{self, Service};
use super::status::ANSWER_TIME;
use crate::control::client::Client;
use crate::control::wire::{Order, SupervisorReport};

/// States of a service.
const STATES: [&str; 7] = ["starting", "running", "stopping", "stopped", "listening", "backoff", "error"];

/// What is known of a service's health.
const HEALTH: [&str; 4] = ["unknown", "healthy", "unhealthy", "none"];

/// What kind of figure a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// It goes up and down.
    Gauge,
    /// It goes up.
    Counter,
    /// It does not change.
    Info,
    /// One of several is 1.
    Stateset,
}

impl Kind {
    /// Its name, and what its samples' names end with.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Gauge => ("gauge", ""),
            Self::Counter => ("counter", "_total"),
            Self::Info => ("info", "_info"),
            Self::Stateset => ("stateset", ""),
        }
    }
}

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
enum Value {
    /// Whole.
    Whole(u64),
    /// Not.
    Real(f64),
}

/// A figure and whose it is.
#[derive(Debug, Serialize)]
struct Sample<'a> {
    /// Labels.
    #[serde(serialize_with = "as_map")]
    labels: Vec<(&'static str, &'a str)>,
    /// The figure.
    value: Value,
}

/// Figures of one meaning.
#[derive(Debug, Serialize)]
struct Family<'a> {
    /// Its name, without `mcp_init_` before and the unit after it.
    name: String,
    /// Its kind.
    #[serde(rename = "type")]
    kind: Kind,
    /// Its unit, if it has one.
    unit: &'static str,
    /// What it means.
    help: &'static str,
    /// The figures.
    samples: Vec<Sample<'a>>,
}

/// `metrics`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let mut client = Client::connect(&places.socket()?)?;
    let id = client.ask(Order::Status { services: Vec::new() }, Some(ANSWER_TIME))?;
    let kernel = Kernel::new();
    let report = report::hear_each(&mut client, id, &mut |service| kernel.fill_in(service))?;
    report.end.done()?;
    let mut families = report.supervisor.as_ref().map(of_supervisor).unwrap_or_default();
    families.extend(of_services(&report.services));
    if invocation.json() {
        out.json(&families)?;
    } else {
        out.text(&render(&families));
    }
    Ok(OK)
}

/// Figures of the supervisor.
fn of_supervisor(report: &SupervisorReport) -> Vec<Family<'_>> {
    let one = |name, kind, unit, help, value| {
        family(name, kind, unit, help, vec![Sample { labels: Vec::new(), value }])
    };
    let whole = Value::Whole;
    let version = vec![Sample { labels: vec![("version", &report.version)], value: whole(1) }];
    let degraded = u64::from(report.degraded.is_some());
    vec![
        family("supervisor", Kind::Info, "", "The supervisor.", version),
        one("uptime", Kind::Gauge, "seconds", "Time since the supervisor's start.", seconds(report.uptime)),
        one(
            "degraded",
            Kind::Gauge,
            "",
            "1 while something does not work, such as a full disk.",
            whole(degraded),
        ),
        one("reaped", Kind::Counter, "", "Children reaped, services and orphans.", whole(report.reaped)),
        one("orphans", Kind::Counter, "", "Adopted orphans reaped.", whole(report.orphans)),
        one("turns", Kind::Counter, "", "Turns of the loop.", whole(report.turns)),
        one(
            "dropped_events",
            Kind::Counter,
            "",
            "Events that were not written.",
            whole(report.dropped_events),
        ),
    ]
}

/// Figures of the services.
fn of_services(services: &[Service]) -> Vec<Family<'_>> {
    let each = |name, kind, unit, help, value: fn(&Service) -> Option<Value>| {
        let samples = services.iter().filter_map(|service| {
            Some(Sample { labels: vec![("service", &*service.server_id)], value: value(service)? })
        });
        family(name, kind, unit, help, samples.collect())
    };
    vec![
        states(services, "service_state", "State.", &STATES, |service| &service.status),
        states(services, "service_health", "Health.", &HEALTH, |service| &service.health_status),
        each("service_uptime", Kind::Gauge, "seconds", "Time since the process was started.", |service| {
            service.uptime.map(seconds)
        }),
        each("service_restarts", Kind::Counter, "", "Restarts that were not ordered.", |service| {
            Some(Value::Whole(service.restart_count))
        }),
        each("service_memory", Kind::Gauge, "bytes", "Resident memory.", |service| {
            service.memory_usage.map(Value::Whole)
        }),
        each(
            "service_memory_pressure",
            Kind::Gauge,
            "ratio",
            "Share of the last ten seconds in which some of it waited for memory.",
            |service| service.memory_pressure.map(|percent| Value::Real(percent / 100.0)),
        ),
        each("service_cpu", Kind::Gauge, "ratio", "CPU, as a share of one core.", |service| {
            service.cpu_usage.map(|percent| Value::Real(percent / 100.0))
        }),
        each("service_requests", Kind::Counter, "", "Requests served by the present process.", |service| {
            service.request_count.map(Value::Whole)
        }),
        each(
            "service_errors",
            Kind::Counter,
            "",
            "Requests that failed, of the present process.",
            |service| service.error_count.map(Value::Whole),
        ),
        each("service_response_time", Kind::Gauge, "seconds", "Mean time of a request.", |service| {
            service.average_response_time.map(|millis| Value::Real(millis / 1000.0))
        }),
        each(
            "service_dropped_lines",
            Kind::Counter,
            "",
            "Lines of output that were not written.",
            |service| Some(Value::Whole(service.dropped_lines)),
        ),
        each(
            "service_ignored_messages",
            Kind::Counter,
            "",
            "Channel messages that made no sense.",
            |service| Some(Value::Whole(service.ignored_messages)),
        ),
    ]
}

/// A family; its whole name has its unit at the end.
fn family<'a>(
    name: &str,
    kind: Kind,
    unit: &'static str,
    help: &'static str,
    samples: Vec<Sample<'a>>,
) -> Family<'a> {
    let end = if unit.is_empty() { String::new() } else { format!("_{unit}") };
    Family { name: format!("mcp_init_{name}{end}"), kind, unit, help, samples }
}

/// One of several words for each service. `OpenMetrics` wants the label of the words to be the family's name.
fn states<'a>(
    services: &'a [Service],
    name: &'static str,
    help: &'static str,
    words: &'static [&'static str],
    word: fn(&Service) -> &str,
) -> Family<'a> {
    let label = if name == "service_state" { "mcp_init_service_state" } else { "mcp_init_service_health" };
    let samples = services.iter().flat_map(|service| {
        words.iter().map(move |one| Sample {
            labels: vec![("service", &*service.server_id), (label, *one)],
            value: Value::Whole(u64::from(word(service) == *one)),
        })
    });
    family(name, Kind::Stateset, "", help, samples.collect())
}

/// Milliseconds in seconds.
fn seconds(millis: u64) -> Value {
    // By way of the text, so that 1497 is 1.497 and nothing beside it.
    Value::Real(format!("{}.{:03}", millis / 1000, millis % 1000).parse().unwrap_or_default())
}

/// `OpenMetrics` text.
fn render(families: &[Family<'_>]) -> String {
    let mut text = String::with_capacity(4096);
    for family in families {
        let Family { name, kind, unit, help, samples } = family;
        let (kind, end) = kind.words();
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {help}");
        for sample in samples {
            let _ = write!(text, "{name}{end}");
            for (number, (label, value)) in sample.labels.iter().enumerate() {
                let _ = write!(text, "{}{label}=\"{}\"", if number == 0 { "{" } else { "," }, escaped(value));
            }
            text.push_str(if sample.labels.is_empty() { " " } else { "} " });
            let _ = match sample.value {
                Value::Whole(value) => writeln!(text, "{value}"),
                Value::Real(value) => writeln!(text, "{value}"),
            };
        }
    }
    text.push_str("# EOF\n");
    text
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Labels as a JSON object.
fn as_map<S: Serializer>(labels: &[(&'static str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(labels.len()))?;
    for (label, value) in labels {
        map.serialize_entry(label, value)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_it_always_was() {
        let supervisor =
            SupervisorReport { pid: 1, version: "0.1.0".into(), uptime: 1500, ..Default::default() };
        let json = r#"{"serverId":"pets","status":"running","restartCount":2,"enabled":true,"healthStatus":"healthy",
            "processConfig":{},"memoryUsage":4096,"cpuUsage":50,"uptime":1000}"#;
        let services = [serde_json::from_str::<Service>(json).unwrap()];
        let mut families = of_supervisor(&supervisor);
        families.extend(of_services(&services));
        let text = render(&families);
        for part in [
            "# TYPE mcp_init_supervisor info\n# HELP mcp_init_supervisor The supervisor.\n\
             mcp_init_supervisor_info{version=\"0.1.0\"} 1\n",
            "# TYPE mcp_init_uptime_seconds gauge\n# UNIT mcp_init_uptime_seconds seconds\n",
            "\nmcp_init_uptime_seconds 1.5\n",
            "\nmcp_init_service_state{service=\"pets\",mcp_init_service_state=\"running\"} 1\n",
            "\nmcp_init_service_restarts_total{service=\"pets\"} 2\n",
            "\nmcp_init_service_cpu_ratio{service=\"pets\"} 0.5\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
    }
}
