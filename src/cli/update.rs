//! `update`: the supervisor is asked to update services, or to look whether it could. How that is done is not known
//! here.

use serde_json::json;

use super::arguments::Invocation;
use super::failure::{CONFIGURATION, FAILED, Failure, OK};
use super::options::Flag;
use super::orders::time;
use super::output::{Output, say};
use super::places::Places;
use super::report;
use crate::config;
use crate::control::client::Client;
use crate::control::wire::Order;

/// `update SERVICE… [--check]`, `update --all`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let names = names(invocation, places)?;
    let limit = time(invocation)?;
    let check = invocation.has(Flag::Check);
    let mut client = Client::connect(&places.socket()?)?;
    let mut code = OK;
    for service in names {
        let id = client.ask(Order::Update { service: service.clone(), check }, limit)?;
        match report::hear(&mut client, id)?.end.done() {
            Ok(words) if invocation.json() => out.json(&json!({ "serverId": service, "done": words }))?,
            Ok(words) => out.line(&format!("{service}: {words}")),
            Err(failure) => {
                code = failure.code;
                if invocation.json() {
                    out.json(&json!({ "serverId": service, "error": failure.text }))?;
                }
                say(&format!("mcp-init: {failure}\n"));
            }
        }
        out.flush()?;
    }
    Ok(code)
}

/// The services that are meant: those that are named, or all that can be updated.
fn names(invocation: &Invocation, places: &Places) -> Result<Vec<Box<str>>, Failure> {
    let names = invocation.names()?;
    match (names.is_empty(), invocation.has(Flag::All)) {
        (false, false) => Ok(names),
        (true, true) => {
            let plan = config::load(&places.config, &places.environment).map_err(|problems| {
                let first = problems.first().map_or(String::new(), ToString::to_string);
                Failure::new(CONFIGURATION, first)
            })?;
            let with = plan.services.into_iter().filter(|service| service.update.is_some());
            Ok(with.map(|service| service.id).collect())
        }
        (true, false) => Err(Failure::usage("cannot update nothing: name a service, or say --all")),
        (false, true) => Err(Failure::new(FAILED, "cannot update \"--all\": services are named as well")),
    }
}
