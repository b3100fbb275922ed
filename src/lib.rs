//! `mcp-init`: a tiny PID-1-capable supervisor for MCP servers. This file only names the rooms.
//!
//! Imports run one way: `cli` → `supervisor` → `control` → `scribe` → `config` → `life`, and any of them may
//! use `sys` except `life`, which knows no clock, fd, path or log. `tests/house.rs` holds us to it.

pub mod channel;
mod cli;
mod config;
mod control;
mod life;
mod scribe;
mod supervisor;
mod sys;

pub use sys::memory;

/// The program; `arguments` are without its name.
pub fn main(arguments: &[std::ffi::OsString]) -> std::process::ExitCode {
    cli::main(arguments)
}
