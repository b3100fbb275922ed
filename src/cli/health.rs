//! `health`: a short yes or no for the probes of containers and Kubernetes.

use std::time::Duration;

use serde_json::json;

use super::arguments::Invocation;
use super::failure::{CPU, FAILED, Failure, MEMORY, OK, UNKNOWN};
use super::options::Flag;
use super::orders;
use super::output::Output;
use super::places::Places;
use super::report::{self, Service};
use super::status::ended;
use super::table;
use super::units;
use crate::control::client::{Client, ClientError};
use crate::control::wire::Order;

/// Time for the answer: below what probes give.
const PROBE_TIME: Duration = Duration::from_secs(5);

/// `health [SERVICE] [--live|--ready]`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let names = invocation.names()?;
    let (live, ready) = (invocation.has(Flag::Live), invocation.has(Flag::Ready));
    if live && (ready || !names.is_empty()) {
        let other = if ready { "--ready" } else { "a service" };
        return Err(Failure::usage(format!("cannot answer --live and {other} at once")));
    }
    if names.len() > 1 {
        return Err(Failure::usage("cannot answer for several services: name one, or none for all"));
    }
    let limit = orders::time(invocation)?.unwrap_or(PROBE_TIME);
    let mut client = Client::connect(&places.socket()?).map_err(unanswered)?;
    let id = client
        .ask(Order::Status { services: names.clone(), brief: true }, Some(limit))
        .map_err(unanswered)?;
    if live {
        return alive(invocation, &mut client, id, out);
    }
    let report = report::hear(&mut client, id).map_err(unanswered)?;
    ended("probe", &names, &report.end, &mut client)?;
    let asked = report.services.iter().filter(|service| !names.is_empty() || service.enabled);
    let asked: Vec<&Service> = asked.collect();
    let bad: Vec<&Service> = asked.iter().copied().filter(|service| !is_well(service)).collect();
    if invocation.json() {
        let list = |services: &[&Service]| services.iter().map(|service| facts(service)).collect::<Vec<_>>();
        out.json(&json!({ "ready": bad.is_empty(), "services": list(&asked) }))?;
    } else if bad.is_empty() {
        let noun = if asked.len() == 1 { "service" } else { "services" };
        out.line(&format!("ready: {} {noun}", asked.len()));
    } else {
        for service in &bad {
            out.line(&format!("not ready: {}", in_words(service)));
        }
    }
    // Whoever asks for readiness alone wants to know of nothing else.
    let over: Vec<&Service> = if ready { Vec::new() } else { asked };
    if !invocation.json() {
        for service in over.iter().filter(|service| !service.over_threshold.is_empty()) {
            let what = service.over_threshold.join(" and ");
            out.line(&format!("over its threshold: {what} of {}", service.server_id));
        }
    }
    Ok(code(&bad, &over))
}

/// The exit code: the worst of what is wrong.
fn code(bad: &[&Service], over: &[&Service]) -> u8 {
    let is_over = |what: &str| over.iter().any(|it| it.over_threshold.iter().any(|word| **word == *what));
    if bad.iter().any(|service| !service.is_running()) {
        FAILED
    } else if !bad.is_empty() {
        // It runs, and does not answer as it should.
        UNKNOWN
    } else if is_over("memory") {
        MEMORY
    } else if is_over("cpu") {
        CPU
    } else {
        OK
    }
}

/// Whether the supervisor answers, which it just did or did not.
fn alive(invocation: &Invocation, client: &mut Client, id: u64, out: &mut Output) -> Result<u8, Failure> {
    let report = report::hear_supervisor(client, id).map_err(unanswered)?;
    report.end.done()?;
    let Some(supervisor) = report.supervisor else {
        return Err(Failure::new(UNKNOWN, "cannot understand the supervisor: it says nothing of itself"));
    };
    if invocation.json() {
        out.json(&json!({ "live": true, "pid": supervisor.pid, "uptime": supervisor.uptime }))?;
    } else {
        out.line(&format!("live: pid {}, up {}", supervisor.pid, units::duration(supervisor.uptime)));
    }
    Ok(OK)
}

/// Whatever the reason, a probe has no answer.
fn unanswered(error: ClientError) -> Failure {
    Failure { code: UNKNOWN, ..Failure::from(error) }
}

/// Whether a service is ready.
pub(super) fn is_well(service: &Service) -> bool {
    (service.is_running() && !service.is_unhealthy()) || service.completed
}

/// A service for a program.
fn facts(service: &Service) -> serde_json::Value {
    json!({
        "serverId": service.server_id,
        "status": service.status,
        "healthStatus": service.health_status,
        "ready": is_well(service),
        "overThreshold": service.over_threshold,
    })
}

/// A service for a person.
pub(super) fn in_words(service: &Service) -> String {
    let state = if service.is_running() { &service.health_status } else { &service.status };
    match &service.last_error {
        Some(error) => format!("{} is {state}: {}", service.server_id, table::one_line(error)),
        None => format!("{} is {state}", service.server_id),
    }
}
