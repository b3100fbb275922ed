//! `status`: the services and how they are. What they look like is the table's concern.

use std::time::Duration;

use super::arguments::Invocation;
use super::failure::{Failure, NOT_RUNNING, OK, UNKNOWN};
use super::options::Flag;
use super::output::{Output, Style};
use super::places::Places;
use super::process::Kernel;
use super::report::{self, End, Report, Service};
use super::table;
use crate::config::{STDIO_SCHEME, nearest};
use crate::control::client::{Client, ClientError};
use crate::control::wire::{Order, SupervisorReport};

/// Time for an answer that needs no waiting: far more than a busy machine takes.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How long a person who has just started everything looks at nothing.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// `status [SERVICE…]`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let names = invocation.names()?;
    let mut client = Client::connect(&places.socket()?)?;
    let settled = invocation.has(Flag::Settled);
    if settled {
        let id = client.ask(Order::Settled, Some(SETTLE_TIME))?;
        match report::hear(&mut client, id) {
            Ok(report) => drop(report.end.done()?),
            // Then they are shown as they are.
            Err(ClientError::Late(_)) => client = Client::connect(&places.socket()?)?,
            Err(error) => return Err(error.into()),
        }
    }
    let id = client
        .ask(Order::Status { services: names.clone(), brief: !invocation.json() }, Some(ANSWER_TIME))?;
    if invocation.json() {
        let passed = report::pass(&mut client, id, out)?;
        if passed.end.done().is_err() {
            out.clear();
        }
        ended("show", &names, &passed.end, &mut client)?;
        return Ok(code(&names, passed.first_status.as_deref()));
    }
    let kernel = Kernel::below(&client);
    let mut report = report::hear(&mut client, id)?;
    ended("show", &names, &report.end, &mut client)?;
    kernel.fill_in_all(&mut report.services);
    report.services.sort_unstable_by(|one, other| one.server_id.cmp(&other.server_id));
    if settled && let Some(supervisor) = &report.supervisor {
        greet(supervisor, &report.services, out);
    }
    print(&report, out);
    if settled {
        invite(&report.services, invocation, out);
    }
    Ok(code(&names, report.services.first().map(|service| &*service.status)))
}

/// The services as people see them.
fn print(report: &Report, out: &mut Output) {
    table::render(&report.services, out);
    if let Some(degraded) = report.supervisor.as_ref().and_then(|report| report.degraded.as_deref()) {
        out.styled(Style::Yellow, &format!("degraded: {}", table::one_line(degraded)));
        out.text("\n");
    }
}

/// Says who supervises.
fn greet(supervisor: &SupervisorReport, services: &[Service], out: &mut Output) {
    let count = services.len();
    let noun = if count == 1 { "service" } else { "services" };
    let version = &supervisor.version;
    out.text(&format!("\nmcp-init {version}, pid {}, supervises {count} {noun}\n\n", supervisor.pid));
}

/// Says how to connect to the first server that a client can connect to.
fn invite(services: &[Service], invocation: &Invocation, out: &mut Output) {
    out.text("\n");
    let mut reachable = services.iter().filter(|service| service.is_running());
    let server = reachable.find_map(|service| Some((&service.server_id, service.endpoint.as_deref()?)));
    let config = invocation.config().map_or(String::new(), |folder| format!(" -c {}", folder.display()));
    let typed = std::env::args_os().next().unwrap_or_else(|| "mcp-init".into());
    if let Some((id, endpoint)) = server {
        let how = if endpoint.starts_with(STDIO_SCHEME) {
            format!("{id} -- {}{config} attach {id}", typed.display())
        } else {
            format!("--transport http {id} {endpoint}")
        };
        out.line(&format!("connect a client:  claude mcp add {how}"));
    }
    out.line(&format!("stop everything:   Ctrl-C, or {}{config} shutdown", typed.display()));
}

/// LSB: whether the one service that was named is running.
fn code(names: &[Box<str>], first_status: Option<&str>) -> u8 {
    match (names, first_status) {
        ([_], Some(state)) if report::is_up(state) => OK,
        ([] | [_, _, ..], _) => OK,
        ([_], Some(_)) => NOT_RUNNING,
        ([_], None) => UNKNOWN,
    }
}

/// Done, or the failure it is; of an unknown service, with the name that was probably meant.
pub(super) fn ended(verb: &str, names: &[Box<str>], end: &End, client: &mut Client) -> Result<(), Failure> {
    let Err(failure) = end.done() else { return Ok(()) };
    if !end.is_unknown() {
        return Err(failure);
    }
    let id = client.ask(Order::Status { services: Vec::new(), brief: true }, Some(ANSWER_TIME))?;
    let known = report::hear(client, id)?.services;
    let known = || known.iter().map(|service| &*service.server_id);
    let Some(name) = names.iter().find(|name| !known().any(|id| id == &***name)) else {
        return Err(failure);
    };
    Err(unknown(verb, name, known()))
}

/// There is no such service.
pub(super) fn unknown<'a>(verb: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let hint = nearest(name, known).map_or(String::new(), |near| format!("; the nearest name is \"{near}\""));
    Failure::new(UNKNOWN, format!("cannot {verb} \"{}\": no such service{hint}", table::one_line(name)))
}
