//! The verbs that change something: `start`, `stop`, `restart`, `reload`, `shutdown`. How it is done is the
//! supervisor's concern.

use std::time::Duration;

use serde_json::json;

use super::arguments::Invocation;
use super::failure::{CONFIGURATION, FAILED, Failure, OK};
use super::options::Flag;
use super::output::{Output, say};
use super::places::Places;
use super::report::{self, Service};
use super::status::{ANSWER_TIME, ended};
use super::table;
use super::units;
use crate::config;
use crate::control::client::{Client, ClientError};
use crate::control::wire::{Named, Order};

/// A change that services can be put through.
#[derive(Debug)]
pub(super) struct Change {
    /// What the supervisor is asked.
    order: fn(Named) -> Order,
    /// States in which it is done.
    goal: &'static [&'static str],
}

/// `start`.
pub(super) const START: Change = Change { order: Order::Start, goal: &["running", "listening"] };
/// `stop`.
pub(super) const STOP: Change = Change { order: Order::Stop, goal: &["stopped", "error"] };
/// `restart`.
pub(super) const RESTART: Change = Change { order: Order::Restart, goal: &["running", "listening"] };

/// `recover`.
pub(super) const RECOVER: Change = Change { order: Order::Recover, goal: &["running", "listening"] };
/// `reset`.
pub(super) const RESET: Change = Change { order: Order::Reset, goal: &[] };

/// Puts services through a change.
pub(super) fn change(
    change: &Change,
    invocation: &Invocation,
    places: &Places,
    out: &mut Output,
) -> Result<u8, Failure> {
    let names = invocation.names()?;
    let verb = invocation.verb.name;
    check_names(verb, &names, invocation.has(Flag::All))?;
    let wait = !invocation.has(Flag::NoWait);
    let limit = time(invocation)?.or((!wait).then_some(ANSWER_TIME));
    let order = (change.order)(Named { services: names.clone(), wait });
    let socket = places.socket()?;
    let mut client = Client::connect(&socket)?;
    let id = client.ask(order, limit)?;
    let end = match report::hear(&mut client, id) {
        Ok(report) => report.end,
        Err(ClientError::Late(limit)) => {
            return Err(late(change, invocation, limit, &names, &mut Client::connect(&socket)?)?);
        }
        Err(error) => return Err(error.into()),
    };
    if end.is_unknown() {
        ended(verb, &names, &end, &mut client)?;
    }
    show(invocation, &names, &mut client, out)?;
    end.done()?;
    Ok(OK)
}

/// Services are named, or all are meant, and not both.
fn check_names(verb: &str, names: &[Box<str>], all: bool) -> Result<(), Failure> {
    match (names.is_empty(), all) {
        (true, false) => Err(Failure::usage(format!("cannot {verb} nothing: name a service, or say --all"))),
        (false, true) => Err(Failure::usage(format!("cannot {verb} \"--all\": services are named as well"))),
        (true, true) | (false, false) => Ok(()),
    }
}

/// Shows how the services are now.
fn show(
    invocation: &Invocation,
    names: &[Box<str>],
    client: &mut Client,
    out: &mut Output,
) -> Result<(), Failure> {
    let id = client.ask(Order::Status { services: names.to_vec(), brief: true }, Some(ANSWER_TIME))?;
    if invocation.json() {
        return report::pass(client, id, out)?.end.done().map(drop);
    }
    let report = report::hear(client, id)?;
    for service in &report.services {
        line(service, out);
    }
    report.end.done().map(drop)
}

/// A service in a line: `pets: running, pid 12, http://…`.
fn line(service: &Service, out: &mut Output) {
    out.text(&format!("{}: ", service.server_id));
    out.styled(table::state_style(&service.status), &service.status);
    if let Some(pid) = service.pid {
        out.text(&format!(", pid {pid}"));
    }
    match (service.is_running(), &service.endpoint, &service.last_error) {
        (true, Some(endpoint), _) => out.text(&format!(", {endpoint}")),
        (false, _, Some(error)) if &*service.status != "stopped" => {
            out.text(&format!(", {}", table::one_line(error)));
        }
        _ => {}
    }
    out.text("\n");
}

