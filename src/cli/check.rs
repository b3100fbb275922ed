//! `check`, and `plan`, its sister for the supervisor: the configuration is read and not run. What is right is
//! the configuration's own concern.

use std::path::Path;

use super::arguments::Invocation;
use super::failure::{CONFIGURATION, Failure, OK};
use super::output::{Output, say};
use super::places::Places;
use crate::config::{self, ConfigError};
use crate::supervisor;

/// `check [FILE…]`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    if invocation.operands.is_empty() {
        let plan = config::load(&places.config, &places.environment);
        let count = plan.as_ref().map_or(0, |plan| plan.services.len());
        return tell(invocation, &plan.err().unwrap_or_default(), &counted(count, "service"), out);
    }
    let mut problems = Vec::new();
    for file in &invocation.operands {
        problems.extend(config::check_file(Path::new(file), &places.environment).err().unwrap_or_default());
    }
    tell(invocation, &problems, &counted(invocation.operands.len(), "file"), out)
}

/// `plan`: what the supervisor's helper says to it.
pub(super) fn plan(places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let reading = supervisor::read(&places.config, &places.environment);
    out.json(&reading)?;
    Ok(if reading.is_valid() { OK } else { CONFIGURATION })
}

/// Tells what was found: for people the problems on standard error, as compilers do.
fn tell(
    invocation: &Invocation,
    problems: &[ConfigError],
    what: &str,
    out: &mut Output,
) -> Result<u8, Failure> {
    if invocation.json() {
        out.json(&problems)?;
    } else if problems.is_empty() {
        out.line(&format!("ok: {what}"));
    } else {
        say(&lines(problems));
    }
    Ok(if problems.is_empty() { OK } else { CONFIGURATION })
}

/// A line for each problem.
pub(super) fn lines(problems: &[ConfigError]) -> String {
    problems.iter().flat_map(|problem| [problem.to_string(), "\n".to_owned()]).collect()
}

/// `1 service`, `2 services`.
fn counted(count: usize, noun: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{end}")
}
