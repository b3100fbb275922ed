//! `mcp-init`: a tiny PID-1-capable supervisor for MCP servers. This file only names the rooms.
//!
//! Imports run one way: `cli` → `entrypoint` → `supervisor` → `update` → `control` → `scribe` → `probe` → `config` → `life`,
//! and any of them may use `sys` except `life`, which knows no clock, fd, path or log. `tests/house.rs` holds us to
//! it.

pub mod channel;
mod cli;
mod config;
mod control;
mod entrypoint;
mod life;
mod probe;
mod scribe;
mod supervisor;
mod sys;
mod update;

// How durations and references are written is one thing in both programs, and which keys go with a document.
pub use config::{DOCUMENT_KEYS, duration, substitute};
pub use sys::{heap, memory};

/// The program, with its whole command line; the exit code.
pub fn main(words: Vec<std::ffi::OsString>) -> u8 {
    let mut arguments = words;
    let name = if arguments.is_empty() { "mcp-init".into() } else { arguments.remove(0) };
    // An entrypoint hands on what it was given: nothing may come before it.
    if entrypoint::is_meant(&name, &arguments) {
        return entrypoint::main(&name, arguments);
    }
    sys::own::settle();
    cli::main(&arguments)
}
