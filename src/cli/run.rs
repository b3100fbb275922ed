//! `run` and `scribe`: the way from the command line to the two parts of the program that stay. They are
//! elsewhere.

use std::io::{self, IsTerminal};

use super::arguments::Invocation;
use super::failure::FAILED;
use super::options::Flag;
use super::output::say;
use super::places::Places;

/// `run`.
pub(super) fn run(invocation: &Invocation, places: Places) -> u8 {
    let table = invocation.has(Flag::Table) || io::stdout().is_terminal();
    // SEAM: supervisor::run(RunOptions { config_dir: places.config, environment: places.environment, table })
    drop((table, places));
    say("mcp-init: cannot run: the supervisor is not part of this build\n");
    FAILED
}

/// `scribe`.
pub(super) fn scribe() -> u8 {
    // SEAM: scribe::run()
    FAILED
}
