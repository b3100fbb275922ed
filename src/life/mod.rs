//! Decides: events in, actions out, time is an argument. No clock, fd, path, log or fork.

pub(crate) mod backoff;
mod ending;
mod health;
pub(crate) mod policy;
pub(crate) mod roster;
pub(crate) mod service;
pub(crate) mod state;

#[cfg(test)]
mod lives;
