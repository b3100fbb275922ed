//! Whether what was started does what it is there for: the supervisor answers, and every service that should run
//! does. Nothing is changed here.

use std::time::Duration;

use super::super::failure::{FAILED, Failure};
use super::super::health;
use super::super::places::Places;
use super::super::report::{self, Report};
use super::super::units;
use super::init::Init;
use super::site::Site;
use crate::control::client::{Client, ClientError};
use crate::control::wire::Order;
use crate::life::service::later;
use crate::sys::clock;
use crate::sys::wait::pause;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// For an answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug)]
pub(super) struct Verified {
    /// The supervisor's pid.
    pub(super) pid: i32,
    /// How many services should run, and do.
    pub(super) ready: usize,
    /// How long it took.
    pub(super) took: Duration,
}

/// Looks until all is well, or it cannot become so, or for so long.
pub(super) fn verify(
    places: &Places,
    init: &dyn Init,
    site: &Site,
    within: Duration,
) -> Result<Verified, Failure> {
    let begun = clock::now().instant;
    let end = later(begun, within);
    let mut has_given_up = false;
    loop {
        let (why, is_final) = match look(places) {
            Ok(report) => match judge(&report) {
                // Who is checked at times is waited for, but no longer than that.
                Ok((_, _, false)) if clock::now().instant < end => (String::new(), false),
                Ok((pid, ready, _)) if init.status(site).succeeds() => {
                    let took = clock::now().instant.saturating_duration_since(begun);
                    return Ok(Verified { pid, ready, took });
                }
                Ok(_) => (format!("{} does not say that it runs", init.name()), false),
                Err(said) => said,
            },
            Err(error) => (error.to_string(), has_given_up),
        };
        if !why.is_empty() && (is_final || clock::now().instant >= end) {
            return Err(failure(&why, is_final, within));
        }
        has_given_up = !why.is_empty() && init.has_given_up(site).is_some_and(|call| call.succeeds());
        pause(LOOK_EVERY);
    }
}

/// Whether a supervisor answers already, and its version.
pub(super) fn running(places: &Places) -> Option<Box<str>> {
    look(places).ok()?.supervisor.map(|report| report.version)
}

/// Ends a supervisor that answers, if there is one.
pub(super) fn end(places: &Places) -> Result<(), Failure> {
    if running(places).is_none() {
        return Ok(());
    }
    let mut client = Client::connect(&places.socket()?)?;
    let id = client.ask(Order::Shutdown, None)?;
    match report::hear(&mut client, id) {
        Ok(_) | Err(ClientError::Closed) => Ok(client.wait_for_end()?),
        Err(error) => Err(error.into()),
    }
}

/// Asks the supervisor for everything.
fn look(places: &Places) -> Result<Report, ClientError> {
    // A configuration that cannot be read was told before.
    let socket = places.socket().map_err(|_| ClientError::Closed)?;
    let mut client = Client::connect(&socket)?;
    let id = client.ask(Order::Status { services: Vec::new(), brief: true }, Some(ANSWER_TIME))?;
    report::hear(&mut client, id)
}

/// The supervisor's pid, how many services are ready, and whether all were checked that are ever; or what is not as it should be, and whether it stays so.
fn judge(report: &Report) -> Result<(i32, usize, bool), (String, bool)> {
    let enabled = || report.services.iter().filter(|service| service.enabled);
    let bad: Vec<_> = enabled().filter(|service| !health::is_well(service)).collect();
    let Some(supervisor) = report.supervisor.as_ref().filter(|_| bad.is_empty()) else {
        let words: Vec<_> = bad.iter().map(|service| health::in_words(service)).collect();
        return Err((words.join("; "), bad.iter().any(|service| &*service.status == "error")));
    };
    let is_checked = enabled().all(|service| &*service.health_status != "unknown");
    Ok((supervisor.pid, enabled().count(), is_checked))
}

/// It is not well.
fn failure(why: &str, is_final: bool, within: Duration) -> Failure {
    let time = units::duration(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
    let bound = if is_final { String::new() } else { format!(" within {time}") };
    Failure::new(FAILED, format!("cannot verify{bound}: {why}"))
}
