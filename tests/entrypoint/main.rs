//! The entrypoint beside Debian's tini: each test makes the same observations of both and compares them. Where tini
//! is not installed, what it would do is known from the test's own expectations only.

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

mod beside;
mod end;
mod options;
mod reaping;
mod signals;
mod terminal;