/// Says what is not done yet.
fn late(
    change: &Change,
    invocation: &Invocation,
    limit: Duration,
    names: &[Box<str>],
    client: &mut Client,
) -> Result<Failure, ClientError> {
    let id = client.ask(Order::Status { services: names.to_vec(), brief: true }, Some(ANSWER_TIME))?;
    let services = report::hear(client, id)?.services;
    let waiting = services.iter().filter(|service| !change.goal.contains(&&*service.status));
    let waiting: Vec<_> =
        waiting.map(|service| format!("{} is {}", service.server_id, service.status)).collect();
    let which = if waiting.is_empty() { "it was done just after".to_owned() } else { waiting.join(", ") };
    let time = units::duration(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    Ok(Failure::new(FAILED, format!("cannot {} within {time}: {which}", invocation.verb.name)))
}

/// `reload`.
pub(super) fn reload(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let mut client = Client::connect(&places.socket()?)?;
    let id = client.ask(Order::Reload, time(invocation)?)?;
    let end = report::hear(&mut client, id)?.end;
    let done = match end.done() {
        // What `check` would say, and then what that means.
        Err(problems) if problems.code == CONFIGURATION => {
            say(&format!("{problems}\n"));
            let text = "cannot reload: the configuration has a problem; nothing has changed";
            return Err(Failure::new(CONFIGURATION, text));
        }
        done => done?,
    };
    if invocation.json() {
        out.json(&json!({ "done": done }))?;
    } else {
        out.line(done);
    }
    Ok(OK)
}

/// `signal SIGNAL SERVICE…`.
pub(super) fn signal(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let mut names = invocation.names()?;
    if names.is_empty() {
        return Err(Failure::usage("cannot signal: name a signal, such as HUP, and services"));
    }
    let typed = names.remove(0);
    let number =
        config::signal(&typed).or_else(|| typed.parse().ok().filter(|number| (1..=64).contains(number)));
    let Some(number) = number else {
        return Err(Failure::usage(format!(
            "cannot signal: \"{typed}\" is no signal; name one such as HUP, USR1 or 10"
        )));
    };
    check_names(invocation.verb.name, &names, invocation.has(Flag::All))?;
    let order = Order::Signal { services: names.clone(), signal: number, group: invocation.has(Flag::Group) };
    let mut client = Client::connect(&places.socket()?)?;
    let id = client.ask(order, Some(ANSWER_TIME))?;
    let end = report::hear(&mut client, id)?.end;
    ended("signal", &names, &end, &mut client)?;
    if invocation.json() {
        out.json(&json!({ "done": "done" }))?;
    }
    Ok(OK)
}

/// Stops a service that is about to be taken out.
pub(super) fn stop_one(id: &str, invocation: &Invocation, client: &mut Client) -> Result<(), Failure> {
    let order = Order::Stop(Named { services: vec![id.into()], wait: !invocation.has(Flag::NoWait) });
    let asked = client.ask(order, time(invocation)?)?;
    let end = report::hear(client, asked)?.end;
    // One that the supervisor does not know yet is not running.
    if end.is_unknown() { Ok(()) } else { end.done().map(drop) }
}

/// Has the configuration read again.
pub(super) fn read_again(invocation: &Invocation, client: &mut Client) -> Result<(), Failure> {
    let id = client.ask(Order::Reload, time(invocation)?)?;
    report::hear(client, id)?.end.done().map(drop)
}

/// Waits until a service is where it was sent to, and shows it.
pub(super) fn settle_one(
    id: &str,
    invocation: &Invocation,
    places: &Places,
    out: &mut Output,
) -> Result<u8, Failure> {
    let names = vec![Box::from(id)];
    let mut client = Client::connect(&places.socket()?)?;
    let asked = client.ask(Order::Status { services: names.clone(), brief: true }, Some(ANSWER_TIME))?;
    let status = report::hear(&mut client, asked)?.services.into_iter().next().map(|service| service.status);
    // Of one that does not start by itself there is nothing to wait for.
    let order: Option<fn(Named) -> Order> = match status.as_deref() {
        Some("starting" | "backoff") => Some(Order::Start),
        Some("stopping") => Some(Order::Stop),
        Some(_) | None => None,
    };
    if let Some(order) = order.filter(|_| !invocation.has(Flag::NoWait)) {
        let asked = client.ask(order(Named { services: names.clone(), wait: true }), time(invocation)?)?;
        let end = report::hear(&mut client, asked)?.end;
        show(invocation, &names, &mut client, out)?;
        return end.done().map(|_| OK);
    }
    show(invocation, &names, &mut client, out)?;
    Ok(OK)
}

/// `shutdown`. The supervisor is gone when it has hung up.
pub(super) fn shutdown(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let limit = time(invocation)?;
    let mut client = Client::connect(&places.socket()?)?;
    let id = client.ask(Order::Shutdown, limit)?;
    let wait = !invocation.has(Flag::NoWait);
    if wait {
        match report::hear(&mut client, id) {
            Ok(report) => drop(report.end.done()?),
            Err(ClientError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        client.wait_for_end()?;
    }
    let text = if wait { "the supervisor has ended" } else { "the supervisor ends" };
    if invocation.json() {
        out.json(&json!({ "done": text }))?;
    } else {
        out.line(text);
    }
    Ok(OK)
}

/// `--timeout TIME`.
pub(super) fn time(invocation: &Invocation) -> Result<Option<Duration>, Failure> {
    let Some(typed) = invocation.value(Flag::Timeout) else { return Ok(None) };
    match typed.to_str().and_then(config::duration) {
        Some(time) if !time.is_zero() => Ok(Some(time)),
        _ => Err(Failure::usage(format!(
            "cannot read --timeout \"{}\": not a time with a unit, such as 500ms, 30s or 2m",
            typed.display()
        ))),
    }
}
