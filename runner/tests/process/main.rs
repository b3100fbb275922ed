//! The runner as a process: the real program, real sockets, real signals. What a document means is tested
//! beside the code that reads it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits for what it started"
)]

mod bridge;
mod bridge_sessions;
mod channel;
mod doors;
mod hostile;
mod http;
mod inspect;
mod reach;
mod resources;
mod session;
mod start;
mod stdio;
mod stub;
mod support;
mod talk;
