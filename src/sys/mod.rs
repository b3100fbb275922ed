//! Acts: every system call of the supervisor, and the only `unsafe`. It decides nothing.
#![expect(unsafe_code, reason = "this is the room for it; each block states the fact it relies on")]

pub(crate) mod scribe_io;
