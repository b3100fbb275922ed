//! The supervisor as a user meets it: the real program, real processes, its own command line. Each module is
//! one kind of promise; what they share is in `tests/support`.

#![allow(
    dead_code,
    clippy::missing_docs_in_private_items,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::as_conversions,
    clippy::format_push_string,
    let_underscore_drop,
    unreachable_pub,
    reason = "tests: a panic is how they speak, and they sleep between two looks"
)]

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod access;
mod alerts;
mod attach;
mod bridge;
mod busy;
mod change;
mod channel;
mod cleanup;
mod configurations;
mod crash;
mod endings;
mod env_file;
mod files;
mod full;
mod hostile;
mod hosts;
mod import;
mod limits;
mod logs;
mod matrix;
mod node;
mod order;
mod orders;
mod pid1;
mod probe;
mod probes;
mod readiness;
mod recovery;
mod reload;
mod sandbox;
mod schedule;
mod sockets;
mod spawn;
mod stop;
mod update;
mod watching;
mod wide;
