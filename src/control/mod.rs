//! Requests and answers of the control socket, both of its sides. No service is touched here.

pub(crate) mod access;
pub(crate) mod brief;
pub(crate) mod client;
pub(crate) mod schedule;
pub(crate) mod server;
pub(crate) mod update;
pub(crate) mod wire;
