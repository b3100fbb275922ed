//! What is counted: of the supervisor, and of each service. How it is written down is the family's concern.

use super::super::report::Service;
use super::family::{Family, Kind, Sample, Value, family};
use crate::control::wire::SupervisorReport;

/// States of a service.
const STATES: [&str; 7] = ["starting", "running", "stopping", "stopped", "listening", "backoff", "error"];

/// What is known of a service's health.
const HEALTH: [&str; 4] = ["unknown", "healthy", "unhealthy", "none"];

/// Figures of the supervisor.
pub(super) fn of_supervisor(report: &SupervisorReport) -> Vec<Family<'_>> {
    let one = |name, kind, unit, help, value| {
        family(name, kind, unit, help, vec![Sample { labels: Vec::new(), value }])
    };
    let whole = Value::Whole;
    let version = vec![Sample { labels: vec![("version", &report.version)], value: whole(1) }];
    let scribe = u64::from(report.scribe_pid.is_some());
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
        one("scribe_up", Kind::Gauge, "", "1 while there is a scribe, which writes to disk.", whole(scribe)),
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
        one(
            "dropped_commands",
            Kind::Counter,
            "",
            "Commands for events that were not run because too many waited.",
            whole(report.dropped_commands),
        ),
        one(
            "suppressed_alerts",
            Kind::Counter,
            "",
            "Alerts that were not told because the same was shortly before.",
            whole(report.suppressed_alerts),
        ),
    ]
}

/// How the services are.
fn of_states(services: &[Service]) -> Vec<Family<'_>> {
    let each = |name, kind, unit, help, value| each(services, name, kind, unit, help, value);
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
    ]
}

/// What the services did, and what was done for them.
fn of_deeds(services: &[Service]) -> Vec<Family<'_>> {
    let each = |name, kind, unit, help, value| each(services, name, kind, unit, help, value);
    vec![
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
        each("service_log", Kind::Gauge, "bytes", "Size of the logs on disk.", |service| {
            service.log_bytes.map(Value::Whole)
        }),
        each(
            "service_recovery_attempts",
            Kind::Gauge,
            "",
            "Attempts to recover it since it was last known to be well.",
            |service| Some(Value::Whole(service.recovery_attempts)),
        ),
        each(
            "service_needs_intervention",
            Kind::Gauge,
            "",
            "1 once all attempts to recover it were in vain.",
            |service| Some(Value::Whole(u64::from(service.needs_intervention))),
        ),
        each("service_enabled", Kind::Gauge, "", "1 if it should run.", |service| {
            Some(Value::Whole(u64::from(service.enabled)))
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

/// Figures of the services.
pub(super) fn of_services(services: &[Service]) -> Vec<Family<'_>> {
    let mut families = of_states(services);
    families.extend(of_deeds(services));
    families
}

/// A figure of each service that has it.
fn each<'a>(
    services: &'a [Service],
    name: &str,
    kind: Kind,
    unit: &'static str,
    help: &'static str,
    value: fn(&Service) -> Option<Value>,
) -> Family<'a> {
    let samples = services.iter().filter_map(|service| {
        Some(Sample { labels: vec![("service", &*service.server_id)], value: value(service)? })
    });
    family(name, kind, unit, help, samples.collect())
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
