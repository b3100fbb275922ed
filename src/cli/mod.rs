//! What a person types and sees. It supervises nothing.
//!
//! `arguments` reads the command line by the table in `verbs` and `options`; each verb has a file of its own,
//! or shares one with its sisters; `output` is the only way to standard output.

mod alert;
mod arguments;
mod attach;
mod check;
mod cleanup;
mod configure;
mod create;
mod event;
mod failure;
mod health;
mod help;
mod host;
mod import;
mod logs;
mod man;
mod metrics;
mod options;
mod orders;
mod output;
mod part;
mod places;
mod process;
mod report;
mod run;
mod schedule;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod trail;
mod units;
mod update;
mod verbs;
mod verbs_of_care;
mod verbs_of_change;
mod verbs_of_helpers;
mod verbs_of_host;
mod verbs_of_time;
mod verbs_of_use;

use std::ffi::OsString;

use serde_json::json;

use arguments::Invocation;
use failure::{Failure, OK, USAGE};
use options::Flag;
use output::{Output, say};
use places::Places;
use verbs::Does;

/// What the program is called, and its version.
const VERSION: &str = concat!("mcp-init ", env!("CARGO_PKG_VERSION"));

/// The program: `arguments` are without its name.
pub(crate) fn main(arguments: &[OsString]) -> u8 {
    let mut out = Output::new();
    let result = answer(arguments, &mut out).and_then(|code| out.flush().map(|()| code));
    match result {
        Ok(code) => code,
        Err(failure) => {
            // What was done before it failed is still true.
            drop(out.flush());
            if !failure.text.is_empty() {
                say(&format!("mcp-init: {failure}\n"));
            }
            failure.code
        }
    }
}

/// Does what was typed; the exit code.
fn answer(arguments: &[OsString], out: &mut Output) -> Result<u8, Failure> {
    let Some(invocation) = arguments::read(arguments, std::process::id() == 1)? else {
        say("usage: mcp-init [-c DIR] [--json] VERB [ARGUMENTS]; \"mcp-init help\" lists the verbs\n");
        return Ok(USAGE);
    };
    if invocation.has(Flag::Help) && invocation.verb.does != Does::Help {
        help::about(invocation.verb, out);
        return Ok(OK);
    }
    if invocation.has(Flag::Version) {
        return version(&invocation, out);
    }
    dispatch(&invocation, out)
}

/// Hands the command line to its verb.
fn dispatch(invocation: &Invocation, out: &mut Output) -> Result<u8, Failure> {
    let places = || Places::of(invocation);
    match invocation.verb.does {
        Does::Run => Ok(run::run(invocation, places()?)),
        Does::Scribe => Ok(run::scribe()),
        Does::Kin => Ok(run::kin(invocation, out)),
        Does::Probe => Ok(crate::probe::run()),
        Does::Plan => check::plan(&places()?, out),
        Does::Status => status::answer(invocation, &places()?, out),
        Does::Start => orders::change(&orders::START, invocation, &places()?, out),
        Does::Stop => orders::change(&orders::STOP, invocation, &places()?, out),
        Does::Restart => orders::change(&orders::RESTART, invocation, &places()?, out),
        Does::Recover => orders::change(&orders::RECOVER, invocation, &places()?, out),
        Does::Reset => orders::change(&orders::RESET, invocation, &places()?, out),
        Does::Add => configure::add(invocation, &places()?, out),
        Does::Create => create::answer(invocation, &places()?, out),
        Does::Remove => configure::remove(invocation, &places()?, out),
        Does::Enable => configure::enable(true, invocation, &places()?, out),
        Does::Disable => configure::enable(false, invocation, &places()?, out),
        Does::Signal => orders::signal(invocation, &places()?, out),
        Does::Attach => attach::answer(invocation, &places()?),
        Does::Reload => orders::reload(invocation, &places()?, out),
        Does::Shutdown => orders::shutdown(invocation, &places()?, out),
        Does::Logs => logs::output(invocation, &places()?, out),
        Does::Events => logs::events(invocation, &places()?, out),
        Does::Alerts => logs::alerts(invocation, &places()?, out),
        Does::Check => check::answer(invocation, &places()?, out),
        Does::Health => health::answer(invocation, &places()?, out),
        Does::Cleanup => cleanup::answer(invocation, &places()?, out),
        Does::Cycle => Ok(crate::update::run()),
        Does::Update => update::answer(invocation, &places()?, out),
        Does::Schedule => schedule::answer(invocation, &places()?, out),
        Does::Metrics => metrics::answer(invocation, &places()?, out),
        Does::Import => import::answer(invocation, &places()?, out),
        Does::Install => host::install(invocation, &places()?, out),
        Does::Uninstall => host::uninstall(invocation, &places()?, out),
        Does::Deploy => host::deploy(invocation, &places()?, out),
        Does::Version => version(invocation, out),
        Does::Help => help::answer(invocation, out),
    }
}

/// `version`.
fn version(invocation: &Invocation, out: &mut Output) -> Result<u8, Failure> {
    if invocation.json() {
        out.json(&json!({ "version": env!("CARGO_PKG_VERSION") }))?;
    } else {
        out.line(VERSION);
    }
    Ok(OK)
}
