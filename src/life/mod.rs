//! Decides: events in, actions out, time is an argument. No clock, fd, path, log or fork.

pub(crate) mod agenda;
pub(crate) mod alerts;
pub(crate) mod backoff;
pub(crate) mod calendar;
pub(crate) mod cron;
mod demand;
mod ending;
pub(crate) mod exits;
mod health;
pub(crate) mod need;
mod order;
pub(crate) mod policy;
pub(crate) mod rate;
pub(crate) mod recovery;
pub(crate) mod roster;
pub(crate) mod service;
mod starting;
pub(crate) mod state;
pub(crate) mod update;
mod vigil;
pub(crate) mod zone;

#[cfg(test)]
mod crowds;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod lives;
