//! `run`, `scribe` and `kin`: the way from the command line to the parts of the program that are no clients. They
//! are elsewhere.

use std::io::{self, IsTerminal};

use super::arguments::Invocation;
use super::failure::USAGE;
use super::options::Flag;
use super::output::{Output, say};
use super::places::Places;
use crate::supervisor::{self, RunOptions};
use crate::sys::child::EXTRA_FD;
use crate::sys::own;

/// `run`.
pub(super) fn run(invocation: &Invocation, places: Places) -> u8 {
    let table = invocation.has(Flag::Table) || io::stdout().is_terminal();
    let options = RunOptions { config_dir: places.config, environment: places.environment, table };
    match supervisor::run(options) {
        Ok(code) => code,
        Err(error) => {
            let lines = error.lines.iter().map(|line| format!("mcp-init: {line}\n"));
            say(&lines.collect::<String>());
            error.exit
        }
    }
}

/// `scribe`: its socket is where the supervisor puts it.
pub(super) fn scribe() -> u8 {
    let Ok(socket) = own::inherited(EXTRA_FD) else {
        say("mcp-init: cannot be a scribe: only a supervisor starts one\n");
        return USAGE;
    };
    crate::scribe::run(socket)
}

/// `kin`: the processes are named by their numbers.
pub(super) fn kin(invocation: &Invocation, out: &mut Output) -> u8 {
    let pids = invocation.operands.iter().filter_map(|operand| operand.to_str()?.parse().ok());
    for line in supervisor::marks(pids).lines() {
        out.line(line);
    }
    0
}
